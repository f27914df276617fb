import type { FieldName } from './fields.ts';
import type { FloatOp } from './float-ops.ts';
import type { SimdLaneOp, SimdOp } from './simd.ts';
import type { ValueType } from './value-type.ts';

/**
 * The builder over which each instruction's meaning is written, once. Back ends (the translator, the interpreter's
 * generator) implement it; both emit WebAssembly as the calls come.
 *
 * Three rules for whoever writes a meaning:
 * 1. An `Expr` is a tree that is evaluated where it is *used*, not where it is made. Read what you need before you
 *    write a register, or pin a value with `let`.
 * 2. Loads and stores may end the instruction with an interrupt. Do them before any register is changed.
 * 3. Values of general registers have the *word* type: i32 on 32-bit processors, i64 on 64-bit ones. A plain number
 *    stands for a constant of the other operand's type. An i32 beside an i64 is sign-extended, so that operands of the
 *    instruction can be used with values of either word type.
 */

/** A typed value: opaque to the instruction table. */
export interface Expr {
  readonly type: ValueType;
}
export type { ValueType };

/** A field of the instruction: a number where the back end knows it, a value where it is only known at run time. */
export type Operand = number | Expr;

/** The fields of the instruction at hand, by name. */
export type Operands = { readonly [F in FieldName]: Operand } & {
  /** Fields that select among meanings are numbers in every back end: the interpreter has a handler for each value. */
  readonly [F in StaticFieldName]: number;
};

/** Fields whose value is always known while the meaning is built. */
export const STATIC_FIELDS = [
  'OE',
  'Rc',
  'LK',
  'AA',
  'BO',
  'SPR',
  'TBR',
  'L',
  'MSR_L',
  'WS',
  'E',
  'VECTOR_RC',
  'SHW',
  'DM',
  'ST',
  'PS',
] as const satisfies FieldName[];
export type StaticFieldName = (typeof STATIC_FIELDS)[number];

/** Interrupts that an instruction can raise by itself, by the field's names. */
export type InstructionInterrupt =
  | 'systemCall'
  | 'program'
  | 'floatingPointUnavailable'
  | 'vectorUnavailable'
  | 'vsxUnavailable'
  | 'auxiliaryProcessorUnavailable'
  | 'speUnavailable'
  | 'speFloatData'
  | 'speFloatRound'
  /** Problem state may not have the facility that is named. */
  | 'facilityUnavailable'
  | 'alignment'
  /** Not the hardware's: an assist meaning hands over to KVM's vector code. */
  | 'assist';
/** Facilities that problem state has only where the operating system lets it (FSCR; MMCR0[PMCC] for the performance monitor). */
export type Facility = 'dscr' | 'performanceMonitor' | 'eventBasedBranch' | 'tar';
/** Why: of program interrupts, and of unavailable facilities. */
export type InterruptCause = 'illegal' | 'privileged' | 'trap' | 'unimplemented' | 'floatEnabled' | Facility;

/** Named 32-bit state of a processor beside the registers that have methods here (see processor/layout.ts). */
export type StateName =
  | 'reserveAddress'
  | 'reserveValue'
  | 'usprg0'
  | 'xerByteCount'
  | 'fpscr'
  /** MSR[FP], as 0 or not. */
  | 'floatAvailable'
  /** MSR[FE0] | MSR[FE1], as 0 or not. */
  | 'floatInterrupts'
  /** MSR[VEC] and MSR[VSX], as 0 or not. */
  | 'vectorAvailable'
  | 'vsxAvailable'
  /** The facilities of FSCR that there are in the mode in use, by FSCR's bits. */
  | 'facilities'
  | 'vscr'
  /** MSR[SPE], as 0 or not; SPEFSCR; the branch buffer's registers. */
  | 'speAvailable'
  | 'spefscr'
  /** Flags of SPE's last floating-point result (spe/float.ts). */
  | 'speFlags'
  | 'bbear'
  | 'bbtar'
  /** FPSCR[DRN]. */
  | 'decimalRounding';

