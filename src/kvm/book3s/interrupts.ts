/** Interrupts of a Book3S guest: the queue of asynchronous ones, and how an interrupt is taken (Book III-S, chapter 6). */
import { SERVER_VECTOR } from '../../processor/index.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { AIL_BASE, LPCR_AIL, LPCR_ILE, MSR, MSR_SF, SRR1_OWN } from './bits.ts';
import type { Book3sContext } from './context.ts';
import { W_DAR, W_FSCR, W_HIOR, W_LPCR, W_MSR, W_PC, W_PENDING, W_SRR0, W_SRR1 } from './layout.ts';

/**
 * The interrupts that can wait, highest priority first, in the reference's order (BOOK3S_IRQPRIO_*). The synchronous ones
 * are taken where they arise. A priority is a bit of the pending word.
 */
export const PRIORITY = {
  SYSTEM_RESET: 0,
  MACHINE_CHECK: 1,
  EXTERNAL: 2,
  /** The external input, held by user space until it lowers it. */
  EXTERNAL_LEVEL: 3,
  DECREMENTER: 4,
  PERFORMANCE_MONITOR: 5,
} as const;

const NEEDS_EE =
  (1 << PRIORITY.EXTERNAL) |
  (1 << PRIORITY.EXTERNAL_LEVEL) |
  (1 << PRIORITY.DECREMENTER) |
  (1 << PRIORITY.PERFORMANCE_MONITOR);
/** Taken once; the others stay pending until their cause goes. */
const ONE_SHOT = (1 << PRIORITY.SYSTEM_RESET) | (1 << PRIORITY.MACHINE_CHECK) | (1 << PRIORITY.EXTERNAL);

/** The host's own monitor is not the guest's. */
const PERFORMANCE_MONITOR_VECTOR = 0xf00;

const VECTORS: readonly number[] = [
  0x100,
  SERVER_VECTOR.machineCheck,
  SERVER_VECTOR.externalInput,
  SERVER_VECTOR.externalInput,
  SERVER_VECTOR.decrementer,
  PERFORMANCE_MONITOR_VECTOR,
];

const TRANSLATION = MSR.IR | MSR.DR;

export class Book3sInterrupts {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #counters: VcpuCounters;
  readonly #oneShot: number;
  /** Interrupts that the guest has taken here. */
  taken = 0;

  constructor(context: Book3sContext, counters: VcpuCounters) {
    this.#words = context.words;
    this.#context = context;
    this.#counters = counters;
    this.#oneShot = ONE_SHOT | (context.model.latchesDecrementer ? 1 << PRIORITY.DECREMENTER : 0);
  }

  /** Makes an interrupt pending, or no longer. */
  set(priority: number, on: boolean): void {
    const words = this.#words;
    const bit = 1 << priority;
    const pending = words[W_PENDING] as number;
    this.#setPending(on ? pending | bit : pending & ~bit);
  }

  /** The pending interrupts that the guest lets through now. */
  deliverable(): number {
    const words = this.#words;
    const pending = words[W_PENDING] as number;
    if (pending === 0) return 0;
    const open = ((words[W_MSR] as number) & MSR.EE) !== 0 && !this.#context.critical;
    return open ? pending : pending & ~NEEDS_EE;
  }

  /** Takes the highest of the interrupts that may be taken now. True: one was taken. */
  deliver(): boolean {
    const ready = this.deliverable();
    if (ready === 0) return false;
    const priority = 31 - Math.clz32(ready & -ready);
    if ((this.#oneShot & (1 << priority)) !== 0) this.set(priority, false);
    (this.#counters.counts[COUNTER.queue_intr] as number)++;
    this.take(VECTORS[priority] as number, 0);
    return true;
  }

  /** Takes an interrupt; `flags` are the bits of SRR1 that are its own. PC is where the guest goes on afterwards. */
  take(vector: number, flags: number): void {
    const words = this.#words;
    const msr = words[W_MSR] as number;
    this.taken++;
    words[W_SRR0] = words[W_PC] as number;
    words[W_SRR0 + 1] = words[W_PC + 1] as number;
    words[W_SRR1] = (msr & ~SRR1_OWN) | flags;
    words[W_SRR1 + 1] = words[W_MSR + 1] as number;
    const lpcr = words[W_LPCR] as number;
    const relocated =
      (lpcr & LPCR_AIL) === LPCR_AIL && (msr & TRANSLATION) === TRANSLATION && vector > SERVER_VECTOR.machineCheck;
    // HIOR's low 20 bits are not its own: an offset never carries.
    words[W_PC] = (relocated ? AIL_BASE.LOW : (words[W_HIOR] as number)) | vector;
    words[W_PC + 1] = relocated ? AIL_BASE.HIGH : (words[W_HIOR + 1] as number);
    const littleEndian = (lpcr & LPCR_ILE) !== 0 ? MSR.LE : 0;
    const { keptByInterrupts } = this.#context.model;
    this.#context.setMsr((msr & keptByInterrupts) | littleEndian | (relocated ? TRANSLATION : 0), MSR_SF);
  }

  /** Data storage and alignment interrupts: DAR and DSISR. */
  takeWithAddress(vector: number, low: number, high: number, dsisr: number): void {
    const words = this.#words;
    words[this.#context.wDsisr] = dsisr;
    this.takeDataSegment(vector, low, high);
  }

  /** Data segment interrupts: DAR. */
  takeDataSegment(vector: number, low: number, high: number): void {
    const words = this.#words;
    words[W_DAR] = low;
    words[W_DAR + 1] = high;
    this.take(vector, 0);
  }

  /** Program interrupts: the bit of SRR1 that says why. */
  program(flags: number): void {
    this.take(SERVER_VECTOR.program, flags);
  }

  /** Problem state may not have a facility: FSCR[IC] says which. */
  facilityUnavailable(facility: number): void {
    const words = this.#words;
    words[W_FSCR + 1] = ((words[W_FSCR + 1] as number) & 0x00ff_ffff) | (facility << 24);
    this.take(SERVER_VECTOR.facilityUnavailable, 0);
  }

  #setPending(pending: number): void {
    this.#words[W_PENDING] = pending;
    this.#words[this.#context.wIntPending] = pending === 0 ? 0 : 1;
  }
}
