/** What an instruction reads and writes, found by running its meaning against a builder that only takes notes. */
import type { Level } from '../../isa/define.ts';
import { FLOAT_OPS, type FloatOp } from '../../isa/float-ops.ts';
import type {
  Cell,
  Expr,
  InstructionInterrupt,
  Meaning,
  Operand,
  Operands,
  Routine,
  Semantics,
  StateName,
  ValueType,
} from '../../isa/semantics.ts';
import { SIMD, SIMD_LANE, type SimdLaneOp, type SimdOp } from '../../isa/simd.ts';
import { CTR, crOffset, gprOffset, LR, XER_CA, XER_OV, XER_SO, ZERO_REGISTER } from '../layout.ts';
import type { ProcessorModel } from '../model.ts';

/** State that a region keeps in locals, by bit: r0–r31 in `low`; CR0–7, LR, CTR, CA, OV, SO in `high`. */
export const STATE_OFFSETS: readonly number[] = [
  ...Array.from({ length: 32 }, (_, n) => gprOffset(n)),
  ...Array.from({ length: 8 }, (_, n) => crOffset(n)),
  LR,
  CTR,
  XER_CA,
  XER_OV,
  XER_SO,
];
/** Type of some state: registers of a word stand first in the block. */
export const stateType = (offset: number, word: 'i32' | 'i64'): 'i32' | 'i64' => (offset <= CTR ? word : 'i32');
const BIT_OF = new Map(STATE_OFFSETS.map((offset, bit) => [offset, bit]));

/** A set of state bits. */
export interface StateSet {
  low: number;
  high: number;
}

/**
 * How a CR field got its value: by a signed or unsigned comparison of words or doublewords, as four bits, or one way or
 * another by different paths.
 */
export type CrOrigin = 'bits' | 'mixed' | Comparison;
export type Comparison = `${'signed' | 'unsigned'} ${'i32' | 'i64'}`;
export const comparisonOf = (type: ValueType, signed: boolean): Comparison =>
  `${signed ? 'signed' : 'unsigned'} ${type === 'i64' ? 'i64' : 'i32'}`;

/** The state that says whether instructions of a facility may be carried out, and the interrupt when they may not. */
const FACILITIES = ['floatAvailable', 'vectorAvailable', 'vsxAvailable', 'speAvailable'] as const satisfies StateName[];
const UNAVAILABLE: readonly InstructionInterrupt[] = [
  'floatingPointUnavailable',
  'vectorUnavailable',
  'vsxUnavailable',
  'speUnavailable',
];
const FACILITY_BITS: ReadonlyMap<string, number> = new Map(
  [...FACILITIES.entries(), ...UNAVAILABLE.entries()].map(([i, name]) => [name, 1 << i]),
);
/** The bit of a facility in a set of them, by its state or its interrupt; 0 for what is none. */
export const facilityOf = (name: StateName | InstructionInterrupt): number => FACILITY_BITS.get(name) ?? 0;

export interface Effects {
  /** The last origin of each CR field that is written. */
  readonly crOrigins: ReadonlyMap<number, CrOrigin>;
  readonly reads: StateSet;
  readonly writes: StateSet;
  /** It can end with an interrupt. */
  readonly mayInterrupt: boolean;
  /** Facilities that are available when it does not end with an interrupt. */
  readonly facilities: number;
}

/** The effects of what traps always. */
export const TRAPS: Effects = {
  reads: { low: 0, high: 0 },
  writes: { low: 0, high: 0 },
  crOrigins: new Map(),
  mayInterrupt: true,
  facilities: 0,
};

export function addState(set: StateSet, offset: number): void {
  const bit = BIT_OF.get(offset) as number;
  if (bit < 32) set.low |= 1 << bit;
  else set.high |= 1 << (bit - 32);
}

/** The set of some state. */
export function setOf(offsets: readonly number[]): StateSet {
  const set: StateSet = { low: 0, high: 0 };
  for (const offset of offsets) addState(set, offset);
  return set;
}

export function unite(set: StateSet, other: StateSet): void {
  set.low |= other.low;
  set.high |= other.high;
}

export const copyOf = ({ low, high }: StateSet): StateSet => ({ low, high });

export function hasState({ low, high }: StateSet, offset: number): boolean {
  const bit = BIT_OF.get(offset);
  if (bit === undefined) return false;
  return (bit < 32 ? low & (1 << bit) : high & (1 << (bit - 32))) !== 0;
}