/** Named 64-bit state of a 64-bit processor, and the accumulator of SPE; `decimalLow` is the right half of what a decimal routine answers. */
export type WideStateName =
  | 'reserveAddress'
  | 'reserveValue'
  | 'reserveValueHigh'
  | 'tar'
  | 'ppr'
  | 'decimalLow'
  | 'accumulator';

/** Named words of the struct that KVM shares with the guest (the magic page), low halves where they have 64 bits. */
export type SharedName =
  | 'sprg0'
  | 'sprg1'
  | 'sprg2'
  | 'sprg3'
  | 'sprg4'
  | 'sprg5'
  | 'sprg6'
  | 'sprg7'
  | 'srr0'
  | 'srr1'
  | 'dar'
  | 'msr'
  | 'dsisr'
  | 'esr'
  | 'pir'
  | 'mas0'
  | 'mas1'
  | 'mas2'
  | 'mas3'
  | 'mas4'
  | 'mas6'
  | 'mas7'
  | 'intPending'
  | 'critical';

/** A value that changes while a meaning is carried out. */
export interface Cell {
  get(): Expr;
  set(value: Expr): void;
}

/**
 * A piece of meaning that is too large to stand in each instruction that has it: back ends make a function of it. It
 * reads and writes state, but neither general registers nor storage, and raises no interrupt. Arguments are pinned.
 */
export interface Routine {
  readonly name: string;
  readonly params: readonly ('i32' | 'i64' | 'v128')[];
  readonly result: 'i32' | 'i64' | 'v128';
  readonly body: (s: Semantics, ...args: Expr[]) => Expr;
}

export interface Semantics {
  /** The word type of this processor. */
  readonly word: 'i32' | 'i64';
  /**
   * The computation mode: what carries, overflow, CR0 and the count register are looked at in, and addresses are cut to
   * (Power ISA 2.07 Book I, 1.5.1). `i32` too on a 64-bit processor in 32-bit mode.
   */
  readonly computation: 'i32' | 'i64';
  /** The groups of instructions and registers that this processor has (define.ts, Level). */
  readonly levels: ReadonlySet<string>;

  // --- constants and pinning
  i32(value: Operand): Expr;
  i64(value: number | bigint): Expr;
  /** A constant or operand of the word type. */
  wordOf(value: Operand): Expr;
  /** Evaluates now, into a temporary; the answer can be used any number of times. */
  let(value: Expr): Expr;

  /** A variable of the value's type, which it has at first. */
  cell(initial: Expr): Cell;
  /** Calls a routine now; the answer is pinned. */
  invoke(routine: Routine, ...args: Expr[]): Expr;

  // --- arithmetic: both operands have the same type, which is the result's
  add(a: Operand, b: Operand): Expr;
  sub(a: Operand, b: Operand): Expr;
  mul(a: Operand, b: Operand): Expr;
  /** Quotients: the caller rules out zero divisors and overflow (WebAssembly traps on them). */
  divSigned(a: Operand, b: Operand): Expr;
  divUnsigned(a: Operand, b: Operand): Expr;
  and(a: Operand, b: Operand): Expr;
  or(a: Operand, b: Operand): Expr;
  xor(a: Operand, b: Operand): Expr;
  not(a: Expr): Expr;
  neg(a: Expr): Expr;
  /** Shift amounts count modulo the type's width, as in WebAssembly. */
  shl(a: Operand, n: Operand): Expr;
  shrUnsigned(a: Operand, n: Operand): Expr;
  shrSigned(a: Operand, n: Operand): Expr;
  rotl(a: Operand, n: Operand): Expr;
  clz(a: Expr): Expr;
  ctz(a: Expr): Expr;
  popcnt(a: Expr): Expr;
  signExtend8(a: Expr): Expr;
  signExtend16(a: Expr): Expr;
  signExtend32(a: Expr): Expr;

  // --- floating-point numbers
  float(op: FloatOp, ...args: Expr[]): Expr;

