/**
 * Encodings of 32-bit floating point: Power ISA 2.07 Book I, chapter 4. A processor without the unit takes them for
 * what MSR[FP]=0 makes of them.
 */
import { type Access, define, type InstructionRow } from '../define.ts';
import { fieldBits } from '../fields.ts';
import type { Meaning } from '../semantics.ts';

const unavailable: Meaning = (s) => s.interrupt('floatingPointUnavailable');

const row = (mnemonic: string, encoding: string, syntax: string, invalid?: (word: number) => boolean) =>
  define(mnemonic, encoding, syntax, unavailable, { level: 'float', ...(invalid && { invalid }) });

/** Update forms with RA=0 are invalid. */
const noBase = (word: number): boolean => fieldBits(word, 'RA') === 0;

/** A load or store in its four forms. */
function storage(mnemonic: string, kind: Access['kind'], d: number, x: number): InstructionRow[] {
  const register = kind === 'load' ? 'FRT' : 'FRS';
  return [
    row(mnemonic, `${d} ${register} RA0 D`, `${register},D(RA0)`),
    row(`${mnemonic}u`, `${d + 1} ${register} RA D`, `${register},D(RA)`, noBase),
    row(`${mnemonic}x`, `31 ${register} RA0 RB ${x}:10 x:1`, `${register},RA0,RB`),
    row(`${mnemonic}ux`, `31 ${register} RA RB ${x + 32}:10 x:1`, `${register},RA,RB`, noBase),
  ];
}

/** Arithmetic in double (opcode 63) and single precision (opcode 59), by the operands that take part. */
const both = (encode: (opcode: number, suffix: string) => InstructionRow): InstructionRow[] => [
  encode(63, ''),
  encode(59, 's'),
];
const two = (mnemonic: string, extended: number) =>
  both((opcode, suffix) => row(mnemonic + suffix, `${opcode} FRT FRA FRB 0:5 ${extended}:5 Rc`, 'FRT,FRA,FRB'));
const three = (mnemonic: string, extended: number) =>
  both((opcode, suffix) => row(mnemonic + suffix, `${opcode} FRT FRA FRB FRC ${extended}:5 Rc`, 'FRT,FRA,FRC,FRB'));
const one = (mnemonic: string, extended: number) => row(mnemonic, `63 FRT 0:5 FRB ${extended}:10 Rc`, 'FRT,FRB');

export const FLOAT_INSTRUCTIONS: readonly InstructionRow[] = [
  ...storage('lfs', 'load', 48, 535),
  ...storage('lfd', 'load', 50, 599),
  ...storage('stfs', 'store', 52, 663),
  ...storage('stfd', 'store', 54, 727),
  row('stfiwx', '31 FRS RA0 RB 983:10 0:1', 'FRS,RA0,RB'),

  ...two('fadd', 21),
  ...two('fsub', 20),
  ...two('fdiv', 18),
  ...both((opcode, suffix) => row(`fmul${suffix}`, `${opcode} FRT FRA 0:5 FRC 25:5 Rc`, 'FRT,FRA,FRC')),
  ...both((opcode, suffix) => row(`fsqrt${suffix}`, `${opcode} FRT x:5 FRB x:5 22:5 Rc`, 'FRT,FRB')),
  ...three('fmadd', 29),
  ...three('fmsub', 28),
  ...three('fnmadd', 31),
  ...three('fnmsub', 30),
  row('fres', '59 FRT 0:5 FRB 0:5 24:5 Rc', 'FRT,FRB'),
  row('frsqrte', '63 FRT 0:5 FRB 0:5 26:5 Rc', 'FRT,FRB'),
  row('fsel', '63 FRT FRA FRB FRC 23:5 Rc', 'FRT,FRA,FRC,FRB'),

  one('fmr', 72),
  one('fneg', 40),
  one('fabs', 264),
  one('fnabs', 136),
  one('frsp', 12),
  one('fctiw', 14),
  one('fctiwz', 15),
  row('fcmpu', '63 BF 0:2 FRA FRB 0:10 0:1', 'BF,FRA,FRB'),
  row('fcmpo', '63 BF 0:2 FRA FRB 32:10 0:1', 'BF,FRA,FRB'),

  row('mffs', '63 FRT 0:5 x:5 583:10 Rc', 'FRT'),
  row('mcrfs', '63 BF 0:2 BFA 0:2 0:5 64:10 0:1', 'BF,BFA'),
  row('mtfsf', '63 x:1 FLM 0:1 FRB 711:10 Rc', 'FLM,FRB'),
  row('mtfsfi', '63 FPSCR_FIELD 0:2 x:1 0:4 U 0:1 134:10 Rc', 'FPSCR_FIELD,U'),
  row('mtfsb0', '63 FPSCR_BIT 0:5 0:5 70:10 Rc', 'FPSCR_BIT'),
  row('mtfsb1', '63 FPSCR_BIT 0:5 0:5 38:10 Rc', 'FPSCR_BIT'),
];
