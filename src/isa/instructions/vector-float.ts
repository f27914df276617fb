/** Vector floating point: Power ISA 2.07 Book I, 6.10. */
import type { InstructionRow } from '../define.ts';
import type { Expr, Meaning, Operand, Semantics } from '../semantics.ts';
import type { SimdOp } from '../simd.ts';
import {
  arithmetic,
  exponential,
  flushed,
  flushing,
  fused,
  logarithm,
  singles,
  unary,
  words,
} from '../vector/float.ts';
import { saturated, setVr, va, vectorRow, vr, vx, vxUnary } from './vector-common.ts';
import { recordCr6 } from './vector-logic.ts';

const binary = (mnemonic: string, opcode: number, op: SimdOp): InstructionRow =>
  vx(mnemonic, opcode, (s, a, b) => arithmetic(s, op, a, b));
const one = (mnemonic: string, opcode: number, operate: (s: Semantics, b: Expr) => Expr): InstructionRow =>
  vxUnary(mnemonic, opcode, (s, b) => unary(s, b, (value) => operate(s, value)));
const simple = (mnemonic: string, opcode: number, op: SimdOp): InstructionRow =>
  one(mnemonic, opcode, (s, b) => s.simd(op, b));

/** A comparison, which writes masks; `record` sets CR field 6 with Rc=1. */
function comparison(
  mnemonic: string,
  extended: number,
  compare: (s: Semantics, a: Expr, b: Expr) => Expr,
  record: (s: Semantics, result: Expr) => void,
): InstructionRow {
  const meaning: Meaning = (s, f) => {
    const mode = flushing(s);
    const [a, b] = [f.VRA, f.VRB].map((register) => flushed(s, s.let(vr(s, register)), mode)) as [Expr, Expr];
    const result = s.let(compare(s, a, b));
    setVr(s, f.VRT, result);
    if (f.VECTOR_RC) record(s, result);
  };
  return vectorRow(mnemonic, `4 VRT VRA VRB VECTOR_RC ${extended}:10`, 'VRT,VRA,VRB', meaning);
}

const relation = (mnemonic: string, extended: number, op: SimdOp): InstructionRow =>
  comparison(mnemonic, extended, (s, a, b) => s.simd(op, a, b), recordCr6);

/** Bit 0 where a is not at most b, bit 1 where it is not at least −b. */
function bounds(s: Semantics, a: Expr, b: Expr): Expr {
  const [HIGH, LOW] = [0x8000_0000, 0x4000_0000];
  const above = s.simd('v128.andnot', words(s, HIGH), s.simd('f32x4.le', a, b));
  const below = s.simd('v128.andnot', words(s, LOW), s.simd('f32x4.ge', a, s.simd('f32x4.neg', b)));
  return s.simd('v128.or', above, below);
}

/** 2^n in all lanes. */
const scale = (s: Semantics, n: Operand): Expr => s.simd('i32x4.splat', s.shl(s.add(s.i32(n), 127), 23));

/** To integers, toward zero, of numbers times 2^UIM: those from `below` on and less than `above` have one. */
function toInteger(mnemonic: string, opcode: number, op: SimdOp, above: number, below: number): InstructionRow {
  return vectorRow(mnemonic, `4 VRT UIM5 VRB ${opcode}:11`, 'VRT,VRB,UIM5', (s, f) => {
    const value = s.let(s.simd('f32x4.mul', vr(s, f.VRB), scale(s, f.UIM5)));
    const high = s.simd('f32x4.ge', value, singles(s, above));
    const low = s.simd(below === -1 ? 'f32x4.le' : 'f32x4.lt', value, singles(s, below));
    saturated(s, s.simd('v128.any_true', s.simd('v128.or', high, low)));
    setVr(s, f.VRT, s.simd(op, value));
  });
}
const fromInteger = (mnemonic: string, opcode: number, op: SimdOp): InstructionRow =>
  vectorRow(mnemonic, `4 VRT UIM5 VRB ${opcode}:11`, 'VRT,VRB,UIM5', (s, f) =>
    setVr(s, f.VRT, s.simd('f32x4.mul', s.simd(op, vr(s, f.VRB)), scale(s, s.sub(0, s.i32(f.UIM5))))),
  );

export const VECTOR_FLOAT_INSTRUCTIONS: readonly InstructionRow[] = [
  binary('vaddfp', 10, 'f32x4.add'),
  binary('vsubfp', 74, 'f32x4.sub'),
  binary('vmaxfp', 1034, 'f32x4.max'),
  binary('vminfp', 1098, 'f32x4.min'),
  va('vmaddfp', 46, (s, a, b, c) => fused(s, a, b, c, false), 'VRT,VRA,VRC,VRB'),
  va('vnmsubfp', 47, (s, a, b, c) => fused(s, a, b, c, true), 'VRT,VRA,VRC,VRB'),

  relation('vcmpeqfp', 198, 'f32x4.eq'),
  relation('vcmpgefp', 454, 'f32x4.ge'),
  relation('vcmpgtfp', 710, 'f32x4.gt'),
  comparison('vcmpbfp', 966, bounds, (s, result) => s.setCrField(6, s.shl(s.eqz(s.simd('v128.any_true', result)), 1))),

  simple('vrfin', 522, 'f32x4.nearest'),
  simple('vrfiz', 586, 'f32x4.trunc'),
  simple('vrfip', 650, 'f32x4.ceil'),
  simple('vrfim', 714, 'f32x4.floor'),
  toInteger('vctsxs', 970, 'i32x4.trunc_sat_f32x4_s', 2 ** 31, -(2 ** 31)),
  toInteger('vctuxs', 906, 'i32x4.trunc_sat_f32x4_u', 2 ** 32, -1),
  fromInteger('vcfsx', 842, 'f32x4.convert_i32x4_s'),
  fromInteger('vcfux', 778, 'f32x4.convert_i32x4_u'),

  one('vrefp', 266, (s, b) => s.simd('f32x4.div', singles(s, 1), b)),
  one('vrsqrtefp', 330, (s, b) => s.simd('f32x4.div', singles(s, 1), s.simd('f32x4.sqrt', b))),
  one('vexptefp', 394, exponential),
  one('vlogefp', 458, logarithm),
];
