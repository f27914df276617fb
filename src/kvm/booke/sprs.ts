/**
 * The special registers of a BookE guest. Which a processor has and who may use them is in the table of
 * `src/isa/registers`; here stands where KVM keeps each, and what is special about it (PowerPC 440 User's Manual, chapter
 * "Special Purpose Registers").
 */
import type { Level } from '../../isa/define.ts';
import { registersOf } from '../../isa/registers/index.ts';
import { BBEAR, BBTAR, LEVELS_OF, type ProcessorName, SPEFSCR } from '../../processor/index.ts';
import { MMUCR_STID, MMUCR_STS } from './bits.ts';
import {
  type StateField,
  W_CTR,
  W_DEAR,
  W_ESR,
  W_LR,
  W_MAS0,
  W_MAS1,
  W_MAS2,
  W_MAS3,
  W_MAS4,
  W_MAS6,
  W_MAS7,
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
  XER: 2,
  DEC: 3,
  DECAR: 4,
  TSR: 5,
  TCR: 6,
  PID: 7,
  TB: 8,
  TBL: 9,
  /** Two registers: problem state reads one, the operating system writes the other. */
  TBU: 10,
  DBCR0: 11,
  /** Writing ones clears. */
  CLEAR: 12,
  DBSR: 13,
  /** Of the debug facility: a word to read, but what it says is looked at when it is written. */
  DEBUG: 14,
  CCR0: 15,
  PID1: 16,
  PID2: 17,
  MMUCSR0: 18,
  EPR: 19,
} as const;

export interface SprRow {
  readonly spr: number;
  readonly name: string;
  /** Index of its word in the block; -1 where it has none. */
  readonly word: number;
  readonly special: number;
  /** Bits that a write changes. */
  readonly mask: number;
  /** Whether it can be read and written, by problem state too. */
  readonly readable: boolean;
  readonly writable: boolean;
  readonly user: boolean;
}

type Kept = Pick<SprRow, 'word' | 'special' | 'mask'>;
const at = (word: number, special: number = SPECIAL.PLAIN, mask = -1): Kept => ({ word, special, mask });
const state = (name: StateField, special: number = SPECIAL.PLAIN, mask = -1): [string, Kept] => [
  name,
  at(wordOf(name), special, mask),
];
const several = (stem: string, first: number, last: number, special: number = SPECIAL.PLAIN): [string, Kept][] =>
  Array.from({ length: last - first + 1 }, (_, i) => state(`${stem}${first + i}` as StateField, special));

/** MMUCR: what there is no cache to say of is not there, nor exceptions for unlocking one. */
const MMUCR_BITS = MMUCR_STS | MMUCR_STID;

/** CCR0 without FLSTA: unaligned accesses never interrupt. */
const CCR0_BITS = ~0x100;
/** CCR1 without TCS and the insertion of parity errors: there is one clock for timers, and nothing is checked. */
const CCR1_BITS = ~0xfffe_f080;

/** Bits of the MAS registers that an e500v2 has (e500 Core Family Reference Manual, "MMU Registers"). */
const MAS0_BITS = 0x103f_000f;
const MAS1_BITS = 0xc0ff_1f00 | 0;
export const MAS2_BITS = 0xffff_f07f | 0;
const MAS3_BITS = 0xffff_f3ff | 0;
const MAS4_BITS = 0x1003_0f7f;
const MAS6_BITS = 0x00ff_0001;
const MAS7_BITS = 0xf;
/** L1CSR0 and L1CSR1: the cache is on, and its parity is checked; a lock was not got. */
const L1CSR_BITS = 0x0001_0001;
export const L1CSR_CUL = 0x400;
/** BUCSR: branch prediction is on. */
const BUCSR_BPEN = 1;

