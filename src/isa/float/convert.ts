/** Conversions and comparisons: Power ISA 2.07 Book I, 4.6.2–4.6.8. */
import type { Expr, Routine, Semantics } from '../semantics.ts';
import { FPSCR, raised, summarised } from './fpscr.ts';
import {
  bitsOf,
  EXACT,
  FINISH,
  INFINITY,
  isNegative,
  isNotNumber,
  isZero,
  magnitudeOf,
  quieted,
  roundsUp,
  SIGN,
  SINGLE,
  signalling,
  unpacked,
} from './number.ts';

/** (a, old) → a rounded to single precision. */
export const EXACT_ROUND_TO_SINGLE: Routine = {
  name: 'floatExactRoundToSingle',
  params: ['i64', 'i64'],
  result: 'i64',
  body: (s, a, old) => {
    const result = s.cell(old);
    s.if(
      s.or(isZero(s, a), s.geUnsigned(magnitudeOf(s, a), s.i64(INFINITY))),
      () => {
        const LOW = 0x1fff_ffffn;
        const value = s.select(isNotNumber(s, a), s.and(quieted(s, a), s.i64(~LOW)), a);
        result.set(s.invoke(EXACT, s.let(value), signalling(s, a), s.i32(SINGLE), old));
      },
      () => {
        const { exponent, significand } = unpacked(s, a);
        result.set(s.invoke(FINISH, isNegative(s, a), exponent, significand, s.i32(SINGLE), s.i32(0)));
      },
    );
    return result.get();
  },
};

/** (integer, whether it is unsigned, format) → the number. */
export const EXACT_FROM_INTEGER: Routine = {
  name: 'floatExactFromInteger',
  params: ['i64', 'i32', 'i32'],
  result: 'i64',
  body: (s, integer, unsigned, format) => {
    const result = s.cell(s.i64(0));
    s.if(
      s.eqz(integer),
      () => result.set(s.invoke(EXACT, s.i64(0), s.i32(0), format, s.i64(0))),
      () => {
        const negative = s.let(s.and(isNegative(s, integer), s.eqz(unsigned)));
        const magnitude = s.let(s.select(negative, s.neg(integer), integer));
        const zeros = s.let(s.clz(magnitude));
        const exponent = s.sub(63, s.wrap(zeros));
        result.set(s.invoke(FINISH, negative, exponent, s.shl(magnitude, zeros), format, s.i32(0)));
      },
    );
    return result.get();
  },
};

/** The whole part of a finite number's magnitude, and the rest of it as a 64-bit fraction. */
function parts(s: Semantics, a: Expr): { whole: Expr; fraction: Expr; exponent: Expr } {
  const { exponent, significand } = unpacked(s, a);
  const wide = s.let(s.extendSigned(exponent));
  const small = s.let(s.ltSigned(exponent, 0));
  const whole = s.select(small, s.i64(0), s.shrUnsigned(significand, s.sub(s.i64(63), wide)));
  // The exponent -1 is a half and more; with smaller ones it is only known that there is something.
  const tiny = s.select(s.eq(exponent, -1), significand, s.i64(1));
  const below = s.select(s.eq(exponent, 63), s.i64(0), s.shl(significand, s.add(wide, 1)));
  const zero = s.let(isZero(s, a));
  return {
    exponent,
    whole: s.let(s.select(zero, s.i64(0), whole)),
    fraction: s.let(s.select(zero, s.i64(0), s.select(small, tiny, below))),
  };
}

/** The kinds of integers: bit 0 unsigned, bit 1 doubleword. */
export const INTEGER = { word: 0, unsignedWord: 1, doubleword: 2, unsignedDoubleword: 3 } as const;

/**
 * (a, rounding mode, kind of integer, old) → a rounded to an integer, saturated. FPRF, which is undefined then, is left
 * as it is, but for that of a NaN when there is no such integer.
 */
