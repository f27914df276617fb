/** Register bits of the PowerPC 440 (PowerPC 440 User's Manual, chapters "Interrupts", "Timers" and "Debug"). */

export const MSR = {
  WE: 0x40000,
  CE: 0x20000,
  EE: 0x8000,
  PR: 0x4000,
  FP: 0x2000,
  ME: 0x1000,
  FE0: 0x800,
  DWE: 0x400,
  DE: 0x200,
  FE1: 0x100,
  IS: 0x20,
  DS: 0x10,
} as const;
/** The bits that exist. */
export const MSR_MASK = 0x6ff30;
/** Bits that let the unit's exceptions interrupt, and all that the unit depends on. */
export const MSR_FLOAT_INTERRUPTS = MSR.FE0 | MSR.FE1;
export const MSR_FLOAT = MSR.FP | MSR_FLOAT_INTERRUPTS;
/** Bits of the guest's MSR that select its host context. */
export const MSR_CONTEXT = MSR.PR | MSR.IS | MSR.DS;

export const TCR = {
  WP_SHIFT: 30,
  WRC: 0x30000000,
  WIE: 0x08000000,
  DIE: 0x04000000,
  FP_SHIFT: 24,
  FIE: 0x00800000,
  ARE: 0x00400000,
} as const;

export const TSR = {
  ENW: 0x80000000 | 0,
  WIS: 0x40000000,
  WRS: 0x30000000,
  DIS: 0x08000000,
  FIS: 0x04000000,
} as const;

/** CCR0[DAPUIB]: the unit gets no instructions, as if there were none. */
export const CCR0_DAPUIB = 0x100000;
/** FPSCR[FEX]: an exception that is enabled. */
export const FPSCR_FEX = 0x40000000;

/** DBCR0[RST]: 1 core, 2 chip, 3 system. */
export const DBCR0_RST = 0x30000000;
/** DBCR0[EDM, FT]: no debugger is attached that would stop the processor, and its timers cannot be frozen. */
export const DBCR0_ABSENT = 0x80000001 | 0;
/** DBCR0[IDM]: events become debug interrupts (internal debug mode). */
export const DBCR0_IDM = 0x40000000;

/** Debug events: DBCR0 has a bit that enables each, DBSR one of the same place that records it. */
export const DEBUG_EVENT = {
  /** An instruction is complete. */
  ICMP: 0x08000000,
  /** A branch is to be taken. */
  BRT: 0x04000000,
  /** A non-critical interrupt was taken. */
  IRPT: 0x02000000,
  TRAP: 0x01000000,
  /** A return from an interrupt is to be executed. */
  RET: 0x00008000,
} as const;
export const DBSR = {
  /** Imprecise: an event happened while MSR[DE] was 0. */
  IDE: 0x80000000 | 0,
  /** All bits that are events. */
  EVENTS: 0x4fff8000,
  /** The ranges of a pair of instruction addresses are the other way round than DBCR1 says. */
  IAC12ATS: 2,
  IAC34ATS: 1,
} as const;

export const MMUCR_STS = 0x10000;
export const MMUCR_STID = 0xff;

export const MCSR = { MCS: 0x80000000 | 0, IB: 0x40000000 } as const;

/** Bits of ESR that a data access can set: FP, ST, DLK, AP, BO. */
export const ESR_DATA = 0x01b20000;
