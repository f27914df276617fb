/** PAPR's hypercalls for the hashed page table: entries are KVM's to write, and each change ends what it made the host believe. */

import type { Book3sContext } from '../book3s/context.ts';
import { W_GPR } from '../book3s/layout.ts';
import { GUEST_HPTE } from './bits.ts';
import { type GuestHtab, HPTE_BYTES, PTEG_ENTRIES } from './guest-htab.ts';
import { H } from './hcall.ts';
import type { SegmentEmulation } from './segments.ts';

/** Flags, in the word that they are in. */
const FLAG = {
  /** High word. */
  EXACT: 0x80,
  READ_4: 0x20,
  /** Low word. */
  AVPN: 0x8000_0000 | 0,
  ANDCOND: 0x4000_0000,
} as const;

const AVPN_LOW = ~0x7f;
/** H_PROTECT's bits of doubleword 1: PP0 and the key's high bits come from low bits of the flags, PP, N and the key's low bits are in place. */
const PROTECT = { LOW: 0x0000_0e07, HIGH: 0xb000_0000 | 0 } as const;

/** H_BULK_REMOVE: what the high word of a pair's first doubleword has. */
const BULK = {
  TYPE: 0xc000_0000 | 0,
  REQUEST: 0x4000_0000,
  RESPONSE: 0x8000_0000 | 0,
  END: 0xc000_0000 | 0,
  CODE: 0x3000_0000,
  SUCCESS: 0,
  NOT_FOUND: 0x1000_0000,
  PARAMETER: 0x2000_0000,
  RC: 0x0c00_0000,
  FLAGS: 0x0300_0000,
  AVPN: 0x0200_0000,
  ANDCOND: 0x0100_0000,
  INDEX: 0x00ff_ffff,
} as const;

export class HashTableCalls {
  readonly #words: Int32Array;
  readonly #htab: GuestHtab;
  readonly #segments: SegmentEmulation;

  constructor(context: Book3sContext, htab: GuestHtab, segments: SegmentEmulation) {
    this.#words = context.words;
    this.#htab = htab;
    this.#segments = segments;
  }

  /** H_ENTER: flags, index, the two doublewords. */
  enter(): number {
    const words = this.#words;
    const htab = this.#htab;
    const index = words[W_GPR + 10] as number;
    const indexHigh = words[W_GPR + 11] as number;
    const exact = ((words[W_GPR + 9] as number) & FLAG.EXACT) !== 0;
    let entry = htab.entry(exact ? index : index & ~(PTEG_ENTRIES - 1), indexHigh);
    if (entry < 0) return H.PARAMETER;
    let tries = exact ? 1 : PTEG_ENTRIES;
    while ((htab.read(entry + 4) & GUEST_HPTE.V) !== 0) {
      if (--tries === 0) return H.PTEG_FULL;
      entry += HPTE_BYTES;
    }
    htab.write(entry + 8, words[W_GPR + 15] as number);
    htab.write(entry + 12, words[W_GPR + 14] as number);
    htab.write(entry, words[W_GPR + 13] as number);
    htab.write(entry + 4, words[W_GPR + 12] as number);
    if (!exact) words[W_GPR + 8] = (index & ~(PTEG_ENTRIES - 1)) + PTEG_ENTRIES - tries;
    else words[W_GPR + 8] = index;
    words[W_GPR + 9] = 0;
    return H.SUCCESS;
  }

