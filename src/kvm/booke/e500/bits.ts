/** Register bits of the e500v2 (PowerPC e500 Core Family Reference Manual, "Register Model"), beside those of ../bits.ts. */

export const MSR_E500 = {
  UCLE: 0x0400_0000,
  SPE: 0x0200_0000,
  UBLE: 0x400,
  /** The bits that exist. */
  MASK: 0x0606_d630,
} as const;

/** MAS0, MAS4 and MAS6 (e500 Core Family Reference Manual, "MMU Registers"). */
export const MAS0 = { TLBSEL_SHIFT: 28, ESEL_SHIFT: 16, NV: 0x0000_000f } as const;
export const MAS4 = { TLBSELD_SHIFT: 28, TIDSELD_SHIFT: 16, TIDSELD: 3, TSIZED: 0xf00, DEFAULTS: 0x7f } as const;
export const MAS6 = { SPID0: 0x00ff_0000, SPID0_SHIFT: 16, SAS: 1 } as const;

/** MMUCSR0: TLBs that are invalidated as a whole. */
export const MMUCSR0 = { TLB0_FI: 0x4, TLB1_FI: 0x2 } as const;

/** Bits of an effective address that tlbivax looks at: which TLB, and whether all of it. */
export const TLBIVAX = { TLB1: 0x8, ALL: 0x4 } as const;
