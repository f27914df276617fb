/**
 * Interrupts of a BookE guest: the queue of asynchronous ones, and how an interrupt is taken
 * (PowerPC 440 User's Manual, chapter "Interrupts and Exceptions": processing, classes, priorities).
 */
import { BOOKE_VECTOR } from '../../processor/index.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { DBSR, DEBUG_EVENT, MSR, TCR, TSR } from './bits.ts';
import type { BookeContext } from './context.ts';
import {
  ivorWord,
  W_CSRR0,
  W_CSRR1,
  W_DBSR,
  W_DEAR,
  W_ESR,
  W_INT_PENDING,
  W_IVPR,
  W_MCSRR0,
  W_MCSRR1,
  W_MSR,
  W_PC,
  W_PENDING,
  W_SRR0,
  W_SRR1,
  W_TCR,
  W_TSR,
} from './layout.ts';

/**
 * The interrupts that can wait, highest priority first, in the manual's and the reference's order (BOOKE_IRQPRIO_*). The
 * synchronous ones are taken where they arise. A priority is a bit of the pending word.
 */
export const PRIORITY = {
  MACHINE_CHECK: 0,
  DEBUG: 1,
  CRITICAL: 2,
  /** The critical input, held by user space until it lowers it. */
  CRITICAL_LEVEL: 3,
  WATCHDOG: 4,
  EXTERNAL: 5,
  EXTERNAL_LEVEL: 6,
  FIT: 7,
  DECREMENTER: 8,
} as const;

const NON_CRITICAL =
  (1 << PRIORITY.EXTERNAL) | (1 << PRIORITY.FIT) | (1 << PRIORITY.DECREMENTER) | (1 << PRIORITY.EXTERNAL_LEVEL);
const CRITICAL = (1 << PRIORITY.CRITICAL) | (1 << PRIORITY.WATCHDOG) | (1 << PRIORITY.CRITICAL_LEVEL);
const TIMERS = (1 << PRIORITY.WATCHDOG) | (1 << PRIORITY.FIT) | (1 << PRIORITY.DECREMENTER);
/** Taken once; the others stay pending until their cause goes. */
const ONE_SHOT = (1 << PRIORITY.MACHINE_CHECK) | (1 << PRIORITY.CRITICAL) | (1 << PRIORITY.EXTERNAL);

/** MSR bits that an interrupt of each class leaves as they are. */
export const KEPT_NON_CRITICAL = MSR.CE | MSR.ME | MSR.DE;
const KEPT_CRITICAL = MSR.ME;
/**
 * The hardware keeps MSR[DE], so that the handler's first instruction is an event too, and its owner has to get rid of it.
 * Linux 6.1 loses r3 at that, and with it every program that is stepped. Here an interrupt of code that is stepped puts DE
 * out, which is what Linux is after.
 */
const KEPT_STEPPING = KEPT_NON_CRITICAL & ~MSR.DE;
const STEPS = DEBUG_EVENT.ICMP | DEBUG_EVENT.BRT;

export class BookeInterrupts {
  readonly #words: Int32Array;
  readonly #context: BookeContext;
  readonly #counters: VcpuCounters;
  /** Interrupts that the guest has taken here. */
  taken = 0;

  constructor(context: BookeContext, counters: VcpuCounters) {
    this.#words = context.words;
    this.#context = context;
    this.#counters = counters;
  }

  /** Sets or clears one pending interrupt. */
  set(priority: number, pending: boolean): void {
    const words = this.#words;
    const before = words[W_PENDING] as number;
    this.#setPending(pending ? before | (1 << priority) : before & ~(1 << priority));
  }

