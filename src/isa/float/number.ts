/** Doubles taken apart, and the last step of every operation: rounding, packing, status. Power ISA 2.07 Book I, 4.3–4.6. */
import type { Expr, Routine, Semantics } from '../semantics.ts';
import { FPSCR, raised, resultFlags } from './fpscr.ts';

export const SIGN = 0x8000_0000_0000_0000n;
export const INFINITY = 0x7ff0_0000_0000_0000n;
export const QUIET = 0x0008_0000_0000_0000n;
export const DEFAULT_NAN = 0x7ff8_0000_0000_0000n;
const FRACTION = 0x000f_ffff_ffff_ffffn;

/** A double as WebAssembly computes with it, and back. */
export const numberOf = (s: Semantics, bits: Expr): Expr => s.float('f64.reinterpret_i64', bits);
export const bitsOf = (s: Semantics, number: Expr): Expr => s.float('i64.reinterpret_f64', number);

export const magnitudeOf = (s: Semantics, bits: Expr): Expr => s.and(bits, s.i64(~SIGN));
export const isNotNumber = (s: Semantics, bits: Expr): Expr => s.gtUnsigned(magnitudeOf(s, bits), s.i64(INFINITY));
export const isInfinite = (s: Semantics, bits: Expr): Expr => s.eq(magnitudeOf(s, bits), s.i64(INFINITY));
export const isZero = (s: Semantics, bits: Expr): Expr => s.eqz(magnitudeOf(s, bits));
export const isNegative = (s: Semantics, bits: Expr): Expr => s.ltSigned(bits, s.i64(0));
/** VXSNAN where a NaN is a signalling one, else 0. */
export const signalling = (s: Semantics, bits: Expr): Expr =>
  s.select(s.and(isNotNumber(s, bits), s.eqz(s.and(bits, s.i64(QUIET)))), FPSCR.VXSNAN, 0);
export const quieted = (s: Semantics, bits: Expr): Expr => s.or(bits, s.i64(QUIET));

/**
 * Formats, an argument of all routines: 0 double, 1 single precision; 2 more for a result, but a NaN, whose sign is turned
 * around after rounding.
 */
export const SINGLE = 1;
export const NEGATED = 2;

/** A finite number that is not zero: significand · 2^(exponent-63), the significand's highest bit being set. */
export interface Unpacked {
  readonly exponent: Expr;
  readonly significand: Expr;
}

/** Takes a pinned double apart; what zeros, infinities and NaNs come to is of no use. */
export function unpacked(s: Semantics, bits: Expr): Unpacked {
  const biased = s.let(s.and(s.wrap(s.shrUnsigned(bits, 52)), 0x7ff));
  const fraction = s.let(s.and(bits, s.i64(FRACTION)));
  const zeros = s.let(s.clz(fraction));
  const normal = s.or(s.shl(fraction, 11), s.i64(SIGN));
  return {
    exponent: s.let(s.select(biased, s.sub(biased, 1023), s.sub(-1011, s.wrap(zeros)))),
    significand: s.let(s.select(biased, normal, s.shl(fraction, zeros))),
  };
}

/** A significand shifted right by a pinned i64 amount below 2^31, what is lost being kept in its lowest bit. */
export function shiftedSticky(s: Semantics, significand: Expr, n: Expr): Expr {
  const kept = s.let(s.shrUnsigned(significand, n));
  const lost = s.ne(s.shl(kept, n), significand);
  const far = s.extendUnsigned(s.ne(significand, s.i64(0)));
  return s.select(s.ltUnsigned(n, s.i64(64)), s.or(kept, s.extendUnsigned(lost)), far);
}

const MAX_DOUBLE = 0x7fef_ffff_ffff_ffffn;
const MAX_SINGLE = 0x47ef_ffff_e000_0000n;
const MIN_SINGLE = 0x3810_0000_0000_0000n;

/** FPSCR after a result: causes, FR and FI, FPRF from pinned bits. Single-precision results know their own denormals. */
function setStatus(s: Semantics, result: Expr, causes: Expr, rounding: Expr, single: Expr): void {
  const pinned = s.let(causes);
  const magnitude = s.let(magnitudeOf(s, result));
  const tiny = s.and(s.ltUnsigned(magnitude, s.i64(MIN_SINGLE)), s.ne(magnitude, s.i64(0)));
  const classified = s.let(resultFlags(s, result));
  const DENORMAL = 0x1_0000;
  const flags = s.or(classified, s.select(s.and(tiny, single), DENORMAL, 0));
  const kept = s.and(s.state('fpscr'), ~(FPSCR.FR | FPSCR.FI | FPSCR.FPRF));
  s.setState('fpscr', raised(s, s.or(kept, s.or(rounding, flags)), pinned));
}

/** What turns the sign around when the format says so. */
export const negation = (s: Semantics, format: Expr): Expr => s.shl(s.extendUnsigned(s.shrUnsigned(format, 1)), 63);

