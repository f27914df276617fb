/**
 * Debug events of a BookE guest (PowerPC 440 User's Manual, chapter "Debug Facilities") beside user space's. As long as
 * events or steps are wanted that come instruction by instruction the processor runs one at a time (`HostCpu.step`): each
 * comes to KVM, whether it was run there, emulated, or given to user space. Code with a breakpoint in its page is run like
 * that, too; watched data the processor shows (`Watch`).
 */
import { BOOKE_VECTOR, type HostCpu, type Watch } from '../../processor/index.ts';
import { KVM_GUESTDBG, KVMPPC_DEBUG, KVMPPC_INST_SW_BREAKPOINT, type KvmGuestDebug } from '../api.ts';
import type { GuestDebug } from '../debug.ts';
import { RESUME_GUEST, RETRY_DATA, STEP_GUEST } from '../family.ts';
import { DEBUG_EVENT } from './bits.ts';
import { Comparators } from './comparators.ts';
import { type BookeContext, STEPPING } from './context.ts';
import type { BookeInterrupts } from './interrupts.ts';
import { W_CR, W_CTR, W_PC } from './layout.ts';

/** A block of the caches; the most bytes that one access has. */
const BLOCK_BYTES = 32;
const MOST_BYTES = 128;

/** Reads what the instruction at PC is about to do. */
export interface AccessReader {
  /** Where the cache instruction at PC points to, and whether the comparators take it for a store; undefined: it is none. */
  cacheAccess(): { readonly address: number; readonly store: boolean } | undefined;
  /**
   * The first `count` bytes that it moves from or to an address, in the order of their addresses. False: it moves none, or
   * they come of a device.
   */
  peek(address: number, store: boolean, bytes: Uint8Array, count: number): boolean;
}

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
  /** Who reads what an access at PC moves. */
  reader!: AccessReader;
  /** The access that was stopped: the guest's events, none: it is user space's; whether more has to be known of it. */
  readonly #stopped = { events: 0, isOpen: false, address: 0, bytes: 0, store: false };
  /** The accesses of the instruction at this address that have been looked at may be made. */
  #passedPc = 0;
  readonly #passed: number[] = [];
  /** The instruction at this address was begun before, and is begun again for reasons of the host alone; or -1. */
  #againPc = -1;
  readonly #value = new Uint8Array(MOST_BYTES);

  /** `isFull`: the processor compares data values, too. */
  constructor(host: GuestDebug, cpu: HostCpu, context: BookeContext, interrupts: BookeInterrupts, isFull: boolean) {
    this.host = host;
    this.#cpu = cpu;
    this.#words = context.words;
    this.#comparators = new Comparators(context.words, isFull);
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
    this.#againPc = -1;
    this.#context.stepping &= ~STEPPING.PASS;
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
   * comparators look at where it begins; without MSR[DE] their event is recorded, and the access made. Where its value
   * matters, or it may be a cache instruction's, the instruction has to be looked at, for which the run ends, too.
   */
  stops(low: number, _high: number, bytes: number, store: boolean): boolean {
    const stopped = this.#stopped;
    stopped.events = 0;
    stopped.isOpen = false;
    if (this.host.watches(low, 0, Math.abs(bytes), store)) return true;
    if (bytes < 0 || this.#passes(low)) return false;
    const comparators = this.#comparators;
    const events = comparators.dataEvents(low, store);
    stopped.isOpen = comparators.valued(events) !== 0 || this.#mayBeCache(low, bytes, store);
    if (events === 0 && !stopped.isOpen) return false;
    stopped.events = events;
    stopped.address = low;
    stopped.bytes = bytes;
    stopped.store = store;
    if (stopped.isOpen || this.#interrupts.debugs) return true;
    this.#interrupts.debugEvent(events);
    return false;
  }

  /** A cache instruction accesses a block, and some that load are stores to the comparators. */
  #mayBeCache(address: number, bytes: number, store: boolean): boolean {
    if (bytes !== (store ? BLOCK_BYTES : 1)) return false;
    if (!store)
      return (this.#comparators.dataEvents(address, true) | this.#comparators.dataEvents(address, false)) !== 0;
    for (let i = 0; i < BLOCK_BYTES; i++) if (this.#comparators.dataEvents(address + i, true) !== 0) return true;
    return false;
  }

  #passes(address: number): boolean {
    return (this.#context.stepping & STEPPING.PASS) !== 0 && this.#passed.includes(address);
  }

  /** What becomes of the access that `stops` has stopped. */
  watchpoint(): number {
    const stopped = this.#stopped;
    if (stopped.events === 0 && !stopped.isOpen) {
      this.begun = false;
      return this.host.watched();
    }
    const events = stopped.isOpen ? this.#eventsOf() : stopped.events;
    // Where it is an event with an interrupt, the access is not made.
    if (events !== 0 && this.#interrupts.debugEvent(events)) return RESUME_GUEST;
    const pc = this.#words[W_PC] as number;
    if ((this.#context.stepping & STEPPING.PASS) === 0 || this.#passedPc !== pc) this.#passed.length = 0;
    this.#passedPc = pc;
    this.#passed.push(stopped.address);
    this.#context.stepping |= STEPPING.PASS;
    return RETRY_DATA;
  }

  /** The events of the access that was stopped, now that the instruction can be looked at. */
  #eventsOf(): number {
    const { address, bytes, store } = this.#stopped;
    const comparators = this.#comparators;
    const cache = this.reader.cacheAccess();
    // Where a cache instruction points to is compared, and of those only dcbz has a value.
    const at = cache?.address ?? address;
    const isStore = cache?.store ?? store;
    const events = comparators.dataEvents(at, isStore);
    if (comparators.valued(events) === 0) return events;
    const isKnown = cache === undefined || store ? this.reader.peek(address, store, this.#value, bytes) : false;
    return comparators.valueEvents(events, address, this.#value, isKnown ? bytes : 0);
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
    if ((context.stepping & STEPPING.PASS) !== 0 && this.#passedPc !== pc) {
      context.stepping &= ~STEPPING.PASS;
      if (context.stepping === 0) return RESUME_GUEST;
    }
    const isNew = (context.stepping & STEPPING.PASS) === 0 && this.#againPc !== pc;
    this.#againPc = -1;
    if (isNew) {
      if (this.host.breaks(pc, 0)) return this.host.exit(KVMPPC_DEBUG.BREAKPOINT, this.#pc());
      const events = this.#eventsAt(pc);
      // Without MSR[DE] what is compared is only recorded.
      if (events !== 0 && interrupts.debugEvent(events)) {
        if (this.host.steps) return this.host.stepped(RESUME_GUEST, this.#pc());
        if (context.stepping === 0) return RESUME_GUEST;
      }
    }
    this.begun = true;
    this.#taken = interrupts.taken;
    this.#counts = interrupts.debugs && interrupts.enabledEvents(DEBUG_EVENT.ICMP) !== 0;
    context.completed = false;
    return STEP_GUEST;
  }

  /** The events of the instruction at PC before it is run. In internal debug mode branches need MSR[DE], and so do ranges. */
  #eventsAt(pc: number): number {
    const { debugsInternally } = this.#context;
    const enabled = !debugsInternally || this.#interrupts.debugs;
    const isBranch = enabled && this.#interrupts.enabledEvents(DEBUG_EVENT.BRT) !== 0 && this.#branches();
    const compared = this.#comparators.codeEvents(pc, !enabled);
    if (compared !== 0 && this.#comparators.toggle(compared)) this.registersChanged();
    return (isBranch ? DEBUG_EVENT.BRT : 0) | compared;
  }

  /** After the exit that ended a step was handled with a `reason`. */
  end(vector: number, reason: number): number {
    this.begun = false;
    const interrupts = this.#interrupts;
    const taken = interrupts.taken !== this.#taken;
    const complete = !taken && (vector === BOOKE_VECTOR.debug || this.#context.completed);
    if (complete && this.#counts) interrupts.completed();
    if (taken || complete) this.#context.stepping &= ~STEPPING.PASS;
    else this.#againPc = this.#words[W_PC] as number;
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
