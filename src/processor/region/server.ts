/**
 * Translation on another thread. The embedder has the threads (DESIGN.md: processor knows neither Node nor the DOM);
 * it passes jobs to a `TranslationServer` that it made there, and modules back.
 */
import { HandlerTable } from '../handlers.ts';
import type { AssistTable } from '../interface.ts';
import { SOFT_TLB, TLB_BASE, TOUCH_BLOCK } from '../layout.ts';
import { WIDE_TLB_SET_BYTES } from '../layout64.ts';
import { LEVELS_OF, type ProcessorName } from '../levels.ts';
import { HostMemory, type MemoryOrder } from '../memory.ts';
import { modelOf } from '../model.ts';
import { regionFunctions } from '../runtime.ts';
import type { Signature } from '../wasm/module.ts';
import { type RegionRequest, type TranslatedRegion, Translator } from './translate.ts';

/** Entries to translate into one module. */
export interface TranslationJob {
  readonly requests: readonly RegionRequest[];
}

/** The compiled module, null when none of the entries could be translated. */
export interface TranslationResult {
  readonly module: WebAssembly.Module | null;
  readonly regions: readonly TranslatedRegion[];
  readonly covered: readonly RegionRequest[];
  readonly milliseconds: number;
}

/** What the server needs to know of the VM; can be posted to a thread. */
export interface TranslationSetup {
  readonly memory: WebAssembly.Memory;
  readonly order: MemoryOrder;
  readonly processor: ProcessorName;
  /** Whether code of translation mode 1 has KVM's assist meanings inlined. */
  readonly assist: boolean;
}

/** The embedder's connection to a thread with a `TranslationServer`. */
export interface TranslationPort {
  start(setup: TranslationSetup): void;
  post(job: TranslationJob): void;
  /** The next result that has come, without waiting. */
  poll(): TranslationResult | undefined;
  /** The thread has failed, and nothing comes from it any more: the machine then translates by itself. */
  readonly lost?: boolean;
  /** Ends the thread: the machine has ended. */
  close?(): void;
}

/** A region: (effective address of its page, a bigint on 64-bit processors, call depth) → REGION_RESULT. */
export type RegionFunction = (page: number | bigint, depth: number) => number;

/** A function that does nothing. */
const dummy = ({ results: [result] }: Signature) => (result === 'i64' ? () => 0n : () => 0);

/** Translates jobs; runs on a thread of its own. */
export class TranslationServer {
  readonly #translator: Translator;
  readonly #imports: WebAssembly.Imports;

  readonly #compile: (region: RegionFunction) => void;

  /**
   * @param compile has the engine compile a function as well as it can, here and now, where the embedder knows how;
   * else the function is called, and the engine's own tiers decide.
   */
  constructor(setup: TranslationSetup, assist: AssistTable | null, compile?: (region: RegionFunction) => void) {
    const model = modelOf(setup.processor, setup.order);
    this.#compile = compile ?? ((region) => region(model.word === 'i64' ? 0n : 0, 0));
    const memory = new HostMemory(setup.memory, setup.order);
    const table = setup.assist ? assist : null;
    this.#translator = new Translator(
      memory,
      new HandlerTable(LEVELS_OF[setup.processor], table, model.word),
      table,
      model,
    );
    // Functions are called once here so that the engine compiles them on this thread. They run on a block of their
    // own in which no page is mapped and the budget is spent, so each leaves at its first access or back edge.
    memory.i32.fill(-1, (TOUCH_BLOCK + SOFT_TLB) >> 2, (TOUCH_BLOCK + SOFT_TLB + WIDE_TLB_SET_BYTES) >> 2);
    memory.i32[(TOUCH_BLOCK + TLB_BASE) >> 2] = TOUCH_BLOCK + SOFT_TLB;
    const functions = Object.fromEntries(regionFunctions(model).map(({ name, signature }) => [name, dummy(signature)]));
    this.#imports = {
      e: {
        memory: setup.memory,
        table: new WebAssembly.Table({ element: 'anyfunc', initial: 1 }),
        vcpu: new WebAssembly.Global({ value: 'i32', mutable: false }, TOUCH_BLOCK),
        ...functions,
      } as WebAssembly.ModuleImports,
    };
  }

  translate(job: TranslationJob): TranslationResult {
    const started = performance.now();
    const { bytes, regions, covered } = this.#translator.translate(job.requests);
    let module: WebAssembly.Module | null = null;
    if (bytes) {
      module = new WebAssembly.Module(bytes as BufferSource);
      const { exports } = new WebAssembly.Instance(module, this.#imports);
      for (const { index } of regions) this.#compile(exports[`r${index}`] as RegionFunction);
    }
    return { module, regions, covered, milliseconds: performance.now() - started };
  }
}
