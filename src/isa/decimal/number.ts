/**
 * Decimal floating-point numbers taken apart and put together: Power ISA 2.07 Book I, 5.3–5.4. A coefficient is BCD in
 * limbs of fifteen digits, five declets, the least first; the four bits that are left catch a carry.
 */
import type { Cell, Expr, Routine, Semantics } from '../semantics.ts';
import { BCD_OF_DECLET, convertGroup, DECLET_OF_BCD } from './declets.ts';

/** Pinned limbs, the least first. */
export type Limbs = readonly Expr[];
export const DIGITS_IN_LIMB = 15;
const LIMB = (1n << 60n) - 1n;
const DECLETS = (1n << 50n) - 1n;

/** Formats, an argument of all routines: 0 long (16 digits), 1 extended (34 digits), 2 short (7 digits): only a result. */
export const LONG = 0;
export const EXTENDED = 1;
export const SHORT = 2;
const byFormat =
  (long: number, extended: number, short: number) =>
  (s: Semantics, format: Expr): Expr =>
    s.select(s.eq(format, EXTENDED), extended, s.select(s.eq(format, SHORT), short, s.i32(long)));
export const precision = byFormat(16, 34, 7);
export const bias = byFormat(398, 6176, 101);
/** The largest biased exponent. */
export const mostExponent = byFormat(767, 12287, 191);
/** The number of places by which the exponent is adjusted after an enabled overflow or underflow. */
export const adjustment = byFormat(576, 9216, 192);

/** Five declets → fifteen digits. */
export const FROM_DECLETS: Routine = {
  name: 'decimalFromDeclets',
  params: ['i64'],
  result: 'i64',
  body: (s, declets) => {
    let digits: Expr = s.i64(0);
    for (let i = 0; i < 5; i++)
      digits = s.let(s.or(digits, s.shl(convertGroup(s, BCD_OF_DECLET, declets, 10 * i), 12 * i)));
    return digits;
  },
};

/** Fifteen digits → five declets. */
export const TO_DECLETS: Routine = {
  name: 'decimalToDeclets',
  params: ['i64'],
  result: 'i64',
  body: (s, digits) => {
    let declets: Expr = s.i64(0);
    for (let i = 0; i < 5; i++)
      declets = s.let(s.or(declets, s.shl(convertGroup(s, DECLET_OF_BCD, digits, 12 * i), 10 * i)));
    return declets;
  },
};

/** A number's doublewords, pinned; in the long format only the first one counts. */
export interface Decimal {
  readonly high: Expr;
  readonly low: Expr;
}

const combination = (s: Semantics, high: Expr): Expr => s.and(s.wrap(s.shrUnsigned(high, 58)), 31);
export const isNegative = (s: Semantics, high: Expr): Expr => s.ltSigned(high, s.i64(0));
export const isInfinite = (s: Semantics, high: Expr): Expr => s.eq(combination(s, high), 30);
export const isNotNumber = (s: Semantics, high: Expr): Expr => s.eq(combination(s, high), 31);
export const isSpecial = (s: Semantics, high: Expr): Expr => s.geUnsigned(combination(s, high), 30);
const SIGNALS = 0x7e00_0000_0000_0000n;
const QUIET = ~0x0200_0000_0000_0000n;
export const isSignalling = (s: Semantics, high: Expr): Expr => s.eq(s.and(high, s.i64(SIGNALS)), s.i64(SIGNALS));

/** The biased exponent of a finite number. */
export function exponentOf(s: Semantics, high: Expr, format: Expr): Expr {
  const first = s.let(combination(s, high));
  const upper = s.let(s.select(s.ltUnsigned(first, 24), s.shrUnsigned(first, 3), s.and(s.shrUnsigned(first, 1), 3)));
  const long = s.or(s.shl(upper, 8), s.and(s.wrap(s.shrUnsigned(high, 50)), 0xff));
  const extended = s.or(s.shl(upper, 12), s.and(s.wrap(s.shrUnsigned(high, 46)), 0xfff));
  return s.let(s.select(format, extended, long));
}

/** The digits, three limbs; of infinities and NaNs without the leftmost one. */
export function limbsOf(s: Semantics, { high, low }: Decimal, format: Expr): [Expr, Expr, Expr] {
  const first = s.let(combination(s, high));
  const large = s.select(s.ltUnsigned(first, 30), s.or(8, s.and(first, 1)), 0);
  const leftmost = s.let(s.extendUnsigned(s.select(s.ltUnsigned(first, 24), s.and(first, 7), large)));
  const declets = (bits: Expr): Expr => s.invoke(FROM_DECLETS, s.and(bits, s.i64(DECLETS)));
  const least = declets(s.select(format, low, high));
  const middle = declets(s.or(s.shrUnsigned(low, 50), s.shl(high, 14)));
  const most = declets(s.and(s.shrUnsigned(high, 36), s.i64(0x3ff)));
  return [
    least,
    s.let(s.select(format, middle, leftmost)),
    s.let(s.select(format, s.or(most, s.shl(leftmost, 12)), s.i64(0))),
  ];
}

