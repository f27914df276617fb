/**
 * A processor's core: runtime and interpreter as one WebAssembly module. It depends on nothing but the processor, the order
 * of storage and KVM's meanings, so an embedder that starts often can keep it: generating it is a good part of a start.
 */
import type { HandlerTable } from './handlers.ts';
import type { VectorCode } from './interface.ts';
import { FIRST_ROUTINE, generateInterpreter, type Packing } from './interpreter.ts';
import { routineFunctions } from './routines.ts';
import { CORE, coreImports, SIGNATURES } from './runtime.ts';
import { type FamilyRuntime, runtimeFunctions } from './runtime-functions.ts';
import { encodeModule } from './wasm/module.ts';

export interface CoreImage {
  readonly bytes: Uint8Array;
  /** By handler: how operands stand in its records. */
  readonly packings: readonly (readonly Packing[])[];
}

/** Cores that an embedder keeps, by name. A name stands for one image of one version of this program only. */
export interface CoreImages {
  find(name: string): CoreImage | undefined;
  /** Hears of an image that was not found. */
  made?(name: string, image: CoreImage): void;
}

export function generateCore(
  runtime: FamilyRuntime,
  handlers: HandlerTable,
  vectorCode: VectorCode | undefined,
  hotThreshold: number,
): CoreImage {
  const { model } = runtime;
  const { run, outlined, packings } = generateInterpreter(handlers.specs, hotThreshold, model);
  const routines = routineFunctions(CORE, model, FIRST_ROUTINE);
  const functions = [...runtimeFunctions(runtime, vectorCode), run, ...routines, ...outlined];
  const bytes = encodeModule(coreImports(model.word), functions, [SIGNATURES[model.word].region]);
  return { bytes, packings };
}

/** The kept image of a name, else a new one. */
export function coreImage(images: CoreImages | undefined, name: string, generate: () => CoreImage): CoreImage {
  const kept = images?.find(name);
  if (kept) return kept;
  const image = generate();
  images?.made?.(name, image);
  return image;
}