export const EXACT_TO_INTEGER: Routine = {
  name: 'floatExactToInteger',
  params: ['i64', 'i32', 'i32', 'i64'],
  result: 'i64',
  body: (s, a, mode, kind, old) => {
    const negative = s.let(isNegative(s, a));
    const { whole, fraction, exponent } = parts(s, a);
    const odd = s.wrap(s.and(whole, s.i64(1)));
    const up = s.let(roundsUp(s, mode, negative, odd, fraction, s.i64(SIGN)));
    const magnitude = s.let(s.add(whole, s.extendUnsigned(up)));
    const unsigned = s.let(s.and(kind, 1));
    const doubleword = s.let(s.and(kind, 2));
    const byKind = (word: bigint, unsignedWord: bigint, double: bigint, unsignedDouble: bigint): Expr =>
      s.select(
        doubleword,
        s.select(unsigned, s.i64(unsignedDouble), s.i64(double)),
        s.select(unsigned, s.i64(unsignedWord), s.i64(word)),
      );
    const most = s.let(byKind(0x7fff_ffffn, 0xffff_ffffn, 0x7fff_ffff_ffff_ffffn, -1n));
    const least = s.let(byKind(0x8000_0000n, 0n, SIGN, 0n));
    const nan = s.let(isNotNumber(s, a));
    const huge = s.and(s.gtSigned(exponent, 63), s.eqz(isZero(s, a)));
    const outside = s.or(s.or(nan, huge), s.gtUnsigned(magnitude, s.select(negative, least, most)));
    const invalid = s.let(outside);
    const low = s.let(s.or(nan, negative));
    const LEAST_WORD = 0x8000_0000n;
    const ofNaN = s.select(s.eqz(kind), s.i64(LEAST_WORD), s.neg(least));
    const saturated = s.select(low, s.select(nan, ofNaN, s.neg(least)), most);
    const value = s.select(invalid, saturated, s.select(negative, s.neg(magnitude), magnitude));
    const inexact = s.let(s.and(s.ne(fraction, s.i64(0)), s.eqz(invalid)));
    const causes = s.let(
      s.or(s.select(inexact, FPSCR.XX, 0), s.select(invalid, s.or(signalling(s, a), FPSCR.VXCVI), 0)),
    );
    const rounding = s.or(s.select(inexact, FPSCR.FI, 0), s.select(s.and(up, inexact), FPSCR.FR, 0));
    const fpscr = s.let(s.state('fpscr'));
    const suppressed = s.let(s.and(invalid, s.ne(s.and(fpscr, FPSCR.VE), 0)));
    const kept = s.let(s.and(fpscr, ~(FPSCR.FR | FPSCR.FI)));
    const NAN_FLAGS = 0x1_1000;
    const asNaN = s.or(s.and(kept, ~FPSCR.FPRF), NAN_FLAGS);
    const flags = s.select(s.and(invalid, s.eqz(suppressed)), asNaN, kept);
    s.setState('fpscr', raised(s, s.or(flags, rounding), causes));
    return s.select(suppressed, old, value);
  },
};

/** Rounding modes of ROUND_TO_INTEGRAL: as RN has them, to nearest with ties away from zero; 8 more where that may be inexact. */
export const TIES_AWAY = 4;
export const MAY_BE_INEXACT = 8;

/** (a, mode, old) → a rounded to an integer, as a number: inexact only if the mode says that it may be. */
export const ROUND_TO_INTEGRAL: Routine = {
  name: 'floatRoundToIntegral',
  params: ['i64', 'i32', 'i64'],
  result: 'i64',
  body: (s, a, modeAndMore, old) => {
    const mode = s.let(s.and(modeAndMore, ~MAY_BE_INEXACT));
    const { whole, fraction, exponent } = parts(s, a);
    const negative = s.let(isNegative(s, a));
    const away = s.geUnsigned(fraction, s.i64(SIGN));
    const directed = roundsUp(s, mode, negative, s.wrap(s.and(whole, s.i64(1))), fraction, s.i64(SIGN));
    const up = s.let(s.select(s.eq(mode, TIES_AWAY), away, directed));
    const magnitude = s.let(s.add(whole, s.extendUnsigned(up)));
    const zeros = s.let(s.clz(magnitude));
    const biased = s.sub(s.i64(1022 + 63), zeros);
    const packed = s.add(s.shl(biased, 52), s.shrUnsigned(s.shl(magnitude, zeros), 11));
    const rounded = s.or(s.select(s.eqz(magnitude), s.i64(0), packed), s.and(a, s.i64(SIGN)));
    const itself = s.let(s.or(s.geSigned(exponent, 52), isZero(s, a)));
    const value = s.select(isNotNumber(s, a), quieted(s, a), s.select(itself, a, rounded));
    const result = s.invoke(EXACT, s.let(value), signalling(s, a), s.i32(0), old);
    const inexact = s.and(s.eqz(itself), s.ne(fraction, s.i64(0)));
    s.if(s.and(s.ne(s.and(modeAndMore, MAY_BE_INEXACT), 0), inexact), () => {
      const rounding = s.or(FPSCR.FI, s.select(up, FPSCR.FR, 0));
      s.setState('fpscr', raised(s, s.or(s.state('fpscr'), rounding), s.i32(FPSCR.XX)));
    });
    return result;
  },
};

