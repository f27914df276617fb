/** Decimal conversions: Power ISA 2.07 Book I, 5.6.6–5.6.7. */
import { FPSCR } from '../float/fpscr.ts';
import type { Expr, Routine, Semantics } from '../semantics.ts';
import { currentMode, invalid, signals } from './arithmetic.ts';
import {
  addLimbs,
  bias,
  Coefficient,
  type Decimal,
  digitsIn,
  ENCODE,
  EXTENDED,
  exponentOf,
  FROM_DECLETS,
  isInfinite,
  isNegative,
  isNotNumber,
  isSpecial,
  isZero,
  LONG,
  leastOf,
  limbsOf,
  mostOf,
  PACK,
  precision,
  SHORT,
  shiftLeft,
  shiftRight,
} from './number.ts';
import { classify, FINISH, note, noteSpecial, roundsUp } from './rounding.ts';

const SPECIAL_BITS = 0xfe00_0000_0000_0000n;
const INFINITE_BITS = 0xf800_0000_0000_0000n;
/** The bits that tell an infinity, or a NaN and its kind, and its sign. */
const specialBits = (s: Semantics, high: Expr): Expr =>
  s.select(isInfinite(s, high), s.i64(INFINITE_BITS), s.i64(SPECIAL_BITS));
const QUIET = ~0x0200_0000_0000_0000n;

/** (a number in short format, in the low word) → the same in long format; signalling NaNs stay. */
export const SHORT_TO_LONG: Routine = {
  name: 'decimalShortToLong',
  params: ['i64'],
  result: 'i64',
  body: (s, word) => {
    const high = s.let(s.shl(word, 32));
    const first = s.let(s.and(s.wrap(s.shrUnsigned(high, 58)), 31));
    const digits = s.invoke(FROM_DECLETS, s.and(word, s.i64(0xf_ffff)));
    const zero = s.i64(0);
    const result = s.cell(zero);
    const long = s.i32(LONG);
    s.if(
      isSpecial(s, high),
      () => {
        const top = s.let(s.and(high, specialBits(s, high)));
        const kept = s.let(s.select(isInfinite(s, high), zero, digits));
        const packed = s.invoke(ENCODE, top, kept, zero, zero, long);
        noteSpecial(s, packed, s.i32(0));
        result.set(packed);
      },
      () => {
        const small = s.ltUnsigned(first, 24);
        const upper = s.select(small, s.shrUnsigned(first, 3), s.and(s.shrUnsigned(first, 1), 3));
        const leftmost = s.select(small, s.and(first, 7), s.or(8, s.and(first, 1)));
        const limb = s.let(s.or(digits, s.shl(s.extendUnsigned(leftmost), 24)));
        const SHORT_TO_LONG_BIAS = 398 - 101;
        const biased = s.or(s.shl(upper, 6), s.and(s.wrap(s.shrUnsigned(word, 20)), 63));
        const exponent = s.let(s.add(biased, SHORT_TO_LONG_BIAS));
        const packed = s.invoke(PACK, isNegative(s, high), exponent, limb, zero, zero, long);
        classify(s, packed, [limb], exponent, long);
        result.set(packed);
      },
    );
    return result.get();
  },
};

/** (long) → extended. */
export const LONG_TO_EXTENDED: Routine = {
  name: 'decimalLongToExtended',
  params: ['i64'],
  result: 'i64',
  body: (s, high) => {
    const number: Decimal = { high, low: s.i64(0) };
    const [least, leftmost] = limbsOf(s, number, s.i32(LONG));
    const result = s.cell(s.i64(0));
    const extended = s.i32(EXTENDED);
    s.if(
      isSpecial(s, high),
      () => {
        const top = s.let(s.and(high, s.i64(SPECIAL_BITS & QUIET)));
        const kept = s.let(s.select(isInfinite(s, high), s.i64(0), least));
        const packed = s.invoke(ENCODE, top, kept, s.i64(0), s.i64(0), extended);
        noteSpecial(s, packed, signals(s, number));
        result.set(packed);
      },
      () => {
        const LONG_TO_EXTENDED_BIAS = 6176 - 398;
        const exponent = s.let(s.add(exponentOf(s, high, s.i32(LONG)), LONG_TO_EXTENDED_BIAS));
        const packed = s.invoke(PACK, isNegative(s, high), exponent, least, leftmost, s.i64(0), extended);
        classify(s, packed, [least, leftmost], exponent, extended);
        result.set(packed);
      },
    );
    return result.get();
  },
};

