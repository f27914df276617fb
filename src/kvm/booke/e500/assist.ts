/** What KVM lets the processor inline in an e500 guest's kernel, beside what all members have (../assist.ts). */
import type { Expr, Meaning, Semantics } from '../../../isa/semantics.ts';
import { type AssistTable, MAS1 } from '../../../processor/index.ts';
import { commonAssist, trap } from '../assist.ts';
import { MSR } from '../bits.ts';
import {
  E500_GUEST_TLB,
  E500_TLB_LOG,
  E500_TLB_LOG_ENTRIES,
  W_TLB_LOGGED,
  W_TLB0_SETS,
  W_TLB0_WAYS,
} from '../layout.ts';
import { SPRS_E500 } from '../sprs.ts';
import { MAS0, MSR_E500 } from './bits.ts';
import { MAS1_ENTRY, MAS2_ENTRY, MAS3_ENTRY, MAS7_ENTRY, TLB0_SIZE } from './mmu.ts';

/** MSR's bit of the unit where the processor looks for it: ContextE500.refreshUnits. */
export const setSpe = (s: Semantics, msr: Expr): void => s.setState('speAvailable', s.and(msr, MSR_E500.SPE));

/** mtmsr that changes nothing but EE and what the unit depends on. */
const mtmsr: Meaning = (s, f) => {
  const value = s.let(s.and(s.low32(s.gpr(f.RS)), MSR_E500.MASK));
  const others = s.and(s.xor(value, s.shared('msr')), ~(MSR.EE | MSR_E500.SPE));
  const blocked = s.and(s.ne(s.and(value, MSR.EE), 0), s.ne(s.shared('intPending'), 0));
  s.if(
    s.or(s.ne(others, 0), blocked),
    () => trap(s),
    () => {
      s.setShared('msr', value);
      setSpe(s, value);
    },
  );
};

/** Whether a tlbwe waits to take effect. */
export const tlbWritten = (s: Semantics): Expr => s.blockWord(W_TLB_LOGGED * 4);

/** Byte offset, behind the guest's TLB, of the first entry of an address's set in TLB0. */
export const setOffset = (s: Semantics, address: Expr): Expr => {
  const set = s.and(s.shrUnsigned(address, 12), s.sub(s.blockWord(W_TLB0_SETS * 4), 1));
  return s.shl(s.mul(set, s.blockWord(W_TLB0_WAYS * 4)), 4);
};

/**
 * tlbwe writes an entry of the guest's TLB0; what follows from that (shadows) is put off until a context synchronisation, or
 * until KVM has to look at the TLB: all exits begin with it. Until then hardware may use the old entry too (EREF,
 * "Synchronization Requirements").
 */
const tlbwe: Meaning = (s) => {
  const mas0 = s.let(s.shared('mas0'));
  const logged = s.let(tlbWritten(s));
  s.if(
    s.or(s.and(mas0, 1 << MAS0.TLBSEL_SHIFT), s.geUnsigned(logged, E500_TLB_LOG_ENTRIES)),
    () => trap(s),
    () => {
      const mas2 = s.let(s.shared('mas2'));
      const way = s.and(s.shrUnsigned(mas0, MAS0.ESEL_SHIFT), s.sub(s.blockWord(W_TLB0_WAYS * 4), 1));
      const at = s.let(s.add(setOffset(s, mas2), s.shl(way, 4)));
      const mas1 = s.and(s.shared('mas1'), MAS1_ENTRY & ~(MAS1.TSIZE | MAS1.IPROT));
      s.setBlockWordAt(at, E500_GUEST_TLB, s.or(mas1, TLB0_SIZE));
      s.setBlockWordAt(at, E500_GUEST_TLB + 4, s.and(mas2, MAS2_ENTRY));
      s.setBlockWordAt(at, E500_GUEST_TLB + 8, s.and(s.shared('mas3'), MAS3_ENTRY));
      s.setBlockWordAt(at, E500_GUEST_TLB + 12, s.and(s.shared('mas7'), MAS7_ENTRY));
      s.setBlockWordAt(s.shl(logged, 2), E500_TLB_LOG, s.shrUnsigned(at, 4));
      s.setBlockWord(W_TLB_LOGGED * 4, s.add(logged, 1));
    },
  );
};

const isync: Meaning = (s) => {
  s.if(tlbWritten(s), () => trap(s));
  s.contextSynchronize();
};

/** Mode 1's meanings, by mnemonic. */
export const E500_ASSIST: AssistTable = new Map<string, Meaning>([
  ...commonAssist(SPRS_E500),
  ['mtmsr', mtmsr],
  ['tlbwe', tlbwe],
  ['isync', isync],
]);
