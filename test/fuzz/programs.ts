/**
 * Programs of hostile guests that are hot: pages of straight code, of branches and of calls that do not return, functions that
 * recurse, code that writes code. They begin at address 0 and go on for ever.
 */
import { EMBEDDED_LEVELS, INSTRUCTIONS, SERVER_LEVELS } from '../../src/isa/index.ts';
import type { Random } from '../truth/random.ts';
import { type Form, randomWord } from '../truth/single.ts';

/** The processor that a program is for. */
export interface Target {
  readonly family: '440' | 'server';
  readonly littleEndian: boolean;
  /** RAM from 0 on. */
  readonly ramBytes: number;
  /** Addresses of devices. */
  readonly devices: readonly number[];
}

const PAGE_BYTES = 4096;
const PAGE_WORDS = PAGE_BYTES / 4;
/** Where a program begins that is entered at 0: behind the vectors. */
const START = 0x2000;
const FIRST_PAGE = START + PAGE_BYTES;
const MOST_PAGES = 64;
/** Stacks grow down from here, data goes up. */
const DATA = 0x100000;

/** Registers: stack, depth of recursion, data from FIRST_DATA to LAST_DATA, and what handlers use. */
const STACK = 1;
const DEPTH = 13;
const FIRST_DATA = 14;
const LAST_DATA = 20;
const HANDLER = 31;

const dForm = (opcode: number, rt: number, ra: number, immediate: number): number =>
  (opcode << 26) | (rt << 21) | (ra << 16) | (immediate & 0xffff);
const addi = (rt: number, ra: number, immediate: number): number => dForm(14, rt, ra, immediate);
const addis = (rt: number, ra: number, immediate: number): number => dForm(15, rt, ra, immediate);
const ori = (ra: number, rs: number, immediate: number): number => dForm(24, rs, ra, immediate);
const oris = (ra: number, rs: number, immediate: number): number => dForm(25, rs, ra, immediate);
const load = (rt: number, value: number): number[] => [addis(rt, 0, value >>> 16), ori(rt, rt, value & 0xffff)];
const spr = (number: number): number => ((number & 31) << 16) | ((number >>> 5) << 11);
const mtspr = (number: number, rs: number): number => 0x7c0003a6 | (rs << 21) | spr(number);
const mfspr = (rt: number, number: number): number => 0x7c0002a6 | (rt << 21) | spr(number);
const branch = (from: number, to: number, link = 0): number => (18 << 26) | ((to - from) & 0x03fffffc) | link;
const [BLR, BCTR, RFI, RFID] = [0x4e800020, 0x4e800420, 0x4c000064, 0x4c000024];
const [LR, CTR, DEC, SRR0] = [8, 9, 22, 26];
const [DCBST, SYNC, ICBI, ISYNC] = [0x7c00006c, 0x7c0004ac, 0x7c0007ac, 0x4c00012c];
const [IVPR, IVOR0, IVORS, TCR] = [63, 400, 16, 340];
const IVOR_BYTES = 0x40;

interface Words {
  /** What code may be made of. */
  readonly all: readonly Form[];
  /** What goes on behind itself, and asks nobody. */
  readonly plain: readonly Form[];
}

function wordsOf(levels: ReadonlySet<string>): Words {
  const all = INSTRUCTIONS.filter(({ level }) => levels.has(level)).map((instruction): Form => {
    const { mnemonic, mask, value } = instruction;
    return { name: mnemonic, instruction, mask, value };
  });
  return { all, plain: all.filter(({ instruction }) => !instruction.privileged && !instruction.ends) };
}

const WORDS: Readonly<Record<Target['family'], Words>> = {
  440: wordsOf(EMBEDDED_LEVELS),
  server: wordsOf(SERVER_LEVELS),
};

/** What a page does at its end. */
const ENDS = ['call', 'recurse', 'loop', 'patch', 'next', 'indirect', 'fall', 'write functions'] as const;
const BODIES = ['few forms', 'few forms', 'few forms', 'plain', 'branches', 'anything', 'short'] as const;

