/**
 * The special registers of a 440 guest: number, name, storage and what is special about them
 * (PowerPC 440 User's Manual, "Special Purpose Registers", sorted by SPR number).
 */
import {
  type StateField,
  W_CTR,
  W_DEAR,
  W_ESR,
  W_LR,
  W_PIR,
  W_SPRG,
  W_SRR0,
  W_SRR1,
  W_USPRG0,
  wordOf,
} from './layout.ts';

/** How a move to or from the register goes, where it is more than a word in the block. */
export const SPECIAL = {
  NONE: 0,
  PLAIN: 1,
  /** Writes do nothing. */
  READ_ONLY: 2,
  XER: 3,
  DEC: 4,
  DECAR: 5,
  TSR: 6,
  TCR: 7,
  PID: 8,
  TBL: 9,
  TBU: 10,
  DBCR0: 11,
  /** Writing ones clears. */
  CLEAR: 12,
  TBL_WRITE: 13,
  TBU_WRITE: 14,
  CCR0: 15,
} as const;

export interface SprRow {
  readonly spr: number;
  readonly name: string;
  /** Index of its word in the block; -1 where it has none. */
  readonly word: number;
  readonly special: number;
  /** Bits that a write changes. */
  readonly mask: number;
  /** Problem state may read it. */
  readonly user: boolean;
}

const row = (spr: number, name: string, word: number, special: number = SPECIAL.PLAIN, mask = -1): SprRow => ({
  spr,
  name,
  word,
  special,
  mask,
  user: (spr & 0x10) === 0,
});
const state = (spr: number, name: StateField, special: number = SPECIAL.PLAIN, mask = -1): SprRow =>
  row(spr, name, wordOf(name), special, mask);
const several = (spr: number, stem: string, first: number, last: number): SprRow[] =>
  Array.from({ length: last - first + 1 }, (_, i) => state(spr + i, `${stem}${first + i}` as StateField));

export const SPR_ROWS: readonly SprRow[] = [
  row(1, 'xer', -1, SPECIAL.XER),
  row(8, 'lr', W_LR),
  row(9, 'ctr', W_CTR),
  state(22, 'dec', SPECIAL.DEC),
  row(26, 'srr0', W_SRR0, SPECIAL.PLAIN, ~3),
  row(27, 'srr1', W_SRR1),
  state(48, 'pid', SPECIAL.PID),
  state(54, 'decar', SPECIAL.DECAR),
  state(58, 'csrr0', SPECIAL.PLAIN, ~3),
  state(59, 'csrr1'),
  row(61, 'dear', W_DEAR),
  row(62, 'esr', W_ESR),
  state(63, 'ivpr', SPECIAL.PLAIN, 0xffff0000),
  row(256, 'usprg0', W_USPRG0),
  ...[4, 5, 6, 7].map((n) => row(256 + n, `sprg${n}r`, W_SPRG[n] as number, SPECIAL.READ_ONLY)),
  row(268, 'tblr', -1, SPECIAL.TBL),
  row(269, 'tbur', -1, SPECIAL.TBU),
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((n) => row(272 + n, `sprg${n}`, W_SPRG[n] as number)),
  row(284, 'tbl', -1, SPECIAL.TBL_WRITE),
  row(285, 'tbu', -1, SPECIAL.TBU_WRITE),
  row(286, 'pir', W_PIR, SPECIAL.READ_ONLY),
  state(287, 'pvr', SPECIAL.READ_ONLY),
  state(304, 'dbsr', SPECIAL.CLEAR),
  state(308, 'dbcr0', SPECIAL.DBCR0),
  state(309, 'dbcr1'),
  state(310, 'dbcr2'),
  ...several(312, 'iac', 1, 4),
  ...several(316, 'dac', 1, 2),
  ...several(318, 'dvc', 1, 2),
  state(336, 'tsr', SPECIAL.TSR),
  state(340, 'tcr', SPECIAL.TCR),
  ...Array.from({ length: 16 }, (_, n) => state(400 + n, `ivor${n}` as StateField, SPECIAL.PLAIN, 0xfff0)),
  state(570, 'mcsrr0', SPECIAL.PLAIN, ~3),
  state(571, 'mcsrr1'),
  state(572, 'mcsr', SPECIAL.CLEAR),
  ...several(880, 'inv', 0, 3),
  ...several(884, 'itv', 0, 3),
  state(888, 'ccr1'),
  ...several(912, 'dnv', 0, 3),
  ...several(916, 'dtv', 0, 3),
  state(920, 'dvlim'),
  state(921, 'ivlim'),
  state(923, 'rstcfg', SPECIAL.READ_ONLY),
  state(924, 'dcdbtrl', SPECIAL.READ_ONLY),
  state(925, 'dcdbtrh', SPECIAL.READ_ONLY),
  state(926, 'icdbtrl', SPECIAL.READ_ONLY),
  state(927, 'icdbtrh', SPECIAL.READ_ONLY),
  state(946, 'mmucr'),
  state(947, 'ccr0', SPECIAL.CCR0),
  state(979, 'icdbdr', SPECIAL.READ_ONLY),
  state(1011, 'dbdr'),
];

/** The rows spread over the 1024 numbers, for the emulation. */
export const SPR_SPECIAL = new Int8Array(1024);
export const SPR_WORD = new Int16Array(1024);
export const SPR_MASK = new Int32Array(1024);
const NAMES: string[] = [];
for (const { spr, name, word, special, mask } of SPR_ROWS) {
  SPR_SPECIAL[spr] = special;
  SPR_WORD[spr] = word;
  SPR_MASK[spr] = mask;
  NAMES[spr] = name;
}

/** The manual's name in lower case, or the number. */
export function sprName(spr: number): string {
  return NAMES[spr] ?? String(spr);
}
