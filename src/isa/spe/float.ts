/**
 * Embedded floating point as the hardware has it (SPE Programming Environments Manual, chapter 4 and appendix "Results
 * Summary"): numbers of ordinary size are rounded as IEEE 754 has it, to nearest or toward zero. Infinities and NaNs stand
 * for the largest number of their sign, denormals for zero, and so do results that are too large or too small: each is
 * flagged, and the operating system makes of it what IEEE 754 wants. The flags of a result are left in `speFlags`.
 */
import type { Expr, Routine, Semantics } from '../semantics.ts';
import { extendedQuotient, highProduct } from '../wide.ts';
import { SPEFSCR, truncates } from './status.ts';

const { FG, FX, FINV, FDBZ, FUNF, FOVF } = SPEFSCR;

/** A format of numbers: the width of the fraction and of all, what the exponent is counted from. */
export interface Format {
  readonly name: 'Single' | 'Double';
  readonly fraction: number;
  readonly bits: 32 | 64;
  readonly bias: number;
}
export const SINGLE: Format = { name: 'Single', fraction: 23, bits: 32, bias: 127 };
export const DOUBLE: Format = { name: 'Double', fraction: 52, bits: 64, bias: 1023 };

const signBit = ({ bits }: Format): bigint => 1n << BigInt(bits - 1);
const exponents = ({ bias }: Format): number => 2 * bias + 1;
const largestOf = (format: Format): bigint => (BigInt(exponents(format)) << BigInt(format.fraction)) - 1n;
/** How far a significand whose highest bit is the highest of a doubleword goes beyond the format's. */
const spare = ({ fraction }: Format): number => 63 - fraction;

/** A number taken apart; all but `significand` are right for every number. */
interface Parts {
  /** Its sign, at the sign's place. */
  readonly sign: Expr;
  /** Infinity or NaN. */
  readonly isSpecial: Expr;
  /** Zero or a denormal. */
  readonly isZero: Expr;
  /** Infinity, NaN or a denormal, 0 or 1. */
  readonly isInvalid: Expr;
  readonly exponent: Expr;
  /** With the highest bit of a doubleword set. */
  readonly significand: Expr;
}

function partsOf(s: Semantics, format: Format, bits: Expr): Parts {
  const biased = s.let(s.and(s.wrap(s.shrUnsigned(bits, format.fraction)), exponents(format)));
  const fraction = s.let(s.and(bits, s.i64((1n << BigInt(format.fraction)) - 1n)));
  const isSpecial = s.let(s.eq(biased, exponents(format)));
  const isZero = s.let(s.eqz(biased));
  const hidden = s.i64(1n << 63n);
  return {
    sign: s.let(s.and(bits, s.i64(signBit(format)))),
    isSpecial,
    isZero,
    isInvalid: s.let(s.or(isSpecial, s.and(isZero, s.ne(fraction, s.i64(0))))),
    exponent: s.let(s.sub(biased, format.bias)),
    significand: s.let(s.or(s.shl(fraction, spare(format)), hidden)),
  };
}

/** A doubleword shifted right by a pinned i64 amount, what is lost being kept in its lowest bit. */
function shiftedSticky(s: Semantics, value: Expr, n: Expr): Expr {
  const kept = s.let(s.shrUnsigned(value, n));
  const lost = s.extendUnsigned(s.ne(s.shl(kept, n), value));
  return s.select(s.ltUnsigned(n, s.i64(64)), s.or(kept, lost), s.extendUnsigned(s.ne(value, s.i64(0))));
}