  // --- comparisons: i32, 0 or 1
  eq(a: Operand, b: Operand): Expr;
  ne(a: Operand, b: Operand): Expr;
  eqz(a: Expr): Expr;
  ltSigned(a: Operand, b: Operand): Expr;
  ltUnsigned(a: Operand, b: Operand): Expr;
  gtSigned(a: Operand, b: Operand): Expr;
  gtUnsigned(a: Operand, b: Operand): Expr;
  leSigned(a: Operand, b: Operand): Expr;
  leUnsigned(a: Operand, b: Operand): Expr;
  geSigned(a: Operand, b: Operand): Expr;
  geUnsigned(a: Operand, b: Operand): Expr;
  /** Both values are evaluated. */
  select(condition: Expr, whenTrue: Operand, whenFalse: Operand): Expr;

  // --- widths
  /** The low 32 bits of a word-type value, as i32. */
  low32(a: Expr): Expr;
  /** An i32 as a word-type value. */
  wordFromUnsigned32(a: Expr): Expr;
  wordFromSigned32(a: Expr): Expr;
  wrap(a: Expr): Expr;
  extendSigned(a: Expr): Expr;
  extendUnsigned(a: Expr): Expr;

  // --- registers
  /** GPR[field]; (RA|0) where the field is RA0. */
  gpr(register: Operand): Expr;
  setGpr(register: Operand, value: Expr): void;
  /** The upper half of GPR[field] on a 32-bit processor with SPE, as i32: nothing else there changes it. */
  gprHigh(register: Operand): Expr;
  setGprHigh(register: Operand, value: Expr): void;
  /** The register `offset` places after `first`, modulo 32, to be used as a register operand. */
  registerAfter(first: Operand, offset: Operand): Operand;
  /** Whether there is a floating-point unit. */
  readonly hasFloat: boolean;
  /** FPR[field] as bits, an i64. */
  fpr(register: Operand): Expr;
  setFpr(register: Operand, bits: Expr): void;
  /**
   * Doubleword 0 (the left one) or 1 of a vector-scalar register, as i64. FPR n is doubleword 0 of VSR n, VR n is
   * VSR 32 + n.
   */
  vsrHalf(register: Operand, half: 0 | 1): Expr;
  setVsrHalf(register: Operand, half: 0 | 1, bits: Expr): void;
  /** A whole vector-scalar register: doubleword 0 is lane 1 of two, its first byte lane 15 of sixteen. */
  vsr(register: Operand): Expr;
  setVsr(register: Operand, value: Expr): void;
  lr(): Expr;
  setLr(value: Expr): void;
  ctr(): Expr;
  setCtr(value: Expr): void;
  /** XER[CA], XER[OV], XER[SO] as i32, 0 or 1. */
  ca(): Expr;
  setCa(value: Expr): void;
  ov(): Expr;
  so(): Expr;
  /** Sets OV, and SO with it when the value is 1. */
  setOv(value: Expr): void;
  /** Sets OV and SO by themselves (mtspr XER). */
  setOvSo(ov: Expr, so: Expr): void;
  /** A CR field as 4 bits: LT 8, GT 4, EQ 2, SO 1. */
  crField(field: Operand): Expr;
  setCrField(field: Operand, bits: Expr): void;
  /** CR[field] from a comparison of two values of one type, SO copied from XER. */
  compare(field: Operand, a: Expr, b: Operand, signed: boolean): void;
  /** CR0 from a result compared with zero, SO copied from XER: what Rc=1 does. */
  recordCr0(result: Expr): void;
  /** A CR bit as i32: zero or *not zero*. */
  crBit(bit: Operand): Expr;
  /** Value must be 0 or 1. */
  setCrBit(bit: Operand, value: Expr): void;
  /** 32-bit processor state by name, as i32. */
  state(name: StateName): Expr;
  setState(name: StateName, value: Expr): void;
  /** 64-bit processor state by name, as i64. */
  wideState(name: WideStateName): Expr;
  setWideState(name: WideStateName, value: Expr): void;
  /** The struct that KVM shares with the guest, as i32: only for KVM's assist semantics. */
  shared(name: SharedName): Expr;
  setShared(name: SharedName, value: Expr): void;
  /** The same as i64: a field of 64 bits, whole. Only on 64-bit processors. */
  sharedWide(name: SharedName): Expr;
  setSharedWide(name: SharedName, value: Expr): void;
  /** A doubleword of the vCPU's block by its byte offset, as i64. Only for assist semantics. */
  blockDoubleword(offset: number): Expr;
  setBlockDoubleword(offset: number, value: Expr): void;
  /** A word of the vCPU's block by its byte offset, as i32: where KVM keeps the guest's privileged state. Only for assist semantics. */
  blockWord(offset: number): Expr;
  setBlockWord(offset: number, value: Expr): void;
  /** The word `at` bytes behind that. */
  blockWordAt(at: Expr, offset: number): Expr;
  setBlockWordAt(at: Expr, offset: number, value: Expr): void;

