/** What is done about each interrupt that ends a Book3S guest's run (the reference's kvmppc_handle_exit_pr). */
import { DSISR, DSISR_DIRECT_STORE, SERVER_VECTOR, SRR1_PROGRAM } from '../../processor/index.ts';
import { KVM_EXIT, type KvmRun } from '../api.ts';
import { RESUME_GUEST } from '../family.ts';
import { SC_REVERSED } from '../paravirt.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { alignmentDsisr } from './alignment.ts';
import type { Book3sContext } from './context.ts';
import type { Book3sDebug } from './debug.ts';
import type { ParavirtHypercalls } from './hypercalls.ts';
import type { Book3sInterrupts } from './interrupts.ts';
import { W_EXIT_ADDRESS, W_EXIT_SYNDROME, W_PAPR, W_PC } from './layout.ts';
import type { OsiCalls } from './osi.ts';

/** sc with LEV = 1. */
const SC_1 = 0x4400_0022;
/** What a shadow fault may be of. */
const SHADOW = DSISR.NOHPTE | DSISR.PROTFAULT | DSISR_DIRECT_STORE;
/** The bits of SRR1 that tell why an instruction storage interrupt is one. */
const ISI_FLAGS = 0x5800_0000;

/** Emulation of the guest kernel's privileged instructions: each answers RESUME_GUEST or a KVM_EXIT_* reason. */
export interface Emulation {
  /** The instruction at PC. */
  emulate(): number;
  /** The instruction at PC, of problem state. False: it is not for KVM, and the guest gets its program interrupt. */
  emulateUser(): boolean;
  /** Delivers a program interrupt with these bits of SRR1. */
  program(flags: number): number;
}

/** What becomes of an access that the host has no translation of: RESUME_GUEST or a KVM_EXIT_* reason. */
export interface Faults {
  data(low: number, high: number, store: boolean): number;
  instruction(): number;
  segment(low: number, high: number, fetch: boolean): number;
}

/** The hypercalls of a guest's kernel by sc 1. */
export interface Hypercalls {
  serve(): number;
}

export class Book3sExits {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #interrupts: Book3sInterrupts;
  readonly #emulation: Emulation;
  readonly #faults: Faults;
  readonly #papr: Hypercalls;
  readonly #osi: OsiCalls;
  /** Null: the guest gets none (accel trap). */
  readonly #paravirt: ParavirtHypercalls | null;
  readonly #counts: Float64Array;
  readonly #run: KvmRun;
  readonly #debug: Book3sDebug;

  constructor(
    context: Book3sContext,
    interrupts: Book3sInterrupts,
    emulation: Emulation,
    faults: Faults,
    papr: Hypercalls,
    osi: OsiCalls,
    paravirt: ParavirtHypercalls | null,
    counters: VcpuCounters,
    run: KvmRun,
    debug: Book3sDebug,
  ) {
    this.#words = context.words;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#emulation = emulation;
    this.#faults = faults;
    this.#papr = papr;
    this.#osi = osi;
    this.#paravirt = paravirt;
    this.#counts = counters.counts;
    this.#run = run;
    this.#debug = debug;
  }