/** (sign, exponent, significand with its highest bit set) → the number, rounded or cut off; its flags are added. */
const finish = (format: Format): Routine => ({
  name: `speFinish${format.name}`,
  params: ['i64', 'i32', 'i64'],
  result: 'i64',
  body: (s, sign, exponent, significand) => {
    const dropped = spare(format);
    const kept = s.let(s.shrUnsigned(significand, dropped));
    const guard = s.let(s.and(s.wrap(s.shrUnsigned(significand, dropped - 1)), 1));
    const rest = s.let(s.ne(s.and(significand, s.i64((1n << BigInt(dropped - 1)) - 1n)), s.i64(0)));
    const odd = s.wrap(s.and(kept, s.i64(1)));
    const up = s.and(s.and(guard, s.or(rest, odd)), s.eqz(truncates(s)));
    const rounded = s.let(s.add(kept, s.extendUnsigned(up)));
    const carry = s.wrap(s.shrUnsigned(rounded, format.fraction + 1));
    const isTiny = s.let(s.ltSigned(exponent, 1 - format.bias));
    const overflows = s.let(s.gtSigned(s.add(exponent, carry), format.bias));
    // The hidden bit adds one to the exponent.
    const packed = s.add(s.shl(s.extendSigned(s.add(exponent, format.bias - 1)), format.fraction), rounded);
    const magnitude = s.select(isTiny, s.i64(0), s.select(overflows, s.i64(largestOf(format)), packed));
    const inexact = s.or(s.select(guard, FG, 0), s.select(rest, FX, 0));
    const flags = s.select(isTiny, FUNF, s.select(overflows, FOVF, inexact));
    s.setState('speFlags', s.or(s.state('speFlags'), flags));
    return s.or(magnitude, sign);
  },
});

const FINISH = { Single: finish(SINGLE), Double: finish(DOUBLE) };

/** Begins an operation: the flag of operands that are no numbers. */
function begin(s: Semantics, ...operands: Parts[]): void {
  const invalid = operands.map(({ isInvalid }) => isInvalid).reduce((any, one) => s.or(any, one));
  s.setState('speFlags', s.select(invalid, FINV, 0));
}

/** A routine's answer that is one of several, by conditions in their order. */
function firstOf(s: Semantics, cases: readonly (readonly [Expr, () => Expr])[], otherwise: () => Expr): Expr {
  const answer = s.cell(s.i64(0));
  const rest = (from: number): void => {
    const one = cases[from];
    if (one === undefined) answer.set(otherwise());
    else
      s.if(
        one[0],
        () => answer.set(one[1]()),
        () => rest(from + 1),
      );
  };
  rest(0);
  return answer.get();
}

/** (a, b) → a + b. */
const add = (format: Format): Routine => ({
  name: `speAdd${format.name}`,
  params: ['i64', 'i64'],
  result: 'i64',
  body: (s, a, b) => {
    const [x, y] = [partsOf(s, format, a), partsOf(s, format, b)];
    begin(s, x, y);
    const largest = s.i64(largestOf(format));
    const differ = s.let(s.ne(x.sign, y.sign));
    // An exact zero is negative only where all is rounded down.
    const zeroSign = (): Expr =>
      s.select(s.eq(s.and(s.state('spefscr'), SPEFSCR.FRMC), 3), s.i64(signBit(format)), s.i64(0));
    return firstOf(
      s,
      [
        [x.isSpecial, () => s.or(x.sign, largest)],
        [y.isSpecial, () => s.or(y.sign, largest)],
        [s.and(x.isZero, y.isZero), () => s.select(differ, zeroSign(), x.sign)],
        [x.isZero, () => b],
        [y.isZero, () => a],
      ],
      () => {
        const swap = s.let(s.ltUnsigned(s.xor(a, x.sign), s.xor(b, y.sign)));
        const high = s.let(s.shrUnsigned(s.select(swap, y.significand, x.significand), 1));
        const low = s.let(s.shrUnsigned(s.select(swap, x.significand, y.significand), 1));
        const exponent = s.let(s.select(swap, y.exponent, x.exponent));
        const distance = s.let(s.extendUnsigned(s.sub(exponent, s.select(swap, x.exponent, y.exponent))));
        const aligned = s.let(shiftedSticky(s, low, distance));
        const sum = s.let(s.select(differ, s.sub(high, aligned), s.add(high, aligned)));
        return firstOf(s, [[s.eqz(sum), zeroSign]], () => {
          const zeros = s.let(s.clz(sum));
          const at = s.let(s.sub(s.add(exponent, 1), s.wrap(zeros)));
          return s.invoke(FINISH[format.name], s.let(s.select(swap, y.sign, x.sign)), at, s.let(s.shl(sum, zeros)));
        });
      },
    );
  },
});

