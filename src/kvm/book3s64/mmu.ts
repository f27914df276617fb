/**
 * The guest's address translation (Power ISA 2.07 Book III-S, 5.7): effective address → SLB → virtual page → hashed page
 * table → real page. Addresses come as two words; page numbers and VSIDs are doubles, exact.
 */

import { ACCESS, type GuestMmu, PAGE_4K, PAGE_16M, PAGE_64K, TRANSLATION } from '../book3s/mmu.ts';
import { GUEST_HPTE, SLB } from './bits.ts';
import { type GuestHtab, HPTE_BYTES, PTEG_ENTRIES } from './guest-htab.ts';
import { esidOf, type GuestSlb } from './slb.ts';

/** By PP0 << 3 | key << 2 | PP (5.7.9): 2 read and write, 1 read only, 0 none. */
const PERMISSIONS = Uint8Array.of(2, 2, 2, 1, 0, 1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0);
const READABLE = 1;
const WRITABLE = 2;

/** Words of an entry. */
const HIGH0 = 0;
const LOW0 = 4;
const HIGH1 = 8;
const LOW1 = 12;

const TWO_20 = 2 ** 20;
const TWO_32 = 2 ** 32;
const AVPN_LOW = ~0x7f;
const MATCHED_LOW = AVPN_LOW | GUEST_HPTE.V | GUEST_HPTE.H | GUEST_HPTE.L;

export class GuestMmu64 implements GuestMmu {
  readonly #slb: GuestSlb;
  readonly #htab: GuestHtab;
  readonly #multiPageSize: boolean;
  readonly #realHigh: number;

  /** Real page number (4 KB) of the address. */
  page = 0;
  /** Whether the page may be written (which may still have to set C), and executed. */
  writable = false;
  executable = false;
  /** C is set. */
  changed = false;
  /** Binary logarithm of the page's size. */
  pageShift = PAGE_4K;
  /** Host real address of the entry that was found last. */
  entry = -1;
  /** Virtual page number (4 KB) modulo 2^52: what tlbie can say of it. */
  vpnLow = 0;
  vpnHigh = 0;

  constructor(slb: GuestSlb, htab: GuestHtab, multiPageSize: boolean, realHigh: number) {
    this.#slb = slb;
    this.#htab = htab;
    this.#multiPageSize = multiPageSize;
    this.#realHigh = realHigh;
  }

  /** Base page size of an SLB entry. */
  basePageShift(index: number): number {
    const flags = this.#slb.flags(index);
    if ((flags & SLB.L) === 0) return PAGE_4K;
    return this.#multiPageSize && (flags & SLB.LP) === SLB.LP_64K ? PAGE_64K : PAGE_16M;
  }

