import type { RuntimeFunctions } from '../backend/storage.ts';

/** Indexes of the functions that a module of regions imports. */
export interface RegionRuntime extends RuntimeFunctions {
  /** (effective address) → slot of the region that begins there, or 0. */
  readonly regionAt: number;
  /** (effective address, cell) → the same, remembered in the cell. */
  readonly link: number;
  /** (what remains of the budget) → the new budget, or 0: leave. */
  readonly tick: number;
}
