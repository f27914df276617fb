/** The arithmetic of doubles in whole numbers, for all operands and modes (what is quick stands in quick.ts). Each routine gives what the target register becomes and sets FPSCR. */
import type { Expr, Routine, Semantics } from '../semantics.ts';
import { extendedQuotient, highProduct } from '../wide.ts';
import { FPSCR } from './fpscr.ts';
import {
  bitsOf,
  DEFAULT_NAN,
  EXACT,
  FINISH,
  INFINITY,
  isInfinite,
  isNegative,
  isNotNumber,
  isZero,
  numberOf,
  quieted,
  SIGN,
  shiftedSticky,
  signalling,
  unpacked,
} from './number.ts';

const sign64 = (s: Semantics, negative: Expr): Expr => s.shl(s.extendUnsigned(negative), 63);

/** The first of the operands that is a NaN, made quiet; else the default NaN. */
function propagated(s: Semantics, ...operands: Expr[]): Expr {
  return operands.reduceRight<Expr>(
    (rest, operand) => s.let(s.select(isNotNumber(s, operand), quieted(s, operand), rest)),
    s.i64(DEFAULT_NAN),
  );
}

const anyNaN = (s: Semantics, ...operands: Expr[]): Expr =>
  operands.map((operand) => isNotNumber(s, operand)).reduce((all, one) => s.or(all, one));
const anySignalling = (s: Semantics, ...operands: Expr[]): Expr =>
  operands.map((operand) => signalling(s, operand)).reduce((all, one) => s.or(all, one));

/** The sign of an exact zero sum: minus when rounding toward -infinity. */
const zeroSum = (s: Semantics): Expr => s.select(s.eq(s.and(s.state('fpscr'), FPSCR.RN), 3), s.i64(SIGN), s.i64(0));

/** (a, b, format, old) → a + b. */
export const EXACT_ADD: Routine = {
  name: 'floatExactAdd',
  params: ['i64', 'i64', 'i32', 'i64'],
  result: 'i64',
  body: (s, a, b, format, old) => {
    const result = s.cell(old);
    const exact = (value: Expr, causes: Expr): void => result.set(s.invoke(EXACT, value, causes, format, old));
    const [negativeA, negativeB] = [s.let(isNegative(s, a)), s.let(isNegative(s, b))];
    const differ = s.let(s.xor(negativeA, negativeB));
    const [infiniteA, infiniteB] = [s.let(isInfinite(s, a)), s.let(isInfinite(s, b))];
    s.if(
      anyNaN(s, a, b),
      () => exact(propagated(s, a, b), anySignalling(s, a, b)),
      () =>
        s.if(
          s.or(infiniteA, infiniteB),
          () => {
            const invalid = s.let(s.and(s.and(infiniteA, infiniteB), differ));
            const value = s.select(invalid, s.i64(DEFAULT_NAN), s.select(infiniteA, a, b));
            exact(value, s.select(invalid, FPSCR.VXISI, 0));
          },
          () => addFinite(s, { a, b, negativeA, negativeB, differ, format }, exact, (value) => result.set(value)),
        ),
    );
    return result.get();
  },
};

interface Sum {
  readonly a: Expr;
  readonly b: Expr;
  readonly negativeA: Expr;
  readonly negativeB: Expr;
  readonly differ: Expr;
  readonly format: Expr;
}

