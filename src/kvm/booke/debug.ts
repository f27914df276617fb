/**
 * Debug events of a BookE guest that come instruction by instruction (PowerPC 440 User's Manual, chapter "Debug Facilities"),
 * and user space's single steps. As long as either is wanted the processor runs one instruction at a time (`HostCpu.step`):
 * each comes to KVM, whether it was run there, emulated, or given to user space.
 */
import { BOOKE_VECTOR } from '../../processor/index.ts';
import { KVM_GUESTDBG, KVMPPC_DEBUG, KVMPPC_INST_SW_BREAKPOINT, type KvmGuestDebug } from '../api.ts';
import type { GuestDebug } from '../debug.ts';
import { RESUME_GUEST, STEP_GUEST } from '../family.ts';
import { DEBUG_EVENT, MSR } from './bits.ts';
import { type BookeContext, STEPPING } from './context.ts';
import type { BookeInterrupts } from './interrupts.ts';
import { W_CR, W_CTR, W_MSR, W_PC } from './layout.ts';

export class BookeDebug {
  readonly host: GuestDebug;
  readonly #words: Int32Array;
  readonly #context: BookeContext;
  readonly #interrupts: BookeInterrupts;
  /** The processor was told to run one instruction: what came of it is not known yet. */
  begun = false;
  /** Of that instruction: interrupts taken before it, and whether its completion is an event. */
  #taken = 0;
  #counts = false;

  constructor(host: GuestDebug, context: BookeContext, interrupts: BookeInterrupts) {
    this.host = host;
    this.#words = context.words;
    this.#context = context;
    this.#interrupts = interrupts;
  }

  set(debug: KvmGuestDebug): void {
    this.host.set(debug);
    const context = this.#context;
    context.stepping = (context.stepping & ~STEPPING.HOST) | (this.host.steps ? STEPPING.HOST : 0);
  }

  reset(): void {
    this.begun = false;
    this.host.due = false;
    this.registersChanged();
  }

  /** A register of the facility was written. */
  registersChanged(): void {
    this.#interrupts.refreshDebug();
    this.#context.followDebug();
  }

  /** Before the instruction at PC is run: RESUME_GUEST, STEP_GUEST or an exit reason. */
  begin(): number {
    const words = this.#words;
    const context = this.#context;
    const interrupts = this.#interrupts;
    const enabled = ((words[W_MSR] as number) & MSR.DE) !== 0;
    if (enabled && interrupts.enabledEvents(DEBUG_EVENT.BRT) !== 0 && this.#branches()) {
      interrupts.debugEvent(DEBUG_EVENT.BRT);
      if (this.host.steps) return this.host.stepped(RESUME_GUEST, this.#pc());
      if (context.stepping === 0) return RESUME_GUEST;
    }
    this.begun = true;
    this.#taken = interrupts.taken;
    this.#counts = ((words[W_MSR] as number) & MSR.DE) !== 0 && interrupts.enabledEvents(DEBUG_EVENT.ICMP) !== 0;
    context.completed = false;
    return STEP_GUEST;
  }

  /** After the exit that ended a step was handled with a `reason`. */
  end(vector: number, reason: number): number {
    this.begun = false;
    const interrupts = this.#interrupts;
    const taken = interrupts.taken !== this.#taken;
    const complete = !taken && (vector === BOOKE_VECTOR.debug || this.#context.completed);
    if (complete && this.#counts) interrupts.completed();
    // What the host alone was interrupted by is run again.
    return (taken || complete) && this.host.steps ? this.host.stepped(reason, this.#pc()) : reason;
  }

  /** The step is done that user space was asked for something in. */
  report(): number {
    return this.host.stepped(RESUME_GUEST, this.#pc());
  }

  /** Whether the instruction at PC, which is none, is user space's breakpoint. */
  get isBreakpoint(): boolean {
    if ((this.host.control & KVM_GUESTDBG.USE_SW_BP) === 0) return false;
    return this.#context.fetch() && this.#context.instruction === KVMPPC_INST_SW_BREAKPOINT;
  }

  breakpoint(): number {
    this.begun = false;
    return this.host.exit(KVMPPC_DEBUG.BREAKPOINT, this.#pc());
  }

  /** Whether the instruction at PC is a branch that will be taken (Power ISA 2.07 Book I, 2.4). */
  #branches(): boolean {
    const context = this.#context;
    if (!context.fetch()) return false;
    const word = context.instruction;
    const primary = word >>> 26;
    if (primary === 18) return true;
    const extended = (word >>> 1) & 1023;
    if (primary !== 16 && !(primary === 19 && (extended === 16 || extended === 528))) return false;
    const words = this.#words;
    const bo = (word >>> 21) & 31;
    const bi = (word >>> 16) & 31;
    const isCounted = (bo & 4) === 0 && !(primary === 19 && extended === 528);
    const isZero = (((words[W_CTR] as number) - 1) | 0) === 0;
    if (isCounted && isZero !== ((bo & 2) !== 0)) return false;
    const bit = ((words[W_CR + (bi >>> 2)] as number) & (8 >>> (bi & 3))) !== 0;
    return (bo & 16) !== 0 || bit === ((bo & 8) !== 0);
  }

  #pc(): bigint {
    return BigInt((this.#words[W_PC] as number) >>> 0);
  }
}
