/** What vector-scalar floating-point instructions have in common. Power ISA 2.07 Book I, chapter 7. */
import { define, type InstructionRow, type Level } from '../define.ts';
import { EXCEPTIONS, FPSCR, raised } from '../float/fpscr.ts';
import type { Expr, Meaning, Operands, Semantics } from '../semantics.ts';
import { interruptIfEnabled } from './float-common.ts';
import { vsxMeaning } from './vector-common.ts';

/** XT ← XA op XB. */
export const xx3 = (mnemonic: string, extended: number, meaning: Meaning, level: Level = 'vsx'): InstructionRow =>
  define(mnemonic, `60 XT XA XB ${extended}:8 XA XB XT`, 'XT,XA,XB', vsxMeaning(meaning), { level });

/** XT ← op XB. */
export const xx2 = (mnemonic: string, extended: number, meaning: Meaning, level: Level = 'vsx'): InstructionRow =>
  define(mnemonic, `60 XT /:5 XB ${extended}:9 XB XT`, 'XT,XB', vsxMeaning(meaning), { level });

/** BF ← op XB. */
export const xx2Field = (mnemonic: string, extended: number, meaning: Meaning): InstructionRow =>
  define(mnemonic, `60 BF /:2 /:5 XB ${extended}:9 XB /:1`, 'BF,XB', vsxMeaning(meaning), { level: 'vsx' });

/** BF ← XA op XB. */
export const xx3Field = (mnemonic: string, extended: number, meaning: Meaning): InstructionRow =>
  define(mnemonic, `60 BF /:2 XA XB ${extended}:8 XA XB /:1`, 'BF,XA,XB', vsxMeaning(meaning), { level: 'vsx' });

export type Half = 0 | 1;
export const HALVES = [0, 1] as const;

/** Writes a scalar result; the other doubleword, which is undefined, stays as it is. */
export function writeScalar(s: Semantics, f: Operands, value: Expr): void {
  s.setVsrHalf(f.XT, 0, value);
  interruptIfEnabled(s);
}

/** Writes results to both doublewords. */
export function writeHalves(s: Semantics, f: Operands, value: (half: Half) => Expr): void {
  const [left, right] = [s.let(value(0)), s.let(value(1))];
  s.setVsrHalf(f.XT, 0, left);
  s.setVsrHalf(f.XT, 1, right);
}

/**
 * Computes both doublewords, whose exceptions add up, and writes them unless one of those is enabled. FR, FI and FPRF stay
 * as they are (7.4).
 * @param then what else is done with the results when there is no enabled exception.
 */
export function writeVector(
  s: Semantics,
  f: Operands,
  value: (half: Half) => Expr,
  then?: (left: Expr, right: Expr) => void,
): void {
  const before = s.let(s.state('fpscr'));
  const CONTROL = 0xff;
  s.setState('fpscr', s.and(before, CONTROL));
  const [left, right] = [s.let(value(0)), s.let(value(1))];
  const raisedNow = s.let(s.state('fpscr'));
  s.setState('fpscr', raised(s, before, s.let(s.and(raisedNow, EXCEPTIONS))));
  s.if(s.eqz(s.and(raisedNow, FPSCR.FEX)), () => {
    s.setVsrHalf(f.XT, 0, left);
    s.setVsrHalf(f.XT, 1, right);
    then?.(left, right);
  });
  interruptIfEnabled(s);
}
