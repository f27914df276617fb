/**
 * The comparators of a BookE processor's debug facility: which instruction addresses, data addresses and data values are debug
 * events (PPC440x5 CPU Core User's Manual, 8.3.1 to 8.3.3: IAC, DAC and DVC debug events). No member compares real addresses.
 */
import { DBCR0_IDM, DBSR, MSR } from './bits.ts';
import { W_DBCR0, W_DBSR, W_MSR, wordOf } from './layout.ts';

const W_DBCR1 = wordOf('dbcr1');
const W_DBCR2 = wordOf('dbcr2');
const W_IAC: readonly number[] = [wordOf('iac1'), wordOf('iac2'), wordOf('iac3'), wordOf('iac4')];
const W_DAC1 = wordOf('dac1');
const W_DAC2 = wordOf('dac2');
const W_DVC1 = wordOf('dvc1');
const W_DVC2 = wordOf('dvc2');

/** Bits of DBCR0 and DBSR. */
const IAC1 = 0x0080_0000;
const IAC12 = 0x00c0_0000;
const IAC34 = 0x0030_0000;
const IACS = IAC12 | IAC34;
const DAC1 = { LOADS: 0x8_0000, STORES: 0x4_0000 } as const;
const DAC2 = { LOADS: 0x2_0000, STORES: 0x1_0000 } as const;
const OF_DAC1 = DAC1.LOADS | DAC1.STORES;
const OF_DAC2 = DAC2.LOADS | DAC2.STORES;
const LOADS = DAC1.LOADS | DAC2.LOADS;
const STORES = DAC1.STORES | DAC2.STORES;
/** How two comparators go together: DBCR1[IAC12M, IAC34M], DBCR2[DAC12M]. */
const MODE = { EXACT: 0, MASK: 1, INCLUSIVE: 2, EXCLUSIVE: 3 } as const;
/** DBCR1: ranges of a pair toggle between inclusive and exclusive. */
const TOGGLES = { IAC12: 0x1_0000, IAC34: 1 } as const;
/** How the bytes of a data value go together: DBCR2[DVC1M, DVC2M]. */
const VALUE = { AND: 1, OR: 2, AND_OR: 3 } as const;
const PAGE = ~0xfff;

/** Whether an address is in a pair's range, or not, as its mode has it. */
function isInRange(address: number, first: number, end: number, mode: number): boolean {
  const isInside = address >>> 0 >= first >>> 0 && address >>> 0 < end >>> 0;
  return isInside === (mode === MODE.INCLUSIVE);
}

/** Whether a page of 4 KB has an address that is. */
function meetsRange(page: number, first: number, end: number, mode: number): boolean {
  const start = (page & PAGE) >>> 0;
  const last = start + 0xfff;
  if (mode === MODE.INCLUSIVE) return start < end >>> 0 && last >= first >>> 0;
  return start < first >>> 0 || last >= end >>> 0;
}

/** Whether the bytes of a word that are accessed and equal (a bit each, the leftmost byte's first) are what is looked for. */
function isValue(mode: number, enabled: number, equal: number, accessed: number): boolean {
  const found = equal & accessed & enabled;
  const pair = (bits: number): boolean => (enabled & bits) !== 0 && (found & bits) === (enabled & bits);
  if (mode === VALUE.AND) return found === enabled;
  if (mode === VALUE.OR) return found !== 0;
  return mode === VALUE.AND_OR && (pair(0xc) || pair(3));
}

export class Comparators {
  readonly #words: Int32Array;
  /** The processor compares data values, and its ranges toggle. */
  readonly #isFull: boolean;

  constructor(words: Int32Array, isFull: boolean) {
    this.#words = words;
    this.#isFull = isFull;
  }

  get hasCode(): boolean {
    return this.#enabled(IACS) !== 0;
  }

  get hasData(): boolean {
    return this.#enabled(LOADS | STORES) !== 0;
  }

