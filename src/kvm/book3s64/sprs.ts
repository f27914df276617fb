/**
 * The special registers of a Book3S 64 guest: number, name, storage and what is special about them
 * (Power ISA 2.07 Book III-S, 4.4.4; PowerPC 970FX User's Manual, "Special Purpose Registers").
 */
import {
  type StateDoubleword,
  W_CTR,
  W_DAR,
  W_LR,
  W_PPR,
  W_SPRG,
  W_SRR0,
  W_SRR1,
  W_TAR,
  W_USPRG0,
  wordOf,
} from '../book3s/layout.ts';
import { ON } from './models.ts';

/** How a move to or from the register goes. */
export const SPECIAL = {
  NONE: 0,
  /** A doubleword in the block. */
  WIDE: 1,
  /** A word: reads have zeros on its left. */
  WORD: 2,
  /** Writes do nothing. */
  READ_ONLY: 3,
  /** Reads give zero, writes do nothing. */
  IGNORED: 4,
  XER: 5,
  DEC: 6,
  DSISR: 7,
  SDR1: 8,
  TIME: 9,
  VTB: 10,
  TB: 11,
  TBU: 12,
  /** BESCR's bits, set or cleared by writing ones, all of them or those of its upper word. */
  BESCR_SET: 13,
  BESCR_SET_UPPER: 14,
  BESCR_RESET: 15,
  BESCR_RESET_UPPER: 16,
  /** PPR's upper word. */
  PPR32: 17,
} as const;

/** What problem state may do. */
export const USER = { READ: 1, WRITE: 2, BOTH: 3 } as const;
/** FSCR's bits, which are also the numbers of its interrupt's cause: problem state has the register only where one is set. */
export const FACILITY = { NONE: 0, DSCR: 2, EBB: 7 } as const;

export interface SprRow {
  readonly spr: number;
  readonly name: string;
  /** Index of its (low) word in the block; -1 where it has none. */
  readonly word: number;
  readonly special: number;
  /** The models that have it, bits of ON. */
  readonly on: number;
  /** Bits of USER. */
  readonly user: number;
  readonly facility: number;
}

const row = (
  spr: number,
  name: string,
  word: number,
  special: number = SPECIAL.WIDE,
  on: number = ON.ALL,
  user = 0,
  facility: number = FACILITY.NONE,
): SprRow => ({ spr, name, word, special, on, user, facility });
const state = (
  spr: number,
  name: StateDoubleword,
  special: number = SPECIAL.WIDE,
  on: number = ON.ALL,
  user = 0,
  facility: number = FACILITY.NONE,
): SprRow => row(spr, name, wordOf(name), special, on, user, facility);
const ignored = (spr: number, name: string, on: number = ON.ALL): SprRow => row(spr, name, -1, SPECIAL.IGNORED, on);

/** A performance monitor's register: its own number, and 16 below it the one that problem state reads. */
const monitor = (spr: number, name: StateDoubleword, special: number, on: number = ON.ALL): SprRow[] => [
  state(spr, name, special, on),
  state(spr - 16, name, special, on, USER.READ),
];

