/**
 * The processor as KVM sees it: honest hardware. It knows nothing of guests. KVM reads and writes registers in the
 * vCPU block (layout.ts) through `memory` and owns the vectors: `run` returns the vector that hardware would take.
 */
import type { Expr, Meaning, Semantics } from '../isa/semantics.ts';
import type { ProcessorName } from './levels.ts';
import type { HostMemory, MemoryOrder } from './memory.ts';
import type { CodeProfile } from './region/profile.ts';
import type { Watch } from './watch.ts';

/** `run` returned because the budget is spent or the EVENT word is set: the host's own timer tick. */
export const VECTOR_HOST_TICK = -1;
/** `run` returned because the host's stack is spent, and the guest's state is lost with it: it cannot go on. */
export const VECTOR_HOST_STACK = -2;

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

/** A processor's core, runtime and interpreter as one WebAssembly module, as an embedder may keep it (core.ts). */
export interface CoreImage {
  readonly bytes: Uint8Array;
  /** How operands stand in the records of each handler (interpreter/packings.ts). */
  readonly packings: Int32Array;
  /** Which handler runs which instruction (`HandlerTable.numbers`). */
  readonly handlers: Int32Array;
}

/** Cores that an embedder keeps, by name. A name stands for one image of one version of this program only. */
export interface CoreImages {
  find(name: string): CoreImage | undefined;
  /** Hears of an image that was not found. */
  made?(name: string, image: CoreImage): void;
}

/** Where a region is to begin. */
export interface RegionRequest {
  /** Host real address of the entry. */
  readonly real: number;
  readonly mode: number;
  /** Address of the counts of interpretations, of the processor that found it hot. */
  readonly profile: number;
  /** Address of the page's records. */
  readonly records: number;
  /** The page's `CodePage.version` at the time: a region of an older page is thrown away. */
  readonly version: number;
  /** Where an earlier run's region had its blocks, in words from the start of the page (profile.ts). */
  readonly blocks?: readonly number[];
}

export interface TranslatedRegion {
  readonly request: RegionRequest;
  /** Number of the exported function: `r0`, `r1` … */
  readonly index: number;
  readonly instructions: number;
  /** Where its blocks begin, in words from the start of the page. */
  readonly blocks: readonly number[];
  /** Addresses of the link cells of its call sites. */
  readonly cells: readonly number[];
}

/** What the translator is told of translations that are gone. */
export interface ReleasedRegions {
  /** Link cells that are free. */
  readonly cells: readonly number[];
  /** Entries of regions that were thrown away: the address of the page's records, the offset in the page. */
  readonly entries: readonly { readonly records: number; readonly offset: number }[];
}

/** Entries to translate into one module. */
export interface TranslationJob {
  readonly requests: readonly RegionRequest[];
  readonly released: ReleasedRegions;
}

/** The compiled module, null when none of the entries could be translated. */
export interface TranslationResult {
  readonly module: WebAssembly.Module | null;
  /** How long the module was, in bytes. */
  readonly bytes: number;
  readonly regions: readonly TranslatedRegion[];
  readonly covered: readonly RegionRequest[];
  readonly milliseconds: number;
}

/** What the server needs to know of the VM; can be posted to a thread. */
export interface TranslationSetup {
  readonly memory: WebAssembly.Memory;
  readonly order: MemoryOrder;
  readonly processor: ProcessorName;
  /** Whether code of translation mode 1 has KVM's assist meanings inlined. */
  readonly assist: boolean;
}

/** The embedder's connection to a thread with a `TranslationServer`. */
export interface TranslationPort {
  start(setup: TranslationSetup): void;
  post(job: TranslationJob): void;
  /** The next result that has come, without waiting. */
  poll(): TranslationResult | undefined;
  /** The thread has failed, and nothing comes from it any more: the processor then translates by itself. */
  readonly lost?: boolean;
  /** Ends the thread: the machine has ended. */
  close?(): void;
}

export interface HostCpuOptions {
  readonly memory: HostMemory;
  /** Real address of the vCPU block, aligned to VCPU_BLOCK_BYTES. */
  readonly base: number;
  readonly assist: AssistTable | null;
  readonly vectorCode?: VectorCode;
  /** The time base, in ticks, as a double (up to 2^53 ticks). */
  readonly timebase: () => number;
  /**
   * Ticks that pass with an instruction at the least: between readings, the time base goes on by so much. Absent: it is read
   * each time that the guest reads it.
   */
  readonly timebaseStep?: number;
  /** Other threads that translate, one or several; else translation happens between runs, on this one. */
  readonly translation?: TranslationPort | readonly TranslationPort[];
  /** Interpretations of a block after which it is translated; Infinity: never. */
  readonly hotThreshold?: number;
  /** Budgets end at the same instruction whatever is translated (`ProcessorModel.isExact`). */
  readonly isExact?: boolean;
  /** Bytes that translations and the interpreter's records may take: what is over goes, the least used first. */
  readonly translationMemory?: number;
  /** Cores that were kept. */
  readonly cores?: CoreImages;
  /** What was hot in earlier runs, and is added to. */
  readonly profile?: CodeProfile;
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
   * Runs one instruction at PC, as hardware does with MSR[SE] or DBCR0[IC]: like `run`, but it returns the family's trace
   * vector (trace, debug) behind an instruction that is complete. Neither assist meanings nor vector code are used, so that
   * every other interrupt is returned too.
   */
  step(budget: number): number;
  /** Loads the comparators of the debug facility, or (null) none. Cheap, but not for every exit: pages that it covers are dropped. */
  setWatch(watch: Watch | null): void;
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
