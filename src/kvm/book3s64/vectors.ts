/**
 * KVM's vector code for a Book3S 64 guest under assist (DESIGN.md, "KVM's two ways to be fast"): system calls of the guest's
 * programs, the unavailable facilities that its kernel gives out on demand, its returns from interrupts and changes of
 * translation are served without leaving `run`. Each does exactly what exits.ts, interrupts.ts and emulate.ts do; all else
 * ends the run and is done there.
 */
import { registersOf } from '../../isa/registers/index.ts';
import type { Expr } from '../../isa/semantics.ts';
import {
  BUDGET,
  CFAR,
  EXIT_SYNDROME,
  EXIT_VECTOR,
  LEVELS_OF,
  MODE,
  PC,
  SERVER_VECTOR,
  SRR1_PROGRAM,
  type VectorCode,
  type VectorSemantics,
} from '../../processor/index.ts';
import { AIL_BASE, LPCR_AIL, LPCR_ILE, MSR, MSR_TRACE, SRR1_OWN } from '../book3s/bits.ts';
import { CONTEXT_KERNEL, CONTEXT_REAL, CONTEXT_USER } from '../book3s/host-contexts.ts';
import {
  ASSISTED,
  ASSISTED_NAMES,
  W_ASSIST_KIND,
  W_ASSIST_MSR,
  W_FSCR,
  W_HIOR,
  W_LPCR,
  W_MONITORED,
  W_OSI,
} from '../book3s/layout.ts';
import { ASSIST_KIND, letsFloatInterrupt, letsInterruptIn, setFacilities } from './assist.ts';
import type { ServerModel } from './models.ts';

/** Modes that translated code is for; the others have an interpreter each, and `run` begins with the right one. */
const LAST_TRANSLATED = 1;
const CFAR_SPR = 28;
const FSCR = 153;
const TRANSLATION = MSR.IR | MSR.DR;
/** Where vectors are of interrupts that keep translation on. */
const RELOCATED = (BigInt(AIL_BASE.HIGH >>> 0) << 32n) | BigInt(AIL_BASE.LOW);

/** Goes on in the mode that MSR says. It costs an instruction of the budget, as an exit does (vcpu.ts). */
function resume(s: VectorSemantics, msr: Expr, name: (typeof ASSISTED_NAMES)[number]): void {
  s.setShared('msr', msr);
  setFacilities(s, msr);
  const kernel = s.select(s.and(msr, MSR.DR), CONTEXT_KERNEL, s.i32(CONTEXT_REAL));
  s.switchContext(s.select(s.and(msr, MSR.PR), s.i32(CONTEXT_USER), kernel));
  const counter = ASSISTED + 4 * ASSISTED_NAMES.indexOf(name);
  s.setBlockWord(counter, s.add(s.blockWord(counter), 1));
  s.setBlockWord(BUDGET, s.sub(s.blockWord(BUDGET), 1));
  s.resume();
}

/** The vector code of a model whose memory has a byte order. */
export const book3sVectors = ({ name, msrMask, keptByInterrupts }: ServerModel, littleEndian: boolean): VectorCode => {
  const registers = registersOf(LEVELS_OF[name]);
  const hasFacilities = registers.has(FSCR);
  const notesBranches = registers.has(CFAR_SPR);
  const native = littleEndian ? MSR.LE : 0;

  /** Whether a value of MSR (of 64-bit mode) is of one of the contexts that there always are, and traces nothing. */
  const isUsual = (s: VectorSemantics, msr: Expr): Expr => {
    const translation = s.let(s.and(msr, TRANSLATION));
    const whole = s.or(s.eqz(translation), s.eq(translation, TRANSLATION));
    return s.and(whole, s.eq(s.and(msr, MSR.LE | MSR_TRACE), native));
  };

  /** Book3sInterrupts.take of an interrupt that has no bits in SRR1. */
  const take = (s: VectorSemantics, vector: Expr, name: (typeof ASSISTED_NAMES)[number]): void => {
    const lpcr = s.let(s.blockWord(W_LPCR * 4));
    const msr = s.let(s.shared('msr'));
    const relocating = s.eq(s.and(lpcr, LPCR_AIL), LPCR_AIL);
    const relocated = s.let(s.and(relocating, s.eq(s.and(msr, TRANSLATION), TRANSLATION)));
    const ile = s.and(lpcr, LPCR_ILE);
    const order = s.select(ile, MSR.LE & msrMask, s.i32(0));
    const next = s.let(s.or(s.or(s.and(msr, keptByInterrupts), order), s.select(relocated, TRANSLATION, s.i32(0))));
    s.if(isUsual(s, next), () => {
      s.setSharedWide('srr0', s.blockDoubleword(PC));
      s.setSharedWide('srr1', s.and(s.sharedWide('msr'), s.i64(~BigInt(SRR1_OWN))));
      const base = s.select(relocated, s.i64(RELOCATED), s.blockDoubleword(W_HIOR * 4));
      s.setBlockDoubleword(PC, s.or(base, s.extendUnsigned(vector)));
      if (hasFacilities) s.setState('facilities', s.i32(-1));
      resume(s, next, name);
    });
  };

  /** rfid into 64-bit mode that lets nothing pending in, nor a floating-point exception interrupt. */
  const returnFromInterrupt = (s: VectorSemantics): void => {
    const saved = s.let(s.sharedWide('srr1'));
    const low = s.let(s.or(s.and(s.wrap(saved), msrMask & ~MSR.ME & ~MSR.POW), s.and(s.shared('msr'), MSR.ME)));
    const msr = s.let(s.or(low, s.select(s.and(low, MSR.PR), MSR.EE | TRANSLATION, s.i32(0))));
    s.if(
      s.and(
        s.and(s.ltSigned(saved, 0), isUsual(s, msr)),
        s.eqz(s.or(letsInterruptIn(s, msr), letsFloatInterrupt(s, msr))),
      ),
      () => {
        if (notesBranches) s.setBlockDoubleword(CFAR, s.blockDoubleword(PC));
        s.setBlockDoubleword(PC, s.and(s.sharedWide('srr0'), -4));
        if (hasFacilities) s.setState('facilities', s.select(s.and(msr, MSR.PR), s.blockWord(W_FSCR * 4), s.i32(-1)));
        resume(s, msr, 'assisted_rfid');
      },
    );
  };

  /** mtmsr and mtmsrd with another translation; nothing else is unusual about them (assist.ts). */
  const setMsr = (s: VectorSemantics): void => {
    const msr = s.let(s.blockWord(W_ASSIST_MSR * 4));
    s.if(isUsual(s, msr), () => {
      s.setBlockDoubleword(PC, s.add(s.blockDoubleword(PC), 4));
      resume(s, msr, 'assisted_mtmsr');
    });
  };

  return (s) => {
    const vector = s.let(s.blockWord(EXIT_VECTOR));
    const spent = s.or(s.leSigned(s.blockWord(BUDGET), 1), s.gtUnsigned(s.blockWord(MODE), LAST_TRANSLATED));
    const blocked = s.or(spent, s.blockWord(W_MONITORED * 4));
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
    const vectors = s.or(s.eq(vector, SERVER_VECTOR.vectorUnavailable), s.eq(vector, SERVER_VECTOR.vsxUnavailable));
    s.if(s.or(scalar, vectors), () => take(s, vector, 'assisted_unavailable'));
  };
};