/** (a, b) → a · b. */
const multiply = (format: Format): Routine => ({
  name: `speMultiply${format.name}`,
  params: ['i64', 'i64'],
  result: 'i64',
  body: (s, a, b) => {
    const [x, y] = [partsOf(s, format, a), partsOf(s, format, b)];
    begin(s, x, y);
    const sign = s.let(s.xor(x.sign, y.sign));
    return firstOf(
      s,
      [
        [s.or(x.isZero, y.isZero), () => sign],
        [s.or(x.isSpecial, y.isSpecial), () => s.or(sign, s.i64(largestOf(format)))],
      ],
      () => {
        const high = s.let(highProduct(s, x.significand, y.significand));
        const low = s.let(s.mul(x.significand, y.significand));
        // The product of two numbers from 1 on, below 2.
        const isBelow = s.let(s.geSigned(high, s.i64(0)));
        const normal = s.select(isBelow, s.or(s.shl(high, 1), s.shrUnsigned(low, 63)), high);
        const rest = s.select(isBelow, s.shl(low, 1), low);
        const significand = s.let(s.or(normal, s.extendUnsigned(s.ne(rest, s.i64(0)))));
        const exponent = s.let(s.sub(s.add(s.add(x.exponent, y.exponent), 1), isBelow));
        return s.invoke(FINISH[format.name], sign, exponent, significand);
      },
    );
  },
});

/** (a, b) → a ÷ b. */
const divide = (format: Format): Routine => ({
  name: `speDivide${format.name}`,
  params: ['i64', 'i64'],
  result: 'i64',
  body: (s, a, b) => {
    const [x, y] = [partsOf(s, format, a), partsOf(s, format, b)];
    begin(s, x, y);
    const sign = s.let(s.xor(x.sign, y.sign));
    const largest = (): Expr => s.or(sign, s.i64(largestOf(format)));
    return firstOf(
      s,
      [
        [y.isSpecial, () => sign],
        [x.isSpecial, largest],
        [
          y.isZero,
          () => {
            // A number by a true zero; what is divided by a denormal, and zero itself, are invalid.
            const invalid = s.or(x.isZero, s.ne(s.state('speFlags'), 0));
            s.setState('speFlags', s.select(invalid, FINV, FDBZ));
            return largest();
          },
        ],
        [x.isZero, () => sign],
      ],
      () => {
        const half = s.let(s.shrUnsigned(x.significand, 1));
        const quotient = s.let(extendedQuotient(s, half, y.significand));
        const rest = s.ne(s.mul(quotient, y.significand), s.i64(0));
        const zeros = s.let(s.clz(quotient));
        const normal = s.or(s.shl(quotient, zeros), s.extendUnsigned(rest));
        const exponent = s.let(s.sub(s.sub(x.exponent, y.exponent), s.wrap(zeros)));
        return s.invoke(FINISH[format.name], sign, exponent, s.let(normal));
      },
    );
  },
});

/** (sign at its place, magnitude, scale) → magnitude / 2^scale. */
const fromInteger = (format: Format): Routine => ({
  name: `speFromInteger${format.name}`,
  params: ['i64', 'i64', 'i32'],
  result: 'i64',
  body: (s, sign, magnitude, scale) => {
    s.setState('speFlags', s.i32(0));
    return firstOf(s, [[s.eqz(magnitude), () => s.i64(0)]], () => {
      const zeros = s.let(s.clz(magnitude));
      const exponent = s.let(s.sub(s.sub(63, s.wrap(zeros)), scale));
      return s.invoke(FINISH[format.name], sign, exponent, s.let(s.shl(magnitude, zeros)));
    });
  },
});

/** What `toInteger` is to make: bits of its second argument. */
export const TO_INTEGER = { SIGNED: 1, FRACTION: 2, TOWARD_ZERO: 4 } as const;