/** A finite number rounded to a smaller format. */
function rounded(s: Semantics, number: Decimal, from: Expr, to: number): Expr {
  const target = s.i32(to);
  const exponent = s.let(s.add(s.sub(exponentOf(s, number.high, from), bias(s, from)), bias(s, target)));
  const [a, b, c] = limbsOf(s, number, from);
  const zero = s.i64(0);
  const negative = s.let(isNegative(s, number.high));
  return s.invoke(FINISH, negative, exponent, a, b, c, zero, zero, zero, exponent, currentMode(s), target);
}

/** (long) → short, in the low word; signalling NaNs stay. */
export const ROUND_TO_SHORT: Routine = {
  name: 'decimalRoundToShort',
  params: ['i64'],
  result: 'i64',
  body: (s, high) => {
    const number: Decimal = { high, low: s.i64(0) };
    const result = s.cell(s.i64(0));
    s.if(
      isSpecial(s, high),
      () => {
        const [least] = limbsOf(s, number, s.i32(LONG));
        const kept = s.select(isNotNumber(s, high), s.and(least, s.i64(0xff_ffff)), s.i64(0));
        const word = s.invoke(ENCODE, s.i64(0), s.let(kept), s.i64(0), s.i64(0), s.i32(LONG));
        const top = s.shrUnsigned(s.and(high, specialBits(s, high)), 32);
        noteSpecial(s, high, s.i32(0));
        result.set(s.or(top, word));
      },
      () => {
        const packed = rounded(s, number, s.i32(LONG), SHORT);
        result.set(s.select(isInfinite(s, packed), s.shrUnsigned(packed, 32), packed));
      },
    );
    return result.get();
  },
};

/** (extended) → long. */
export const ROUND_TO_LONG: Routine = {
  name: 'decimalRoundToLong',
  params: ['i64', 'i64'],
  result: 'i64',
  body: (s, high, low) => {
    const number: Decimal = { high, low };
    const result = s.cell(s.i64(0));
    s.if(
      isSpecial(s, high),
      () => {
        const [least] = limbsOf(s, number, s.i32(EXTENDED));
        const kept = s.let(s.select(isNotNumber(s, high), least, s.i64(0)));
        const top = s.let(s.and(high, s.i64(SPECIAL_BITS & QUIET)));
        const packed = s.invoke(ENCODE, top, kept, s.i64(0), s.i64(0), s.i32(LONG));
        noteSpecial(s, packed, signals(s, number));
        result.set(packed);
      },
      () => result.set(rounded(s, number, s.i32(EXTENDED), LONG)),
    );
    return result.get();
  },
};

/** Fifteen digits of a pinned value. */
function digitsOf(s: Semantics, value: Expr): Expr {
  const [rest, digits] = [s.cell(value), s.cell(s.i64(0))];
  for (let i = 0; i < 15; i++) {
    const quotient = s.let(s.divUnsigned(rest.get(), s.i64(10)));
    const digit = s.sub(rest.get(), s.mul(quotient, s.i64(10)));
    digits.set(s.or(digits.get(), s.shl(digit, 4 * i)));
    rest.set(quotient);
  }
  return digits.get();
}

/** (integer, format) → the number. */
export const FROM_FIXED: Routine = {
  name: 'decimalFromFixed',
  params: ['i64', 'i32'],
  result: 'i64',
  body: (s, integer, format) => {
    const negative = s.let(s.ltSigned(integer, s.i64(0)));
    const magnitude = s.let(s.select(negative, s.neg(integer), integer));
    const LIMB = 1_000_000_000_000_000n;
    const upper = s.let(s.divUnsigned(magnitude, s.i64(LIMB)));
    const lower = s.let(s.sub(magnitude, s.mul(upper, s.i64(LIMB))));
    const limbs = [digitsOf(s, lower), digitsOf(s, upper), s.i64(0), s.i64(0), s.i64(0)];
    const exponent = s.let(bias(s, format));
    return s.invoke(FINISH, negative, exponent, ...limbs, s.i64(0), exponent, currentMode(s), format);
  },
};

