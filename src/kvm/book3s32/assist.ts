/**
 * What KVM lets the processor inline in the code of a 32-bit Book3S guest's kernel (translation mode 1) in place of a trap
 * (DESIGN.md, "KVM's two ways to be fast"). Each meaning does exactly what the emulation does, on the same words of memory;
 * where it cannot, it traps and the emulation runs.
 */
import type { Expr, Meaning, Operand, Semantics } from '../../isa/semantics.ts';
import { type AssistTable, LEVELS_OF, SR } from '../../processor/index.ts';
import { FPSCR_FEX, MSR, MSR_FE, MSR_TRACE, PREFIX } from '../book3s/bits.ts';
import { SEGMENT_WORDS, W_ASSIST_KIND, W_ASSIST_MSR, W_HIOR, W_SEGMENTS_STALE } from './layout.ts';
import type { ClassicModel } from './models.ts';
import { classicSprs, RIGHT, SPECIAL, type SprRow } from './sprs.ts';

/** What an assist interrupt is: the vector code does it (vectors.ts). */
export const ASSIST_KIND = { RETURN: 0, SET_MSR: 1 } as const;

/** Numbers that stand for registers which the processor knows no number of (variants.ts). */
const STAND_INS: readonly number[] = [0, 1023];
const READ: readonly number[] = [SPECIAL.WORD, SPECIAL.FIXED, SPECIAL.DSISR, SPECIAL.SDR1, SPECIAL.BAT, SPECIAL.DEBUG];
const WRITTEN: readonly number[] = [SPECIAL.WORD, SPECIAL.FIXED, SPECIAL.DSISR];
/** SR's of an ordinary segment. */
const SEGMENT_BITS = SR.KS | SR.KP | SR.N | SR.VSID;

const trap = (s: Semantics): void => s.interrupt('program', 'privileged');

/** MSR's facility bits where the processor looks for them: Book3sContext does the same. */
export function setFacilities(s: Semantics, msr: Expr): void {
  s.setState('floatAvailable', s.and(msr, MSR.FP));
  s.setState('floatInterrupts', s.and(msr, MSR.FE0 | MSR.FE1));
  s.setState('vectorAvailable', s.and(msr, MSR.VEC));
}

/** Where interrupts begin follows from MSR[IP]. */
export function setPrefix(s: Semantics, msr: Expr): void {
  s.setBlockWord(W_HIOR * 4, s.select(s.and(msr, MSR.IP), PREFIX, s.i32(0)));
}

/** Whether a value of MSR would let a pending interrupt in. */
export const letsInterruptIn = (s: Semantics, msr: Expr): Expr =>
  s.and(s.ne(s.and(msr, MSR.EE), 0), s.ne(s.shared('intPending'), 0));

/** Whether a value of MSR would let a floating-point exception interrupt. */
export const letsFloatInterrupt = (s: Semantics, msr: Expr): Expr =>
  s.and(s.ne(s.and(msr, MSR_FE), 0), s.ne(s.and(s.state('fpscr'), FPSCR_FEX), 0));

const mfmsr: Meaning = (s, f) => s.setGpr(f.RT, s.shared('msr'));

/** What changes of the translation is the vector code's, what waits, traces or leaves the kernel the emulation's. */
const mtmsr =
  ({ msrMask }: ClassicModel): Meaning =>
  (s, f) => {
    const value = s.let(s.gpr(f.RS));
    const msr = s.let(s.shared('msr'));
    const next = s.let(s.and(value, msrMask & ~MSR.POW));
    const leaves = s.ne(s.and(value, MSR.POW | MSR.PR | MSR_TRACE), 0);
    s.if(
      s.or(leaves, s.or(letsInterruptIn(s, next), letsFloatInterrupt(s, next))),
      () => trap(s),
      () =>
        s.if(
          s.and(s.xor(next, msr), MSR.IR | MSR.DR),
          () => {
            s.setBlockWord(W_ASSIST_KIND * 4, s.i32(ASSIST_KIND.SET_MSR));
            s.setBlockWord(W_ASSIST_MSR * 4, next);
            s.interrupt('assist');
          },
          () => {
            s.setShared('msr', next);
            setFacilities(s, next);
            setPrefix(s, next);
          },
        ),
    );
  };

const rfi: Meaning = (s) => {
  s.setBlockWord(W_ASSIST_KIND * 4, s.i32(ASSIST_KIND.RETURN));
  s.interrupt('assist');
};

const mfspr =
  (registers: ReadonlyMap<number, SprRow>): Meaning =>
  (s, f) => {
    const row = registers.get(f.SPR);
    if (row === undefined || (row.rights & RIGHT.READ) === 0 || !READ.includes(row.special)) return trap(s);
    return s.setGpr(f.RT, row.special === SPECIAL.DSISR ? s.shared('dsisr') : s.blockWord(row.word * 4));
  };

const mtspr =
  (registers: ReadonlyMap<number, SprRow>): Meaning =>
  (s, f) => {
    const row = registers.get(f.SPR);
    if (row === undefined || (row.rights & RIGHT.WRITE) === 0 || !WRITTEN.includes(row.special)) return trap(s);
    if (row.special === SPECIAL.DSISR) return s.setShared('dsisr', s.gpr(f.RS));
    if (row.special === SPECIAL.FIXED) return;
    return s.setBlockWord(row.word * 4, row.mask === -1 ? s.gpr(f.RS) : s.and(s.gpr(f.RS), row.mask));
  };

/** Where a segment register's word is behind SEGMENT_WORDS: they stand in the order of storage. */
const segmentAt = (s: Semantics, register: Operand): Expr =>
  typeof register === 'number' ? s.i32((register * 4) ^ 4) : s.xor(s.shl(register, 2), 4);

/**
 * A segment register of the guest: the host's follows at the next instruction that synchronizes the context, as all software
 * has to have one (PEM 32, 2.3.18). A segment that is none of memory's has other bits.
 */
const mtsr: Meaning = (s, f) => {
  const value = s.let(s.gpr(f.RS));
  s.if(
    s.and(value, SR.T),
    () => trap(s),
    () => {
      s.setBlockWordAt(segmentAt(s, f.SR), SEGMENT_WORDS, s.and(value, SEGMENT_BITS));
      s.setBlockWord(W_SEGMENTS_STALE * 4, s.i32(1));
    },
  );
};

const mfsr: Meaning = (s, f) => s.setGpr(f.RT, s.blockWordAt(segmentAt(s, f.SR), SEGMENT_WORDS));

/** isync behind what has changed segments: the emulation goes on behind it, with the host's made anew. */
const isync: Meaning = (s) => {
  s.if(s.blockWord(W_SEGMENTS_STALE * 4), () => trap(s));
  s.contextSynchronize();
};

const nothing: Meaning = () => {};

/** Mode 1's meanings on a model, by mnemonic. */
export function classicAssist(model: ClassicModel): AssistTable {
  const registers = new Map<number, SprRow>(
    classicSprs(LEVELS_OF[model.name])
      .rows.filter((row) => !STAND_INS.includes(row.spr))
      .map((row) => [row.spr, row]),
  );
  return new Map<string, Meaning>([
    ['mfmsr', mfmsr],
    ['mtmsr', mtmsr(model)],
    ['mfspr', mfspr(registers)],
    ['mtspr', mtspr(registers)],
    ['mtsr', mtsr],
    ['mfsr', mfsr],
    ['isync', isync],
    ['rfi', rfi],
    ['tlbsync', nothing],
  ]);
}
