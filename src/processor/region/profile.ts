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

interface RememberedPage {
  readonly regions: RememberedRegion[];
  /** The run that came by it last. */
  run: number;
}

const PAGE_WORDS = 1024;
/** Regions of a page that are kept, and blocks of a region: more than the translator makes. */
const MAX_REGIONS = 128;
const MAX_BLOCKS = 64;
/** Bytes of the kept form: of a page and a region without their contents. */
const HEADER_BYTES = 12;
const PAGE_BYTES = 16;
const REGION_BYTES = 4;
const MAGIC = 0x31485650;

const sizeOf = ({ regions }: RememberedPage): number =>
  regions.reduce((bytes, { blocks }) => bytes + REGION_BYTES + 2 * blocks.length, PAGE_BYTES);

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
    return page.regions;
  }

  /** A page has a region. */
  note(key: number, region: RememberedRegion): void {
    if (region.blocks.length > MAX_BLOCKS) return;
    let page = this.#pages.get(key);
    if (page === undefined) {
      page = { regions: [], run: this.#run };
      this.#pages.set(key, page);
    }
    page.run = this.#run;
    const at = page.regions.findIndex(({ entry }) => entry === region.entry);
    if (at >= 0) page.regions[at] = region;
    else if (page.regions.length < MAX_REGIONS) page.regions.push(region);
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
    while (count < pages.length) {
      const size = sizeOf((pages[count] as [number, RememberedPage])[1]);
      if (length + size > limit) break;
      length += size;
      count++;
    }
    const bytes = new Uint8Array(length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, MAGIC, true);
    view.setUint32(4, this.#run, true);
    view.setUint32(8, count, true);
    let at = HEADER_BYTES;
    for (const [key, { run, regions }] of pages.slice(0, count)) {
      view.setFloat64(at, key, true);
      view.setUint32(at + 8, run, true);
      view.setUint32(at + 12, regions.length, true);
      at += PAGE_BYTES;
      for (const { entry, blocks } of regions) {
        view.setUint16(at, entry, true);
        view.setUint16(at + 2, blocks.length, true);
        at += REGION_BYTES;
        for (const block of blocks) {
          view.setUint16(at, block, true);
          at += 2;
        }
      }
    }
    return bytes;
  }

  /** Reads the kept form. False: that is not what it is. */
  #read(kept: Uint8Array): boolean {
    const view = new DataView(kept.buffer, kept.byteOffset, kept.byteLength);
    if (kept.length < HEADER_BYTES || view.getUint32(0, true) !== MAGIC) return false;
    this.#run = (view.getUint32(4, true) + 1) >>> 0;
    const count = view.getUint32(8, true);
    let at = HEADER_BYTES;
    for (let i = 0; i < count; i++) {
      if (at + PAGE_BYTES > kept.length) return false;
      const key = view.getFloat64(at, true);
      const run = view.getUint32(at + 8, true);
      const regionCount = view.getUint32(at + 12, true);
      if (!Number.isSafeInteger(key) || run >= this.#run || regionCount > MAX_REGIONS) return false;
      at += PAGE_BYTES;
      const regions: RememberedRegion[] = [];
      for (let n = 0; n < regionCount; n++) {
        if (at + REGION_BYTES > kept.length) return false;
        const entry = view.getUint16(at, true);
        const blockCount = view.getUint16(at + 2, true);
        at += REGION_BYTES;
        if (entry >= PAGE_WORDS || blockCount > MAX_BLOCKS || at + 2 * blockCount > kept.length) return false;
        const blocks = Array.from({ length: blockCount }, (_, block) => view.getUint16(at + 2 * block, true));
        if (blocks.some((block) => block >= PAGE_WORDS)) return false;
        at += 2 * blockCount;
        regions.push({ entry, blocks });
      }
      this.#pages.set(key, { regions, run });
    }
    return at === kept.length;
  }
}
