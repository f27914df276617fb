/** The state of a 64-bit processor before and after an execution, and how the execution ended. */
import { CODE, WINDOW_BYTES } from '../machine-state.ts';
import type { Random } from '../random.ts';

/** Doublewords of a state: r0–r31, these, f0–f31, FPSCR, v0–v31, the right halves of vs0–vs31, VSCR. */
export const STATE = {
  gpr: 0,
  pc: 32,
  ctr: 33,
  lr: 34,
  xer: 35,
  cr: 36,
  fpr: 37,
  fpscr: 69,
  vr: 70,
  low: 134,
  vscr: 166,
  words: 167,
} as const;
export type State = BigUint64Array;

/** Where a state has a doubleword of a vector-scalar register. */
export function vsrPlace(register: number, half: 0 | 1): number {
  if (register >= 32) return STATE.vr + 2 * (register - 32) + half;
  return (half === 0 ? STATE.fpr : STATE.low) + register;
}

/** Doublewords of an outcome: how it ended, the address of a storage interrupt, the state, the window. */
export const OUTCOME = {
  ended: 0,
  address: 1,
  state: 2,
  window: 2 + STATE.words,
  words: 2 + STATE.words + WINDOW_BYTES / 8,
} as const;
export type Outcomes = BigUint64Array;

const hex = (value: bigint): string => BigInt.asUintN(64, value).toString(16).padStart(16, '0');

export function stateName(n: number): string {
  if (n < 32) return `r${n}`;
  if (n >= STATE.fpr && n < STATE.fpscr) return `f${n - STATE.fpr}`;
  if (n === STATE.vscr) return 'vscr';
  if (n >= STATE.low) return `vs${n - STATE.low}.1`;
  if (n >= STATE.vr) return `vs${32 + ((n - STATE.vr) >> 1)}.${(n - STATE.vr) & 1}`;
  return { 32: 'pc', 33: 'ctr', 34: 'lr', 35: 'xer', 36: 'cr', 69: 'fpscr' }[n] as string;
}

export const showWord = hex;

/** FPSCR bits that a random state may have: status and enables at random, no summary, RN. */
const FPSCR_STATUS = 0x9ff9_f7ff;

/** A general register's value: those with which arithmetic goes wrong first, or random ones. */
export function interestingDoubleword(random: Random): bigint {
  const word64 = (): bigint => (BigInt(random.word() >>> 0) << 32n) | BigInt(random.word() >>> 0);
  switch (random.below(12)) {
    case 0:
      return 0n;
    case 1:
      return 0xffff_ffff_ffff_ffffn;
    case 2:
      return random.pick([
        1n << 63n,
        (1n << 63n) - 1n,
        (1n << 63n) + 1n,
        0x7fff_ffffn,
        0x8000_0000n,
        0xffff_ffff_8000_0000n,
      ]);
    case 3:
      return BigInt.asUintN(64, BigInt(random.below(160) - 32));
    case 4:
      return BigInt.asUintN(64, (1n << BigInt(random.below(64))) - BigInt(random.below(2)));
    case 5:
      return BigInt.asUintN(64, BigInt(random.word()));
    case 6:
      return BigInt(random.word() >>> 0);
    case 7:
      return word64() & random.pick([0xffff_0000_ffff_0000n, 0x00ff_00ff_00ff_00ffn, 0xffff_ffff_0000_0000n, 0xffn]);
    default:
      return word64();
  }
}

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
function interestingSingles(random: Random): bigint {
  return (BigInt(interestingSingle(random)) << 32n) | BigInt(interestingSingle(random));
}

/** Where nothing is mapped, for LR and CTR. */
export const NOWHERE64 = 0x0090_0000n;

export function randomState(random: Random, address: number): State {
  const state = new BigUint64Array(STATE.words);
  for (let n = 0; n < 32; n++) state[n] = interestingDoubleword(random);
  state[STATE.pc] = BigInt(address);
  state[STATE.ctr] = NOWHERE64 + BigInt(random.below(0x1000) << 2);
  state[STATE.lr] = NOWHERE64 + BigInt(random.below(0x1000) << 2);
  state[STATE.xer] = BigInt(((random.word() & 0xe0000000) | random.below(128)) >>> 0);
  state[STATE.cr] = BigInt(random.word() >>> 0);
  for (let n = 0; n < 32; n++) state[STATE.fpr + n] = interestingFloat(random);
  const vsrKind = random.below(3);
  for (let n = STATE.vr; n < STATE.vscr; n++)
    state[n] =
      vsrKind === 0
        ? interestingFloat(random)
        : vsrKind === 1
          ? interestingSingles(random)
          : interestingDoubleword(random);
  if (vsrKind === 1) for (let n = 0; n < 32; n++) state[STATE.fpr + n] = interestingSingles(random);
  // NJ and SAT.
  state[STATE.vscr] = random.pick([0n, 1n, 0x1_0000n, 0x1_0001n]);
  // Mostly without enabled exceptions: an enabled one ends the execution.
  const enables = random.chance(0.2) ? 0xf8 : 0;
  // VX sums up its causes.
  const causes = enables === 0 && random.chance(0.5) ? random.word() & FPSCR_STATUS & ~0xff : 0;
  const summary = causes & 0x01f8_0700 ? 0x2000_0000 : 0;
  // The oracle sets FX for exceptions that there are already, too.
  const status = (causes & ~0x2000_0000) | summary | (causes & 0x1ff8_0700 ? 0x8000_0000 : 0);
  state[STATE.fpscr] = BigInt((status | (random.word() & enables) | random.below(4)) >>> 0);
  return state;
}

export { CODE };
