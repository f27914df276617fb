/** The SLBs of a Book III-S processor's contexts, and the soft TLBs in front of them and of the hashed page table. */

import { CODE_PAGES, CODE_PAGES_TABLE, CODE_PAGES_TABLE_BYTES, MODE, TLB_BASE } from '../layout.ts';
import type { HostMemory } from '../memory.ts';
import type { Watch } from '../watch.ts';
import { SERVER_CONTEXTS, SERVER_SLB_ENTRIES } from './interface.ts';
import {
  CONTEXT,
  LOGGED_BELOW,
  REFILL_LOG_ENTRIES,
  REFILL_LOGS,
  SERVER_CONTEXT_BYTES,
  SERVER_CONTEXT_WORDS,
  SERVER_SLB_BYTES,
  SERVER_SLB_ENTRY_BYTES,
  SERVER_SLBS,
  SLB_BASE,
  WIDE_CODE_TLB,
  WIDE_CODE_TLB_ENTRIES,
  WIDE_CODE_TLB_ENTRY_BYTES,
  WIDE_TLB,
  WIDE_TLB_ENTRIES,
  WIDE_TLB_ENTRY_BYTES,
  WIDE_TLB_SET_BYTES,
  WIDE_WRITE_ADDEND,
  WIDE_WRITE_TAG,
} from './layout.ts';
import { SLB_FLAGS_SHIFT } from './refill.ts';

const TWO_32 = 2 ** 32;
const DATA_WORDS = WIDE_TLB_ENTRY_BYTES / 4;
const CODE_WORDS = WIDE_CODE_TLB_ENTRY_BYTES / 4;
const SET_WORDS = WIDE_TLB_SET_BYTES / 4;
const CODE_AT = WIDE_CODE_TLB / 4;
const WRITE_AT = WIDE_WRITE_TAG / 4;
const WRITE_ADDEND_AT = WIDE_WRITE_ADDEND / 4;
/** Neither half of a tag that is no page's. */
const NO_TAG = -1;
/** To be copied: engines fill shared memory word by word, which takes six times as long. */
const EMPTY_SET = new Int32Array(SET_WORDS).fill(NO_TAG);
/** ESIDs below this are of addresses whose refills are logged. */
const LOGGED_ESIDS = 2 ** (LOGGED_BELOW - 28);
/** Slots of the table from VSIDs to SLB entries: one for each number that a host context has. */
const VSID_SLOTS = 0x10000;
const NOWHERE = 0;
const SEVERAL = -1;

export class ServerTlb {
  readonly #i32: Int32Array;
  readonly #base: number;
  /** By low bits of the VSID: (context << 8 | index) + 1 of the only SLB entry with such a VSID, or one of the above. */
  readonly #entryOf = new Int32Array(VSID_SLOTS);
  /** VSIDs of all SLB entries, -1 where there is none, and ESIDs. */
  readonly #vsids = new Float64Array(SERVER_CONTEXTS * 256).fill(-1);
  readonly #esids = new Float64Array(SERVER_CONTEXTS * 256);
  /** Contexts that are to be cleared before code runs: of all pages, and of those that their logs have. */
  #stale = 0;
  #logged = 0;
  pageInvalidations = 0;
  setFlushes = 0;

  constructor(memory: HostMemory, base: number) {
    this.#i32 = memory.i32;
    this.#base = base;
    for (let context = 0; context < SERVER_CONTEXTS; context++) {
      this.#stale |= 1 << context;
      this.configure(context, 0);
    }
    this.select(0);
    this.refresh();
  }

  #at(offset: number): number {
    return (this.#base + offset) >> 2;
  }