function addFinite(
  s: Semantics,
  { a, b, negativeA, negativeB, differ, format }: Sum,
  exact: (value: Expr, causes: Expr) => void,
  set: (value: Expr) => void,
): void {
  const [zeroA, zeroB] = [s.let(isZero(s, a)), s.let(isZero(s, b))];
  s.if(
    s.and(zeroA, zeroB),
    () => exact(s.select(differ, zeroSum(s), a), s.i32(0)),
    () => {
      // A zero operand is the other one with nothing to add: its significand is made zero.
      const [x, y] = [unpacked(s, a), unpacked(s, b)];
      const swap = s.let(s.ltUnsigned(s.and(a, s.i64(~SIGN)), s.and(b, s.i64(~SIGN))));
      const [xs, ys] = [
        s.let(s.select(zeroA, s.i64(0), s.shrUnsigned(x.significand, 1))),
        s.let(s.select(zeroB, s.i64(0), s.shrUnsigned(y.significand, 1))),
      ];
      const high = s.let(s.select(swap, ys, xs));
      const low = s.let(s.select(swap, xs, ys));
      const exponent = s.let(s.select(swap, y.exponent, x.exponent));
      const other = s.select(swap, x.exponent, y.exponent);
      const distance = s.let(s.extendUnsigned(s.select(s.eqz(low), 0, s.sub(exponent, other))));
      const aligned = s.let(shiftedSticky(s, low, distance));
      const sum = s.let(s.select(differ, s.sub(high, aligned), s.add(high, aligned)));
      s.if(
        s.eqz(sum),
        () => exact(zeroSum(s), s.i32(0)),
        () => {
          const zeros = s.let(s.clz(sum));
          const negative = s.select(swap, negativeB, negativeA);
          const at = s.sub(s.add(exponent, 1), s.wrap(zeros));
          set(s.invoke(FINISH, negative, at, s.shl(sum, zeros), format, s.i32(0)));
        },
      );
    },
  );
}

/** (a, b, format, old) → a · b. */
export const EXACT_MULTIPLY: Routine = {
  name: 'floatExactMultiply',
  params: ['i64', 'i64', 'i32', 'i64'],
  result: 'i64',
  body: (s, a, b, format, old) => {
    const result = s.cell(old);
    const exact = (value: Expr, causes: Expr): void => result.set(s.invoke(EXACT, value, causes, format, old));
    const negative = s.let(isNegative(s, s.xor(a, b)));
    const infinite = s.let(s.or(isInfinite(s, a), isInfinite(s, b)));
    const zero = s.let(s.or(isZero(s, a), isZero(s, b)));
    s.if(
      anyNaN(s, a, b),
      () => exact(propagated(s, a, b), anySignalling(s, a, b)),
      () =>
        s.if(
          s.or(infinite, zero),
          () => {
            const invalid = s.let(s.and(infinite, zero));
            const value = s.or(s.select(infinite, s.i64(INFINITY), s.i64(0)), sign64(s, negative));
            exact(s.select(invalid, s.i64(DEFAULT_NAN), value), s.select(invalid, FPSCR.VXIMZ, 0));
          },
          () => {
            const [x, y] = [unpacked(s, a), unpacked(s, b)];
            const { high, low, exponent } = product(s, x, y);
            const significand = s.or(high, s.extendUnsigned(s.ne(low, s.i64(0))));
            result.set(s.invoke(FINISH, negative, exponent, significand, format, s.i32(0)));
          },
        ),
    );
    return result.get();
  },
};

type Finite = ReturnType<typeof unpacked>;

/** The 128 bits of a product, the highest one set. */
function product(s: Semantics, x: Finite, y: Finite): { high: Expr; low: Expr; exponent: Expr } {
  const high = s.let(highProduct(s, x.significand, y.significand));
  const low = s.let(s.mul(x.significand, y.significand));
  const shift = s.let(s.clz(high));
  const carried = s.select(s.eqz(shift), s.i64(0), s.shrUnsigned(low, 63));
  return {
    high: s.let(s.or(s.shl(high, shift), carried)),
    low: s.let(s.shl(low, shift)),
    exponent: s.let(s.sub(s.add(s.add(x.exponent, y.exponent), 1), s.wrap(shift))),
  };
}