  /**
   * Translates. `access` is one of ACCESS, `user` problem state. With `update`, R and C are set as the access would.
   * The answer is one of TRANSLATION; the results are in the fields.
   */
  translate(low: number, high: number, user: boolean, access: number, update: boolean): number {
    const slb = this.#slb;
    const htab = this.#htab;
    const index = slb.search(esidOf(low, high));
    if (index < 0) return TRANSLATION.NO_SEGMENT;
    const flags = slb.flags(index);
    if (access === ACCESS.FETCH && (flags & SLB.N) !== 0) return TRANSLATION.NO_EXECUTE;
    const shift = this.basePageShift(index);
    const vsid = slb.vsid(index);
    const vsidLow = vsid | 0;
    const vsidHigh = Math.floor(vsid / TWO_32);
    // The hash has 39 bits; a virtual page number 66: VSID and the page in the segment.
    let hashLow = vsidLow;
    let hashHigh = vsidHigh;
    let page = (low >>> 12) & 0xffff;
    let vpnLow = (vsidLow << 16) | page;
    let vpnMiddle = (vsidHigh << 16) | (vsidLow >>> 16);
    let vpnTop = vsidHigh >>> 16;
    let avpnHigh = 0;
    if (slb.isLarge(index)) {
      page = (low >>> 12) | ((high & 0xff) << 20);
      hashHigh ^= (vsidHigh << 25) | (vsidLow >>> 7);
      hashLow ^= vsidLow << 25;
      vpnLow = (vsidLow << 28) | page;
      vpnMiddle = (vsidHigh << 28) | (vsidLow >>> 4);
      vpnTop = vsidHigh >>> 4;
      avpnHigh = SLB.B_1T;
    }
    this.vpnLow = vpnLow;
    this.vpnHigh = vpnMiddle & (TWO_20 - 1);
    hashLow ^= page >>> (shift - PAGE_4K);
    hashHigh &= 0x7f;
    // AVPN is VPN >> 11 from bit 7 on; what the page size makes part of the offset is zero.
    const aligned = vpnLow & -(1 << (shift - PAGE_4K));
    avpnHigh |= (vpnTop << 28) | (vpnMiddle >>> 4);
    const avpnLow =
      (((aligned >>> 4) | (vpnMiddle << 28)) & AVPN_LOW) | GUEST_HPTE.V | ((flags & SLB.L) !== 0 ? GUEST_HPTE.L : 0);
    let entry = this.#find(htab.group(hashLow, hashHigh), avpnLow, avpnHigh, shift);
    if (entry < 0) {
      const group = htab.group(~hashLow, ~hashHigh & 0x7f);
      entry = this.#find(group, avpnLow | GUEST_HPTE.H, avpnHigh, shift);
      if (entry < 0) return TRANSLATION.NO_ENTRY;
    }
    this.entry = entry;
    const key = (flags & (user ? SLB.KP : SLB.KS)) !== 0 ? 4 : 0;
    return this.#permit(entry, page, shift, key, access, update, (flags & SLB.N) !== 0);
  }

  /** Host real address of the matching entry in a group, or -1. */
  #find(group: number, avpnLow: number, avpnHigh: number, shift: number): number {
    if (group < 0) return -1;
    const htab = this.#htab;
    for (let i = 0; i < PTEG_ENTRIES; i++) {
      const entry = group + i * HPTE_BYTES;
      if ((htab.read(entry + LOW0) & MATCHED_LOW) !== avpnLow || htab.read(entry + HIGH0) !== avpnHigh) continue;
      if (shift === PAGE_4K || !this.#multiPageSize) return entry;
      // LP: the size in the low bits of RPN.
      const rpn = htab.read(entry + LOW1);
      if (shift === PAGE_64K ? (rpn & 0xf000) === 0x1000 : (rpn & 0xff000) === 0) return entry;
    }
    return -1;
  }

  /** What the entry allows, and where its page is. */
  #permit(
    entry: number,
    page: number,
    shift: number,
    key: number,
    access: number,
    update: boolean,
    noExecute: boolean,
  ): number {
    const htab = this.#htab;
    const low = htab.read(entry + LOW1);
    const high = htab.read(entry + HIGH1);
    const permission = PERMISSIONS[((high >>> 31) << 3) | key | (low & GUEST_HPTE.PP)] as number;
    this.writable = permission === WRITABLE;
    this.executable = !noExecute && permission >= READABLE && (low & (GUEST_HPTE.N | GUEST_HPTE.G)) === 0;
    if (permission < READABLE) return TRANSLATION.PROTECTED;
    if (access === ACCESS.WRITE && !this.writable) return TRANSLATION.PROTECTED;
    if (access === ACCESS.FETCH && !this.executable) return TRANSLATION.NO_EXECUTE;
    this.changed = (low & GUEST_HPTE.C) !== 0 || (access === ACCESS.WRITE && update);
    this.pageShift = shift;
    const pages = 1 << (shift - PAGE_4K);
    const rpn = (high & this.#realHigh) * TWO_20 + (low >>> 12);
    this.page = rpn - (rpn % pages) + (page & (pages - 1));
    if (update) {
      const now = low | GUEST_HPTE.R | (access === ACCESS.WRITE ? GUEST_HPTE.C : 0);
      if (now !== low) htab.update(entry + LOW1, now);
    }
    return TRANSLATION.OK;
  }
}
