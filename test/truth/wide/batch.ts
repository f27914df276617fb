/** Cases of single instructions for 64-bit processors, and random executions of them. */
import { FIELDS, fieldBits, fieldValue, type Instruction } from '../../../src/isa/index.ts';
import { CODE, CODE_BYTES, DATA_PAGES, NOWHERE, READ_ONLY_PAGE, WINDOW, WINDOW_BYTES } from '../machine-state.ts';
import type { Random } from '../random.ts';
import { type Form, randomWord } from '../single.ts';
import { interestingDecimal } from './decimal.ts';
import { interestingDoubleword, randomState, STATE, type State, vsrPlace } from './state.ts';

const TRAP = 0x7fe00008;
/** Traps around each case. */
const ROOM = 17;

export interface WideExecution {
  readonly state: State;
  readonly window: number;
  readonly subject: number;
}

export interface WideCase {
  readonly name: string;
  readonly mnemonic: string;
  readonly word: number;
  readonly address: number;
}

/** What one process of the oracle runs. */
export class WideBatch {
  readonly code = new Uint32Array(CODE_BYTES / 4);
  readonly readOnly = new Uint32Array(1024);
  readonly windows: BigUint64Array[] = [];
  readonly cases: WideCase[] = [];
  readonly executions: WideExecution[] = [];
  #used = 0;

  constructor(random: Random, windows = 32) {
    for (let i = 0; i < windows; i++)
      this.windows.push(BigUint64Array.from({ length: WINDOW_BYTES / 8 }, () => interestingDoubleword(random)));
    for (let i = 0; i < this.readOnly.length; i++) this.readOnly[i] = random.word();
  }

  add(form: Form, word: number, address: number): number {
    this.code[(address - CODE) >> 2] = word >>> 0;
    this.cases.push({ name: form.name, mnemonic: form.instruction.mnemonic, word, address });
    return this.cases.length - 1;
  }