  #words(context: number): number {
    return this.#at(SERVER_CONTEXT_WORDS + context * SERVER_CONTEXT_BYTES);
  }

  /** Sets the translation mode that code in a context runs in. */
  configure(context: number, mode: number): void {
    const i32 = this.#i32;
    const at = this.#words(context);
    i32[at] = this.#base + WIDE_TLB + context * WIDE_TLB_SET_BYTES;
    i32[at + 1] = mode;
    i32[at + 2] = CODE_PAGES_TABLE + mode * CODE_PAGES_TABLE_BYTES;
    i32[at + 3] = this.#base + SERVER_SLBS + context * SERVER_SLB_BYTES;
  }

  select(context: number): void {
    const i32 = this.#i32;
    const at = this.#words(context);
    i32[this.#at(TLB_BASE)] = i32[at] as number;
    i32[this.#at(MODE)] = i32[at + 1] as number;
    i32[this.#at(CODE_PAGES)] = i32[at + 2] as number;
    i32[this.#at(SLB_BASE)] = i32[at + 3] as number;
    i32[this.#at(CONTEXT)] = context;
  }

  /** Does what invalidations have left for the time before code runs again. */
  refresh(): void {
    if ((this.#stale | this.#logged) === 0) return;
    for (let context = 0; context < SERVER_CONTEXTS; context++) {
      if (((this.#stale | this.#logged) & (1 << context)) !== 0)
        this.#clear(context, (this.#stale & (1 << context)) !== 0);
    }
    this.#stale = 0;
    this.#logged = 0;
  }

  /** Clears a context's soft TLB, or of it only what its log has. */
  #clear(context: number, whole: boolean): void {
    const i32 = this.#i32;
    const log = this.#at(REFILL_LOGS + context * SERVER_SLB_BYTES);
    const count = i32[log] as number;
    i32[log] = 0;
    const from = this.#at(WIDE_TLB + context * WIDE_TLB_SET_BYTES);
    this.setFlushes++;
    if (whole || count > REFILL_LOG_ENTRIES) {
      i32.set(EMPTY_SET, from);
      return;
    }
    for (let i = 1; i <= count; i++) {
      const entry = (i32[log + i] as number) >> 2;
      i32[entry] = NO_TAG;
      i32[entry + 1] = NO_TAG;
      if (entry >= from + CODE_AT) continue;
      i32[entry + WRITE_AT] = NO_TAG;
      i32[entry + WRITE_AT + 1] = NO_TAG;
    }
  }

  write(context: number, index: number, esid: number, vsid: number, flags: number): void {
    this.invalidate(context, index);
    const i32 = this.#i32;
    const at = this.#at(SERVER_SLBS + context * SERVER_SLB_BYTES + index * SERVER_SLB_ENTRY_BYTES);
    const key = esid + 1;
    i32[at] = key | 0;
    i32[at + 1] = Math.floor(key / TWO_32);
    i32[at + 2] = vsid | 0;
    i32[at + 3] = Math.floor(vsid / TWO_32) | (flags << (SLB_FLAGS_SHIFT - 32));
    const place = (context << 8) | index;
    this.#vsids[place] = vsid;
    this.#esids[place] = esid;
    const slot = vsid & (VSID_SLOTS - 1);
    this.#entryOf[slot] = this.#entryOf[slot] === NOWHERE ? place + 1 : SEVERAL;
  }

  invalidate(context: number, index: number): void {
    const place = (context << 8) | index;
    const vsid = this.#vsids[place] as number;
    if (vsid < 0) return;
    const at = this.#at(SERVER_SLBS + context * SERVER_SLB_BYTES + index * SERVER_SLB_ENTRY_BYTES);
    this.#i32[at] = 0;
    this.#i32[at + 1] = 0;
    this.#vsids[place] = -1;
    const slot = vsid & (VSID_SLOTS - 1);
    if (this.#entryOf[slot] === place + 1) this.#entryOf[slot] = NOWHERE;
    else this.#recount(slot);
    // Segments go in numbers, when the guest changes its process: one pass does for all.
    if ((this.#esids[place] as number) < LOGGED_ESIDS) this.#logged |= 1 << context;
    else this.#stale |= 1 << context;
  }

  /** Finds anew which entry has a VSID of a slot that several had. */
  #recount(slot: number): void {
    let found = NOWHERE;
    for (let i = 0; i < this.#vsids.length; i++) {
      const vsid = this.#vsids[i] as number;
      if (vsid >= 0 && (vsid & (VSID_SLOTS - 1)) === slot) found = found === NOWHERE ? i + 1 : SEVERAL;
    }
    this.#entryOf[slot] = found;
  }

  invalidateAll(context: number): void {
    for (let index = 0; index < SERVER_SLB_ENTRIES; index++) this.invalidate(context, index);
  }

  /** Drops a page from the soft TLBs of the contexts that have its segment. */
  invalidatePage(vsid: number, page: number): void {
    const place = this.#entryOf[vsid & (VSID_SLOTS - 1)] as number;
    if (place === NOWHERE) return;
    if (place > 0) {
      if (this.#vsids[place - 1] === vsid) this.#dropPage((place - 1) >> 8, this.#esids[place - 1] as number, page);
      return;
    }
    for (let i = 0; i < this.#vsids.length; i++)
      if (this.#vsids[i] === vsid) this.#dropPage(i >> 8, this.#esids[i] as number, page);
  }

  #dropPage(context: number, esid: number, page: number): void {
    const i32 = this.#i32;
    const low = (esid << 28) | (page << 12);
    const high = Math.floor(esid / 16) | 0;
    const from = this.#at(WIDE_TLB + context * WIDE_TLB_SET_BYTES);
    const data = from + ((low >>> 12) & (WIDE_TLB_ENTRIES - 1)) * DATA_WORDS;
    if (i32[data] === low && i32[data + 1] === high) {
      i32[data] = NO_TAG;
      i32[data + 1] = NO_TAG;
      i32[data + WRITE_AT] = NO_TAG;
      i32[data + WRITE_AT + 1] = NO_TAG;
      this.pageInvalidations++;
    }
    const code = from + CODE_AT + ((low >>> 12) & (WIDE_CODE_TLB_ENTRIES - 1)) * CODE_WORDS;
    if (i32[code] === low && i32[code + 1] === high) {
      i32[code] = NO_TAG;
      i32[code + 1] = NO_TAG;
    }
  }

  /** Drops what a watch covers from all contexts. */
  dropWatched(watch: Watch): void {
    for (let context = 0; context < SERVER_CONTEXTS; context++) {
      if (this.#isEmpty(context)) continue;
      const from = this.#at(WIDE_TLB + context * WIDE_TLB_SET_BYTES);
      const code = from + CODE_AT;
      for (let at = from; at < code; at += WRITE_AT)
        this.#dropIfCovered(at, (low, high) => watch.coversData(low, high));
      for (let at = code; at < from + SET_WORDS; at += CODE_WORDS)
        this.#dropIfCovered(at, (low, high) => watch.coversCode(low, high));
    }
  }

  /** A tag's page goes from its place when it is covered. */
  #dropIfCovered(at: number, isCovered: (low: number, high: number) => boolean): void {
    const i32 = this.#i32;
    const low = i32[at] as number;
    // Pages have zeros where no tag has ones.
    if ((low & 4095) !== 0 || !isCovered(low, i32[at + 1] as number)) return;
    i32[at] = NO_TAG;
    i32[at + 1] = NO_TAG;
  }

  /** Takes write permission from all cached translations to a page of host memory: it holds code now. */
  protectPage(hostPage: number): void {
    const i32 = this.#i32;
    for (let context = 0; context < SERVER_CONTEXTS; context++) {
      if (this.#isEmpty(context)) continue;
      const from = this.#at(WIDE_TLB + context * WIDE_TLB_SET_BYTES);
      for (let slot = from; slot < from + WIDE_TLB_ENTRIES * DATA_WORDS; slot += DATA_WORDS) {
        const low = i32[slot + WRITE_AT] as number;
        // Pages have zeros where no tag has ones.
        if ((low & 4095) !== 0 || (low + (i32[slot + WRITE_ADDEND_AT] as number)) >>> 12 !== hostPage) continue;
        i32[slot + WRITE_AT] = NO_TAG;
        i32[slot + WRITE_AT + 1] = NO_TAG;
      }
    }
  }

  /** Whether a context has no segment: then its soft TLB has no page. */
  #isEmpty(context: number): boolean {
    for (let index = 0; index < SERVER_SLB_ENTRIES; index++)
      if ((this.#vsids[(context << 8) | index] as number) >= 0) return false;
    return true;
  }
}
