/** The guest's instructions for its SLB and TLB (Power ISA 2.07 Book III-S, 5.9.3): each ends what shadows it has to, and no more. */

import type { Book3sContext } from '../book3s/context.ts';
import type { HostContexts } from '../book3s/host-contexts.ts';
import { GUEST_SLB_ENTRIES } from '../book3s/layout.ts';
import { PAGE_4K, PAGE_16M, PAGE_64K } from '../book3s/mmu.ts';
import type { ShadowPages } from '../book3s/shadow.ts';
import type { VsidMap } from '../book3s/vsid-map.ts';
import { GUEST_HPTE, SLB } from './bits.ts';
import { esidOf, type GuestSlb } from './slb.ts';

/** RB of tlbie. */
const TLBIE = { L: 0x1, LP: 0xf000, LP_64K: 0x1000, IS: 0xc00 } as const;
/** The 970's tlbie says in the instruction that the page is large. */
const TLBIE_970_L = 0x0020_0000;
const VPN_HIGH = 0xf_ffff;
/** Before version 2.03 of the architecture, tlbie names no more than 48 bits of the virtual address: the rest of RB is zero. */
const VPN_HIGH_970 = 0xf;

export class SegmentEmulation {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #slb: GuestSlb;
  readonly #hosts: HostContexts;
  readonly #shadow: ShadowPages;
  readonly #vsids: VsidMap;
  readonly #multiPageSize: boolean;

  constructor(
    context: Book3sContext,
    slb: GuestSlb,
    hosts: HostContexts,
    shadow: ShadowPages,
    vsids: VsidMap,
    multiPageSize: boolean,
  ) {
    this.#multiPageSize = multiPageSize;
    this.#words = context.words;
    this.#context = context;
    this.#slb = slb;
    this.#hosts = hosts;
    this.#shadow = shadow;
    this.#vsids = vsids;
  }

  slbmte(rbLow: number, rbHigh: number, rsLow: number, rsHigh: number): void {
    const index = rbLow & SLB.INDEX;
    if (index >= GUEST_SLB_ENTRIES) return;
    const slb = this.#slb;
    const { entries } = slb;
    const at = index * 4;
    if (
      entries[at] === (rbLow & ~SLB.INDEX) &&
      entries[at + 1] === rbHigh &&
      entries[at + 2] === rsLow &&
      entries[at + 3] === rsHigh
    )
      return;
    this.#dropShadow(index);
    slb.write(index, rbLow, rbHigh, rsLow, rsHigh);
    // The host may have the segment although the guest had not: the magic page's.
    this.#dropShadow(index);
    this.#changed();
  }

  slbie(low: number, high: number): void {
    const index = this.#slb.search(esidOf(low, high));
    if (index < 0) return;
    this.#dropShadow(index);
    this.#slb.invalidate(index);
    this.#changed();
  }

  /** All but entry 0. */
  slbia(): void {
    for (let index = 1; index < GUEST_SLB_ENTRIES; index++) {
      if (!this.#slb.isValid(index)) continue;
      this.#dropShadow(index);
      this.#slb.invalidate(index);
    }
    this.#changed();
  }

  slbmfev(index: number, target: number): void {
    this.#entry(index, 2, target);
  }

  slbmfee(index: number, target: number): void {
    this.#entry(index, 0, target);
  }

  /** True: there is such an entry, and RT has what slbmfev would give. */
  slbfee(low: number, high: number, target: number): boolean {
    const index = this.#slb.search(esidOf(low, high));
    if (index < 0) {
      this.#words[target] = 0;
      this.#words[target + 1] = 0;
      return false;
    }
    this.#entry(index, 2, target);
    return true;
  }

  tlbie(low: number, high: number, word: number, local: boolean): void {
    this.#context.invalidate();
    // tlbiel of a whole congruence class.
    if (local && (low & TLBIE.IS) !== 0) {
      this.#shadow.dropAll();
      return;
    }
    const mask = this.#multiPageSize ? VPN_HIGH : VPN_HIGH_970;
    this.#shadow.dropVpn((low >>> 12) | (high << 20), (high >>> 12) & mask, this.#tlbieShift(low, word), mask);
  }

  /** Bridge to segment registers: SLB entries 0–15 (PowerPC 970FX User's Manual, "Segment register instructions"). */
  mtsr(register: number, value: number): void {
    const rb = (register << 28) | SLB.V | register;
    const vsid = value & 0x0fff_ffff;
    this.slbmte(rb, 0, (vsid << 12) | (((value >>> 28) & 7) << 9), vsid >>> 20);
  }

  mfsr(register: number): number {
    const { entries } = this.#slb;
    const low = entries[register * 4 + 2] as number;
    const high = entries[register * 4 + 3] as number;
    return (((high << 20) | (low >>> 12)) & 0x0fff_ffff) | (((low >>> 9) & 7) << 28);
  }

  /** A hash table entry of the guest is taken away or changed by a hypercall: the same as tlbie of its page. */
  entryChanged(index: number, low0: number, high0: number, low1: number): void {
    this.#context.invalidate();
    // AVPN is VPN >> 11; the low bits follow from the group, which the hash with the VSID made.
    const large = (low0 & GUEST_HPTE.L) !== 0;
    const shift = !large ? PAGE_4K : this.#multiPageSize && (low1 & 0xf000) === 0x1000 ? PAGE_64K : PAGE_16M;
    const group = ((low0 & GUEST_HPTE.H) !== 0 ? ~(index >>> 3) : index >>> 3) & 0x7ff;
    const vsid = (high0 & SLB.B) === SLB.B_1T ? (low0 >>> 24) | (high0 << 8) : (low0 >>> 12) | (high0 << 20);
    let below = (group ^ vsid) & 0x7ff;
    if (shift === PAGE_64K) below = (below & 0x7f) << 4;
    else if (shift === PAGE_16M) below = 0;
    // VPN >> 4 stands in doubleword 0, without B.
    const vpnLow = ((low0 & ~0x7f) << 4) | below;
    const vpnHigh = ((high0 << 4) | (low0 >>> 28)) & VPN_HIGH;
    this.#shadow.dropVpn(vpnLow, vpnHigh, shift);
  }

  /** What a translated mode knows of an entry's segment goes. */
  #dropShadow(index: number): void {
    const first = this.#slb.firstSegment(index);
    if (first >= 0) this.#hosts.dropSegments(first, this.#slb.segments(index));
  }

  #changed(): void {
    this.#vsids.releaseSplit();
    this.#context.invalidate();
  }

  #entry(index: number, half: 0 | 2, target: number): void {
    const words = this.#words;
    const { entries } = this.#slb;
    const at = (index & SLB.INDEX) * 4;
    const valid = at < GUEST_SLB_ENTRIES * 4 && ((entries[at] as number) & SLB.V) !== 0;
    words[target] = valid ? (entries[at + half] as number) : 0;
    words[target + 1] = valid ? (entries[at + half + 1] as number) : 0;
  }

  #tlbieShift(low: number, word: number): number {
    if (!this.#multiPageSize) return (word & TLBIE_970_L) !== 0 ? PAGE_16M : PAGE_4K;
    if ((low & TLBIE.L) === 0) return PAGE_4K;
    return (low & TLBIE.LP) === TLBIE.LP_64K ? PAGE_64K : PAGE_16M;
  }
}
