import { regionFunctions } from '../backend/runtime.ts';
import type { RuntimeFunctions } from '../backend/storage.ts';
import type { ProcessorModel } from '../model.ts';
import type { Import, Signature } from '../wasm/module.ts';

/** Indexes of the functions that a module of regions imports. */
export interface RegionRuntime extends RuntimeFunctions {
  /** (effective address) → slot of the region that begins there, or 0. */
  readonly regionAt: number;
  /** (effective address, cell) → the same, remembered in the cell. */
  readonly link: number;
  /** (what remains of the budget) → the new budget, or 0: leave. */
  readonly tick: number;
}

/**
 * The functions of one module, which imports those that its code calls, in the order of their first calls: there are
 * dozens, and most modules call five.
 */
export class ModuleRuntime implements RegionRuntime {
  readonly #signatures: ReadonlyMap<string, Signature>;
  readonly #indexes = new Map<string, number>();

  constructor(model: ProcessorModel) {
    this.#signatures = signaturesOf(model);
  }

  get slowLoad(): number {
    return this.#indexOf('slowLoad');
  }
  get slowStore(): number {
    return this.#indexOf('slowStore');
  }
  get slowZeroBlock(): number {
    return this.#indexOf('slowZeroBlock');
  }
  get time(): number {
    return this.#indexOf('time');
  }
  get regionAt(): number {
    return this.#indexOf('regionAt');
  }
  get link(): number {
    return this.#indexOf('link');
  }
  get tick(): number {
    return this.#indexOf('tick');
  }
  readonly routine = (name: string): number => this.#indexOf(name);

  /** What the module imports, of a memory of so many pages. */
  imports(memoryPages: number): Import[] {
    const functions = [...this.#indexes.keys()].map(
      (name) => ({ name, kind: 'function', signature: this.#signatures.get(name) as Signature }) as const,
    );
    return [
      { name: 'memory', kind: 'memory', pages: memoryPages, maximum: memoryPages },
      { name: 'table', kind: 'table' },
      { name: 'vcpu', kind: 'global' },
      ...functions,
    ];
  }

  #indexOf(name: string): number {
    const known = this.#indexes.get(name);
    if (known !== undefined) return known;
    if (!this.#signatures.has(name)) throw new Error(`regions have no function ${name}`);
    const index = this.#indexes.size;
    this.#indexes.set(name, index);
    return index;
  }
}

const SIGNATURES = new Map<ProcessorModel, ReadonlyMap<string, Signature>>();

function signaturesOf(model: ProcessorModel): ReadonlyMap<string, Signature> {
  let signatures = SIGNATURES.get(model);
  if (!signatures) {
    signatures = new Map(regionFunctions(model).map(({ name, signature }) => [name, signature]));
    SIGNATURES.set(model, signatures);
  }
  return signatures;
}
