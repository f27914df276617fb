/** What is done about each interrupt that ends a 440 guest's run (the reference's kvmppc_handle_exit, BookE). */
import { BOOKE_VECTOR, ESR } from '../../processor/index.ts';
import { KVM_EXIT, type KvmRun } from '../api.ts';
import { RESUME_GUEST, RETRY_DATA, RETRY_FETCH } from '../family.ts';
import type { MemorySlots } from '../slots.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { DEBUG_EVENT, ESR_DATA, MCSR, MSR } from './bits.ts';
import type { BookeContext } from './context.ts';
import type { BookeDebug } from './debug.ts';
import type { BookeEmulation } from './emulate.ts';
import { type BookeInterrupts, PRIORITY } from './interrupts.ts';
import { W_EXIT_ADDRESS, W_EXIT_SYNDROME, W_MCSR, W_MSR, W_PC, W_PID } from './layout.ts';
import { type GuestTlb, PERMIT, type ShadowTlb, USE } from './mmu.ts';
import type { StorageEmulation } from './storage.ts';

export abstract class BookeExits {
  protected readonly words: Int32Array;
  protected readonly interrupts: BookeInterrupts;
  protected readonly emulation: BookeEmulation;
  readonly #storage: StorageEmulation;
  readonly #tlb: GuestTlb;
  readonly #shadow: ShadowTlb;
  readonly #slots: MemorySlots;
  readonly #counts: Float64Array;
  readonly #run: KvmRun;
  readonly #debug: BookeDebug;

  constructor(
    context: BookeContext,
    interrupts: BookeInterrupts,
    emulation: BookeEmulation,
    storage: StorageEmulation,
    tlb: GuestTlb,
    shadow: ShadowTlb,
    slots: MemorySlots,
    counters: VcpuCounters,
    run: KvmRun,
    debug: BookeDebug,
  ) {
    this.words = context.words;
    this.interrupts = interrupts;
    this.emulation = emulation;
    this.#storage = storage;
    this.#tlb = tlb;
    this.#shadow = shadow;
    this.#slots = slots;
    this.#counts = counters.counts;
    this.#run = run;
    this.#debug = debug;
  }

  /** Handles one exit: RESUME_GUEST or a KVM_EXIT_* reason. */
  handle(vector: number): number {
    this.emulation.applyTlbWrites();
    switch (vector) {
      case BOOKE_VECTOR.program:
        return this.#program();
      case BOOKE_VECTOR.dataTlbError:
      case BOOKE_VECTOR.dataStorage:
        return this.#dataFault(vector);
      case BOOKE_VECTOR.instructionTlbError:
      case BOOKE_VECTOR.instructionStorage:
        return this.#instructionFault(vector);
      case BOOKE_VECTOR.systemCall:
        return this.systemCall();
      case BOOKE_VECTOR.auxiliaryProcessorUnavailable:
        this.interrupts.take(vector);
        return RESUME_GUEST;
      case BOOKE_VECTOR.alignment:
        this.count(COUNTER.alignment_exits);
        this.interrupts.takeWithAddress(
          vector,
          this.words[W_EXIT_ADDRESS] as number,
          ((this.words[W_EXIT_SYNDROME] as number) & ESR_DATA) | this.unitSyndrome(),
        );
        return RESUME_GUEST;
      case BOOKE_VECTOR.decrementer:
      case BOOKE_VECTOR.fixedIntervalTimer:
      case BOOKE_VECTOR.watchdog:
        this.count(COUNTER.dec_exits);
        return RESUME_GUEST;
      case BOOKE_VECTOR.criticalInput:
      case BOOKE_VECTOR.externalInput:
        this.count(COUNTER.ext_intr_exits);
        return RESUME_GUEST;
      case BOOKE_VECTOR.debug:
        // An instruction is complete: whether the guest hears of it is debug.ts's.
        return RESUME_GUEST;
      case BOOKE_VECTOR.watch:
        return this.#debug.watchpoint();
      case BOOKE_VECTOR.codeWatch:
        return this.#debug.enterWatchedCode();
      default:
        return this.unit(vector);
    }
  }

  /** In the guest's kernel, a privileged instruction to emulate; all else is the guest's own. */
  #program(): number {
    const words = this.words;
    const esr = words[W_EXIT_SYNDROME] as number;
    const emulation = this.emulation;
    if ((esr & ESR.FP) !== 0) return emulation.floatEnabled();
    if ((esr & ESR.PIL) !== 0 && this.#debug.isBreakpoint) return this.#debug.breakpoint();
    if ((esr & ESR.PTR) !== 0 && this.interrupts.enabledEvents(DEBUG_EVENT.TRAP) !== 0)
      if (this.interrupts.debugEvent(DEBUG_EVENT.TRAP)) return RESUME_GUEST;
    if (((words[W_MSR] as number) & MSR.PR) !== 0) {
      if ((esr & (ESR.PPR | ESR.PIL)) !== 0 && emulation.emulateUser()) return RESUME_GUEST;
      this.count(COUNTER.usr_pr_inst_exits);
      return emulation.program(esr);
    }
    if ((esr & (ESR.PPR | ESR.PIL)) !== 0) return emulation.emulate(ESR.PIL);
    return emulation.program(esr);
  }