  /** Handles one exit: RESUME_GUEST or a KVM_EXIT_* reason. */
  handle(vector: number): number {
    const words = this.#words;
    const low = words[W_EXIT_ADDRESS] as number;
    const high = words[W_EXIT_ADDRESS + 1] as number;
    const syndrome = words[W_EXIT_SYNDROME] as number;
    const interrupts = this.#interrupts;
    switch (vector) {
      case SERVER_VECTOR.program:
        return this.#program(syndrome);
      case SERVER_VECTOR.dataStorage:
        if ((syndrome & SHADOW) !== 0) return this.#faults.data(low, high, (syndrome & DSISR.ISSTORE) !== 0);
        this.#count(COUNTER.dsi_exits);
        interrupts.takeWithAddress(vector, low, high, syndrome);
        return RESUME_GUEST;
      case SERVER_VECTOR.dataSegment:
        return this.#faults.segment(low, high, false);
      case SERVER_VECTOR.instructionStorage:
        if ((syndrome & ISI_FLAGS) !== 0) return this.#faults.instruction();
        this.#count(COUNTER.isi_exits);
        interrupts.take(vector, syndrome & ISI_FLAGS);
        return RESUME_GUEST;
      case SERVER_VECTOR.instructionSegment:
        return this.#faults.segment(words[W_PC] as number, words[W_PC + 1] as number, true);
      case SERVER_VECTOR.systemCall:
        return this.#systemCall();
      case SERVER_VECTOR.floatingPointUnavailable:
      case SERVER_VECTOR.vectorUnavailable:
      case SERVER_VECTOR.vsxUnavailable:
        // The processor has the registers at hand: what is not available is so because the guest's MSR says it.
        this.#count(COUNTER.fp_unavail_exits);
        interrupts.take(vector, 0);
        return RESUME_GUEST;
      case SERVER_VECTOR.facilityUnavailable:
        interrupts.facilityUnavailable(syndrome);
        return RESUME_GUEST;
      case SERVER_VECTOR.machineCheck:
        interrupts.take(vector, 0);
        return RESUME_GUEST;
      case SERVER_VECTOR.alignment:
        this.#count(COUNTER.alignment_exits);
        interrupts.takeWithAddress(
          vector,
          low,
          high,
          this.#context.fetch() ? alignmentDsisr(this.#context.instruction) : 0,
        );
        return RESUME_GUEST;
      case SERVER_VECTOR.trace:
        // An instruction is complete: whether the guest hears of it is debug.ts's.
        return RESUME_GUEST;
      case SERVER_VECTOR.watch:
        return this.#debug.watchpoint((syndrome & DSISR.ISSTORE) !== 0);
      case SERVER_VECTOR.codeWatch:
        return this.#debug.enterWatchedCode();
      case SERVER_VECTOR.decrementer:
        this.#count(COUNTER.dec_exits);
        return RESUME_GUEST;
      case SERVER_VECTOR.externalInput:
        this.#count(COUNTER.ext_intr_exits);
        return RESUME_GUEST;
      default:
        return this.#internalError(`the host processor raised interrupt 0x${vector.toString(16)}`);
    }
  }

  /** In the guest's kernel, a privileged instruction to emulate; all else is the guest's own. */
  #program(flags: number): number {
    const emulation = this.#emulation;
    if ((flags & SRR1_PROGRAM.ILL) !== 0 && this.#debug.isBreakpoint) return this.#debug.breakpoint();
    const instruction = (flags & (SRR1_PROGRAM.PRIV | SRR1_PROGRAM.ILL)) !== 0;
    if (this.#context.user) {
      if (instruction && emulation.emulateUser()) return RESUME_GUEST;
      this.#count(COUNTER.usr_pr_inst_exits);
      return emulation.program(flags);
    }
    if (!instruction) return emulation.program(flags);
    const paravirt = this.#paravirt;
    if (paravirt !== null && this.#context.fetch() && this.#context.instruction === SC_REVERSED) {
      paravirt.refuse();
      return RESUME_GUEST;
    }
    return emulation.emulate();
  }

  /** PC is behind the instruction. A guest's kernel can call KVM; all else is its own system call. */
  #systemCall(): number {
    const isKernel = !this.#context.user;
    if (isKernel && this.#words[W_PAPR] !== 0 && this.#context.fetch(-4) && this.#context.instruction === SC_1)
      return this.#papr.serve();
    if (this.#osi.wanted) return this.#osi.serve();
    const paravirt = this.#paravirt;
    if (isKernel && paravirt?.wanted === true) return paravirt.serve();
    this.#count(COUNTER.syscall_exits);
    this.#interrupts.take(SERVER_VECTOR.systemCall, 0);
    return RESUME_GUEST;
  }

  #internalError(what: string): number {
    const { internal } = this.#run;
    internal.pc = ((this.#words[W_PC + 1] as number) >>> 0) * 2 ** 32 + ((this.#words[W_PC] as number) >>> 0);
    internal.message = `${what} (pc 0x${internal.pc.toString(16)})`;
    return KVM_EXIT.INTERNAL_ERROR;
  }

  #count(counter: number): void {
    (this.#counts[counter] as number)++;
  }
}
