/** BookE processors as KVM sees them: vectors, syndromes, the TLB's format, and what a 440 has beside all others. */
import type { HostCpu } from '../interface.ts';

/** Interrupt vectors of a BookE processor, numbered as its IVORs; negative numbers are the host's own events. */
export const BOOKE_VECTOR = {
  criticalInput: 0,
  machineCheck: 1,
  dataStorage: 2,
  instructionStorage: 3,
  externalInput: 4,
  alignment: 5,
  program: 6,
  floatingPointUnavailable: 7,
  systemCall: 8,
  auxiliaryProcessorUnavailable: 9,
  decrementer: 10,
  fixedIntervalTimer: 11,
  watchdog: 12,
  dataTlbError: 13,
  instructionTlbError: 14,
  debug: 15,
  /** The e500's. */
  speUnavailable: 32,
  speFloatData: 33,
  speFloatRound: 34,
  performanceMonitor: 35,
  /** None of the hardware's: an assist meaning hands over to the vector code. */
  assist: 16,
  /** Nor these: an access that a watch stops, and a fetch from a page that it covers. */
  watch: 17,
  codeWatch: 18,
} as const;

/** ESR bits of BookE that the processor sets in EXIT_SYNDROME (PowerPC 440 user's manual, ESR). */
export const ESR = {
  PIL: 0x08000000,
  PPR: 0x04000000,
  PTR: 0x02000000,
  FP: 0x01000000,
  ST: 0x00800000,
  DLK: 0x00200000,
  AP: 0x00100000,
  PUO: 0x00040000,
  /** A floating-point exception that MSR[FE0,FE1] let through only later. */
  PIE: 0x00010000,
  /** The e500's: an instruction of SPE; it has caused an access. */
  SPE: 0x0000_0080,
  /** What a handler needs to know to update the CR for an instruction with a floating-point exception; the field. */
  PCRE: 0x10,
  PCMP: 0x08,
  PCRF: 0x07,
} as const;

/** 440 TLB entry bits, in the form that tlbwe takes (word 0, word 2). */
export const TLB44X = {
  EPN_MASK: 0xfffffc00,
  VALID: 0x200,
  TS: 0x100,
  SIZE_MASK: 0xf0,
  /** log4 of the size in KB, in bits 24:27 of word 0: 1K=0 4K=1 16K=2 64K=3 256K=4 1M=5 16M=7 256M=9 (1G=10). */
  SIZE_SHIFT: 4,
  /** Word 1: RPN, and ERPN in the low 4 bits. */
  RPN_MASK: 0xfffffc00,
  ERPN_MASK: 0xf,
  /** Word 2. */
  UX: 0x20,
  UW: 0x10,
  UR: 0x08,
  SX: 0x04,
  SW: 0x02,
  SR: 0x01,
} as const;

/** Bits of the MAS registers, in which an e500's TLB entries are read and written (EREF, "MMU Assist Registers"). */
export const MAS1 = {
  VALID: 0x8000_0000 | 0,
  IPROT: 0x4000_0000,
  TID: 0x00ff_0000,
  TID_SHIFT: 16,
  TS: 0x1000,
  TSIZE: 0xf00,
  /** log4 of the size in KB: 4K=1 16K=2 … 4G=11. */
  TSIZE_SHIFT: 8,
} as const;
export const MAS2 = {
  EPN: 0xffff_f000 | 0,
  /** X0, X1, and W, I, M, G, E. */
  ATTRIBUTES: 0x7f,
  E: 0x01,
} as const;
export const MAS3 = {
  RPN: 0xffff_f000 | 0,
  USER: 0x3c0,
  UX: 0x20,
  SX: 0x10,
  UW: 0x08,
  SW: 0x04,
  UR: 0x02,
  SR: 0x01,
} as const;

/** An e500v2. KVM runs everything in address space 1, and tells guests' contexts apart by PID0 and PID1. */
export interface HostE500Cpu extends HostCpu {
  /** Selects PID0, PID1 and the translation mode (as for a 440) for what runs next. Cheap: nothing is flushed. */
  setContext(pid0: number, pid1: number, mode: 0 | 1): void;
  /** Prepares one of the two contexts that vector code can switch to. */
  prepareContext(which: 0 | 1, pid0: number, pid1: number, mode: 0 | 1): void;
  /**
   * Writes an entry of the hardware TLBs as tlbwe does (RPN = host real address), and drops cached translations of the old
   * one. `index`: 4 * set + way in TLB0, and behind its entries those of TLB1. The set has to be that of MAS2's address.
   */
  tlbWrite(index: number, mas1: number, mas2: number, mas3: number): void;
  tlbInvalidate(index: number): void;
  /** Invalidates all entries, which costs less than one after another. */
  tlbInvalidateAll(): void;
}

/** A 440. */
export interface Host440Cpu extends HostCpu {
  /**
   * Selects the address space (MSR[IS]=MSR[DS]), PID and translation mode (0: privileged instructions trap; 1: assist
   * meanings are inlined) for what runs next. Cheap: soft-TLB sets are kept by (space, pid), so nothing is flushed.
   */
  setContext(space: 0 | 1, pid: number, mode: 0 | 1): void;
  /** Prepares the two contexts that vector code can switch to: of one PID, `modes[i]` being the mode in address space i. */
  setContexts(pid: number, modes: readonly [number, number]): void;
  /** Writes a hardware TLB entry (word0..word2 as tlbwe, RPN = host real address) and drops cached translations of the old one. */
  tlbWrite(index: number, word0: number, word1: number, word2: number, tid: number): void;
  /** Invalidates a hardware TLB entry. */
  tlbInvalidate(index: number): void;
  /** Invalidates all entries of the hardware TLB, which costs less than one after another. */
  tlbInvalidateAll(): void;
  readonly tlbEntries: number;
}
