/**
 * What KVM lets the processor inline in the code of a Book3S 64 guest's kernel (translation mode 1) in place of a trap
 * (DESIGN.md, "KVM's two ways to be fast"). Each meaning does exactly what the emulation does, on the same words of memory;
 * where it cannot, it traps and the emulation runs. Mode 1 is 64-bit mode in the byte order of memory, not problem state.
 */
import type { Expr, Meaning, Semantics } from '../../isa/semantics.ts';
import { type AssistTable, LEVELS_OF } from '../../processor/index.ts';
import { FPSCR_FEX, MSR, MSR_FE, MSR_KEPT, MSR_L1, MSR_TRACE } from '../book3s/bits.ts';
import { W_ASSIST_KIND, W_ASSIST_MSR, W_PPR } from '../book3s/layout.ts';
import type { ServerModel } from './models.ts';
import { RIGHT, SPECIAL, type SprRow, sprTable } from './sprs.ts';

/** What an assist interrupt is: the vector code does it (vectors.ts). */
export const ASSIST_KIND = { RETURN: 0, SET_MSR: 1 } as const;

/** Numbers that stand for registers which the processor knows no number of (variants.ts). */
const STAND_INS: readonly number[] = [0, 1023];
const INLINED: readonly number[] = [SPECIAL.WIDE, SPECIAL.WORD, SPECIAL.IGNORED, SPECIAL.DSISR, SPECIAL.PPR32];
/** PPR's upper word. */
const PPR_HIGH = W_PPR + 1;

const trap = (s: Semantics): void => s.interrupt('program', 'privileged');

/** MSR's facility bits where the processor looks for them: Book3sContext does the same. */
export function setFacilities(s: Semantics, msr: Expr): void {
  s.setState('floatAvailable', s.and(msr, MSR.FP));
  s.setState('floatInterrupts', s.and(msr, MSR.FE0 | MSR.FE1));
  s.setState('vectorAvailable', s.and(msr, MSR.VEC));
  s.setState('vsxAvailable', s.and(msr, MSR.VSX));
}

/** Whether a value of MSR would let a pending interrupt in. */
export const letsInterruptIn = (s: Semantics, msr: Expr): Expr =>
  s.and(s.ne(s.and(msr, MSR.EE), 0), s.ne(s.shared('intPending'), 0));

/** Whether a value of MSR would let a floating-point exception interrupt. */
export const letsFloatInterrupt = (s: Semantics, msr: Expr): Expr =>
  s.and(s.ne(s.and(msr, MSR_FE), 0), s.ne(s.and(s.state('fpscr'), FPSCR_FEX), 0));

const mfmsr: Meaning = (s, f) => s.setGpr(f.RT, s.sharedWide('msr'));

/** mtmsr and mtmsrd with L=1: EE and RI. */
const setExternal: Meaning = (s, f) => {
  const value = s.let(s.and(s.low32(s.gpr(f.RS)), MSR_L1));
  s.if(
    letsInterruptIn(s, value),
    () => trap(s),
    () => s.setShared('msr', s.or(s.and(s.shared('msr'), ~MSR_L1), value)),
  );
};

/**
 * mtmsr and mtmsrd: what changes of the translation is the vector code's, what waits, traces or leaves the kernel the
 * emulation's.
 */
const moveToMsr =
  ({ msrMask }: ServerModel, wide: boolean): Meaning =>
  (s, f) => {
    if (f.MSR_L === 1) return setExternal(s, f);
    const value = s.let(s.gpr(f.RS));
    const low = s.low32(value);
    const msr = s.let(s.shared('msr'));
    const next = s.let(s.or(s.and(low, msrMask & ~MSR_KEPT & ~MSR.POW), s.and(msr, MSR_KEPT)));
    const leaves = s.ne(s.and(low, MSR.POW | MSR.PR | MSR_TRACE), 0);
    const narrows = wide ? s.geSigned(value, 0) : s.i32(0);
    s.if(
      s.or(s.or(leaves, narrows), s.or(letsInterruptIn(s, next), letsFloatInterrupt(s, next))),
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
          },
        ),
    );
  };

const rfid: Meaning = (s) => {
  s.setBlockWord(W_ASSIST_KIND * 4, s.i32(ASSIST_KIND.RETURN));
  s.interrupt('assist');
};

const mfspr =
  (registers: ReadonlyMap<number, SprRow>): Meaning =>
  (s, f) => {
    const row = registers.get(f.SPR);
    if (row === undefined || (row.rights & RIGHT.READ) === 0) return trap(s);
    switch (row.special) {
      case SPECIAL.WORD:
        return s.setGpr(f.RT, s.wordFromUnsigned32(s.blockWord(row.word * 4)));
      case SPECIAL.IGNORED:
        return s.setGpr(f.RT, s.wordOf(0));
      case SPECIAL.DSISR:
        return s.setGpr(f.RT, s.wordFromUnsigned32(s.shared('dsisr')));
      case SPECIAL.PPR32:
        return s.setGpr(f.RT, s.wordFromUnsigned32(s.blockWord(PPR_HIGH * 4)));
      default:
        return s.setGpr(f.RT, s.blockDoubleword(row.word * 4));
    }
  };

const ALL_BITS = (1n << 64n) - 1n;

const mtspr =
  (registers: ReadonlyMap<number, SprRow>): Meaning =>
  (s, f) => {
    const row = registers.get(f.SPR);
    if (row === undefined || (row.rights & RIGHT.WRITE) === 0) return trap(s);
    switch (row.special) {
      case SPECIAL.WIDE: {
        const value = s.gpr(f.RS);
        const kept = row.mask === ALL_BITS ? value : s.and(value, s.i64(row.mask));
        return s.setBlockDoubleword(row.word * 4, kept);
      }
      case SPECIAL.WORD:
        return s.setBlockWord(row.word * 4, s.low32(s.gpr(f.RS)));
      case SPECIAL.DSISR:
        return s.setShared('dsisr', s.low32(s.gpr(f.RS)));
      case SPECIAL.PPR32:
        return s.setBlockWord(PPR_HIGH * 4, s.low32(s.gpr(f.RS)));
      default: // ignored
    }
  };

const nothing: Meaning = () => {};

/** Mode 1's meanings on a model, by mnemonic. */
export function book3sAssist(model: ServerModel): AssistTable {
  const registers = new Map<number, SprRow>(
    sprTable(LEVELS_OF[model.name])
      .rows.filter((row) => INLINED.includes(row.special) && !STAND_INS.includes(row.spr))
      .map((row) => [row.spr, row]),
  );
  return new Map<string, Meaning>([
    ['mfmsr', mfmsr],
    ['mtmsr', moveToMsr(model, false)],
    ['mtmsrd', moveToMsr(model, true)],
    ['mfspr', mfspr(registers)],
    ['mtspr', mtspr(registers)],
    ['rfid', rfid],
    ['rfi', rfid],
    ['tlbsync', nothing],
  ]);
}
