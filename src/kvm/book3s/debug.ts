/**
 * The trace interrupt of a Book3S guest (Power ISA 2.07 Book III-S, 6.5.15), and user space's single steps. As long as
 * either is wanted the processor runs one instruction at a time (`HostCpu.step`): each comes to KVM, whether it was run
 * there, emulated, or given to user space.
 */
import { SERVER_VECTOR } from '../../processor/index.ts';
import { KVM_GUESTDBG, KVMPPC_DEBUG, KVMPPC_INST_SW_BREAKPOINT, type KvmGuestDebug } from '../api.ts';
import type { GuestDebug } from '../debug.ts';
import { RESUME_GUEST, STEP_GUEST } from '../family.ts';
import { MSR, MSR_TRACE } from './bits.ts';
import type { Book3sContext } from './context.ts';
import type { Book3sInterrupts } from './interrupts.ts';
import { W_HALTED, W_MSR, W_PC, W_SDAR, W_SIAR } from './layout.ts';
import { OPERAND, operandAddress, operandKind } from './operand.ts';

/** A reason in `Book3sContext.stepping` beside those of MSR: user space wants steps. */
const HOST_STEPS = 1;

/** SRR1 of a trace interrupt: bit 33 always, then what the traced instruction was. */
const SRR1_TRACE = { ALWAYS: 0x4000_0000, LOAD: 0x1000_0000, STORE: 0x0800_0000 } as const;

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

export class Book3sDebug {
  readonly host: GuestDebug;
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
  readonly #operand = new Int32Array(2);

  constructor(host: GuestDebug, context: Book3sContext, interrupts: Book3sInterrupts) {
    this.host = host;
    this.#words = context.words;
    this.#context = context;
    this.#interrupts = interrupts;
  }

  set(debug: KvmGuestDebug): void {
    this.host.set(debug);
    const context = this.#context;
    context.stepping = (context.stepping & ~HOST_STEPS) | (this.host.steps ? HOST_STEPS : 0);
  }

  reset(): void {
    this.begun = false;
    this.host.due = false;
  }

  /** Before the instruction at PC is run: STEP_GUEST. */
  begin(): number {
    const words = this.#words;
    const context = this.#context;
    this.begun = true;
    this.#taken = this.#interrupts.taken;
    context.completed = false;
    this.#traced = (words[W_MSR] as number) & MSR_TRACE;
    if (this.#traced === 0) return STEP_GUEST;
    this.#low = words[W_PC] as number;
    this.#high = words[W_PC + 1] as number;
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
    if (complete && this.#traced !== 0) this.#trace();
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

  #trace(): void {
    const words = this.#words;
    const word = this.#word;
    if (isUntraced(word) || words[W_HALTED] !== 0) return;
    if ((this.#traced & MSR.SE) === 0 && !isBranch(word)) return;
    words[W_SIAR] = this.#low;
    words[W_SIAR + 1] = this.#high;
    const kind = operandKind(word);
    if (kind !== OPERAND.NONE) {
      words[W_SDAR] = this.#operand[0] as number;
      words[W_SDAR + 1] = this.#operand[1] as number;
    }
    const what = kind === OPERAND.LOAD ? SRR1_TRACE.LOAD : kind === OPERAND.STORE ? SRR1_TRACE.STORE : 0;
    this.#interrupts.take(SERVER_VECTOR.trace, SRR1_TRACE.ALWAYS | what);
  }

  #pc(): bigint {
    const words = this.#words;
    return (BigInt((words[W_PC + 1] as number) >>> 0) << 32n) | BigInt((words[W_PC] as number) >>> 0);
  }
}
