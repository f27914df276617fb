/**
 * Debug events of a BookE guest (PowerPC 440 User's Manual, chapter "Debug Facilities") beside user space's. As long as
 * events or steps are wanted that come instruction by instruction the processor runs one at a time (`HostCpu.step`): each
 * comes to KVM, whether it was run there, emulated, or given to user space. Code with a breakpoint in its page is run like
 * that, too; watched data the processor shows (`Watch`).
 */
import { BOOKE_VECTOR, type HostCpu, type Watch } from '../../processor/index.ts';
import { KVM_GUESTDBG, KVMPPC_DEBUG, KVMPPC_INST_SW_BREAKPOINT, type KvmGuestDebug } from '../api.ts';
import type { GuestDebug } from '../debug.ts';
import { RESUME_GUEST, STEP_GUEST } from '../family.ts';
import { DEBUG_EVENT, MSR } from './bits.ts';
import { Comparators } from './comparators.ts';
import { type BookeContext, STEPPING } from './context.ts';
import type { BookeInterrupts } from './interrupts.ts';
import { W_CR, W_CTR, W_MSR, W_PC } from './layout.ts';

export class BookeDebug implements Watch {
  readonly host: GuestDebug;
  readonly #cpu: HostCpu;
  readonly #comparators: Comparators;
  readonly #words: Int32Array;
  readonly #context: BookeContext;
  readonly #interrupts: BookeInterrupts;
  /** The processor was told to run one instruction: what came of it is not known yet. */
  begun = false;
  /** Of that instruction: interrupts taken before it, and whether its completion is an event. */
  #taken = 0;
  #counts = false;
  /** The processor shows accesses. */
  watches = false;
  /** Of the access that was stopped: the guest's events; none: it is user space's. */
  #events = 0;

  constructor(host: GuestDebug, cpu: HostCpu, context: BookeContext, interrupts: BookeInterrupts) {
    this.host = host;
    this.#cpu = cpu;
    this.#words = context.words;
    this.#comparators = new Comparators(context.words);
    this.#context = context;
    this.#interrupts = interrupts;
  }

  set(debug: KvmGuestDebug): void {
    this.host.set(debug);
    const context = this.#context;
    context.stepping = (context.stepping & ~STEPPING.HOST) | (this.host.steps ? STEPPING.HOST : 0);
    this.registersChanged();
  }

  reset(): void {
    this.begun = false;
    this.host.due = false;
    this.registersChanged();
  }

  /** A register of the facility was written, or user space's breakpoints were. */
  registersChanged(): void {
    this.#interrupts.refreshDebug();
    this.#context.followDebug();
    const { hasCode, hasData } = this.#comparators;
    const wanted = hasCode || hasData || this.host.hasBreakpoints || this.host.hasWatchpoints;
    if (wanted || this.watches) this.#cpu.setWatch(wanted ? this : null);
    this.watches = wanted;
  }

  coversData(low: number): boolean {
    return this.#comparators.coversData(low) || this.host.coversData(low, 0);
  }

  coversCode(low: number): boolean {
    return this.#comparators.coversCode(low) || this.host.coversCode(low, 0);
  }

  /**
   * Whether an access that is about to be made ends the run: `watchpoint` then says what comes of it. The guest's
   * comparators look at where it begins; without MSR[DE] their event is recorded, and the access made.
   */
  stops(low: number, _high: number, bytes: number, store: boolean): boolean {
    this.#events = 0;
    if (this.host.watches(low, 0, Math.abs(bytes), store)) return true;
    const events = bytes < 0 ? 0 : this.#comparators.dataEvents(low, store);
    if (events === 0) return false;
    if (((this.#words[W_MSR] as number) & MSR.DE) === 0) {
      this.#interrupts.debugEvent(events);
      return false;
    }
    this.#events = events;
    return true;
  }

  /** What becomes of the access that `stops` has stopped: it is not made. */
  watchpoint(): number {
    if (this.#events === 0) {
      this.begun = false;
      return this.host.watched();
    }
    this.#interrupts.debugEvent(this.#events);
    return RESUME_GUEST;
  }

  /** The guest comes to a page with a breakpoint. */
  enterWatchedCode(): number {
    this.#context.stepping |= STEPPING.PAGE;
    return RESUME_GUEST;
  }

  /** Before the instruction at PC is run: RESUME_GUEST, STEP_GUEST or an exit reason. */
  begin(): number {
    const words = this.#words;
    const context = this.#context;
    const interrupts = this.#interrupts;
    const pc = words[W_PC] as number;
    if ((context.stepping & STEPPING.PAGE) !== 0 && !this.coversCode(pc)) {
      context.stepping &= ~STEPPING.PAGE;
      if (context.stepping === 0) return RESUME_GUEST;
    }
    if (this.host.breaks(pc, 0)) return this.host.exit(KVMPPC_DEBUG.BREAKPOINT, this.#pc());
    const enabled = ((words[W_MSR] as number) & MSR.DE) !== 0;
    const isBranch = enabled && interrupts.enabledEvents(DEBUG_EVENT.BRT) !== 0 && this.#branches();
    const events = (isBranch ? DEBUG_EVENT.BRT : 0) | this.#comparators.codeEvents(pc, !enabled);
    // Without MSR[DE] what is compared is only recorded.
    if (events !== 0 && interrupts.debugEvent(events)) {
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
