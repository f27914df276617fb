/**
 * Where a 32-bit Book3S guest's privileged state stands in the vCPU's block, beside book3s/layout.ts: a word for each register,
 * segment registers in the struct that is shared with the guest.
 */
import { SHARED, type SharedField, sharedWordOffset, VSR } from '../../processor/index.ts';
import {
  DOUBLEWORD_NAMES,
  SAVED_REGISTERS_OF_BOOK3S,
  SAVED_WORD_NAMES,
  type StateDoubleword,
  wordOf,
} from '../book3s/layout.ts';
import type { SavedWords } from '../state.ts';
import { W_RESERVE_ADDRESS } from '../words.ts';

export * from '../book3s/layout.ts';

export const SEGMENTS = 16;
export const BATS = 8;

/** Byte offset in the block of the words below. */
const CLASSIC_WORDS = 0x3600;
const CLASSIC_NAMES = [
  'ear',
  'ictrl',
  'msscr0',
  'msssr0',
  'ldstcr',
  'l2cr',
  'l3cr',
  'ictc',
  'thrm1',
  'thrm2',
  'thrm3',
  'bamr',
  'tlbmiss',
  'ptehi',
  'ptelo',
  // The decrementer's sign as it was last.
  'decNegative',
  // Segment registers of the guest were written that the host's do not follow yet (assist.ts).
  'segmentsStale',
] as const;
export type ClassicWord = (typeof CLASSIC_NAMES)[number];
export const wordOfClassic = (name: ClassicWord): number => (CLASSIC_WORDS >> 2) + CLASSIC_NAMES.indexOf(name);
export const W_DEC_NEGATIVE = wordOfClassic('decNegative');
export const W_SEGMENTS_STALE = wordOfClassic('segmentsStale');

/** BATs: upper and lower words of eight for instructions, then of eight for data. */
export const W_IBAT = 0x3700 >> 2;
export const W_DBAT = W_IBAT + 2 * BATS;
export const W_BATS_END = W_DBAT + 2 * BATS;

/** Words of the shared struct: storage is kept in doublewords. */
const SHARED_SR = 0x68;
/** Byte offset in the block of the doubleword with the first two. */
export const SEGMENT_WORDS = SHARED + SHARED_SR;
export const W_SR: readonly number[] = Array.from(
  { length: SEGMENTS },
  (_, n) => ((SHARED + SHARED_SR + 4 * n) ^ 4) >> 2,
);
const shared = (field: SharedField): number => sharedWordOffset(field, 7) >> 2;
export const W_SPRG_HIGH: readonly number[] = [shared('sprg4'), shared('sprg5'), shared('sprg6'), shared('sprg7')];

/** Doublewords of book3s/layout.ts that this family has. */
const KEPT: ReadonlySet<StateDoubleword> = new Set([
  'sdr1',
  'dec',
  'pvr',
  'pir',
  'dabr',
  'ciabr',
  'mmcr0',
  'mmcr1',
  'mmcr2',
  'pmc1',
  'pmc2',
  'pmc3',
  'pmc4',
  'pmc5',
  'pmc6',
  'siar',
  'sdar',
  'hid0',
  'hid1',
  'magicEffective',
  'magicReal',
]);

/** What a state has of a vCPU (state.ts), beside time. */
export const SAVED_WORDS: readonly SavedWords[] = [
  ...SAVED_REGISTERS_OF_BOOK3S,
  { name: 'vsr', word: VSR >> 2, count: 64 * 4 },
  { name: 'reserve', word: W_RESERVE_ADDRESS, count: 2 },
  ...DOUBLEWORD_NAMES.filter((name) => KEPT.has(name)).map((name) => ({ name, word: wordOf(name), count: 2 })),
  ...CLASSIC_NAMES.map((name) => ({ name, word: wordOfClassic(name) })),
  { name: 'bats', word: W_IBAT, count: 4 * BATS },
  ...SAVED_WORD_NAMES,
];
