/** The state before and after an execution, as both sides of the comparison keep it; and the address space it runs in. */
import { interestingFloat, randomFpscr } from './floats.ts';
import { Random } from './random.ts';

/** Words of a state: r0–r31, then these; f0–f31 are two words each, the left one first. */
export const STATE = { ctr: 32, lr: 33, xer: 34, cr: 35, pc: 36, fpr: 37, fpscr: 101, words: 102 } as const;

/** A user-mode processor state, int32 each. */
export type State = Int32Array;

/** Where code under test stands. Branches with AA=1 reach it. */
export const CODE = 0x01000000;
export const CODE_BYTES = 0x00400000;
/** Two pages that can be read and written; the bytes that are compared lie across the boundary between them. */
export const DATA_PAGES = 0x00800000;
export const WINDOW_BYTES = 256;
export const WINDOW = DATA_PAGES + 0x1000 - WINDOW_BYTES / 2;
/** The page after them is not mapped; this one can only be read. */
export const READ_ONLY_PAGE = DATA_PAGES + 0x3000;
/** Nothing is mapped from here to the code. */
export const NOWHERE = 0x00900000;

/** Whether anything can be read at an address. */
export function isMapped(address: number): boolean {
  const page = (address >>> 12) << 12;
  const isData = page === DATA_PAGES || page === DATA_PAGES + 0x1000 || page === READ_ONLY_PAGE;
  return isData || (address >= CODE && address < CODE + CODE_BYTES);
}

export const XER_FLAGS = 0xe0000000;

/** A value out of those with which arithmetic goes wrong first, or a random one. */
export function interestingWord(random: Random): number {
  switch (random.below(10)) {
    case 0:
      return 0;
    case 1:
      return -1;
    case 2:
      return random.pick([0x7fffffff, -0x80000000, -0x7fffffff, 0x7ffffffe]);
    case 3:
      return random.below(80) - 16;
    case 4:
      return (1 << random.below(32)) - random.below(2);
    case 5:
      return (random.word() << 16) >> 16;
    case 6:
      return random.word() & (random.pick([0xffff, 0xff00ff, 0xff, -0x10000]) | 0);
    default:
      return random.word();
  }
}

/** A doubleword of a state, or of a record that has one. */
export const floatAt = (words: Int32Array, at: number): bigint =>
  (BigInt((words[at] as number) >>> 0) << 32n) | BigInt((words[at + 1] as number) >>> 0);
export function setFloat(words: Int32Array, at: number, bits: bigint): void {
  words[at] = Number(BigInt.asIntN(32, bits >> 32n));
  words[at + 1] = Number(BigInt.asIntN(32, bits));
}

/** A state whose every register follows from the seed alone. CTR and LR lead nowhere. */
export function seededState(seed: number): State {
  const random = new Random(seed);
  const state = new Int32Array(STATE.words);
  for (let n = 0; n < 32; n++)
    state[n] = n > 0 && random.chance(0.1) ? (state[n - 1] as number) : interestingWord(random);
  state[STATE.ctr] = NOWHERE + (random.below(0x1000) << 2);
  state[STATE.lr] = NOWHERE + (random.below(0x1000) << 2);
  state[STATE.xer] = (random.word() & XER_FLAGS) | random.below(128);
  state[STATE.cr] = random.word();
  for (let n = 0; n < 32; n++) setFloat(state, STATE.fpr + 2 * n, interestingFloat(random));
  state[STATE.fpscr] = randomFpscr(random);
  return state;
}