/** (a, b, format, old) → a ÷ b. */
export const EXACT_DIVIDE: Routine = {
  name: 'floatExactDivide',
  params: ['i64', 'i64', 'i32', 'i64'],
  result: 'i64',
  body: (s, a, b, format, old) => {
    const result = s.cell(old);
    const exact = (value: Expr, causes: Expr): void => result.set(s.invoke(EXACT, value, causes, format, old));
    const negative = s.let(isNegative(s, s.xor(a, b)));
    const [infiniteA, infiniteB] = [s.let(isInfinite(s, a)), s.let(isInfinite(s, b))];
    const [zeroA, zeroB] = [s.let(isZero(s, a)), s.let(isZero(s, b))];
    s.if(
      anyNaN(s, a, b),
      () => exact(propagated(s, a, b), anySignalling(s, a, b)),
      () =>
        s.if(
          s.or(s.or(infiniteA, infiniteB), s.or(zeroA, zeroB)),
          () => {
            const bothInfinite = s.and(infiniteA, infiniteB);
            const bothZero = s.and(zeroA, zeroB);
            const invalid = s.let(s.or(bothInfinite, bothZero));
            const byZero = s.and(zeroB, s.eqz(s.or(infiniteA, invalid)));
            const large = s.or(infiniteA, zeroB);
            const value = s.or(s.select(large, s.i64(INFINITY), s.i64(0)), sign64(s, negative));
            const causes = s.or(
              s.or(s.select(bothInfinite, FPSCR.VXIDI, 0), s.select(bothZero, FPSCR.VXZDZ, 0)),
              s.select(byZero, FPSCR.ZX, 0),
            );
            exact(s.select(invalid, s.i64(DEFAULT_NAN), value), causes);
          },
          () => {
            const [x, y] = [unpacked(s, a), unpacked(s, b)];
            const quotient = s.let(extendedQuotient(s, s.let(s.shrUnsigned(x.significand, 1)), y.significand));
            const sticky = s.ne(s.mul(quotient, y.significand), s.i64(0));
            const shift = s.let(s.clz(quotient));
            const significand = s.or(s.shl(quotient, shift), s.extendUnsigned(sticky));
            const exponent = s.sub(s.sub(x.exponent, y.exponent), s.wrap(shift));
            result.set(s.invoke(FINISH, negative, exponent, significand, format, s.i32(0)));
          },
        ),
    );
    return result.get();
  },
};

/** (a, format, old) → √a. */
export const EXACT_SQUARE_ROOT: Routine = {
  name: 'floatExactSquareRoot',
  params: ['i64', 'i32', 'i64'],
  result: 'i64',
  body: (s, a, format, old) => {
    const result = s.cell(old);
    const exact = (value: Expr, causes: Expr): void => result.set(s.invoke(EXACT, value, causes, format, old));
    s.if(
      isNotNumber(s, a),
      () => exact(quieted(s, a), signalling(s, a)),
      () =>
        s.if(
          s.or(isZero(s, a), s.or(isNegative(s, a), isInfinite(s, a))),
          () => {
            const invalid = s.let(s.and(isNegative(s, a), s.eqz(isZero(s, a))));
            exact(s.select(invalid, s.i64(DEFAULT_NAN), a), s.select(invalid, FPSCR.VXSQRT, 0));
          },
          () => {
            // The root of a number between 1 and 4 to 53 bits; the sign of what is missing tells the rest.
            const { exponent, significand } = unpacked(s, a);
            const odd = s.let(s.and(exponent, 1));
            const FRACTION_BITS = 52;
            const biased = s.shl(s.extendUnsigned(s.add(odd, 1023)), FRACTION_BITS);
            const fraction = s.shrUnsigned(s.shl(significand, 1), 12);
            const root = s.let(bitsOf(s, s.float('f64.sqrt', numberOf(s, s.or(biased, fraction)))));
            const HIDDEN = 0x0010_0000_0000_0000n;
            const digits = s.let(s.or(s.and(root, s.i64(HIDDEN - 1n)), s.i64(HIDDEN)));
            const square = s.mul(digits, digits);
            const radicand = s.shl(s.shrUnsigned(significand, 11), s.extendUnsigned(s.add(odd, FRACTION_BITS)));
            const missing = s.let(s.sub(radicand, square));
            const correction = s.sub(
              s.extendUnsigned(s.gtSigned(missing, s.i64(0))),
              s.extendUnsigned(s.ltSigned(missing, s.i64(0))),
            );
            const whole = s.let(s.add(s.shl(digits, 11), correction));
            const shift = s.let(s.clz(whole));
            const half = s.shrSigned(s.sub(exponent, odd), 1);
            result.set(s.invoke(FINISH, s.i32(0), s.sub(half, s.wrap(shift)), s.shl(whole, shift), format, s.i32(0)));
          },
        ),
    );
    return result.get();
  },
};