/** (number, bits of TO_INTEGER) → an integer or fraction of 32 bits, bounded. NaNs count as zero. */
const toInteger = (format: Format): Routine => ({
  name: `speToInteger${format.name}`,
  params: ['i64', 'i32'],
  result: 'i64',
  body: (s, a, kind) => {
    const x = partsOf(s, format, a);
    begin(s, x);
    const signed = s.let(s.and(kind, TO_INTEGER.SIGNED));
    const negative = s.let(s.ne(x.sign, s.i64(0)));
    const bound = s.let(
      s.select(
        signed,
        s.select(negative, s.i64(0x8000_0000n), s.i64(0x7fff_ffffn)),
        s.select(negative, s.i64(0), s.i64(0xffff_ffffn)),
      ),
    );
    const isInfinite = s.eq(s.xor(a, x.sign), s.i64(largestOf(format) + 1n));
    return firstOf(
      s,
      [
        [x.isZero, () => s.i64(0)],
        [isInfinite, () => bound],
        [x.isSpecial, () => s.i64(0)],
      ],
      () => {
        const scale = s.select(s.and(kind, TO_INTEGER.FRACTION), s.sub(32, signed), 0);
        const exponent = s.let(s.add(x.exponent, scale));
        // From 2^33 on all is too large; below 2^-2 all that matters is that something is there.
        const isLarge = s.let(s.gtSigned(exponent, 32));
        const from = s.let(s.select(isLarge, 32, s.select(s.ltSigned(exponent, -2), -2, exponent)));
        const twice = s.let(shiftedSticky(s, x.significand, s.let(s.extendSigned(s.sub(61, from)))));
        // Two bits behind the point: the first that goes, and whether anything follows.
        const kept = s.let(s.shrUnsigned(twice, 2));
        const guard = s.let(s.and(s.wrap(s.shrUnsigned(twice, 1)), 1));
        const rest = s.let(s.wrap(s.and(twice, s.i64(1))));
        const nearest = s.eqz(s.or(truncates(s), s.and(kind, TO_INTEGER.TOWARD_ZERO)));
        const up = s.and(s.and(guard, s.or(rest, s.wrap(s.and(kept, s.i64(1))))), nearest);
        const magnitude = s.let(s.add(kept, s.extendUnsigned(up)));
        const exceeds = s.let(s.or(isLarge, s.gtUnsigned(magnitude, bound)));
        const inexact = s.or(s.select(guard, FG, 0), s.select(rest, FX, 0));
        s.setState('speFlags', s.or(s.state('speFlags'), s.select(exceeds, FINV, inexact)));
        const value = s.select(negative, s.sub(s.i64(0), magnitude), magnitude);
        return s.and(s.select(exceeds, bound, value), s.i64(0xffff_ffffn));
      },
    );
  },
});

/** A number of one format in the other. */
const convert = (from: Format, to: Format): Routine => ({
  name: `speTo${to.name}`,
  params: ['i64'],
  result: 'i64',
  body: (s, a) => {
    const x = partsOf(s, from, a);
    begin(s, x);
    const sign = s.let(s.select(s.ne(x.sign, s.i64(0)), s.i64(signBit(to)), s.i64(0)));
    return firstOf(
      s,
      [
        [x.isSpecial, () => s.or(sign, s.i64(largestOf(to)))],
        [x.isZero, () => sign],
      ],
      () => s.invoke(FINISH[to.name], sign, x.exponent, x.significand),
    );
  },
});

export const SPE_FLOAT = {
  Single: {
    add: add(SINGLE),
    multiply: multiply(SINGLE),
    divide: divide(SINGLE),
    fromInteger: fromInteger(SINGLE),
    toInteger: toInteger(SINGLE),
    convert: convert(DOUBLE, SINGLE),
  },
  Double: {
    add: add(DOUBLE),
    multiply: multiply(DOUBLE),
    divide: divide(DOUBLE),
    fromInteger: fromInteger(DOUBLE),
    toInteger: toInteger(DOUBLE),
    convert: convert(SINGLE, DOUBLE),
  },
} as const;

/** The routines of SPE, in the order in which back ends number them. */
export const SPE_ROUTINES: readonly Routine[] = [
  ...Object.values(FINISH),
  ...Object.values(SPE_FLOAT.Single),
  ...Object.values(SPE_FLOAT.Double),
];
