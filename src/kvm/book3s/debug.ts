/**
 * The debug facilities of a Book3S guest (Power ISA 2.07 Book III-S, 6.5.15 and chapter 8) beside user space's.
 * As long as traces or steps are wanted the processor runs one instruction at a time (`HostCpu.step`): each comes to KVM,
 * whether it was run there, emulated, or given to user space. Code with a breakpoint in its page is run like that, too;
 * watched data the processor shows (`Watch`).
 */
import { DSISR, type HostCpu, SERVER_VECTOR, type Watch } from '../../processor/index.ts';
import { KVM_GUESTDBG, KVMPPC_DEBUG, KVMPPC_INST_SW_BREAKPOINT, type KvmGuestDebug } from '../api.ts';
import type { GuestDebug } from '../debug.ts';
import { RESUME_GUEST, STEP_GUEST } from '../family.ts';
import { compareAddresses, WatchedRange } from '../watched-range.ts';
import { CIABR, DABR, DABRX, DAWRX, MSR, MSR_TRACE } from './bits.ts';
import type { Book3sContext } from './context.ts';
import type { Book3sInterrupts } from './interrupts.ts';
import { W_CIABR, W_DABR, W_DABRX, W_DAWR, W_DAWRX, W_HALTED, W_MSR, W_PC, W_SDAR, W_SIAR } from './layout.ts';
import { OPERAND, operandAddress, operandKind } from './operand.ts';

/** Reasons in `Book3sContext.stepping` beside those of MSR: user space wants steps, the page has a breakpoint. */
const STEPPING = { HOST: 1, PAGE: 2 } as const;

/** SRR1 of a trace interrupt: bit 33 always, then what the traced instruction was. */
const SRR1_TRACE = { ALWAYS: 0x4000_0000, LOAD: 0x1000_0000, STORE: 0x0800_0000, CIABR: 0x0010_0000 } as const;
/** A watched range of DAWR stays within so many bytes. */
const DAWR_BLOCK = 512;
/** IABR (MPC750 user's manual, 2.1.2.1): enabled; where instructions are translated. And its exception's vector. */
const IABR = { BE: 0x2, TE: 0x1 } as const;
const INSTRUCTION_BREAKPOINT = 0x1300;

/** What ends without a trace interrupt: rfid, rfi, and sc 1 in disguise. */
const isUntraced = (word: number): boolean => {
  const extended = (word >>> 1) & 1023;
  if (word >>> 26 === 19) return extended === 18 || extended === 50;
  return word >>> 26 === 31 && extended === 308;
};

/** b, bc, bclr, bcctr, bctar. */
const isBranch = (word: number): boolean => {
  const primary = word >>> 26;
  if (primary === 16 || primary === 18) return true;
  const extended = (word >>> 1) & 1023;
  return primary === 19 && (extended === 16 || extended === 528 || extended === 560);
};

/** The range, or null where neither loads nor stores are watched. */
const rangeOf = (low: number, high: number, bytes: number, loads: boolean, stores: boolean): WatchedRange | null =>
  loads || stores ? new WatchedRange(low, high, bytes, { loads, stores }) : null;

export class Book3sDebug implements Watch {
  readonly host: GuestDebug;
  readonly #cpu: HostCpu;
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #interrupts: Book3sInterrupts;
  /** The processor was told to run one instruction: what came of it is not known yet. */
  begun = false;
  /** Of that instruction: interrupts taken before it, MSR_TRACE, its address and word, where its operand is. */
  #taken = 0;
  #traced = 0;
  #low = 0;
  #high = 0;
  #word = 0;
  /** It is the one that CIABR names. */
  #isCompared = false;
  /** What DABR and DAWR watch, in whatever state. */
  #dabr: WatchedRange | null = null;
  #dawr: WatchedRange | null = null;
  /** The processor shows accesses. */
  watches = false;
  /** Of the access that was stopped: it is user space's; else the guest's, and where the watched part of it begins. */
  #isHosts = false;
  #hitLow = 0;
  #hitHigh = 0;
  readonly #operand = new Int32Array(2);

