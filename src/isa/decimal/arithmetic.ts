/** Decimal sums, products, quotients, comparisons: Power ISA 2.07 Book I, 5.6.1–5.6.2. */
import { FPSCR } from '../float/fpscr.ts';
import type { Expr, Routine, Semantics } from '../semantics.ts';
import {
  addLimbs,
  bias,
  Coefficient,
  type Decimal,
  defaultNaN,
  digitsIn,
  exponentOf,
  infinity,
  isInfinite,
  isNegative,
  isNotNumber,
  isSignalling,
  isSpecial,
  isZero,
  leastOf,
  limbsOf,
  mostOf,
  precision,
  SPECIAL,
  shiftLeft,
  shiftRight,
  subtractLimbs,
} from './number.ts';
import { FINISH, MODE, note, noteSpecial } from './rounding.ts';

export const currentMode = (s: Semantics): Expr => s.state('decimalRounding');

/** VXSNAN where one of the numbers is a signalling NaN. */
export function signals(s: Semantics, ...numbers: Decimal[]): Expr {
  const any = numbers.map(({ high }) => isSignalling(s, high)).reduce((all, one) => s.or(all, one));
  return s.select(any, FPSCR.VXSNAN, 0);
}

/** The first signalling NaN of two numbers, else the first NaN, made quiet, with its class. */
export function propagate(s: Semantics, a: Decimal, b: Decimal, format: Expr): Expr {
  const quiet = s.and(isNotNumber(s, a.high), s.eqz(isSignalling(s, b.high)));
  const first = s.let(s.or(isSignalling(s, a.high), quiet));
  const pick = (x: Expr, y: Expr): Expr => s.let(s.select(first, x, y));
  const result = s.invoke(SPECIAL, pick(a.high, b.high), pick(a.low, b.low), format, s.i32(1));
  noteSpecial(s, result, signals(s, a, b));
  return result;
}

/** An operation that has no result. */
export function invalid(s: Semantics, cause: number): Expr {
  const result = defaultNaN(s);
  noteSpecial(s, s.let(result), s.i32(cause));
  return result;
}

function infinite(s: Semantics, negative: Expr): Expr {
  const result = infinity(s, negative);
  noteSpecial(s, result, s.i32(0));
  return result;
}

type Operation = (s: Semantics, a: Decimal, b: Decimal, format: Expr, set: (result: Expr) => void) => void;

/** (a, b, format) → a op b: infinities and finite numbers apart. */
function operation(name: string, ofInfinities: Operation, ofFinite: Operation): Routine {
  return {
    name,
    params: ['i64', 'i64', 'i64', 'i64', 'i32'],
    result: 'i64',
    body: (s, aHigh, aLow, bHigh, bLow, format) => {
      const [a, b] = [
        { high: aHigh, low: aLow },
        { high: bHigh, low: bLow },
      ];
      const result = s.cell(s.i64(0));
      const set = (value: Expr): void => result.set(value);
      s.if(
        s.or(isNotNumber(s, aHigh), isNotNumber(s, bHigh)),
        () => set(propagate(s, a, b, format)),
        () =>
          s.if(
            s.or(isSpecial(s, aHigh), isSpecial(s, bHigh)),
            () => ofInfinities(s, a, b, format, set),
            () => ofFinite(s, a, b, format, set),
          ),
      );
      return result.get();
    },
  };
}

/** Digits by which an operand of a sum is shifted left at most: more would not change how it is rounded. */
const MOST_ALIGNED = 40;

const finish = (
  s: Semantics,
  negative: Expr,
  exponent: Expr,
  limbs: readonly Expr[],
  behind: Expr,
  ideal: Expr,
  format: Expr,
): Expr => s.invoke(FINISH, negative, exponent, ...limbs, behind, ideal, currentMode(s), format);

