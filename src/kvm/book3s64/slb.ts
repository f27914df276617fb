/** The guest's SLB (Power ISA 2.07 Book III-S, 5.7.6): entries as slbmte wrote them, and what a search compares. */

import { GUEST_SLB, GUEST_SLB_ENTRIES } from '../book3s/layout.ts';
import { SLB } from './bits.ts';

/** Segments of 2^28 bytes in one of 2^40. */
export const SEGMENTS_PER_1T = 4096;

/** ESID of 256-MB segments of an effective address: exact as a double. */
export function esidOf(low: number, high: number): number {
  return (high >>> 0) * 16 + (low >>> 28);
}

export class GuestSlb {
  /** Entry i is at 4i: RB low, RB high, RS low, RS high. */
  readonly entries: Int32Array;
  /** By entry: ESID of its first 256-MB segment, -1 when it is not valid. */
  readonly #first = new Float64Array(GUEST_SLB_ENTRIES).fill(-1);
  /** 1 for segments of 1 TB. */
  readonly #large = new Uint8Array(GUEST_SLB_ENTRIES);
  /** VSID, exact as a double: at most 50 bits. */
  readonly #vsid = new Float64Array(GUEST_SLB_ENTRIES);
  /** Entry that the last search found. */
  #last = 0;

  constructor(buffer: ArrayBufferLike, base: number) {
    this.entries = new Int32Array(buffer, base + GUEST_SLB, GUEST_SLB_ENTRIES * 4);
    this.rebuild();
  }

  /** Remakes what is derived from the entries. */
  rebuild(): void {
    for (let i = 0; i < GUEST_SLB_ENTRIES; i++) this.#derive(i);
  }

  clear(): void {
    this.entries.fill(0);
    this.rebuild();
  }

  isValid(index: number): boolean {
    return this.#first[index] !== -1;
  }

  /** ESID of an entry's first 256-MB segment; -1 when it is not valid. */
  firstSegment(index: number): number {
    return this.#first[index] as number;
  }

  /** 256-MB segments that an entry covers. */
  segments(index: number): number {
    return this.#large[index] === 1 ? SEGMENTS_PER_1T : 1;
  }

  isLarge(index: number): boolean {
    return this.#large[index] === 1;
  }

  vsid(index: number): number {
    return this.#vsid[index] as number;
  }

  /** The flags of RS: Ks, Kp, N, L, C, LP. */
  flags(index: number): number {
    return (this.entries[index * 4 + 2] as number) & 0xfff;
  }

  /** Index of the entry that translates a 256-MB segment, or -1. */
  search(esid: number): number {
    if (this.#covers(this.#last, esid)) return this.#last;
    for (let i = 0; i < GUEST_SLB_ENTRIES; i++) {
      if (!this.#covers(i, esid)) continue;
      this.#last = i;
      return i;
    }
    return -1;
  }

  /** slbmte. */
  write(index: number, rbLow: number, rbHigh: number, rsLow: number, rsHigh: number): void {
    const { entries } = this;
    entries[index * 4] = rbLow & ~SLB.INDEX;
    entries[index * 4 + 1] = rbHigh;
    entries[index * 4 + 2] = rsLow;
    entries[index * 4 + 3] = rsHigh;
    this.#derive(index);
  }

  invalidate(index: number): void {
    const { entries } = this;
    entries[index * 4] = (entries[index * 4] as number) & ~SLB.V;
    this.#derive(index);
  }

  #covers(index: number, esid: number): boolean {
    const first = this.#first[index] as number;
    return (
      first === esid || (this.#large[index] === 1 && esid >= first && first >= 0 && esid < first + SEGMENTS_PER_1T)
    );
  }

  #derive(index: number): void {
    const { entries } = this;
    const rb = entries[index * 4] as number;
    const low = entries[index * 4 + 2] as number;
    const high = entries[index * 4 + 3] as number;
    const large = (high & SLB.B) === SLB.B_1T;
    this.#large[index] = large ? 1 : 0;
    const esid = esidOf(rb, entries[index * 4 + 1] as number);
    // B of 10 and 11 is reserved: such an entry translates nothing.
    if ((rb & SLB.V) === 0 || (high & 0x8000_0000) !== 0) this.#first[index] = -1;
    else this.#first[index] = large ? esid - (esid % SEGMENTS_PER_1T) : esid;
    // VSID ends at bit 12, or at bit 24 of entries for 1 TB.
    const field = high & ~SLB.B;
    this.#vsid[index] = large ? field * 256 + (low >>> 24) : field * 0x10_0000 + (low >>> 12);
  }
}