/** Where KVM keeps a register, by its name. */
const KEPT: ReadonlyMap<string, Kept> = new Map<string, Kept>([
  ['xer', at(-1, SPECIAL.XER)],
  ['lr', at(W_LR)],
  ['ctr', at(W_CTR)],
  state('dec', SPECIAL.DEC),
  ['srr0', at(W_SRR0, SPECIAL.PLAIN, ~3)],
  ['srr1', at(W_SRR1)],
  state('pid', SPECIAL.PID),
  state('decar', SPECIAL.DECAR),
  state('csrr0', SPECIAL.PLAIN, ~3),
  state('csrr1'),
  ['dear', at(W_DEAR)],
  ['esr', at(W_ESR)],
  state('ivpr', SPECIAL.PLAIN, 0xffff0000),
  ['usprg0', at(W_USPRG0)],
  ...W_SPRG.map((word, n): [string, Kept] => [`sprg${n}`, at(word)]),
  ['tb', at(-1, SPECIAL.TB)],
  ['tbu', at(-1, SPECIAL.TBU)],
  ['tbl', at(-1, SPECIAL.TBL)],
  ['pir', at(W_PIR)],
  state('pvr'),
  state('dbsr', SPECIAL.DBSR),
  state('dbcr0', SPECIAL.DBCR0),
  ...several('dbcr', 1, 2, SPECIAL.DEBUG),
  ...several('iac', 1, 4, SPECIAL.DEBUG),
  ...several('dac', 1, 2, SPECIAL.DEBUG),
  ...several('dvc', 1, 2, SPECIAL.DEBUG),
  state('tsr', SPECIAL.TSR),
  state('tcr', SPECIAL.TCR),
  ...Array.from({ length: 16 }, (_, n) => state(`ivor${n}` as StateField, SPECIAL.PLAIN, 0xfff0)),
  state('mcsrr0', SPECIAL.PLAIN, ~3),
  state('mcsrr1'),
  state('mcsr', SPECIAL.CLEAR),
  ...several('inv', 0, 3),
  ...several('itv', 0, 3),
  state('ccr1', SPECIAL.PLAIN, CCR1_BITS),
  ...several('dnv', 0, 3),
  ...several('dtv', 0, 3),
  state('dvlim'),
  state('ivlim'),
  state('rstcfg'),
  state('dcdbtrl'),
  state('dcdbtrh'),
  state('icdbtrl'),
  state('icdbtrh'),
  state('mmucr', SPECIAL.PLAIN, MMUCR_BITS),
  state('ccr0', SPECIAL.CCR0, CCR0_BITS),
  state('icdbdr'),
  state('dbdr'),
  // The e500's.
  ['spefscr', at(SPEFSCR >> 2)],
  ['bbear', at(BBEAR >> 2)],
  ['bbtar', at(BBTAR >> 2)],
  ['l1cfg0', at(-1, SPECIAL.NONE)],
  ['l1cfg1', at(-1, SPECIAL.NONE)],
  ['atbl', at(-1, SPECIAL.NONE)],
  ['atbu', at(-1, SPECIAL.NONE)],
  state('npidr'),
  ...[32, 33, 34, 35].map((n) => state(`ivor${n}` as StateField, SPECIAL.PLAIN, 0xfff0)),
  state('mcar'),
  ['mas0', at(W_MAS0, SPECIAL.PLAIN, MAS0_BITS)],
  ['mas1', at(W_MAS1, SPECIAL.PLAIN, MAS1_BITS)],
  ['mas2', at(W_MAS2, SPECIAL.PLAIN, MAS2_BITS)],
  ['mas3', at(W_MAS3, SPECIAL.PLAIN, MAS3_BITS)],
  ['mas4', at(W_MAS4, SPECIAL.PLAIN, MAS4_BITS)],
  ['mas6', at(W_MAS6, SPECIAL.PLAIN, MAS6_BITS)],
  ['mas7', at(W_MAS7, SPECIAL.PLAIN, MAS7_BITS)],
  state('pid1', SPECIAL.PID1),
  state('pid2', SPECIAL.PID2),
  state('tlb0cfg'),
  state('tlb1cfg'),
  state('mmucfg'),
  state('epr', SPECIAL.EPR),
  state('hid0'),
  state('hid1'),
  // Flash invalidations and lock clears are done as soon as they are asked for: there is nothing in the caches.
  state('l1csr0', SPECIAL.PLAIN, L1CSR_BITS | L1CSR_CUL),
  state('l1csr1', SPECIAL.PLAIN, L1CSR_BITS),
  ['mmucsr0', at(-1, SPECIAL.MMUCSR0)],
  state('bucsr', SPECIAL.PLAIN, BUCSR_BPEN),
  state('svr'),
]);

/** The special registers of a processor, by its groups. */
export function sprRows(levels: ReadonlySet<Level>): SprRow[] {
  return Array.from(registersOf(levels).values(), ({ number, name, mfspr, mtspr }) => {
    const kept = KEPT.get(name);
    if (kept === undefined) throw new RangeError(`KVM does not know where to keep ${name}`);
    return {
      ...kept,
      spr: number,
      name,
      readable: mfspr !== null,
      writable: mtspr !== null,
      user: mfspr === 'problem',
    };
  });
}

/** Bits of `SprTable.rights`. */
export const RIGHT = { READ: 1, WRITE: 2, USER_READ: 4 } as const;

/** A processor's special registers, the rows spread over the 1024 numbers for the emulation. */
export class SprTable {
  readonly rows: readonly SprRow[];
  readonly special = new Int8Array(1024);
  readonly word = new Int16Array(1024);
  readonly mask = new Int32Array(1024);
  readonly rights = new Int8Array(1024);
  readonly #names: string[] = [];

  constructor(processor: ProcessorName) {
    this.rows = sprRows(LEVELS_OF[processor]);
    for (const { spr, name, word, special, mask, readable, writable, user } of this.rows) {
      this.special[spr] = special;
      this.word[spr] = word;
      this.mask[spr] = mask;
      this.rights[spr] = (readable ? RIGHT.READ : 0) | (writable ? RIGHT.WRITE : 0) | (user ? RIGHT.USER_READ : 0);
      this.#names[spr] = name;
    }
  }

  /** The manual's name in lower case, or the number. */
  nameOf(spr: number): string {
    return this.#names[spr] ?? String(spr);
  }
}

export const SPRS_440 = new SprTable('440');
export const SPRS_E500 = new SprTable('e500v2');
