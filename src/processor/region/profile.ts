/**
 * What was hot in earlier runs: for pages of code, told by their contents, the entries that became regions and the blocks
 * that these had. A run that comes by such a page again has its regions made at once, in the order in which it comes by.
 *
 * All that is kept is advice of where to look: offsets in a page. Regions are made anew from the page's own instructions,
 * so that advice which is wrong, stale or foreign costs time and nothing else.
 */

/** A region that a page had. Offsets are in words from the start of the page. */
export interface RememberedRegion {
  readonly entry: number;
  /** Where its blocks begin, the entry's first. */
  readonly blocks: readonly number[];
}

/** A page as it was kept, or as it is known. Most pages that are kept are none of this run's, and nobody looks into them. */
interface RememberedPage {
  regions: RememberedRegion[] | undefined;
  /** Its regions in the kept form; undefined when they have changed. */
  kept: Uint8Array | undefined;
  /** The run that came by it last. */
  run: number;
}

const PAGE_WORDS = 1024;
/** Regions of a page that are kept, and blocks of a region: more than the translator makes. */
const MAX_REGIONS = 128;
const MAX_BLOCKS = 64;
/** The kept form: magic, run, pages; each page's key, run and bytes; each region's entry and blocks. */
const HEADER_BYTES = 12;
const PAGE_BYTES = 16;
const REGION_BYTES = 4;
const MAGIC = 0x32485650;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The kept form of a page's regions. */
function encode(regions: readonly RememberedRegion[]): Uint8Array {
  const length = regions.reduce((bytes, { blocks }) => bytes + REGION_BYTES + 2 * blocks.length, 0);
  const view = new DataView(new ArrayBuffer(length));
  let at = 0;
  for (const { entry, blocks } of regions) {
    view.setUint16(at, entry, true);
    view.setUint16(at + 2, blocks.length, true);
    at += REGION_BYTES;
    for (const block of blocks) {
      view.setUint16(at, block, true);
      at += 2;
    }
  }
  return new Uint8Array(view.buffer);
}

/** The regions of a page out of their kept form; none where that is not what it is. */
function decode(kept: Uint8Array): RememberedRegion[] {
  const view = viewOf(kept);
  const regions: RememberedRegion[] = [];
  for (let at = 0; at < kept.length; ) {
    if (at + REGION_BYTES > kept.length || regions.length === MAX_REGIONS) return [];
    const entry = view.getUint16(at, true);
    const count = view.getUint16(at + 2, true);
    at += REGION_BYTES;
    if (entry >= PAGE_WORDS || count > MAX_BLOCKS || at + 2 * count > kept.length) return [];
    const start = at;
    const blocks = Array.from({ length: count }, (_, block) => view.getUint16(start + 2 * block, true));
    if (blocks.some((block) => block >= PAGE_WORDS)) return [];
    at += 2 * count;
    regions.push({ entry, blocks });
  }
  return regions;
}

function regionsOf(page: RememberedPage): RememberedRegion[] {
  page.regions ??= page.kept ? decode(page.kept) : [];
  return page.regions;
}

function keptOf(page: RememberedPage): Uint8Array {
  page.kept ??= encode(page.regions ?? []);
  return page.kept;
}

const isSame = (one: RememberedRegion | undefined, other: RememberedRegion): boolean =>
  one?.blocks.length === other.blocks.length && one.blocks.every((block, i) => block === other.blocks[i]);

/** The memory of what was hot. One run of one processor writes to it; `bytes` and `from` are its kept form. */
export class CodeProfile {
  readonly #pages = new Map<number, RememberedPage>();
  #run = 1;
  /** Changes since the start, for who keeps it. */
  changes = 0;

  /** What earlier runs kept; an empty one where the bytes are not what `bytes` makes. */
  static from(kept: Uint8Array | undefined): CodeProfile {
    const profile = new CodeProfile();
    if (kept !== undefined && !profile.#read(kept)) profile.#pages.clear();
    return profile;
  }

  get pageCount(): number {
    return this.#pages.size;
  }

  /** The regions that a page had, in the order in which they were made. The run has come by it. */
  find(key: number): readonly RememberedRegion[] {
    const page = this.#pages.get(key);
    if (page === undefined) return [];
    page.run = this.#run;
    return regionsOf(page);
  }

  /** A page has a region. It is a change where that is news. */
  note(key: number, region: RememberedRegion): void {
    if (region.blocks.length > MAX_BLOCKS) return;
    let page = this.#pages.get(key);
    if (page === undefined) {
      page = { regions: [], kept: undefined, run: this.#run };
      this.#pages.set(key, page);
    }
    page.run = this.#run;
    const regions = regionsOf(page);
    const at = regions.findIndex(({ entry }) => entry === region.entry);
    if (at < 0 && regions.length === MAX_REGIONS) return;
    if (at >= 0 && isSame(regions[at], region)) return;
    if (at >= 0) regions[at] = region;
    else regions.push(region);
    page.kept = undefined;
    this.changes++;
  }

  /** Takes over what another one has, for pages that this one has not. */
  merge(other: CodeProfile): void {
    for (const [key, page] of other.#pages) if (!this.#pages.has(key)) this.#pages.set(key, page);
    this.#run = Math.max(this.#run, other.#run);
  }

  /** The kept form, of at most `limit` bytes: what was come by in the latest runs stays. */
  bytes(limit: number): Uint8Array {
    const pages = [...this.#pages].sort(([, a], [, b]) => b.run - a.run);
    let length = HEADER_BYTES;
    let count = 0;
    for (const [, page] of pages) {
      const size = PAGE_BYTES + keptOf(page).length;
      if (length + size > limit) break;
      length += size;
      count++;
    }
    const bytes = new Uint8Array(length);
    const view = viewOf(bytes);
    view.setUint32(0, MAGIC, true);
    view.setUint32(4, this.#run, true);
    view.setUint32(8, count, true);
    let at = HEADER_BYTES;
    for (const [key, page] of pages.slice(0, count)) {
      const kept = keptOf(page);
      view.setFloat64(at, key, true);
      view.setUint32(at + 8, page.run, true);
      view.setUint32(at + 12, kept.length, true);
      at += PAGE_BYTES;
      bytes.set(kept, at);
      at += kept.length;
    }
    return bytes;
  }

  /** Reads the kept form. False: that is not what it is. */
  #read(given: Uint8Array): boolean {
    const view = viewOf(given);
    if (given.length < HEADER_BYTES || view.getUint32(0, true) !== MAGIC) return false;
    const kept = given.slice();
    this.#run = (view.getUint32(4, true) + 1) >>> 0;
    const count = view.getUint32(8, true);
    let at = HEADER_BYTES;
    for (let i = 0; i < count; i++) {
      if (at + PAGE_BYTES > kept.length) return false;
      const key = view.getFloat64(at, true);
      const run = view.getUint32(at + 8, true);
      const length = view.getUint32(at + 12, true);
      at += PAGE_BYTES;
      if (!Number.isSafeInteger(key) || run >= this.#run || at + length > kept.length) return false;
      this.#pages.set(key, { regions: undefined, kept: kept.subarray(at, at + length), run });
      at += length;
    }
    return at === kept.length;
  }
}
