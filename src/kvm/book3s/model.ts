import type { ClassicModelName, ServerModelName } from '../../processor/index.ts';

/** A processor of the family, and what the guest sees differently on it. */
export interface Book3sModel {
  readonly name: ServerModelName | ClassicModelName;
  readonly pvr: number;
  /** Bits of real addresses that are implemented; those on their left are ignored. At most 53, which a double holds. */
  readonly realBits: number;
  /** The bits of MSR's words that exist. */
  readonly msrMask: number;
  readonly msrMaskHigh: number;
  /** MSR bits that problem state has set whatever is written. */
  readonly problemState: number;
  /** MSR bits that an interrupt leaves as they are. */
  readonly keptByInterrupts: number;
  /** MSR[IP] says where interrupts begin: it is HIOR that follows. */
  readonly hasPrefix: boolean;
  /** The decrementer's exception is there from when its sign is set until it is taken; else as long as its sign is set. */
  readonly latchesDecrementer: boolean;
  /** SRR1 of a trace interrupt tells what was traced. */
  readonly tellsTraced: boolean;
}
