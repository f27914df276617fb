import type { Instruction } from '../../isa/define.ts';
import { fieldBits } from '../../isa/fields.ts';
import { HOLDS_CODE, MAY_BE_WRITTEN } from '../backend/runtime.ts';
import {
  CODE_FLAGS_TABLE,
  CODE_PAGES_TABLE,
  CODE_PAGES_TABLE_BYTES,
  PROFILE,
  PROFILE_ENTRIES,
  RECORD_ARENA,
  RECORD_ARENA_END,
  ZERO_REGISTER,
} from '../layout.ts';
import type { HostMemory } from '../memory.ts';
import type { HandlerTable } from './handlers.ts';
import { HANDLER, PAGE_END_RECORD, PAGE_RECORDS_BYTES } from './interpreter.ts';
import { KIND, PACKING_NUMBERS } from './packings.ts';

const MAX_PAGES = Math.floor((RECORD_ARENA_END - RECORD_ARENA) / PAGE_RECORDS_BYTES);
/** Stores into a page beside its decoded words after which the page is taken for data. */
const DATA_STORES = 64;

const MEMO_ENTRIES = 8192;
const MEMO_SHIFT = 32 - Math.log2(MEMO_ENTRIES);

/** What distinguishes a mode in which code is decoded. */
export interface DecodingMode {
  /** Which handlers: 0 without assist meanings, 1 with them. */
  readonly handlers: 0 | 1;
  /** Instructions stand in memory in the byte order that storage is not kept in. */
  readonly isTurned: boolean;
}

/** The modes of a processor that has one byte order: problem state, with assist meanings inlined, and for single steps. */
export const PLAIN_MODES: readonly DecodingMode[] = [
  { handlers: 0, isTurned: false },
  { handlers: 1, isTurned: false },
  { handlers: 0, isTurned: false },
];

/** What a page of records belongs to. */
export interface CodePage {
  /** Host real address of the page. */
  readonly real: number;
  readonly mode: number;
  readonly records: number;
  /** Slots in the region table by word, for entries that are translated. */
  readonly regions: Map<number, RegionEntry>;
  stores: number;
  /** Nothing was decoded since it was made or dropped. */
  isFresh: boolean;
  /** Another number each time that the page's code changed: no two versions of any page share one. */
  version: number;
  /** The epoch in which it was looked up last. */
  lastUsed: number;
}

/** A module of translated regions. */
export interface RegionModule {
  /** The epoch in which one of its regions was entered last (`CodeCache.beginEpoch`). */
  lastUsed: number;
  /** How many of its regions are there still. */
  regions: number;
  /** What it takes of memory, about. */
  readonly bytes: number;
}

/** A translated region's entry in a page. */
export interface RegionEntry {
  /** Slot in the table. */
  readonly slot: number;
  readonly module: RegionModule;
  /** The link cells of its call sites. */
  readonly cells: readonly number[];
  /** The record as it was before it led to the region. */
  readonly record: number;
  readonly operands: number;
}

/** Interpretations after which an entry's count, 16 bits, comes round. */
export const PROFILE_ROUND = 0x1_0000;

/**
 * Predecoded code: a page of records for each host page and translation mode that was run, filled block by block.
 * Records are keyed by host real address, so they outlive whatever happens to mappings.
 */
export class CodeCache {
  readonly #memory: HostMemory;
  readonly #u16: Uint16Array;
  readonly #handlers: HandlerTable;
  /** By mode, where it has its own: interpreters of other modes may leave operands out, or pack them elsewhere. */
  readonly #packings: Int32Array[];
  /** Records of words met lately: code repeats itself. Word, mode and the record's two words, by a hash of the word. */
  readonly #memo = new Int32Array(MEMO_ENTRIES * 4).fill(-1);
  /** By the place of their records, in units of a page of them. */
  readonly #pages: (CodePage | undefined)[] = [];
  /** The same, by mode and host page. */
  readonly #byHostPage = new Map<number, CodePage>();
  /** Places of records that are free again. */
  readonly #free: number[] = [];
  readonly #protect: (hostPage: number) => void;
  readonly #modes: readonly DecodingMode[];
  /** Index of the profile's first u16. */
  readonly #profile: number;
  /** Entries of regions that are interpreted until there is another budget. */
  #suspended: { readonly page: CodePage; readonly offset: number }[] = [];
  #version = 0;
  #epoch = 0;
  decodedInstructions = 0;
  droppedPages = 0;
  madePages = 0;
  evictedPages = 0;
  /** Called when a page's translations are no longer right. */
  onDrop: (page: CodePage) => void = () => {};
  /** Called when code of a page is come by for the first time. */
  onFresh: (page: CodePage) => void = () => {};