/** (sign, combination and exponent bits in place, three limbs without the leftmost digit, format) → a number. */
export const ENCODE: Routine = {
  name: 'decimalEncode',
  params: ['i64', 'i64', 'i64', 'i64', 'i32'],
  result: 'i64',
  body: (s, top, least, middle, most, format) => {
    const first = s.invoke(TO_DECLETS, least);
    const second = s.invoke(TO_DECLETS, middle);
    const third = s.invoke(TO_DECLETS, s.and(most, s.i64(0xfff)));
    s.setWideState('decimalLow', s.select(format, s.or(first, s.shl(second, 50)), s.i64(0)));
    const extended = s.or(s.shrUnsigned(second, 14), s.shl(third, 36));
    return s.or(top, s.select(format, extended, first));
  },
};

/** (sign, biased exponent, three limbs, format) → a finite number. */
export const PACK: Routine = {
  name: 'decimalPack',
  params: ['i32', 'i32', 'i64', 'i64', 'i64', 'i32'],
  result: 'i64',
  body: (s, negative, exponent, least, middle, most, format) => {
    const leftmost = s.let(s.and(s.wrap(s.select(format, s.shrUnsigned(most, 12), middle)), 15));
    const upper = s.let(s.shrUnsigned(exponent, s.select(format, 12, s.i32(8))));
    const small = s.or(s.shl(upper, 3), leftmost);
    const large = s.or(24, s.or(s.shl(upper, 1), s.and(leftmost, 1)));
    const first = s.extendUnsigned(s.select(s.ltUnsigned(leftmost, 8), small, large));
    const rest = s.extendUnsigned(exponent);
    const continuation = s.select(format, s.shl(s.and(rest, s.i64(0xfff)), 46), s.shl(s.and(rest, s.i64(0xff)), 50));
    const top = s.or(s.or(s.shl(s.extendUnsigned(negative), 63), s.shl(first, 58)), continuation);
    return s.invoke(ENCODE, s.let(top), least, middle, most, format);
  },
};

/** (sign, biased exponent, seven digits) → a finite number in short format, in the low word. */
export const PACK_SHORT: Routine = {
  name: 'decimalPackShort',
  params: ['i32', 'i32', 'i64'],
  result: 'i64',
  body: (s, negative, exponent, digits) => {
    const leftmost = s.let(s.and(s.wrap(s.shrUnsigned(digits, 24)), 15));
    const upper = s.let(s.shrUnsigned(exponent, 6));
    const small = s.or(s.shl(upper, 3), leftmost);
    const large = s.or(24, s.or(s.shl(upper, 1), s.and(leftmost, 1)));
    const first = s.select(s.ltUnsigned(leftmost, 8), small, large);
    const top = s.or(s.or(s.shl(negative, 31), s.shl(first, 26)), s.shl(s.and(exponent, 63), 20));
    return s.or(s.extendUnsigned(top), s.invoke(TO_DECLETS, s.and(digits, s.i64(0xff_ffff))));
  },
};

const INFINITE = 0x7800_0000_0000_0000n;
const SPECIAL_BITS = 0xfe00_0000_0000_0000n;
export const DEFAULT_NAN = 0x7c00_0000_0000_0000n;

export function infinity(s: Semantics, negative: Expr): Expr {
  s.setWideState('decimalLow', s.i64(0));
  return s.let(s.or(s.i64(INFINITE), s.shl(s.extendUnsigned(negative), 63)));
}

export function defaultNaN(s: Semantics): Expr {
  s.setWideState('decimalLow', s.i64(0));
  return s.i64(DEFAULT_NAN);
}

/** (high, low, format, whether it is made quiet) → an infinity or a NaN with canonical declets. */
export const SPECIAL: Routine = {
  name: 'decimalSpecial',
  params: ['i64', 'i64', 'i32', 'i32'],
  result: 'i64',
  body: (s, high, low, format, quiet) => {
    const kept = s.let(s.and(high, s.i64(SPECIAL_BITS)));
    const top = s.let(s.select(quiet, s.and(kept, s.i64(QUIET)), kept));
    const [least, middle, most] = limbsOf(s, { high, low }, format);
    const nan = s.let(isNotNumber(s, high));
    const digits = (limb: Expr): Expr => s.let(s.select(nan, limb, s.i64(0)));
    return s.invoke(ENCODE, top, digits(least), digits(middle), digits(most), format);
  },
};

