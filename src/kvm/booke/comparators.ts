/**
 * The address comparators of a BookE processor's debug facility: which instruction addresses and data addresses are debug
 * events (PowerPC 440 User's Manual, chapter "Debug Facilities": IAC and DAC debug events). Real addresses are not compared,
 * and a data value compare (DVC) takes every value. Ranges do not toggle.
 */
import { DBCR0_IDM, MSR } from './bits.ts';
import { W_DBCR0, W_MSR, wordOf } from './layout.ts';

const W_DBCR1 = wordOf('dbcr1');
const W_DBCR2 = wordOf('dbcr2');
const W_IAC: readonly number[] = [wordOf('iac1'), wordOf('iac2'), wordOf('iac3'), wordOf('iac4')];
const W_DAC1 = wordOf('dac1');
const W_DAC2 = wordOf('dac2');

/** Bits of DBCR0 and DBSR. */
const IAC1 = 0x0080_0000;
const IACS = 0x00f0_0000;
const DAC1 = { LOADS: 0x8_0000, STORES: 0x4_0000 } as const;
const DAC2 = { LOADS: 0x2_0000, STORES: 0x1_0000 } as const;
const LOADS = DAC1.LOADS | DAC2.LOADS;
const STORES = DAC1.STORES | DAC2.STORES;
/** How two comparators go together: DBCR1[IAC12M, IAC34M], DBCR2[DAC12M]. */
const MODE = { EXACT: 0, MASK: 1, INCLUSIVE: 2, EXCLUSIVE: 3 } as const;
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

export class Comparators {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
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

  #enabled(events: number): number {
    const dbcr0 = this.#words[W_DBCR0] as number;
    return (dbcr0 & DBCR0_IDM) === 0 ? 0 : dbcr0 & events;
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
    return mode === MODE.MASK ? MODE.EXACT : mode;
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
