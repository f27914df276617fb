/** Random decimal numbers, of which some are near the ends of their formats or the middle between two. */
import type { Random } from '../random.ts';

const word64 = (random: Random): bigint => (BigInt(random.word() >>> 0) << 32n) | BigInt(random.word() >>> 0);

/** The declet of three digits. */
function declet(digits: number): bigint {
  const [a, b, c] = [Math.floor(digits / 100), Math.floor(digits / 10) % 10, digits % 10] as [number, number, number];
  const [low, mid, high] = [c & 7, b & 7, a & 7];
  const large = (a > 7 ? 4 : 0) | (b > 7 ? 2 : 0) | (c > 7 ? 1 : 0);
  const bits = (x: number, y: number, z: number, marks: number, last: number): number =>
    (x << 7) | (y << 4) | (marks << 1) | z | last;
  const [a0, b0, c0] = [a & 1, b & 1, c & 1];
  switch (large) {
    case 0:
      return BigInt((high << 7) | (mid << 4) | low);
    case 1:
      return BigInt(bits(high, mid, 8, 0, c0));
    case 2:
      return BigInt((high << 7) | ((low & 6) << 4) | (b0 << 4) | 0xa | c0);
    case 4:
      return BigInt(((low & 6) << 7) | (a0 << 7) | (mid << 4) | 0xc | c0);
    case 3:
      return BigInt((high << 7) | (4 << 4) | (b0 << 4) | 0xe | c0);
    case 5:
      return BigInt(((mid & 6) << 7) | (a0 << 7) | (2 << 4) | (b0 << 4) | 0xe | c0);
    case 6:
      return BigInt(((low & 6) << 7) | (a0 << 7) | (b0 << 4) | 0xe | c0);
    default:
      return BigInt((a0 << 7) | (6 << 4) | (b0 << 4) | 0xe | c0);
  }
}

/** A coefficient of so many digits or fewer. */
function coefficient(random: Random, digits: number): string {
  const length = random.chance(0.5) ? digits : 1 + random.below(digits);
  const kinds = ['9', '0', '5', '4'];
  const kind = random.pick(kinds);
  const from = random.below(length + 1);
  const text = Array.from({ length }, (_, i) => (random.chance(0.7) && i >= from ? kind : String(random.below(10))));
  return text.join('').padStart(digits, '0');
}

/** Bits of a finite number: the format's widths, a coefficient and a biased exponent. */
function encode(negative: boolean, exponent: number, digits: string, exponentBits: number, declets: number): bigint {
  const leftmost = Number(digits[0]);
  const upper = exponent >> exponentBits;
  const combination = leftmost < 8 ? (upper << 3) | leftmost : 24 | (upper << 1) | (leftmost & 1);
  let bits = (BigInt(negative ? 32 : 0) | BigInt(combination)) << BigInt(exponentBits);
  bits |= BigInt(exponent & (2 ** exponentBits - 1));
  for (let i = 0; i < declets; i++) bits = (bits << 10n) | declet(Number(digits.slice(1 + 3 * i, 4 + 3 * i)));
  return bits;
}

function exponentOf(random: Random, bias: number, most: number): number {
  switch (random.below(8)) {
    case 0:
      return random.below(4);
    case 1:
      return most - random.below(4);
    case 2:
      return random.below(most + 1);
    case 3:
      return bias + random.below(80) - 40;
    default:
      return bias - random.below(20);
  }
}

const SPECIAL = [0x7800n, 0xf800n, 0x7c00n, 0xfc00n, 0x7e00n, 0xfe00n, 0x7c00n];

/** A long number, BCD, an integer or any bits, with more of them behind; or an extended number in both doublewords. */
export function interestingDecimal(random: Random): readonly [high: bigint, low: bigint] {
  const negative = random.chance(0.5);
  const long = (): bigint => encode(negative, exponentOf(random, 398, 767), coefficient(random, 16), 8, 5);
  switch (random.below(12)) {
    case 0:
      return [(random.pick(SPECIAL) << 48n) | (word64(random) & 0x3_ffff_ffff_ffffn), word64(random)];
    case 1:
      return [random.pick(SPECIAL) << 48n, 0n];
    case 2:
      return [BigInt(`0x${coefficient(random, 16)}`), BigInt(`0x${coefficient(random, 15)}c`)];
    case 3:
      return [BigInt.asUintN(64, BigInt(random.below(40) - 4)), long()];
    case 4:
      return [word64(random), word64(random)];
    case 5:
    case 6:
    case 7: {
      const bits = encode(negative, exponentOf(random, 6176, 12287), coefficient(random, 34), 12, 11);
      return [bits >> 64n, BigInt.asUintN(64, bits)];
    }
    default:
      return [long(), long()];
  }
}