  // --- vectors, v128: lanes are numbered from the right
  /** A constant by its 128 bits. */
  v128(bits: bigint): Expr;
  simd(op: SimdOp, ...args: Operand[]): Expr;
  /** Takes out a lane, or puts a value in its place. */
  simdLane(op: SimdLaneOp, lane: number, vector: Expr, value?: Operand): Expr;
  /** Sixteen bytes of a (0–15) and b (16–31), the rightmost first. */
  shuffle(a: Expr, b: Expr, lanes: readonly number[]): Expr;

  // --- storage (in the byte order of the processor's mode unless `reversed`; any alignment)
  /** Zero-extended (or `signed`: sign-extended) to the word type. Evaluated now. */
  load(bytes: 1 | 2 | 4, address: Expr, options?: { signed?: boolean; reversed?: boolean }): Expr;
  store(bytes: 1 | 2 | 4, address: Expr, value: Expr, options?: { reversed?: boolean }): void;
  /** A doubleword as i64. */
  load64(address: Expr, options?: { reversed?: boolean }): Expr;
  store64(address: Expr, value: Expr, options?: { reversed?: boolean }): void;
  /** A quadword as v128. A store that crosses a page may be interrupted between its doublewords. */
  load128(address: Expr): Expr;
  store128(address: Expr, value: Expr): void;
  /** Whether the doubleword of a quadword at its lower address is the low one: little-endian mode. */
  readonly littleEndian: boolean;
  /** Sets the cache block of the address to zero (dcbz). */
  zeroBlock(address: Expr): void;
  /** The cache block size in bytes. */
  readonly blockBytes: number;

  // --- control
  if(condition: Expr, then: () => void, otherwise?: () => void): void;
  /**
   * Runs `body` for i = 0 … count-1, count unknown while building (at most `limit`). Only in instructions that are
   * marked `interpreted`; a number as count is unrolled and may stand anywhere. `i` is an i32.
   */
  repeat(count: Operand, limit: number, body: (i: Operand) => void): void;
  /** Address of this instruction, and of the next one. */
  pc(): Expr;
  nextPc(): Expr;
  /** Ends the instruction: branches by the LI or BD field (AA taken into account) when `condition` is not zero (null: always). */
  branchRelative(condition: Expr | null, displacement: Operand, absolute: boolean): void;
  /** Ends the instruction: branches to an address, its two low bits ignored. `isReturn` for blr. */
  branchIndirect(condition: Expr | null, target: Expr, isReturn: boolean): void;
  /** Ends the instruction with an interrupt. */
  interrupt(kind: InstructionInterrupt, cause?: InterruptCause): void;
  /** Ends the instruction with the alignment interrupt of a load or a store at an address. */
  misaligned(address: Expr, access: 'load' | 'store'): void;
  /** What follows is fetched anew: isync, icbi. Ends the instruction. */
  contextSynchronize(): void;
  /** The time base: i64. */
  timebase(): Expr;
}

export type Meaning = (s: Semantics, f: Operands) => void;
