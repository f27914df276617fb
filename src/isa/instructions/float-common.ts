/** What floating-point instructions have in common. */
import { FPSCR } from '../float/fpscr.ts';
import type { Expr, Meaning, Operands, Semantics } from '../semantics.ts';

/** A meaning that wants the unit: MSR[FP]=1, and a processor that has one. */
export function floatMeaning(meaning: Meaning): Meaning {
  return (s, f) => {
    if (!s.hasFloat) {
      s.interrupt('floatingPointUnavailable');
      return;
    }
    s.if(s.eqz(s.state('floatAvailable')), () => s.interrupt('floatingPointUnavailable'));
    meaning(s, f);
  };
}

/** CR1 ← FX, FEX, VX and OX when Rc=1. */
export function recordCr1(s: Semantics, f: Operands): void {
  if (f.Rc) s.setCrField(1, s.shrUnsigned(s.state('fpscr'), 28));
}

/** The interrupt of an enabled exception, where MSR[FE0,FE1] do not ignore them. */
export function interruptIfEnabled(s: Semantics): void {
  const summary = s.ne(s.and(s.state('fpscr'), FPSCR.FEX), 0);
  s.if(s.and(summary, s.ne(s.state('floatInterrupts'), 0)), () => s.interrupt('program', 'floatEnabled'));
}

/** FRT ← result, and what follows from the exceptions: the instruction is complete when an enabled one interrupts. */
export function writeResult(s: Semantics, f: Operands, result: Expr): void {
  s.setFpr(f.FRT, result);
  recordCr1(s, f);
  interruptIfEnabled(s);
}
