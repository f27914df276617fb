/**
 * Shadow page table entries: the guest's translations, as entries of the host's hashed page table
 * (Power ISA 2.07 Book III-S, 5.7.7). Every entry that KVM has written there has a record, found by what may end its
 * life: its guest virtual page (tlbie), its host page (dirty log), its host VSID (recycling). A full group or a full
 * cache costs one entry its place, never all.
 */
import { HPTES_PER_GROUP } from '../../processor/index.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { Chains } from './chains.ts';
import type { HostTable } from './host-table.ts';
import { PAGE_16M, PAGE_64K } from './mmu.ts';
import type { VsidMap } from './vsid-map.ts';

/** Shadow entries at most: twice as many as the reference's. */
export const SHADOW_LIMIT = 65536;
/** Looks at this many entries for one that was not used since the last look. */
const CLOCK_STEPS = 32;

/** A shadow as it is shown: the host's virtual page, and the page of host memory. */
export interface ShadowPage {
  readonly hostVsid: number;
  readonly page: number;
  readonly hostPage: number;
  /** Host real address of its entry. */
  readonly entry: number;
}

export class ShadowPages {
  readonly #table: HostTable;
  readonly #vsids: VsidMap;
  readonly #counts: Float64Array;
  readonly #groupMask: number;
  readonly #limit: number;
  /** By slot of the host's table: its record, or -1. */
  readonly #recordOf: Int32Array;
  /** By record: slot (-1: free), VSID number, page in the segment, guest virtual page, host page. */
  readonly #slot: Int32Array;
  readonly #vsid: Int32Array;
  readonly #page: Int32Array;
  readonly #vpnLow: Int32Array;
  readonly #vpnHigh: Int32Array;
  readonly #hostPage: Int32Array;
  /** Free records: a stack. */
  readonly #free: Int32Array;
  #freeCount: number;
  #clock = 0;
  #victim = 0;
  readonly #byVpn64K: Chains;
  readonly #byVpn16M: Chains;
  readonly #byHostPage: Chains;
  readonly #byVsid: Chains;

  constructor(table: HostTable, vsids: VsidMap, counters: VcpuCounters, limit = SHADOW_LIMIT) {
    this.#table = table;
    this.#vsids = vsids;
    this.#counts = counters.counts;
    const { log2Groups } = table;
    this.#groupMask = (1 << log2Groups) - 1;
    this.#limit = limit;
    this.#recordOf = new Int32Array(HPTES_PER_GROUP << log2Groups).fill(-1);
    this.#slot = new Int32Array(limit).fill(-1);
    this.#vsid = new Int32Array(limit);
    this.#page = new Int32Array(limit);
    this.#vpnLow = new Int32Array(limit);
    this.#vpnHigh = new Int32Array(limit);
    this.#hostPage = new Int32Array(limit);
    this.#free = Int32Array.from({ length: limit }, (_, i) => limit - 1 - i);
    this.#freeCount = limit;
    this.#byVpn64K = new Chains(13, limit);
    this.#byVpn16M = new Chains(11, limit);
    this.#byHostPage = new Chains(13, limit);
    this.#byVsid = new Chains(12, limit);
  }

  get count(): number {
    return this.#limit - this.#freeCount;
  }

  /** Whether a page of a host segment has a shadow. */
  has(n: number, page: number): boolean {
    return this.#find(n, page) >= 0;
  }

