/** Floating point once more, on exact fractions: what the architecture says of rounding, overflow and underflow. */

/** A fraction; the denominator is above zero. */
export interface Fraction {
  readonly n: bigint;
  readonly d: bigint;
}

const FRACTION_BITS = 52n;
const SIGN = 1n << 63n;

/** The value of a finite double. */
export function fractionOf(bits: bigint): Fraction {
  const biased = (bits >> FRACTION_BITS) & 0x7ffn;
  const fraction = bits & ((1n << FRACTION_BITS) - 1n);
  const magnitude = biased === 0n ? fraction : fraction | (1n << FRACTION_BITS);
  const exponent = (biased === 0n ? 1n : biased) - 1075n;
  const n = bits & SIGN ? -magnitude : magnitude;
  return exponent >= 0n ? { n: n << exponent, d: 1n } : { n, d: 1n << -exponent };
}

export const add = (a: Fraction, b: Fraction): Fraction => ({ n: a.n * b.d + b.n * a.d, d: a.d * b.d });
export const multiply = (a: Fraction, b: Fraction): Fraction => ({ n: a.n * b.n, d: a.d * b.d });
export function divide(a: Fraction, b: Fraction): Fraction {
  const sign = b.n < 0n ? -1n : 1n;
  return { n: a.n * b.d * sign, d: a.d * b.n * sign };
}

const bitLength = (value: bigint): number => (value === 0n ? 0 : value.toString(2).length);
const scaled = ({ n, d }: Fraction, by: number): Fraction =>
  by >= 0 ? { n: n << BigInt(by), d } : { n, d: d << BigInt(-by) };

/** The greatest e with 2^e not above a positive fraction. */
function exponentOf(x: Fraction): number {
  const guess = bitLength(x.n) - bitLength(x.d);
  const { n, d } = scaled(x, -guess);
  return n >= d ? guess : guess - 1;
}

export const FLAG = { OX: 0x1000_0000, UX: 0x0800_0000, XX: 0x0200_0000, FR: 0x4_0000, FI: 0x2_0000 } as const;
const ENABLE = { OE: 0x40, UE: 0x20 } as const;

export interface Rounded {
  readonly bits: bigint;
  /** OX, UX, XX, FR, FI. */
  readonly flags: number;
  /** FPRF's five bits. */
  readonly class: number;
  /** FR has no defined value. */
  readonly frUndefined: boolean;
}

/** Rounds what is not zero by FPSCR's mode and enables. */
export function round(x: Fraction, single: boolean, fpscr: number): Rounded {
  const negative = x.n < 0n;
  const magnitude = { n: negative ? -x.n : x.n, d: x.d };
  const [precision, least, most, adjust] = single ? [24, -126, 127, 192] : [53, -1022, 1023, 1536];
  const mode = fpscr & 3;
  const exponent = exponentOf(magnitude);
  const tiny = exponent < least;
  const wraps = tiny && (fpscr & ENABLE.UE) !== 0;
  const unit = (tiny && !wraps ? least : exponent) - precision + 1;
  const { n, d } = scaled(magnitude, -unit);
  const whole = n / d;
  const rest = 2n * (n - whole * d);
  const nearest = rest > d || (rest === d && (whole & 1n) === 1n);
  const up = mode === 0 ? nearest : rest > 0n && mode === (negative ? 3 : 2);
  let value = scaled({ n: whole + (up ? 1n : 0n), d: 1n }, unit);
  const inexact = rest > 0n;
  let flags = (inexact ? FLAG.XX | FLAG.FI : 0) | (up ? FLAG.FR : 0);
  if (tiny && (inexact || wraps)) flags |= FLAG.UX;
  if (wraps) value = scaled(value, adjust);
  let infinite = false;
  let frUndefined = false;
  if (value.n !== 0n && exponentOf(value) > most) {
    flags |= FLAG.OX;
    if (fpscr & ENABLE.OE) value = scaled(value, -adjust);
    else {
      flags |= FLAG.XX | FLAG.FI;
      frUndefined = true;
      infinite = mode === 0 || mode === (negative ? 3 : 2);
      value = scaled({ n: (1n << BigInt(precision)) - 1n, d: 1n }, most - precision + 1);
    }
  }
  const sign = negative ? SIGN : 0n;
  const bits = infinite ? 0x7ff0_0000_0000_0000n : encode(value);
  const denormal = value.n !== 0n && !wraps && exponentOf(value) < least;
  const kind = infinite ? 0x05 : value.n === 0n ? 0x02 : denormal ? 0x14 : 0x04;
  const negated: Record<number, number> = { 5: 0x09, 2: 0x12, 20: 0x18, 4: 0x08 };
  return { bits: bits | sign, flags, class: negative ? (negated[kind] as number) : kind, frUndefined };
}

/** The double of a value that is one and not negative. */
function encode(value: Fraction): bigint {
  if (value.n === 0n) return 0n;
  const exponent = Math.max(exponentOf(value), -1022);
  const { n, d } = scaled(value, 52 - exponent);
  const digits = n / d;
  return digits < 1n << FRACTION_BITS ? digits : (BigInt(exponent + 1022) << FRACTION_BITS) + digits;
}
