/**
 * The operations as instructions invoke them. With numbers of ordinary size, rounding to nearest and no exception enabled,
 * WebAssembly's own operations give the result, and what they have lost tells FI, FR and XX; all else goes to the routines
 * in whole numbers.
 */
import type { Expr, Routine, Semantics } from '../semantics.ts';
import { EXACT_ADD, EXACT_DIVIDE, EXACT_MULTIPLY, EXACT_MULTIPLY_ADD, EXACT_SQUARE_ROOT } from './arithmetic.ts';
import { EXACT_COMPARE, EXACT_FROM_INTEGER, EXACT_ROUND_TO_SINGLE, EXACT_TO_INTEGER, INTEGER } from './convert.ts';
import { FPSCR } from './fpscr.ts';
import { bitsOf, isNegative, isZero, negation, numberOf, SIGN, SINGLE } from './number.ts';

type Done = (result: Expr) => void;

/** A routine that tries something quick first, which may call `done` in any of its branches. */
function quickly(
  name: string,
  exact: Routine,
  attempt: (s: Semantics, args: readonly Expr[], done: Done) => void,
): Routine {
  const { params, result: type } = exact;
  return {
    name,
    params,
    result: type,
    body: (s, ...args) => {
      const zero = type === 'i32' ? s.i32(0) : s.i64(0);
      const [result, isDone] = [s.cell(zero), s.cell(s.i32(0))];
      attempt(s, args, (value) => {
        result.set(value);
        isDone.set(s.i32(1));
      });
      s.if(s.eqz(isDone.get()), () => result.set(s.invoke(exact, ...args)));
      return result.get();
    },
  };
}

/** To nearest, and no exception enabled. */
function inSimpleMode(s: Semantics, then: () => void): void {
  const { VE, OE, UE, ZE, XE, RN } = FPSCR;
  s.if(s.eqz(s.and(s.state('fpscr'), VE | OE | UE | ZE | XE | RN)), then);
}

const SIGN_FLAGS = { negative: 0x8000, positive: 0x4000 } as const;

/** FPSCR after a normal result: whether it is inexact, and larger than what it was rounded from. */
function setStatus(s: Semantics, result: Expr, inexact: Expr, up: Expr): void {
  const { FR, FI, FPRF, XX } = FPSCR;
  const fpscr = s.let(s.state('fpscr'));
  const rounding = s.or(s.select(inexact, FI | XX, 0), s.select(up, FR, 0));
  const kind = s.select(isNegative(s, result), SIGN_FLAGS.negative, SIGN_FLAGS.positive);
  setFlags(s, fpscr, FR | FI | FPRF, s.or(rounding, kind));
}

/** FPSCR with flags in place of those of a mask; FX becomes 1 where XX does. */
function setFlags(s: Semantics, fpscr: Expr, mask: number, flags: Expr): void {
  const pinned = s.let(flags);
  const XX_TO_FX = 6;
  const first = s.shl(s.and(s.and(pinned, s.not(fpscr)), FPSCR.XX), XX_TO_FX);
  s.setState('fpscr', s.or(s.or(s.and(fpscr, ~mask), pinned), first));
}

const exponentOf = (s: Semantics, bits: Expr): Expr => s.and(s.wrap(s.shrUnsigned(bits, 52)), 0x7ff);
/** Whether a biased exponent lies between bounds. */
const within = (s: Semantics, exponent: Expr, least: number, most: number): Expr =>
  s.ltUnsigned(s.sub(exponent, least), most - least);
const HIDDEN = 0x0010_0000_0000_0000n;
/** The 53 bits of a normal number. */
const digitsOf = (s: Semantics, bits: Expr): Expr => s.or(s.and(bits, s.i64(HIDDEN - 1n)), s.i64(HIDDEN));

/** Exponents of results that no exception but XX comes with. */
const DOUBLE_RANGE = [64, 1984] as const;
const SINGLE_RANGE = [900, 1148] as const;

/**
 * A number rounded to odd: its last bit is set where something is lost, so that rounding it once more has all that it
 * needs to know. `below`: the whole number is less in magnitude.
 */
function toOdd(s: Semantics, bits: Expr, inexact: Expr, below: Expr): Expr {
  const even = s.eqz(s.and(bits, s.i64(1)));
  const step = s.select(below, s.i64(-1), s.i64(1));
  return s.add(bits, s.select(s.and(inexact, even), step, s.i64(0)));
}

