/** Single precision of vector registers, which rounds to nearest and knows no FPSCR: Power ISA 2.07 Book I, 6.6. */
import type { Expr, Semantics } from '../semantics.ts';
import type { SimdOp } from '../simd.ts';
import { everyLane } from './lanes.ts';

const SIGN = 0x8000_0000;
const MAGNITUDE = 0x7fff_ffff;
const QUIET = 0x0040_0000;
const DEFAULT_NAN = 0x7fc0_0000;
const LEAST_NORMAL = 0x0080_0000;
const NJ = 0x1_0000;

export const words = (s: Semantics, value: number): Expr => everyLane(s, 32, value);

const view = new DataView(new ArrayBuffer(8));
/** A number in all lanes. */
export function singles(s: Semantics, value: number): Expr {
  view.setFloat32(0, value);
  return words(s, view.getUint32(0));
}
function doubles(s: Semantics, value: number): Expr {
  view.setFloat64(0, value);
  return everyLane(s, 64, view.getBigUint64(0));
}

/** All ones when VSCR[NJ]=1: denormal numbers count as zeros. */
export function flushing(s: Semantics): Expr {
  const nj = s.ne(s.and(s.state('vscr'), NJ), 0);
  return s.let(s.simd('i32x4.splat', s.neg(nj)));
}

/** Pinned singles with denormal ones made zeros of their sign, as `mode` says. */
export function flushed(s: Semantics, value: Expr, mode: Expr): Expr {
  const magnitude = s.simd('v128.and', value, words(s, MAGNITUDE));
  const small = s.simd('i32x4.lt_u', magnitude, words(s, LEAST_NORMAL));
  const gone = s.simd('v128.and', s.simd('v128.and', small, mode), words(s, MAGNITUDE));
  return s.let(s.simd('v128.andnot', value, gone));
}

/** Where pinned singles are no numbers. */
const isNotNumber = (s: Semantics, value: Expr): Expr => s.simd('f32x4.ne', value, value);

/** A pinned result, with the first of the operands that is a NaN, made quiet, in its place; or the default NaN. */
export function withNaNs(s: Semantics, result: Expr, ...operands: Expr[]): Expr {
  const made = s.let(s.simd('v128.bitselect', words(s, DEFAULT_NAN), result, isNotNumber(s, result)));
  return operands.reduceRight<Expr>(
    (rest, operand) =>
      s.let(s.simd('v128.bitselect', s.simd('v128.or', operand, words(s, QUIET)), rest, isNotNumber(s, operand))),
    made,
  );
}

/** a op b, of pinned singles. */
export function arithmetic(s: Semantics, op: SimdOp, a: Expr, b: Expr): Expr {
  const mode = flushing(s);
  const result = s.let(s.simd(op, flushed(s, a, mode), flushed(s, b, mode)));
  return withNaNs(s, flushed(s, result, mode), a, b);
}

/** op b, of pinned singles. */
export function unary(s: Semantics, b: Expr, operate: (b: Expr) => Expr): Expr {
  const mode = flushing(s);
  const result = s.let(operate(flushed(s, b, mode)));
  return withNaNs(s, flushed(s, result, mode), b);
}

/** The low or the high two of pinned singles as doubles. */
function promoted(s: Semantics, value: Expr, high: boolean): Expr {
  const HIGH = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];
  return s.let(s.simd('f64x2.promote_low_f32x4', high ? s.shuffle(value, value, HIGH) : value));
}

/**
 * a · c + b of two lanes, rounded once: the product is exact as a double, the sum is rounded to odd (its last bit is set
 * where something is lost), so that the second rounding has all that it needs.
 */
function fusedHalf(s: Semantics, a: Expr, c: Expr, b: Expr, mode: Expr): Expr {
  const product = s.let(s.simd('f64x2.mul', a, c));
  const sum = s.let(s.simd('f64x2.add', product, b));
  const part = s.let(s.simd('f64x2.sub', sum, product));
  const lost = s.let(
    s.simd('f64x2.add', s.simd('f64x2.sub', product, s.simd('f64x2.sub', sum, part)), s.simd('f64x2.sub', b, part)),
  );
  const zero = s.v128(0n);
  const [one, two] = [everyLane(s, 64, 1), everyLane(s, 64, 2)];
  const inexact = s.simd('v128.or', s.simd('f64x2.lt', lost, zero), s.simd('f64x2.gt', lost, zero));
  const even = s.simd('i64x2.eq', s.simd('v128.and', sum, one), zero);
  const outward = s.simd('i64x2.ge_s', s.simd('v128.xor', lost, sum), zero);
  const step = s.simd('i64x2.sub', s.simd('v128.and', outward, two), one);
  const odd = s.let(s.simd('i64x2.add', sum, s.simd('v128.and', step, s.simd('v128.and', inexact, even))));
  // What is too small before it is rounded is flushed.
  const small = s.simd('f64x2.lt', s.simd('f64x2.abs', odd), doubles(s, 2 ** -126));
  const gone = s.simd('v128.andnot', s.simd('v128.and', small, mode), everyLane(s, 64, 1n << 63n));
  return s.let(s.simd('f32x4.demote_f64x2_zero', s.simd('v128.andnot', odd, gone)));
}

