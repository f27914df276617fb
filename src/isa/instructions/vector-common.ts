/** What vector instructions have in common. */
import { define, type InstructionRow, type Level, type Traits } from '../define.ts';
import type { Expr, Meaning, Operand, Operands, Semantics } from '../semantics.ts';
import type { SimdOp } from '../simd.ts';
import { everyLane } from '../vector/lanes.ts';

/** A meaning that wants MSR[VEC]=1. */
export function vectorMeaning(meaning: Meaning): Meaning {
  return (s, f) => {
    s.if(s.eqz(s.state('vectorAvailable')), () => s.interrupt('vectorUnavailable'));
    meaning(s, f);
  };
}

/** A meaning that wants MSR[VSX]=1. */
export function vsxMeaning(meaning: Meaning): Meaning {
  return (s, f) => {
    s.if(s.eqz(s.state('vsxAvailable')), () => s.interrupt('vsxUnavailable'));
    meaning(s, f);
  };
}

/** The vector-scalar register that a vector register is. */
const vsrOf = (s: Semantics, register: Operand): Operand =>
  typeof register === 'number' ? register + 32 : s.add(register, 32);

/** A vector register's value. */
export function vr(s: Semantics, register: Operand): Expr {
  return s.vsr(vsrOf(s, register));
}

export function setVr(s: Semantics, register: Operand, value: Expr): void {
  s.setVsr(vsrOf(s, register), value);
}

/** Sets VSCR[SAT] where a condition, 0 or 1, is 1. */
export function saturated(s: Semantics, condition: Expr): void {
  s.setState('vscr', s.or(s.state('vscr'), condition));
}

/** Sets VSCR[SAT] where a result is not what it would be without a bound. */
export function saturatedUnless(s: Semantics, result: Expr, unbounded: Expr): void {
  saturated(s, s.simd('v128.any_true', s.simd('v128.xor', result, unbounded)));
}

/** Signed doublewords, each bounded to a range. */
export function bounded(s: Semantics, value: Expr, least: bigint, largest: bigint): Expr {
  const [low, high] = [everyLane(s, 64, least), everyLane(s, 64, largest)];
  const notMore = s.let(s.simd('v128.bitselect', high, value, s.simd('i64x2.gt_s', value, high)));
  return s.let(s.simd('v128.bitselect', low, notMore, s.simd('i64x2.lt_s', notMore, low)));
}

export type Binary = (s: Semantics, a: Expr, b: Expr, f: Operands) => Expr;
export type Ternary = (s: Semantics, a: Expr, b: Expr, c: Expr) => Expr;

/** VRT ← VRA op VRB. */
export function vx(mnemonic: string, opcode: number, operate: Binary, level: Level = 'vector'): InstructionRow {
  return vectorRow(
    mnemonic,
    `4 VRT VRA VRB ${opcode}:11`,
    'VRT,VRA,VRB',
    (s, f) => setVr(s, f.VRT, operate(s, s.let(vr(s, f.VRA)), s.let(vr(s, f.VRB)), f)),
    { level },
  );
}

/** VRT ← VRA op VRB, where it is one of WebAssembly's. */
export function vxSimd(mnemonic: string, opcode: number, op: SimdOp, level: Level = 'vector'): InstructionRow {
  return vectorRow(
    mnemonic,
    `4 VRT VRA VRB ${opcode}:11`,
    'VRT,VRA,VRB',
    (s, f) => setVr(s, f.VRT, s.simd(op, vr(s, f.VRA), vr(s, f.VRB))),
    { level },
  );
}

/** VRT ← op VRB. */
export function vxUnary(
  mnemonic: string,
  opcode: number,
  operate: (s: Semantics, b: Expr) => Expr,
  level: Level = 'vector',
): InstructionRow {
  return vectorRow(
    mnemonic,
    `4 VRT /:5 VRB ${opcode}:11`,
    'VRT,VRB',
    (s, f) => setVr(s, f.VRT, operate(s, s.let(vr(s, f.VRB)))),
    { level },
  );
}

/** VRT ← an operation of three vectors, in the order A, B, C. */
export function va(
  mnemonic: string,
  opcode: number,
  operate: Ternary,
  syntax = 'VRT,VRA,VRB,VRC',
  level: Level = 'vector',
): InstructionRow {
  return vectorRow(
    mnemonic,
    `4 VRT VRA VRB VRC ${opcode}:6`,
    syntax,
    (s, f) => setVr(s, f.VRT, operate(s, s.let(vr(s, f.VRA)), s.let(vr(s, f.VRB)), s.let(vr(s, f.VRC)))),
    { level },
  );
}

/** A row whose meaning wants MSR[VEC]=1. */
export function vectorRow(
  mnemonic: string,
  encoding: string,
  syntax: string,
  meaning: Meaning,
  traits: Traits = {},
): InstructionRow {
  return define(mnemonic, encoding, syntax, vectorMeaning(meaning), { level: 'vector', ...traits });
}