/** a + b + carry of one limb, the carry being 0 or 1, an i64. */
function addLimb(s: Semantics, a: Expr, b: Expr, carry: Expr): [limb: Expr, carry: Expr] {
  const biased = s.let(s.add(a, s.i64(0x0666_6666_6666_6666n)));
  const sum = s.let(s.add(s.add(biased, b), carry));
  const carries = s.xor(sum, s.xor(biased, b));
  const without = s.let(s.and(s.not(carries), s.i64(0x1111_1111_1111_1110n)));
  const adjusted = s.let(s.sub(sum, s.or(s.shrUnsigned(without, 2), s.shrUnsigned(without, 3))));
  return [s.let(s.and(adjusted, s.i64(LIMB))), s.let(s.shrUnsigned(adjusted, 60))];
}

/** a + b + carry. */
export function addLimbs(s: Semantics, a: Limbs, b: Limbs, carry: Expr): { limbs: Expr[]; carry: Expr } {
  let next = carry;
  const limbs = a.map((limb, i) => {
    const [sum, more] = addLimb(s, limb, b[i] ?? s.i64(0), next);
    next = more;
    return sum;
  });
  return { limbs, carry: next };
}

/** a - b - borrow; the carry is 1 where that is not negative. */
export function subtractLimbs(s: Semantics, a: Limbs, b: Limbs, borrow: Expr): { limbs: Expr[]; carry: Expr } {
  const NINES = 0x0999_9999_9999_9999n;
  const complement = a.map((_, i) => s.let(s.sub(s.i64(NINES), b[i] ?? s.i64(0))));
  return addLimbs(s, a, complement, s.let(s.xor(borrow, s.i64(1))));
}

export const isZero = (s: Semantics, limbs: Limbs): Expr => s.eqz(limbs.reduce((all, limb) => s.or(all, limb)));

/** How many digits there are without leading zeros. */
export function digitsIn(s: Semantics, limbs: Limbs): Expr {
  return limbs.reduce<Expr>((count, limb, i) => {
    const here = s.add(i * DIGITS_IN_LIMB, s.wrap(s.shrUnsigned(s.sub(s.i64(67), s.clz(limb)), 2)));
    return s.let(s.select(s.eqz(limb), count, here));
  }, s.i32(0));
}

/** A coefficient that changes. */
export class Coefficient {
  readonly #s: Semantics;
  readonly #cells: readonly Cell[];

  constructor(s: Semantics, limbs: Limbs, length = limbs.length) {
    this.#s = s;
    this.#cells = Array.from({ length }, (_, i) => s.cell(limbs[i] ?? s.i64(0)));
  }

  get(): Expr[] {
    return this.#cells.map((cell) => cell.get());
  }

  set(limbs: Limbs): void {
    for (const [i, cell] of this.#cells.entries()) cell.set(limbs[i] ?? this.#s.i64(0));
  }

  /** Times ten, and a digit. */
  appendDigit(digit: Expr): void {
    const s = this.#s;
    const limbs = this.get();
    this.set(
      limbs.map((limb, i) => {
        const lower = i === 0 ? digit : s.shrUnsigned(limbs[i - 1] as Expr, 56);
        return s.or(s.and(s.shl(limb, 4), s.i64(LIMB)), lower);
      }),
    );
  }

  /** A tenth; the answer is the digit that goes, an i64. */
  dropDigit(): Expr {
    const s = this.#s;
    const limbs = this.get();
    this.set(
      limbs.map((limb, i) => {
        const upper = s.shl(s.and(limbs[i + 1] ?? s.i64(0), s.i64(15)), 56);
        return s.or(s.shrUnsigned(limb, 4), upper);
      }),
    );
    return s.let(s.and(limbs[0] as Expr, s.i64(15)));
  }

  /** The leftmost digit of all that there is room for, an i64. */
  highestDigit(): Expr {
    return this.#s.let(this.#s.shrUnsigned(this.get().at(-1) as Expr, 56));
  }
}

/** Times 10^n. */
export function shiftLeft(s: Semantics, coefficient: Coefficient, n: Expr, limit: number): void {
  s.repeat(n, limit, () => coefficient.appendDigit(s.i64(0)));
}

/** What is lost of a number: its first digit, and whether there is more. */
export interface Lost {
  readonly digit: Cell;
  readonly more: Cell;
}

/** A coefficient without its last n digits, which are kept in mind. */
export function shiftRight(s: Semantics, coefficient: Coefficient, n: Expr, limit: number, lost: Lost): void {
  s.repeat(n, limit, () => {
    lost.more.set(s.or(lost.more.get(), s.extendUnsigned(s.ne(lost.digit.get(), s.i64(0)))));
    lost.digit.set(coefficient.dropDigit());
  });
}

export const leastOf = (s: Semantics, a: Expr, b: Expr): Expr => s.let(s.select(s.ltSigned(a, b), a, b));
export const mostOf = (s: Semantics, a: Expr, b: Expr): Expr => s.let(s.select(s.gtSigned(a, b), a, b));