/** (high, low, format) → an integer, saturated. FPRF is left to the caller. */
export const TO_FIXED: Routine = {
  name: 'decimalToFixed',
  params: ['i64', 'i64', 'i32'],
  result: 'i64',
  body: (s, high, low, format) => {
    const number: Decimal = { high, low };
    const LEAST = 0x8000_0000_0000_0000n;
    const negative = s.let(isNegative(s, high));
    const result = s.cell(s.i64(LEAST));
    const isDone = s.cell(s.i32(0));
    s.if(s.eqz(isSpecial(s, high)), () => {
      const limbs = limbsOf(s, number, format);
      const distance = s.let(s.select(isZero(s, limbs), 0, s.sub(exponentOf(s, high, format), bias(s, format))));
      const coefficient = new Coefficient(s, limbs, 5);
      const lost = { digit: s.cell(s.i64(0)), more: s.cell(s.i64(0)) };
      const ROOM = 40;
      const count = (n: Expr): Expr => mostOf(s, s.i32(0), leastOf(s, s.let(n), s.i32(ROOM)));
      shiftRight(s, coefficient, count(s.sub(0, distance)), ROOM, lost);
      shiftLeft(s, coefficient, count(distance), ROOM);
      const [digit, more] = [lost.digit.get(), lost.more.get()];
      const last = s.let(s.and(coefficient.get()[0] as Expr, s.i64(15)));
      const up = s.let(roundsUp(s, currentMode(s), negative, last, digit, more));
      coefficient.set(addLimbs(s, coefficient.get(), [], s.let(s.extendUnsigned(up))).limbs);
      const whole = coefficient.get();
      const MOST_DIGITS = 19;
      s.if(s.leSigned(digitsIn(s, whole), MOST_DIGITS), () => {
        const magnitude = s.cell(s.i64(0));
        const digits = new Coefficient(s, whole.slice(0, 2));
        s.repeat(s.i32(30), 30, () => {
          magnitude.set(s.add(s.mul(magnitude.get(), s.i64(10)), digits.highestDigit()));
          digits.appendDigit(s.i64(0));
        });
        const value = magnitude.get();
        s.if(s.leUnsigned(value, s.select(negative, s.i64(LEAST), s.i64(LEAST - 1n))), () => {
          const inexact = s.ne(s.or(digit, more), s.i64(0));
          const { XX, FI, FR } = FPSCR;
          note(s, s.or(s.select(inexact, XX | FI, 0), s.select(up, FR, 0)));
          result.set(s.select(negative, s.neg(value), value));
          isDone.set(s.i32(1));
        });
      });
    });
    s.if(s.eqz(isDone.get()), () => {
      note(s, s.or(FPSCR.VXCVI, signals(s, number)));
      const low63 = s.or(negative, isNotNumber(s, high));
      result.set(s.select(low63, s.i64(LEAST), s.i64(LEAST - 1n)));
    });
    return result.get();
  },
};

/** (high, low, SP, format) → the digits as BCD: unsigned, or with a sign behind them. */
export const TO_BCD: Routine = {
  name: 'decimalToBcd',
  params: ['i64', 'i64', 'i32', 'i32'],
  result: 'i64',
  body: (s, high, low, kind, format) => {
    const [a, b, c] = limbsOf(s, { high, low }, format);
    const signed = s.let(s.and(kind, 2));
    const [PLUS, OTHER_PLUS, MINUS] = [12, 15, 13];
    const plus = s.select(s.and(kind, 1), OTHER_PLUS, s.i32(PLUS));
    const sign = s.extendUnsigned(s.select(isNegative(s, high), MINUS, plus));
    const lower = s.let(s.select(signed, s.or(s.shl(a, 4), sign), s.or(a, s.shl(b, 60))));
    const upper = s.select(signed, s.or(b, s.shl(c, 60)), s.or(s.shrUnsigned(b, 4), s.shl(c, 56)));
    s.setWideState('decimalLow', lower);
    return s.select(format, upper, lower);
  },
};