/** Offsets in the vCPU block of a set's members. */
export function stateOffsets(set: StateSet): number[] {
  return STATE_OFFSETS.filter((_, bit) => (bit < 32 ? set.low & (1 << bit) : set.high & (1 << (bit - 32))) !== 0);
}

const WORD32: Expr = { type: 'i32' };
const WORD64: Expr = { type: 'i64' };
const VECTOR: Expr = { type: 'v128' };
const valueOfType = (type: 'i32' | 'i64' | 'v128'): Expr =>
  type === 'v128' ? VECTOR : type === 'i64' ? WORD64 : WORD32;
const typeOf = (a: Operand): ValueType => (typeof a === 'number' ? 'i32' : a.type);

class Listener implements Semantics {
  readonly word: 'i32' | 'i64';
  readonly computation: 'i32' | 'i64';
  readonly levels: ReadonlySet<Level>;
  readonly littleEndian: boolean;
  readonly blockBytes: number;
  readonly hasFloat: boolean;
  readonly reads: StateSet = { low: 0, high: 0 };
  readonly writes: StateSet = { low: 0, high: 0 };
  crOrigins = new Map<number, CrOrigin>();
  mayInterrupt = false;
  facilities = 0;

  constructor(model: ProcessorModel) {
    this.word = model.word;
    this.computation = model.computation;
    this.levels = model.levels;
    this.littleEndian = model.littleEndian;
    this.blockBytes = model.blockBytes;
    this.hasFloat = model.hasFloat;
  }

  #narrow = (): Expr => WORD32;
  #wide = (): Expr => WORD64;
  #vector = (): Expr => VECTOR;
  #word = (): Expr => valueOfType(this.word);
  #same = (a: Expr): Expr => a;
  /** An i32 beside an i64 is extended. */
  #common = (a: Operand, b: Operand): Expr => (typeOf(a) === 'i64' || typeOf(b) === 'i64' ? WORD64 : WORD32);
  i32 = this.#narrow;
  eq = this.#narrow;
  ne = this.#narrow;
  eqz = this.#narrow;
  ltSigned = this.#narrow;
  ltUnsigned = this.#narrow;
  gtSigned = this.#narrow;
  gtUnsigned = this.#narrow;
  leSigned = this.#narrow;
  leUnsigned = this.#narrow;
  geSigned = this.#narrow;
  geUnsigned = this.#narrow;
  low32 = this.#narrow;
  wrap = this.#narrow;
  state = this.#narrow;
  shared = this.#narrow;
  blockWord = this.#narrow;
  blockWordAt = this.#narrow;
  i64 = this.#wide;
  signExtend32 = this.#wide;
  extendSigned = this.#wide;
  extendUnsigned = this.#wide;
  wideState = this.#wide;
  fpr = this.#wide;
  gprHigh = this.#narrow;
  vsrHalf = this.#wide;
  sharedWide = this.#wide;
  blockDoubleword = this.#wide;
  timebase = this.#wide;
  vsr = this.#vector;
  v128 = this.#vector;
  shuffle = this.#vector;
  wordOf = this.#word;
  wordFromUnsigned32 = this.#word;
  wordFromSigned32 = this.#word;
  pc = this.#word;
  nextPc = this.#word;
  let = this.#same;
  not = this.#same;
  neg = this.#same;
  clz = this.#same;
  ctz = this.#same;
  popcnt = this.#same;
  signExtend8 = this.#same;
  signExtend16 = this.#same;
  add = this.#common;
  sub = this.#common;
  mul = this.#common;
  divSigned = this.#common;
  divUnsigned = this.#common;
  and = this.#common;
  or = this.#common;
  xor = this.#common;
  shl = this.#common;
  shrUnsigned = this.#common;
  shrSigned = this.#common;
  rotl = this.#common;
  select = (_condition: Expr, a: Operand, b: Operand): Expr => this.#common(a, b);
  simd = (op: SimdOp): Expr => ({ type: SIMD[op].result });
  simdLane = (op: SimdLaneOp): Expr => ({ type: SIMD_LANE[op].result });
  float = (op: FloatOp): Expr => ({ type: FLOAT_OPS[op].result });
  invoke = ({ result }: Routine): Expr => valueOfType(result);
  cell = (initial: Expr): Cell => ({ get: () => initial, set: () => {} });

