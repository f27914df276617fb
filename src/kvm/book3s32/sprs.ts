/**
 * The special registers of a 32-bit Book3S guest. Which a model has and who may use them is in the table of
 * `src/isa/registers`; here stands where KVM keeps each, and what is special about it.
 */
import type { Level } from '../../isa/define.ts';
import { type Right, registersOf } from '../../isa/registers/index.ts';
import {
  type ClassicWord,
  type StateDoubleword,
  W_CTR,
  W_DAR,
  W_DBAT,
  W_IBAT,
  W_LR,
  W_SPRG,
  W_SPRG_HIGH,
  W_SRR0,
  W_SRR1,
  W_USPRG0,
  wordOf,
  wordOfClassic,
} from './layout.ts';

/** How a move to or from the register goes. */
export const SPECIAL = {
  NONE: 0,
  /** A word in the block. */
  WORD: 1,
  /** Reads give what is there, writes do nothing. */
  FIXED: 2,
  XER: 3,
  DEC: 4,
  DSISR: 5,
  SDR1: 6,
  TB: 7,
  TBU: 8,
  /** A BAT, or HID0, which says how many there are. */
  BAT: 9,
  /** Of the debug facilities. */
  DEBUG: 10,
  /** THRM1, THRM2: the comparators of the thermal sensor. */
  THERMAL: 11,
} as const;

/** Who may do what: bits of `ClassicSprs.rights`. */
export const RIGHT = { READ: 1, WRITE: 2, USER_READ: 4, USER_WRITE: 8 } as const;

/** Where a register is kept: the index of its word in the block, -1 where it has none; the bits that are kept. */
interface Kept {
  readonly word: number;
  readonly special: number;
  readonly mask: number;
}
const at = (word: number, special: number = SPECIAL.WORD, mask = -1): Kept => ({ word, special, mask });
const state = (name: StateDoubleword, special: number = SPECIAL.WORD, mask = -1): Kept =>
  at(wordOf(name), special, mask);
const own = (name: ClassicWord, special: number = SPECIAL.WORD, mask = -1): Kept =>
  at(wordOfClassic(name), special, mask);
const nowhere = (special: number): Kept => at(-1, special);

/** Flash invalidations and software-controlled flushes end at once: their bits read as zero. */
const L2CR_BITS = ~0x0020_0801;
const L3CR_BITS = ~0x0000_0c00;
const MSSCR0_BITS = ~0x0080_0000;
/** HID0 has no flash invalidation under way, no table search by software, no 36-bit addresses (bits.ts). */
const HID0_BITS = ~0x0102_0d00;
/** EAR[E]: there is no external control. */
const EAR_BITS = 0x3f;

const MONITORS = {
  mmcr0: 'mmcr0',
  mmcr1: 'mmcr1',
  mmcr2: 'mmcr2',
  pmc1: 'pmc1',
  pmc2: 'pmc2',
  pmc3: 'pmc3',
  pmc4: 'pmc4',
  pmc5: 'pmc5',
  pmc6: 'pmc6',
  sia: 'siar',
  sda: 'sdar',
} as const;

