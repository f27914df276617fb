/** Decimal numbers with another exponent or precision: Power ISA 2.07 Book I, 5.6.4–5.6.5. */
import { FPSCR } from '../float/fpscr.ts';
import type { Expr, Routine, Semantics } from '../semantics.ts';
import { invalid, propagate, signals } from './arithmetic.ts';
import {
  addLimbs,
  bias,
  Coefficient,
  type Decimal,
  digitsIn,
  exponentOf,
  infinity,
  isInfinite,
  isNegative,
  isNotNumber,
  isSpecial,
  isZero,
  leastOf,
  limbsOf,
  mostExponent,
  mostOf,
  PACK,
  precision,
  SPECIAL,
  shiftLeft,
  shiftRight,
} from './number.ts';
import { classify, MODE, note, noteSpecial, roundsUp } from './rounding.ts';

/** The mode that RMC means, with R=1 that of its second meaning (5.6.4, figure "Secondary Encoding"). */
export function modeOf(s: Semantics, rmc: Expr, second: Expr): Expr {
  const pick = (zero: Expr, one: Expr, two: Expr, three: Expr): Expr =>
    s.select(s.and(rmc, 2), s.select(s.and(rmc, 1), three, two), s.select(s.and(rmc, 1), one, zero));
  const primary = pick(
    s.i32(MODE.nearestEven),
    s.i32(MODE.towardZero),
    s.i32(MODE.nearestAway),
    s.state('decimalRounding'),
  );
  const secondary = pick(s.i32(MODE.up), s.i32(MODE.down), s.i32(MODE.away), s.i32(MODE.nearestTowardZero));
  return s.let(s.select(second, secondary, primary));
}

/** A NaN made quiet, and its class. */
export function quieted(s: Semantics, number: Decimal, format: Expr, causes: Expr): Expr {
  const result = s.invoke(SPECIAL, number.high, number.low, format, s.i32(1));
  noteSpecial(s, result, causes);
  return result;
}

const ROOM = 80;

/** A finite number with another exponent, rounded where that is larger. `set` is not called where it has none. */
function withExponent(
  s: Semantics,
  number: Decimal,
  wanted: Expr,
  mode: Expr,
  exceptions: Expr,
  format: Expr,
  set: (result: Expr) => void,
): void {
  const limbs = limbsOf(s, number, format);
  const negative = s.let(isNegative(s, number.high));
  const distance = s.let(s.select(isZero(s, limbs), 0, s.sub(wanted, exponentOf(s, number.high, format))));
  const coefficient = new Coefficient(s, limbs, 5);
  const lost = { digit: s.cell(s.i64(0)), more: s.cell(s.i64(0)) };
  const [right, left] = [distance, s.sub(0, distance)].map((n) =>
    mostOf(s, s.i32(0), leastOf(s, s.let(n), s.i32(40))),
  ) as [Expr, Expr];
  shiftRight(s, coefficient, right, ROOM, lost);
  shiftLeft(s, coefficient, left, ROOM);
  const [digit, more] = [lost.digit.get(), lost.more.get()];
  const last = s.let(s.and(coefficient.get()[0] as Expr, s.i64(15)));
  const up = s.let(roundsUp(s, mode, negative, last, digit, more));
  coefficient.set(addLimbs(s, coefficient.get(), [], s.let(s.extendUnsigned(up))).limbs);
  const result = coefficient.get();
  s.if(s.leSigned(digitsIn(s, result), precision(s, format)), () => {
    const [a, b, c] = result as [Expr, Expr, Expr];
    const packed = s.invoke(PACK, negative, wanted, a, b, c, format);
    classify(s, packed, [a, b, c], wanted, format);
    const { XX, FI, FR } = FPSCR;
    const inexact = s.ne(s.or(digit, more), s.i64(0));
    const flags = s.or(s.select(inexact, XX | FI, 0), s.select(up, FR, 0));
    note(s, s.select(exceptions, flags, 0));
    set(packed);
  });
}

/** (a's exponent, or -1 where a is infinite, b, mode, format) → b with that exponent. */
export const QUANTIZE: Routine = {
  name: 'decimalQuantize',
  params: ['i32', 'i64', 'i64', 'i32', 'i32'],
  result: 'i64',
  body: (s, wanted, high, low, mode, format) => {
    const number = { high, low };
    const result = s.cell(s.i64(0));
    const isDone = s.cell(s.i32(0));
    const set = (value: Expr): void => {
      result.set(value);
      isDone.set(s.i32(1));
    };
    const infinite = s.let(isInfinite(s, high));
    const wantsInfinity = s.let(s.ltSigned(wanted, 0));
    s.if(
      isNotNumber(s, high),
      () => set(quieted(s, number, format, signals(s, number))),
      () =>
        s.if(
          s.or(infinite, wantsInfinity),
          () =>
            s.if(s.and(infinite, wantsInfinity), () => {
              const same = infinity(s, isNegative(s, high));
              noteSpecial(s, same, s.i32(0));
              set(same);
            }),
          () =>
            s.if(s.leSigned(wanted, mostExponent(s, format)), () =>
              withExponent(s, number, wanted, mode, s.i32(1), format, set),
            ),
        ),
    );
    s.if(s.eqz(isDone.get()), () => set(invalid(s, FPSCR.VXCVI)));
    return result.get();
  },
};