  constructor(
    memory: HostMemory,
    handlers: HandlerTable,
    packings: Int32Array,
    protect: (hostPage: number) => void,
    vcpuBlock: number,
    modes: readonly DecodingMode[] = PLAIN_MODES,
  ) {
    this.#modes = modes;
    this.#memory = memory;
    this.#u16 = new Uint16Array(memory.wasm.buffer);
    this.#handlers = handlers;
    this.#packings = this.#modes.map(() => packings);
    this.#protect = protect;
    this.#profile = (vcpuBlock + PROFILE) >> 1;
  }

  get pageCount(): number {
    return this.#byHostPage.size;
  }

  /** The epoch, in which what is used now is used. */
  get epoch(): number {
    return this.#epoch;
  }

  pages(): Iterable<CodePage> {
    return this.#byHostPage.values();
  }

  /** The page that a record stands in. */
  pageOfRecord(record: number): CodePage {
    return this.#pages[Math.floor((record - RECORD_ARENA) / PAGE_RECORDS_BYTES)] as CodePage;
  }

  /** Offset in its page, in bytes, of the instruction that a record stands for. */
  offsetOfRecord(page: CodePage, record: number): number {
    return (record - page.records) >> 1;
  }

  /** The page of records of a host page, if it has one. */
  find(real: number, mode: number): CodePage | undefined {
    return this.#byHostPage.get(keyOf(real, mode));
  }

