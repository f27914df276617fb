/** Special purpose registers: Power ISA 2.07 Book I 3.3.17, Book II 6.2.1. */
import { define, type InstructionRow } from '../define.ts';
import { isPrivilegedRegister, registersOf } from '../registers/index.ts';
import type { Operand, Semantics } from '../semantics.ts';
import { requireFacility } from './common.ts';

function refuse(s: Semantics, number: number): void {
  s.interrupt('program', isPrivilegedRegister(number) ? 'privileged' : 'illegal');
}

function moveFrom(s: Semantics, target: Operand, number: number): void {
  const register = registersOf(s.levels).get(number);
  if (register?.read === undefined) {
    refuse(s, number);
    return;
  }
  requireFacility(s, register.facility);
  s.setGpr(target, register.read(s));
}

export const SPECIAL_INSTRUCTIONS: readonly InstructionRow[] = [
  define('mfspr', '31 RT SPR 339:10 /:1', 'RT,SPR', (s, f) => moveFrom(s, f.RT, f.SPR)),
  define('mtspr', '31 RS SPR 467:10 /:1', 'SPR,RS', (s, f) => {
    const register = registersOf(s.levels).get(f.SPR);
    if (register?.write === undefined) {
      refuse(s, f.SPR);
      return;
    }
    requireFacility(s, register.facility);
    register.write(s, s.let(s.gpr(f.RS)));
  }),
  define('mftb', '31 RT TBR 371:10 /:1', 'RT,TBR', (s, f) => moveFrom(s, f.RT, f.TBR)),
];
