import {
  CODE_PAGES,
  CODE_PAGES_TABLE,
  CODE_PAGES_TABLE_BYTES,
  CODE_TLB,
  CODE_TLB_ENTRIES,
  MODE,
  SOFT_TLB,
  SOFT_TLB_ENTRIES,
  SOFT_TLB_SET_BYTES,
  SOFT_TLB_SETS,
  TLB_BASE,
} from '../layout.ts';
import type { HostMemory } from '../memory.ts';
import type { Watch } from '../watch.ts';
import { CLASSIC_CONTEXTS, SEGMENT_REGISTERS, SR } from './interface.ts';
import {
  CLASSIC_CONTEXT_BYTES,
  CLASSIC_CONTEXT_WORDS,
  CLASSIC_SEGMENTS,
  CLASSIC_SEGMENTS_BYTES,
  SEGMENT_BASE,
} from './layout.ts';

const DATA_WORDS = 4;
const CODE_WORDS = 2;
const SET_WORDS = SOFT_TLB_SET_BYTES / 4;
/** Not the address of any page. */
const NO_TAG = -1;
/** To be copied: engines fill shared memory word by word, which takes six times as long. */
const EMPTY_SET = new Int32Array(SET_WORDS).fill(NO_TAG);
/** Slots of the table from VSIDs to sets: one for each number that a host context has. */
const VSID_SLOTS = 0x10000;

/**
 * Segment registers of the contexts, and the soft TLBs in front of them and of the hashed page table. A soft TLB is that of
 * sixteen values in the segment registers, whichever context has them: a guest that comes back to an address space finds what
 * it knew of it, and nothing is flushed when it leaves one.
 */
export class ClassicTlb {
  readonly #i32: Int32Array;
  readonly #base: number;
  /** The set of each context; of which the segment registers may have changed since is a bit of `#stale`. */
  readonly #setOf = new Int8Array(CLASSIC_CONTEXTS);
  #stale = (1 << CLASSIC_CONTEXTS) - 1;
  /** By set: the segment registers that it is of, T where it is of none; when it was used last. */
  readonly #segments = new Int32Array(SOFT_TLB_SETS * SEGMENT_REGISTERS).fill(SR.T);
  readonly #used = new Uint8Array(SOFT_TLB_SETS);
  readonly #usedAt = new Float64Array(SOFT_TLB_SETS);
  #uses = 0;
  /** By low bits of the VSID: sets that have or had a segment with it, a bit each. */
  readonly #setsOf = new Uint16Array(VSID_SLOTS);
  pageInvalidations = 0;
  setFlushes = 0;

  constructor(memory: HostMemory, base: number) {
    this.#i32 = memory.i32;
    this.#base = base;
    for (let context = 0; context < CLASSIC_CONTEXTS; context++) {
      const at = this.#registers(context);
      for (let i = 0; i < SEGMENT_REGISTERS; i++) this.#i32[at + i] = SR.T;
      this.configure(context, 0);
    }
    this.select(0);
  }

  #at(offset: number): number {
    return (this.#base + offset) >> 2;
  }