/** (result, causes, format, the target's old value) → what the target becomes, of an operation whose result is exact or a NaN. */
export const EXACT: Routine = {
  name: 'floatExact',
  params: ['i64', 'i32', 'i32', 'i64'],
  result: 'i64',
  body: (s, unsigned, causes, format, old) => {
    const single = s.let(s.and(format, 1));
    // A NaN keeps its sign, and what single precision has of its fraction.
    const nan = s.select(single, s.and(unsigned, s.i64(-1n << 29n)), unsigned);
    const result = s.let(s.select(isNotNumber(s, unsigned), nan, s.xor(unsigned, negation(s, format))));
    const fpscr = s.let(s.state('fpscr'));
    const invalid = s.and(s.ne(s.and(causes, ~FPSCR.ZX), 0), s.ne(s.and(fpscr, FPSCR.VE), 0));
    const division = s.and(s.ne(s.and(causes, FPSCR.ZX), 0), s.ne(s.and(fpscr, FPSCR.ZE), 0));
    const suppressed = s.let(s.or(invalid, division));
    s.if(
      suppressed,
      () => s.setState('fpscr', raised(s, s.and(fpscr, ~(FPSCR.FR | FPSCR.FI)), causes)),
      () => setStatus(s, result, causes, s.i32(0), single),
    );
    return s.select(suppressed, old, result);
  },
};

/** Whether rounding adds one: the mode, sign, parity of what is kept, and the pinned bits that go, with half a unit. */
export function roundsUp(s: Semantics, mode: Expr, negative: Expr, odd: Expr, rest: Expr, half: Expr): Expr {
  const pinned = s.let(half);
  const nearest = s.or(s.gtUnsigned(rest, pinned), s.and(s.eq(rest, pinned), odd));
  // Mode 2 rounds toward +infinity, 3 toward -infinity, 1 toward zero.
  const away = s.and(s.ne(rest, s.i64(0)), s.eq(s.add(negative, 2), mode));
  return s.select(s.eqz(mode), nearest, away);
}

/**
 * (sign, exponent, significand with its highest bit set, format, operation's causes) → the rounded number, with FPSCR
 * set. Tininess is detected before rounding.
 */
export const FINISH: Routine = {
  name: 'floatFinish',
  params: ['i32', 'i32', 'i64', 'i32', 'i32'],
  result: 'i64',
  body: (s, negative, exponent, significand, format, causes) => {
    const single = s.let(s.and(format, 1));
    const fpscr = s.let(s.state('fpscr'));
    const mode = s.let(s.and(fpscr, FPSCR.RN));
    const least = s.let(s.select(single, -126, s.i32(-1022)));
    const tiny = s.let(s.ltSigned(exponent, least));
    const adjust = s.let(s.select(single, 192, s.i32(1536)));
    const underflows = s.let(s.and(tiny, s.ne(s.and(fpscr, FPSCR.UE), 0)));
    const distance = s.select(s.and(tiny, s.eqz(underflows)), s.sub(least, exponent), 0);
    const placed = s.let(shiftedSticky(s, significand, s.let(s.extendUnsigned(distance))));
    const adjusted = s.select(underflows, s.add(exponent, adjust), exponent);
    const from = s.let(s.select(s.and(tiny, s.eqz(underflows)), least, adjusted));
    // What is kept of 64 bits: 53 or 24.
    const dropped = s.let(s.select(single, s.i64(40), s.i64(11)));
    const kept = s.let(s.shrUnsigned(placed, dropped));
    const rest = s.let(s.sub(placed, s.shl(kept, dropped)));
    const half = s.shl(s.i64(1), s.sub(dropped, s.i64(1)));
    const odd = s.wrap(s.and(kept, s.i64(1)));
    const up = s.let(roundsUp(s, mode, negative, odd, rest, half));
    const rounded = s.let(s.shl(s.add(kept, s.extendUnsigned(up)), s.sub(dropped, s.i64(11))));
    const inexact = s.let(s.ne(rest, s.i64(0)));
    // A single-precision denormal is a normal double.
    const zeros = s.sub(s.clz(rounded), s.i64(11));
    const up11 = s.let(s.select(s.and(single, s.and(tiny, s.gtSigned(zeros, s.i64(0)))), zeros, s.i64(0)));
    const biased = s.let(s.sub(s.extendSigned(s.add(from, 1022)), up11));
    const packed = s.let(s.add(s.shl(biased, 52), s.shl(rounded, up11)));
    // The hidden bit has added one to the exponent.
    const bits = s.let(s.select(s.eqz(rounded), s.i64(0), packed));

    const largest = s.let(s.select(single, s.i64(MAX_SINGLE), s.i64(MAX_DOUBLE)));
    const exceeds = s.or(s.gtSigned(from, s.select(single, 127, s.i32(1023))), s.gtUnsigned(bits, largest));
    const overflows = s.let(s.and(exceeds, s.eqz(tiny)));
    const overflowEnabled = s.let(s.and(overflows, s.ne(s.and(fpscr, FPSCR.OE), 0)));
    const toInfinity = s.or(s.eqz(mode), s.eq(mode, s.add(negative, 2)));
    const saturated = s.select(toInfinity, s.i64(INFINITY), largest);
    const wrapped = s.sub(bits, s.shl(s.extendUnsigned(adjust), 52));
    const magnitude = s.select(overflows, s.select(overflowEnabled, wrapped, saturated), bits);
    const signed = s.or(magnitude, s.shl(s.extendUnsigned(negative), 63));
    const result = s.let(s.xor(signed, negation(s, format)));

    const saturates = s.let(s.and(overflows, s.eqz(overflowEnabled)));
    const isInexact = s.let(s.or(inexact, saturates));
    const flags = s.or(
      s.or(s.select(isInexact, FPSCR.XX, 0), s.select(overflows, FPSCR.OX, 0)),
      s.select(s.and(tiny, s.or(isInexact, underflows)), FPSCR.UX, 0),
    );
    const rounding = s.or(s.select(isInexact, FPSCR.FI, 0), s.select(s.and(up, s.eqz(saturates)), FPSCR.FR, 0));
    setStatus(s, result, s.or(flags, causes), rounding, single);
    return result;
  },
};
