/**
 * The guest's TLB: 64 entries in the hardware's form, searched by effective address, PID and address space
 * (PowerPC 440 User's Manual, "Memory Management", TLB fields and page identification).
 */
import { TLB44X } from '../../../processor/index.ts';
import {
  GUEST_TLB,
  GUEST_TLB_ENTRIES,
  TLB_CHAIN_BITS,
  TLB_CHAIN_HEAD,
  TLB_CHAIN_MATCH,
  TLB_CHAIN_MULTIPLIER,
  TLB_CHAIN_NEXT,
  TLB_SIZES_IN_USE,
} from '../layout.ts';
import type { GuestTlb } from '../mmu.ts';

/** Page sizes are 4^n KB; anything above 1 GB is not a size and never matches. */
const LARGEST_SIZE = 10;
/** The E bit of word 2. */
const LITTLE_ENDIAN_PAGE = 0x80;
export const WORD0_BITS = TLB44X.EPN_MASK | TLB44X.VALID | TLB44X.TS | TLB44X.SIZE_MASK;

/** Address mask of a page of 4^size KB. */
export function pageMask(size: number): number {
  return -(1 << (10 + 2 * size));
}

/** Word 2's bits of PERMIT: UX, UW, UR for problem state, the same places three bits lower for supervisor. */
export function permissions(word2: number, problemState: boolean): number {
  return problemState ? (word2 >>> 3) & 7 : word2 & 7;
}

/**
 * Valid entries are in hash chains by page number and size, so that a search looks at one chain for each page size
 * in use. Of several matches the lowest index wins. The chains are derived: `rebuild` makes them from the entries.
 */
export class GuestTlb440 implements GuestTlb {
  /** Entry i is at 4i: word0, word1, word2, TID. */
  readonly entries: Int32Array;
  readonly #head: Int32Array;
  readonly #next: Int32Array;
  /** Word 0 of the entries in chains, without the EPN bits that the page size leaves out. */
  readonly #match: Int32Array;
  /** The page sizes in use, a bit each: one word. */
  readonly #sizes: Int32Array;
  /** Chain that an entry is in, or -1. */
  readonly #chain = new Int8Array(GUEST_TLB_ENTRIES).fill(-1);
  readonly #sizeCount = new Int8Array(LARGEST_SIZE + 1);

  constructor(buffer: ArrayBufferLike, base: number) {
    this.entries = new Int32Array(buffer, base + GUEST_TLB, GUEST_TLB_ENTRIES * 4);
    this.#head = new Int32Array(buffer, base + TLB_CHAIN_HEAD, 1 << TLB_CHAIN_BITS);
    this.#next = new Int32Array(buffer, base + TLB_CHAIN_NEXT, GUEST_TLB_ENTRIES);
    this.#match = new Int32Array(buffer, base + TLB_CHAIN_MATCH, GUEST_TLB_ENTRIES);
    this.#sizes = new Int32Array(buffer, base + TLB_SIZES_IN_USE, 1);
    this.rebuild();
  }

  /** Remakes the chains from the entries: after a snapshot was loaded, or the entries were cleared. */
  rebuild(): void {
    this.#head.fill(-1);
    this.#chain.fill(-1);
    this.#sizeCount.fill(0);
    this.#sizes[0] = 0;
    for (let i = 0; i < GUEST_TLB_ENTRIES; i++) this.#insert(i);
  }

  /** The entries were replaced by what somebody says they were. */
  restored(): void {
    const { entries } = this;
    for (let i = 0; i < entries.length; i += 4) {
      entries[i] = (entries[i] as number) & WORD0_BITS;
      entries[i + 3] = (entries[i + 3] as number) & 0xff;
    }
    this.rebuild();
  }

  clear(): void {
    this.entries.fill(0);
    this.rebuild();
  }

  word(index: number, which: number): number {
    return this.entries[index * 4 + which] as number;
  }

  size(index: number): number {
    return ((this.entries[index * 4] as number) & TLB44X.SIZE_MASK) >>> TLB44X.SIZE_SHIFT;
  }

