/**
 * The processor as KVM sees it: honest hardware. It knows nothing of guests. KVM reads and writes registers in the
 * vCPU block (layout.ts) through `memory` and owns the vectors: `run` returns the vector that hardware would take.
 */
import type { Expr, Meaning, Semantics } from '../isa/semantics.ts';
import type { CoreImages } from './core.ts';
import type { HostMemory } from './memory.ts';
import type { TranslationPort } from './region/server.ts';

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
  /** None of the hardware's: an assist meaning hands over to the vector code. */
  assist: 16,
} as const;

/** `run` returned because the budget is spent or the EVENT word is set: the host's own timer tick. */
export const VECTOR_HOST_TICK = -1;

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

/**
 * Assist meanings: what KVM wants inlined in place of a privileged instruction's trap, for code that runs in
 * translation mode 1. By mnemonic. A meaning that cannot go on calls `s.interrupt('program', 'privileged')`: KVM
 * then emulates the instruction as if it had trapped.
 */
export type AssistTable = ReadonlyMap<string, Meaning>;

/** What vector code is written with: the builder without the guest's registers and control flow. */
export interface VectorSemantics extends Semantics {
  /** Runs `body` as long as the condition is not zero. */
  while(condition: () => Expr, body: () => void): void;
  /** Selects the context that `HostCpu.setContexts` has prepared: 0 or 1. */
  switchContext(which: Expr): void;
  /** Ends: the guest goes on at PC. */
  resume(): void;
  /** Ends: `run` returns EXIT_VECTOR. */
  leave(): void;
}

/**
 * What KVM does about interrupts before `run` returns (on hardware, the part of its exit handler that is written in
 * assembly). All registers are in the block when it runs. Where it falls through its end, `run` returns.
 */
export type VectorCode = (s: VectorSemantics) => void;

export interface HostCpuOptions {
  readonly memory: HostMemory;
  /** Real address of the vCPU block, aligned to VCPU_BLOCK_BYTES. */
  readonly base: number;
  readonly assist: AssistTable | null;
  readonly vectorCode?: VectorCode;
  /** The time base, in ticks, as a double (up to 2^53 ticks). */
  readonly timebase: () => number;
  /** Another thread that translates; else translation happens between runs, on this one. */
  readonly translation?: TranslationPort;
  /** Interpretations of a block after which it is translated; Infinity: never. */
  readonly hotThreshold?: number;
  /** Cores that were kept. */
  readonly cores?: CoreImages;
}

/** One host processor, running everything with MSR[PR]=1: what all families have. */
export interface HostCpu {
  readonly memory: HostMemory;
  readonly base: number;
  /**
   * Runs from PC until an interrupt, at most `budget` instructions. Returns the vector; EXIT_ADDRESS and EXIT_SYNDROME
   * tell more, and PC is the instruction's (for systemCall: the next one's). All registers are in the block.
   * VECTOR_HOST_TICK: budget spent, nothing happened.
   */
  run(budget: number): number;
  /**
   * Called when a run has spent its budget: answers another budget to go on with, or 0 to have `run` return
   * VECTOR_HOST_TICK. Registers may be in use by the code that runs: only `retired` and EVENT are to be looked at.
   */
  onTick: () => number;
  /** Instructions retired since creation. */
  readonly retired: number;
  /** Host memory [address, address+length) was changed from outside (DMA, loader): translations of it are dropped. */
  codeWritten(address: number, length: number): void;
  /** Counters: translations, regions, refills … */
  readonly stats: Record<string, number>;
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
  readonly tlbEntries: number;
}
