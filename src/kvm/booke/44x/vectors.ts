/** A 440's part of the vector code. */
import type { Expr } from '../../../isa/semantics.ts';
import { BOOKE_VECTOR, TLB44X, type VectorSemantics } from '../../../processor/index.ts';
import { MSR, MSR_MASK } from '../bits.ts';
import {
  GUEST_TLB,
  TLB_CHAIN_BITS,
  TLB_CHAIN_HEAD,
  TLB_CHAIN_MATCH,
  TLB_CHAIN_MULTIPLIER,
  TLB_CHAIN_NEXT,
  TLB_SIZES_IN_USE,
  W_PID,
} from '../layout.ts';
import { bookeVectors } from '../vectors.ts';
import { letsFloatInterrupt, setFloat, tlbWritten } from './assist.ts';

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

export const vectors440 = bookeVectors({
  msrMask: MSR_MASK,
  unavailable: { vector: BOOKE_VECTOR.floatingPointUnavailable, bit: MSR.FP, esr: 0 },
  setUnits: setFloat,
  interrupts: letsFloatInterrupt,
  blocked: tlbWritten,
  leaveOnMatch,
});