  constructor(host: GuestDebug, cpu: HostCpu, context: Book3sContext, interrupts: Book3sInterrupts) {
    this.host = host;
    this.#cpu = cpu;
    this.#words = context.words;
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

  /** A register of the facilities was written, or user space's breakpoints were. */
  registersChanged(): void {
    const words = this.#words;
    const dabr = words[W_DABR] as number;
    const dawr = words[W_DAWR] as number;
    const dawrx = words[W_DAWRX] as number;
    const doublewords = ((dawrx >>> DAWRX.MRD_SHIFT) & DAWRX.MRD) + 1;
    const dawrBytes = Math.min(8 * doublewords, DAWR_BLOCK - (dawr & (DAWR_BLOCK - 8)));
    this.#dabr = rangeOf(
      dabr & ~7,
      words[W_DABR + 1] as number,
      8,
      (dabr & DABR.LOADS) !== 0,
      (dabr & DABR.STORES) !== 0,
    );
    this.#dawr = rangeOf(
      dawr & ~7,
      words[W_DAWR + 1] as number,
      dawrBytes,
      (dawrx & DAWRX.LOADS) !== 0,
      (dawrx & DAWRX.STORES) !== 0,
    );
    const isData = this.#dabr !== null || this.#dawr !== null || this.host.hasWatchpoints;
    const isCode = ((words[W_CIABR] as number) & CIABR.STATE) !== 0 || this.host.hasBreakpoints;
    if (isData || isCode || this.watches) this.#cpu.setWatch(isData || isCode ? this : null);
    this.watches = isData || isCode;
  }

  coversData(low: number, high: number): boolean {
    if (this.#dabr?.coversPage(low, high) === true || this.#dawr?.coversPage(low, high) === true) return true;
    return this.host.coversData(low, high);
  }

  coversCode(low: number, high: number): boolean {
    const words = this.#words;
    const ciabr = words[W_CIABR] as number;
    const isCompared = (ciabr & CIABR.STATE) !== 0 && high === words[W_CIABR + 1] && ((low ^ ciabr) & ~0xfff) === 0;
    return isCompared || this.host.coversCode(low, high);
  }

  /** Whether an access that is about to be made is watched: `watchpoint` then says what comes of it. */
  stops(low: number, high: number, bytes: number, store: boolean): boolean {
    const count = Math.abs(bytes);
    this.#isHosts = this.host.watches(low, high, count, store);
    if (this.#isHosts) return true;
    const range = this.#guestRange(low, high, count, store);
    if (range === null) return false;
    const isBefore = compareAddresses(low, high, range.firstLow, range.firstHigh) < 0;
    this.#hitLow = isBefore ? range.firstLow : low;
    this.#hitHigh = isBefore ? range.firstHigh : high;
    return true;
  }

  /** The guest's range that an access meets in this state. */
  #guestRange(low: number, high: number, bytes: number, store: boolean): WatchedRange | null {
    const words = this.#words;
    const state = this.#context.user ? DABRX.PROBLEM : DABRX.PRIVILEGED;
    const translated = ((words[W_MSR] as number) & MSR.DR) !== 0;
    if (this.#dabr?.meets(low, high, bytes, store) === true) {
      const dabrx = words[W_DABRX] as number;
      const isTranslation = (dabrx & DABRX.BTI) !== 0 || (((words[W_DABR] as number) & DABR.BT) !== 0) === translated;
      if ((dabrx & state) !== 0 && isTranslation) return this.#dabr;
    }
    if (this.#dawr?.meets(low, high, bytes, store) === true) {
      const dawrx = words[W_DAWRX] as number;
      const isTranslation = (dawrx & DAWRX.WTI) !== 0 || ((dawrx & DAWRX.WT) !== 0) === translated;
      if ((dawrx & state) !== 0 && isTranslation) return this.#dawr;
    }
    return null;
  }

  /** What becomes of the access that `stops` has stopped: it is not made. */
  watchpoint(store: boolean): number {
    if (this.#isHosts) {
      this.begun = false;
      return this.host.watched();
    }
    const dsisr = DSISR.WATCH | (store ? DSISR.ISSTORE : 0);
    this.#interrupts.takeWithAddress(SERVER_VECTOR.dataStorage, this.#hitLow, this.#hitHigh, dsisr);
    return RESUME_GUEST;
  }

  /** The guest comes to a page with a breakpoint. */
  enterWatchedCode(): number {
    this.#context.stepping |= STEPPING.PAGE;
    return RESUME_GUEST;
  }

  /** Before the instruction at PC is run: STEP_GUEST, RESUME_GUEST when there is no reason any longer, KVM_EXIT_DEBUG. */
  begin(): number {
    const words = this.#words;
    const context = this.#context;
    const low = words[W_PC] as number;
    const high = words[W_PC + 1] as number;
    if ((context.stepping & STEPPING.PAGE) !== 0 && !this.coversCode(low, high)) {
      context.stepping &= ~STEPPING.PAGE;
      if (context.stepping === 0) return RESUME_GUEST;
    }
    if (this.host.breaks(low, high)) return this.host.exit(KVMPPC_DEBUG.BREAKPOINT, this.#pc());
    if (this.#context.model.hasPrefix && this.#isAtIabr(low)) {
      this.#interrupts.take(INSTRUCTION_BREAKPOINT, 0);
      return RESUME_GUEST;
    }
    this.begun = true;
    this.#taken = this.#interrupts.taken;
    context.completed = false;
    this.#traced = (words[W_MSR] as number) & MSR_TRACE;
    this.#isCompared = this.#comparesWith(low, high);
    if (this.#traced === 0 && !this.#isCompared) return STEP_GUEST;
    this.#low = low;
    this.#high = high;
    // What cannot be fetched will not be complete either.
    this.#word = context.fetch() ? context.instruction : 0;
    if (operandKind(this.#word) !== OPERAND.NONE) operandAddress(words, this.#word, this.#operand);
    return STEP_GUEST;
  }

  /** After the exit that ended a step was handled with a `reason`. */
  end(vector: number, reason: number): number {
    this.begun = false;
    const taken = this.#interrupts.taken !== this.#taken;
    const complete = !taken && (vector === SERVER_VECTOR.trace || this.#context.completed);
    if (complete && (this.#traced !== 0 || this.#isCompared)) this.#trace();
    // What the host alone was interrupted by is run again.
    const isDone = taken || complete || vector === SERVER_VECTOR.systemCall;
    return isDone && this.host.steps ? this.host.stepped(reason, this.#pc()) : reason;
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

  /** Whether IABR, which 32-bit processors have in CIABR's place, has its exception before the instruction at an address. */
  #isAtIabr(low: number): boolean {
    const iabr = this.#words[W_CIABR] as number;
    const isTranslated = ((this.#words[W_MSR] as number) & MSR.IR) !== 0;
    return (iabr & IABR.BE) !== 0 && (iabr & ~CIABR.STATE) === low && ((iabr & IABR.TE) !== 0) === isTranslated;
  }

  /** Whether the instruction at an address is CIABR's. */
  #comparesWith(low: number, high: number): boolean {
    if (this.#context.model.hasPrefix) return false;
    const words = this.#words;
    const ciabr = words[W_CIABR] as number;
    if ((ciabr & ~CIABR.STATE) !== low || words[W_CIABR + 1] !== high) return false;
    return (ciabr & CIABR.STATE) === (this.#context.user ? CIABR.PROBLEM : CIABR.PRIVILEGED);
  }

  #trace(): void {
    const words = this.#words;
    const word = this.#word;
    if (isUntraced(word) || words[W_HALTED] !== 0) return;
    if ((this.#traced & MSR.SE) === 0 && !(this.#traced !== 0 && isBranch(word)) && !this.#isCompared) return;
    words[W_SIAR] = this.#low;
    words[W_SIAR + 1] = this.#high;
    const kind = operandKind(word);
    if (kind !== OPERAND.NONE) {
      words[W_SDAR] = this.#operand[0] as number;
      words[W_SDAR + 1] = this.#operand[1] as number;
    }
    const what = kind === OPERAND.LOAD ? SRR1_TRACE.LOAD : kind === OPERAND.STORE ? SRR1_TRACE.STORE : 0;
    const why = this.#isCompared ? SRR1_TRACE.CIABR : 0;
    const flags = this.#context.model.tellsTraced ? SRR1_TRACE.ALWAYS | what | why : 0;
    this.#interrupts.take(SERVER_VECTOR.trace, flags);
  }

  #pc(): bigint {
    const words = this.#words;
    return (BigInt((words[W_PC + 1] as number) >>> 0) << 32n) | BigInt((words[W_PC] as number) >>> 0);
  }
}
