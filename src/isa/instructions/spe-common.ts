/** What the instructions of the signal processing engine have in common (SPE Programming Environments Manual). */
import { define, type InstructionRow, type Traits } from '../define.ts';
import type { Expr, Meaning, Operand, Operands, Semantics } from '../semantics.ts';

const SPE: Traits = { level: 'spe' };

/** A meaning that wants MSR[SPE]=1. */
export function speMeaning(meaning: Meaning): Meaning {
  return (s, f) => {
    s.if(s.eqz(s.state('speAvailable')), () => s.interrupt('speUnavailable'));
    meaning(s, f);
  };
}

/** A row that wants MSR[SPE]=1; `operands` is the encoding between the primary and the extended opcode. */
export const speRow = (
  mnemonic: string,
  opcode: number,
  operands: string,
  syntax: string,
  meaning: Meaning,
): InstructionRow => define(mnemonic, `4 ${operands} ${opcode}:11`, syntax, speMeaning(meaning), SPE);

/** One of SPE that looks at no upper half, and so has no facility to want. */
export const scalarRow = (
  mnemonic: string,
  opcode: number,
  operands: string,
  syntax: string,
  meaning: Meaning,
): InstructionRow => define(mnemonic, `4 ${operands} ${opcode}:11`, syntax, meaning, SPE);

/** The two elements of a register. */
export interface Elements {
  readonly high: Expr;
  readonly low: Expr;
}

/** A register's elements, not evaluated yet. */
export const elements = (s: Semantics, register: Operand): Elements => ({
  high: s.gprHigh(register),
  low: s.low32(s.gpr(register)),
});

/** The same, each in a temporary. */
export const pinned = (s: Semantics, register: Operand): Elements => ({
  high: s.let(s.gprHigh(register)),
  low: s.let(s.low32(s.gpr(register))),
});

/** Writes both elements, which may be made of what is overwritten. */
export function setElements(s: Semantics, register: Operand, high: Expr, low: Expr): void {
  const [first, second] = [s.let(high), s.let(low)];
  s.setGprHigh(register, first);
  s.setGpr(register, s.wordFromUnsigned32(second));
}

/** Two elements as one value of 64 bits, and back. */
export const joined = (s: Semantics, { high, low }: Elements): Expr =>
  s.or(s.shl(s.extendUnsigned(high), s.i64(32)), s.extendUnsigned(low));
export const highOf = (s: Semantics, wide: Expr): Expr => s.wrap(s.shrUnsigned(wide, s.i64(32)));

/** A register as one value of 64 bits. */
export const wideGpr = (s: Semantics, register: Operand): Expr => joined(s, elements(s, register));

export function setWideGpr(s: Semantics, register: Operand, value: Expr): void {
  const wide = s.let(value);
  s.setGprHigh(register, highOf(s, wide));
  s.setGpr(register, s.wordFromUnsigned32(s.wrap(wide)));
}

/** Bits of SPEFSCR for the low element; for the high one they stand 16 bits further left. */
const SOV = 0x8000;
const OV = 0x4000;
const FLAGS = (OV << 16) | OV;

/** SPEFSCR[OVH] and [OV], 0 or 1 each, and what they add to [SOVH] and [SOV]. */
export function setOverflow(s: Semantics, high: Expr, low: Expr): void {
  const flags = s.or(s.select(high, ((SOV | OV) << 16) | 0, 0), s.select(low, SOV | OV, 0));
  s.setState('spefscr', s.or(s.and(s.state('spefscr'), ~FLAGS), flags));
}

export type Unary = (s: Semantics, a: Expr) => Expr;
export type Binary = (s: Semantics, a: Expr, b: Expr, f: Operands) => Expr;

/** RT ← op RA, in both elements. */
export const eachOf = (mnemonic: string, opcode: number, operate: Unary): InstructionRow =>
  speRow(mnemonic, opcode, 'RT RA /:5', 'RT,RA', (s, f) => {
    const a = pinned(s, f.RA);
    setElements(s, f.RT, operate(s, a.high), operate(s, a.low));
  });

/** RT ← RA op RB, in both elements. */
export const eachPair = (mnemonic: string, opcode: number, operate: Binary, syntax = 'RT,RA,RB'): InstructionRow =>
  speRow(mnemonic, opcode, 'RT RA RB', syntax, (s, f) => {
    const [a, b] = [pinned(s, f.RA), pinned(s, f.RB)];
    setElements(s, f.RT, operate(s, a.high, b.high, f), operate(s, a.low, b.low, f));
  });