/** An exact zero as the result. */
function finishZero(s: Semantics, zero: Expr, format: Expr, done: Done): void {
  const result = s.let(s.xor(zero, negation(s, format)));
  const [POSITIVE, NEGATIVE] = [0x2000, 0x1_2000];
  const flags = s.select(isNegative(s, result), NEGATIVE, POSITIVE);
  setFlags(s, s.let(s.state('fpscr')), FPSCR.FR | FPSCR.FI | FPSCR.FPRF, flags);
  done(result);
}

/** The result from what was rounded to nearest, pinned, and what is known of the rest, 0 or 1 each. */
function finish(s: Semantics, rounded: Expr, inexact: Expr, below: Expr, format: Expr, done: Done): void {
  s.if(
    s.and(format, SINGLE),
    () => {
      const odd = s.let(toOdd(s, rounded, inexact, below));
      const number = s.float('f64.promote_f32', s.float('f32.demote_f64', numberOf(s, odd)));
      const single = s.let(bitsOf(s, number));
      s.if(within(s, exponentOf(s, single), ...SINGLE_RANGE), () => {
        const result = s.let(s.xor(single, negation(s, format)));
        setStatus(s, result, s.ne(single, odd), s.gtUnsigned(single, odd));
        done(result);
      });
    },
    () =>
      s.if(within(s, exponentOf(s, rounded), ...DOUBLE_RANGE), () => {
        const result = s.let(s.xor(rounded, negation(s, format)));
        setStatus(s, result, inexact, s.and(inexact, below));
        done(result);
      }),
  );
}

/** a + b of pinned numbers, and what it lacks of their sum (Knuth's two-sum). */
function twoSum(s: Semantics, a: Expr, b: Expr): [sum: Expr, rest: Expr] {
  const sum = s.let(s.float('f64.add', a, b));
  const part = s.let(s.float('f64.sub', sum, a));
  const restOfA = s.float('f64.sub', a, s.float('f64.sub', sum, part));
  return [sum, s.let(s.float('f64.add', restOfA, s.float('f64.sub', b, part)))];
}

/** The result of a sum and its rest. */
function finishSum(s: Semantics, sum: Expr, rest: Expr, format: Expr, done: Done): void {
  const bits = s.let(bitsOf(s, sum));
  const inexact = s.let(s.eqz(s.float('f64.eq', rest, numberOf(s, s.i64(0)))));
  const below = s.let(isNegative(s, s.xor(bitsOf(s, rest), bits)));
  // A sum that is zero has lost nothing.
  s.if(
    isZero(s, bits),
    () => finishZero(s, bits, format, done),
    () => finish(s, bits, inexact, below, format, done),
  );
}

/** (a, b, format, old) → a + b. */
export const ADD = quickly('floatAdd', EXACT_ADD, (s, [a, b, format], done) =>
  inSimpleMode(s, () => {
    const [sum, rest] = twoSum(s, s.let(numberOf(s, a as Expr)), s.let(numberOf(s, b as Expr)));
    finishSum(s, sum, rest, format as Expr, done);
  }),
);

/** What a whole number that stands for the rest of a magnitude says. */
function finishRest(s: Semantics, rounded: Expr, rest: Expr, format: Expr, done: Done): void {
  const [inexact, below] = [s.let(s.ne(rest, s.i64(0))), s.let(s.ltSigned(rest, s.i64(0)))];
  finish(s, rounded, inexact, below, format, done);
}

const BIAS_OF_DIGITS = 1075;

/** The digits of a product less those of its rounded value, which fit 64 bits, though neither of them does. */
function restOfProduct(s: Semantics, a: Expr, b: Expr, ea: Expr, eb: Expr, product: Expr): Expr {
  const shift = s.sub(s.add(exponentOf(s, product), BIAS_OF_DIGITS), s.add(ea, eb));
  const rounded = s.shl(digitsOf(s, product), s.extendUnsigned(shift));
  return s.let(s.sub(s.mul(digitsOf(s, a), digitsOf(s, b)), rounded));
}

/**
 * Exponents of two pinned numbers where both are normal ones, or no numbers; else something that may do for zeros and
 * denormal numbers.
 */
function withExponents(
  s: Semantics,
  a: Expr,
  b: Expr,
  then: (ea: Expr, eb: Expr) => void,
  otherwise = (): void => {},
): void {
  inSimpleMode(s, () => {
    const [ea, eb] = [s.let(exponentOf(s, a)), s.let(exponentOf(s, b))];
    s.if(s.and(s.ne(ea, 0), s.ne(eb, 0)), () => then(ea, eb), otherwise);
  });
}