const KEPT: ReadonlyMap<string, Kept> = new Map<string, Kept>([
  ['xer', nowhere(SPECIAL.XER)],
  ['lr', at(W_LR)],
  ['ctr', at(W_CTR)],
  ['dsisr', nowhere(SPECIAL.DSISR)],
  ['dar', at(W_DAR)],
  ['dec', nowhere(SPECIAL.DEC)],
  ['sdr1', state('sdr1', SPECIAL.SDR1)],
  ['srr0', at(W_SRR0)],
  ['srr1', at(W_SRR1)],
  ['vrsave', at(W_USPRG0)],
  ...[0, 1, 2, 3].map((n): [string, Kept] => [`sprg${n}`, at(W_SPRG[n] as number)]),
  ...[4, 5, 6, 7].map((n): [string, Kept] => [`sprg${n}`, at(W_SPRG_HIGH[n - 4] as number)]),
  ['tb', nowhere(SPECIAL.TB)],
  ['tbl', nowhere(SPECIAL.TB)],
  ['tbu', nowhere(SPECIAL.TBU)],
  ['pvr', state('pvr', SPECIAL.FIXED)],
  ['pir', state('pir')],
  ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((n): [string, Kept][] => [
    [`ibatu${n}`, at(W_IBAT + 2 * n, SPECIAL.BAT)],
    [`ibatl${n}`, at(W_IBAT + 2 * n + 1, SPECIAL.BAT)],
    [`dbatu${n}`, at(W_DBAT + 2 * n, SPECIAL.BAT)],
    [`dbatl${n}`, at(W_DBAT + 2 * n + 1, SPECIAL.BAT)],
  ]),
  ['ear', own('ear', SPECIAL.WORD, EAR_BITS)],
  ['hid0', state('hid0', SPECIAL.BAT, HID0_BITS)],
  ['hid1', state('hid1')],
  // Where servers have CIABR: the debug facilities know both (book3s/debug.ts).
  ['iabr', state('ciabr', SPECIAL.DEBUG)],
  ['dabr', state('dabr', SPECIAL.DEBUG)],
  ...(['ictrl', 'msssr0', 'ldstcr', 'ictc', 'thrm3', 'bamr', 'tlbmiss', 'ptehi', 'ptelo'] as const).map(
    (name): [string, Kept] => [name, own(name)],
  ),
  ['thrm1', own('thrm1', SPECIAL.THERMAL)],
  ['thrm2', own('thrm2', SPECIAL.THERMAL)],
  ['msscr0', own('msscr0', SPECIAL.WORD, MSSCR0_BITS)],
  ['l2cr', own('l2cr', SPECIAL.WORD, L2CR_BITS)],
  ['l3cr', own('l3cr', SPECIAL.WORD, L3CR_BITS)],
  ...Object.entries(MONITORS).flatMap(([name, kept]): [string, Kept][] => [
    [name, state(kept)],
    [`u${name}`, state(kept)],
  ]),
  ['ubamr', own('bamr')],
]);

export interface SprRow extends Kept {
  readonly spr: number;
  readonly name: string;
  /** Bits of RIGHT. */
  readonly rights: number;
}

/** The rows of a model, and the same spread over the 1024 numbers for the emulation. */
export interface ClassicSprs {
  readonly rows: readonly SprRow[];
  readonly special: Int8Array;
  readonly word: Int16Array;
  readonly rights: Int8Array;
  readonly mask: Int32Array;
}

const rightsOf = (right: Right, privileged: number, problem: number): number =>
  right === null ? 0 : right === 'problem' ? privileged | problem : privileged;

const TABLES = new WeakMap<ReadonlySet<Level>, ClassicSprs>();

/** The special registers of a model, by its processor's groups. */
export function classicSprs(levels: ReadonlySet<Level>): ClassicSprs {
  const known = TABLES.get(levels);
  if (known) return known;
  const rows = Array.from(registersOf(levels).values(), ({ number, name, mfspr, mtspr }): SprRow => {
    const kept = KEPT.get(name);
    if (kept === undefined) throw new RangeError(`KVM does not know where to keep ${name}`);
    const rights = rightsOf(mfspr, RIGHT.READ, RIGHT.USER_READ) | rightsOf(mtspr, RIGHT.WRITE, RIGHT.USER_WRITE);
    return { ...kept, spr: number, name, rights };
  });
  const table: ClassicSprs = {
    rows,
    special: new Int8Array(1024),
    word: new Int16Array(1024),
    rights: new Int8Array(1024),
    mask: new Int32Array(1024),
  };
  for (const { spr, special, word, rights, mask } of rows) {
    table.special[spr] = special;
    table.word[spr] = word;
    table.rights[spr] = rights;
    table.mask[spr] = mask;
  }
  TABLES.set(levels, table);
  return table;
}
