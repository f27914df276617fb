/** Special purpose registers: Power ISA 2.07 Book I 3.3.17, Book II 6.2.1. */
import { define, type InstructionRow } from '../define.ts';
import type { Operand, Semantics } from '../semantics.ts';
import { isPrivilegedRegister, openRegister } from '../sprs.ts';

function refuse(s: Semantics, number: number): void {
  s.interrupt('program', isPrivilegedRegister(number) ? 'privileged' : 'illegal');
}

function moveFrom(s: Semantics, target: Operand, number: number): void {
  const read = openRegister(number, s.word)?.read;
  if (read) s.setGpr(target, read(s));
  else refuse(s, number);
}

export const SPECIAL_INSTRUCTIONS: readonly InstructionRow[] = [
  define('mfspr', '31 RT SPR 339:10 /:1', 'RT,SPR', (s, f) => moveFrom(s, f.RT, f.SPR)),
  define('mtspr', '31 RS SPR 467:10 /:1', 'SPR,RS', (s, f) => {
    const write = openRegister(f.SPR, s.word)?.write;
    if (write) write(s, s.let(s.gpr(f.RS)));
    else refuse(s, f.SPR);
  }),
  define('mftb', '31 RT TBR 371:10 /:1', 'RT,TBR', (s, f) => moveFrom(s, f.RT, f.TBR)),
];
