import type { CodeCache, CodePage } from '../code-cache.ts';
import type { HostMemory } from '../memory.ts';
import { REGION_IMPORTS } from '../runtime.ts';
import type { RegionRequest, TranslatedBatch, Translator } from './translate.ts';

/** Regions a module holds at most; a batch is also made when as many requests wait. */
const BATCH = 48;

/** Collects hot entries, has them translated in batches, and installs the regions. */
export class RegionManager {
  readonly #memory: HostMemory;
  readonly #cache: CodeCache;
  readonly #translator: Translator;
  readonly #table: WebAssembly.Table;
  readonly #imports: WebAssembly.Imports;
  #waiting: RegionRequest[] = [];
  #slots = 1;
  readonly #free: number[] = [];
  regions = 0;
  batches = 0;
  translatedInstructions = 0;
  translationMilliseconds = 0;

  constructor(
    memory: HostMemory,
    cache: CodeCache,
    translator: Translator,
    table: WebAssembly.Table,
    vcpu: WebAssembly.Global,
    core: WebAssembly.Exports,
    timebase: () => number,
  ) {
    this.#memory = memory;
    this.#cache = cache;
    this.#translator = translator;
    this.#table = table;
    const functions = Object.fromEntries(
      REGION_IMPORTS.map((name) => [name, name === 'timebase' ? timebase : core[name]]),
    );
    this.#imports = { e: { memory: memory.wasm, table, vcpu, ...functions } as WebAssembly.ModuleImports };
    cache.onDrop = (page) => this.#drop(page);
  }

  /** A block was interpreted so often that it is worth translating. */
  hot(record: number): void {
    const page = this.#cache.pageOfRecord(record);
    this.#waiting.push({ real: page.real + this.#cache.offsetOfRecord(page, record), mode: page.mode });
  }

  /** Translates what waits; to be called when no generated code runs. */
  work(): void {
    while (this.#waiting.length > 0) {
      const requests = this.#waiting.splice(0, BATCH);
      const started = performance.now();
      const batch = this.#translator.translate(requests);
      if (batch) this.#install(batch);
      this.translationMilliseconds += performance.now() - started;
    }
  }

  #install(batch: TranslatedBatch): void {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(batch.bytes as BufferSource), this.#imports);
    this.batches++;
    for (const region of batch.regions) {
      const page = this.#cache.find(region.request.real, region.request.mode);
      if (!page) continue;
      const slot = this.#takeSlot();
      this.#table.set(slot, instance.exports[`r${region.index}`] as () => void);
      this.#cache.enterRegion(page, region.request.real & 4095, slot);
      this.regions++;
      this.translatedInstructions += region.instructions;
    }
  }

  #takeSlot(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#slots >= this.#table.length) this.#table.grow(4096);
    return this.#slots++;
  }

  /** A page's regions are no longer right. Their slots are used again. */
  #drop(page: CodePage): void {
    for (const { slot } of page.regions.values()) {
      this.#table.set(slot, null);
      this.#free.push(slot);
    }
  }

  get memory(): HostMemory {
    return this.#memory;
  }
}
