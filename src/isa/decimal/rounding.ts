/** The last step of decimal operations: rounding, exponents, status. Power ISA 2.07 Book I, 5.5. */
import { FPSCR } from '../float/fpscr.ts';
import type { Expr, Routine, Semantics } from '../semantics.ts';
import {
  addLimbs,
  adjustment,
  Coefficient,
  digitsIn,
  EXTENDED,
  infinity,
  isInfinite,
  isNegative,
  isNotNumber,
  isSignalling,
  isZero,
  type Limbs,
  leastOf,
  mostExponent,
  mostOf,
  PACK,
  PACK_SHORT,
  precision,
  SHORT,
  shiftRight,
} from './number.ts';

/** Rounding modes: as DRN has them. */
export const MODE = {
  nearestEven: 0,
  towardZero: 1,
  up: 2,
  down: 3,
  nearestAway: 4,
  nearestTowardZero: 5,
  away: 6,
  shorter: 7,
} as const;

/** Sets bits of FPSCR. */
export function note(s: Semantics, bits: Expr): void {
  s.setState('fpscr', s.or(s.state('fpscr'), bits));
}

const sticky = (s: Semantics, more: Expr): Expr => s.ne(more, s.i64(0));

/** Whether rounding adds one: of pinned i64 values, the last digit that is kept, the first that goes, what is behind it. */
export function roundsUp(s: Semantics, mode: Expr, negative: Expr, last: Expr, digit: Expr, more: Expr): Expr {
  const inexact = s.let(s.ne(s.or(digit, more), s.i64(0)));
  const half = s.let(s.eq(digit, s.i64(5)));
  const above = s.let(s.or(s.gtUnsigned(digit, s.i64(5)), s.and(half, sticky(s, more))));
  const tie = s.let(s.and(half, s.eqz(sticky(s, more))));
  const odd = s.wrap(s.and(last, s.i64(1)));
  const zeroOrFive = s.or(s.eqz(last), s.eq(last, s.i64(5)));
  const by = (n: number, holds: Expr, otherwise: Expr): Expr => s.let(s.select(s.eq(mode, n), holds, otherwise));
  let up: Expr = s.i32(0);
  up = by(MODE.nearestEven, s.or(above, s.and(tie, odd)), up);
  up = by(MODE.up, s.and(inexact, s.eqz(negative)), up);
  up = by(MODE.down, s.and(inexact, negative), up);
  up = by(MODE.nearestAway, s.or(above, tie), up);
  up = by(MODE.nearestTowardZero, above, up);
  up = by(MODE.away, inexact, up);
  return by(MODE.shorter, s.and(inexact, zeroOrFive), up);
}

/** FPRF of a pinned finite number, infinity or NaN. */
function setClass(s: Semantics, high: Expr, zero: Expr, subnormal: Expr): void {
  const negative = s.let(isNegative(s, high));
  const by = (condition: Expr, ofNegative: number, ofPositive: number, otherwise: Expr): Expr =>
    s.let(s.select(condition, s.select(negative, ofNegative, s.i32(ofPositive)), otherwise));
  let flags = by(s.i32(1), 0x08, 0x04, s.i32(0));
  flags = by(subnormal, 0x18, 0x14, flags);
  flags = by(zero, 0x12, 0x02, flags);
  flags = by(isInfinite(s, high), 0x09, 0x05, flags);
  flags = by(isNotNumber(s, high), 0x11, 0x11, flags);
  flags = by(isSignalling(s, high), 0x01, 0x01, flags);
  note(s, s.shl(flags, 12));
}

/** FPRF of a pinned number whose digits and exponent are known. */
export function classify(s: Semantics, high: Expr, limbs: Limbs, exponent: Expr, format: Expr): void {
  const subnormal = s.let(s.ltSigned(s.add(exponent, digitsIn(s, limbs)), precision(s, format)));
  setClass(s, high, s.let(isZero(s, limbs)), subnormal);
}

/** FPRF of an infinity or a NaN, with causes of exceptions. */
export function noteSpecial(s: Semantics, high: Expr, causes: Expr): void {
  setClass(s, high, s.i32(0), s.i32(0));
  note(s, causes);
}

const ROOM = 80;

/**
 * (sign, biased exponent, five limbs, whether there is more behind them, ideal exponent, mode, format) → the number,
 * with FPSCR's bits set. Tininess is detected before rounding.
 */
