/** What the meanings of several families have in common. */
import { FACILITY } from '../registers/define.ts';
import type { Expr, Facility, Operand, Operands, Semantics } from '../semantics.ts';

/** A value of the word type as the computation mode looks at it. */
export function inMode(s: Semantics, value: Expr): Expr {
  return s.computation === 'i32' ? s.low32(value) : value;
}

/** Writes a result to a register, and records it in CR0 when Rc=1. */
export function result(s: Semantics, f: Operands, register: Operand, value: Expr): void {
  if (!f.Rc) {
    s.setGpr(register, value);
    return;
  }
  const pinned = s.let(value);
  s.setGpr(register, pinned);
  s.recordCr0(pinned);
}

/** The sign of a value in the computation mode, as i32. */
export function isNegative(s: Semantics, value: Expr): Expr {
  return s.ltSigned(inMode(s, value), 0);
}

/** A signed immediate operand shifted to the upper half of the low word. */
export function upper(s: Semantics, immediate: Operand): Operand {
  return typeof immediate === 'number' ? immediate << 16 : s.shl(s.wordOf(immediate), 16);
}

/** An unsigned immediate operand shifted to the upper half of the low word. */
export function upperUnsigned(s: Semantics, immediate: Operand): Operand {
  if (typeof immediate !== 'number') return s.shl(s.wordOf(immediate), 16);
  return s.word === 'i32' ? immediate << 16 : immediate * 0x10000;
}

/** A sum as an effective address: 32-bit mode leaves its high half zero (Power ISA 2.07 Book I, 1.10.3). */
export function addressInMode(s: Semantics, sum: Expr): Expr {
  return s.computation === s.word ? sum : s.wordFromUnsigned32(s.low32(sum));
}

/** (RA|0) + RB. */
export function indexedAddress(s: Semantics, f: Operands): Expr {
  return addressInMode(s, s.add(s.gpr(f.RA0), s.gpr(f.RB)));
}

/** Both operands name one register, as far as is known now. */
export function sameRegister(a: Operand, b: Operand): boolean {
  return typeof a === 'number' && a === b;
}

/** Ends the instruction with an interrupt where the mode in use does not have the facility. */
export function requireFacility(s: Semantics, facility: Facility | undefined): void {
  if (facility === undefined) return;
  const available = s.and(s.state('facilities'), 1 << FACILITY[facility]);
  s.if(s.eqz(available), () => s.interrupt('facilityUnavailable', facility));
}
