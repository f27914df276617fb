/**
 * KVM's vector code for a Book E guest under assist (DESIGN.md, "KVM's two ways to be fast"): the interrupts that only go on
 * to the guest, and the guest's return from them, are served without leaving `run`, as lightweight exits are on hardware
 * (booke_interrupts.S). Each does exactly what exits.ts and emulate.ts do; all else ends the run and is done there.
 */
import type { Expr, Semantics } from '../../isa/semantics.ts';
import {
  BOOKE_VECTOR,
  BUDGET,
  ESR,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  EXIT_VECTOR,
  PC,
  type VectorCode,
  type VectorSemantics,
} from '../../processor/index.ts';
import { ESR_DATA, MSR } from './bits.ts';
import { KEPT_NON_CRITICAL } from './interrupts.ts';
import { ASSISTED, ASSISTED_NAMES, ivorWord, W_IVPR } from './layout.ts';

const SPACES = MSR.IS | MSR.DS;

/** What a member does about it. */
export interface VectorMember {
  /** The bits of MSR that exist. */
  readonly msrMask: number;
  /** The interrupt of a unit that MSR's bit does not give; and ESR's bit of it, 0 where ESR is left alone. */
  readonly unavailable: { readonly vector: number; readonly bit: number; readonly esr: number };
  /** Makes the processor follow MSR's bits of units. */
  setUnits(s: Semantics, msr: Expr): void;
  /** Whether something interrupts when MSR gets this value. */
  interrupts(s: Semantics, msr: Expr): Expr;
  /** Not zero: something waits that only the emulation does. */
  blocked(s: Semantics): Expr;
  /** Leaves if an entry of the guest's TLB in address space 0 matches. */
  leaveOnMatch(s: VectorSemantics, address: Expr): void;
  /** What else hardware does about a miss. */
  missed?(s: VectorSemantics, address: Expr): void;
}

/** Ends with the guest going on. It costs an instruction of the budget, as an exit does (vcpu.ts). */
function resume(s: VectorSemantics, name: (typeof ASSISTED_NAMES)[number]): void {
  const counter = ASSISTED + 4 * ASSISTED_NAMES.indexOf(name);
  s.setBlockWord(counter, s.add(s.blockWord(counter), 1));
  s.setBlockWord(BUDGET, s.sub(s.blockWord(BUDGET), 1));
  s.resume();
}

export const bookeVectors = (member: VectorMember): VectorCode => {
  /** BookeInterrupts.take: a non-critical interrupt. */
  const take = (s: VectorSemantics, vector: number, name: (typeof ASSISTED_NAMES)[number]): void => {
    const msr = s.let(s.shared('msr'));
    s.setShared('srr0', s.blockWord(PC));
    s.setShared('srr1', msr);
    s.setShared('msr', s.and(msr, KEPT_NON_CRITICAL));
    member.setUnits(s, s.i32(0));
    const prefix = s.and(s.blockWord(W_IVPR * 4), 0xffff0000 | 0);
    s.setBlockWord(PC, s.or(prefix, s.and(s.blockWord(ivorWord(vector) * 4), 0xfff0)));
    s.switchContext(s.i32(1));
    resume(s, name);
  };

  /** rfi that changes neither address space nor whether there are debug interrupts, waits for nothing and lets nothing pending in; else the emulation does it. */
  const returnFromInterrupt = (s: VectorSemantics): void => {
    const msr = s.let(s.and(s.shared('srr1'), member.msrMask));
    const changed = s.xor(msr, s.shared('msr'));
    const others = s.or(s.and(changed, SPACES | MSR.DE), s.and(msr, MSR.WE));
    const interrupted = s.or(s.shared('intPending'), member.interrupts(s, msr));
    s.if(s.eqz(s.or(others, interrupted)), () => {
      s.setShared('msr', msr);
      member.setUnits(s, msr);
      s.setBlockWord(PC, s.and(s.shared('srr0'), ~3));
      s.switchContext(s.eqz(s.and(msr, MSR.PR)));
      resume(s, 'assisted_rfi');
    });
  };

  return (s) => {
    const vector = s.let(s.blockWord(EXIT_VECTOR));
    const blocked = s.or(member.blocked(s), s.leSigned(s.blockWord(BUDGET), 1));
    s.if(s.eq(vector, BOOKE_VECTOR.assist), () => {
      // What is not done here traps as if nothing were.
      s.setBlockWord(EXIT_VECTOR, s.i32(BOOKE_VECTOR.program));
      s.setBlockWord(EXIT_SYNDROME, s.i32(ESR.PPR));
      s.if(blocked, () => s.leave());
      returnFromInterrupt(s);
      s.leave();
    });
    s.if(s.or(blocked, s.and(s.shared('msr'), SPACES)), () => s.leave());
    // A system call of the kernel's may be a hypercall.
    s.if(s.and(s.eq(vector, BOOKE_VECTOR.systemCall), s.ne(s.and(s.shared('msr'), MSR.PR), 0)), () =>
      take(s, BOOKE_VECTOR.systemCall, 'assisted_sc'),
    );
    const { unavailable } = member;
    s.if(s.and(s.eq(vector, unavailable.vector), s.eqz(s.and(s.shared('msr'), unavailable.bit))), () => {
      if (unavailable.esr !== 0) s.setShared('esr', s.i32(unavailable.esr));
      take(s, unavailable.vector, 'assisted_unavailable');
    });
    s.if(s.eq(vector, BOOKE_VECTOR.dataTlbError), () => {
      const address = s.let(s.blockWord(EXIT_ADDRESS));
      member.leaveOnMatch(s, address);
      s.setShared('dar', address);
      s.setShared('esr', s.and(s.blockWord(EXIT_SYNDROME), ESR_DATA));
      member.missed?.(s, address);
      take(s, BOOKE_VECTOR.dataTlbError, 'assisted_dtlb_miss');
    });
    s.if(s.eq(vector, BOOKE_VECTOR.instructionTlbError), () => {
      const address = s.let(s.blockWord(PC));
      member.leaveOnMatch(s, address);
      member.missed?.(s, address);
      take(s, BOOKE_VECTOR.instructionTlbError, 'assisted_itlb_miss');
    });
  };
};