/** (a, b, whether a quiet NaN is invalid too) → LT, GT, EQ or unordered as four bits; FPCC has them as well. */
export const EXACT_COMPARE: Routine = {
  name: 'floatExactCompare',
  params: ['i64', 'i64', 'i32'],
  result: 'i32',
  body: (s, a, b, ordered) => {
    const unordered = s.let(s.or(isNotNumber(s, a), isNotNumber(s, b)));
    // Numbers in order as integers: negative ones the other way around, both zeros being one.
    const inOrder = (bits: Expr): Expr => s.let(s.select(isNegative(s, bits), s.sub(s.i64(SIGN), bits), bits));
    const [x, y] = [inOrder(a), inOrder(b)];
    const related = s.select(s.ltSigned(x, y), 8, s.select(s.gtSigned(x, y), 4, s.i32(2)));
    const bits = s.let(s.select(unordered, 1, related));
    const fpscr = s.let(s.state('fpscr'));
    const signals = s.let(s.or(signalling(s, a), signalling(s, b)));
    const quiet = s.and(s.and(unordered, s.ne(ordered, 0)), s.or(s.eqz(signals), s.eqz(s.and(fpscr, FPSCR.VE))));
    const causes = s.let(s.or(signals, s.select(quiet, FPSCR.VXVC, 0)));
    s.setState('fpscr', raised(s, s.or(s.and(fpscr, ~FPSCR.FPCC), s.shl(bits, 12)), causes));
    return bits;
  },
};

/** A word in single format → the same number as a double. */
export const LOAD_SINGLE: Routine = {
  name: 'floatLoadSingle',
  params: ['i32'],
  result: 'i64',
  body: (s, word) => {
    const result = s.cell(s.i64(0));
    const LARGEST_EXPONENT = 0x7f80_0000;
    s.if(
      s.eq(s.and(word, LARGEST_EXPONENT), LARGEST_EXPONENT),
      () => {
        // Infinities, and NaNs as they are.
        const fraction = s.shl(s.extendUnsigned(s.and(word, 0x007f_ffff)), 29);
        const sign = s.shl(s.extendUnsigned(s.shrUnsigned(word, 31)), 63);
        result.set(s.or(s.or(fraction, sign), s.i64(INFINITY)));
      },
      () => result.set(bitsOf(s, s.float('f64.promote_f32', s.float('f32.reinterpret_i32', word)))),
    );
    return result.get();
  },
};

/** A double → its bits in single format (SINGLE(), 4.6.3). What is too small for it, and so undefined, is a zero. */
export const STORE_SINGLE: Routine = {
  name: 'floatStoreSingle',
  params: ['i64'],
  result: 'i32',
  body: (s, bits) => {
    const exponent = s.let(s.and(s.wrap(s.shrUnsigned(bits, 52)), 0x7ff));
    const high = s.and(s.wrap(s.shrUnsigned(bits, 32)), 0xc000_0000 | 0);
    const result = s.cell(s.or(high, s.and(s.wrap(s.shrUnsigned(bits, 29)), 0x3fff_ffff)));
    const LEAST_NORMAL = 897;
    s.if(s.ltUnsigned(exponent, LEAST_NORMAL), () => {
      const fraction = s.or(s.and(s.wrap(s.shrUnsigned(bits, 29)), 0x007f_ffff), 0x0080_0000);
      const sign = s.let(s.shl(s.wrap(s.shrUnsigned(bits, 63)), 31));
      const denormal = s.or(sign, s.shrUnsigned(fraction, s.sub(LEAST_NORMAL, exponent)));
      result.set(s.select(s.geUnsigned(exponent, LEAST_NORMAL - 23), denormal, sign));
    });
    return result.get();
  },
};

/** FPSCR has no such bit. */
const RESERVED = 0x800;

/** (new value, mask) → FPSCR with the masked bits of the new value, and its summaries. */
export const WRITE_FPSCR: Routine = {
  name: 'floatWriteFpscr',
  params: ['i32', 'i32'],
  result: 'i32',
  body: (s, value, mask) => {
    const kept = s.and(s.state('fpscr'), s.not(mask));
    const fpscr = s.let(summarised(s, s.or(kept, s.and(value, s.and(mask, ~RESERVED)))));
    s.setState('fpscr', fpscr);
    return fpscr;
  },
};
