import { rotateMask } from '../isa/fields.ts';
import { type HostStack, isStackOverflow } from './host-stack.ts';
import { VECTOR_HOST_STACK } from './interface.ts';
import type { CodeCache } from './interpreter/code-cache.ts';
import {
  BUDGET,
  CODE_PAGES,
  CODE_PAGES_TABLE,
  CODE_PAGES_TABLE_BYTES,
  COUNTER_BASE,
  COUNTERS,
  MASK_TABLE,
  MODE,
  NO_READING,
  TIME_BUDGET,
  TIME_SPAN,
  TIME_STEP,
} from './layout.ts';
import type { HostMemory } from './memory.ts';
import { INSTRUCTIONS_PER_WORK, type RegionManager } from './region/manager.ts';
import type { WatchUnit } from './watch.ts';

/** A run begins with a look at translations after so many others, or INSTRUCTIONS_PER_WORK. */
const RUNS_PER_WORK = 100;

/** Within half a microsecond of a reading of the time base, mostly within less, instructions are counted on from it. */
const INSTRUCTIONS_PER_READING = 512;

/** What all host processors do around their interpreter: budgets, retired instructions, translation between runs. */
export class RunLoop {
  readonly #memory: HostMemory;
  readonly #base: number;
  readonly #budget: number;
  /** Set when the processor is complete. */
  regions!: RegionManager;
  stack!: HostStack;
  onTick = (): number => 0;
  /** The owner has refused another budget in this run. */
  #isEnding = false;
  #retired = 0;
  #granted = 0;
  #runsUntilWork = 0;
  #workAt = 0;
  #workedAt = 0;

  constructor(memory: HostMemory, base: number, timebaseStep = 0) {
    this.#memory = memory;
    this.#base = base;
    this.#budget = (base + BUDGET) >> 2;
    new Float64Array(memory.wasm.buffer)[(base + TIME_STEP) >> 3] = timebaseStep;
    memory.i32[(base + TIME_SPAN) >> 2] = timebaseStep > 0 ? INSTRUCTIONS_PER_READING : 0;
    for (let mb = 0; mb < 32; mb++)
      for (let me = 0; me < 32; me++) memory.i32[((base + MASK_TABLE) >> 2) + mb * 32 + me] = rotateMask(mb, me);
  }

  /** The time base is read anew when the guest reads it next: the budget is another, or something took time. */
  forgetTime(): void {
    this.#memory.i32[(this.#base + TIME_BUDGET) >> 2] = NO_READING;
  }

  /**
   * What a core calls of JavaScript in the midst of a run, beside the clock. All of it takes time. Nothing is called before the
   * processor is complete, so `cacheOf` may tell later. `mode`: the index of MODE's word; `isWide`: addresses have 64 bits.
   */
  calls(cacheOf: () => CodeCache, watch: WatchUnit, mode: number, isWide: boolean) {
    const { i32 } = this.#memory;
    return {
      codeWritten: (real: number, length: number): void => {
        this.forgetTime();
        cacheOf().written(real >>> 0, length);
      },
      newPage: (real: number): number => {
        this.forgetTime();
        return cacheOf().newPage(real >>> 0, i32[mode] as number);
      },
      decode: (record: number): void => {
        this.forgetTime();
        cacheOf().decode(record);
      },
      hot: (record: number): void => {
        this.forgetTime();
        this.regions.hot(record);
      },
      tick: (remaining: number): number => this.tick(remaining),
      watch: (access: number, bytes: number): number => {
        this.forgetTime();
        return watch.answer(access, bytes, isWide);
      },
    };
  }

  get retired(): number {
    return this.#retired;
  }

  /** Runs `interpreter` with a budget; answers its vector. */
  run(interpreter: () => number, budget: number): number {
    const { i32 } = this.#memory;
    this.regions.resume();
    // Once in so many runs is enough for translations: runs can be short.
    if (--this.#runsUntilWork < 0 || this.#retired > this.#workAt) {
      this.#runsUntilWork = RUNS_PER_WORK;
      this.#workAt = this.#retired + INSTRUCTIONS_PER_WORK;
      this.regions.work(this.#retired - this.#workedAt);
      this.#workedAt = this.#retired;
      this.regions.store.trim();
      this.stack.measure();
    }
    i32[this.#budget] = budget;
    this.forgetTime();
    this.#granted = budget;
    this.#isEnding = false;
    const vector = this.#enter(interpreter);
    this.#retired += this.#granted - (i32[this.#budget] as number);
    return vector;
  }

  #enter(interpreter: () => number): number {
    for (;;) {
      try {
        return interpreter();
      } catch (error) {
        if (!isStackOverflow(error)) throw error;
        if (!this.stack.recover(error)) return VECTOR_HOST_STACK;
      }
    }
  }

  /** Runs a stepping `interpreter` on records of their own, those of `mode`: they are never translated. */
  step(interpreter: () => number, mode: number, budget: number): number {
    const { i32 } = this.#memory;
    const modeAt = (this.#base + MODE) >> 2;
    const pagesAt = (this.#base + CODE_PAGES) >> 2;
    const usual = i32[modeAt] as number;
    const pages = i32[pagesAt] as number;
    i32[modeAt] = mode;
    i32[pagesAt] = CODE_PAGES_TABLE + mode * CODE_PAGES_TABLE_BYTES;
    const vector = this.run(interpreter, budget);
    i32[modeAt] = usual;
    i32[pagesAt] = pages;
    return vector;
  }

  /** The budget is spent in the midst of a run: mostly the owner has nothing to do, and it goes on with another. */
  tick(remaining: number): number {
    const { i32 } = this.#memory;
    this.#retired += this.#granted - remaining;
    this.#granted = remaining;
    i32[this.#budget] = remaining;
    this.forgetTime();
    // A region that leaves because of the answer comes by here once more.
    if (this.#isEnding) return 0;
    this.regions.poll();
    const granted = this.onTick();
    if (granted <= 0) {
      this.#isEnding = true;
      return 0;
    }
    this.regions.resume();
    this.#granted = granted;
    i32[this.#budget] = granted;
    return granted;
  }

  /** The counters that all processors have. */
  stats(cache: CodeCache, tlb: { readonly pageInvalidations: number; readonly setFlushes: number }) {
    const { regions } = this;
    const { store } = regions;
    const stats: Record<string, number> = {
      decoded_instructions: cache.decodedInstructions,
      translated_regions: store.installedRegions,
      translation_batches: regions.batches,
      translated_instructions: store.installedInstructions,
      translation_milliseconds: Math.round(regions.translationMilliseconds),
      translation_memory_limit: store.limit,
      translation_memory: store.moduleBytes,
      translation_modules: store.moduleCount,
      evicted_modules: store.evictedModules,
      host_stack_overflows: this.stack.overflows,
      link_cells: store.cellCount,
      code_pages: cache.pageCount,
      code_page_memory: store.recordBytes,
      dropped_code_pages: cache.droppedPages,
      evicted_code_pages: cache.evictedPages,
      soft_tlb_page_invalidations: tlb.pageInvalidations,
      soft_tlb_set_flushes: tlb.setFlushes,
    };
    COUNTERS.forEach((name, i) => {
      stats[name] = this.#memory.u32[((this.#base + COUNTER_BASE) >> 2) + i] as number;
    });
    return stats;
  }
}