/** (high, low, whether there is a sign, format) → the number that BCD stands for. */
export const FROM_BCD: Routine = {
  name: 'decimalFromBcd',
  params: ['i64', 'i64', 'i32', 'i32'],
  result: 'i64',
  body: (s, first, second, signed, format) => {
    const [upper, lower] = [s.let(s.select(format, first, s.i64(0))), s.let(s.select(format, second, first))];
    const LIMB = (1n << 60n) - 1n;
    const code = s.let(s.and(s.wrap(lower), 15));
    const negative = s.let(s.and(s.ne(signed, 0), s.or(s.eq(code, 11), s.eq(code, 13))));
    const digits = s.let(s.select(signed, s.and(lower, s.i64(~15n)), lower));
    const beyondNine = (x: Expr): Expr =>
      s.and(s.and(s.shrUnsigned(x, 3), s.or(s.shrUnsigned(x, 2), s.shrUnsigned(x, 1))), s.i64(0x1111_1111_1111_1111n));
    const badSign = s.and(s.ne(signed, 0), s.ltUnsigned(code, 10));
    const bad = s.or(s.ne(s.or(beyondNine(digits), beyondNine(upper)), s.i64(0)), badSign);
    const result = s.cell(s.i64(0));
    s.if(
      bad,
      () => result.set(invalid(s, FPSCR.VXCVI)),
      () => {
        const a = s.select(signed, s.shrUnsigned(digits, 4), s.and(digits, s.i64(LIMB)));
        const b = s.and(s.select(signed, upper, s.or(s.shl(upper, 4), s.shrUnsigned(digits, 60))), s.i64(LIMB));
        const c = s.shrUnsigned(upper, s.select(signed, s.i64(60), s.i64(56)));
        const limbs = [a, b, c].map((limb) => s.let(limb)) as [Expr, Expr, Expr];
        const exponent = s.let(bias(s, format));
        const packed = s.invoke(PACK, negative, exponent, ...limbs, format);
        classify(s, packed, limbs, exponent, format);
        result.set(packed);
      },
    );
    return result.get();
  },
};

/** (high, low, by how many digits, whether to the right, format) → the number with its digits shifted. */
export const SHIFT: Routine = {
  name: 'decimalShift',
  params: ['i64', 'i64', 'i32', 'i32', 'i32'],
  result: 'i64',
  body: (s, high, low, n, right, format) => {
    const special = s.let(isSpecial(s, high));
    const ROOM = 64;
    const coefficient = new Coefficient(s, limbsOf(s, { high, low }, format));
    const all = s.geUnsigned(n, precision(s, format));
    s.if(
      all,
      () => coefficient.set([]),
      () =>
        s.if(
          right,
          () => s.repeat(n, ROOM, () => void coefficient.dropDigit()),
          () => shiftLeft(s, coefficient, n, ROOM),
        ),
    );
    const [a, b, c] = coefficient.get() as [Expr, Expr, Expr];
    const result = s.cell(s.i64(0));
    s.if(
      special,
      () => {
        const top = s.let(s.and(high, specialBits(s, high)));
        result.set(s.invoke(ENCODE, top, a, b, c, format));
      },
      () => {
        const kept = s.let(s.and(c, s.i64(0xffff)));
        const exponent = exponentOf(s, high, format);
        result.set(s.invoke(PACK, isNegative(s, high), exponent, a, b, kept, format));
      },
    );
    return result.get();
  },
};

/** (biased exponent, or what stands for a class, high, low, format) → the number with that exponent. */
export const INSERT_EXPONENT: Routine = {
  name: 'decimalInsertExponent',
  params: ['i64', 'i64', 'i64', 'i32'],
  result: 'i64',
  body: (s, exponent, high, low, format) => {
    const [a, b, c] = limbsOf(s, { high, low }, format);
    const negative = s.let(isNegative(s, high));
    const result = s.cell(s.i64(0));
    const most = s.extendUnsigned(s.select(format, 12287, s.i32(767)));
    s.if(
      s.leUnsigned(exponent, most),
      () => result.set(s.invoke(PACK, negative, s.wrap(exponent), a, b, c, format)),
      () => {
        const [INFINITE, QUIET_NAN, SIGNALLING] = [
          0x7800_0000_0000_0000n,
          0x7c00_0000_0000_0000n,
          0x7e00_0000_0000_0000n,
        ];
        const nan = s.select(s.eq(exponent, s.i64(-3)), s.i64(SIGNALLING), s.i64(QUIET_NAN));
        const kind = s.select(s.eq(exponent, s.i64(-1)), s.i64(INFINITE), nan);
        // The digits behind stay as they are.
        const digits = s.and(high, s.select(format, s.i64((1n << 46n) - 1n), s.i64((1n << 50n) - 1n)));
        s.setWideState('decimalLow', low);
        result.set(s.or(s.or(kind, s.shl(s.extendUnsigned(negative), 63)), digits));
      },
    );
    return result.get();
  },
};
