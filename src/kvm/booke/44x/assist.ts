/** What KVM lets the processor inline in a 440 guest's kernel, beside what all members have (../assist.ts). */
import type { Expr, Meaning, Semantics } from '../../../isa/semantics.ts';
import type { AssistTable } from '../../../processor/index.ts';
import { commonAssist, nothing, trap } from '../assist.ts';
import { CCR0_DAPUIB, FPSCR_FEX, MMUCR_STID, MSR, MSR_FLOAT, MSR_FLOAT_INTERRUPTS, MSR_MASK } from '../bits.ts';
import { GUEST_TLB, GUEST_TLB_ENTRIES, W_CCR0, W_MMUCR, W_TLB_COMPLETED, W_TLB_WRITTEN } from '../layout.ts';
import { SPRS_440 } from '../sprs.ts';
import { WORD0_BITS } from './mmu.ts';

/** MSR's bits of the unit where the processor looks for them: Context440.refreshUnits. */
export function setFloat(s: Semantics, msr: Expr): void {
  const detached = s.and(s.blockWord(W_CCR0 * 4), CCR0_DAPUIB);
  s.setState('floatAvailable', s.select(detached, 0, s.and(msr, MSR.FP)));
  s.setState('floatInterrupts', s.and(msr, MSR_FLOAT_INTERRUPTS));
}

/** Whether an exception of the unit interrupts when MSR gets this value. */
export const letsFloatInterrupt = (s: Semantics, msr: Expr): Expr =>
  s.and(s.ne(s.and(msr, MSR_FLOAT_INTERRUPTS), 0), s.ne(s.and(s.state('fpscr'), FPSCR_FEX), 0));

/** mtmsr that changes nothing but EE and what the unit depends on. */
const mtmsr: Meaning = (s, f) => {
  const value = s.let(s.and(s.low32(s.gpr(f.RS)), MSR_MASK));
  const others = s.and(s.xor(value, s.shared('msr')), ~(MSR.EE | MSR_FLOAT));
  const blocked = s.and(s.ne(s.and(value, MSR.EE), 0), s.ne(s.shared('intPending'), 0));
  s.if(
    s.or(s.or(s.ne(others, 0), blocked), letsFloatInterrupt(s, value)),
    () => trap(s),
    () => {
      s.setShared('msr', value);
      setFloat(s, value);
    },
  );
};

/**
 * tlbwe writes the guest's entry; what follows from that (hash chains, shadows) is put off until a context
 * synchronisation, or until KVM has to look at the TLB: all exits begin with it. Until then hardware may use the old
 * entry too (Book III-E, "Synchronization Requirements"). So a flush of the whole TLB is one exit and not 64.
 */
const tlbwe: Meaning = (s, f) => {
  if (f.WS > 2) return trap(s);
  const value = s.let(s.low32(s.gpr(f.RS)));
  const index = s.let(s.and(s.low32(s.gpr(f.RA)), GUEST_TLB_ENTRIES - 1));
  const entry = s.let(s.shl(index, 4));
  s.setBlockWordAt(entry, GUEST_TLB + f.WS * 4, f.WS === 0 ? s.and(value, WORD0_BITS) : value);
  if (f.WS === 0) s.setBlockWordAt(entry, GUEST_TLB + 12, s.and(s.blockWord(W_MMUCR * 4), MMUCR_STID));
  if (f.WS === 2) s.setBlockWord(W_TLB_COMPLETED * 4, s.add(index, 1));
  const half = s.let(s.shl(s.shrUnsigned(index, 5), 2));
  const written = s.blockWordAt(half, W_TLB_WRITTEN * 4);
  s.setBlockWordAt(half, W_TLB_WRITTEN * 4, s.or(written, s.shl(s.i32(1), index)));
};

/** Whether a tlbwe waits to take effect. */
export const tlbWritten = (s: Semantics): Expr =>
  s.or(s.blockWord(W_TLB_WRITTEN * 4), s.blockWord(W_TLB_WRITTEN * 4 + 4));

const isync: Meaning = (s) => {
  s.if(tlbWritten(s), () => trap(s));
  s.contextSynchronize();
};

/** Mode 1's meanings, by mnemonic. */
export const BOOKE_ASSIST: AssistTable = new Map<string, Meaning>([
  ...commonAssist(SPRS_440),
  ['mtmsr', mtmsr],
  ['tlbwe', tlbwe],
  ['isync', isync],
  ['iccci', nothing],
  ['dccci', nothing],
]);