/** Makes the program of a random state. */
export function makeProgram(random: Random, target: Target): Uint8Array {
  const pages = 1 + random.below(random.chance(0.3) ? MOST_PAGES : 6);
  const words = new Int32Array((FIRST_PAGE + pages * PAGE_BYTES) / 4);
  const put = (address: number, code: readonly number[]): void => words.set(code, address / 4);
  put(0, [branch(0, START)]);
  fillVectors(random, target, put);
  const prologue = [...enable(random, target), ...registers(random, target)];
  put(START, [...prologue, branch(START + 4 * prologue.length, FIRST_PAGE)]);
  // One kind of page, as attacks are, or a mixture.
  const body = random.chance(0.5) ? random.pick(BODIES) : undefined;
  const end = random.chance(0.5) ? random.pick(ENDS) : undefined;
  for (let page = 0; page < pages; page++) {
    const at = FIRST_PAGE + page * PAGE_BYTES;
    const length = random.chance(0.5) ? 1 + random.below(PAGE_WORDS) : 1 + random.below(64);
    fillBody(random, target, body ?? random.pick(BODIES), words.subarray(at / 4, at / 4 + PAGE_WORDS), length);
    const next = FIRST_PAGE + ((page + 1) % pages) * PAGE_BYTES;
    const other = FIRST_PAGE + random.below(pages) * PAGE_BYTES;
    const code = endOf(random, target, end ?? random.pick(ENDS), { page: at, next: random.chance(0.8) ? next : other });
    const room = PAGE_WORDS - code(0).length;
    const place = at + 4 * Math.min(length, room);
    put(place, code(place));
  }
  return inOrder(words, target.littleEndian);
}

/** Bytes of instructions. */
export function inOrder(words: Int32Array, littleEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => {
    view.setInt32(4 * i, word, littleEndian);
  });
  return bytes;
}

/** Handlers go on behind the instruction; those of timers and of the outside at it; some are missing. */
function fillVectors(random: Random, target: Target, put: (address: number, code: readonly number[]) => void): void {
  const server = target.family === 'server';
  const back = server ? RFID : RFI;
  const goOn = [mfspr(HANDLER, SRR0), addi(HANDLER, HANDLER, 4), mtspr(SRR0, HANDLER), back];
  const again = [addi(HANDLER, 0, random.below(0x8000)), mtspr(DEC, HANDLER), back];
  const anew = [...load(HANDLER, START), mtspr(SRR0, HANDLER), back];
  const count = server ? 0x1e : IVORS;
  for (let i = 0; i < count; i++) {
    const address = 0x100 + i * (server ? 0x80 : IVOR_BYTES);
    const vector = server ? address : i;
    const timers: readonly number[] = server ? [0x500, 0x900, 0x980] : [0, 4, 10, 11, 12];
    const gone: readonly number[] = server ? [0x200, 0x400, 0x480] : [1, 3, 14];
    if (random.chance(0.02)) continue;
    put(address, timers.includes(vector) ? again : gone.includes(vector) ? anew : goOn);
  }
}

/** Has facilities and interrupts on. */
function enable(random: Random, { family }: Target): number[] {
  const timer = [...load(9, random.below(1 << 20)), mtspr(DEC, 9)];
  if (family === 'server') {
    const msr = random.chance(0.3) ? 0x8000 : 0;
    return [...timer, 0x7d2000a6, oris(9, 9, 0x0280), ori(9, 9, 0x2000 | msr), 0x7d200164];
  }
  const ivors = Array.from({ length: IVORS }, (_, i) => [addi(9, 0, 0x100 + i * IVOR_BYTES), mtspr(IVOR0 + i, 9)]);
  // ME, EE, CE, FP.
  const msr = random.pick([0, 0x1000, 0x9000, 0x29000, 0x2b000]);
  return [
    ...[addi(9, 0, 0), mtspr(IVPR, 9)],
    ...ivors.flat(),
    ...timer,
    ...load(9, random.chance(0.2) ? 0x04400000 : 0),
    mtspr(TCR, 9),
    ...load(9, msr),
    0x7d200124,
  ];
}

/** Gives registers values that lead somewhere. */
function registers(random: Random, target: Target): number[] {
  const code: number[] = [];
  for (let register = 2; register < 31; register++) code.push(...load(register, random.word() >>> 0));
  code.push(...load(STACK, random.chance(0.9) ? target.ramBytes - 64 : random.word() >>> 0));
  code.push(...load(DEPTH, random.below(random.chance(0.5) ? 100 : 30_000)));
  return [...code, ...dataRegisters(random, target)];
}

function dataRegisters(random: Random, target: Target): number[] {
  const code: number[] = [];
  for (let register = FIRST_DATA; register <= LAST_DATA; register++) {
    const address = random.chance(0.9)
      ? DATA + PAGE_BYTES * random.below((target.ramBytes - DATA) / PAGE_BYTES)
      : random.pick(target.devices);
    code.push(...load(register, address));
  }
  return code;
}

/** A word whose addresses mostly come from the data registers, which it mostly leaves alone. */
function steered(random: Random, form: Form): number {
  let word = randomWord(random, form);
  const { fields } = form.instruction;
  const register = FIRST_DATA + random.below(LAST_DATA + 1 - FIRST_DATA);
  const isStorage = form.instruction.access !== undefined || /^(dcb|icb|l[bhwdfmsv]|st)/.test(form.name);
  if (!isStorage || random.chance(0.05)) return word;
  if (fields.includes('RA') || fields.includes('RA0')) word = (word & ~(31 << 16)) | (register << 16);
  if (fields.includes('RB')) word &= ~(31 << 11);
  if (fields.includes('RT')) word = (word & ~(31 << 21)) | ((LAST_DATA + 1 + random.below(10)) << 21);
  return word;
}

