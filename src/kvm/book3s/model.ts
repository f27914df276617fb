import type { ServerModelName } from '../../processor/index.ts';

/** A processor of the family, and what the guest sees differently on it. */
export interface Book3sModel {
  readonly name: ServerModelName;
  readonly pvr: number;
  /** Large pages of several sizes, told apart by LP; else every large page has 16 MB (and tlbie says so in the instruction). */
  readonly multiPageSize: boolean;
  /** The bits of MSR's low word that exist. */
  readonly msrMask: number;
  /** Guests that PAPR does not run begin with HIOR here (the reference's value). */
  readonly hior: number;
}