export const FINISH: Routine = {
  name: 'decimalFinish',
  params: ['i32', 'i32', 'i64', 'i64', 'i64', 'i64', 'i64', 'i64', 'i32', 'i32', 'i32'],
  result: 'i64',
  body: (s, negative, exponent, l0, l1, l2, l3, l4, behind, ideal, mode, format) => {
    const limbs = [l0, l1, l2, l3, l4];
    const most = s.let(mostExponent(s, format));
    const digits = s.let(precision(s, format));
    const result = s.cell(s.i64(0));
    const pack = (at: Expr, kept: Limbs): void => {
      const [a, b, c] = kept as [Expr, Expr, Expr];
      s.if(
        s.eq(format, SHORT),
        () => {
          const packed = s.invoke(PACK_SHORT, negative, at, a);
          classify(s, s.let(s.shl(packed, 32)), [a], at, format);
          result.set(packed);
        },
        () => {
          const packed = s.invoke(PACK, negative, at, a, b, c, format);
          classify(s, packed, [a, b, c], at, format);
          result.set(packed);
        },
      );
    };
    s.if(
      s.and(isZero(s, limbs), s.eqz(behind)),
      () => pack(mostOf(s, s.i32(0), leastOf(s, ideal, most)), [s.i64(0), s.i64(0), s.i64(0)]),
      () => {
        const fpscr = s.let(s.state('fpscr'));
        const count = digitsIn(s, limbs);
        const tiny = s.let(s.ltSigned(s.add(exponent, count), digits));
        const wraps = s.let(s.and(tiny, s.ne(s.and(fpscr, FPSCR.UE), 0)));
        const from = s.let(s.add(exponent, s.select(wraps, adjustment(s, format), 0)));
        const excess = mostOf(s, s.sub(count, digits), s.sub(0, from));
        const n = mostOf(s, s.i32(0), leastOf(s, excess, s.i32(ROOM)));
        const coefficient = new Coefficient(s, limbs);
        const lost = { digit: s.cell(s.i64(0)), more: s.cell(behind) };
        shiftRight(s, coefficient, n, ROOM, lost);
        // What is behind no digit that was dropped is less than one.
        const at = s.cell(s.let(s.add(from, mostOf(s, n, s.select(s.gtSigned(excess, ROOM), excess, s.i32(0))))));
        const [digit, more] = [lost.digit.get(), lost.more.get()];
        const last = s.let(s.and(coefficient.get()[0] as Expr, s.i64(15)));
        const up = s.let(roundsUp(s, mode, negative, last, digit, more));
        const inexact = s.let(s.ne(s.or(digit, more), s.i64(0)));
        coefficient.set(addLimbs(s, coefficient.get(), [], s.let(s.extendUnsigned(up))).limbs);
        s.if(s.gtSigned(digitsIn(s, coefficient.get()), digits), () => {
          coefficient.dropDigit();
          at.set(s.add(at.get(), 1));
        });
        s.if(s.eqz(inexact), () => {
          // Toward the ideal exponent, as far as there is room for zeros, or are zeros at the end.
          const room = s.sub(digits, digitsIn(s, coefficient.get()));
          const lowest = mostOf(s, ideal, s.i32(0));
          const padding = mostOf(s, s.i32(0), leastOf(s, room, s.sub(at.get(), lowest)));
          at.set(s.sub(at.get(), padding));
          s.repeat(padding, ROOM, () => coefficient.appendDigit(s.i64(0)));
          s.repeat(s.i32(ROOM), ROOM, () => {
            const ends = s.eqz(s.and(coefficient.get()[0] as Expr, s.i64(15)));
            s.if(s.and(s.ltSigned(at.get(), ideal), ends), () => {
              coefficient.dropDigit();
              at.set(s.add(at.get(), 1));
            });
          });
        });
        // A large exponent is made up for by zeros.
        const spare = s.sub(digits, digitsIn(s, coefficient.get()));
        const beyond = s.let(s.sub(at.get(), most));
        const folds = s.let(s.and(s.gtSigned(beyond, 0), s.leSigned(beyond, spare)));
        s.if(folds, () => {
          s.repeat(beyond, ROOM, () => coefficient.appendDigit(s.i64(0)));
          at.set(most);
        });
        const overflows = s.let(s.gtSigned(at.get(), most));
        const causes = s.cell(s.i32(0));
        const { FI, FR, XX, UX, OX, OE } = FPSCR;
        causes.set(s.or(s.select(inexact, FI | XX, 0), s.select(up, FR, 0)));
        const underflows = s.and(tiny, s.or(wraps, inexact));
        causes.set(s.or(causes.get(), s.select(underflows, UX, 0)));
        s.if(
          s.and(overflows, s.eqz(s.and(fpscr, OE))),
          () => {
            causes.set(s.or(causes.get(), OX | XX | FI));
            const toZero = s.or(s.eq(mode, MODE.towardZero), s.eq(mode, MODE.shorter));
            const inward = s.or(s.eq(mode, MODE.up), s.eq(mode, MODE.down));
            const against = s.and(inward, s.eq(s.eq(mode, MODE.up), negative));
            s.if(
              s.or(toZero, against),
              () => {
                const NINES = 0x0999_9999_9999_9999n;
                const extended = s.let(s.eq(format, EXTENDED));
                const least = s.select(s.eq(format, SHORT), s.i64(0x999_9999), s.i64(NINES));
                const middle = s.let(s.select(extended, s.i64(NINES), s.i64(9)));
                pack(most, [s.let(least), middle, s.let(s.select(extended, s.i64(0x9999), s.i64(0)))]);
              },
              () => {
                const infinite = infinity(s, negative);
                noteSpecial(s, infinite, s.i32(0));
                result.set(infinite);
              },
            );
          },
          () => {
            s.if(overflows, () => {
              causes.set(s.or(causes.get(), OX));
              at.set(s.sub(at.get(), adjustment(s, format)));
            });
            pack(at.get(), coefficient.get());
          },
        );
        note(s, causes.get());
      },
    );
    return result.get();
  },
};
