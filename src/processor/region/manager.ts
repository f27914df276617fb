import { regionFunctions } from '../backend/runtime.ts';
import type { RegionRequest, ReleasedRegions, TranslatedRegion, TranslationPort } from '../interface.ts';
import { type CodeCache, type CodePage, PROFILE_ROUND } from '../interpreter/code-cache.ts';
import { PAGE_RECORDS_BYTES } from '../interpreter/interpreter.ts';
import { PROFILE, RECORD_ARENA, TRANSLATION_MODES } from '../layout.ts';
import type { HostMemory } from '../memory.ts';
import type { ProcessorModel } from '../model.ts';
import { PageKeys } from './page-keys.ts';
import type { CodeProfile } from './profile.ts';
import { RegionStore } from './store.ts';
import type { Translator } from './translate.ts';

/** How often there is a look at translations, in instructions; so many a look counts for where runs are short. */
export const INSTRUCTIONS_PER_WORK = 15_000;

/** Regions a module holds at most. */
const BATCH = 48;

/**
 * Who translates on the guest's own thread stops it meanwhile: a module of so many bytes takes some ten milliseconds. Then
 * it has its turn, for so many instructions a byte: counted, not timed, so that runs with counted time repeat exactly.
 */
const HERE_BYTES = 32 * 1024;
const INSTRUCTIONS_PER_BYTE = 4;

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

/** Bytes that translations and records may take where nobody says. */
export const DEFAULT_TRANSLATION_MEMORY = 128 * 2 ** 20;

/** An entry that waits for its translation. */
interface HotEntry {
  readonly request: RegionRequest;
  /** How often its count has come round while it waits. */
  rounds: number;
  /** Its count when the batch before was chosen. */
  seen: number;
}

/** What regions import. */
export interface RegionSurroundings {
  readonly table: WebAssembly.Table;
  readonly vcpu: WebAssembly.Global;
  /** Of the core module. */
  readonly core: WebAssembly.Exports;
  readonly own: { readonly tick: (remaining: number) => number };
}

export interface RegionSettings {
  /** Real address of the vCPU's block. */
  readonly base: number;
  readonly model: ProcessorModel;
  readonly hotThreshold: number;
  /** Bytes that translations and records may take. */
  readonly limit: number;
  /** What all translations depend on beside the code, for the memory of earlier runs. */
  readonly kind: string;
  readonly past: CodeProfile | undefined;
}

/** A thread that translates the pages that fall to it: so it knows which of their blocks it has in regions already. */
interface Lane {
  readonly port: TranslationPort;
  /** It has a job. */
  isBusy: boolean;
}

/** The lane of so many that a page falls to; neighbours fall to different ones. */
const laneOf = (records: number, lanes: number): number =>
  lanes === 1 ? 0 : Math.floor((records - RECORD_ARENA) / PAGE_RECORDS_BYTES) % lanes;

/** Collects hot entries, has them translated in batches, and installs the regions. */
export class RegionManager {
  readonly #cache: CodeCache;
  /** Empty: this thread translates. */
  #lanes: Lane[];
  #translator: Translator | undefined;
  readonly #here: () => Translator;
  readonly store: RegionStore;
  readonly #profile: number;
  readonly #hotThreshold: number;
  /** By the record of the entry. */
  readonly #waiting = new Map<number, HotEntry>();
  /** What earlier runs had, of the pages that this one came by: in that order, and how many are dealt with, by lane. */
  readonly #remembered: { readonly requests: RegionRequest[]; next: number }[];
  readonly #past: CodeProfile | undefined;
  readonly #keys: PageKeys;
  /** Entries that lanes have not heard the end of, by lane. */
  readonly #unheard: ReleasedRegions['entries'][number][][] = [];
  /** Instructions that the guest is to run before anything is translated here again. */
  #debt = 0;
  batches = 0;
  /** Of whichever thread translates. */
  translationMilliseconds = 0;

  /** `here` makes the translator of this thread, for where there is no port or it is lost. */
  constructor(
    memory: HostMemory,
    cache: CodeCache,
    ports: TranslationPort | readonly TranslationPort[] | undefined,
    here: () => Translator,
    { table, vcpu, core, own }: RegionSurroundings,
    { base, model, hotThreshold, limit, kind, past }: RegionSettings,
  ) {
    this.#cache = cache;
    this.#lanes = [ports ?? []].flat().map((port) => ({ port, isBusy: false }));
    this.#remembered = Array.from({ length: Math.max(1, this.#lanes.length) }, () => ({ requests: [], next: 0 }));
    this.#here = here;
    this.#profile = base + PROFILE;
    this.#hotThreshold = hotThreshold;
    this.#past = past;
    this.#keys = new PageKeys(memory.wasm, kind);
    if (past) cache.onFresh = (page) => this.#remember(page, past);
    const functions = Object.fromEntries(
      regionFunctions(model).map(({ name }) => [name, name === 'tick' ? own.tick : core[name]]),
    );
    const imports = { e: { memory: memory.wasm, table, vcpu, ...functions } as WebAssembly.ModuleImports };
    this.store = new RegionStore(memory, cache, table, imports, base, limit);
  }

  /** There is another budget. */
  resume(): void {
    this.#cache.resumeRegions();
  }

