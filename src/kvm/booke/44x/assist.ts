/**
 * What KVM lets the processor inline in guest-kernel code (translation mode 1) in place of a trap (DESIGN.md, "KVM's two
 * ways to be fast"). Each meaning does exactly what the emulation does, on the same words of memory; where it cannot, it
 * traps and the emulation runs.
 */
import type { Expr, Meaning, Operand, Semantics } from '../../../isa/semantics.ts';
import type { AssistTable } from '../../../processor/index.ts';
import { CCR0_DAPUIB, FPSCR_FEX, MMUCR_STID, MSR, MSR_FLOAT, MSR_FLOAT_INTERRUPTS, MSR_MASK } from '../bits.ts';
import { GUEST_TLB, GUEST_TLB_ENTRIES, W_CCR0, W_MMUCR, W_PID, W_TLB_COMPLETED, W_TLB_WRITTEN } from '../layout.ts';
import { SPECIAL, SPRS_440, type SprRow } from '../sprs.ts';
import { WORD0_BITS } from './mmu.ts';

/** Special registers that are nothing but a word in the vCPU's block, to read and mostly to write, by number. */
const WORDS: readonly number[] = [SPECIAL.PLAIN, SPECIAL.DEBUG];
const PLAIN_SPRS = new Map<number, SprRow>(
  SPRS_440.rows.filter((row) => row.word >= 0 && WORDS.includes(row.special)).map((row) => [row.spr, row]),
);
/** PID is a word to read; writing it selects another context. */
const PID = 48;

const trap = (s: Semantics): void => s.interrupt('program', 'privileged');

/** MSR[EE] := the bit of the same place in `value`; traps when that would let a pending interrupt in. */
function setEe(s: Semantics, value: Operand): void {
  const ee = s.let(s.and(value, MSR.EE));
  s.if(
    s.and(s.ne(ee, 0), s.ne(s.shared('intPending'), 0)),
    () => trap(s),
    () => s.setShared('msr', s.or(s.and(s.shared('msr'), ~MSR.EE), ee)),
  );
}

const mfmsr: Meaning = (s, f) => s.setGpr(f.RT, s.wordFromUnsigned32(s.shared('msr')));

const wrtee: Meaning = (s, f) => setEe(s, s.low32(s.gpr(f.RS)));

const wrteei: Meaning = (s, f) => {
  if (f.E === 0) s.setShared('msr', s.and(s.shared('msr'), ~MSR.EE));
  else setEe(s, s.i32(MSR.EE));
};

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

const mfspr: Meaning = (s, f) => {
  const row = PLAIN_SPRS.get(f.SPR);
  if (row?.readable === true) s.setGpr(f.RT, s.wordFromUnsigned32(s.blockWord(row.word * 4)));
  else if (f.SPR === PID) s.setGpr(f.RT, s.wordFromUnsigned32(s.blockWord(W_PID * 4)));
  else trap(s);
};

const mtspr: Meaning = (s, f) => {
  const row = PLAIN_SPRS.get(f.SPR);
  if (row === undefined || !row.writable || row.special !== SPECIAL.PLAIN) return trap(s);
  const value = s.low32(s.gpr(f.RS));
  s.setBlockWord(row.word * 4, row.mask === -1 ? value : s.and(value, row.mask));
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

/** The vector code does it (vectors.ts). */
const rfi: Meaning = (s) => s.interrupt('assist');

const nothing: Meaning = () => {};

/** Mode 1's meanings, by mnemonic. */
export const BOOKE_ASSIST: AssistTable = new Map<string, Meaning>([
  ['mfmsr', mfmsr],
  ['mtmsr', mtmsr],
  ['wrtee', wrtee],
  ['wrteei', wrteei],
  ['mfspr', mfspr],
  ['mtspr', mtspr],
  ['tlbwe', tlbwe],
  ['isync', isync],
  ['rfi', rfi],
  ['tlbsync', nothing],
  ['iccci', nothing],
  ['dccci', nothing],
]);