/** 128 bits shifted right by a pinned i64 below 2^31, what is lost kept in the lowest bit. */
function shiftedSticky128(s: Semantics, high: Expr, low: Expr, n: Expr): { high: Expr; low: Expr } {
  const whole = s.let(s.geUnsigned(n, s.i64(64)));
  const rest = s.let(s.select(whole, s.sub(n, s.i64(64)), n));
  // First by 64, then by what remains.
  const h = s.let(s.select(whole, s.i64(0), high));
  const lost = s.extendUnsigned(s.and(whole, s.ne(low, s.i64(0))));
  const l = s.let(s.select(whole, s.or(high, lost), low));
  const far = s.let(s.geUnsigned(rest, s.i64(64)));
  const from = s.let(s.and(rest, s.i64(63)));
  const carried = s.select(s.eqz(from), s.i64(0), s.shl(h, s.sub(s.i64(64), from)));
  const kept = s.let(s.shrUnsigned(l, from));
  const sticky = s.extendUnsigned(s.ne(s.shl(kept, from), l));
  const any = s.extendUnsigned(s.ne(s.or(h, l), s.i64(0)));
  return {
    high: s.let(s.select(far, s.i64(0), s.shrUnsigned(h, from))),
    low: s.let(s.select(far, any, s.or(s.or(kept, carried), sticky))),
  };
}

/** (a, c, b, subtracts, format, old) → a · c ± b. */
export const EXACT_MULTIPLY_ADD: Routine = {
  name: 'floatExactMultiplyAdd',
  params: ['i64', 'i64', 'i64', 'i32', 'i32', 'i64'],
  result: 'i64',
  body: (s, a, c, addend, subtracts, format, old) => {
    const result = s.cell(old);
    const exact = (value: Expr, causes: Expr): void => result.set(s.invoke(EXACT, value, causes, format, old));
    const b = s.let(s.xor(addend, sign64(s, subtracts)));
    const negativeProduct = s.let(isNegative(s, s.xor(a, c)));
    const infiniteProduct = s.let(s.or(isInfinite(s, a), isInfinite(s, c)));
    const zeroProduct = s.let(s.or(isZero(s, a), isZero(s, c)));
    const impossible = s.let(s.and(infiniteProduct, zeroProduct));
    const infinite = s.let(isInfinite(s, b));
    const differ = s.let(s.xor(negativeProduct, isNegative(s, b)));
    s.if(
      s.or(anyNaN(s, a, addend, c), impossible),
      () => {
        const invalid = s.select(s.and(impossible, s.eqz(s.or(isNotNumber(s, a), isNotNumber(s, c)))), FPSCR.VXIMZ, 0);
        exact(propagated(s, a, addend, c), s.or(anySignalling(s, a, addend, c), invalid));
      },
      () =>
        s.if(
          s.or(infiniteProduct, infinite),
          () => {
            const invalid = s.let(s.and(s.and(infiniteProduct, infinite), differ));
            const sum = s.select(infiniteProduct, s.or(s.i64(INFINITY), sign64(s, negativeProduct)), b);
            exact(s.select(invalid, s.i64(DEFAULT_NAN), sum), s.select(invalid, FPSCR.VXISI, 0));
          },
          () =>
            s.if(
              zeroProduct,
              () => {
                const zero = s.or(s.i64(0), sign64(s, negativeProduct));
                result.set(s.invoke(EXACT_ADD, zero, b, format, old));
              },
              () => addProduct(s, { a, b, c, negativeProduct, differ, format }, exact, (value) => result.set(value)),
            ),
        ),
    );
    return result.get();
  },
};