  /** tlbwe of one word (which = 0…2); the TID goes with word 0. */
  write(index: number, which: number, value: number, tid: number): void {
    if (which !== 0) {
      this.entries[index * 4 + which] = value;
      return;
    }
    this.entries[index * 4] = value & WORD0_BITS;
    this.entries[index * 4 + 3] = tid;
    this.changed(index);
  }

  /** Word 0 of an entry was written. */
  changed(index: number): void {
    this.#remove(index);
    this.#insert(index);
  }

  /** Index of the matching entry, or -1. `space` is 0 or 1. */
  search(address: number, pid: number, space: number): number {
    const { entries } = this;
    const head = this.#head;
    const next = this.#next;
    const match = this.#match;
    let found = GUEST_TLB_ENTRIES;
    let sizes = this.#sizes[0] as number;
    while (sizes !== 0) {
      const size = 31 - Math.clz32(sizes);
      sizes ^= 1 << size;
      const page = address & -(1 << (10 + 2 * size));
      let i = head[Math.imul(page + size, TLB_CHAIN_MULTIPLIER) >>> (32 - TLB_CHAIN_BITS)] as number;
      // What a matching word 0 has: the chain holds valid entries only, of any size that hashes alike.
      const wanted = page | TLB44X.VALID | (space << 8) | (size << TLB44X.SIZE_SHIFT);
      while (i >= 0) {
        if (match[i] === wanted && i < found) {
          const tid = entries[i * 4 + 3];
          if (tid === 0 || tid === pid) found = i;
        }
        i = next[i] as number;
      }
    }
    return found === GUEST_TLB_ENTRIES ? -1 : found;
  }

  permissions(index: number, problemState: boolean): number {
    return permissions(this.entries[index * 4 + 2] as number, problemState);
  }

  pageMask(index: number): number {
    return pageMask(this.size(index));
  }

  isLittleEndian(index: number): boolean {
    return ((this.entries[index * 4 + 2] as number) & LITTLE_ENDIAN_PAGE) !== 0;
  }

  /** Guest frame (1 KB) that an effective address inside the entry's page maps to. */
  frame(index: number, address: number): number {
    const word1 = this.entries[index * 4 + 1] as number;
    const mask = pageMask(this.size(index));
    const low = ((word1 & mask) | (address & ~mask)) >>> 10;
    return ((word1 & TLB44X.ERPN_MASK) << 22) | low;
  }

  #insert(index: number): void {
    const word0 = this.entries[index * 4] as number;
    const size = (word0 & TLB44X.SIZE_MASK) >>> TLB44X.SIZE_SHIFT;
    if ((word0 & TLB44X.VALID) === 0 || size > LARGEST_SIZE) return;
    const page = word0 & TLB44X.EPN_MASK;
    // EPN bits below the page size take no part in a match, but tlbre returns them.
    const aligned = page & pageMask(size);
    this.#match[index] = aligned | (word0 & ~TLB44X.EPN_MASK);
    const chain = Math.imul(aligned + size, TLB_CHAIN_MULTIPLIER) >>> (32 - TLB_CHAIN_BITS);
    this.#next[index] = this.#head[chain] as number;
    this.#head[chain] = index;
    this.#chain[index] = chain;
    const count = (this.#sizeCount[size] as number) + 1;
    this.#sizeCount[size] = count;
    if (count === 1) this.#sizes[0] = (this.#sizes[0] as number) | (1 << size);
  }

  #remove(index: number): void {
    const chain = this.#chain[index] as number;
    if (chain < 0) return;
    this.#chain[index] = -1;
    let i = this.#head[chain] as number;
    if (i === index) this.#head[chain] = this.#next[index] as number;
    else {
      while (this.#next[i] !== index) i = this.#next[i] as number;
      this.#next[i] = this.#next[index] as number;
    }
    // The entry itself may have been written since it was put into the chain.
    const size = ((this.#match[index] as number) & TLB44X.SIZE_MASK) >>> TLB44X.SIZE_SHIFT;
    const count = (this.#sizeCount[size] as number) - 1;
    this.#sizeCount[size] = count;
    if (count === 0) this.#sizes[0] = (this.#sizes[0] as number) & ~(1 << size);
  }
}
