/** The interrupts of SPE: the host's unit is the guest's where MSR[SPE] gives it. */
import { BOOKE_VECTOR, ESR } from '../../../processor/index.ts';
import { RESUME_GUEST } from '../../family.ts';
import { BookeExits } from '../exits.ts';

export class ExitsE500 extends BookeExits {
  protected override unit(vector: number): number {
    switch (vector) {
      case BOOKE_VECTOR.speUnavailable:
      case BOOKE_VECTOR.speFloatData:
      case BOOKE_VECTOR.speFloatRound:
        this.interrupts.takeWithSyndrome(vector, ESR.SPE);
        return RESUME_GUEST;
      default:
        return this.internalError(`the host processor raised interrupt ${vector}`);
    }
  }
}
