/**
 * What KVM lets the processor inline in guest-kernel code (translation mode 1) in place of a trap (DESIGN.md, "KVM's two
 * ways to be fast"). Each meaning does exactly what the emulation does, on the same words of memory; where it cannot, it
 * traps and the emulation runs.
 */
import type { Meaning, Operand, Semantics } from '../../isa/semantics.ts';
import { type AssistTable, TLB44X } from '../../processor/index.ts';
import { MMUCR_STID, MSR, MSR_MASK } from './bits.ts';
import {
  GUEST_TLB_ENTRIES,
  STAGED,
  W_MMUCR,
  W_PID,
  W_STAGED_INDEX,
  W_STAGED_TID,
  W_STAGED_WORD0,
  W_STAGED_WORD1,
  W_STAGED_WORDS,
} from './layout.ts';
import { SPECIAL, SPR_ROWS, type SprRow } from './sprs.ts';

/** Special registers that are nothing but a word in the vCPU's block, by number. */
const PLAIN_SPRS = new Map<number, SprRow>(
  SPR_ROWS.filter((row) => row.word >= 0 && (row.special === SPECIAL.PLAIN || row.special === SPECIAL.READ_ONLY)).map(
    (row) => [row.spr, row],
  ),
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

/** mtmsr that changes nothing but EE. */
const mtmsr: Meaning = (s, f) => {
  const value = s.let(s.and(s.low32(s.gpr(f.RS)), MSR_MASK));
  const others = s.and(s.xor(value, s.shared('msr')), ~MSR.EE);
  const blocked = s.and(s.ne(s.and(value, MSR.EE), 0), s.ne(s.shared('intPending'), 0));
  s.if(
    s.or(s.ne(others, 0), blocked),
    () => trap(s),
    () => s.setShared('msr', value),
  );
};

const mfspr: Meaning = (s, f) => {
  const row = PLAIN_SPRS.get(f.SPR);
  if (row !== undefined) s.setGpr(f.RT, s.wordFromUnsigned32(s.blockWord(row.word * 4)));
  else if (f.SPR === PID) s.setGpr(f.RT, s.wordFromUnsigned32(s.blockWord(W_PID * 4)));
  else trap(s);
};

const mtspr: Meaning = (s, f) => {
  const row = PLAIN_SPRS.get(f.SPR);
  if (row === undefined || row.special !== SPECIAL.PLAIN) return trap(s);
  const value = s.low32(s.gpr(f.RS));
  s.setBlockWord(row.word * 4, row.mask === -1 ? value : s.and(value, row.mask));
};

/**
 * tlbwe of words 0 and 1 is put off: Linux writes word 2 last, which traps, and so does whatever must see the entry
 * (any exit, isync). One entry at a time; a word 0 that invalidates traps at once. Until a context synchronisation
 * hardware may use the old entry too (Book III-E, "Synchronization Requirements").
 */
const tlbwe: Meaning = (s, f) => {
  if (f.WS > 1) return trap(s);
  const value = s.let(s.low32(s.gpr(f.RS)));
  const index = s.let(s.add(s.and(s.low32(s.gpr(f.RA)), GUEST_TLB_ENTRIES - 1), 1));
  const staged = s.let(s.blockWord(W_STAGED_INDEX * 4));
  let busy = s.and(s.ne(staged, 0), s.ne(staged, index));
  if (f.WS === 0) busy = s.or(busy, s.eqz(s.and(value, TLB44X.VALID)));
  s.if(
    busy,
    () => trap(s),
    () => {
      s.setBlockWord(W_STAGED_INDEX * 4, index);
      const which = f.WS === 0 ? STAGED.WORD0 : STAGED.WORD1;
      s.setBlockWord(W_STAGED_WORDS * 4, s.or(s.blockWord(W_STAGED_WORDS * 4), which));
      s.setBlockWord((f.WS === 0 ? W_STAGED_WORD0 : W_STAGED_WORD1) * 4, value);
      if (f.WS === 0) s.setBlockWord(W_STAGED_TID * 4, s.and(s.blockWord(W_MMUCR * 4), MMUCR_STID));
    },
  );
};

const isync: Meaning = (s) => {
  s.if(s.ne(s.blockWord(W_STAGED_INDEX * 4), 0), () => trap(s));
  s.contextSynchronize();
};

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
  ['tlbsync', nothing],
  ['iccci', nothing],
  ['dccci', nothing],
]);