  gpr(register: Operand): Expr {
    if (register !== ZERO_REGISTER) addState(this.reads, gprOffset(register as number));
    return valueOfType(this.word);
  }
  setGpr(register: Operand): void {
    addState(this.writes, gprOffset(register as number));
  }
  registerAfter(first: Operand, offset: Operand): Operand {
    return ((first as number) + (offset as number)) & 31;
  }
  lr(): Expr {
    addState(this.reads, LR);
    return valueOfType(this.word);
  }
  setLr(): void {
    addState(this.writes, LR);
  }
  ctr(): Expr {
    addState(this.reads, CTR);
    return valueOfType(this.word);
  }
  setCtr(): void {
    addState(this.writes, CTR);
  }
  ca(): Expr {
    addState(this.reads, XER_CA);
    return WORD32;
  }
  setCa(): void {
    addState(this.writes, XER_CA);
  }
  ov(): Expr {
    addState(this.reads, XER_OV);
    return WORD32;
  }
  so(): Expr {
    addState(this.reads, XER_SO);
    return WORD32;
  }
  setOv(): void {
    this.so();
    this.setOvSo();
  }
  setOvSo(): void {
    addState(this.writes, XER_OV);
    addState(this.writes, XER_SO);
  }
  crField(field: Operand): Expr {
    addState(this.reads, crOffset(field as number));
    return WORD32;
  }
  setCrField(field: Operand): void {
    addState(this.writes, crOffset(field as number));
    this.crOrigins.set(field as number, 'bits');
  }
  compare(field: Operand, a: Expr, _b: Operand, signed: boolean): void {
    this.so();
    this.setCrField(field);
    this.crOrigins.set(field as number, comparisonOf(a.type, signed));
  }
  recordCr0(): void {
    this.compare(0, valueOfType(this.computation), 0, true);
  }
  crBit(bit: Operand): Expr {
    return this.crField((bit as number) >> 2);
  }
  setCrBit(bit: Operand): void {
    this.crBit(bit);
    this.setCrField((bit as number) >> 2);
  }
  setState(): void {}
  setWideState(): void {}
  setFpr(): void {}
  setGprHigh(): void {}
  setVsrHalf(): void {}
  setVsr(): void {}
  setSharedWide(): void {}
  setBlockDoubleword(): void {}
  setShared(): void {}
  setBlockWord(): void {}
  setBlockWordAt(): void {}
  load(): Expr {
    this.mayInterrupt = true;
    return valueOfType(this.word);
  }
  load64(): Expr {
    this.mayInterrupt = true;
    return WORD64;
  }
  load128(): Expr {
    this.mayInterrupt = true;
    return VECTOR;
  }
  store(): void {
    this.mayInterrupt = true;
  }
  store64 = this.store;
  store128 = this.store;
  zeroBlock = this.store;
  if(_condition: Expr, then: () => void, otherwise?: () => void): void {
    const before = copyOf(this.writes);
    const origins = this.crOrigins;
    this.crOrigins = new Map(origins);
    then();
    const afterThen = this.crOrigins;
    this.crOrigins = new Map(origins);
    otherwise?.();
    for (const field of new Set([...afterThen.keys(), ...this.crOrigins.keys()]))
      if (afterThen.get(field) !== this.crOrigins.get(field)) this.crOrigins.set(field, 'mixed');
    // What is written on one path only keeps its value on the other.
    this.reads.low |= this.writes.low & ~before.low;
    this.reads.high |= this.writes.high & ~before.high;
  }
  repeat(count: Operand, _limit: number, body: (i: Operand) => void): void {
    for (let i = 0; i < (count as number); i++) body(i);
  }
  branchRelative(): void {}
  branchIndirect(): void {}
  interrupt(kind: InstructionInterrupt): void {
    this.mayInterrupt = true;
    this.facilities |= facilityOf(kind);
  }
  misaligned = this.store;
  contextSynchronize(): void {}
}

/** The effects of an instruction whose operands are all known. */
export function effectsOf(meaning: Meaning, operands: Operands, model: ProcessorModel): Effects {
  const listener = new Listener(model);
  meaning(listener, operands);
  const { reads, writes, crOrigins, mayInterrupt, facilities } = listener;
  return { reads, writes, crOrigins, mayInterrupt, facilities };
}
