/**
 * Translation on another thread. The embedder has the threads (DESIGN.md: processor knows neither Node nor the DOM);
 * it passes jobs to a `TranslationServer` that it made there, and modules back.
 */

import { regionFunctions } from '../backend/runtime.ts';
import { WIDE_TLB_SET_BYTES } from '../book3s/layout.ts';
import { coreName } from '../core.ts';
import type { AssistTable, CoreImages, TranslationJob, TranslationResult, TranslationSetup } from '../interface.ts';
import { HandlerTable } from '../interpreter/handlers.ts';
import { SOFT_TLB, TLB_BASE, TOUCH_BLOCK } from '../layout.ts';
import { LEVELS_OF } from '../levels.ts';
import { HostMemory } from '../memory.ts';
import { modelOf } from '../model.ts';
import type { Signature } from '../wasm/module.ts';
import { Translator } from './translate.ts';

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
   * @param cores where the processor's own core may be kept, which saves this thread the same work.
   */
  constructor(
    setup: TranslationSetup,
    assist: AssistTable | null,
    compile?: (region: RegionFunction) => void,
    cores?: CoreImages,
  ) {
    const model = modelOf(setup.processor, setup.order);
    this.#compile = compile ?? ((region) => region(model.word === 'i64' ? 0n : 0, 0));
    const memory = new HostMemory(setup.memory, setup.order);
    const table = setup.assist ? assist : null;
    const kept = cores?.find(coreName(setup.processor, setup.order, 'usual', table !== null));
    const handlers = new HandlerTable(LEVELS_OF[setup.processor], table, kept?.handlers);
    this.#translator = new Translator(memory, handlers, table, model);
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
    const { bytes, regions, covered } = this.#translator.translate(job);
    let module: WebAssembly.Module | null = null;
    if (bytes) {
      module = new WebAssembly.Module(bytes as BufferSource);
      const { exports } = new WebAssembly.Instance(module, this.#imports);
      for (const { index } of regions) this.#compile(exports[`r${index}`] as RegionFunction);
    }
    return { module, bytes: bytes?.length ?? 0, regions, covered, milliseconds: performance.now() - started };
  }
}