/** A zero that is exact when an operand is one. */
function ofZero(s: Semantics, operand: Expr, result: Expr, format: Expr, done: Done): void {
  s.if(s.and(operand, isZero(s, result)), () => finishZero(s, result, format, done));
}

/** (a, b, format, old) → a · b. */
export const MULTIPLY = quickly('floatMultiply', EXACT_MULTIPLY, (s, args, done) => {
  const [a, b, format] = args as [Expr, Expr, Expr];
  const product = (): Expr => s.let(bitsOf(s, s.float('f64.mul', numberOf(s, a), numberOf(s, b))));
  withExponents(
    s,
    a,
    b,
    (ea, eb) => {
      const rounded = product();
      finishRest(s, rounded, restOfProduct(s, a, b, ea, eb, rounded), format, done);
    },
    () => ofZero(s, s.or(isZero(s, a), isZero(s, b)), product(), format, done),
  );
});

/** (a, b, format, old) → a ÷ b. */
export const DIVIDE = quickly('floatDivide', EXACT_DIVIDE, (s, args, done) => {
  const [a, b, format] = args as [Expr, Expr, Expr];
  const divided = (): Expr => s.let(bitsOf(s, s.float('f64.div', numberOf(s, a), numberOf(s, b))));
  const ofNormal = (ea: Expr, eb: Expr): void => {
    const quotient = divided();
    const shift = s.sub(s.add(ea, BIAS_OF_DIGITS), s.add(exponentOf(s, quotient), eb));
    const dividend = s.shl(digitsOf(s, a), s.extendUnsigned(shift));
    const rest = s.let(s.sub(dividend, s.mul(digitsOf(s, quotient), digitsOf(s, b))));
    finishRest(s, quotient, rest, format, done);
  };
  withExponents(s, a, b, ofNormal, () => ofZero(s, isZero(s, a), divided(), format, done));
});

/** (a, format, old) → √a. */
export const SQUARE_ROOT = quickly('floatSquareRoot', EXACT_SQUARE_ROOT, (s, args, done) => {
  const [a, format] = args as [Expr, Expr];
  withExponents(s, a, a, (ea) => {
    const root = s.let(bitsOf(s, s.float('f64.sqrt', numberOf(s, a))));
    const shift = s.sub(s.add(ea, BIAS_OF_DIGITS), s.shl(exponentOf(s, root), 1));
    const digits = s.let(digitsOf(s, root));
    const rest = s.let(s.sub(s.shl(digitsOf(s, a), s.extendUnsigned(shift)), s.mul(digits, digits)));
    finishRest(s, root, rest, format, done);
  });
});

/** Exponents of products whose rest is a normal number as well. */
const PRODUCT_RANGE = [200, 1800] as const;

/**
 * (a, c, b, subtracts, format, old) → a · c ± b. The product is two numbers; of the sum of three the two small ones are
 * added to odd (Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd).
 */
export const MULTIPLY_ADD = quickly('floatMultiplyAdd', EXACT_MULTIPLY_ADD, (s, args, done) => {
  const [a, c, addend, subtracts, format] = args as [Expr, Expr, Expr, Expr, Expr];
  const b = s.let(numberOf(s, s.xor(addend, s.shl(s.extendUnsigned(subtracts), 63))));
  const ofNormal = (ea: Expr, ec: Expr): void => {
    const high = s.let(s.float('f64.mul', numberOf(s, a), numberOf(s, c)));
    const bits = s.let(bitsOf(s, high));
    s.if(within(s, exponentOf(s, bits), ...PRODUCT_RANGE), () => {
      const rest = restOfProduct(s, a, c, ea, ec, bits);
      s.if(
        s.eqz(rest),
        () => {
          const [sum, lost] = twoSum(s, high, b);
          finishSum(s, sum, lost, format, done);
        },
        () => {
          const UNIT = 2 * BIAS_OF_DIGITS - 1023;
          const unit = s.shl(s.extendSigned(s.sub(s.add(ea, ec), UNIT)), 52);
          const scale = numberOf(s, s.or(unit, s.and(bits, s.i64(SIGN))));
          const low = s.let(s.float('f64.mul', s.float('f64.convert_i64_s', rest), scale));
          const [sumLow, restLow] = twoSum(s, b, low);
          const [sum, restHigh] = twoSum(s, high, sumLow);
          const [small, lost] = twoSum(s, restLow, restHigh);
          const smallBits = s.let(bitsOf(s, small));
          const inexact = s.eqz(s.float('f64.eq', lost, numberOf(s, s.i64(0))));
          const below = isNegative(s, s.xor(bitsOf(s, lost), smallBits));
          const odd = s.let(numberOf(s, toOdd(s, smallBits, inexact, below)));
          const [result, last] = twoSum(s, sum, odd);
          finishSum(s, result, last, format, done);
        },
      );
    });
  };
  withExponents(s, a, c, ofNormal, () => {
    const product = s.let(s.float('f64.mul', numberOf(s, a), numberOf(s, c)));
    s.if(s.and(s.or(isZero(s, a), isZero(s, c)), isZero(s, bitsOf(s, product))), () => {
      const [sum, lost] = twoSum(s, product, b);
      finishSum(s, sum, lost, format, done);
    });
  });
});

