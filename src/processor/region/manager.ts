import { regionFunctions } from '../backend/runtime.ts';
import type { RegionRequest, TranslatedRegion, TranslationPort } from '../interface.ts';
import { type CodeCache, type CodePage, PROFILE_ROUND } from '../interpreter/code-cache.ts';
import { CODE_CHANGED, LINK_CELL_BYTES, LINK_CELLS, PROFILE, TRANSLATION_MODES } from '../layout.ts';
import type { HostMemory } from '../memory.ts';
import type { ProcessorModel } from '../model.ts';
import type { Translator } from './translate.ts';

/** Regions a module holds at most. */
const BATCH = 48;

/** Of another thread: so few that they come back soon; more where many wait, since a module costs as much as ten instructions. */
const PORT_BATCH = 4;
const LONG_QUEUE = 24;
const LONG_QUEUE_BATCH = 12;

/**
 * Interpretations of a block after which it is translated. Measured on boots of all guests: at 1024 half of what is
 * translated has ended before its translation comes; at 16384 short loops of system calls wait too long.
 */
export const HOT_THRESHOLD = 4096;

/** An entry that was interpreted less than this part (2 ** -4) of what makes it hot between two batches is no longer hot. */
const LOG2_STILL_HOT = 4;

/** How many times longer than others an entry inside of another's region is interpreted before it asks again. */
const COVERED_REST = 8;

/** An entry that waits for its translation. */
interface HotEntry {
  readonly request: RegionRequest;
  /** How often its count has come round while it waits. */
  rounds: number;
  /** Its count when the batch before was chosen. */
  seen: number;
}

/** Where regions are translated: on another thread, or here and now. */
export type TranslationPlace = TranslationPort | Translator;

/** What regions import. */
export interface RegionSurroundings {
  readonly table: WebAssembly.Table;
  readonly vcpu: WebAssembly.Global;
  /** Of the core module. */
  readonly core: WebAssembly.Exports;
  readonly own: { readonly timebase: () => number; readonly tick: (remaining: number) => number };
}

const isPort = (place: TranslationPlace): place is TranslationPort => 'poll' in place;

/** Collects hot entries, has them translated in batches, and installs the regions. */
export class RegionManager {
  readonly #memory: HostMemory;
  readonly #cache: CodeCache;
  #place: TranslationPlace;
  readonly #here: () => Translator;
  readonly #table: WebAssembly.Table;
  readonly #imports: WebAssembly.Imports;
  /** Index of the word that tells regions which are running. */
  readonly #codeChanged: number;
  readonly #profile: number;
  readonly #hotThreshold: number;
  /** By the record of the entry. */
  readonly #waiting = new Map<number, HotEntry>();
  #outstanding = false;
  #slots = 1;
  readonly #free: number[] = [];
  regions = 0;
  batches = 0;
  translatedInstructions = 0;
  /** Of whichever thread translates. */
  translationMilliseconds = 0;

  /** `here` makes the translator of this thread, for where there is no port or it is lost. */
  constructor(
    memory: HostMemory,
    cache: CodeCache,
    port: TranslationPort | undefined,
    here: () => Translator,
    { table, vcpu, core, own }: RegionSurroundings,
    {
      base,
      model,
      hotThreshold,
    }: { readonly base: number; readonly model: ProcessorModel; readonly hotThreshold: number },
  ) {
    this.#memory = memory;
    this.#cache = cache;
    this.#place = port ?? here();
    this.#here = here;
    this.#table = table;
    this.#codeChanged = (base + CODE_CHANGED) >> 2;
    this.#profile = base + PROFILE;
    this.#hotThreshold = hotThreshold;
    const functions = Object.fromEntries(
      regionFunctions(model).map(({ name }) => [name, name === 'timebase' || name === 'tick' ? own[name] : core[name]]),
    );
    this.#imports = { e: { memory: memory.wasm, table, vcpu, ...functions } as WebAssembly.ModuleImports };
    cache.onDrop = (page) => this.#drop(page);
  }