  /** The address of an instruction with traps around it. */
  reserve(): number {
    const start = this.#used;
    this.#used += 2 * ROOM;
    this.code.fill(TRAP, start, this.#used);
    return CODE + (start + ROOM) * 4;
  }
}

function accessBytes(instruction: Instruction, word: number, state: State): number {
  const { access, mnemonic } = instruction;
  if (access) return access.bytes;
  if (/^[ls]t?mw$/.test(mnemonic)) return 4 * (32 - fieldBits(word, 'RT'));
  if (/^(lswi|stswi)$/.test(mnemonic)) return fieldBits(word, 'NB') || 32;
  if (/^(lswx|stswx)$/.test(mnemonic)) return Number(state[STATE.xer] as bigint) & 127;
  if (/^(l|st)q/.test(mnemonic)) return 16;
  if (/^(l|st)(vxl?|xvd2x|xvw4x)$/.test(mnemonic)) return 16;
  if (/^(lxvdsx|lxsdx|stxsdx)$/.test(mnemonic)) return 8;
  if (/^(l|st)ve[bhw]x/.test(mnemonic)) return { b: 1, h: 2, w: 4 }[mnemonic.at(-2) as 'b' | 'h' | 'w'];
  if (/^(l|st)d(arx|cx\.)$/.test(mnemonic) || /^(l|st)fd/.test(mnemonic)) return 8;
  if (/^(l|st)h(arx|cx\.)$/.test(mnemonic)) return 2;
  if (/^(l|st)b(arx|cx\.)$/.test(mnemonic)) return 1;
  if (/^(lw|stw)|^(l|st)f|^(l|st)xs/.test(mnemonic)) return 4;
  return 1;
}

const isStorage = ({ access, mnemonic }: Instruction): boolean =>
  access !== undefined ||
  /^(lmw|stmw|lsw|stsw|l.arx|st.cx\.|lq|stq|dcb[fsz]|dcbst|icbi|lf|stf|(l|st)v[ex]|(l|st)x[sv])/.test(mnemonic);
const isMultiple = ({ mnemonic }: Instruction): boolean => /^(lmw|stmw|lsw|stsw|lq|stq|dcbz)/.test(mnemonic);
const needsAlignment = ({ mnemonic }: Instruction): boolean => /^(l.arx|st.cx\.|lq|stq)/.test(mnemonic);

function randomAddress(random: Random, instruction: Instruction, bytes: number): number {
  const mask = needsAlignment(instruction) ? -bytes : -1;
  const kind = random.below(20);
  if (kind < 13) return (WINDOW + random.below(WINDOW_BYTES - bytes + 1)) & mask;
  if (kind < 17) return (DATA_PAGES + 0x1000 - Math.min(bytes - 1, 8) + random.below(Math.min(bytes, 8))) & mask;
  if (kind === 17 && !isMultiple(instruction)) return (READ_ONLY_PAGE + random.below(0x1000 - bytes)) & mask;
  if (kind === 18 && bytes > 1 && !isMultiple(instruction))
    return (DATA_PAGES + 0x2000 - 1 - random.below(bytes - 1)) & mask;
  return (NOWHERE + random.below(0x10000)) & mask;
}

/** Sets base and index registers so that the access goes to an address. False: it can not. */
function aim(random: Random, { fields }: Instruction, word: number, state: State, address: number): boolean {
  const ra = fieldBits(word, 'RA');
  const zero = fields.includes('RA0') && ra === 0;
  const to = BigInt(address);
  if (fields.includes('RB')) {
    const rb = fieldBits(word, 'RB');
    if (zero) state[rb] = to;
    else if (ra === rb) {
      if (address & 1) return false;
      state[ra] = (to >> 1n) | (random.chance(0.5) ? 1n << 63n : 0n);
    } else {
      state[ra] = interestingDoubleword(random);
      state[rb] = to - (state[ra] as bigint);
    }
    return true;
  }
  const displacement = (['D', 'DS', 'DQ'] as const).find((name) => fields.includes(name));
  const distance = displacement ? BigInt(fieldValue(word, displacement)) : 0n;
  if (!zero) state[ra] = to - distance;
  return !zero;
}

const near = (random: Random, address: number): bigint =>
  BigInt(address + 4 * (random.below(2 * ROOM - 4) - ROOM + 2 || 1));

/** A relative branch stays in its room. */
function nearDisplacement(random: Random, word: number, address: number): number {
  const target = Number(near(random, address));
  const distance = word & 2 ? target : target - address;
  if (word >>> 26 === 18) return (word & ~0x03fffffc) | (distance & 0x03fffffc);
  return (word & ~0xfffc) | (distance & 0xfffc);
}

/** A decimal number in a vector register: mostly a valid one. */
function setDecimal(random: Random, state: State, register: number): void {
  if (random.chance(0.1)) return;
  const digits = random.below(32);
  let value = 0n;
  for (let i = 0; i < digits; i++) value = value * 16n + BigInt(random.chance(0.3) ? 9 : random.below(10));
  value = value * 16n + BigInt(10 + random.below(6));
  state[vsrPlace(register, 0)] = value >> 64n;
  state[vsrPlace(register, 1)] = BigInt.asUintN(64, value);
}

/** Puts an instruction in front, which sets what no signal frame has. */
function precede(batch: WideBatch, state: State, address: number, word: () => number): void {
  const before = (address - CODE) / 4 - 1;
  if (batch.code[before] === TRAP) batch.code[before] = word() >>> 0;
  state[STATE.pc] = BigInt(address - 4);
}

const mtspr = (spr: number, rs: number): number => 0x7c00_03a6 | (rs << 21) | ((spr & 31) << 16) | ((spr >> 5) << 11);
const TAR = 815;
const VRSAVE = 256;
/** Of what goes to a register that no signal frame has. */
const SOURCE = 9;

/** Decimal numbers in the floating-point registers, and their rounding mode. */
function makeDecimal(random: Random, batch: WideBatch, state: State, address: number): void {
  const MTFSFI_DRN = 0xff81_010c;
  precede(batch, state, address, () => MTFSFI_DRN | (random.below(8) << 12));
  for (let n = 0; n < 32; n += 2) {
    const [high, low] = interestingDecimal(random);
    state[STATE.fpr + n] = high;
    state[STATE.fpr + n + 1] = low;
  }
}

/** Adds a case of a form, with some executions. */
export function addWideCase(random: Random, batch: WideBatch, form: Form, executions: number): void {
  const { instruction } = form;
  const address = batch.reserve();
  let word = randomWord(random, form);
  const isSplit = instruction.fields.some((name) => FIELDS[name].kind === 'split');
  // Time goes on, numbers without a register are the oracle's own affair, and so is a counter that is decremented.
  const unusable = (w: number): boolean =>
    (isSplit && fieldValue(w, 'SPR') > VRSAVE && fieldValue(w, 'SPR') <= 269) ||
    (instruction.mnemonic === 'bcctr' && instruction.invalid?.(w) === true);
  while (unusable(word)) word = randomWord(random, form);
  if (/^bc?$/.test(instruction.mnemonic)) word = nearDisplacement(random, word, address);
  const subject = batch.add(form, word, address);
  for (let i = 0; i < executions; i++) {
    const state = randomState(random, address);
    if (instruction.level === 'decimal') makeDecimal(random, batch, state, address);
    if (/^bcd/.test(instruction.mnemonic))
      for (const name of ['VRA', 'VRB'] as const) setDecimal(random, state, 32 + fieldValue(word, name));
    if (isStorage(instruction)) {
      const bytes = Math.max(1, accessBytes(instruction, word, state));
      if (!aim(random, instruction, word, state, randomAddress(random, instruction, bytes))) continue;
    } else if (instruction.mnemonic === 'bctar') {
      const target = near(random, address);
      // Not onto what stands in front of it: that would be for ever.
      state[SOURCE] = target === BigInt(address - 4) ? target - 4n : target + BigInt(random.below(4));
      state[STATE.ctr] = BigInt(random.below(3));
      precede(batch, state, address, () => mtspr(TAR, SOURCE));
    } else if (isSplit && fieldValue(word, 'SPR') === VRSAVE) {
      // The oracle's has 64 bits.
      state[SOURCE] = BigInt(random.word() >>> 0);
      precede(batch, state, address, () => mtspr(VRSAVE, SOURCE));
    } else if (instruction.ends) {
      state[STATE.lr] = near(random, address) + BigInt(random.below(4));
      state[STATE.ctr] = random.chance(0.5) ? near(random, address) : BigInt(random.below(3));
      if (instruction.mnemonic === 'bcctr') state[STATE.ctr] = near(random, address);
    }
    batch.executions.push({ state, window: random.below(batch.windows.length), subject });
  }
}