interface FusedSum {
  readonly a: Expr;
  readonly b: Expr;
  readonly c: Expr;
  readonly negativeProduct: Expr;
  readonly differ: Expr;
  readonly format: Expr;
}

/** A product of finite numbers that is not zero, and a finite number. */
function addProduct(
  s: Semantics,
  { a, b, c, negativeProduct, differ, format }: FusedSum,
  exact: (value: Expr, causes: Expr) => void,
  set: (value: Expr) => void,
): void {
  const p = product(s, unpacked(s, a), unpacked(s, c));
  const y = unpacked(s, b);
  const zero = s.let(isZero(s, b));
  const [ph, pl] = halved(s, p.high, p.low);
  const [yh, yl] = halved(s, s.let(s.select(zero, s.i64(0), y.significand)), s.i64(0));
  // Far below whatever it meets.
  const ye = s.let(s.select(zero, s.sub(p.exponent, 300), y.exponent));
  const sameExponent = s.eq(p.exponent, ye);
  const lessHigh = s.or(s.ltUnsigned(ph, yh), s.and(s.eq(ph, yh), s.ltUnsigned(pl, yl)));
  const swap = s.let(s.or(s.ltSigned(p.exponent, ye), s.and(sameExponent, lessHigh)));
  const pick = (one: Expr, other: Expr): Expr => s.let(s.select(swap, one, other));
  const [highH, highL] = [pick(yh, ph), pick(yl, pl)];
  const exponent = pick(ye, p.exponent);
  const distance = s.let(s.extendUnsigned(s.sub(exponent, pick(p.exponent, ye))));
  const low = shiftedSticky128(s, pick(ph, yh), pick(pl, yl), distance);
  const sumLow = s.let(s.select(differ, s.sub(highL, low.low), s.add(highL, low.low)));
  const borrow = s.extendUnsigned(s.ltUnsigned(highL, low.low));
  const carry = s.extendUnsigned(s.ltUnsigned(sumLow, highL));
  const sumHigh = s.let(s.select(differ, s.sub(s.sub(highH, low.high), borrow), s.add(s.add(highH, low.high), carry)));
  s.if(
    s.eqz(s.or(sumHigh, sumLow)),
    () => exact(zeroSum(s), s.i32(0)),
    () => {
      const upper = s.let(s.ne(sumHigh, s.i64(0)));
      const first = s.let(s.select(upper, sumHigh, sumLow));
      const second = s.let(s.select(upper, sumLow, s.i64(0)));
      const zeros = s.let(s.clz(first));
      const carried = s.select(s.eqz(zeros), s.i64(0), s.shrUnsigned(second, s.sub(s.i64(64), zeros)));
      const sticky = s.extendUnsigned(s.ne(s.shl(second, zeros), s.i64(0)));
      const significand = s.or(s.or(s.shl(first, zeros), carried), sticky);
      const skipped = s.add(s.wrap(zeros), s.select(upper, 0, s.i32(64)));
      const negative = s.xor(negativeProduct, s.and(swap, differ));
      set(s.invoke(FINISH, negative, s.sub(s.add(exponent, 1), skipped), significand, format, s.i32(0)));
    },
  );
}

/** 128 bits shifted right by one: nothing is lost of a product. */
function halved(s: Semantics, high: Expr, low: Expr): [Expr, Expr] {
  return [s.let(s.shrUnsigned(high, 1)), s.let(s.or(s.shrUnsigned(low, 1), s.shl(high, 63)))];
}
