/** What an e500 does about interrupts beside all others: a TLB miss loads the MAS registers, and there is EPR. */
import { BOOKE_VECTOR, MAS1, MAS2, MAS3 } from '../../../processor/index.ts';
import type { VcpuCounters } from '../../stats.ts';
import { MSR } from '../bits.ts';
import type { BookeContext } from '../context.ts';
import { BookeInterrupts } from '../interrupts.ts';
import {
  W_CRITICAL,
  W_EPR_GIVEN,
  W_EPR_WANTED,
  W_GPR,
  W_MAGIC_MAPPED,
  W_MAS0,
  W_MAS1,
  W_MAS2,
  W_MAS3,
  W_MAS4,
  W_MAS6,
  W_MSR,
  W_NEXT_VICTIM0,
  W_PID,
  W_PID1,
  W_PID2,
  W_TLB0_WAYS,
} from '../layout.ts';
import { MAS0, MAS4, MAS6 } from './bits.ts';

export class InterruptsE500 extends BookeInterrupts {
  readonly #state: Int32Array;

  constructor(context: BookeContext, counters: VcpuCounters) {
    super(context, counters);
    this.#state = context.words;
  }

  /** Only of a kernel with a magic page. */
  override get isCritical(): boolean {
    const words = this.#state;
    if (words[W_MAGIC_MAPPED] === 0 || ((words[W_MSR] as number) & MSR.PR) !== 0) return false;
    return words[W_CRITICAL] === words[W_GPR + 2];
  }

  /** With the external proxy facility, user space is asked for the vector of an external interrupt as it is taken. */
  override take(vector: number): void {
    super.take(vector);
    if (vector === BOOKE_VECTOR.externalInput && this.#state[W_EPR_GIVEN] !== 0) this.#state[W_EPR_WANTED] = 1;
  }

  /** MAS0 for the entry that is to be replaced next in the TLB that MAS4 names. The vector code does the same. */
  nextVictim(): number {
    const words = this.#state;
    const tlb = ((words[W_MAS4] as number) >>> MAS4.TLBSELD_SHIFT) & 1;
    let victim = 0;
    if (tlb === 0) {
      victim = words[W_NEXT_VICTIM0] as number;
      words[W_NEXT_VICTIM0] = (victim + 1) & ((words[W_TLB0_WAYS] as number) - 1);
    }
    return (tlb << MAS0.TLBSEL_SHIFT) | (victim << MAS0.ESEL_SHIFT) | (words[W_NEXT_VICTIM0 + tlb] as number);
  }

  /** EREF, "MMU Assist Registers", what a TLB miss sets. */
  protected override missed(address: number, space: number): void {
    const words = this.#state;
    const mas4 = words[W_MAS4] as number;
    const pid = words[W_PID] as number;
    const which = (mas4 >>> MAS4.TIDSELD_SHIFT) & MAS4.TIDSELD;
    const tid = which === 0 ? pid : which === 3 ? 0 : (words[which === 1 ? W_PID1 : W_PID2] as number);
    words[W_MAS0] = this.nextVictim();
    words[W_MAS1] = MAS1.VALID | (space === 0 ? 0 : MAS1.TS) | (tid << MAS1.TID_SHIFT) | (mas4 & MAS4.TSIZED);
    words[W_MAS2] = (address & MAS2.EPN) | (mas4 & MAS4.DEFAULTS);
    words[W_MAS3] = (words[W_MAS3] as number) & MAS3.USER;
    words[W_MAS6] = (pid << MAS6.SPID0_SHIFT) | space;
  }
}
