/**
 * KVM's vector code for a 32-bit Book3S guest under assist (DESIGN.md, "KVM's two ways to be fast"): system calls of the guest's
 * programs, the unavailable facilities that its kernel gives out on demand, its returns from interrupts and changes of
 * translation are served without leaving `run`. Each does exactly what exits.ts, interrupts.ts and emulate.ts do; all else
 * ends the run and is done there.
 */
import type { Expr } from '../../isa/semantics.ts';
import {
  BUDGET,
  EXIT_SYNDROME,
  EXIT_VECTOR,
  PC,
  SERVER_VECTOR,
  SRR1_PROGRAM,
  type VectorCode,
  type VectorSemantics,
} from '../../processor/index.ts';
import { MSR, MSR_TRACE, SRR1_OWN } from '../book3s/bits.ts';
import { CONTEXT_FETCH, CONTEXT_KERNEL, CONTEXT_REAL, CONTEXT_USER } from '../book3s/host-contexts.ts';
import { ASSIST_KIND, letsFloatInterrupt, letsInterruptIn, setFacilities, setPrefix } from './assist.ts';
import { RFI_BITS } from './emulate.ts';
import { ASSISTED, ASSISTED_NAMES, W_ASSIST_KIND, W_ASSIST_MSR, W_HIOR, W_OSI, W_SEGMENTS_STALE } from './layout.ts';
import type { ClassicModel } from './models.ts';

const TRANSLATION = MSR.IR | MSR.DR;

/** Goes on in the mode that MSR says. It costs an instruction of the budget, as an exit does (vcpu.ts). */
function resume(s: VectorSemantics, msr: Expr, name: (typeof ASSISTED_NAMES)[number]): void {
  s.setShared('msr', msr);
  setFacilities(s, msr);
  setPrefix(s, msr);
  const untranslated = s.select(s.and(msr, MSR.IR), CONTEXT_FETCH, s.i32(CONTEXT_REAL));
  const kernel = s.select(s.and(msr, MSR.DR), CONTEXT_KERNEL, untranslated);
  s.switchContext(s.select(s.and(msr, MSR.PR), s.i32(CONTEXT_USER), kernel));
  const counter = ASSISTED + 4 * ASSISTED_NAMES.indexOf(name);
  s.setBlockWord(counter, s.add(s.blockWord(counter), 1));
  s.setBlockWord(BUDGET, s.sub(s.blockWord(BUDGET), 1));
  s.resume();
}

/** Whether a value of MSR is of one of the contexts that there always are, and traces nothing. */
function isUsual(s: VectorSemantics, msr: Expr): Expr {
  const translation = s.let(s.and(msr, TRANSLATION));
  const isKernel = s.eqz(s.and(msr, MSR.PR));
  const whole = s.or(s.and(s.ne(translation, MSR.DR), isKernel), s.eq(translation, TRANSLATION));
  return s.and(whole, s.eqz(s.and(msr, MSR_TRACE)));
}

export const classicVectors = ({ msrMask, keptByInterrupts }: ClassicModel): VectorCode => {
  /** Book3sInterrupts.take of an interrupt that has no bits in SRR1. */
  const take = (s: VectorSemantics, vector: Expr, name: (typeof ASSISTED_NAMES)[number]): void => {
    const msr = s.let(s.shared('msr'));
    s.setShared('srr0', s.blockWord(PC));
    s.setShared('srr1', s.and(msr, ~SRR1_OWN));
    s.setBlockWord(PC, s.or(s.blockWord(W_HIOR * 4), vector));
    resume(s, s.let(s.and(msr, keptByInterrupts)), name);
  };

  /** rfi that lets nothing pending in, nor a floating-point exception interrupt. */
  const returnFromInterrupt = (s: VectorSemantics): void => {
    const restored = s.or(s.and(s.shared('msr'), ~RFI_BITS), s.and(s.shared('srr1'), RFI_BITS));
    const msr = s.let(s.and(restored, msrMask & ~MSR.POW));
    s.if(s.and(isUsual(s, msr), s.eqz(s.or(letsInterruptIn(s, msr), letsFloatInterrupt(s, msr)))), () => {
      s.setBlockWord(PC, s.and(s.shared('srr0'), -4));
      resume(s, msr, 'assisted_rfid');
    });
  };

  /** mtmsr with another translation; nothing else is unusual about it (assist.ts). */
  const setMsr = (s: VectorSemantics): void => {
    const msr = s.let(s.blockWord(W_ASSIST_MSR * 4));
    s.if(isUsual(s, msr), () => {
      s.setBlockWord(PC, s.add(s.blockWord(PC), 4));
      resume(s, msr, 'assisted_mtmsr');
    });
  };

  return (s) => {
    const vector = s.let(s.blockWord(EXIT_VECTOR));
    const blocked = s.or(s.leSigned(s.blockWord(BUDGET), 1), s.blockWord(W_SEGMENTS_STALE * 4));
    s.if(s.eq(vector, SERVER_VECTOR.assist), () => {
      // What is not done here traps as if nothing were.
      s.setBlockWord(EXIT_VECTOR, s.i32(SERVER_VECTOR.program));
      s.setBlockWord(EXIT_SYNDROME, s.i32(SRR1_PROGRAM.PRIV));
      s.if(blocked, () => s.leave());
      s.if(
        s.eq(s.blockWord(W_ASSIST_KIND * 4), ASSIST_KIND.RETURN),
        () => returnFromInterrupt(s),
        () => setMsr(s),
      );
      s.leave();
    });
    s.if(blocked, () => s.leave());
    const user = s.and(s.shared('msr'), MSR.PR);
    // A kernel's system calls may be hypercalls, and so may a program's (OSI).
    const ordinary = s.and(s.ne(user, 0), s.eqz(s.blockWord(W_OSI * 4)));
    s.if(s.and(s.eq(vector, SERVER_VECTOR.systemCall), ordinary), () => take(s, vector, 'assisted_sc'));
    const scalar = s.eq(vector, SERVER_VECTOR.floatingPointUnavailable);
    s.if(s.or(scalar, s.eq(vector, SERVER_VECTOR.vectorUnavailable)), () => take(s, vector, 'assisted_unavailable'));
  };
};
