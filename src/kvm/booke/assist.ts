/**
 * What KVM lets the processor inline in guest-kernel code (translation mode 1) in place of a trap (DESIGN.md, "KVM's two
 * ways to be fast"), on every member. Each meaning does exactly what the emulation does, on the same words of memory; where
 * it cannot, it traps and the emulation runs.
 */
import type { Meaning, Operand, Semantics } from '../../isa/semantics.ts';
import { MSR } from './bits.ts';
import { W_PID } from './layout.ts';
import { SPECIAL, type SprRow, type SprTable } from './sprs.ts';

/** Special registers that are nothing but a word in the vCPU's block, to read and mostly to write. */
const WORDS: readonly number[] = [SPECIAL.PLAIN, SPECIAL.DEBUG];
/** PID is a word to read; writing it selects another context. */
const PID = 48;

export const trap = (s: Semantics): void => s.interrupt('program', 'privileged');

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

const mfspr =
  (registers: ReadonlyMap<number, SprRow>): Meaning =>
  (s, f) => {
    const row = registers.get(f.SPR);
    if (row?.readable === true) s.setGpr(f.RT, s.wordFromUnsigned32(s.blockWord(row.word * 4)));
    else if (f.SPR === PID) s.setGpr(f.RT, s.wordFromUnsigned32(s.blockWord(W_PID * 4)));
    else trap(s);
  };

const mtspr =
  (registers: ReadonlyMap<number, SprRow>): Meaning =>
  (s, f) => {
    const row = registers.get(f.SPR);
    if (row === undefined || !row.writable || row.special !== SPECIAL.PLAIN) return trap(s);
    const value = s.low32(s.gpr(f.RS));
    s.setBlockWord(row.word * 4, row.mask === -1 ? value : s.and(value, row.mask));
  };

/** The vector code does it (vectors.ts). */
const rfi: Meaning = (s) => s.interrupt('assist');

export const nothing: Meaning = () => {};

/** Mode 1's meanings of a member with these registers, by mnemonic. */
export function commonAssist(table: SprTable): [string, Meaning][] {
  const rows = table.rows.filter((row) => row.word >= 0 && WORDS.includes(row.special));
  const registers = new Map<number, SprRow>(rows.map((row) => [row.spr, row]));
  return [
    ['mfmsr', mfmsr],
    ['wrtee', wrtee],
    ['wrteei', wrteei],
    ['mfspr', mfspr(registers)],
    ['mtspr', mtspr(registers)],
    ['rfi', rfi],
    ['tlbsync', nothing],
  ];
}