  /** Whether an address in the page of 4 KB may be an event of an instruction. */
  coversCode(address: number): boolean {
    const enabled = this.#enabled(IACS);
    if (enabled === 0) return false;
    for (let n = 0; n < 4; n++) {
      const mode = this.#codeMode(n);
      if ((enabled & (IAC1 >>> n)) === 0) continue;
      if (mode === MODE.EXACT ? ((this.#iac(n) ^ address) & PAGE) === 0 : this.#meetsPair(n, address, mode))
        return true;
    }
    return false;
  }

  /** Whether an access to the page of 4 KB may be an event. */
  coversData(address: number): boolean {
    const words = this.#words;
    const enabled = this.#enabled(LOADS | STORES);
    if (enabled === 0) return false;
    const first = words[W_DAC1] as number;
    const second = words[W_DAC2] as number;
    const mode = this.#dataMode;
    if (mode === MODE.MASK) return ((address ^ first) & second & PAGE) === 0;
    if (mode !== MODE.EXACT) return meetsRange(address, first, second, mode);
    const isFirst = (enabled & (DAC1.LOADS | DAC1.STORES)) !== 0 && ((address ^ first) & PAGE) === 0;
    return isFirst || ((enabled & (DAC2.LOADS | DAC2.STORES)) !== 0 && ((address ^ second) & PAGE) === 0);
  }

  /** The events of an instruction at an address, bits of DBSR. `exact`: only those of comparators by themselves. */
  codeEvents(address: number, exact: boolean): number {
    const enabled = this.#enabled(IACS);
    let events = 0;
    for (let n = 0; n < 4; n++) {
      const bit = IAC1 >>> n;
      if ((enabled & bit) === 0) continue;
      const mode = this.#codeMode(n);
      const dbcr1 = this.#words[W_DBCR1] as number;
      const states = dbcr1 >>> (n < 2 ? 28 - 4 * n : 20 - 4 * n);
      if (!this.#isState(states, MSR.IS)) continue;
      const pair = n & 2;
      const matches =
        mode === MODE.EXACT
          ? this.#iac(n) === address
          : !exact && isInRange(address, this.#iac(pair), this.#iac(pair + 1), mode);
      if (matches) events |= bit;
    }
    return events;
  }

  /**
   * An event of instruction addresses has happened: of the ranges that toggle, those it is of change their kind (DBSR[IAC12ATS],
   * [IAC34ATS]). True: one did.
   */
  toggle(events: number): boolean {
    const words = this.#words;
    const reversed =
      ((events & IAC12) !== 0 && this.#toggles(0) ? DBSR.IAC12ATS : 0) |
      ((events & IAC34) !== 0 && this.#toggles(2) ? DBSR.IAC34ATS : 0);
    words[W_DBSR] = (words[W_DBSR] as number) ^ reversed;
    return reversed !== 0;
  }

  /** Those of the events of an access that depend on its value. */
  valued(events: number): number {
    const dbcr2 = this.#isFull ? (this.#words[W_DBCR2] as number) : 0;
    return events & (((dbcr2 & 0xf00) !== 0 ? OF_DAC1 : 0) | ((dbcr2 & 0xf) !== 0 ? OF_DAC2 : 0));
  }

  /**
   * The events that are left of an access when its value is known: its first `count` bytes, in the order of their addresses from
   * `address` on. Bytes are compared by their place in an aligned word.
   */
  valueEvents(events: number, address: number, bytes: Uint8Array, count: number): number {
    const valued = this.valued(events);
    if (valued === 0) return events;
    const dbcr2 = this.#words[W_DBCR2] as number;
    let found = events & ~valued;
    let lanes = 0;
    let [equal1, equal2] = [0, 0];
    for (let i = 0; i < count; i++) {
      const place = (address + i) & 3;
      const lane = 8 >>> place;
      const shift = 24 - 8 * place;
      lanes |= lane;
      if ((((this.#words[W_DVC1] as number) >>> shift) & 0xff) === bytes[i]) equal1 |= lane;
      if ((((this.#words[W_DVC2] as number) >>> shift) & 0xff) === bytes[i]) equal2 |= lane;
      // What goes over words is an access of each.
      if (place !== 3 && i !== count - 1) continue;
      if (isValue((dbcr2 >>> 18) & 3, (dbcr2 >>> 8) & 15, equal1, lanes)) found |= valued & OF_DAC1;
      if (isValue((dbcr2 >>> 16) & 3, dbcr2 & 15, equal2, lanes)) found |= valued & OF_DAC2;
      lanes = equal1 = equal2 = 0;
    }
    return found;
  }

  /** The events of an access that begins at an address. */
  dataEvents(address: number, store: boolean): number {
    const words = this.#words;
    const enabled = this.#enabled(store ? STORES : LOADS);
    if (enabled === 0) return 0;
    const first = words[W_DAC1] as number;
    const second = words[W_DAC2] as number;
    const dbcr2 = words[W_DBCR2] as number;
    const mode = this.#dataMode;
    if (mode === MODE.EXACT) {
      const ofFirst = first === address && this.#isState(dbcr2 >>> 28, MSR.DS) ? DAC1.LOADS | DAC1.STORES : 0;
      const ofSecond = second === address && this.#isState(dbcr2 >>> 24, MSR.DS) ? DAC2.LOADS | DAC2.STORES : 0;
      return enabled & (ofFirst | ofSecond);
    }
    const matches = mode === MODE.MASK ? ((address ^ first) & second) === 0 : isInRange(address, first, second, mode);
    return matches && this.#isState(dbcr2 >>> 28, MSR.DS) ? enabled : 0;
  }

  /** In trace mode events are only recorded: what is in DBSR already need not be looked for, but for what changes with it. */
  #enabled(events: number): number {
    const words = this.#words;
    const dbcr0 = words[W_DBCR0] as number;
    if ((dbcr0 & DBCR0_IDM) !== 0) return dbcr0 & events;
    const toggling = (this.#toggles(0) ? IAC12 : 0) | (this.#toggles(2) ? IAC34 : 0);
    return dbcr0 & events & (~(words[W_DBSR] as number) | toggling);
  }

  /** Whether a pair's range toggles. */
  #toggles(pair: number): boolean {
    const dbcr1 = this.#words[W_DBCR1] as number;
    if (!this.#isFull || (dbcr1 & (pair === 0 ? TOGGLES.IAC12 : TOGGLES.IAC34)) === 0) return false;
    return ((dbcr1 >>> (pair === 0 ? 22 : 6)) & 2) !== 0;
  }

  #iac(n: number): number {
    return (this.#words[W_IAC[n] as number] as number) & ~3;
  }

  #meetsPair(n: number, address: number, mode: number): boolean {
    const pair = n & 2;
    return meetsRange(address, this.#iac(pair), this.#iac(pair + 1), mode);
  }

  #codeMode(n: number): number {
    const mode = ((this.#words[W_DBCR1] as number) >>> (n < 2 ? 22 : 6)) & 3;
    if (mode === MODE.MASK) return MODE.EXACT;
    const status = n < 2 ? DBSR.IAC12ATS : DBSR.IAC34ATS;
    const isReversed = this.#toggles(n & 2) && ((this.#words[W_DBSR] as number) & status) !== 0;
    return isReversed ? mode ^ MODE.INCLUSIVE ^ MODE.EXCLUSIVE : mode;
  }

  get #dataMode(): number {
    return ((this.#words[W_DBCR2] as number) >>> 22) & 3;
  }

  /** Four bits say in which state an event is one: user/supervisor (0 or 1: any), effective/real address and its space. */
  #isState(states: number, space: number): boolean {
    const msr = this.#words[W_MSR] as number;
    const privilege = (states >>> 2) & 3;
    if (privilege >= 2 && (privilege === 3) !== ((msr & MSR.PR) !== 0)) return false;
    const kind = states & 3;
    if (kind === 0) return true;
    return kind !== 1 && (kind === 3) === ((msr & space) !== 0);
  }
}
