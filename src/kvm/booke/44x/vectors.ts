/**
 * KVM's vector code for a 440 guest under assist (DESIGN.md, "KVM's two ways to be fast"): the interrupts that only go on
 * to the guest, and the guest's return from them, are served without leaving `run`, as lightweight exits are on hardware
 * (booke_interrupts.S). Each does exactly what exits.ts and emulate.ts do; all else ends the run and is done there.
 */
import type { Expr } from '../../../isa/semantics.ts';
import {
  BOOKE_VECTOR,
  BUDGET,
  ESR,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  EXIT_VECTOR,
  PC,
  TLB44X,
  type VectorCode,
  type VectorSemantics,
} from '../../../processor/index.ts';
import { ESR_DATA, MSR, MSR_MASK } from '../bits.ts';
import { KEPT_NON_CRITICAL } from '../interrupts.ts';
import {
  ASSISTED,
  ASSISTED_NAMES,
  GUEST_TLB,
  TLB_CHAIN_BITS,
  TLB_CHAIN_HEAD,
  TLB_CHAIN_MATCH,
  TLB_CHAIN_MULTIPLIER,
  TLB_CHAIN_NEXT,
  TLB_SIZES_IN_USE,
  W_IVOR0,
  W_IVPR,
  W_PID,
} from '../layout.ts';
import { letsFloatInterrupt, setFloat, tlbWritten } from './assist.ts';

const SPACES = MSR.IS | MSR.DS;

/** Ends with the guest going on. It costs an instruction of the budget, as an exit does (vcpu.ts). */
function resume(s: VectorSemantics, name: (typeof ASSISTED_NAMES)[number]): void {
  const counter = ASSISTED + 4 * ASSISTED_NAMES.indexOf(name);
  s.setBlockWord(counter, s.add(s.blockWord(counter), 1));
  s.setBlockWord(BUDGET, s.sub(s.blockWord(BUDGET), 1));
  s.resume();
}

/** BookeInterrupts.take: a non-critical interrupt. */
function take(s: VectorSemantics, vector: number, name: (typeof ASSISTED_NAMES)[number]): void {
  const msr = s.let(s.shared('msr'));
  s.setShared('srr0', s.blockWord(PC));
  s.setShared('srr1', msr);
  s.setShared('msr', s.and(msr, KEPT_NON_CRITICAL));
  setFloat(s, s.i32(0));
  const prefix = s.and(s.blockWord(W_IVPR * 4), 0xffff0000 | 0);
  s.setBlockWord(PC, s.or(prefix, s.and(s.blockWord((W_IVOR0 + vector) * 4), 0xfff0)));
  s.switchContext(s.i32(1));
  resume(s, name);
}

/** GuestTlb440.search in address space 0: leaves if an entry matches. */
function leaveOnMatch(s: VectorSemantics, address: Expr): void {
  const pid = s.let(s.blockWord(W_PID * 4));
  const sizes = s.cell(s.blockWord(TLB_SIZES_IN_USE));
  const at = s.cell(s.i32(0));
  s.while(
    () => sizes.get(),
    () => {
      const size = s.let(s.ctz(sizes.get()));
      sizes.set(s.and(sizes.get(), s.sub(sizes.get(), 1)));
      const page = s.let(s.and(address, s.shl(s.i32(-1024), s.shl(size, 1))));
      const wanted = s.let(s.or(s.or(page, TLB44X.VALID), s.shl(size, TLB44X.SIZE_SHIFT)));
      const chain = s.shrUnsigned(s.mul(s.add(page, size), TLB_CHAIN_MULTIPLIER), 32 - TLB_CHAIN_BITS);
      at.set(s.blockWordAt(s.shl(chain, 2), TLB_CHAIN_HEAD));
      s.while(
        () => s.geSigned(at.get(), 0),
        () => {
          const tid = s.let(s.blockWordAt(s.shl(at.get(), 4), GUEST_TLB + 12));
          const ours = s.or(s.eqz(tid), s.eq(tid, pid));
          const matches = s.eq(s.blockWordAt(s.shl(at.get(), 2), TLB_CHAIN_MATCH), wanted);
          s.if(s.and(matches, ours), () => s.leave());
          at.set(s.blockWordAt(s.shl(at.get(), 2), TLB_CHAIN_NEXT));
        },
      );
    },
  );
}

/** rfi that changes neither address space nor whether there are debug interrupts, waits for nothing and lets nothing pending in; else the emulation does it. */
function returnFromInterrupt(s: VectorSemantics): void {
  const msr = s.let(s.and(s.shared('srr1'), MSR_MASK));
  const changed = s.xor(msr, s.shared('msr'));
  const others = s.or(s.and(changed, SPACES | MSR.DE), s.and(msr, MSR.WE));
  const interrupted = s.or(s.shared('intPending'), letsFloatInterrupt(s, msr));
  s.if(s.eqz(s.or(others, interrupted)), () => {
    s.setShared('msr', msr);
    setFloat(s, msr);
    s.setBlockWord(PC, s.and(s.shared('srr0'), ~3));
    s.switchContext(s.eqz(s.and(msr, MSR.PR)));
    resume(s, 'assisted_rfi');
  });
}

export const bookeVectors: VectorCode = (s) => {
  const vector = s.let(s.blockWord(EXIT_VECTOR));
  const blocked = s.or(tlbWritten(s), s.leSigned(s.blockWord(BUDGET), 1));
  s.if(s.eq(vector, BOOKE_VECTOR.assist), () => {
    // What is not done here traps as if nothing were.
    s.setBlockWord(EXIT_VECTOR, s.i32(BOOKE_VECTOR.program));
    s.setBlockWord(EXIT_SYNDROME, s.i32(ESR.PPR));
    s.if(blocked, () => s.leave());
    returnFromInterrupt(s);
    s.leave();
  });
  s.if(s.or(blocked, s.and(s.shared('msr'), SPACES)), () => s.leave());
  s.if(s.eq(vector, BOOKE_VECTOR.systemCall), () => take(s, BOOKE_VECTOR.systemCall, 'assisted_sc'));
  const unavailable = s.eq(vector, BOOKE_VECTOR.floatingPointUnavailable);
  s.if(s.and(unavailable, s.eqz(s.and(s.shared('msr'), MSR.FP))), () =>
    take(s, BOOKE_VECTOR.floatingPointUnavailable, 'assisted_unavailable'),
  );
  s.if(s.eq(vector, BOOKE_VECTOR.dataTlbError), () => {
    const address = s.let(s.blockWord(EXIT_ADDRESS));
    leaveOnMatch(s, address);
    s.setShared('dar', address);
    s.setShared('esr', s.and(s.blockWord(EXIT_SYNDROME), ESR_DATA));
    take(s, BOOKE_VECTOR.dataTlbError, 'assisted_dtlb_miss');
  });
  s.if(s.eq(vector, BOOKE_VECTOR.instructionTlbError), () => {
    leaveOnMatch(s, s.let(s.blockWord(PC)));
    take(s, BOOKE_VECTOR.instructionTlbError, 'assisted_itlb_miss');
  });
};