export const ADD = operation(
  'decimalAdd',
  (s, a, b, _format, set) => {
    const [infiniteA, infiniteB] = [s.let(isInfinite(s, a.high)), s.let(isInfinite(s, b.high))];
    const [negativeA, negativeB] = [s.let(isNegative(s, a.high)), s.let(isNegative(s, b.high))];
    s.if(
      s.and(s.and(infiniteA, infiniteB), s.xor(negativeA, negativeB)),
      () => set(invalid(s, FPSCR.VXISI)),
      () => set(infinite(s, s.let(s.select(infiniteA, negativeA, negativeB)))),
    );
  },
  (s, a, b, format, set) => {
    const [ea, eb] = [exponentOf(s, a.high, format), exponentOf(s, b.high, format)];
    const [la, lb] = [limbsOf(s, a, format), limbsOf(s, b, format)];
    const ideal = leastOf(s, ea, eb);
    const swap = s.let(s.ltSigned(ea, eb));
    const pick = (x: Expr, y: Expr): Expr => s.let(s.select(swap, y, x));
    const upper = la.map((limb, i) => pick(limb, lb[i] as Expr));
    const lower = la.map((limb, i) => pick(lb[i] as Expr, limb));
    const [negativeUpper, negativeLower] = [
      pick(isNegative(s, a.high), isNegative(s, b.high)),
      pick(isNegative(s, b.high), isNegative(s, a.high)),
    ];
    // A zero has nothing to be aligned.
    const distance = s.let(s.select(isZero(s, upper), 0, s.sub(mostOf(s, ea, eb), ideal)));
    const left = leastOf(s, distance, s.i32(MOST_ALIGNED));
    const right = leastOf(s, s.sub(distance, left), s.i32(MOST_ALIGNED));
    const [x, y] = [new Coefficient(s, upper, 5), new Coefficient(s, lower, 5)];
    shiftLeft(s, x, left, MOST_ALIGNED);
    const lost = { digit: s.cell(s.i64(0)), more: s.cell(s.i64(0)) };
    shiftRight(s, y, right, MOST_ALIGNED, lost);
    const behind = s.let(s.extendUnsigned(s.ne(s.or(lost.digit.get(), lost.more.get()), s.i64(0))));
    const exponent = s.let(s.add(ideal, s.sub(distance, left)));
    const [limbsX, limbsY] = [x.get(), y.get()];
    s.if(
      s.eq(negativeUpper, negativeLower),
      () => {
        const { limbs } = addLimbs(s, limbsX, limbsY, s.i64(0));
        set(finish(s, negativeUpper, exponent, limbs, behind, ideal, format));
      },
      () => {
        const difference = subtractLimbs(s, limbsX, limbsY, behind);
        const other = subtractLimbs(s, limbsY, limbsX, s.i64(0));
        const isLess = s.let(s.eqz(difference.carry));
        const limbs = difference.limbs.map((limb, i) => s.let(s.select(isLess, other.limbs[i] as Expr, limb)));
        const zero = s.and(isZero(s, limbs), s.eqz(behind));
        const sign = s.select(isLess, negativeLower, negativeUpper);
        const negative = s.let(s.select(zero, s.eq(currentMode(s), MODE.down), sign));
        set(finish(s, negative, exponent, limbs, behind, ideal, format));
      },
    );
  },
);

export const MULTIPLY = operation(
  'decimalMultiply',
  (s, a, b, format, set) => {
    const negative = s.let(isNegative(s, s.xor(a.high, b.high)));
    const zero = (n: Decimal): Expr => s.and(s.eqz(isSpecial(s, n.high)), isZero(s, limbsOf(s, n, format)));
    s.if(
      s.or(zero(a), zero(b)),
      () => set(invalid(s, FPSCR.VXIMZ)),
      () => set(infinite(s, negative)),
    );
  },
  (s, a, b, format, set) => {
    const negative = s.let(isNegative(s, s.xor(a.high, b.high)));
    const exponent = s.let(s.sub(s.add(exponentOf(s, a.high, format), exponentOf(s, b.high, format)), bias(s, format)));
    const la = limbsOf(s, a, format);
    const factor = new Coefficient(s, limbsOf(s, b, format));
    const product = new Coefficient(s, [], 5);
    const PLACES = 45;
    s.repeat(s.i32(PLACES), PLACES, () => {
      product.appendDigit(s.i64(0));
      const times = s.wrap(factor.highestDigit());
      factor.appendDigit(s.i64(0));
      s.repeat(times, 9, () => product.set(addLimbs(s, product.get(), la, s.i64(0)).limbs));
    });
    set(finish(s, negative, exponent, product.get(), s.i64(0), exponent, format));
  },
);

export const DIVIDE = operation(
  'decimalDivide',
  (s, a, b, format, set) => {
    const negative = s.let(isNegative(s, s.xor(a.high, b.high)));
    s.if(
      isInfinite(s, a.high),
      () =>
        s.if(
          isInfinite(s, b.high),
          () => set(invalid(s, FPSCR.VXIDI)),
          () => set(infinite(s, negative)),
        ),
      () => {
        // A finite number by an infinity: zero with the least exponent.
        const nothing = Array.from({ length: 5 }, () => s.i64(0));
        set(finish(s, negative, s.i32(0), nothing, s.i64(0), s.i32(0), format));
      },
    );
  },
  (s, a, b, format, set) => {
    const negative = s.let(isNegative(s, s.xor(a.high, b.high)));
    const exponent = s.let(s.add(s.sub(exponentOf(s, a.high, format), exponentOf(s, b.high, format)), bias(s, format)));
    const [la, lb] = [limbsOf(s, a, format), limbsOf(s, b, format)];
    const [zeroA, zeroB] = [s.let(isZero(s, la)), s.let(isZero(s, lb))];
    s.if(
      zeroB,
      () =>
        s.if(
          zeroA,
          () => set(invalid(s, FPSCR.VXZDZ)),
          () => {
            set(infinite(s, negative));
            note(s, s.i32(FPSCR.ZX));
          },
        ),
      () => {
        const DIGITS = 45;
        const wanted = s.sub(digitsIn(s, lb), digitsIn(s, la));
        const scale = mostOf(s, s.i32(0), s.let(s.add(s.add(precision(s, format), 1), wanted)));
        const extra = s.let(s.select(zeroA, 0, scale));
        const dividend = new Coefficient(s, la);
        const rest = new Coefficient(s, [], 3);
        const quotient = new Coefficient(s, [], 5);
        s.repeat(s.add(extra, DIGITS), 3 * DIGITS, () => {
          rest.appendDigit(dividend.highestDigit());
          dividend.appendDigit(s.i64(0));
          const digit = s.cell(s.i64(0));
          s.repeat(s.i32(9), 9, () => {
            const { limbs, carry } = subtractLimbs(s, rest.get(), lb, s.i64(0));
            s.if(s.wrap(carry), () => {
              rest.set(limbs);
              digit.set(s.add(digit.get(), s.i64(1)));
            });
          });
          quotient.appendDigit(digit.get());
        });
        const behind = s.let(s.extendUnsigned(s.eqz(isZero(s, rest.get()))));
        const from = s.let(s.sub(exponent, extra));
        set(finish(s, negative, from, quotient.get(), behind, exponent, format));
      },
    );
  },
);