  /** A block was interpreted so often that it is worth translating. */
  hot(record: number): void {
    const known = this.#waiting.get(record);
    if (known) {
      known.rounds++;
      return;
    }
    const page = this.#cache.pageOfRecord(record);
    if (page.mode >= TRANSLATION_MODES) return;
    const offset = this.#cache.offsetOfRecord(page, record);
    // The count goes on where a region begins, and comes round again.
    if (page.regions.has(offset)) return;
    const real = page.real + offset;
    const request = { real, mode: page.mode, version: page.version, profile: this.#profile };
    this.#waiting.set(record, { request, rounds: 0, seen: 0 });
  }

  /** Has translated what waits, and installs what came; to be called when no generated code runs. */
  work(): void {
    const place = this.#place;
    if (!isPort(place)) {
      while (this.#waiting.size > 0) this.#translateHere(place, this.#take(BATCH));
      return;
    }
    if (place.lost === true) {
      // What it was to translate turns hot again.
      this.#place = this.#here();
      return;
    }
    if (this.#outstanding) {
      const result = place.poll();
      if (!result) return;
      this.#outstanding = false;
      this.translationMilliseconds += result.milliseconds;
      this.#askAgain(result.covered);
      if (result.module) this.#install(result.module, result.regions);
    }
    if (this.#waiting.size > 0) {
      const count = this.#waiting.size > LONG_QUEUE ? LONG_QUEUE_BATCH : PORT_BATCH;
      place.post({ requests: this.#take(count) });
      this.#outstanding = true;
    }
  }

  /**
   * The hottest of what waits: those that were interpreted most since the batch before. What has ended by now, as the
   * loops of a boot have, is not worth a translation; it is counted anew.
   */
  #take(count: number): RegionRequest[] {
    const hottest: { readonly record: number; readonly request: RegionRequest; readonly recent: number }[] = [];
    for (const [record, entry] of this.#waiting) {
      const total = this.#cache.profileCount(record) + entry.rounds * PROFILE_ROUND;
      const recent = total - entry.seen;
      entry.seen = total;
      hottest.push({ record, request: entry.request, recent });
    }
    hottest.sort((a, b) => b.recent - a.recent);
    const chosen = hottest.slice(0, count);
    for (const { record } of chosen) this.#waiting.delete(record);
    for (const { record, request, recent } of hottest.slice(count)) {
      if (recent >= this.#hotThreshold >> LOG2_STILL_HOT) continue;
      this.#waiting.delete(record);
      this.#cache.resetProfile(request.real, request.mode);
    }
    return chosen.map(({ request }) => request);
  }

  #translateHere(translator: Translator, requests: readonly RegionRequest[]): void {
    const started = performance.now();
    const batch = translator.translate(requests);
    this.#askAgain(batch.covered);
    if (batch.bytes) this.#install(new WebAssembly.Module(batch.bytes as BufferSource), batch.regions);
    this.translationMilliseconds += performance.now() - started;
  }

  /**
   * Entries that have no region of their own ask again when they are still entered after a good while: mostly they only
   * were until the regions around them had come.
   */
  #askAgain(requests: readonly RegionRequest[]): void {
    // The count has 16 bits, and is to come to the threshold but once.
    const before = Math.min(COVERED_REST * (this.#hotThreshold - 1), PROFILE_ROUND - 1 - this.#hotThreshold);
    for (const { real, mode } of requests) this.#cache.resetProfile(real, mode, before);
  }

  #install(module: WebAssembly.Module, regions: readonly TranslatedRegion[]): void {
    const instance = new WebAssembly.Instance(module, this.#imports);
    this.batches++;
    for (const { request, index, instructions } of regions) {
      const page = this.#cache.find(request.real, request.mode);
      if (!page || page.version !== request.version) continue;
      const slot = this.#takeSlot();
      this.#table.set(slot, instance.exports[`r${index}`] as () => void);
      this.#cache.enterRegion(page, request.real & 4095, slot);
      this.regions++;
      this.translatedInstructions += instructions;
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
    if (page.regions.size === 0) return;
    // Any call site may lead there.
    const words = this.#memory.u32;
    words[this.#codeChanged] = 1;
    const cells = (words[LINK_CELLS >> 2] as number) + 1;
    words.fill(0, (LINK_CELLS + LINK_CELL_BYTES) >> 2, (LINK_CELLS + cells * LINK_CELL_BYTES) >> 2);
    for (const { slot } of page.regions.values()) {
      this.#table.set(slot, null);
      this.#free.push(slot);
    }
  }
}