  protected systemCall(): number {
    this.count(COUNTER.syscall_exits);
    this.interrupts.take(BOOKE_VECTOR.systemCall);
    return RESUME_GUEST;
  }

  /** ESR's bit of the unit that the instruction at PC is of. */
  protected unitSyndrome(): number {
    return 0;
  }

  /** Maps what is KVM's own at an address, before the guest's TLB is looked at. False: nothing is there. */
  protected mapOwn(_address: number): boolean {
    return false;
  }

  /** An interrupt of a unit that only some members have. */
  protected abstract unit(vector: number): number;

  #dataFault(vector: number): number {
    const words = this.words;
    const address = words[W_EXIT_ADDRESS] as number;
    const esr = (words[W_EXIT_SYNDROME] as number) & ESR_DATA;
    const msr = words[W_MSR] as number;
    if (this.mapOwn(address)) return RETRY_DATA;
    const tlb = this.#tlb;
    const index = tlb.search(address, words[W_PID] as number, (msr & MSR.DS) !== 0 ? 1 : 0);
    if (index < 0) {
      this.count(COUNTER.dtlb_real_miss_exits);
      this.interrupts.takeDataMiss(address, esr);
      return RESUME_GUEST;
    }
    const user = (msr & MSR.PR) !== 0;
    const store = (esr & ESR.ST) !== 0;
    if ((tlb.permissions(index, user) & (store ? PERMIT.WRITE : PERMIT.READ)) === 0) {
      this.count(COUNTER.dsi_exits);
      this.interrupts.takeWithAddress(BOOKE_VECTOR.dataStorage, address, esr);
      return RESUME_GUEST;
    }
    const frame = tlb.frame(index, address);
    const slot = this.#slots.find(frame);
    if (slot === null || (store && slot.readonly)) return this.#storage.emulate(index, address, frame, slot);
    this.count(vector === BOOKE_VECTOR.dataTlbError ? COUNTER.dtlb_virt_miss_exits : COUNTER.dsi_exits);
    const split = ((msr & MSR.IS) !== 0) !== ((msr & MSR.DS) !== 0);
    const use = split ? USE.DATA : USE.ALL;
    if (this.#shadow.map(index, address, frame, slot, user ? 0 : 1, use, store)) return RETRY_DATA;
    return this.#storage.emulate(index, address, frame, slot);
  }

  #instructionFault(vector: number): number {
    const words = this.words;
    const pc = words[W_PC] as number;
    const msr = words[W_MSR] as number;
    const tlb = this.#tlb;
    const index = tlb.search(pc, words[W_PID] as number, (msr & MSR.IS) !== 0 ? 1 : 0);
    if (index < 0) {
      this.count(COUNTER.itlb_real_miss_exits);
      this.interrupts.takeInstructionMiss();
      return RESUME_GUEST;
    }
    const user = (msr & MSR.PR) !== 0;
    if ((tlb.permissions(index, user) & PERMIT.EXECUTE) === 0) {
      this.count(COUNTER.isi_exits);
      this.interrupts.takeWithSyndrome(BOOKE_VECTOR.instructionStorage, 0);
      return RESUME_GUEST;
    }
    const frame = tlb.frame(index, pc);
    const slot = this.#slots.find(frame);
    const use = ((msr & MSR.IS) !== 0) !== ((msr & MSR.DS) !== 0) ? USE.FETCH : USE.ALL;
    if (slot !== null && this.#shadow.map(index, pc, frame, slot, user ? 0 : 1, use, false)) {
      this.count(vector === BOOKE_VECTOR.instructionTlbError ? COUNTER.itlb_virt_miss_exits : COUNTER.isi_exits);
      return RETRY_FETCH;
    }
    return this.#fetchFromNowhere(msr);
  }

  /** The guest jumped to where no memory is: a machine check, or the checkstop that a machine check without MSR[ME] is. */
  #fetchFromNowhere(msr: number): number {
    if ((msr & MSR.ME) === 0) return this.internalError('instruction fetch from where no memory is, with MSR[ME] = 0');
    this.words[W_MCSR] = (this.words[W_MCSR] as number) | MCSR.MCS | MCSR.IB;
    this.interrupts.set(PRIORITY.MACHINE_CHECK, true);
    return RESUME_GUEST;
  }

  protected internalError(what: string): number {
    const { internal } = this.#run;
    internal.pc = (this.words[W_PC] as number) >>> 0;
    internal.message = `${what} (pc 0x${internal.pc.toString(16)})`;
    return KVM_EXIT.INTERNAL_ERROR;
  }

  protected count(counter: number): void {
    (this.#counts[counter] as number)++;
  }
}