/** (a, b, format, whether a quiet NaN is invalid too) → LT, GT, EQ or unordered as four bits, which FPCC has as well. */
export const COMPARE: Routine = {
  name: 'decimalCompare',
  params: ['i64', 'i64', 'i64', 'i64', 'i32', 'i32'],
  result: 'i32',
  body: (s, aHigh, aLow, bHigh, bLow, format, ordered) => {
    const [a, b] = [
      { high: aHigh, low: aLow },
      { high: bHigh, low: bLow },
    ];
    const bits = s.cell(s.i32(1));
    const causes = s.cell(s.i32(0));
    const unordered = s.let(s.or(isNotNumber(s, aHigh), isNotNumber(s, bHigh)));
    s.if(
      unordered,
      () => {
        const signal = s.let(signals(s, a, b));
        const silent = s.or(s.eqz(signal), s.eqz(s.and(s.state('fpscr'), FPSCR.VE)));
        causes.set(s.or(signal, s.select(s.and(silent, s.ne(ordered, 0)), FPSCR.VXVC, 0)));
      },
      () => {
        // Magnitudes: an infinity is larger than all else.
        const sizes = [a, b].map((n) => {
          const limbs = limbsOf(s, n, format);
          const infinite = s.let(isInfinite(s, n.high));
          const HUGE = 0x10000;
          const exponent = s.let(s.select(infinite, HUGE, exponentOf(s, n.high, format)));
          const zero = s.let(s.and(isZero(s, limbs), s.eqz(infinite)));
          const size = s.let(s.select(zero, -HUGE, s.add(exponent, s.select(infinite, 0, digitsIn(s, limbs)))));
          return { limbs: limbs.map((limb) => s.let(s.select(infinite, s.i64(0), limb))), exponent, zero, size };
        }) as [Size, Size];
        const [x, y] = sizes;
        // Of like size: with the same exponent.
        const apart = s.let(s.ne(x.size, y.size));
        const distance = s.let(s.select(s.or(apart, x.zero), 0, s.sub(x.exponent, y.exponent)));
        const aligned = sizes.map(({ limbs }, i) => {
          const coefficient = new Coefficient(s, limbs, 5);
          shiftLeft(s, coefficient, mostOf(s, s.i32(0), i === 0 ? distance : s.sub(0, distance)), 40);
          return coefficient.get();
        }) as [Expr[], Expr[]];
        const { limbs, carry } = subtractLimbs(s, aligned[0], aligned[1], s.i64(0));
        const sameSize = s.select(s.eqz(s.wrap(carry)), -1, s.select(isZero(s, limbs), 0, s.i32(1)));
        const magnitudes = s.let(s.select(apart, s.select(s.ltSigned(x.size, y.size), -1, s.i32(1)), sameSize));
        const [negativeA, negativeB] = [s.let(isNegative(s, aHigh)), s.let(isNegative(s, bHigh))];
        const bySign = s.select(negativeA, -1, s.i32(1));
        const ofSame = s.select(negativeA, s.neg(magnitudes), magnitudes);
        const order = s.select(s.eq(negativeA, negativeB), ofSame, bySign);
        const related = s.let(s.select(s.and(x.zero, y.zero), 0, order));
        bits.set(s.select(s.ltSigned(related, 0), 8, s.select(s.gtSigned(related, 0), 4, s.i32(2))));
      },
    );
    note(s, s.or(causes.get(), s.shl(bits.get(), 12)));
    return bits.get();
  },
};

interface Size {
  readonly limbs: Expr[];
  readonly exponent: Expr;
  readonly zero: Expr;
  readonly size: Expr;
}
