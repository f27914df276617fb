/** Values of floating-point registers and FPSCR with which arithmetic goes wrong first. */
import type { Random } from './random.ts';

/** FPSCR bits that a random state may have: status and enables at random, no summary, RN. */
const FPSCR_STATUS = 0x9ff9_f7ff;

const SPECIAL_FLOATS = [
  0n,
  0x3ff0_0000_0000_0000n,
  0x7ff0_0000_0000_0000n,
  0x7ff8_0000_0000_0000n,
  0x7ff0_0000_0000_0001n,
  0x7fef_ffff_ffff_ffffn,
  0x0010_0000_0000_0000n,
  0x000f_ffff_ffff_ffffn,
  0x0000_0000_0000_0001n,
  0x47ef_ffff_e000_0000n,
  0x47ef_ffff_f000_0000n,
  0x3810_0000_0000_0000n,
  0x36a0_0000_0000_0000n,
  0x380f_ffff_e000_0000n,
  0x41df_ffff_ffc0_0000n,
  0xc1e0_0000_0000_0000n,
  0x43e0_0000_0000_0000n,
  0x41ef_ffff_ffe0_0000n,
];

const SPECIAL_SINGLES = [
  0, 0x3f80_0000, 0x7f80_0000, 0x7fc0_0000, 0x7f80_0001, 0x7f7f_ffff, 0x0080_0000, 0x007f_ffff, 1, 0x4eff_ffff,
  0xcf00_0000, 0x4f80_0000, 0x5f00_0000, 0x4f7f_ffff,
];

/** A floating-point register's value: special ones, numbers of like size, single ones, integers, or any bits. */
export function interestingFloat(random: Random): bigint {
  const word64 = (): bigint => (BigInt(random.word() >>> 0) << 32n) | BigInt(random.word() >>> 0);
  const sign = random.chance(0.5) ? 1n << 63n : 0n;
  const withExponent = (exponent: number, fraction: bigint): bigint =>
    sign | (BigInt(exponent) << 52n) | (fraction & ((1n << 52n) - 1n));
  const SINGLE = ~((1n << 29n) - 1n);
  switch (random.below(12)) {
    case 0:
    case 1:
      return random.pick(SPECIAL_FLOATS) ^ sign;
    case 2:
      return withExponent(1023 + random.below(6) - 3, word64());
    case 3:
      return withExponent(1023 + random.below(60) - 30, word64() & (SINGLE | 0n));
    case 4:
      return withExponent(1023 + random.below(128) - 64, 0n);
    case 5:
      return withExponent(1023 + random.below(300) - 150, word64() & SINGLE);
    case 6:
      return withExponent(random.below(60), word64());
    case 7:
      return withExponent(1986 + random.below(60), word64());
    case 8:
      return withExponent(1023 + random.below(64), word64() & (-1n << BigInt(random.below(53))));
    case 9:
      return sign | (word64() & ((1n << BigInt(random.below(53))) - 1n));
    case 10:
      return withExponent(1023 + random.below(40) - 20, (1n << BigInt(random.below(52))) - BigInt(random.below(2)));
    default:
      return word64();
  }
}

/** A single of the same kinds. */
function interestingSingle(random: Random): number {
  const sign = random.chance(0.5) ? 0x8000_0000 : 0;
  const withExponent = (exponent: number, fraction: number): number =>
    (sign | (exponent << 23) | (fraction & 0x7f_ffff)) >>> 0;
  switch (random.below(10)) {
    case 0:
      return (random.pick(SPECIAL_SINGLES) ^ sign) >>> 0;
    case 1:
      return withExponent(127 + random.below(6) - 3, random.word());
    case 2:
      return withExponent(127 + random.below(40) - 8, random.word() & (-1 << random.below(24)));
    case 3:
      return withExponent(random.below(30), random.word());
    case 4:
      return withExponent(225 + random.below(30), random.word());
    case 5:
      return (sign | (random.word() & ((1 << random.below(24)) - 1))) >>> 0;
    case 6:
      return withExponent(127 + random.below(20) - 10, (1 << random.below(23)) - random.below(2));
    case 7:
      return withExponent(127 + random.below(80) - 40, random.word());
    default:
      return random.word() >>> 0;
  }
}

/** Two of them beside each other. */
export function interestingSingles(random: Random): bigint {
  return (BigInt(interestingSingle(random)) << 32n) | BigInt(interestingSingle(random));
}

/** A value of FPSCR. */
export function randomFpscr(random: Random): number {
  // Mostly without enabled exceptions: an enabled one ends the execution.
  const enables = random.chance(0.2) ? 0xf8 : 0;
  // VX sums up its causes.
  const causes = enables === 0 && random.chance(0.5) ? random.word() & FPSCR_STATUS & ~0xff : 0;
  const summary = causes & 0x01f8_0700 ? 0x2000_0000 : 0;
  // The oracle sets FX for exceptions that there are already, too.
  const status = (causes & ~0x2000_0000) | summary | (causes & 0x1ff8_0700 ? 0x8000_0000 : 0);
  return status | (random.word() & enables) | random.below(4);
}