  /**
   * Maps a page of a host segment (VSID number, page 0–65535) to a host page. A shadow that is there already makes way.
   */
  map(
    n: number,
    page: number,
    hostPage: number,
    writable: boolean,
    executable: boolean,
    vpnLow: number,
    vpnHigh: number,
  ): void {
    const present = this.#find(n, page);
    if (present >= 0) this.#drop(present);
    const record = this.#takeRecord();
    const slot = this.#takeSlot(n, page);
    this.#recordOf[slot] = record;
    this.#slot[record] = slot;
    this.#vsid[record] = n;
    this.#page[record] = page;
    this.#vpnLow[record] = vpnLow;
    this.#vpnHigh[record] = vpnHigh;
    this.#hostPage[record] = hostPage;
    const by64K = this.#byVpn64K;
    by64K.insert(by64K.chain(vpnLow >>> 4), record);
    const by16M = this.#byVpn16M;
    by16M.insert(by16M.chain(vpnLow >>> 12), record);
    this.#byHostPage.insert(this.#byHostPage.chain(hostPage), record);
    this.#byVsid.insert(this.#byVsid.chain(n), record);
    const secondary = (((slot >>> 3) ^ this.#hash(n, page)) & this.#groupMask) !== 0;
    this.#table.write(slot, this.#vsids.hostVsid(n), page, secondary, hostPage, writable, executable);
  }

  /** tlbie: drops the shadows of a guest page, of one of the guest's page sizes. `highMask`: the bits of `vpnHigh` that it named. */
  dropVpn(vpnLow: number, vpnHigh: number, pageShift: number, highMask = -1): void {
    const chains = pageShift === PAGE_16M ? this.#byVpn16M : this.#byVpn64K;
    const mask = pageShift === PAGE_16M ? ~0xfff : pageShift === PAGE_64K ? ~0xf : -1;
    const wanted = vpnLow & mask;
    let record = chains.first(chains.chain(pageShift === PAGE_16M ? vpnLow >>> 12 : vpnLow >>> 4));
    while (record >= 0) {
      const next = chains.next(record);
      if (
        ((this.#vpnLow[record] as number) & mask) === wanted &&
        (((this.#vpnHigh[record] as number) ^ vpnHigh) & highMask) === 0
      )
        this.#drop(record);
      record = next;
    }
  }

  /** Drops the shadows of a host page. */
  dropHostPage(hostPage: number): void {
    const chains = this.#byHostPage;
    let record = chains.first(chains.chain(hostPage));
    while (record >= 0) {
      const next = chains.next(record);
      if (this.#hostPage[record] === hostPage) this.#drop(record);
      record = next;
    }
  }

  /** Drops the shadows of a host segment. */
  dropVsid(n: number): void {
    const chains = this.#byVsid;
    let record = chains.first(chains.chain(n));
    while (record >= 0) {
      const next = chains.next(record);
      if (this.#vsid[record] === n) this.#drop(record);
      record = next;
    }
  }

  dropAll(): void {
    if (this.#freeCount === this.#limit) return;
    (this.#counts[COUNTER.shadow_flushes] as number)++;
    const live = this.#limit - this.#freeCount;
    let record = 0;
    for (; this.#freeCount < this.#limit; record++) if (this.#slot[record] !== -1) this.#drop(record);
    // From now on the first records are taken again: a guest that has everything dropped time and again pays for what it has.
    if (record > 2 * live) for (let i = 0; i < this.#limit; i++) this.#free[i] = this.#limit - 1 - i;
  }

  /** The shadows, for who looks inside: as many as are asked for. */
  *list(limit: number): Generator<ShadowPage> {
    let left = limit;
    for (let record = 0; record < this.#limit && left > 0; record++) {
      const slot = this.#slot[record] as number;
      if (slot < 0) continue;
      left--;
      yield {
        hostVsid: this.#vsids.hostVsid(this.#vsid[record] as number),
        page: this.#page[record] as number,
        hostPage: this.#hostPage[record] as number,
        entry: this.#table.address(slot),
      };
    }
  }

  /** Host real address of the page's entry, for tests; -1: it has none. */
  entryAddress(n: number, page: number): number {
    const record = this.#find(n, page);
    return record < 0 ? -1 : this.#table.address(this.#slot[record] as number);
  }

  /** The hash's low bits; those of the VSID's context part count too (Book III-S, 5.7.7.3). */
  #hash(n: number, page: number): number {
    return ((this.#vsids.hostVsid(n) | 0) ^ page) & this.#groupMask;
  }

  #find(n: number, page: number): number {
    const primary = this.#hash(n, page);
    for (let which = 0; which < 2; which++) {
      const first = ((which === 0 ? primary : ~primary) & this.#groupMask) * HPTES_PER_GROUP;
      for (let i = 0; i < HPTES_PER_GROUP; i++) {
        const record = this.#recordOf[first + i] as number;
        if (record >= 0 && this.#page[record] === page && this.#vsid[record] === n) return record;
      }
    }
    return -1;
  }

  /** A free place in the page's primary group, else in its secondary one, else one that its owner has to leave. */
  #takeSlot(n: number, page: number): number {
    const primary = this.#hash(n, page);
    for (let which = 0; which < 2; which++) {
      const first = ((which === 0 ? primary : ~primary) & this.#groupMask) * HPTES_PER_GROUP;
      for (let i = 0; i < HPTES_PER_GROUP; i++) if (this.#recordOf[first + i] === -1) return first + i;
    }
    const slot = primary * HPTES_PER_GROUP + this.#victim;
    this.#victim = (this.#victim + 1) % HPTES_PER_GROUP;
    (this.#counts[COUNTER.shadow_evictions] as number)++;
    this.#drop(this.#recordOf[slot] as number);
    return slot;
  }

  /** A free record; when there is none, that of an entry which was not used since the clock's hand last came by. */
  #takeRecord(): number {
    if (this.#freeCount === 0) {
      let record = this.#clock;
      for (let step = 0; step < CLOCK_STEPS; step++) {
        if (!this.#table.takeReferenced(this.#slot[record] as number)) break;
        record = record + 1 === this.#limit ? 0 : record + 1;
      }
      this.#clock = record + 1 === this.#limit ? 0 : record + 1;
      (this.#counts[COUNTER.shadow_evictions] as number)++;
      this.#drop(record);
    }
    return this.#free[--this.#freeCount] as number;
  }

  #drop(record: number): void {
    const slot = this.#slot[record] as number;
    this.#slot[record] = -1;
    this.#recordOf[slot] = -1;
    this.#byVpn64K.remove(record);
    this.#byVpn16M.remove(record);
    this.#byHostPage.remove(record);
    this.#byVsid.remove(record);
    this.#free[this.#freeCount++] = record;
    this.#table.clear(slot, this.#vsids.hostVsid(this.#vsid[record] as number), this.#page[record] as number);
  }
}
