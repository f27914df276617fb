/**
 * A processor's core: runtime and interpreter as one WebAssembly module. It depends on nothing but the processor, the order
 * of storage and KVM's meanings, so an embedder that starts often can keep it: generating it is a good part of a start.
 */

import { routineFunctions } from './backend/routines.ts';
import { CORE, coreImports, SIGNATURES } from './backend/runtime.ts';
import { type FamilyRuntime, runtimeFunctions } from './backend/runtime-functions.ts';
import type { CoreImage, CoreImages, VectorCode } from './interface.ts';
import type { HandlerTable } from './interpreter/handlers.ts';
import { FIRST_ROUTINE, generateInterpreter } from './interpreter/interpreter.ts';
import type { ProcessorName } from './levels.ts';
import type { MemoryOrder } from './memory.ts';
import { encodeModule } from './wasm/module.ts';

/** Nothing is ever hot in a core that only steps, or whose mode is not translated. */
export const NEVER_HOT = Number.POSITIVE_INFINITY;

/** A core that runs one instruction at a time. Every interrupt ends its run: it has no vector code. */
export const generateSteppingCore = (runtime: FamilyRuntime, handlers: HandlerTable): CoreImage =>
  generateCore(runtime, handlers, undefined, NEVER_HOT, true);

export function generateCore(
  runtime: FamilyRuntime,
  handlers: HandlerTable,
  vectorCode: VectorCode | undefined,
  hotThreshold: number,
  stepping = false,
): CoreImage {
  const { model } = runtime;
  const { run, outlined, packings } = generateInterpreter(
    handlers.specs,
    handlers.pairSpecs,
    hotThreshold,
    model,
    stepping,
  );
  const routines = routineFunctions(CORE, model, FIRST_ROUTINE);
  const functions = [...runtimeFunctions(runtime, vectorCode), run, ...routines, ...outlined];
  const bytes = encodeModule(coreImports(model.word), functions, [SIGNATURES[model.word].region]);
  return { bytes, packings, handlers: handlers.numbers };
}

/** What the core of a processor is kept as. */
export const coreName = (processor: ProcessorName, order: MemoryOrder, mode: string, isAssisted: boolean): string =>
  `${processor}-${order}-${mode}-${isAssisted ? 'assist' : 'plain'}`;

/** The image of a new core, of which the embedder may hear. */
export function madeCore(images: CoreImages | undefined, name: string, image: CoreImage): CoreImage {
  images?.made?.(name, image);
  return image;
}