  /** H_REMOVE: flags, index, AVPN or mask. The entry comes back in r4 and r5. */
  remove(): number {
    const words = this.#words;
    const htab = this.#htab;
    const index = words[W_GPR + 10] as number;
    const entry = htab.entry(index, words[W_GPR + 11] as number);
    if (entry < 0) return H.PARAMETER;
    if (!this.#matches(entry, words[W_GPR + 8] as number, words[W_GPR + 12] as number, words[W_GPR + 13] as number))
      return H.NOT_FOUND;
    this.#result(0, entry);
    this.#clear(entry, index);
    return H.SUCCESS;
  }

  /** H_PROTECT: flags with the new protection, index, AVPN. */
  protect(): number {
    const words = this.#words;
    const htab = this.#htab;
    const index = words[W_GPR + 10] as number;
    const entry = htab.entry(index, words[W_GPR + 11] as number);
    if (entry < 0) return H.PARAMETER;
    const flags = words[W_GPR + 8] as number;
    const avpn = flags & FLAG.AVPN;
    if (!this.#matches(entry, avpn, words[W_GPR + 12] as number, words[W_GPR + 13] as number)) return H.NOT_FOUND;
    const low = htab.read(entry + 12);
    // PP0 is flag bit 8 times 2^55, the key's high bits are those from bit 12 times 2^48.
    const high = ((flags << 23) & (0x8000_0000 | 0)) | ((flags << 16) & 0x3000_0000);
    this.#segments.entryChanged(index, htab.read(entry + 4), htab.read(entry), low);
    htab.write(entry + 12, (low & ~PROTECT.LOW) | (flags & PROTECT.LOW));
    htab.write(entry + 8, (htab.read(entry + 8) & ~PROTECT.HIGH) | high);
    return H.SUCCESS;
  }

  /** H_READ: flags, index. One entry or four, from r4 on. */
  read(): number {
    const words = this.#words;
    const htab = this.#htab;
    const four = ((words[W_GPR + 9] as number) & FLAG.READ_4) !== 0;
    const index = words[W_GPR + 10] as number;
    const entry = htab.entry(four ? index & ~3 : index, words[W_GPR + 11] as number);
    if (entry < 0) return H.PARAMETER;
    for (let i = 0; i < (four ? 4 : 1); i++) this.#result(i, entry + i * HPTE_BYTES);
    return H.SUCCESS;
  }

  /** H_CLEAR_MOD: flags, index, AVPN. The old doubleword 1 comes back in r4. */
  clearChanged(): number {
    return this.#clearBit(GUEST_HPTE.C);
  }

  clearReferenced(): number {
    return this.#clearBit(GUEST_HPTE.R);
  }

  /** H_BULK_REMOVE: up to four pairs of a request and an AVPN or mask; each answers in its own first doubleword. */
  bulkRemove(): number {
    const words = this.#words;
    const htab = this.#htab;
    let status: number = H.SUCCESS;
    for (let at = W_GPR + 8; at < W_GPR + 24; at += 4) {
      const request = words[at + 1] as number;
      if ((request & BULK.TYPE) === BULK.END) break;
      if ((request & BULK.TYPE) !== BULK.REQUEST) return H.PARAMETER;
      const header = (request & (BULK.FLAGS | BULK.INDEX)) | BULK.RESPONSE;
      const index = words[at] as number;
      const entry = htab.entry(index, request & BULK.INDEX);
      const flags = request & BULK.FLAGS;
      if (entry < 0 || flags === BULK.FLAGS) {
        words[at + 1] = header | BULK.PARAMETER;
        status = H.PARAMETER;
        break;
      }
      const conditions =
        ((flags & BULK.AVPN) !== 0 ? FLAG.AVPN : 0) | ((flags & BULK.ANDCOND) !== 0 ? FLAG.ANDCOND : 0);
      if (!this.#matches(entry, conditions, words[at + 2] as number, words[at + 3] as number)) {
        words[at + 1] = header | BULK.NOT_FOUND;
        continue;
      }
      words[at + 1] = header | ((htab.read(entry + 12) << 19) & BULK.RC) | BULK.SUCCESS;
      this.#clear(entry, index);
    }
    return status;
  }

  #clearBit(bit: number): number {
    const words = this.#words;
    const htab = this.#htab;
    const index = words[W_GPR + 10] as number;
    const entry = htab.entry(index, words[W_GPR + 11] as number);
    if (entry < 0) return H.PARAMETER;
    const avpn = (words[W_GPR + 8] as number) & FLAG.AVPN;
    if (!this.#matches(entry, avpn, words[W_GPR + 12] as number, words[W_GPR + 13] as number)) return H.NOT_FOUND;
    const low = htab.read(entry + 12);
    words[W_GPR + 8] = low;
    words[W_GPR + 9] = htab.read(entry + 8);
    if ((low & bit) !== 0) {
      // The next access, or store, has to come here again to set it.
      this.#segments.entryChanged(index, htab.read(entry + 4), htab.read(entry), low);
      htab.write(entry + 12, low & ~bit);
    }
    return H.SUCCESS;
  }

  /** Whether an entry is valid and as the flags' conditions have it. */
  #matches(entry: number, flags: number, low: number, high: number): boolean {
    const low0 = this.#htab.read(entry + 4);
    const high0 = this.#htab.read(entry);
    if ((low0 & GUEST_HPTE.V) === 0) return false;
    if ((flags & FLAG.AVPN) !== 0 && ((low0 & AVPN_LOW) !== low || high0 !== high)) return false;
    return (flags & FLAG.ANDCOND) === 0 || ((low0 & low) | (high0 & high)) === 0;
  }

  #clear(entry: number, index: number): void {
    const htab = this.#htab;
    const low0 = htab.read(entry + 4);
    const high0 = htab.read(entry);
    const low1 = htab.read(entry + 12);
    htab.write(entry + 4, 0);
    htab.write(entry, 0);
    this.#segments.entryChanged(index, low0, high0, low1);
  }

  /** Leaves an entry in the i-th pair of registers from r4 on. */
  #result(i: number, entry: number): void {
    const words = this.#words;
    const htab = this.#htab;
    const at = W_GPR + 8 + 4 * i;
    words[at] = htab.read(entry + 4);
    words[at + 1] = htab.read(entry);
    words[at + 2] = htab.read(entry + 12);
    words[at + 3] = htab.read(entry + 8);
  }
}