  /** A block was interpreted so often that it is worth translating. */
  hot(record: number): void {
    const page = this.#cache.pageOfRecord(record);
    const known = this.#waiting.get(record);
    if (known?.request.version === page.version) {
      known.rounds++;
      return;
    }
    if (page.mode >= TRANSLATION_MODES) return;
    const offset = this.#cache.offsetOfRecord(page, record);
    // The count goes on where a region begins, and comes round again.
    if (page.regions.has(offset)) return;
    const real = page.real + offset;
    const { mode, version, records } = page;
    const request = { real, mode, version, records, profile: this.#profile };
    this.#waiting.set(record, { request, rounds: 0, seen: 0 });
  }

  /** The code of a page is come by for the first time: its regions of earlier runs are asked for. */
  #remember({ real, mode, version, records }: CodePage, past: CodeProfile): void {
    if (mode >= TRANSLATION_MODES || past.pageCount === 0) return;
    const remembered = this.#remembered[laneOf(records, this.#remembered.length)];
    const profile = this.#profile;
    for (const { entry, blocks } of past.find(this.#keys.keyOf(real, mode)))
      remembered?.requests.push({ real: real + entry * 4, mode, version, records, profile, blocks });
  }

  /** Tells later runs of the regions that are installed. */
  #note(regions: readonly TranslatedRegion[]): void {
    for (const { request, blocks } of regions) {
      const page = this.#cache.find(request.real, request.mode);
      if (!page || page.version !== request.version) continue;
      this.#past?.note(this.#keys.keyOf(page.real, page.mode), { entry: (request.real & 4095) >> 2, blocks });
    }
  }

  /** What is hot, and then what was, of the pages of a lane. */
  #next(count: number, lane: number): RegionRequest[] {
    const requests = this.#waiting.size > 0 ? this.#take(count, lane) : [];
    // Lanes that are gone leave what they remembered to the last one.
    const from = lane === Math.max(0, this.#lanes.length - 1) ? this.#remembered.slice(lane) : [this.#remembered[lane]];
    for (const remembered of from) {
      if (remembered === undefined) continue;
      while (requests.length < count && remembered.next < remembered.requests.length) {
        const request = remembered.requests[remembered.next++] as RegionRequest;
        const page = this.#cache.find(request.real, request.mode);
        if (page?.version === request.version && !page.regions.has(request.real & 4095)) requests.push(request);
      }
      if (remembered.next === remembered.requests.length) remembered.requests.length = remembered.next = 0;
    }
    return requests;
  }

  /**
   * Between runs: has translated what waits, and installs what came.
   * @param retired instructions of the guest since the last time.
   */
  work(retired: number): void {
    if (this.#lanes.length > 0) {
      this.poll();
      return;
    }
    this.#debt = Math.max(0, this.#debt - Math.max(retired, INSTRUCTIONS_PER_WORK));
    if (this.#debt > 0) return;
    const requests = this.#next(BATCH, 0);
    if (requests.length === 0) return;
    this.#translator ??= this.#here();
    this.#translateHere(this.#translator, requests);
  }

  /** What `work` does that can be done while regions run, and takes little time and stack: all but translation itself. */
  poll(): void {
    for (let lane = 0; lane < this.#lanes.length; lane++) this.#pollLane(this.#lanes[lane] as Lane, lane);
  }

  #pollLane(lane: Lane, number: number): void {
    const { port } = lane;
    if (port.lost === true) {
      // What it was to translate turns hot again; its pages fall to others.
      this.#lanes = this.#lanes.filter((one) => one !== lane);
      return;
    }
    if (lane.isBusy) {
      const result = port.poll();
      if (!result) return;
      lane.isBusy = false;
      this.translationMilliseconds += result.milliseconds;
      this.#askAgain(result.covered);
      if (result.module) {
        this.batches++;
        this.store.install(result.module, result.bytes, result.regions);
        this.#note(result.regions);
      }
    }
    let waiting = this.#waiting.size;
    for (const { requests, next } of this.#remembered) waiting += requests.length - next;
    if (waiting === 0) return;
    const isLong = waiting > LONG_QUEUE * this.#lanes.length;
    const requests = this.#next(isLong ? LONG_QUEUE_BATCH : PORT_BATCH, number);
    if (requests.length === 0) return;
    port.post({ requests, released: this.#released(number) });
    lane.isBusy = true;
  }

  /**
   * The hottest of what waits: those that were interpreted most since the batch before. What has ended by now, as the
   * loops of a boot have, is not worth a translation; it is counted anew.
   */
  #take(count: number, lane: number): RegionRequest[] {
    const hottest: { readonly record: number; readonly request: RegionRequest; readonly recent: number }[] = [];
    const lanes = Math.max(1, this.#lanes.length);
    for (const [record, entry] of this.#waiting) {
      if (laneOf(entry.request.records, lanes) !== lane) continue;
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

  /** What a lane is to hear of translations that are gone: all entries of its pages, and cells that anybody may have. */
  #released(lane: number): ReleasedRegions {
    const { cells, entries } = this.store.takeReleased();
    const lanes = Math.max(1, this.#lanes.length);
    if (lanes === 1) return { cells, entries };
    for (const entry of entries) {
      const owner = laneOf(entry.records, lanes);
      this.#unheard[owner] ??= [];
      this.#unheard[owner].push(entry);
    }
    const own = this.#unheard[lane] ?? [];
    this.#unheard[lane] = [];
    return { cells, entries: own };
  }

  #translateHere(translator: Translator, requests: readonly RegionRequest[]): void {
    const started = performance.now();
    const job = { requests, released: this.#released(0) };
    const { bytes, regions, covered, rest } = translator.translate(job, HERE_BYTES);
    this.#askAgain(covered);
    for (const request of rest)
      this.#waiting.set(request.records + (request.real & 4095) * 2, { request, rounds: 0, seen: 0 });
    if (bytes) {
      this.batches++;
      this.#debt = bytes.length * INSTRUCTIONS_PER_BYTE;
      this.store.install(new WebAssembly.Module(bytes as BufferSource), bytes.length, regions);
      this.#note(regions);
    }
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
}