export const SPR_ROWS: readonly SprRow[] = [
  row(1, 'xer', -1, SPECIAL.XER, ON.ALL, USER.BOTH),
  state(3, 'dscr', SPECIAL.WIDE, ON.POWER, USER.BOTH, FACILITY.DSCR),
  row(8, 'lr', W_LR, SPECIAL.WIDE, ON.ALL, USER.BOTH),
  row(9, 'ctr', W_CTR, SPECIAL.WIDE, ON.ALL, USER.BOTH),
  state(13, 'amr', SPECIAL.WIDE, ON.POWER, USER.BOTH),
  state(17, 'dscr', SPECIAL.WIDE, ON.POWER),
  row(18, 'dsisr', -1, SPECIAL.DSISR),
  row(19, 'dar', W_DAR),
  state(22, 'dec', SPECIAL.DEC),
  state(25, 'sdr1', SPECIAL.SDR1),
  row(26, 'srr0', W_SRR0),
  row(27, 'srr1', W_SRR1),
  ignored(28, 'cfar', ON.POWER),
  state(29, 'amr', SPECIAL.WIDE, ON.POWER),
  state(31, 'acop', SPECIAL.WIDE, ON.POWER),
  ignored(48, 'pid', ON.POWER),
  state(61, 'iamr', SPECIAL.WIDE, ON.POWER8),
  state(128, 'tfhar', SPECIAL.WIDE, ON.POWER8),
  state(129, 'tfiar', SPECIAL.WIDE, ON.POWER8),
  state(130, 'texasr', SPECIAL.WIDE, ON.POWER8),
  state(136, 'ctrl', SPECIAL.READ_ONLY, ON.ALL, USER.READ),
  state(152, 'ctrl', SPECIAL.WORD),
  state(153, 'fscr', SPECIAL.WIDE, ON.POWER8),
  state(157, 'uamor', SPECIAL.WIDE, ON.POWER),
  state(159, 'pspb', SPECIAL.WORD, ON.POWER8),
  ignored(176, 'dpdes', ON.POWER8),
  state(180, 'dawr', SPECIAL.WIDE, ON.POWER8),
  state(187, 'ciabr', SPECIAL.WIDE, ON.POWER8),
  state(188, 'dawrx', SPECIAL.WORD, ON.POWER8),
  row(256, 'vrsave', W_USPRG0, SPECIAL.WORD, ON.ALL, USER.BOTH),
  row(259, 'sprg3', W_SPRG[3] as number, SPECIAL.READ_ONLY, ON.ALL, USER.READ),
  row(268, 'tb', -1, SPECIAL.TB, ON.ALL, USER.READ),
  row(269, 'tbu', -1, SPECIAL.TBU, ON.ALL, USER.READ),
  ...[0, 1, 2, 3].map((n) => row(272 + n, `sprg${n}`, W_SPRG[n] as number)),
  state(282, 'ear', SPECIAL.WORD, ON.P970),
  ignored(284, 'tbl'),
  ignored(285, 'tbu'),
  state(287, 'pvr', SPECIAL.READ_ONLY),
  state(308, 'spurr', SPECIAL.TIME, ON.POWER),
  state(309, 'purr', SPECIAL.TIME, ON.POWER),
  state(311, 'hior', SPECIAL.WIDE, ON.P970),
  ...monitor(784, 'sier', SPECIAL.WIDE, ON.POWER8),
  ...monitor(785, 'mmcr2', SPECIAL.WIDE, ON.POWER8),
  ...monitor(786, 'mmcra', SPECIAL.WIDE),
  ...[1, 2, 3, 4, 5, 6].flatMap((n) => monitor(786 + n, `pmc${n}` as 'pmc1', SPECIAL.WORD)),
  ...[7, 8].flatMap((n) => monitor(786 + n, `pmc${n}` as 'pmc7', SPECIAL.WORD, ON.P970)),
  ...monitor(795, 'mmcr0', SPECIAL.WIDE),
  ...monitor(796, 'siar', SPECIAL.WIDE),
  ...monitor(797, 'sdar', SPECIAL.WIDE),
  ...monitor(798, 'mmcr1', SPECIAL.WIDE),
  state(800, 'bescr', SPECIAL.BESCR_SET, ON.POWER8, USER.BOTH, FACILITY.EBB),
  state(801, 'bescr', SPECIAL.BESCR_SET_UPPER, ON.POWER8, USER.BOTH, FACILITY.EBB),
  state(802, 'bescr', SPECIAL.BESCR_RESET, ON.POWER8, USER.BOTH, FACILITY.EBB),
  state(803, 'bescr', SPECIAL.BESCR_RESET_UPPER, ON.POWER8, USER.BOTH, FACILITY.EBB),
  state(804, 'ebbhr', SPECIAL.WIDE, ON.POWER8, USER.BOTH, FACILITY.EBB),
  state(805, 'ebbrr', SPECIAL.WIDE, ON.POWER8, USER.BOTH, FACILITY.EBB),
  state(806, 'bescr', SPECIAL.WIDE, ON.POWER8, USER.BOTH, FACILITY.EBB),
  row(815, 'tar', W_TAR, SPECIAL.WIDE, ON.POWER8, USER.BOTH),
  state(848, 'ic', SPECIAL.READ_ONLY, ON.POWER8),
  state(849, 'vtb', SPECIAL.VTB, ON.POWER8),
  state(894, 'mmcrs', SPECIAL.WIDE, ON.POWER8),
  state(895, 'wort', SPECIAL.WORD, ON.POWER8),
  row(896, 'ppr', W_PPR, SPECIAL.WIDE, ON.POWER, USER.BOTH),
  row(898, 'ppr', W_PPR, SPECIAL.PPR32, ON.POWER, USER.BOTH),
  state(1008, 'hid0', SPECIAL.WIDE, ON.P970),
  state(1009, 'hid1', SPECIAL.WIDE, ON.P970),
  state(1010, 'iabr', SPECIAL.WIDE, ON.P970),
  state(1012, 'hid4', SPECIAL.WIDE, ON.P970),
  state(1013, 'dabr', SPECIAL.WIDE, ON.P970 | ON.POWER7),
  state(1014, 'hid5', SPECIAL.WIDE, ON.P970),
  state(1015, 'dabrx', SPECIAL.WIDE, ON.P970 | ON.POWER7),
  state(1023, 'pir', SPECIAL.READ_ONLY),
];

/** The rows spread over the 1024 numbers, for the emulation. */
export const SPR_SPECIAL = new Int8Array(1024);
export const SPR_WORD = new Int16Array(1024);
export const SPR_ON = new Int8Array(1024);
export const SPR_USER = new Int8Array(1024);
export const SPR_FACILITY = new Int8Array(1024);
const NAMES: string[] = [];
for (const { spr, name, word, special, on, user, facility } of SPR_ROWS) {
  SPR_SPECIAL[spr] = special;
  SPR_WORD[spr] = word;
  SPR_ON[spr] = on;
  SPR_USER[spr] = user;
  SPR_FACILITY[spr] = facility;
  NAMES[spr] = name;
}

/** The manual's name in lower case, or the number. */
export function sprName(spr: number): string {
  return NAMES[spr] ?? String(spr);
}