/** (a, b, mode, format) → b with a's exponent. */
export const QUANTIZE_LIKE: Routine = {
  name: 'decimalQuantizeLike',
  params: ['i64', 'i64', 'i64', 'i64', 'i32', 'i32'],
  result: 'i64',
  body: (s, aHigh, aLow, bHigh, bLow, mode, format) => {
    const [a, b] = [
      { high: aHigh, low: aLow },
      { high: bHigh, low: bLow },
    ];
    const result = s.cell(s.i64(0));
    s.if(
      isNotNumber(s, aHigh),
      () => result.set(propagate(s, a, b, format)),
      () => {
        const wanted = s.let(s.select(isInfinite(s, aHigh), -1, exponentOf(s, aHigh, format)));
        result.set(s.invoke(QUANTIZE, wanted, b.high, b.low, mode, format));
      },
    );
    return result.get();
  },
};

/** (how many digits, b, mode, format) → b with no more digits than that. */
export const REROUND: Routine = {
  name: 'decimalReround',
  params: ['i32', 'i64', 'i64', 'i32', 'i32'],
  result: 'i64',
  body: (s, wanted, high, low, mode, format) => {
    const number = { high, low };
    const result = s.cell(s.i64(0));
    s.if(
      isSpecial(s, high),
      () => result.set(quieted(s, number, format, signals(s, number))),
      () => {
        const limbs = limbsOf(s, number, format);
        const excess = s.let(s.sub(digitsIn(s, limbs), wanted));
        const exponent = exponentOf(s, high, format);
        const n = s.let(s.select(s.or(s.eqz(wanted), s.leSigned(excess, 0)), 0, excess));
        const at = s.cell(s.let(s.add(exponent, n)));
        const negative = s.let(isNegative(s, high));
        const coefficient = new Coefficient(s, limbs, 3);
        const lost = { digit: s.cell(s.i64(0)), more: s.cell(s.i64(0)) };
        shiftRight(s, coefficient, n, ROOM, lost);
        const [digit, more] = [lost.digit.get(), lost.more.get()];
        const last = s.let(s.and(coefficient.get()[0] as Expr, s.i64(15)));
        const up = s.let(roundsUp(s, mode, negative, last, digit, more));
        coefficient.set(addLimbs(s, coefficient.get(), [], s.let(s.extendUnsigned(up))).limbs);
        s.if(s.and(s.ne(n, 0), s.gtSigned(digitsIn(s, coefficient.get()), wanted)), () => {
          coefficient.dropDigit();
          at.set(s.add(at.get(), 1));
        });
        s.if(
          s.gtSigned(at.get(), mostExponent(s, format)),
          () => result.set(invalid(s, FPSCR.VXCVI)),
          () => {
            const [a, b, c] = coefficient.get() as [Expr, Expr, Expr];
            const packed = s.invoke(PACK, negative, at.get(), a, b, c, format);
            classify(s, packed, [a, b, c], at.get(), format);
            const inexact = s.ne(s.or(digit, more), s.i64(0));
            const { XX, FI, FR } = FPSCR;
            note(s, s.or(s.select(inexact, XX | FI, 0), s.select(up, FR, 0)));
            result.set(packed);
          },
        );
      },
    );
    return result.get();
  },
};

/** (b, mode, whether it may be inexact, format) → b rounded to an integer. */
export const TO_INTEGRAL: Routine = {
  name: 'decimalToIntegral',
  params: ['i64', 'i64', 'i32', 'i32', 'i32'],
  result: 'i64',
  body: (s, high, low, mode, exceptions, format) => {
    const number = { high, low };
    const result = s.cell(s.i64(0));
    s.if(
      isSpecial(s, high),
      () => result.set(quieted(s, number, format, signals(s, number))),
      () => {
        const wanted = mostOf(s, exponentOf(s, high, format), bias(s, format));
        withExponent(s, number, wanted, mode, exceptions, format, (value) => result.set(value));
      },
    );
    return result.get();
  },
};