/** (a, old) → a rounded to single precision. */
export const ROUND_TO_SINGLE = quickly('floatRoundToSingle', EXACT_ROUND_TO_SINGLE, (s, [a], done) =>
  inSimpleMode(s, () =>
    s.if(
      isZero(s, a as Expr),
      () => finishZero(s, a as Expr, s.i32(SINGLE), done),
      () => finish(s, a as Expr, s.i32(0), s.i32(0), s.i32(SINGLE), done),
    ),
  ),
);

/** (integer, whether it is unsigned, format) → the number. */
export const FROM_INTEGER = quickly('floatFromInteger', EXACT_FROM_INTEGER, (s, args, done) => {
  const [integer, unsigned, format] = args as [Expr, Expr, Expr];
  inSimpleMode(s, () => {
    const LIMIT = 1n << 53n;
    const small = s.ltUnsigned(s.add(integer, s.i64(LIMIT)), s.i64(2n * LIMIT));
    s.if(s.and(small, s.eqz(s.and(unsigned, isNegative(s, integer)))), () =>
      s.if(
        s.eqz(integer),
        () => {
          const ZERO = 0x2000;
          setFlags(s, s.let(s.state('fpscr')), FPSCR.FR | FPSCR.FI | FPSCR.FPRF, s.i32(ZERO));
          done(s.i64(0));
        },
        () => {
          const number = s.let(bitsOf(s, s.float('f64.convert_i64_s', integer)));
          finish(s, number, s.i32(0), s.i32(0), format, done);
        },
      ),
    );
  });
});

/** (a, rounding mode, kind of integer, old) → a rounded to an integer, saturated. */
export const TO_INTEGER = quickly('floatToInteger', EXACT_TO_INTEGER, (s, args, done) => {
  const [a, mode, kind] = args as [Expr, Expr, Expr];
  inSimpleMode(s, () => {
    const LARGE = 1023 + 62;
    s.if(s.and(s.ltUnsigned(exponentOf(s, a), LARGE), s.leUnsigned(mode, 1)), () => {
      const number = s.let(numberOf(s, a));
      const rounded = s.let(s.select(mode, s.float('f64.trunc', number), s.float('f64.nearest', number)));
      const integer = s.let(s.float('i64.trunc_f64_s', rounded));
      const isUnsigned = s.and(kind, INTEGER.unsignedWord);
      const asWord = s.select(isUnsigned, s.and(integer, s.i64(0xffff_ffff)), s.signExtend32(integer));
      const asDoubleword = s.and(isUnsigned, isNegative(s, integer));
      const fits = s.select(s.and(kind, INTEGER.doubleword), s.eqz(asDoubleword), s.eq(integer, asWord));
      s.if(fits, () => {
        const inexact = s.eqz(s.float('f64.eq', rounded, number));
        const up = s.float('f64.gt', s.float('f64.abs', rounded), s.float('f64.abs', number));
        const { FI, FR, XX } = FPSCR;
        const flags = s.or(s.select(inexact, FI | XX, 0), s.select(up, FR, 0));
        setFlags(s, s.let(s.state('fpscr')), FI | FR, flags);
        done(integer);
      });
    });
  });
});

/** (a, b, whether a quiet NaN is invalid too) → LT, GT, EQ or unordered as four bits; FPCC has them as well. */
export const COMPARE = quickly('floatCompare', EXACT_COMPARE, (s, args, done) => {
  const [x, y] = [s.let(numberOf(s, args[0] as Expr)), s.let(numberOf(s, args[1] as Expr))];
  const equal = s.shl(s.float('f64.eq', x, y), 1);
  const bits = s.let(s.or(equal, s.or(s.shl(s.float('f64.lt', x, y), 3), s.shl(s.float('f64.gt', x, y), 2))));
  // None of them: unordered.
  s.if(bits, () => {
    s.setState('fpscr', s.or(s.and(s.state('fpscr'), ~FPSCR.FPCC), s.shl(bits, 12)));
    done(bits);
  });
});
