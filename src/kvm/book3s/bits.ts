/** Register bits of Book III-S processors (Power ISA 2.07 Book III-S, chapters 2 to 8). */

/** MSR, low word; SF is in the high word. */
export const MSR = {
  VEC: 0x0200_0000,
  VSX: 0x0080_0000,
  POW: 0x0004_0000,
  /** Of 32-bit processors: interrupts are taken in little-endian mode; they begin at PREFIX. */
  ILE: 0x0001_0000,
  IP: 0x40,
  EE: 0x8000,
  PR: 0x4000,
  FP: 0x2000,
  ME: 0x1000,
  FE0: 0x800,
  SE: 0x400,
  BE: 0x200,
  FE1: 0x100,
  IR: 0x20,
  DR: 0x10,
  PMM: 0x4,
  RI: 0x2,
  LE: 0x1,
} as const;
/** Where interrupts begin with MSR[IP] = 1. */
export const PREFIX = 0xfff0_0000 | 0;
/** MSR[SF], high word. Of the high word only this exists: no guest is a hypervisor or has transactions. */
export const MSR_SF = 0x8000_0000 | 0;
/** Bits that select the host's translation context. */
export const MSR_CONTEXT = MSR.PR | MSR.IR | MSR.DR | MSR.LE;
/** Bits that trace: behind each instruction, behind branches. */
export const MSR_TRACE = MSR.SE | MSR.BE;
/** Bits that tell which facilities there are. */
export const MSR_FACILITIES = MSR.FP | MSR.FE0 | MSR.FE1 | MSR.VEC | MSR.VSX | MSR_TRACE;
/** Floating-point enabled exceptions interrupt where one of these is set. */
export const MSR_FE = MSR.FE0 | MSR.FE1;
/** FPSCR[FEX]: there is one. */
export const FPSCR_FEX = 0x4000_0000;
/** mtmsr and mtmsrd leave these alone (Book III-S, 4.4.2). */
export const MSR_KEPT = MSR.ME | MSR.LE;
/** What mtmsrd with L=1 changes. */
export const MSR_L1 = MSR.EE | MSR.RI;

/** Bits of SRR1 that an interrupt sets for itself; the others come from MSR (Book III-S, 6.2.5: 33:36 and 42:47). */
export const SRR1_OWN = 0x783f_0000;

/** DABR: the doubleword, and which accesses to it (Power ISA 2.06 Book III-S, 8.1.1). */
export const DABR = { BT: 0x4, STORES: 0x2, LOADS: 0x1 } as const;
/** DABRX: translation does not matter, and in which states; bits of the last also in DAWRX. */
export const DABRX = { BTI: 0x8, HYPERVISOR: 0x4, PRIVILEGED: 0x2, PROBLEM: 0x1 } as const;
/** DAWRX (Power ISA 2.07 Book III-S, 8.1): doublewords - 1, which accesses, translation on, or no matter. */
export const DAWRX = { MRD_SHIFT: 10, MRD: 0x3f, STORES: 0x40, LOADS: 0x20, WT: 0x10, WTI: 0x8 } as const;
/** CIABR[PRIV]: of which state the instruction is. */
export const CIABR = { STATE: 0x3, PROBLEM: 1, PRIVILEGED: 2, HYPERVISOR: 3 } as const;

/** LPCR[ILE]: interrupts are taken in little-endian mode. */
export const LPCR_ILE = 0x0200_0000;
/** LPCR[AIL] = 3: interrupts that come with translation on keep it on, and have their vectors at `AIL_BASE` (6.5). */
export const LPCR_AIL = 0x0180_0000;
export const AIL_BASE = { LOW: 0x4000, HIGH: 0xc000_0000 | 0 } as const;
