/** The exits of an e500: SPE's interrupts, hypercalls, the magic page, cache locks. The host's unit is the guest's where MSR[SPE] gives it. */
import { BOOKE_VECTOR, ESR } from '../../../processor/index.ts';
import { RESUME_GUEST } from '../../family.ts';
import { COUNTER } from '../../stats.ts';
import { MSR } from '../bits.ts';
import type { BookeContext } from '../context.ts';
import { BookeExits } from '../exits.ts';
import { W_MAGIC_EFFECTIVE, W_MAGIC_MAPPED, W_MSR } from '../layout.ts';
import type { HypercallsE500 } from './hypercalls.ts';
import type { ShadowE500 } from './shadow.ts';

/** Primary opcode of all of SPE's instructions. */
const SPE_OPCODE = 4;

export class ExitsE500 extends BookeExits {
  /** Set when they are made. */
  hypercalls!: HypercallsE500;
  magicShadow!: ShadowE500;
  context!: BookeContext;

  protected override systemCall(): number {
    if (!this.hypercalls.wanted) return super.systemCall();
    this.count(COUNTER.syscall_exits);
    return this.hypercalls.serve();
  }

  protected override unitSyndrome(): number {
    return this.context.fetch() && this.context.instruction >>> 26 === SPE_OPCODE ? ESR.SPE : 0;
  }

  protected override mapOwn(address: number): boolean {
    const { words } = this;
    if (words[W_MAGIC_MAPPED] === 0 || (address & ~0xfff) !== words[W_MAGIC_EFFECTIVE]) return false;
    if (((words[W_MSR] as number) & MSR.PR) !== 0) return false;
    this.magicShadow.mapMagic(address & ~0xfff, ((words[W_MSR] as number) & MSR.DS) !== 0 ? 1 : 0);
    return true;
  }

  protected override unit(vector: number): number {
    switch (vector) {
      case BOOKE_VECTOR.speUnavailable:
      case BOOKE_VECTOR.speFloatData:
      case BOOKE_VECTOR.speFloatRound:
        this.count(COUNTER.fp_unavail_exits);
        this.interrupts.takeWithSyndrome(vector, ESR.SPE);
        return RESUME_GUEST;
      default:
        return this.internalError(`the host processor raised interrupt ${vector}`);
    }
  }
}
