/**
 * The special registers of a Book3S 64 guest. Which a model has, how wide they are, who may use them and what facility
 * they belong to is in the table of `src/isa/registers`; here stands where KVM keeps each, and what is special about it.
 */
import type { Level } from '../../isa/define.ts';
import { FACILITY, type Right, registersOf, type SpecialRegister } from '../../isa/registers/index.ts';
import {
  type StateDoubleword,
  W_CFAR,
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

/** How a move to or from the register goes. */
export const SPECIAL = {
  NONE: 0,
  /** A doubleword in the block. */
  WIDE: 1,
  /** A word: reads have zeros on its left. */
  WORD: 2,
  /** Reads give zero, writes do nothing. */
  IGNORED: 3,
  /** Neither reads nor writes do anything. */
  RESERVED: 4,
  XER: 5,
  DEC: 6,
  DSISR: 7,
  SDR1: 8,
  TIME: 9,
  VTB: 10,
  TB: 11,
  TBU: 12,
  /** Instructions that were carried out. */
  IC: 13,
  /** BESCR's bits, set or cleared by writing ones, all of them or those of its upper word. */
  BESCR_SET: 14,
  BESCR_SET_UPPER: 15,
  BESCR_RESET: 16,
  BESCR_RESET_UPPER: 17,
  BESCR: 18,
  /** PPR's upper word. */
  PPR32: 19,
  /** The performance monitor's: a doubleword or a word, of which problem state writes some bits. */
  MONITOR: 20,
  MONITOR_WORD: 21,
  /** Of the debug facilities: a doubleword or a word that says at once what is watched. */
  DEBUG: 22,
  DEBUG_WORD: 23,
} as const;

/** Who may do what: bits of `SprTable.rights`. */
export const RIGHT = { READ: 1, WRITE: 2, USER_READ: 4, USER_WRITE: 8 } as const;
/** No facility that can be taken away. */
export const NO_FACILITY = -1;

/** Where a register is kept: the index of its (low) word in the block, -1 where it has none; the bits that are kept. */
interface Kept {
  readonly word: number;
  readonly special: number;
  readonly mask: bigint;
}
const ALL = (1n << 64n) - 1n;
const at = (word: number, special: number = SPECIAL.WIDE, mask = ALL): Kept => ({ word, special, mask });
const state = (name: StateDoubleword, special: number = SPECIAL.WIDE, mask = ALL): Kept =>
  at(wordOf(name), special, mask);
const nowhere = (special: number): Kept => at(-1, special);
const monitors = (...names: StateDoubleword[]): [string, Kept][] =>
  names.map((name) => [name, state(name, SPECIAL.MONITOR)]);
const debugging = (...names: StateDoubleword[]): [string, Kept][] =>
  names.map((name) => [name, state(name, SPECIAL.DEBUG)]);
const several = (...names: StateDoubleword[]): [string, Kept][] => names.map((name) => [name, state(name)]);

/** FSCR's interrupt cause, and the facilities that can be given and taken. */
export const FSCR_IC = 0xff00_0000 | 0;
const FSCR_BITS =
  (0xffn << 56n) | BigInt((1 << FACILITY.dscr) | (1 << FACILITY.eventBasedBranch) | (1 << FACILITY.tar));
/** Of HID4 and HID5 what would disable large pages, make real mode's storage caching inhibited, or shorten dcbz is not there. */
const HID4_BITS = ALL & ~((1n << 40n) | (1n << 2n));
const HID5_BITS = ALL & ~0xc0n;

const KEPT: ReadonlyMap<string, Kept> = new Map<string, Kept>([
  ['xer', nowhere(SPECIAL.XER)],
  ['lr', at(W_LR)],
  ['ctr', at(W_CTR)],
  ['dsisr', nowhere(SPECIAL.DSISR)],
  ['dar', at(W_DAR)],
  ['dec', state('dec', SPECIAL.DEC)],
  ['sdr1', state('sdr1', SPECIAL.SDR1)],
  ['srr0', at(W_SRR0)],
  ['srr1', at(W_SRR1)],
  ['cfar', at(W_CFAR)],
  ['vrsave', at(W_USPRG0)],
  ...[0, 1, 2, 3].map((n): [string, Kept] => [`sprg${n}`, at(W_SPRG[n] as number)]),
  ['tb', nowhere(SPECIAL.TB)],
  // The time base is the hypervisor's to set.
  ['tbl', nowhere(SPECIAL.IGNORED)],
  ['tbu', nowhere(SPECIAL.TBU)],
  ['purr', nowhere(SPECIAL.TIME)],
  ['spurr', nowhere(SPECIAL.TIME)],
  ['fscr', state('fscr', SPECIAL.WIDE, FSCR_BITS)],
  // One thread, to which nobody has sent a doorbell.
  ['dpdes', nowhere(SPECIAL.IGNORED)],
  ['tir', nowhere(SPECIAL.IGNORED)],
  ...several('amr', 'iamr', 'uamor', 'dscr', 'ctrl', 'pspb', 'pvr', 'pir'),
  ...debugging('dabr', 'dabrx', 'dawr', 'dawrx', 'ciabr'),
  ...several('hior', 'hid0', 'hid1', 'ebbhr', 'ebbrr'),
  ['hid4', state('hid4', SPECIAL.WIDE, HID4_BITS)],
  ['hid5', state('hid5', SPECIAL.WIDE, HID5_BITS)],
  ['iabr', nowhere(SPECIAL.IGNORED)],
  ...monitors('sier', 'mmcr0', 'mmcr1', 'mmcr2', 'mmcra', 'siar', 'sdar'),
  ...monitors('pmc1', 'pmc2', 'pmc3', 'pmc4', 'pmc5', 'pmc6', 'pmc7', 'pmc8'),
  ['bescrs', state('bescr', SPECIAL.BESCR_SET)],
  ['bescrsu', state('bescr', SPECIAL.BESCR_SET_UPPER)],
  ['bescrr', state('bescr', SPECIAL.BESCR_RESET)],
  ['bescrru', state('bescr', SPECIAL.BESCR_RESET_UPPER)],
  ['bescr', state('bescr', SPECIAL.BESCR)],
  ...[808, 809, 810, 811].map((n): [string, Kept] => [`reserved${n}`, nowhere(SPECIAL.RESERVED)]),
  ['tar', at(W_TAR)],
  ['ic', nowhere(SPECIAL.IC)],
  ['vtb', nowhere(SPECIAL.VTB)],
  ['ppr', at(W_PPR)],
  ['ppr32', at(W_PPR, SPECIAL.PPR32)],
]);

export interface SprRow extends Kept {
  readonly spr: number;
  readonly name: string;
  /** Bits of RIGHT. */
  readonly rights: number;
  /** FSCR's bit, or NO_FACILITY. */
  readonly facility: number;
}

/** The rows of a model, and the same spread over the 1024 numbers for the emulation. */
export interface SprTable {
  readonly rows: readonly SprRow[];
  readonly special: Int8Array;
  readonly word: Int16Array;
  readonly rights: Int8Array;
  readonly facility: Int8Array;
  readonly maskLow: Int32Array;
  readonly maskHigh: Int32Array;
}

const rightsOf = (right: Right, privileged: number, problem: number): number =>
  right === null ? 0 : right === 'problem' ? privileged | problem : privileged;

/** How registers of 32 bits go that are kept like ones of 64. */
const NARROW: ReadonlyMap<number, number> = new Map<number, number>([
  [SPECIAL.WIDE, SPECIAL.WORD],
  [SPECIAL.MONITOR, SPECIAL.MONITOR_WORD],
  [SPECIAL.DEBUG, SPECIAL.DEBUG_WORD],
]);

function rowOf({ number, name, bits, mfspr, mtspr, facility }: SpecialRegister): SprRow {
  const kept = KEPT.get(name);
  if (kept === undefined) throw new RangeError(`KVM does not know where to keep ${name}`);
  return {
    ...kept,
    special: (bits === 32 ? NARROW.get(kept.special) : undefined) ?? kept.special,
    spr: number,
    name,
    rights: rightsOf(mfspr, RIGHT.READ, RIGHT.USER_READ) | rightsOf(mtspr, RIGHT.WRITE, RIGHT.USER_WRITE),
    facility: facility === undefined ? NO_FACILITY : FACILITY[facility],
  };
}

const TABLES = new WeakMap<ReadonlySet<Level>, SprTable>();

/** The special registers of a model, by its processor's groups. */
export function sprTable(levels: ReadonlySet<Level>): SprTable {
  const known = TABLES.get(levels);
  if (known) return known;
  const rows = Array.from(registersOf(levels).values(), rowOf);
  const table: SprTable = {
    rows,
    special: new Int8Array(1024),
    word: new Int16Array(1024),
    rights: new Int8Array(1024),
    facility: new Int8Array(1024),
    maskLow: new Int32Array(1024),
    maskHigh: new Int32Array(1024),
  };
  for (const { spr, special, word, rights, facility, mask } of rows) {
    table.special[spr] = special;
    table.word[spr] = word;
    table.rights[spr] = rights;
    table.facility[spr] = facility;
    table.maskLow[spr] = Number(BigInt.asIntN(32, mask));
    table.maskHigh[spr] = Number(BigInt.asIntN(32, mask >> 32n));
  }
  TABLES.set(levels, table);
  return table;
}

/** The manual's name of a number in lower case, or the number. */
export function sprName(levels: ReadonlySet<Level>, spr: number): string {
  return registersOf(levels).get(spr)?.name ?? String(spr);
}
