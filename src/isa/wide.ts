/** Products and quotients beyond 64 bits. */
import type { Expr, Semantics } from './semantics.ts';

const LOW32 = 0xffffffff;

const low = (s: Semantics, a: Expr): Expr => s.and(a, s.i64(LOW32));
const high = (s: Semantics, a: Expr): Expr => s.shrUnsigned(a, 32);

/** The high doubleword of an unsigned product of two pinned doublewords, out of four products of words. */
export function highProduct(s: Semantics, a: Expr, b: Expr): Expr {
  const [al, ah, bl, bh] = [low(s, a), high(s, a), low(s, b), high(s, b)].map((part) => s.let(part)) as [
    Expr,
    Expr,
    Expr,
    Expr,
  ];
  const middle = s.let(s.add(s.mul(ah, bl), high(s, s.mul(al, bl))));
  const rest = s.add(s.mul(al, bh), low(s, middle));
  return s.add(s.add(s.mul(ah, bh), high(s, middle)), high(s, rest));
}

/** One 32-bit digit of `remainder` · 2^32 ÷ divisor, which has its highest bit set, and what remains. */
function quotientDigit(s: Semantics, remainder: Expr, divisor: Expr): [digit: Expr, remainder: Expr] {
  const [upper, lower] = [s.let(high(s, divisor)), s.let(low(s, divisor))];
  const estimate = s.let(s.divUnsigned(remainder, upper));
  let digit = s.let(s.select(s.gtUnsigned(estimate, s.i64(LOW32)), s.i64(LOW32), estimate));
  let rest = s.let(s.sub(remainder, s.mul(digit, upper)));
  // The estimate is at most two too large.
  for (let i = 0; i < 2; i++) {
    const tooLarge = s.and(s.eqz(high(s, rest)), s.gtUnsigned(s.mul(digit, lower), s.shl(rest, 32)));
    const excess = s.let(s.extendUnsigned(tooLarge));
    digit = s.let(s.sub(digit, excess));
    rest = s.let(s.add(rest, s.and(s.neg(excess), upper)));
  }
  return [digit, s.let(s.sub(s.shl(remainder, 32), s.mul(digit, divisor)))];
}

/** a · 2^64 ÷ b, both pinned and unsigned, a < b. */
export function extendedQuotient(s: Semantics, a: Expr, b: Expr): Expr {
  const shift = s.let(s.clz(b));
  const divisor = s.let(s.shl(b, shift));
  const [first, rest] = quotientDigit(s, s.let(s.shl(a, shift)), divisor);
  const [second] = quotientDigit(s, rest, divisor);
  return s.or(s.shl(first, 32), second);
}