/** a · c + b, of pinned singles; `subtracts`: −(a · c − b). */
export function fused(s: Semantics, a: Expr, b: Expr, c: Expr, subtracts: boolean): Expr {
  const mode = flushing(s);
  const sign = words(s, SIGN);
  const [x, z, addend] = [flushed(s, a, mode), flushed(s, c, mode), flushed(s, b, mode)];
  const y = subtracts ? s.let(s.simd('v128.xor', addend, sign)) : addend;
  const [low, high] = [false, true].map((upper) =>
    fusedHalf(s, promoted(s, x, upper), promoted(s, z, upper), promoted(s, y, upper), mode),
  ) as [Expr, Expr];
  const joined = s.shuffle(low, high, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
  const result = s.let(subtracts ? s.simd('v128.xor', joined, sign) : joined);
  return withNaNs(s, result, a, b, c);
}

/** A polynomial's value by Horner's rule, the coefficient of the highest power first. */
function polynomial(s: Semantics, x: Expr, coefficients: readonly number[]): Expr {
  const [first, ...rest] = coefficients;
  return rest.reduce<Expr>(
    (value, coefficient) => s.let(s.simd('f32x4.add', s.simd('f32x4.mul', value, x), singles(s, coefficient))),
    singles(s, first as number),
  );
}

/** 2^n of pinned whole numbers from -126 to 127. */
const powerOfTwo = (s: Semantics, n: Expr): Expr => s.simd('i32x4.shl', s.simd('i32x4.add', n, words(s, 127)), 23);

/** An estimate of 2^x; of whole numbers it is exact. */
export function exponential(s: Semantics, x: Expr): Expr {
  const FAR = 250;
  const bounded = s.let(s.simd('f32x4.min', s.simd('f32x4.max', x, singles(s, -FAR)), singles(s, FAR)));
  const whole = s.let(s.simd('f32x4.nearest', bounded));
  const fraction = s.let(s.simd('f32x4.sub', bounded, whole));
  const power = polynomial(s, fraction, [0.00015403, 0.00133336, 0.00961813, 0.05550411, 0.24022651, Math.LN2, 1]);
  const n = s.let(s.simd('i32x4.trunc_sat_f32x4_s', whole));
  const half = s.let(s.simd('i32x4.shr_s', n, 1));
  const scaled = s.simd('f32x4.mul', power, powerOfTwo(s, half));
  return s.simd('f32x4.mul', scaled, powerOfTwo(s, s.simd('i32x4.sub', n, half)));
}

/** An estimate of the logarithm to base 2; of powers of two it is exact. */
export function logarithm(s: Semantics, x: Expr): Expr {
  const SCALE = 24;
  const small = s.let(s.simd('f32x4.lt', x, singles(s, 2 ** -126)));
  const value = s.let(s.simd('v128.bitselect', s.simd('f32x4.mul', x, singles(s, 2 ** SCALE)), x, small));
  // From the root of a half to that of two.
  const ROOT_OF_HALF = 0x3f35_04f3;
  const steps = s.simd('i32x4.shr_s', s.simd('i32x4.sub', value, words(s, ROOT_OF_HALF)), 23);
  const exponent = s.let(steps);
  const mantissa = s.let(s.simd('i32x4.sub', value, s.simd('i32x4.shl', exponent, 23)));
  const one = singles(s, 1);
  const y = s.let(s.simd('f32x4.div', s.simd('f32x4.sub', mantissa, one), s.simd('f32x4.add', mantissa, one)));
  const square = s.let(s.simd('f32x4.mul', y, y));
  const series = polynomial(s, square, [0.41219858, 0.57707802, 0.96179669, 2.88539008]);
  const scaled = s.simd('i32x4.sub', exponent, s.simd('v128.and', small, words(s, SCALE)));
  const finite = s.simd('f32x4.add', s.simd('f32x4.convert_i32x4_s', scaled), s.simd('f32x4.mul', series, y));
  const zero = s.v128(0n);
  const infinite = s.simd('f32x4.eq', x, singles(s, Number.POSITIVE_INFINITY));
  const ofPositive = s.simd('v128.bitselect', x, finite, infinite);
  const ofZero = s.simd(
    'v128.bitselect',
    singles(s, Number.NEGATIVE_INFINITY),
    ofPositive,
    s.simd('f32x4.eq', x, zero),
  );
  return s.simd('v128.bitselect', words(s, DEFAULT_NAN), s.let(ofZero), s.simd('f32x4.lt', x, zero));
}
