import {
  CODE_PAGES_TABLE,
  CODE_PAGES_TABLE_BYTES,
  CODE_TLB,
  CODE_TLB_ENTRIES,
  CONTEXT_BYTES,
  CONTEXTS,
  SOFT_TLB,
  SOFT_TLB_ENTRIES,
  SOFT_TLB_SET_BYTES,
  SOFT_TLB_SETS,
  TLB_BASE,
} from '../layout.ts';
import type { HostMemory } from '../memory.ts';
import type { Watch } from '../watch.ts';

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
 * The soft TLB in front of a BookE processor's TLB: a cache in sets, one for each context in use, so that changing it
 * flushes nothing. What a context is, the processor's own TLB says by a key; an entry of the hardware TLB that goes takes
 * its pages out of the sets that can hold them.
 */
export abstract class SoftTlb {
  protected readonly i32: Int32Array;
  protected readonly base: number;
  /** Set of a key, -1 for none, and the other way round. */
  protected readonly setOf: Int8Array;
  protected readonly keyOf = new Int32Array(SOFT_TLB_SETS).fill(-1);
  readonly #usedAt = new Float64Array(SOFT_TLB_SETS);
  #uses = 0;
  /** Pages dropped from sets one by one, and whole sets cleared. */
  pageInvalidations = 0;
  setFlushes = 0;

  constructor(memory: HostMemory, base: number, keys: number) {
    this.i32 = memory.i32;
    this.base = base;
    this.setOf = new Int8Array(keys).fill(-1);
  }

  protected at(offset: number): number {
    return (this.base + offset) >> 2;
  }

  /** Writes the words of a context for vector code to switch to: it is number `which`, and the last word is the processor's. */
  protected prepare(which: number, key: number, mode: number, own: number): void {
    const at = this.at(CONTEXTS + which * CONTEXT_BYTES);
    this.i32[at] = this.base + SOFT_TLB + this.setFor(key) * SOFT_TLB_SET_BYTES;
    this.i32[at + 1] = mode;
    this.i32[at + 2] = CODE_PAGES_TABLE + mode * CODE_PAGES_TABLE_BYTES;
    this.i32[at + 3] = own;
  }

  protected setFor(key: number): number {
    let set = this.setOf[key] as number;
    if (set < 0) set = this.#allocate(key);
    this.#usedAt[set] = ++this.#uses;
    return set;
  }

  /** Takes the set that was not used for longest. */
  #allocate(key: number): number {
    let set = 0;
    for (let i = 1; i < SOFT_TLB_SETS; i++) if ((this.#usedAt[i] as number) < (this.#usedAt[set] as number)) set = i;
    const old = this.keyOf[set] as number;
    if (old >= 0) this.setOf[old] = -1;
    this.keyOf[set] = key;
    this.setOf[key] = set;
    this.#clearSet(set);
    return set;
  }

  #clearSet(set: number): void {
    const from = this.at(SOFT_TLB + set * SOFT_TLB_SET_BYTES);
    this.i32.set(EMPTY_SET, from);
    this.setFlushes++;
  }

  /** Takes the pages of an entry out of a set. */
  protected dropPages(set: number, page: number, pages: number): void {
    const from = this.at(SOFT_TLB + set * SOFT_TLB_SET_BYTES);
    // To clear a set costs no more than to look for so many pages in it.
    if (pages > MOST_PAGES_DROPPED) this.#clearSet(set);
    else for (let i = 0; i < pages; i++) this.#dropPage(from, (page + i * 4096) & -4096);
  }

  #dropPage(from: number, page: number): void {
    const { i32 } = this;
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
   * All entries of the hardware TLB have gone. The sets that are in use or prepared for are cleared, once, however many
   * entries had pages in them; the others are given up.
   */
  protected clearSets(): void {
    for (let set = 0; set < SOFT_TLB_SETS; set++) {
      const key = this.keyOf[set] as number;
      if (key < 0) continue;
      if (this.#isSelected(set)) this.#clearSet(set);
      else {
        this.keyOf[set] = this.setOf[key] = -1;
        this.#usedAt[set] = 0;
      }
    }
  }

  /** A set is that of the context, or of one that vector code can switch to. */
  #isSelected(set: number): boolean {
    const address = this.base + SOFT_TLB + set * SOFT_TLB_SET_BYTES;
    const { i32 } = this;
    return (
      i32[this.at(TLB_BASE)] === address ||
      i32[this.at(CONTEXTS)] === address ||
      i32[this.at(CONTEXTS + CONTEXT_BYTES)] === address
    );
  }

  /** Drops what a watch covers from all sets. */
  dropWatched(watch: Watch): void {
    const { i32 } = this;
    for (let set = 0; set < SOFT_TLB_SETS; set++) {
      if ((this.keyOf[set] as number) < 0) continue;
      const from = this.at(SOFT_TLB + set * SOFT_TLB_SET_BYTES);
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
    const { i32 } = this;
    for (let set = 0; set < SOFT_TLB_SETS; set++) {
      if ((this.keyOf[set] as number) < 0) continue;
      const from = this.at(SOFT_TLB + set * SOFT_TLB_SET_BYTES);
      for (let slot = from + 2; slot < from + SOFT_TLB_ENTRIES * DATA_WORDS; slot += DATA_WORDS) {
        const tag = i32[slot] as number;
        if (tag !== NO_TAG && (tag + (i32[slot + 1] as number)) >>> 12 === hostPage) i32[slot] = NO_TAG;
      }
    }
  }
}
