/** What an instruction reads and writes, found by running its meaning against a builder that only takes notes. */
import type { Cell, Expr, InstructionInterrupt, Meaning, Operand, Operands, Semantics } from '../isa/semantics.ts';
import { CTR, crOffset, gprOffset, LR, XER_CA, XER_OV, XER_SO, ZERO_REGISTER } from './layout.ts';
import { MODEL_440, type ProcessorModel } from './model.ts';

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
const BIT_OF = new Map(STATE_OFFSETS.map((offset, bit) => [offset, bit]));

/** A set of state bits. */
export interface StateSet {
  low: number;
  high: number;
}

/** How a CR field got its value: by a signed or unsigned comparison, or as four bits. */
export type CrOrigin = 'signed' | 'unsigned' | 'bits';

export interface Effects {
  /** The last origin of each CR field that is written. */
  readonly crOrigins: ReadonlyMap<number, CrOrigin>;
  readonly reads: StateSet;
  readonly writes: StateSet;
  /** It can end with an interrupt. */
  readonly mayInterrupt: boolean;
}

export function addState(set: StateSet, offset: number): void {
  const bit = BIT_OF.get(offset) as number;
  if (bit < 32) set.low |= 1 << bit;
  else set.high |= 1 << (bit - 32);
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

const VALUE = { type: 'i32' } as const;

class Listener implements Semantics {
  readonly word: 'i32' | 'i64';
  readonly computation: 'i32' | 'i64';
  readonly littleEndian: boolean;
  readonly blockBytes: number;
  readonly hasFloat: boolean;
  readonly reads: StateSet = { low: 0, high: 0 };
  readonly writes: StateSet = { low: 0, high: 0 };
  readonly crOrigins = new Map<number, CrOrigin>();
  mayInterrupt = false;

  constructor(model: ProcessorModel) {
    this.word = model.word;
    this.computation = model.computation;
    this.littleEndian = model.littleEndian;
    this.blockBytes = model.blockBytes;
    this.hasFloat = model.hasFloat;
  }

  #value = (): Expr => VALUE;
  i32 = this.#value;
  i64 = this.#value;
  wordOf = this.#value;
  let = this.#value;
  add = this.#value;
  sub = this.#value;
  mul = this.#value;
  divSigned = this.#value;
  divUnsigned = this.#value;
  and = this.#value;
  or = this.#value;
  xor = this.#value;
  not = this.#value;
  neg = this.#value;
  shl = this.#value;
  shrUnsigned = this.#value;
  shrSigned = this.#value;
  rotl = this.#value;
  clz = this.#value;
  ctz = this.#value;
  popcnt = this.#value;
  signExtend8 = this.#value;
  signExtend16 = this.#value;
  signExtend32 = this.#value;
  eq = this.#value;
  ne = this.#value;
  eqz = this.#value;
  ltSigned = this.#value;
  ltUnsigned = this.#value;
  gtSigned = this.#value;
  gtUnsigned = this.#value;
  leSigned = this.#value;
  leUnsigned = this.#value;
  geSigned = this.#value;
  geUnsigned = this.#value;
  select = this.#value;
  low32 = this.#value;
  wordFromUnsigned32 = this.#value;
  wordFromSigned32 = this.#value;
  wrap = this.#value;
  extendSigned = this.#value;
  extendUnsigned = this.#value;
  state = this.#value;
  wideState = this.#value;
  fpr = this.#value;
  vsrHalf = this.#value;
  vsr = this.#value;
  v128 = this.#value;
  simd = this.#value;
  simdLane = this.#value;
  shuffle = this.#value;
  sharedWide = this.#value;
  blockDoubleword = this.#value;
  float = this.#value;
  invoke = this.#value;
  cell = (): Cell => ({ get: this.#value, set: () => {} });
  shared = this.#value;
  blockWord = this.#value;
  blockWordAt = this.#value;
  pc = this.#value;
  nextPc = this.#value;
  timebase = this.#value;

  gpr(register: Operand): Expr {
    if (register !== ZERO_REGISTER) addState(this.reads, gprOffset(register as number));
    return VALUE;
  }
  setGpr(register: Operand): void {
    addState(this.writes, gprOffset(register as number));
  }
  registerAfter(first: Operand, offset: Operand): Operand {
    return ((first as number) + (offset as number)) & 31;
  }
  lr(): Expr {
    addState(this.reads, LR);
    return VALUE;
  }
  setLr(): void {
    addState(this.writes, LR);
  }
  ctr(): Expr {
    addState(this.reads, CTR);
    return VALUE;
  }
  setCtr(): void {
    addState(this.writes, CTR);
  }
  ca(): Expr {
    addState(this.reads, XER_CA);
    return VALUE;
  }
  setCa(): void {
    addState(this.writes, XER_CA);
  }
  ov(): Expr {
    addState(this.reads, XER_OV);
    return VALUE;
  }
  so(): Expr {
    addState(this.reads, XER_SO);
    return VALUE;
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
    return VALUE;
  }
  setCrField(field: Operand): void {
    addState(this.writes, crOffset(field as number));
    this.crOrigins.set(field as number, 'bits');
  }
  compare(field: Operand, _a: Expr, _b: Operand, signed: boolean): void {
    this.so();
    this.setCrField(field);
    this.crOrigins.set(field as number, signed ? 'signed' : 'unsigned');
  }
  recordCr0(result: Expr): void {
    this.compare(0, result, 0, true);
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
  setVsrHalf(): void {}
  setVsr(): void {}
  setSharedWide(): void {}
  setBlockDoubleword(): void {}
  setShared(): void {}
  setBlockWord(): void {}
  setBlockWordAt(): void {}
  load(): Expr {
    this.mayInterrupt = true;
    return VALUE;
  }
  load64 = this.load;
  load128 = this.load;
  store(): void {
    this.mayInterrupt = true;
  }
  store64 = this.store;
  store128 = this.store;
  zeroBlock = this.store;
  if(_condition: Expr, then: () => void, otherwise?: () => void): void {
    const before = copyOf(this.writes);
    then();
    otherwise?.();
    // What is written on one path only keeps its value on the other.
    this.reads.low |= this.writes.low & ~before.low;
    this.reads.high |= this.writes.high & ~before.high;
  }
  repeat(count: Operand, _limit: number, body: (i: Operand) => void): void {
    for (let i = 0; i < (count as number); i++) body(i);
  }
  branchRelative(): void {}
  branchIndirect(): void {}
  interrupt(_kind: InstructionInterrupt): void {
    this.mayInterrupt = true;
  }
  misaligned = this.store;
  contextSynchronize(): void {}
}

/** The effects of an instruction whose operands are all known. */
export function effectsOf(meaning: Meaning, operands: Operands, model: ProcessorModel = MODEL_440): Effects {
  const listener = new Listener(model);
  meaning(listener, operands);
  const { reads, writes, crOrigins, mayInterrupt } = listener;
  return { reads, writes, crOrigins, mayInterrupt };
}
