/** Signed decimal numbers of thirty-one digits and a sign (Power ISA 2.07 Book I, 6.15). */
import type { Expr, Semantics } from '../semantics.ts';

/** CR6 after an operation. */
const CR = { LESS: 8, GREATER: 4, EQUAL: 2, OVERFLOW: 1 } as const;
/** One digit in each of sixteen places. */
const SIXES = 0x6666_6666_6666_6666n;
const NINES = 0x9999_9999_9999_9999n;
const ONES = 0x1111_1111_1111_1111n;
const EIGHTS = 0x8888_8888_8888_8888n;

/**
 * The sum of sixteen digits each, and a carry. Six more in each digit make it carry at ten; where it did not, they are
 * taken back.
 */
function addDigits(s: Semantics, a: Expr, b: Expr, carry: Expr): { sum: Expr; carry: Expr } {
  const raised = s.let(s.add(a, s.i64(SIXES)));
  const both = s.let(s.add(raised, b));
  const sum = s.let(s.add(both, s.extendUnsigned(carry)));
  const carryOut = s.let(s.or(s.ltUnsigned(both, raised), s.ltUnsigned(sum, both)));
  // A bit that is not the sum of the operands' bits has got a carry from the digit to its right.
  const carriesIn = s.xor(s.xor(raised, b), sum);
  const carried = s.or(s.shrUnsigned(s.and(carriesIn, s.i64(ONES)), 4), s.shl(s.extendUnsigned(carryOut), 60));
  const without = s.let(s.and(s.not(carried), s.i64(ONES)));
  return { sum: s.let(s.sub(sum, s.mul(without, s.i64(6)))), carry: carryOut };
}

/** Whether some of sixteen digits is more than nine: its highest bit and one of the next two are set. */
function hasBadDigit(s: Semantics, digits: Expr): Expr {
  const more = s.or(s.shl(digits, 1), s.shl(digits, 2));
  return s.and(s.and(digits, more), s.i64(EIGHTS));
}

/** A number's magnitude, as fifteen digits and sixteen, its sign, and not zero where it is no number. */
interface Decimal {
  readonly high: Expr;
  readonly low: Expr;
  readonly isNegative: Expr;
  readonly isInvalid: Expr;
}

function decimalOf(s: Semantics, vector: Expr): Decimal {
  const left = s.let(s.simdLane('i64x2.extract_lane', 1, vector));
  const right = s.let(s.simdLane('i64x2.extract_lane', 0, vector));
  const sign = s.let(s.and(s.wrap(right), 15));
  const badDigits = s.or(hasBadDigit(s, left), hasBadDigit(s, s.let(s.and(right, s.i64(-16)))));
  return {
    high: s.let(s.shrUnsigned(left, 4)),
    low: s.let(s.or(s.shl(left, 60), s.shrUnsigned(right, 4))),
    // Ten and above are signs; of them eleven and thirteen are minus.
    isNegative: s.let(s.or(s.eq(sign, 0xb), s.eq(sign, 0xd))),
    isInvalid: s.let(s.or(s.ltUnsigned(sign, 10), s.eqz(s.eqz(badDigits)))),
  };
}

/**
 * a + b or a - b, and what CR6 says of it. Where an operand is no number, the result is undefined: ones.
 * @param plus the sign of results that are not negative.
 */
export function decimalSum(
  s: Semantics,
  vectorA: Expr,
  vectorB: Expr,
  subtract: boolean,
  plus: 0xc | 0xf,
): { result: Expr; cr: Expr } {
  const [a, b] = [decimalOf(s, vectorA), decimalOf(s, vectorB)];
  const negativeB = subtract ? s.let(s.eqz(b.isNegative)) : b.isNegative;
  const differ = s.let(s.ne(a.isNegative, negativeB));
  const isLess = s.or(s.ltUnsigned(a.high, b.high), s.and(s.eq(a.high, b.high), s.ltUnsigned(a.low, b.low)));
  // Where the signs differ, the smaller magnitude is taken from the larger one: its complement to nines and one are added.
  const exchange = s.let(s.and(differ, isLess));
  const pick = (first: Expr, second: Expr): Expr => s.let(s.select(exchange, second, first));
  const complemented = (digits: Expr): Expr => s.let(s.select(differ, s.sub(s.i64(NINES), digits), digits));
  const low = addDigits(s, pick(a.low, b.low), complemented(pick(b.low, a.low)), differ);
  const high = addDigits(s, pick(a.high, b.high), complemented(pick(b.high, a.high)), low.carry);

  const isZero = s.let(s.eqz(s.or(high.sum, low.sum)));
  const isNegative = s.let(s.and(s.select(exchange, negativeB, a.isNegative), s.eqz(isZero)));
  const overflow = s.and(s.eqz(differ), s.eqz(s.eqz(s.shrUnsigned(high.sum, 60))));
  const relation = s.select(isZero, CR.EQUAL, s.select(isNegative, CR.LESS, CR.GREATER));
  const sign = s.extendUnsigned(s.select(isNegative, 0xd, plus));
  const left = s.or(s.shl(high.sum, 4), s.shrUnsigned(low.sum, 60));
  const right = s.or(s.shl(low.sum, 4), sign);
  const isInvalid = s.let(s.or(a.isInvalid, b.isInvalid));
  const undefinedBits = s.let(s.neg(s.extendUnsigned(isInvalid)));
  const result = s.simdLane(
    'i64x2.replace_lane',
    1,
    s.simd('i64x2.splat', s.or(right, undefinedBits)),
    s.or(left, undefinedBits),
  );
  return { result, cr: s.select(isInvalid, CR.OVERFLOW, s.or(relation, overflow)) };
}
