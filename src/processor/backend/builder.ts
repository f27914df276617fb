import type {
  Expr,
  InstructionInterrupt,
  InterruptCause,
  Operand,
  Routine,
  Semantics,
  SharedName,
  StateName,
  WideStateName,
} from '../../isa/semantics.ts';
import {
  DECIMAL_LOW,
  DECIMAL_ROUNDING,
  FACILITIES,
  FLOAT_AVAILABLE,
  FLOAT_INTERRUPTS,
  FPR,
  FPSCR,
  fprOffset,
  PPR,
  TAR,
  VECTOR_AVAILABLE,
  VSCR,
  VSR,
  VSX_AVAILABLE,
  vsrHalfOffset,
  vsrOffset,
  WIDE_RESERVE_ADDRESS,
  WIDE_RESERVE_VALUE,
  WIDE_RESERVE_VALUE_HIGH,
} from '../book3s/layout.ts';
import { ACCUMULATOR, BBEAR, BBTAR, SPE_AVAILABLE, SPE_FLAGS, SPEFSCR } from '../booke/layout.ts';
import {
  CR,
  CTR,
  crOffset,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  GPR,
  gprOffset,
  LR,
  RESERVE_ADDRESS,
  RESERVE_VALUE,
  sharedWordOffset,
  USPRG0,
  XER_BYTE_COUNT,
  XER_CA,
  XER_OV,
  XER_SO,
  ZERO_REGISTER,
} from '../layout.ts';
import { constant, load, local, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import { StorageBuilder } from './storage.ts';

/** A CR bit that is only known at run time. */
export interface DynamicCrBit extends Node {
  readonly crBitMask: Node;
}

const STATE_OFFSETS: Record<StateName, number> = {
  reserveAddress: RESERVE_ADDRESS,
  reserveValue: RESERVE_VALUE,
  usprg0: USPRG0,
  xerByteCount: XER_BYTE_COUNT,
  fpscr: FPSCR,
  floatAvailable: FLOAT_AVAILABLE,
  floatInterrupts: FLOAT_INTERRUPTS,
  vectorAvailable: VECTOR_AVAILABLE,
  vsxAvailable: VSX_AVAILABLE,
  vscr: VSCR,
  facilities: FACILITIES,
  decimalRounding: DECIMAL_ROUNDING,
  speAvailable: SPE_AVAILABLE,
  spefscr: SPEFSCR,
  speFlags: SPE_FLAGS,
  bbear: BBEAR,
  bbtar: BBTAR,
};

const WIDE_STATE_OFFSETS: Record<WideStateName, number> = {
  reserveAddress: WIDE_RESERVE_ADDRESS,
  reserveValue: WIDE_RESERVE_VALUE,
  reserveValueHigh: WIDE_RESERVE_VALUE_HIGH,
  tar: TAR,
  decimalLow: DECIMAL_LOW,
  ppr: PPR,
  accumulator: ACCUMULATOR,
};

/** What the back ends share beside storage access: state, flags. Registers and control flow are theirs. */
export abstract class Builder extends StorageBuilder implements Semantics {
  /** Static state at an offset of the block, as i32. */
  protected abstract read(offset: number): Node;
  /** Instructions that remain of the budget. */
  protected abstract remainingBudget(): Node;
  protected abstract write(offset: number, value: Node): void;
  /** The same of the word type. */
  protected readWord(offset: number): Node {
    return this.word === 'i32' ? this.read(offset) : load('i64', OP.i64Load, this.block, offset);
  }
  protected writeWord(offset: number, value: Node): void {
    if (this.word === 'i32') this.write(offset, value);
    else this.e.store(OP.i64Store, this.block, offset, value);
  }

  abstract pc(): Expr;
  abstract nextPc(): Expr;
  abstract branchRelative(condition: Expr | null, displacement: Operand, absolute: boolean): void;
  abstract branchIndirect(condition: Expr | null, target: Expr, isReturn: boolean): void;
  abstract interrupt(kind: InstructionInterrupt, cause?: InterruptCause): void;
  abstract contextSynchronize(): void;
  abstract repeat(count: Operand, limit: number, body: (i: Operand) => void): void;

  invoke(routine: Routine, ...args: Expr[]): Node {
    const index = this.runtime.routine?.(routine.name);
    if (index === undefined) throw new Error(`there is no function of ${routine.name}`);
    this.e.call(index, ...(args as Node[]));
    const result = this.e.temporary(routine.result);
    this.e.setFromStack(result);
    return local(routine.result, result);
  }

  gpr(register: Operand): Node {
    if (typeof register === 'number')
      return register === ZERO_REGISTER ? constant(this.word, 0) : this.readWord(gprOffset(register));
    const slot = this.add(this.block, this.shl(register, 3));
    return this.word === 'i32' ? load('i32', OP.i32Load, slot, GPR) : load('i64', OP.i64Load, slot, GPR);
  }
  setGpr(register: Operand, value: Expr): void {
    if (typeof register === 'number') this.writeWord(gprOffset(register), value as Node);
    else {
      const slot = this.add(this.block, this.shl(register, 3));
      this.e.store(this.word === 'i32' ? OP.i32Store : OP.i64Store, slot, GPR, value as Node);
    }
  }
  gprHigh(register: Operand): Node {
    if (typeof register === 'number') return load('i32', OP.i32Load, this.block, gprOffset(register) + 4);
    return load('i32', OP.i32Load, this.add(this.block, this.shl(register, 3)), GPR + 4);
  }
  setGprHigh(register: Operand, value: Expr): void {
    if (typeof register === 'number') this.e.store(OP.i32Store, this.block, gprOffset(register) + 4, value as Node);
    else this.e.store(OP.i32Store, this.add(this.block, this.shl(register, 3)), GPR + 4, value as Node);
  }
  registerAfter(first: Operand, offset: Operand): Operand {
    if (typeof first === 'number' && typeof offset === 'number') return (first + offset) & 31;
    return this.and(this.add(first, offset), 31);
  }
  fpr(register: Operand): Node {
    if (typeof register === 'number') return load('i64', OP.i64Load, this.block, fprOffset(register));
    return load('i64', OP.i64Load, this.add(this.block, this.shl(register, 4)), FPR);
  }
  setFpr(register: Operand, bits: Expr): void {
    if (typeof register === 'number') this.e.store(OP.i64Store, this.block, fprOffset(register), bits as Node);
    else this.e.store(OP.i64Store, this.add(this.block, this.shl(register, 4)), FPR, bits as Node);
  }
  vsrHalf(register: Operand, half: 0 | 1): Node {
    if (typeof register === 'number') return load('i64', OP.i64Load, this.block, vsrHalfOffset(register, half));
    return load('i64', OP.i64Load, this.add(this.block, this.shl(register, 4)), VSR + 8 * (1 - half));
  }
  setVsrHalf(register: Operand, half: 0 | 1, bits: Expr): void {
    if (typeof register === 'number')
      this.e.store(OP.i64Store, this.block, vsrHalfOffset(register, half), bits as Node);
    else this.e.store(OP.i64Store, this.add(this.block, this.shl(register, 4)), VSR + 8 * (1 - half), bits as Node);
  }
  vsr(register: Operand): Node {
    if (typeof register === 'number') return load('v128', OP.v128Load, this.block, vsrOffset(register));
    return load('v128', OP.v128Load, this.add(this.block, this.shl(register, 4)), VSR);
  }
  setVsr(register: Operand, value: Expr): void {
    if (typeof register === 'number') this.e.store(OP.v128Store, this.block, vsrOffset(register), value as Node);
    else this.e.store(OP.v128Store, this.add(this.block, this.shl(register, 4)), VSR, value as Node);
  }
  lr(): Node {
    return this.readWord(LR);
  }
  setLr(value: Expr): void {
    this.writeWord(LR, value as Node);
  }
  ctr(): Node {
    return this.readWord(CTR);
  }
  setCtr(value: Expr): void {
    this.writeWord(CTR, value as Node);
  }
  ca(): Node {
    return this.read(XER_CA);
  }
  setCa(value: Expr): void {
    this.write(XER_CA, value as Node);
  }
  ov(): Node {
    return this.read(XER_OV);
  }
  so(): Node {
    return this.read(XER_SO);
  }
  setOv(value: Expr): void {
    const pinned = this.let(value);
    this.write(XER_OV, pinned);
    this.write(XER_SO, this.or(this.so(), pinned));
  }
  setOvSo(ov: Expr, so: Expr): void {
    this.write(XER_OV, ov as Node);
    this.write(XER_SO, so as Node);
  }
  crField(field: Operand): Node {
    if (typeof field === 'number') return this.read(crOffset(field));
    return load('i32', OP.i32Load, this.add(this.block, field), CR);
  }
  setCrField(field: Operand, bits: Expr): void {
    if (typeof field === 'number') this.write(crOffset(field), bits as Node);
    else this.e.store(OP.i32Store, this.add(this.block, field), CR, bits as Node);
  }
  /** LT, GT or EQ of two pinned values. */
  protected compareBits(a: Node, b: Node, signed: boolean): Node {
    const less = signed ? this.ltSigned(a, b) : this.ltUnsigned(a, b);
    const greater = signed ? this.gtSigned(a, b) : this.gtUnsigned(a, b);
    return this.or(this.select(less, 8, this.select(greater, 4, 2)), this.so());
  }
  compare(field: Operand, a: Expr, b: Operand, signed: boolean): void {
    const left = this.let(a);
    const right = typeof b === 'number' ? this.node(b, left.type as 'i32' | 'i64') : this.let(b);
    this.setCrField(field, this.compareBits(left, right, signed));
  }
  recordCr0(result: Expr): void {
    this.compare(0, this.computation === 'i32' ? this.low32(result) : result, 0, true);
  }
  crBit(bit: Operand): Node {
    if (typeof bit === 'number') return this.and(this.crField(bit >> 2), 8 >> (bit & 3));
    const dynamic = bit as DynamicCrBit;
    return this.and(load('i32', OP.i32Load, this.add(this.block, dynamic), CR), dynamic.crBitMask);
  }
  setCrBit(bit: Operand, value: Expr): void {
    if (typeof bit === 'number') {
      const mask = 8 >> (bit & 3);
      const others = this.and(this.crField(bit >> 2), 15 ^ mask);
      this.setCrField(bit >> 2, this.or(others, this.shl(value, 3 - (bit & 3))));
      return;
    }
    const { crBitMask } = bit as DynamicCrBit;
    const address = this.let(this.add(this.block, bit));
    const others = this.and(load('i32', OP.i32Load, address, CR), this.xor(crBitMask, -1));
    this.e.store(OP.i32Store, address, CR, this.or(others, this.and(this.neg(value), crBitMask)));
  }
  state(name: StateName): Node {
    return load('i32', OP.i32Load, this.block, STATE_OFFSETS[name]);
  }
  setState(name: StateName, value: Expr): void {
    this.e.store(OP.i32Store, this.block, STATE_OFFSETS[name], value as Node);
  }
  wideState(name: WideStateName): Node {
    return load('i64', OP.i64Load, this.block, WIDE_STATE_OFFSETS[name]);
  }
  setWideState(name: WideStateName, value: Expr): void {
    this.e.store(OP.i64Store, this.block, WIDE_STATE_OFFSETS[name], value as Node);
  }
  shared(name: SharedName): Node {
    return load('i32', OP.i32Load, this.block, sharedWordOffset(name, this.order));
  }
  setShared(name: SharedName, value: Expr): void {
    this.e.store(OP.i32Store, this.block, sharedWordOffset(name, this.order), value as Node);
  }
  sharedWide(name: SharedName): Node {
    return this.blockDoubleword(sharedWordOffset(name, this.order));
  }
  setSharedWide(name: SharedName, value: Expr): void {
    this.setBlockDoubleword(sharedWordOffset(name, this.order), value);
  }
  blockDoubleword(offset: number): Node {
    return load('i64', OP.i64Load, this.block, offset);
  }
  setBlockDoubleword(offset: number, value: Expr): void {
    this.e.store(OP.i64Store, this.block, offset, value as Node);
  }
  blockWord(offset: number): Node {
    return load('i32', OP.i32Load, this.block, offset);
  }
  setBlockWord(offset: number, value: Expr): void {
    this.e.store(OP.i32Store, this.block, offset, value as Node);
  }
  blockWordAt(at: Expr, offset: number): Node {
    return load('i32', OP.i32Load, this.add(this.block, at), offset);
  }
  setBlockWordAt(at: Expr, offset: number, value: Expr): void {
    this.e.store(OP.i32Store, this.add(this.block, at), offset, value as Node);
  }

  misaligned(address: Expr, access: 'load' | 'store'): void {
    const op = this.word === 'i32' ? OP.i32Store : OP.i64Store;
    this.e.store(op, this.block, EXIT_ADDRESS, address as Node);
    this.e.store(
      OP.i32Store,
      this.block,
      EXIT_SYNDROME,
      constant('i32', access === 'store' ? this.interrupts.store : 0),
    );
    this.interrupt('alignment');
  }

  if(condition: Expr, then: () => void, otherwise?: () => void): void {
    this.e.if(condition as Node);
    then();
    if (otherwise) {
      this.e.else();
      otherwise();
    }
    this.e.end();
  }

  /** Emits a body for i = 0 … count-1: as often as that where the count is a number, else in a loop. */
  protected loop(count: Operand, body: (i: Operand) => void): void {
    if (typeof count === 'number') {
      for (let i = 0; i < count; i++) body(i);
      return;
    }
    const { e } = this;
    const index = e.temporary('i32');
    const i = local('i32', index);
    const limit = this.let(count);
    e.set(index, constant('i32', 0));
    e.block();
    const done = e.loop() - 1;
    e.brIf(this.geUnsigned(i, limit), done);
    body(i);
    e.set(index, this.add(i, 1));
    e.br(done + 1);
    e.end();
    e.end();
  }

  timebase(): Node {
    this.e.call(this.runtime.time, this.remainingBudget());
    this.e.code.u8(OP.saturatingPrefix);
    this.e.code.u8(7);
    const index = this.e.temporary('i64');
    this.e.setFromStack(index);
    return local('i64', index);
  }
}
