/**
 * Random pieces of code: straight lines, forward branches, loops (some with two entries), calls, computed branches,
 * returns to elsewhere. All storage accesses are aimed at the window through registers that the code leaves alone, and
 * every loop ends.
 */
import { FIELDS, type FieldName, fieldBits, type Instruction } from '../../src/isa/index.ts';
import type { Batch } from './batch.ts';
import { NOWHERE, STATE, seededState, WINDOW } from './machine-state.ts';
import type { Random } from './random.ts';
import { type Form, formsOf, isStorage, randomWord } from './single.ts';

/** A branch whose displacement or target is still open. */
interface Jump {
  readonly word: number;
  readonly label: number;
  /** `upper`, `lower`: halves of the label's address, for a computed branch. */
  readonly kind: 'relative' | 'upper' | 'lower';
}
type Item = number | Jump;

const register = (opcode: number, rt: number, ra: number, immediate: number): number =>
  (opcode << 26) | (rt << 21) | (ra << 16) | (immediate & 0xffff);
const addi = (rt: number, ra: number, immediate: number): number => register(14, rt, ra, immediate);
const MTCTR = 0x7c0903a6;
const MTLR = 0x7c0803a6;
const MFLR = 0x7c0802a6;
const BLR = 0x4e800020;
const BCTR = 0x4e800420;
const BL = 0x48000001;
const BCL_20_31 = 0x429f0005;
const MFMSR = 0x7c0000a6;
const ISYNC = 0x4c00012c;
const SC = 0x44000002;
const MFTB = 0x7c0c42e6;
const STWCX = 0x7c00012d;
const bc = (bo: number, bi: number): number => (16 << 26) | (bo << 21) | (bi << 16);

/** BO values that look at a CR bit only. */
const CONDITIONS = [4, 12];

/** How far base registers are from the window's middle at most, how far index registers and displacements reach. */
const BASE_REACH = 48;
const REACH = 64;

/** The instructions that blocks are made of. */
export interface Choices {
  readonly plain: readonly Form[];
  readonly flags: readonly Form[];
  readonly storage: readonly Form[];
}

const NOT_PLAIN =
  /^(b|bc|bclr|bcctr|bctar|mftb|lmw|lswi|lswx|stswx|l[bhwdq]arx|st[bhwdq]cx\.|lq|stq|icbi|isel|mfspr|mtspr|mfdcrx|mtdcrx|tw|twi)$/;
const DISPLACEMENTS = ['D', 'DS', 'DQ'] as const satisfies FieldName[];
/** What reads or writes CR and XER. */
const FLAGS = /^(cmp|cmpl|cmpi|cmpli|cr.*|mcrf|mcrxr|mfcr|mfocrf|mtcrf|mtocrf|adde|addze|addme|subfe|subfze|subfme)$/;
/** The oracle gets these wrong: see exceptions.ts. */
const MISJUDGED = /^n?mac/;
/** Of floating point, what it gets right: the moves. */
const JUDGED_FLOATS = /^(lf|stf|fmr|fneg|fn?abs|fsel)/;
const isJudged = ({ mnemonic, level }: Instruction): boolean =>
  level === 'float' ? JUDGED_FLOATS.test(mnemonic) : !MISJUDGED.test(mnemonic);

/** Forms that blocks can be made of, sorted. */
export function choicesOf(forms: readonly Form[], storage: (instruction: Instruction) => boolean): Choices {
  const usable = forms.filter(
    ({ instruction }) => instruction.meaning !== null && !NOT_PLAIN.test(instruction.mnemonic),
  );
  const plain = usable.filter(({ instruction }) => !storage(instruction));
  return {
    plain,
    flags: plain.filter(({ name, instruction }) => FLAGS.test(instruction.mnemonic) || /o\.?$|\.$/.test(name)),
    storage: usable.filter(({ instruction }) => storage(instruction)),
  };
}

const CHOICES = {
  judged: choicesOf(
    formsOf().filter(({ instruction }) => isJudged(instruction)),
    isStorage,
  ),
  all: choicesOf(formsOf(), isStorage),
};

/** The registers of a state that a block is run from. */
export interface AimedState {
  setGpr(n: number, value: number): void;
  setCtr(value: number): void;
  setLr(value: number): void;
}

/** Makes one block. */
export class BlockWriter {
  readonly #random: Random;
  readonly #judged: boolean;
  readonly #choices: Choices;
  readonly #items: Item[] = [];
  readonly #labels: number[] = [];
  /** Left alone by the code: two bases, an index, a loop counter, and one for return addresses. */
  readonly bases: readonly [number, number];
  readonly index: number;
  readonly counter: number;
  readonly #link: number;
  readonly #scratch: readonly number[];
  /** Inside of a loop that counts with CTR. */
  #countsWithCtr = false;
  #isSubroutine = false;

