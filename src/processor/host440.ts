import { rotateMask } from '../isa/fields.ts';
import { CodeCache } from './code-cache.ts';
import { HandlerTable } from './handlers.ts';
import type { Host440Cpu, HostCpuOptions } from './interface.ts';
import { generateInterpreter } from './interpreter.ts';
import {
  BUDGET,
  COUNTER_BASE,
  COUNTERS,
  MASK_TABLE,
  MODE,
  NO_RESERVATION,
  RESERVE_ADDRESS,
  TLB_SEARCH_ENTRIES,
} from './layout.ts';
import { LEVELS_440 } from './levels.ts';
import type { HostMemory } from './memory.ts';
import { MODEL_440 } from './model.ts';
import { RUNTIME_440 } from './refill440.ts';
import { RegionManager } from './region/manager.ts';
import { Translator } from './region/translate.ts';
import { coreImports, SIGNATURES } from './runtime.ts';
import { runtimeFunctions } from './runtime-functions.ts';
import { Tlb } from './soft-tlb.ts';
import { encodeModule } from './wasm/module.ts';

/** Interpretations of a block after which it is translated: 512 to 4096 measure alike; less floods the compiler. */
const HOT_THRESHOLD = 1024;

/** How often a run begins with a look at translations: after so many runs or so many instructions. */
const RUNS_PER_WORK = 100;
const INSTRUCTIONS_PER_WORK = 15_000;

/** A 440 in software: interpreter, translator, TLB. */
export class Host440 implements Host440Cpu {
  readonly memory: HostMemory;
  readonly base: number;
  readonly tlbEntries = TLB_SEARCH_ENTRIES;
  readonly #tlb: Tlb;
  readonly #cache: CodeCache;
  readonly #run: () => number;
  readonly #budget: number;
  readonly #regions: RegionManager;
  /** The owner has refused another budget in this run. */
  #isEnding = false;
  #retired = 0;
  #granted = 0;
  onTick = (): number => 0;
  #runsUntilWork = 0;
  #workAt = 0;

  constructor(options: HostCpuOptions) {
    const { memory, base } = options;
    this.memory = memory;
    this.base = base;
    this.#budget = (base + BUDGET) >> 2;
    this.#tlb = new Tlb(memory, base);
    memory.i32[(base + RESERVE_ADDRESS) >> 2] = NO_RESERVATION;
    for (let mb = 0; mb < 32; mb++)
      for (let me = 0; me < 32; me++) memory.i32[((base + MASK_TABLE) >> 2) + mb * 32 + me] = rotateMask(mb, me);

    const handlers = new HandlerTable(LEVELS_440, options.assist);
    const interpreter = generateInterpreter(handlers.specs, options.hotThreshold ?? HOT_THRESHOLD);
    this.#cache = new CodeCache(memory, handlers, interpreter.packings, (page) => this.#tlb.protectPage(page), base);
    const pages = memory.byteLength / 65536;
    const bytes = encodeModule(
      coreImports(pages, 'i32'),
      [...runtimeFunctions(RUNTIME_440, options.vectorCode), interpreter.run],
      [SIGNATURES.i32.region],
    );
    const table = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
    const mode = (base + MODE) >> 2;
    const vcpu = new WebAssembly.Global({ value: 'i32', mutable: false }, base);
    const tick = (remaining: number): number => this.#tick(remaining);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), {
      e: {
        memory: memory.wasm,
        table,
        vcpu,
        timebase: options.timebase,
        codeWritten: (real: number, length: number) => this.#cache.written(real >>> 0, length),
        newPage: (real: number) => this.#cache.newPage(real >>> 0, memory.i32[mode] as number),
        decode: (record: number) => this.#cache.decode(record),
        hot: (record: number) => this.#regions.hot(record),
        tick,
      },
    });
    this.#regions = new RegionManager(
      memory,
      this.#cache,
      options.translation ?? new Translator(memory, handlers, options.assist, MODEL_440),
      { table, vcpu, core: instance.exports, own: { timebase: options.timebase, tick } },
      { base, model: MODEL_440 },
    );
    this.#run = instance.exports.run as () => number;
  }

  run(budget: number): number {
    const { i32 } = this.memory;
    // Once in so many runs is enough for translations: runs can be short.
    if (--this.#runsUntilWork < 0 || this.#retired > this.#workAt) {
      this.#runsUntilWork = RUNS_PER_WORK;
      this.#workAt = this.#retired + INSTRUCTIONS_PER_WORK;
      this.#regions.work();
    }
    i32[this.#budget] = budget;
    this.#granted = budget;
    this.#isEnding = false;
    const vector = this.#run();
    this.#retired += this.#granted - (i32[this.#budget] as number);
    return vector;
  }

  /** The budget is spent in the midst of a run: mostly the owner has nothing to do, and it goes on with another. */
  #tick(remaining: number): number {
    const { i32 } = this.memory;
    this.#retired += this.#granted - remaining;
    this.#granted = remaining;
    i32[this.#budget] = remaining;
    // A region that leaves because of the answer comes by here once more.
    if (this.#isEnding) return 0;
    this.#regions.work();
    const granted = this.onTick();
    if (granted <= 0) {
      this.#isEnding = true;
      return 0;
    }
    this.#granted = granted;
    i32[this.#budget] = granted;
    return granted;
  }

  get retired(): number {
    return this.#retired;
  }

  setContext(space: 0 | 1, pid: number, mode: 0 | 1): void {
    this.#tlb.setContext(space, pid, mode);
  }

  setContexts(pid: number, modes: readonly [number, number]): void {
    this.#tlb.prepareContext(0, pid, modes[0]);
    this.#tlb.prepareContext(1, pid, modes[1]);
  }

  tlbWrite(index: number, word0: number, word1: number, word2: number, tid: number): void {
    this.#tlb.write(index, word0, word1, word2, tid);
  }

  tlbInvalidate(index: number): void {
    this.#tlb.invalidate(index);
  }

  codeWritten(address: number, length: number): void {
    this.#cache.written(address, length);
  }

  get stats(): Record<string, number> {
    const stats: Record<string, number> = {
      decoded_instructions: this.#cache.decodedInstructions,
      translated_regions: this.#regions.regions,
      translation_batches: this.#regions.batches,
      translated_instructions: this.#regions.translatedInstructions,
      translation_milliseconds: Math.round(this.#regions.translationMilliseconds),
      code_pages: this.#cache.pageCount,
      dropped_code_pages: this.#cache.droppedPages,
      soft_tlb_page_invalidations: this.#tlb.pageInvalidations,
      soft_tlb_set_flushes: this.#tlb.setFlushes,
    };
    COUNTERS.forEach((name, i) => {
      stats[name] = this.memory.u32[((this.base + COUNTER_BASE) >> 2) + i] as number;
    });
    return stats;
  }
}
