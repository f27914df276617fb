/** Sums of whole vectors as integers of 128 bits. */
import type { Expr, Semantics } from '../semantics.ts';

/** The sum of two vectors and a carry, an i32 that is 0 or 1, and the carry out of it. */
export function quadwordSum(s: Semantics, a: Expr, b: Expr, carry: Expr): { sum: Expr; carry: Expr } {
  const half = (of: Expr, lane: number): Expr => s.let(s.simdLane('i64x2.extract_lane', lane, of));
  const add = (lane: number, carryIn: Expr): { sum: Expr; carry: Expr } => {
    const [x, y] = [half(a, lane), half(b, lane)];
    const both = s.let(s.add(x, y));
    const sum = s.let(s.add(both, s.extendUnsigned(carryIn)));
    return { sum, carry: s.let(s.or(s.ltUnsigned(both, x), s.ltUnsigned(sum, both))) };
  };
  const right = add(0, carry);
  const left = add(1, right.carry);
  const sum = s.simdLane('i64x2.replace_lane', 1, s.simd('i64x2.splat', right.sum), left.sum);
  return { sum, carry: left.carry };
}
