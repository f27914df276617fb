import { EXECUTE, READ, UNCACHED, WRITE } from '../backend/runtime.ts';
import {
  ADDRESS_SPACE,
  CODE_PAGES,
  CODE_PAGES_TABLE,
  CODE_PAGES_TABLE_BYTES,
  HARDWARE_TLB,
  HARDWARE_TLB_ENTRY_BYTES,
  MODE,
  PID,
  SOFT_TLB,
  SOFT_TLB_SET_BYTES,
  SOFT_TLB_SETS,
  TLB_BASE,
  TLB_SEARCH_ACCESS,
  TLB_SEARCH_ADDEND,
  TLB_SEARCH_ENTRIES,
  TLB_SEARCH_KEY,
  TLB_SEARCH_MASK,
  TLB_SEARCH_PAGE,
} from '../layout.ts';
import type { HostMemory } from '../memory.ts';
import { TLB44X } from './interface.ts';
import { SoftTlb } from './soft-tlb.ts';

/** The 440's TLB. A context is an address space and a PID. */
export class Tlb440 extends SoftTlb {
  constructor(memory: HostMemory, base: number) {
    super(memory, base, 512);
    for (let i = 0; i < TLB_SEARCH_ENTRIES; i++) this.#clearSearch(i);
    this.setContext(0, 0, 0);
  }

  #clearSearch(index: number): void {
    // Nothing has page 1 under mask 0.
    this.i32[this.at(TLB_SEARCH_MASK) + index] = 0;
    this.i32[this.at(TLB_SEARCH_PAGE) + index] = 1;
    this.i32[this.at(TLB_SEARCH_KEY) + index] = -1;
  }

  prepareContext(space: number, pid: number, mode: number): void {
    this.prepare(space, (space << 8) | pid, mode, space);
  }

  setContext(space: number, pid: number, mode: number): void {
    const set = this.setFor((space << 8) | pid);
    const { i32 } = this;
    i32[this.at(TLB_BASE)] = this.base + SOFT_TLB + set * SOFT_TLB_SET_BYTES;
    i32[this.at(ADDRESS_SPACE)] = space;
    i32[this.at(PID)] = pid;
    i32[this.at(MODE)] = mode;
    i32[this.at(CODE_PAGES)] = CODE_PAGES_TABLE + mode * CODE_PAGES_TABLE_BYTES;
  }

  write(index: number, word0: number, word1: number, word2: number, tid: number): void {
    this.invalidate(index);
    const { i32 } = this;
    const entry = this.at(HARDWARE_TLB + index * HARDWARE_TLB_ENTRY_BYTES);
    i32[entry] = word0;
    i32[entry + 1] = word1;
    i32[entry + 2] = word2;
    i32[entry + 3] = tid;
    if (!(word0 & TLB44X.VALID)) return;
    const size = (word0 & TLB44X.SIZE_MASK) >> TLB44X.SIZE_SHIFT;
    const mask = size >= 11 ? 0 : -(1024 << (2 * size));
    const page = word0 & TLB44X.EPN_MASK & mask;
    i32[this.at(TLB_SEARCH_MASK) + index] = mask;
    i32[this.at(TLB_SEARCH_PAGE) + index] = page;
    i32[this.at(TLB_SEARCH_KEY) + index] = (word0 & TLB44X.TS ? 256 : 0) | tid;
    i32[this.at(TLB_SEARCH_ADDEND) + index] = ((word1 & TLB44X.RPN_MASK & mask) - page) | 0;
    i32[this.at(TLB_SEARCH_ACCESS) + index] =
      (word2 & TLB44X.UR ? READ : 0) |
      (word2 & TLB44X.UW ? WRITE : 0) |
      (word2 & TLB44X.UX ? EXECUTE : 0) |
      (size === 0 ? UNCACHED : 0);
  }

  invalidate(index: number): void {
    const { i32 } = this;
    const entry = this.at(HARDWARE_TLB + index * HARDWARE_TLB_ENTRY_BYTES);
    const word0 = i32[entry] as number;
    if (!(word0 & TLB44X.VALID)) return;
    i32[entry] = 0;
    const key = i32[this.at(TLB_SEARCH_KEY) + index] as number;
    const mask = i32[this.at(TLB_SEARCH_MASK) + index] as number;
    const page = i32[this.at(TLB_SEARCH_PAGE) + index] as number;
    this.#clearSearch(index);
    const space = key >> 8;
    const tid = key & 255;
    const pages = mask === 0 ? 1 << 20 : -mask >>> 12 || 1;
    // An entry of one process has pages in that process's set only.
    const only = tid === 0 ? -1 : (this.setOf[key] as number);
    if (tid !== 0 && only < 0) return;
    const first = tid === 0 ? 0 : only;
    const last = tid === 0 ? SOFT_TLB_SETS - 1 : only;
    for (let set = first; set <= last; set++)
      if ((this.keyOf[set] as number) >> 8 === space) this.dropPages(set, page, pages);
  }

  /** All entries go, which costs less than one after another. */
  invalidateAll(): void {
    for (let index = 0; index < TLB_SEARCH_ENTRIES; index++) {
      this.i32[this.at(HARDWARE_TLB + index * HARDWARE_TLB_ENTRY_BYTES)] = 0;
      this.#clearSearch(index);
    }
    this.clearSets();
  }
}