function fillBody(
  random: Random,
  target: Target,
  kind: (typeof BODIES)[number],
  page: Int32Array,
  length: number,
): void {
  const { all, plain } = WORDS[target.family];
  const forms = Array.from({ length: 1 + random.below(4) }, () => random.pick(plain));
  const conditions = [12, 4, 16, 18, 0, 8, 10];
  for (let i = 0; i < length; i++) {
    const choice = kind === 'anything' || random.chance(0.003) ? 'anything' : kind;
    if (choice === 'few forms') page[i] = steered(random, random.pick(forms));
    else if (choice === 'plain') page[i] = steered(random, random.pick(plain));
    else if (choice === 'branches' && random.chance(0.5)) {
      const to = 4 * (random.below(length) - i);
      page[i] = (16 << 26) | (random.pick(conditions) << 21) | (random.below(32) << 16) | (to & 0xfffc);
    } else if (choice === 'anything')
      page[i] = random.chance(0.1) ? random.word() : randomWord(random, random.pick(all));
    else page[i] = (31 << 26) | (random.below(1024) << 16) | (random.below(32) << 11) | (266 << 1) | 1;
    if (kind === 'short' && i === 8) return;
  }
}

/** The code at the end of a page's body, by the address where it stands. */
function endOf(
  random: Random,
  target: Target,
  kind: (typeof ENDS)[number],
  { page, next }: { readonly page: number; readonly next: number },
): (at: number) => number[] {
  const [store, fetch] = target.family === 'server' ? [0xf8010001, 0xe8010000] : [0x94010000, 0x80010000];
  const flush = random.chance(0.6);
  const word = steered(random, random.pick(WORDS[target.family].plain));
  const place = 4 * random.below(64);
  const count = 1 + random.below(random.chance(0.3) ? 4000 : 50);
  switch (kind) {
    case 'call':
      return (at) => [branch(at, next, 1), BLR];
    case 'recurse':
      // The way down, as many levels as DEPTH says, and up again.
      return (at) => [
        mfspr(0, LR),
        target.family === 'server' ? store | (-16 & 0xfffc) : store | (-16 & 0xffff),
        addi(DEPTH, DEPTH, -1),
        dForm(11, 0, DEPTH, 0),
        (16 << 26) | (12 << 21) | (1 << 16) | 8,
        branch(at + 20, at + 28),
        branch(at + 24, next, 1),
        fetch,
        addi(STACK, STACK, 16),
        mtspr(LR, 0),
        addi(DEPTH, DEPTH, 1),
        BLR,
      ];
    case 'loop':
      return (at) => [
        addi(12, 12, 1),
        dForm(11, 0, 12, count),
        (16 << 26) | (12 << 21) | ((page - at - 8) & 0xfffc),
        addi(12, 0, 0),
        ...dataRegisters(random, target).slice(0, 4),
        branch(at + 32, next),
      ];
    case 'patch': {
      const where = random.chance(0.5) ? page : next;
      return (at) => [
        ...load(9, word),
        ...load(10, where + place),
        dForm(36, 9, 10, 0),
        ...(flush ? [DCBST | (10 << 11), SYNC, ICBI | (10 << 11), ISYNC] : []),
        branch(at + 20 + (flush ? 16 : 0), next),
      ];
    }
    case 'next':
      return (at) => [branch(at, next)];
    case 'indirect':
      return () => [...load(9, next), mtspr(CTR, 9), BCTR | random.below(2)];
    case 'fall':
      return () => [addi(3, 3, 1)];
    case 'write functions':
      // A function of five words in one place after another, called a few times each: li, mtctr, addi, bdnz, blr.
      return (at) => [
        ...load(9, 0x38600000 | count),
        dForm(36, 9, LAST_DATA, 0),
        ...load(9, 0x7c6903a6),
        dForm(36, 9, LAST_DATA, 4),
        ...load(9, 0x38840001),
        dForm(36, 9, LAST_DATA, 8),
        ...load(9, 0x4200fffc),
        dForm(36, 9, LAST_DATA, 12),
        ...load(9, BLR),
        dForm(36, 9, LAST_DATA, 16),
        ...(flush ? [DCBST | (LAST_DATA << 11), SYNC, ICBI | (LAST_DATA << 11), ISYNC] : []),
        ...[mtspr(LR, LAST_DATA), 0x4e800021, mtspr(LR, LAST_DATA), 0x4e800021],
        addi(LAST_DATA, LAST_DATA, random.pick([4096, 4096, 64, -4096])),
        branch(at + 80 + (flush ? 16 : 0), next),
      ];
  }
}
