/** The interrupts of a 440's floating-point unit. */
import { BOOKE_VECTOR, ESR } from '../../../processor/index.ts';
import { RESUME_GUEST } from '../../family.ts';
import { COUNTER } from '../../stats.ts';
import { MSR } from '../bits.ts';
import { BookeExits } from '../exits.ts';
import { W_MSR } from '../layout.ts';

export class Exits440 extends BookeExits {
  /** Where MSR has it available, CCR0[DAPUIB] has not: what a core without a unit gives. */
  protected override unit(vector: number): number {
    if (vector !== BOOKE_VECTOR.floatingPointUnavailable)
      return this.internalError(`the host processor raised interrupt ${vector}`);
    this.count(COUNTER.fp_unavail_exits);
    if (((this.words[W_MSR] as number) & MSR.FP) !== 0) return this.emulation.program(ESR.PUO | ESR.FP);
    this.interrupts.take(BOOKE_VECTOR.floatingPointUnavailable);
    return RESUME_GUEST;
  }
}
