import { EXECUTE, READ, UNCACHED, WRITE } from '../backend/runtime.ts';
import {
  ADDRESS_SPACE,
  CODE_PAGES,
  CODE_PAGES_TABLE,
  CODE_PAGES_TABLE_BYTES,
  CODE_TLB,
  CODE_TLB_ENTRIES,
  CONTEXT_BYTES,
  CONTEXTS,
  HARDWARE_TLB,
  HARDWARE_TLB_ENTRY_BYTES,
  MODE,
  PID,
  SOFT_TLB,
  SOFT_TLB_ENTRIES,
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
import type { Watch } from '../watch.ts';
import { TLB44X } from './interface.ts';

const DATA_WORDS = 4;
const CODE_WORDS = 2;
const SET_WORDS = SOFT_TLB_SET_BYTES / 4;
/** Pages of an entry that are dropped from a set one by one. */
const MOST_PAGES_DROPPED = 256;
/** Not the address of any page. */
const NO_TAG = -1;
/** To be copied: engines fill shared memory word by word, which takes six times as long. */
const EMPTY_SET = new Int32Array(SET_WORDS).fill(NO_TAG);

/**
 * The hardware's TLB and the soft TLB in front of it. The soft TLB is a cache in sets, one for each (address space,
 * PID) in use, so that changing either flushes nothing; an entry of the hardware TLB that goes takes its pages out of
 * the sets that can hold them.
 */
export class Tlb {
  readonly #i32: Int32Array;
  readonly #base: number;
  /** Set of (space << 8 | pid), -1 for none. */
  readonly #setOf = new Int8Array(512).fill(-1);
  readonly #keyOf = new Int32Array(SOFT_TLB_SETS).fill(-1);
  readonly #usedAt = new Float64Array(SOFT_TLB_SETS);
  #uses = 0;
  /** Pages dropped from sets one by one, and whole sets cleared. */
  pageInvalidations = 0;
  setFlushes = 0;

  constructor(memory: HostMemory, base: number) {
    this.#i32 = memory.i32;
    this.#base = base;
    for (let i = 0; i < TLB_SEARCH_ENTRIES; i++) this.#clearSearch(i);
    this.setContext(0, 0, 0);
  }

  #at(offset: number): number {
    return (this.#base + offset) >> 2;
  }

  #clearSearch(index: number): void {
    // Nothing has page 1 under mask 0.
    this.#i32[this.#at(TLB_SEARCH_MASK) + index] = 0;
    this.#i32[this.#at(TLB_SEARCH_PAGE) + index] = 1;
    this.#i32[this.#at(TLB_SEARCH_KEY) + index] = -1;
  }

  /** Writes the words of a context for vector code to switch to. */
  prepareContext(space: number, pid: number, mode: number): void {
    const at = this.#at(CONTEXTS + space * CONTEXT_BYTES);
    this.#i32[at] = this.#base + SOFT_TLB + this.#setFor((space << 8) | pid) * SOFT_TLB_SET_BYTES;
    this.#i32[at + 1] = mode;
    this.#i32[at + 2] = CODE_PAGES_TABLE + mode * CODE_PAGES_TABLE_BYTES;
    this.#i32[at + 3] = space;
  }

  #setFor(key: number): number {
    let set = this.#setOf[key] as number;
    if (set < 0) set = this.#allocate(key);
    this.#usedAt[set] = ++this.#uses;
    return set;
  }

  setContext(space: number, pid: number, mode: number): void {
    const set = this.#setFor((space << 8) | pid);
    const i32 = this.#i32;
    i32[this.#at(TLB_BASE)] = this.#base + SOFT_TLB + set * SOFT_TLB_SET_BYTES;
    i32[this.#at(ADDRESS_SPACE)] = space;
    i32[this.#at(PID)] = pid;
    i32[this.#at(MODE)] = mode;
    i32[this.#at(CODE_PAGES)] = CODE_PAGES_TABLE + mode * CODE_PAGES_TABLE_BYTES;
  }

  /** Takes the set that was not used for longest. */
  #allocate(key: number): number {
    let set = 0;
    for (let i = 1; i < SOFT_TLB_SETS; i++) if ((this.#usedAt[i] as number) < (this.#usedAt[set] as number)) set = i;
    const old = this.#keyOf[set] as number;
    if (old >= 0) this.#setOf[old] = -1;
    this.#keyOf[set] = key;
    this.#setOf[key] = set;
    this.#clearSet(set);
    return set;
  }

  #clearSet(set: number): void {
    const from = this.#at(SOFT_TLB + set * SOFT_TLB_SET_BYTES);
    this.#i32.set(EMPTY_SET, from);
    this.setFlushes++;
  }

  write(index: number, word0: number, word1: number, word2: number, tid: number): void {
    this.invalidate(index);
    const i32 = this.#i32;
    const entry = this.#at(HARDWARE_TLB + index * HARDWARE_TLB_ENTRY_BYTES);
    i32[entry] = word0;
    i32[entry + 1] = word1;
    i32[entry + 2] = word2;
    i32[entry + 3] = tid;
    if (!(word0 & TLB44X.VALID)) return;
    const size = (word0 & TLB44X.SIZE_MASK) >> TLB44X.SIZE_SHIFT;
    const mask = size >= 11 ? 0 : -(1024 << (2 * size));
    const page = word0 & TLB44X.EPN_MASK & mask;
    i32[this.#at(TLB_SEARCH_MASK) + index] = mask;
    i32[this.#at(TLB_SEARCH_PAGE) + index] = page;
    i32[this.#at(TLB_SEARCH_KEY) + index] = (word0 & TLB44X.TS ? 256 : 0) | tid;
    i32[this.#at(TLB_SEARCH_ADDEND) + index] = ((word1 & TLB44X.RPN_MASK & mask) - page) | 0;
    i32[this.#at(TLB_SEARCH_ACCESS) + index] =
      (word2 & TLB44X.UR ? READ : 0) |
      (word2 & TLB44X.UW ? WRITE : 0) |
      (word2 & TLB44X.UX ? EXECUTE : 0) |
      (size === 0 ? UNCACHED : 0);
  }

  invalidate(index: number): void {
    const i32 = this.#i32;
    const entry = this.#at(HARDWARE_TLB + index * HARDWARE_TLB_ENTRY_BYTES);
    const word0 = i32[entry] as number;
    if (!(word0 & TLB44X.VALID)) return;
    i32[entry] = 0;
    const key = i32[this.#at(TLB_SEARCH_KEY) + index] as number;
    const mask = i32[this.#at(TLB_SEARCH_MASK) + index] as number;
    const page = i32[this.#at(TLB_SEARCH_PAGE) + index] as number;
    this.#clearSearch(index);
    const space = key >> 8;
    const tid = key & 255;
    const pages = mask === 0 ? 1 << 20 : -mask >>> 12 || 1;
    // An entry of one process has pages in that process's set only.
    const only = tid === 0 ? -1 : (this.#setOf[key] as number);
    if (tid !== 0 && only < 0) return;
    const first = tid === 0 ? 0 : only;
    const last = tid === 0 ? SOFT_TLB_SETS - 1 : only;
    for (let set = first; set <= last; set++) {
      if ((this.#keyOf[set] as number) >> 8 !== space) continue;
      const from = this.#at(SOFT_TLB + set * SOFT_TLB_SET_BYTES);
      // To clear a set costs no more than to look for so many pages in it.
      if (pages > MOST_PAGES_DROPPED) this.#clearSet(set);
      else for (let i = 0; i < pages; i++) this.#dropPage(from, (page + i * 4096) & -4096);
    }
  }

  #dropPage(from: number, page: number): void {
    const i32 = this.#i32;
    const data = from + ((page >>> 12) & (SOFT_TLB_ENTRIES - 1)) * DATA_WORDS;
    const code = from + (CODE_TLB >> 2) + ((page >>> 12) & (CODE_TLB_ENTRIES - 1)) * CODE_WORDS;
    if (i32[data] === page || i32[data + 2] === page) {
      i32[data] = NO_TAG;
      i32[data + 2] = NO_TAG;
      this.pageInvalidations++;
    }
    if (i32[code] === page) i32[code] = NO_TAG;
  }

  /**
   * All entries of the hardware TLB go. The sets that are in use or prepared for are cleared, once, however many entries had
   * pages in them; the others are given up.
   */
  invalidateAll(): void {
    const i32 = this.#i32;
    for (let index = 0; index < TLB_SEARCH_ENTRIES; index++) {
      i32[this.#at(HARDWARE_TLB + index * HARDWARE_TLB_ENTRY_BYTES)] = 0;
      this.#clearSearch(index);
    }
    for (let set = 0; set < SOFT_TLB_SETS; set++) {
      const key = this.#keyOf[set] as number;
      if (key < 0) continue;
      if (this.#isSelected(set)) this.#clearSet(set);
      else {
        this.#keyOf[set] = this.#setOf[key] = -1;
        this.#usedAt[set] = 0;
      }
    }
  }

  /** A set is that of the context, or of one that vector code can switch to. */
  #isSelected(set: number): boolean {
    const address = this.#base + SOFT_TLB + set * SOFT_TLB_SET_BYTES;
    const i32 = this.#i32;
    return (
      i32[this.#at(TLB_BASE)] === address ||
      i32[this.#at(CONTEXTS)] === address ||
      i32[this.#at(CONTEXTS + CONTEXT_BYTES)] === address
    );
  }

  /** Drops what a watch covers from all sets. */
  dropWatched(watch: Watch): void {
    const i32 = this.#i32;
    for (let set = 0; set < SOFT_TLB_SETS; set++) {
      if ((this.#keyOf[set] as number) < 0) continue;
      const from = this.#at(SOFT_TLB + set * SOFT_TLB_SET_BYTES);
      const code = from + (CODE_TLB >> 2);
      // All tags stand at even words.
      for (let at = from; at < from + SET_WORDS; at += 2) {
        const tag = i32[at] as number;
        if (tag === NO_TAG) continue;
        if (at < code ? watch.coversData(tag, 0) : watch.coversCode(tag, 0)) i32[at] = NO_TAG;
      }
    }
  }

  /** Takes write permission from all cached translations to a page of host memory: it holds code now. */
  protectPage(hostPage: number): void {
    const i32 = this.#i32;
    for (let set = 0; set < SOFT_TLB_SETS; set++) {
      if ((this.#keyOf[set] as number) < 0) continue;
      const from = this.#at(SOFT_TLB + set * SOFT_TLB_SET_BYTES);
      for (let slot = from + 2; slot < from + SOFT_TLB_ENTRIES * DATA_WORDS; slot += DATA_WORDS) {
        const tag = i32[slot] as number;
        if (tag !== NO_TAG && (tag + (i32[slot + 1] as number)) >>> 12 === hostPage) i32[slot] = NO_TAG;
      }
    }
  }
}