  #tableIndex(real: number, mode: number): number {
    return (CODE_PAGES_TABLE + mode * CODE_PAGES_TABLE_BYTES + (real >>> 12) * 4) >> 2;
  }

  /**
   * The page of records of the host page of a real address, for a look-up that did not find it in the table: it is as
   * old as that, or new and empty. Answers its address. Only between look-ups: no record is held, no region runs.
   */
  newPage(real: number, mode: number): number {
    let page = this.find(real, mode);
    if (!page) {
      if (this.#byHostPage.size === MAX_PAGES) this.#evictOldest();
      page = this.#makePage(real, mode);
    }
    page.lastUsed = this.#epoch;
    this.#memory.u32[this.#tableIndex(real, mode)] = page.records;
    return page.records;
  }

  #makePage(real: number, mode: number): CodePage {
    const old = this.#free.pop();
    const place = old ?? this.#pages.length;
    const records = RECORD_ARENA + place * PAGE_RECORDS_BYTES;
    const page: CodePage = {
      real: (real & ~4095) >>> 0,
      mode,
      records,
      regions: new Map(),
      stores: 0,
      isFresh: true,
      version: ++this.#version,
      lastUsed: this.#epoch,
    };
    this.madePages++;
    this.#pages[place] = page;
    this.#byHostPage.set(keyOf(real, mode), page);
    // Where none were before, all is zero.
    if (old !== undefined) this.#memory.u8.fill(0, records, records + PAGE_RECORDS_BYTES);
    this.#u16[(records + PAGE_END_RECORD * 8) >> 1] = HANDLER.pageEnd;
    return page;
  }

  /** An interpreter of its own is made for a mode. */
  setPackings(mode: number, packings: Int32Array): void {
    this.#packings[mode] = packings;
  }

  /**
   * Decodes the block that starts at a record; or the record leads to its region, for the first time in this epoch; or it
   * does no longer, until `resumeRegions`.
   */
  decode(record: number): void {
    const page = this.pageOfRecord(record);
    if (this.#u16[record >> 1] === HANDLER.region) {
      this.#suspend(page, record);
      return;
    }
    if (this.#u16[record >> 1] === HANDLER.parked) {
      const entry = page.regions.get(this.offsetOfRecord(page, record)) as RegionEntry;
      entry.module.lastUsed = this.#epoch;
      this.#u16[record >> 1] = HANDLER.region;
      return;
    }
    const hostPage = page.real >>> 12;
    const flags = this.#memory.u8[CODE_FLAGS_TABLE + hostPage] as number;
    if (!(flags & HOLDS_CODE)) {
      this.#memory.u8[CODE_FLAGS_TABLE + hostPage] = HOLDS_CODE;
      if (flags & MAY_BE_WRITTEN) this.#protect(hostPage);
    }
    if (page.isFresh) {
      page.isFresh = false;
      this.onFresh(page);
    }
    const end = page.records + PAGE_END_RECORD * 8;
    const u16 = this.#u16;
    const { pairs } = this.#handlers;
    let before = 0;
    for (let at = record; at < end && u16[at >> 1] === HANDLER.undecoded; at += 8) {
      const ends = this.#decodeWord(page, at, (at - page.records) >> 1);
      const handler = u16[at >> 1] as number;
      const pair = pairs.handlerOf(before, handler);
      if (pair !== 0) u16[(at - 8) >> 1] = pair;
      if (ends) break;
      before = handler;
    }
  }

  #suspend(page: CodePage, record: number): void {
    const offset = this.offsetOfRecord(page, record);
    const entry = page.regions.get(offset) as RegionEntry;
    const { u32 } = this.#memory;
    u32[record >> 2] = entry.record;
    u32[(record >> 2) + 1] = entry.operands;
    this.#suspended.push({ page, offset });
  }

  /** The records of all regions lead to them again. */
  resumeRegions(): void {
    if (this.#suspended.length === 0) return;
    const { u32 } = this.#memory;
    for (const { page, offset } of this.#suspended) {
      const entry = page.regions.get(offset);
      if (entry === undefined) continue;
      const record = page.records + offset * 2;
      this.#u16[record >> 1] = HANDLER.region;
      u32[(record >> 2) + 1] = entry.slot;
    }
    this.#suspended = [];
  }

  /** Fills one record; answers whether the block ends here. */
  #decodeWord(page: CodePage, record: number, offset: number): boolean {
    const { handlers, isTurned } = this.#modes[page.mode] as DecodingMode;
    const stored = this.#memory.read32(page.real + offset) | 0;
    const word = isTurned ? swap32(stored) : stored;
    const slot = ((Math.imul(word, 0x9e3779b1) >>> MEMO_SHIFT) << 2) | 0;
    const memo = this.#memo;
    const { i32 } = this.#memory;
    if (memo[slot] === word && memo[slot + 1] === page.mode) {
      i32[record >> 2] = memo[slot + 2] as number;
      i32[(record >> 2) + 1] = memo[slot + 3] as number;
      this.decodedInstructions++;
      return false;
    }
    const ends = this.#decodeAnew(page.mode, handlers, record, offset, word);
    // What ends a block may depend on where it stands.
    if (!ends) {
      memo[slot] = word;
      memo[slot + 1] = page.mode;
      memo[slot + 2] = i32[record >> 2] as number;
      memo[slot + 3] = i32[(record >> 2) + 1] as number;
    }
    return ends;
  }

  #decodeAnew(mode: number, table: 0 | 1, record: number, offset: number, word: number): boolean {
    const instruction = this.#handlers.decoder.decode(word);
    this.decodedInstructions++;
    if (!instruction) {
      this.#u16[record >> 1] = HANDLER.illegal;
      return true;
    }
    const near = branchesNear(instruction, word, offset);
    const handler = this.#handlers.handlerOf(instruction, word, near, table);
    this.#u16[record >> 1] = handler;
    const packings = this.#packings[mode] as Int32Array;
    const end = packings[handler + 1] as number;
    for (let i = packings[handler] as number; i < end; i += PACKING_NUMBERS)
      this.#pack(packings, i, word, record, near);
    return instruction.ends === true;
  }

  #pack(packings: Int32Array, i: number, word: number, record: number, near: boolean): void {
    const { u8 } = this.#memory;
    const mask = packings[i + 2] as number;
    const at = record + (packings[i + 3] as number);
    const bits = (word >>> (packings[i + 1] as number)) & mask;
    switch (packings[i]) {
      case KIND.zero:
        u8[at] = bits || ZERO_REGISTER;
        return;
      case KIND.crField:
        u8[at] = bits * 4;
        return;
      case KIND.crBit:
        u8[at] = (bits >> 2) * 4;
        u8[at + 1] = 8 >> (bits & 3);
        return;
      case KIND.signed: {
        const above = Math.clz32(mask);
        const value = (bits << above) >> above;
        if (packings[i + 4] === 1) u8[at] = value;
        else this.#memory.i32[at >> 2] = value;
        return;
      }
      case KIND.split:
        this.#u16[at >> 1] = ((bits & 31) << 5) | (bits >> 5);
        return;
      case KIND.parted:
        // Five bits, others that are not the field's, and its high bit.
        u8[at] = (bits >>> (27 - Math.clz32(mask))) | ((bits & 1) << 5);
        return;
      case KIND.mask6:
        u8[at] = (bits >> 1) | ((bits & 1) << 5);
        return;
      case KIND.branch: {
        const distance = branchDistance(bits, mask);
        this.#memory.i32[at >> 2] = near ? distance * 2 : distance;
        return;
      }
      default:
        if (packings[i + 4] === 1) u8[at] = bits;
        else if (packings[i + 4] === 2) this.#u16[at >> 1] = bits;
        else this.#memory.i32[at >> 2] = bits;
    }
  }

  /** Whether a record was decoded: its instruction has been reached. */
  isDecoded(page: CodePage, offset: number): boolean {
    return this.#u16[(page.records + offset * 2) >> 1] !== HANDLER.undecoded;
  }

  /** How often the interpreter came to a record lately. */
  profileCount(record: number): number {
    return this.#u16[this.#profile + ((record >>> 3) & (PROFILE_ENTRIES - 1))] as number;
  }

  /** Counts an entry's interpretations anew: from zero, or from so many before it. */
  resetProfile(real: number, mode: number, before = 0): void {
    const page = this.find(real, mode);
    if (!page) return;
    const record = page.records + (real & 4095) * 2;
    this.#u16[this.#profile + ((record >>> 3) & (PROFILE_ENTRIES - 1))] = -before;
  }

  /** Makes the record of a translated entry lead to its region. Answers the one that it led to before. */
  enterRegion(
    page: CodePage,
    offset: number,
    region: Omit<RegionEntry, 'record' | 'operands'>,
  ): RegionEntry | undefined {
    const record = page.records + offset * 2;
    const old = page.regions.get(offset);
    const words = this.#memory.u32;
    const u16 = this.#u16;
    const { pairs } = this.#handlers;
    // The region's slot takes the operands' place: a pair that has them for its second instruction's comes apart. So does
    // one that begins here, whose second may be overwritten while it is away.
    if (offset > 0) u16[(record - 8) >> 1] = pairs.singleOf(u16[(record - 8) >> 1] as number);
    u16[record >> 1] = pairs.singleOf(u16[record >> 1] as number);
    page.regions.set(offset, {
      ...region,
      record: old ? old.record : (words[record >> 2] as number),
      operands: old ? old.operands : (words[(record >> 2) + 1] as number),
    });
    this.#u16[record >> 1] = HANDLER.region;
    words[(record >> 2) + 1] = region.slot;
    return old;
  }

  /** Makes the record of an entry what it was before it led to a region. */
  leaveRegion(page: CodePage, offset: number): void {
    const entry = page.regions.get(offset);
    if (!entry) return;
    const record = page.records + offset * 2;
    this.#memory.u32[record >> 2] = entry.record;
    this.#memory.u32[(record >> 2) + 1] = entry.operands;
    page.regions.delete(offset);
  }

  /**
   * Begins a new epoch: from here on the first look-up of each page of records comes by `newPage`, and the first entry of each
   * region by `decode`, where their age is noted. Hot code has no part in it. Only when no region runs.
   */
  beginEpoch(): void {
    this.#epoch++;
    for (const page of this.#byHostPage.values()) {
      this.#memory.u32[this.#tableIndex(page.real, page.mode)] = 0;
      for (const offset of page.regions.keys()) this.#u16[(page.records + offset * 2) >> 1] = HANDLER.parked;
    }
  }

  /** Host memory was written, by a store or from outside. */
  written(real: number, length: number): void {
    for (let hostPage = real >>> 12; hostPage <= (real + length - 1) >>> 12; hostPage++) {
      if (!((this.#memory.u8[CODE_FLAGS_TABLE + hostPage] as number) & HOLDS_CODE)) continue;
      const from = Math.max(real, hostPage * 4096) & 0xffc;
      const to = Math.min(real + length, (hostPage + 1) * 4096) - hostPage * 4096;
      let hit = false;
      for (let mode = 0; mode < this.#modes.length; mode++) {
        const page = this.find(hostPage * 4096, mode);
        if (!page) continue;
        for (let offset = from; offset < to && !hit; offset += 4) hit = this.isDecoded(page, offset);
        // A page that only takes data beside old code is given up as code, so that its stores are quick again.
        if (++page.stores > DATA_STORES) hit = true;
      }
      if (hit) this.#drop(hostPage);
    }
  }

  #drop(hostPage: number): void {
    for (let mode = 0; mode < this.#modes.length; mode++) {
      const page = this.find(hostPage * 4096, mode);
      if (!page) continue;
      page.stores = 0;
      page.isFresh = true;
      page.version = ++this.#version;
      this.onDrop(page);
      page.regions.clear();
      this.#memory.u8.fill(0, page.records, page.records + PAGE_END_RECORD * 8);
      this.droppedPages++;
    }
    this.#memory.u8[CODE_FLAGS_TABLE + hostPage] = 0;
  }

  /** Gives up a page's records, and its regions with them. Only between look-ups: no record is held, no region runs. */
  evict(page: CodePage): void {
    this.onDrop(page);
    page.regions.clear();
    this.#byHostPage.delete(keyOf(page.real, page.mode));
    this.#memory.u32[this.#tableIndex(page.real, page.mode)] = 0;
    const place = (page.records - RECORD_ARENA) / PAGE_RECORDS_BYTES;
    this.#pages[place] = undefined;
    this.#free.push(place);
    if (!this.#modes.some((_, mode) => this.find(page.real, mode)))
      this.#memory.u8[CODE_FLAGS_TABLE + (page.real >>> 12)] = 0;
    this.evictedPages++;
  }

  /** Makes room for more: what was used least lately goes. */
  #evictOldest(): void {
    const pages = [...this.#byHostPage.values()].sort((a, b) => a.lastUsed - b.lastUsed);
    for (const page of pages.slice(0, MAX_PAGES >> 3)) this.evict(page);
  }
}

/** A host page in a mode, as a number. */
const keyOf = (real: number, mode: number): number => mode * 2 ** 20 + (real >>> 12);

const swap32 = (word: number): number =>
  (word >>> 24) | ((word >>> 8) & 0xff00) | ((word & 0xff00) << 8) | (word << 24) | 0;

function branchDistance(bits: number, mask: number): number {
  const sign = (mask + 1) >> 1;
  return (((bits ^ sign) - sign) << 2) | 0;
}

/** Whether a relative branch's target lies in the page of the branch. */
export function branchesNear(instruction: Instruction, word: number, offset: number): boolean {
  const opcode = instruction.value >>> 26;
  if ((opcode !== 16 && opcode !== 18) || word & 2) return false;
  const distance =
    opcode === 18 ? branchDistance(fieldBits(word, 'LI'), 0xffffff) : branchDistance(fieldBits(word, 'BD'), 0x3fff);
  const target = offset + distance;
  return target >= 0 && target < 4096;
}