  /** Makes the timers' interrupts pending as TSR and TCR have them. */
  refreshTimers(): void {
    const tsr = this.#words[W_TSR] as number;
    const tcr = this.#words[W_TCR] as number;
    let pending = (this.#words[W_PENDING] as number) & ~TIMERS;
    if ((tsr & TSR.DIS) !== 0 && (tcr & TCR.DIE) !== 0) pending |= 1 << PRIORITY.DECREMENTER;
    if ((tsr & TSR.FIS) !== 0 && (tcr & TCR.FIE) !== 0) pending |= 1 << PRIORITY.FIT;
    if ((tsr & TSR.WIS) !== 0 && (tcr & TCR.WIE) !== 0) pending |= 1 << PRIORITY.WATCHDOG;
    this.#setPending(pending);
  }

  /** Makes the debug interrupt pending as DBSR and DBCR0 have it. */
  refreshDebug(): void {
    const words = this.#words;
    const pending = this.#context.debugsInternally && ((words[W_DBSR] as number) & DBSR.EVENTS) !== 0;
    this.set(PRIORITY.DEBUG, pending);
  }

  /**
   * Debug events happen. With MSR[DE] their interrupt is taken, PC being what CSRR0 is to have; else it waits, and is then
   * imprecise; in trace mode there is none. True: it was taken.
   */
  debugEvent(events: number): boolean {
    const words = this.#words;
    if (!this.#context.debugsInternally) {
      words[W_DBSR] = (words[W_DBSR] as number) | events;
      this.#context.followDebug();
      return false;
    }
    const enabled = ((words[W_MSR] as number) & MSR.DE) !== 0;
    words[W_DBSR] = (words[W_DBSR] as number) | events | (enabled ? 0 : DBSR.IDE);
    this.refreshDebug();
    if (enabled) this.#takeCritical(BOOKE_VECTOR.debug);
    return enabled;
  }

  /**
   * An instruction is complete that was begun with MSR[DE], and this is an event. Where it has itself put MSR[DE] out, the
   * interrupt waits, and is none the less precise.
   */
  completed(): void {
    const words = this.#words;
    if (((words[W_MSR] as number) & MSR.DE) !== 0) this.debugEvent(DEBUG_EVENT.ICMP);
    else {
      words[W_DBSR] = (words[W_DBSR] as number) | DEBUG_EVENT.ICMP;
      this.refreshDebug();
    }
  }

  /** Debug events interrupt at once. */
  get debugs(): boolean {
    return this.#context.debugsInternally && ((this.#words[W_MSR] as number) & MSR.DE) !== 0;
  }

  /** The events out of `events` that DBCR0 enables. */
  enabledEvents(events: number): number {
    return this.#context.enabledEvents(events);
  }

  /** The pending interrupts that MSR lets through. */
  deliverable(): number {
    const msr = this.#words[W_MSR] as number;
    let enabled = 0;
    if ((msr & MSR.EE) !== 0) enabled |= NON_CRITICAL;
    if ((msr & MSR.CE) !== 0) enabled |= CRITICAL;
    if ((msr & MSR.ME) !== 0) enabled |= 1 << PRIORITY.MACHINE_CHECK;
    if ((msr & MSR.DE) !== 0) enabled |= 1 << PRIORITY.DEBUG;
    return (this.#words[W_PENDING] as number) & enabled;
  }

  /** The guest's kernel is inside a patched instruction's template: no interrupts (the reference's critical section). */
  get isCritical(): boolean {
    return false;
  }

  /** Takes the highest of the interrupts that may be taken now. True: one was taken. */
  deliver(): boolean {
    const ready = this.deliverable();
    if (ready === 0 || this.isCritical) return false;
    const priority = 31 - Math.clz32(ready & -ready);
    if ((ONE_SHOT & (1 << priority)) !== 0) this.set(priority, false);
    (this.#counters.counts[COUNTER.queue_intr] as number)++;
    switch (priority) {
      case PRIORITY.MACHINE_CHECK:
        this.#takeMachineCheck();
        break;
      case PRIORITY.DEBUG:
        this.#takeCritical(BOOKE_VECTOR.debug);
        break;
      case PRIORITY.CRITICAL:
      case PRIORITY.CRITICAL_LEVEL:
        this.#takeCritical(BOOKE_VECTOR.criticalInput);
        break;
      case PRIORITY.WATCHDOG:
        this.#takeCritical(BOOKE_VECTOR.watchdog);
        break;
      case PRIORITY.FIT:
        this.take(BOOKE_VECTOR.fixedIntervalTimer);
        break;
      case PRIORITY.DECREMENTER:
        this.take(BOOKE_VECTOR.decrementer);
        break;
      default:
        this.take(BOOKE_VECTOR.externalInput);
    }
    return true;
  }

  /** The guest debugs code step by step. */
  get #steps(): boolean {
    return this.#context.debugsInternally && this.enabledEvents(STEPS) !== 0;
  }

  /** Takes a non-critical interrupt: SRR0 and SRR1. PC is where the guest goes on afterwards. */
  take(vector: number): void {
    const words = this.#words;
    const msr = words[W_MSR] as number;
    words[W_SRR0] = words[W_PC] as number;
    words[W_SRR1] = msr;
    this.#enter(vector, msr & (this.#steps ? KEPT_STEPPING : KEPT_NON_CRITICAL));
    if (this.enabledEvents(DEBUG_EVENT.IRPT) !== 0) this.debugEvent(DEBUG_EVENT.IRPT);
  }

  /** Program and instruction-storage interrupts: ESR says why. */
  takeWithSyndrome(vector: number, esr: number): void {
    this.#words[W_ESR] = esr;
    this.take(vector);
  }

  /** Data-storage, alignment and data-TLB interrupts: DEAR says where. */
  takeWithAddress(vector: number, dear: number, esr: number): void {
    this.#words[W_DEAR] = dear;
    this.#words[W_ESR] = esr;
    this.take(vector);
  }

  /** The guest's TLB has no entry for the instruction at PC. */
  takeInstructionMiss(): void {
    const words = this.#words;
    this.missed(words[W_PC] as number, ((words[W_MSR] as number) & MSR.IS) !== 0 ? 1 : 0);
    this.take(BOOKE_VECTOR.instructionTlbError);
  }

  /** Nor for data. */
  takeDataMiss(address: number, esr: number): void {
    this.missed(address, ((this.#words[W_MSR] as number) & MSR.DS) !== 0 ? 1 : 0);
    this.takeWithAddress(BOOKE_VECTOR.dataTlbError, address, esr);
  }

  /** What else hardware does about a miss. */
  protected missed(_address: number, _space: number): void {}

  #takeCritical(vector: number): void {
    const words = this.#words;
    const msr = words[W_MSR] as number;
    words[W_CSRR0] = words[W_PC] as number;
    words[W_CSRR1] = msr;
    this.#enter(vector, msr & KEPT_CRITICAL);
  }

  #takeMachineCheck(): void {
    const words = this.#words;
    words[W_MCSRR0] = words[W_PC] as number;
    words[W_MCSRR1] = words[W_MSR] as number;
    this.#enter(BOOKE_VECTOR.machineCheck, 0);
  }

  #enter(vector: number, msr: number): void {
    const words = this.#words;
    this.taken++;
    words[W_PC] = ((words[W_IVPR] as number) & 0xffff0000) | ((words[ivorWord(vector)] as number) & 0xfff0);
    this.#context.setMsr(msr);
  }

  #setPending(pending: number): void {
    this.#words[W_PENDING] = pending;
    this.#words[W_INT_PENDING] = pending === 0 ? 0 : 1;
  }
}