  #words(context: number): number {
    return this.#at(CLASSIC_CONTEXT_WORDS + context * CLASSIC_CONTEXT_BYTES);
  }

  #registers(context: number): number {
    return this.#at(CLASSIC_SEGMENTS + context * CLASSIC_SEGMENTS_BYTES);
  }

  /** Sets the translation mode that code in a context runs in. */
  configure(context: number, mode: number): void {
    const i32 = this.#i32;
    const at = this.#words(context);
    i32[at + 1] = mode;
    i32[at + 2] = CODE_PAGES_TABLE + mode * CODE_PAGES_TABLE_BYTES;
    i32[at + 3] = this.#base + CLASSIC_SEGMENTS + context * CLASSIC_SEGMENTS_BYTES;
  }

  select(context: number): void {
    const i32 = this.#i32;
    const at = this.#words(context);
    i32[this.#at(TLB_BASE)] = i32[at] as number;
    i32[this.#at(MODE)] = i32[at + 1] as number;
    i32[this.#at(CODE_PAGES)] = i32[at + 2] as number;
    i32[this.#at(SEGMENT_BASE)] = i32[at + 3] as number;
  }

  setSegment(context: number, register: number, value: number): void {
    const at = this.#registers(context) + register;
    if (this.#i32[at] === value) return;
    this.#i32[at] = value;
    this.#stale |= 1 << context;
  }

  /** Finds each context its soft TLB, before code runs. */
  refresh(): void {
    const stale = this.#stale;
    if (stale === 0) return;
    this.#stale = 0;
    for (let context = 0; context < CLASSIC_CONTEXTS; context++) {
      if ((stale & (1 << context)) === 0) continue;
      const set = this.#find(context);
      this.#setOf[context] = set;
      this.#i32[this.#words(context)] = this.#base + SOFT_TLB + set * SOFT_TLB_SET_BYTES;
    }
    // Vector code selects contexts, too.
    const segments = (this.#i32[this.#at(SEGMENT_BASE)] as number) - this.#base - CLASSIC_SEGMENTS;
    this.#i32[this.#at(TLB_BASE)] = this.#i32[this.#words(segments / CLASSIC_SEGMENTS_BYTES)] as number;
  }

  /** The set of a context's segment registers, or the one that was not used for longest. */
  #find(context: number): number {
    const i32 = this.#i32;
    const registers = this.#registers(context);
    const segments = this.#segments;
    let oldest = -1;
    for (let set = 0; set < SOFT_TLB_SETS; set++) {
      let i = 0;
      const from = set * SEGMENT_REGISTERS;
      if (this.#used[set] !== 0) {
        while (i < SEGMENT_REGISTERS && segments[from + i] === i32[registers + i]) i++;
        if (i === SEGMENT_REGISTERS) {
          this.#usedAt[set] = ++this.#uses;
          return set;
        }
        if (this.#isOfContext(set)) continue;
      }
      if (oldest < 0 || (this.#usedAt[set] as number) < (this.#usedAt[oldest] as number)) oldest = set;
    }
    const from = oldest * SEGMENT_REGISTERS;
    for (let i = 0; i < SEGMENT_REGISTERS; i++) {
      const value = i32[registers + i] as number;
      segments[from + i] = value;
      const slot = value & (VSID_SLOTS - 1);
      this.#setsOf[slot] = (this.#setsOf[slot] as number) | (1 << oldest);
    }
    this.#used[oldest] = 1;
    this.#usedAt[oldest] = ++this.#uses;
    i32.set(EMPTY_SET, this.#at(SOFT_TLB + oldest * SOFT_TLB_SET_BYTES));
    this.setFlushes++;
    return oldest;
  }

  /** Whether a context that has found its set has this one: there are more sets than contexts. */
  #isOfContext(set: number): boolean {
    for (let context = 0; context < CLASSIC_CONTEXTS; context++) if (this.#setOf[context] === set) return true;
    return false;
  }

  /** Drops a page from the sets that have its segment. */
  invalidatePage(vsid: number, page: number): void {
    const slot = vsid & (VSID_SLOTS - 1);
    let sets = this.#setsOf[slot] as number;
    let still = 0;
    while (sets !== 0) {
      const set = 31 - Math.clz32(sets);
      sets &= ~(1 << set);
      const from = set * SEGMENT_REGISTERS;
      for (let i = 0; i < SEGMENT_REGISTERS; i++) {
        const value = this.#segments[from + i] as number;
        if ((value & (VSID_SLOTS - 1)) === slot) still |= 1 << set;
        if ((value & SR.VSID) === vsid) this.#dropPage(set, (i << 28) | (page << 12));
      }
    }
    this.#setsOf[slot] = still;
  }

  #dropPage(set: number, page: number): void {
    const i32 = this.#i32;
    const from = this.#at(SOFT_TLB + set * SOFT_TLB_SET_BYTES);
    const data = from + ((page >>> 12) & (SOFT_TLB_ENTRIES - 1)) * DATA_WORDS;
    const code = from + (CODE_TLB >> 2) + ((page >>> 12) & (CODE_TLB_ENTRIES - 1)) * CODE_WORDS;
    if (i32[data] === page || i32[data + 2] === page) {
      i32[data] = NO_TAG;
      i32[data + 2] = NO_TAG;
      this.pageInvalidations++;
    }
    if (i32[code] === page) i32[code] = NO_TAG;
  }

  /** Drops what a watch covers from all sets. */
  dropWatched(watch: Watch): void {
    const i32 = this.#i32;
    for (let set = 0; set < SOFT_TLB_SETS; set++) {
      if (this.#used[set] === 0) continue;
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
      if (this.#used[set] === 0) continue;
      const from = this.#at(SOFT_TLB + set * SOFT_TLB_SET_BYTES);
      for (let slot = from + 2; slot < from + SOFT_TLB_ENTRIES * DATA_WORDS; slot += DATA_WORDS) {
        const tag = i32[slot] as number;
        if (tag !== NO_TAG && (tag + (i32[slot + 1] as number)) >>> 12 === hostPage) i32[slot] = NO_TAG;
      }
    }
  }
}
