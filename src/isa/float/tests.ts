/** Whether a division or a root may be done by the usual sequence of estimates: Power ISA 2.07 Book I, 4.6.6.1. */
import type { Expr, Semantics } from '../semantics.ts';
import { INFINITY, isInfinite, isNegative, isZero, magnitudeOf } from './number.ts';

/** A format's exponents, and its least normal number as a double. */
export interface Limits {
  readonly greatest: number;
  readonly fractionBits: number;
  readonly leastNormal: bigint;
}
export const DOUBLE_LIMITS: Limits = { greatest: 1023, fractionBits: 52, leastNormal: 0x0010_0000_0000_0000n };
export const SINGLE_LIMITS: Limits = { greatest: 127, fractionBits: 23, leastNormal: 0x3810_0000_0000_0000n };

const exponentOf = (s: Semantics, bits: Expr): Expr =>
  s.let(s.sub(s.and(s.wrap(s.shrUnsigned(bits, 52)), 0x7ff), 1023));
const isDenormal = (s: Semantics, bits: Expr, { leastNormal }: Limits): Expr =>
  s.and(s.ltUnsigned(magnitudeOf(s, bits), s.i64(leastNormal)), s.eqz(isZero(s, bits)));
const isNotFinite = (s: Semantics, bits: Expr): Expr => s.geUnsigned(magnitudeOf(s, bits), s.i64(INFINITY));
const testResult = (s: Semantics, special: Expr, unsafe: Expr): Expr =>
  s.or(8, s.or(s.select(special, 4, 0), s.select(unsafe, 2, 0)));

/** The CR field of a ÷ b, both pinned. */
export function divideTest(s: Semantics, a: Expr, b: Expr, limits: Limits): Expr {
  const { greatest, fractionBits } = limits;
  const least = 1 - greatest;
  const [ea, eb] = [exponentOf(s, a), exponentOf(s, b)];
  const special = s.or(s.or(isInfinite(s, a), s.or(isInfinite(s, b), isZero(s, b))), isDenormal(s, b, limits));
  const distance = s.let(s.sub(ea, eb));
  const far = s.or(s.geSigned(distance, greatest), s.leSigned(distance, least + 1));
  const outside = s.or(isZero(s, b), s.or(s.leSigned(eb, least), s.geSigned(eb, greatest - 2)));
  const unsafe = s.or(
    s.or(s.or(isNotFinite(s, a), isNotFinite(s, b)), outside),
    s.and(s.eqz(isZero(s, a)), s.or(far, s.leSigned(ea, least + fractionBits))),
  );
  return testResult(s, special, unsafe);
}

/** The CR field of √b, pinned. */
export function rootTest(s: Semantics, b: Expr, limits: Limits): Expr {
  const least = 1 - limits.greatest;
  const special = s.or(s.or(isInfinite(s, b), isZero(s, b)), isDenormal(s, b, limits));
  const small = s.leSigned(exponentOf(s, b), least + limits.fractionBits);
  const unsafe = s.or(s.or(isNotFinite(s, b), isZero(s, b)), s.or(isNegative(s, b), small));
  return testResult(s, special, unsafe);
}
