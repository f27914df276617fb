import type { ReleasedRegions, TranslatedRegion } from '../interface.ts';
import type { CodeCache, CodePage, RegionEntry, RegionModule } from '../interpreter/code-cache.ts';
import { PAGE_RECORDS_BYTES } from '../interpreter/interpreter.ts';
import { CODE_CHANGED, LINK_CELL_BYTES, LINK_CELLS, MAX_LINK_CELLS } from '../layout.ts';
import type { HostMemory } from '../memory.ts';

/**
 * What the engine keeps for a module and its instance beside its code, and for each byte of it: the byte itself, machine
 * code, tables of that. (V8 14: 16 KB in all for modules of 7.5 KB compiled by TurboFan; its baseline code is larger.)
 */
const MODULE_BYTES = 8192;
const PER_WASM_BYTE = 2;
/** A page of records, and what belongs to it in JavaScript. */
const PAGE_BYTES = PAGE_RECORDS_BYTES + 1024;

/** From this part of the ceiling on, it is looked what is used. */
const WATCHED = 3 / 4;
/** So much of the ceiling is new in each epoch. */
const EPOCH = 1 / 16;
/** What is too much goes down to this part of the ceiling. */
const KEPT = 7 / 8;

interface InstalledModule extends RegionModule {
  /** Where its regions began. */
  readonly entries: { readonly page: CodePage; readonly offset: number }[];
}

/**
 * The regions that are installed, and how much memory they and the interpreter's records take. There is a ceiling: what is
 * over it goes, by the epoch in which it was used last. An engine frees a module when no slot of the table holds a
 * function of it any more.
 */
export class RegionStore {
  readonly #memory: HostMemory;
  readonly #cache: CodeCache;
  readonly #table: WebAssembly.Table;
  readonly #imports: WebAssembly.Imports;
  /** Index of the word that tells regions which are running. */
  readonly #codeChanged: number;
  readonly #modules = new Set<InstalledModule>();
  #slots = 1;
  readonly #freeSlots: number[] = [];
  /** Cells of regions that are gone, but may be running. */
  #deadCells: number[] = [];
  #freeCells: number[] = [];
  #evictedEntries: { readonly records: number; readonly offset: number }[] = [];
  /** Estimated bytes of all modules. */
  #moduleBytes = 0;
  /** What was made up to the present epoch, and up to now. */
  #madeAtEpoch = 0;
  #made = 0;
  /** Bytes that modules and records may take. */
  readonly limit: number;
  installedRegions = 0;
  installedInstructions = 0;
  evictedModules = 0;

  constructor(
    memory: HostMemory,
    cache: CodeCache,
    table: WebAssembly.Table,
    imports: WebAssembly.Imports,
    base: number,
    limit: number,
  ) {
    this.#memory = memory;
    this.#cache = cache;
    this.#table = table;
    this.#imports = imports;
    this.#codeChanged = (base + CODE_CHANGED) >> 2;
    this.limit = limit;
    cache.onDrop = (page) => this.#drop(page);
  }

