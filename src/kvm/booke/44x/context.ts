/** The context of a 440 guest: its host address space carries the privilege, PIDs are the guest's own. */
import type { Host440Cpu, HostMemory } from '../../../processor/index.ts';
import type { MemorySlots } from '../../slots.ts';
import { CCR0_DAPUIB, FPSCR_FEX, MSR, MSR_FLOAT, MSR_FLOAT_INTERRUPTS, MSR_MASK } from '../bits.ts';
import { BookeContext } from '../context.ts';
import { W_CCR0, W_FLOAT_AVAILABLE, W_FLOAT_INTERRUPTS, W_FPSCR, W_MSR, W_PID } from '../layout.ts';
import type { GuestTlb, ShadowTlb } from '../mmu.ts';

/** With assist: translation mode of the guest's user (host space 0) and kernel (1). */
const CONTEXT_MODES = [0, 1] as const;

export class Context440 extends BookeContext {
  readonly #cpu: Host440Cpu;
  readonly #kernelMode: 0 | 1;
  /** The PID that the processor has both contexts of, for the vector code. */
  #preparedPid = -1;

  constructor(
    cpu: Host440Cpu,
    memory: HostMemory,
    slots: MemorySlots,
    tlb: GuestTlb,
    shadow: ShadowTlb,
    assist: boolean,
  ) {
    super(cpu.base, memory, slots, tlb, shadow, { mask: MSR_MASK, units: MSR_FLOAT });
    this.#cpu = cpu;
    this.#kernelMode = assist ? 1 : 0;
  }

  /** MSR[FP,FE0,FE1] and CCR0[DAPUIB]; `setFloat` of assist.ts does the same. */
  refreshUnits(): void {
    const { words } = this;
    const msr = words[W_MSR] as number;
    words[W_FLOAT_AVAILABLE] = ((words[W_CCR0] as number) & CCR0_DAPUIB) !== 0 ? 0 : msr & MSR.FP;
    words[W_FLOAT_INTERRUPTS] = msr & MSR_FLOAT_INTERRUPTS;
  }

  get floatEnabled(): boolean {
    const { words } = this;
    return words[W_FLOAT_INTERRUPTS] !== 0 && ((words[W_FPSCR] as number) & FPSCR_FEX) !== 0;
  }

  select(): void {
    const user = ((this.words[W_MSR] as number) & MSR.PR) !== 0;
    const pid = this.words[W_PID] as number;
    if (this.#kernelMode === 1 && this.#preparedPid !== pid) {
      this.#preparedPid = pid;
      this.#cpu.setContexts(pid, CONTEXT_MODES);
    }
    this.#cpu.setContext(user ? 0 : 1, pid, user ? 0 : this.#kernelMode);
  }
}
