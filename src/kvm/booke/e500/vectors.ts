/** An e500's part of the vector code. */
import type { Expr } from '../../../isa/semantics.ts';
import { BOOKE_VECTOR, ESR, MAS1, MAS2, MAS3, type VectorSemantics } from '../../../processor/index.ts';
import {
  E500_GUEST_TLB,
  E500_TLB0_MOST,
  W_MAGIC_EFFECTIVE,
  W_MAGIC_MAPPED,
  W_NEXT_VICTIM0,
  W_PID,
  W_PID1,
  W_PID2,
  W_TLB0_WAYS,
  W_TLB1_ENTRIES,
} from '../layout.ts';
import { bookeVectors } from '../vectors.ts';
import { setOffset, setSpe, tlbWritten } from './assist.ts';
import { MAS0, MAS4, MAS6, MSR_E500 } from './bits.ts';

/** GuestTlbE500.search in address space 0, PID1 and PID2 being 0: leaves if an entry matches. */
function leaveOnMatch(s: VectorSemantics, address: Expr): void {
  // The magic page is KVM's, whatever the guest has there.
  const isMagic = s.eq(s.and(address, ~0xfff), s.blockWord(W_MAGIC_EFFECTIVE * 4));
  s.if(s.and(isMagic, s.blockWord(W_MAGIC_MAPPED * 4)), () => s.leave());
  const pid = s.let(s.blockWord(W_PID * 4));
  const scan = (first: Expr, count: Expr): void => {
    const at = s.cell(first);
    const end = s.let(s.add(first, s.shl(count, 4)));
    s.while(
      () => s.ltUnsigned(at.get(), end),
      () => {
        const mas1 = s.let(s.blockWordAt(at.get(), E500_GUEST_TLB));
        s.if(s.eq(s.and(mas1, MAS1.VALID | MAS1.TS), MAS1.VALID), () => {
          const size = s.let(s.and(s.shrUnsigned(mas1, MAS1.TSIZE_SHIFT), 15));
          const mask = s.select(s.gtUnsigned(size, 10), 0, s.shl(s.i32(-1024), s.shl(size, 1)));
          const differs = s.and(s.xor(s.blockWordAt(at.get(), E500_GUEST_TLB + 4), address), mask);
          const tid = s.let(s.and(s.shrUnsigned(mas1, MAS1.TID_SHIFT), 0xff));
          s.if(s.and(s.eqz(differs), s.or(s.eqz(tid), s.eq(tid, pid))), () => s.leave());
        });
        at.set(s.add(at.get(), 16));
      },
    );
  };
  scan(s.let(setOffset(s, address)), s.blockWord(W_TLB0_WAYS * 4));
  scan(s.i32(E500_TLB0_MOST * 16), s.blockWord(W_TLB1_ENTRIES * 4));
}

/** InterruptsE500.missed in address space 0. */
function missed(s: VectorSemantics, address: Expr): void {
  const mas4 = s.let(s.shared('mas4'));
  const pid = s.let(s.blockWord(W_PID * 4));
  const tlb = s.let(s.and(s.shrUnsigned(mas4, MAS4.TLBSELD_SHIFT), 1));
  const next = s.let(s.blockWord(W_NEXT_VICTIM0 * 4));
  const victim = s.let(s.select(tlb, 0, next));
  s.if(s.eqz(tlb), () =>
    s.setBlockWord(W_NEXT_VICTIM0 * 4, s.and(s.add(next, 1), s.sub(s.blockWord(W_TLB0_WAYS * 4), 1))),
  );
  const select = s.or(s.shl(tlb, MAS0.TLBSEL_SHIFT), s.shl(victim, MAS0.ESEL_SHIFT));
  s.setShared('mas0', s.or(select, s.blockWordAt(s.shl(tlb, 2), W_NEXT_VICTIM0 * 4)));
  // PID1 and PID2 are 0, as is the last choice.
  const isFirst = s.eqz(s.and(mas4, MAS4.TIDSELD << MAS4.TIDSELD_SHIFT));
  const tid = s.shl(s.select(isFirst, pid, 0), MAS1.TID_SHIFT);
  s.setShared('mas1', s.or(s.or(tid, MAS1.VALID), s.and(mas4, MAS4.TSIZED)));
  s.setShared('mas2', s.or(s.and(address, MAS2.EPN), s.and(mas4, MAS4.DEFAULTS)));
  s.setShared('mas3', s.and(s.shared('mas3'), MAS3.USER));
  s.setShared('mas6', s.shl(pid, MAS6.SPID0_SHIFT));
}

export const vectorsE500 = bookeVectors({
  msrMask: MSR_E500.MASK,
  unavailable: { vector: BOOKE_VECTOR.speUnavailable, bit: MSR_E500.SPE, esr: ESR.SPE },
  setUnits: setSpe,
  interrupts: (s) => s.i32(0),
  blocked: (s) => s.or(tlbWritten(s), s.or(s.blockWord(W_PID1 * 4), s.blockWord(W_PID2 * 4))),
  leaveOnMatch,
  missed,
});
