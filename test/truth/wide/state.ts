/** The state of a 64-bit processor before and after an execution, and how the execution ended. */
import { interestingFloat, interestingSingles, randomFpscr } from '../floats.ts';
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
  state[STATE.fpscr] = BigInt(randomFpscr(random) >>> 0);
  return state;
}

export { CODE };
