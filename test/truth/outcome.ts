/** How an execution ended: the interrupt, the state, and the window's bytes; one record of int32 words. */
import { STATE, WINDOW_BYTES } from './machine-state.ts';

export const OUTCOME = {
  /** One of ENDED. */
  ended: 0,
  /** Address of a storage interrupt, else 0. */
  address: 1,
  state: 2,
  window: 2 + STATE.words,
  words: 2 + STATE.words + WINDOW_BYTES / 4,
} as const;

/** The interrupts that user-mode code can end with, told apart as far as Linux signals tell. */
export const ENDED = {
  trap: 1,
  illegal: 2,
  privileged: 3,
  alignment: 4,
  noTranslation: 5,
  protection: 6,
  budget: 7,
  systemCall: 8,
  other: 9,
} as const;

export const ENDED_NAMES: readonly string[] = ['none', ...Object.keys(ENDED)];

export type Outcomes = Int32Array;