  get moduleCount(): number {
    return this.#modules.size;
  }
  get moduleBytes(): number {
    return this.#moduleBytes;
  }
  get recordBytes(): number {
    return this.#cache.pageCount * PAGE_BYTES;
  }
  /** Link cells that were ever in use at once. */
  get cellCount(): number {
    // Threads that find none count past the end for a moment.
    return Math.min(this.#memory.u32[LINK_CELLS >> 2] as number, MAX_LINK_CELLS - 1);
  }

  /** Installs a module's regions, as far as their pages are still what they were made of. */
  install(module: WebAssembly.Module, wasmBytes: number, regions: readonly TranslatedRegion[]): void {
    const instance = new WebAssembly.Instance(module, this.#imports);
    const bytes = MODULE_BYTES + PER_WASM_BYTE * wasmBytes;
    const installed: InstalledModule = { lastUsed: this.#cache.epoch, bytes, regions: 0, entries: [] };
    for (const { request, index, instructions, cells } of regions) {
      const page = this.#cache.find(request.real, request.mode);
      if (!page || page.version !== request.version) {
        this.#deadCells.push(...cells);
        continue;
      }
      const offset = request.real & 4095;
      const slot = this.#takeSlot();
      this.#table.set(slot, instance.exports[`r${index}`] as () => void);
      installed.regions++;
      installed.entries.push({ page, offset });
      const old = this.#cache.enterRegion(page, offset, { slot, cells, module: installed });
      if (old) {
        this.#release(old);
        this.#clearCells();
      }
      this.installedRegions++;
      this.installedInstructions += instructions;
    }
    if (installed.regions === 0) return;
    this.#modules.add(installed);
    this.#moduleBytes += bytes;
    this.#made += bytes;
  }

  /** What the translator has to hear of, once. */
  takeReleased(): ReleasedRegions {
    const released = { cells: this.#freeCells, entries: this.#evictedEntries };
    this.#freeCells = [];
    this.#evictedEntries = [];
    return released;
  }

  /** Keeps the ceiling. Only when no region runs, and no record is held. */
  trim(): void {
    if (this.#deadCells.length > 0) this.#reclaimCells();
    const { limit } = this;
    const used = this.#moduleBytes + this.recordBytes;
    if (used < limit * WATCHED) return;
    const made = this.#made + this.#cache.madePages * PAGE_BYTES;
    if (used > limit) this.#evict(used - limit * KEPT);
    if (made - this.#madeAtEpoch < limit * EPOCH) return;
    this.#madeAtEpoch = made;
    this.#cache.beginEpoch();
    this.#clearCells();
  }

  /** Throws away so many bytes of what was used least lately. Of the same age, records go first: they are quickly made again. */
  #evict(bytes: number): void {
    const pages = [...this.#cache.pages()].sort((a, b) => a.lastUsed - b.lastUsed);
    const modules = [...this.#modules].sort((a, b) => a.lastUsed - b.lastUsed);
    const used = (): number => this.#moduleBytes + this.recordBytes;
    const wanted = used() - bytes;
    const before = this.#modules.size;
    for (let p = 0, m = 0; used() > wanted; ) {
      const page = pages[p];
      const module = modules[m];
      if (page && !(module && module.lastUsed < page.lastUsed)) {
        this.#cache.evict(page);
        p++;
      } else if (module) {
        // Its pages may have taken it along.
        if (module.regions > 0) this.#evictModule(module);
        m++;
      } else break;
    }
    this.evictedModules += before - this.#modules.size;
    this.#clearCells();
  }

  #evictModule(module: InstalledModule): void {
    for (const { page, offset } of module.entries) {
      const entry = page.regions.get(offset);
      if (entry?.module !== module) continue;
      this.#release(entry);
      this.#cache.leaveRegion(page, offset);
      this.#evictedEntries.push({ records: page.records, offset });
    }
  }

  #takeSlot(): number {
    const free = this.#freeSlots.pop();
    if (free !== undefined) return free;
    if (this.#slots >= this.#table.length) this.#table.grow(4096);
    return this.#slots++;
  }

  #release({ slot, cells, module }: RegionEntry): void {
    this.#table.set(slot, null);
    this.#freeSlots.push(slot);
    this.#deadCells.push(...cells);
    if (--module.regions > 0) return;
    this.#modules.delete(module as InstalledModule);
    this.#moduleBytes -= module.bytes;
  }

  /** A page's regions are no longer right. Their slots are used again. */
  #drop(page: CodePage): void {
    if (page.regions.size === 0) return;
    this.#memory.u32[this.#codeChanged] = 1;
    for (const entry of page.regions.values()) this.#release(entry);
    this.#clearCells();
  }

  /** Any call site may lead to what is gone. */
  #clearCells(): void {
    this.#memory.u32.fill(
      0,
      (LINK_CELLS + LINK_CELL_BYTES) >> 2,
      (LINK_CELLS + (this.cellCount + 1) * LINK_CELL_BYTES) >> 2,
    );
  }

  /** A region that is gone may have run until now, and written its cells. */
  #reclaimCells(): void {
    const { u32 } = this.#memory;
    for (const cell of this.#deadCells) u32.fill(0, cell >> 2, (cell + LINK_CELL_BYTES) >> 2);
    this.#freeCells = [...this.#freeCells, ...this.#deadCells];
    this.#deadCells = [];
  }
}