  constructor(random: Random, choices: Choices, judged: boolean) {
    this.#random = random;
    this.#judged = judged;
    this.#choices = choices;
    const numbers = Array.from({ length: 32 }, (_, n) => n);
    for (let i = 31; i > 0; i--) {
      const j = random.below(i + 1);
      [numbers[i], numbers[j]] = [numbers[j] as number, numbers[i] as number];
    }
    const take = (): number => numbers.splice(numbers[0] === 0 ? 1 : 0, 1)[0] as number;
    this.bases = [take(), take()];
    this.index = take();
    this.counter = take();
    this.#link = take();
    // Few registers make many dependences.
    this.#scratch = numbers.slice(0, random.pick([4, 8, 27]));
  }

  /** A new label; where it is follows from `place`. */
  #label(): number {
    return this.#labels.push(-1) - 1;
  }
  #place(label: number): void {
    this.#labels[label] = this.#items.length;
  }

  #put(...items: Item[]): void {
    this.#items.push(...items);
  }

  #jump(word: number, label: number): void {
    this.#put({ word, label, kind: 'relative' });
  }

  #any(): number {
    return this.#random.pick(this.#scratch);
  }
  #anyButZero(): number {
    return this.#random.pick(this.#scratch.filter((n) => n !== 0));
  }

  /** A label's address in a register. */
  #address(rt: number, label: number): void {
    this.#put({ word: register(15, rt, 0, 0), label, kind: 'upper' });
    this.#put({ word: register(24, rt, rt, 0), label, kind: 'lower' });
  }

  /** A word of a form with its register fields among the scratch registers. */
  #word(form: Form): number {
    let word = randomWord(this.#random, form);
    for (const name of ['RT', 'RS', 'RA', 'RA0', 'RB'] as const)
      if (form.instruction.fields.includes(name)) word = this.#set(word, name, this.#any());
    return word;
  }
  #set(word: number, name: FieldName, bits: number): number {
    const { first, last } = FIELDS[name];
    const shift = 31 - last;
    return (word & ~((2 ** (last - first + 1) - 1) << shift)) | (bits << shift);
  }

  #instruction(): void {
    const random = this.#random;
    const kind = random.below(100);
    if (kind < 40) this.#put(this.#word(random.pick(this.#choices.plain)));
    else if (kind < 66) this.#put(this.#word(random.pick(this.#choices.flags)));
    else if (kind < 86) this.#storage(random.pick(this.#choices.storage));
    else if (kind < 91) this.#special();
    else if (kind < 94) this.#reservation();
    else if (kind < 96) this.#put(BCL_20_31);
    else if (kind < 98) this.#string();
    else if (kind < 99) this.#trap();
    else this.#rare();
  }

  /** What ends a block: a page that is not mapped, a privileged instruction, none, `isync`. */
  #rare(): void {
    const random = this.#random;
    const rare = [register(32, this.#any(), this.index, random.below(64)), MFMSR, 0, ISYNC];
    // The oracle would carry the system call out, has a time of its own, and knows no alignment of stwcx.
    if (!this.#judged)
      rare.push(SC, MFTB | (this.#any() << 21), STWCX | (this.index << 11), STWCX | (this.bases[1] << 11));
    this.#put(random.pick(rare));
  }

  #storage(form: Form): void {
    const random = this.#random;
    const { instruction } = form;
    let word = this.#word(form);
    let base: number = random.pick(this.bases);
    const displacement = random.below(2 * REACH) - REACH;
    if (instruction.fields.includes('RA')) {
      const rt = fieldBits(word, 'RT');
      const updated = this.#scratch.filter((n) => n !== 0 && (n !== rt || instruction.access?.kind !== 'load'));
      const pointer = random.pick(updated);
      this.#put(addi(pointer, base, random.below(16)));
      base = pointer;
      word = this.#set(word, 'RA', base);
      if (instruction.fields.includes('RB')) word = this.#set(word, 'RB', this.index);
      else word = this.#displace(word, instruction, displacement);
    } else if (instruction.fields.includes('RB')) {
      const [ra, rb] = random.pick([
        [base, this.index],
        [this.index, base],
        [0, base],
      ]) as [number, number];
      word = this.#set(this.#set(word, 'RA', ra), 'RB', rb);
    } else if (DISPLACEMENTS.some((name) => instruction.fields.includes(name))) {
      word = this.#displace(this.#set(word, 'RA', base), instruction, displacement);
      // stmw: eight registers at most.
      if (instruction.mnemonic === 'stmw') word = this.#set(word, 'RT', 24 + random.below(8));
    } else word = this.#set(word, 'RA', base);
    this.#put(word);
  }

  /** A displacement as far as the field goes. */
  #displace(word: number, { fields }: Instruction, displacement: number): number {
    const name = DISPLACEMENTS.find((field) => fields.includes(field)) as FieldName;
    const unused = 31 - FIELDS[name].last;
    return this.#set(word, name, (displacement & 0xffff) >>> unused);
  }

  /** lswi and stswi, and lmw where it leaves the reserved registers alone. */
  #string(): void {
    const random = this.#random;
    const base = random.pick(this.bases);
    const reserved = [...this.bases, this.index, this.counter, this.#link];
    const rt = random.below(32);
    const bytes = 1 + random.below(16);
    const used = [0, 1, 2, 3].map((n) => (rt + n) & 31);
    if (used.some((n) => reserved.includes(n))) {
      this.#put((31 << 26) | (rt << 21) | (base << 16) | (bytes << 11) | (725 << 1));
    } else if (rt >= 28 && reserved.every((n) => n < rt)) this.#put(register(46, rt, base, random.below(32)));
    else this.#put((31 << 26) | (rt << 21) | (base << 16) | (bytes << 11) | (597 << 1));
  }

  #special(): void {
    const to = [1, 256];
    if (!this.#countsWithCtr) to.push(9);
    // A subroutine needs its return address.
    if (!this.#isSubroutine) to.push(8);
    const number = this.#random.pick(this.#random.chance(0.5) ? to : [1, 8, 9, 256]);
    const writes = to.includes(number) && this.#random.chance(0.5);
    const spr = ((number & 31) << 5) | (number >>> 5);
    this.#put((31 << 26) | (this.#any() << 21) | (spr << 11) | ((writes ? 467 : 339) << 1));
  }

  #reservation(): void {
    const pointer = this.#anyButZero();
    const others = this.#scratch.filter((n) => n !== pointer);
    this.#put(addi(pointer, this.bases[0], 4 * this.#random.below(8)));
    this.#put((31 << 26) | (this.#random.pick(others) << 21) | (pointer << 11) | (20 << 1));
    if (this.#random.chance(0.5))
      this.#put(this.#word(this.#random.pick(this.#choices.plain.filter((form) => form.name === 'cmp'))));
    if (this.#random.chance(0.2)) this.#put(register(36, this.#random.pick(others), pointer, 0));
    this.#put((31 << 26) | (this.#any() << 21) | (pointer << 11) | (150 << 1) | 1);
  }

  #trap(): void {
    const to = 1 << this.#random.below(5);
    this.#put((31 << 26) | (to << 21) | (this.#any() << 16) | (this.#any() << 11) | (4 << 1));
  }

  /** Some instructions, with branches over some of them. */
  #stretch(length: number): void {
    const open: { label: number; at: number }[] = [];
    for (let i = 0; i < length; i++) {
      for (const { label, at } of open) if (at === i) this.#place(label);
      if (i + 1 < length && this.#random.chance(0.15)) {
        const label = this.#label();
        open.push({ label, at: i + 1 + this.#random.below(length - i) });
        this.#forward(label);
      } else this.#instruction();
    }
    for (const { label, at } of open) if (at >= length) this.#place(label);
  }

  /** A branch to a label that comes later. */
  #forward(label: number): void {
    const random = this.#random;
    const bi = random.below(32);
    const kind = random.below(10);
    const link = random.chance(0.05) ? 1 : 0;
    if (kind < 7) {
      // Mostly right behind a comparison of the same field.
      if (random.chance(0.6)) {
        const compare = this.#choices.flags.filter((form) => /^cmp/.test(form.name));
        this.#put(this.#set(this.#word(random.pick(compare)), 'BF', bi >> 2));
      }
      this.#jump(bc(random.pick(CONDITIONS), bi) | link, label);
    } else if (kind < 8 && !this.#countsWithCtr) this.#jump(bc(random.pick([0, 2, 8, 10, 16, 18]), bi) | link, label);
    else if (kind < 9) this.#jump(bc(20, bi) | link, label);
    else this.#computed(label);
  }

  #computed(label: number): void {
    const pointer = this.#anyButZero();
    this.#address(pointer, label);
    const throughLr = this.#countsWithCtr || this.#random.chance(0.5);
    this.#put((throughLr ? MTLR : MTCTR) | (pointer << 21));
    const bo = this.#random.pick([20, 12, 4]);
    const base = throughLr ? BLR : BCTR;
    this.#put((base & ~0x03e00000) | (bo << 21) | (this.#random.below(32) << 16));
  }

  /** A loop that counts with CTR or with the counter register, which may be entered in the middle as well. */
  #loop(length: number): void {
    const random = this.#random;
    const top = this.#label();
    const middle = this.#label();
    if (random.chance(0.4)) {
      const pointer = this.#anyButZero();
      this.#put(addi(pointer, 0, 1 + random.below(5)), MTCTR | (pointer << 21));
      this.#place(top);
      this.#place(middle);
      this.#countsWithCtr = true;
      this.#stretch(length);
      this.#countsWithCtr = false;
      this.#jump(bc(random.pick([16, 0, 8]), random.below(32)), top);
      return;
    }
    if (random.chance(0.3)) this.#jump(bc(random.pick(CONDITIONS), random.below(32)), middle);
    this.#place(top);
    this.#stretch(length >> 1);
    this.#place(middle);
    this.#stretch(length - (length >> 1));
    if (random.chance(0.3)) this.#loop(2);
    const field = random.below(8);
    this.#put(addi(this.counter, this.counter, -1), register(11, field << 2, this.counter, 0));
    this.#jump(bc(12, field * 4 + 1), top);
  }

  #call(subroutine: number): void {
    const random = this.#random;
    const kind = random.below(4);
    if (kind === 0 && !this.#countsWithCtr) {
      const pointer = this.#anyButZero();
      this.#address(pointer, subroutine);
      this.#put(MTCTR | (pointer << 21), BCTR | 1);
    } else if (kind === 1) this.#jump(bc(random.pick(CONDITIONS), random.below(32)) | 1, subroutine);
    else this.#jump(BL, subroutine);
  }

  #subroutine(label: number, others: readonly number[], end: number): void {
    const random = this.#random;
    this.#place(label);
    this.#stretch(1 + random.below(4));
    if (random.chance(0.3)) this.#put((BLR & ~0x03e00000) | (random.pick(CONDITIONS) << 21) | (random.below(32) << 16));
    const next = others[0];
    if (next !== undefined && random.chance(0.6)) {
      this.#put(MFLR | (this.#link << 21));
      this.#jump(BL, next);
      this.#put(MTLR | (this.#link << 21));
    }
    if (random.chance(0.12)) {
      // Back to somewhere else.
      const pointer = this.#anyButZero();
      this.#address(pointer, end);
      this.#put(MTLR | (pointer << 21));
    }
    this.#put(BLR);
  }

  write(): void {
    const random = this.#random;
    const subroutines = Array.from({ length: random.pick([0, 0, 1, 2]) }, () => this.#label());
    const end = this.#label();
    const segments = 1 + random.below(4);
    for (let i = 0; i < segments; i++) {
      if (random.chance(0.4)) this.#loop(2 + random.below(6));
      else this.#stretch(2 + random.below(8));
      if (subroutines.length > 0 && random.chance(0.7)) this.#call(random.pick(subroutines));
    }
    this.#place(end);
    // Always taken: what follows is only called.
    this.#put(0x7fe00008);
    this.#isSubroutine = true;
    for (const [i, label] of subroutines.entries()) this.#subroutine(label, subroutines.slice(i + 1), end);
  }

  get length(): number {
    return this.#items.length;
  }

  words(address: number): number[] {
    return this.#items.map((item, at) => {
      if (typeof item === 'number') return item;
      const position = this.#labels[item.label] as number;
      const target = address + 4 * position;
      if (item.kind === 'upper') return item.word | (target >>> 16);
      if (item.kind === 'lower') return item.word | (target & 0xffff);
      const distance = 4 * (position - at);
      return item.word | (item.word >>> 26 === 18 ? distance & 0x03fffffc : distance & 0xfffc);
    });
  }

  aim(random: Random, state: AimedState): void {
    const middle = WINDOW + 128;
    state.setGpr(this.bases[0], middle - BASE_REACH + 4 * random.below(BASE_REACH / 2));
    state.setGpr(this.bases[1], middle - BASE_REACH + random.below(2 * BASE_REACH));
    state.setGpr(this.index, random.below(2 * REACH) - REACH);
    state.setGpr(this.counter, random.below(6));
    if (random.chance(0.5)) state.setCtr(random.below(4));
    state.setLr(NOWHERE + 4 * random.below(64));
  }
}

/**
 * Adds a block with its executions.
 * @param judged by the oracle: without the instructions that it gets wrong.
 */
export function addBlock(random: Random, batch: Batch, executions: number, judged: boolean): void {
  const writer = new BlockWriter(random, judged ? CHOICES.judged : CHOICES.all, judged);
  writer.write();
  const room = batch.reserve(writer.length);
  const { address } = room;
  const subject = batch.add('block', room, writer.words(address));
  for (let i = 0; i < executions; i++) {
    const seed = random.word();
    const state = seededState(seed);
    state[STATE.pc] = address;
    writer.aim(random, {
      setGpr: (n, value) => {
        state[n] = value;
      },
      setCtr: (value) => {
        state[STATE.ctr] = value;
      },
      setLr: (value) => {
        state[STATE.lr] = value;
      },
    });
    batch.executions.push({ seed, state, window: random.below(batch.windows.length), subject });
  }
}
