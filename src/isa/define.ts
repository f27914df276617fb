import { FIELDS, type FieldName, isParted } from './fields.ts';
import type { Meaning } from './semantics.ts';

/**
 * Groups of instructions that a processor has or has not. A model lists its groups.
 * `base`: 32-bit fixed-point, storage and branch instructions of every PowerPC · `string`: lswi and its kin ·
 * `classic`: what later architectures have left out (mcrxr, dcba) · `isel` · `booke`: Book E system instructions
 * (rfci, wrtee, msync …) · `44x`: TLB and cache instructions of the 440 · `4xx`: device control registers,
 * multiply-accumulate and dlmzb · `float`: 32-bit floating point · `64-bit`: 64-bit fixed point · `float-64`: the
 * conversions between floating-point numbers and doublewords · `server`: synchronisation as Book III-S processors have
 * it · `2.02`, `2.05`, `2.06`, `2.07`: what the architecture of that version has added · `vector`: AltiVec of the 970,
 * `vector-2.07`: what POWER8 has added · `vsx`, `vsx-2.07`: the same of vector-scalar · `decimal`: decimal floating point ·
 * `e500`: TLB, cache-lock and performance-monitor instructions of the e500 · `spe`: its signal processing engine ·
 * `book3s32`: synchronisation, segments and TLB of 32-bit Book3S processors · `604`, `7xx` (750 and 74xx), `74xx`, `745x`,
 * `7455`, `970`, `power7`: registers that only this processor has, or its kind.
 */
export type Level = (typeof LEVELS)[number];
export const LEVELS = [
  'base',
  'string',
  'classic',
  'isel',
  'booke',
  '44x',
  '4xx',
  'e500',
  'spe',
  'book3s32',
  '604',
  '7xx',
  '74xx',
  '745x',
  '7455',
  'float',
  '64-bit',
  'float-64',
  'server',
  '2.02',
  '2.05',
  '2.06',
  '2.07',
  'vector',
  'vector-2.07',
  'vsx',
  'vsx-2.07',
  'decimal',
  '970',
  'power7',
] as const;

const EMBEDDED: ReadonlySet<Level> = new Set(['booke', '44x', '4xx', 'e500', 'spe']);
const CLASSIC: ReadonlySet<Level> = new Set(['book3s32', '604', '7xx', '74xx', '745x', '7455']);
const PPC4XX: ReadonlySet<Level> = new Set(['44x', '4xx']);
const E500: ReadonlySet<Level> = new Set(['e500', 'spe']);
const SERVER: ReadonlySet<Level> = new Set([
  '64-bit',
  'float-64',
  'server',
  '2.02',
  '2.05',
  '2.06',
  '2.07',
  'vector',
  'vector-2.07',
  'vsx',
  'vsx-2.07',
  'decimal',
  '970',
  'power7',
]);

/** Whether a processor of some levels has an instruction. */
export function isOf({ level, until }: Pick<Instruction, 'level' | 'until'>, levels: ReadonlySet<Level>): boolean {
  return levels.has(level) && !(until !== undefined && levels.has(until));
}

/** AltiVec came to 32-bit processors first. */
const WIDE: ReadonlySet<Level> = new Set([...SERVER].filter((level) => level !== 'vector'));

/** No processor has levels of both. */
const APART = [
  [EMBEDDED, SERVER],
  [EMBEDDED, CLASSIC],
  [WIDE, CLASSIC],
  [PPC4XX, E500],
] as const;

/** Whether a processor can have both levels. */
export function areCompatible(a: Level, b: Level): boolean {
  return !APART.some(([one, other]) => (one.has(a) && other.has(b)) || (other.has(a) && one.has(b)));
}

/** What an instruction does to storage, for those that only move one item between storage and a register: MMIO emulation reads it. */
export interface Access {
  readonly kind: 'load' | 'store';
  readonly bytes: 1 | 2 | 4 | 8;
  readonly signed?: boolean;
  readonly reversed?: boolean;
  /** An FPR's, as it stands there or converted from and to the single format; else a GPR's. */
  readonly float?: 'bits' | 'single';
  readonly update?: boolean;
  /** The address is (RA|0)+(RB), else (RA|0)+D … */
  readonly indexed?: boolean;
  /** … or (RA|0)+DS. */
  readonly scaled?: boolean;
}

export interface Traits {
  readonly level?: Level;
  /** Processors of this level have another row instead: bits that were reserved have become fields there. */
  readonly until?: Level;
  /** Problem state (MSR[PR]=1) gets a program interrupt. For mfspr and mtspr the register decides. */
  readonly privileged?: boolean;
  /** Ends a basic block: what follows is not (only) reached by falling through. */
  readonly ends?: boolean;
  /** Only the interpreter runs it: too rare or too dynamic to be translated. */
  readonly interpreted?: boolean;
  readonly access?: Access;
  /** Words of the encoding whose operands make an invalid form, which the processor takes for an illegal instruction. */
  readonly invalid?: (word: number) => boolean;
}

/** One instruction: encoding, assembler syntax, where it exists, and what it means. */
export interface Instruction extends Traits {
  readonly id: number;
  /** Without the suffixes that OE (o), Rc (.), LK (l) and AA (a) add. */
  readonly mnemonic: string;
  /** An instruction word w is this instruction when (w & mask) === value (both int32). */
  readonly mask: number;
  readonly value: number;
  /** Reserved bits, which every processor ignores (`define` says why); assemblers leave them zero. */
  readonly reserved: number;
  /** Fields in the order of the encoding. */
  readonly fields: readonly FieldName[];
  /**
   * Operands in assembler order: field names, with `D(RA0)` for a displacement, and in brackets what may be left out
   * when it is zero.
   */
  readonly syntax: string;
  readonly level: Level;
  /** Null where there is no meaning in problem state (a privileged instruction) or no unit to run it. */
  readonly meaning: Meaning | null;
}

export type InstructionRow = Omit<Instruction, 'id'>;

/**
 * Defines an instruction.
 *
 * `encoding` gives the 32 bits from the left as the manual draws them: the primary opcode, then field names and
 * constants as `value:bits`. SH6 and the vector-scalar registers stand twice: for their low bits and their high one.
 *
 * What the manual draws as `/` and reserves is `/:bits`. No processor looks at those bits: Power ISA 2.07 Book I 1.3.3 has
 * servers ignore them, and the PPC440x5 user's manual (9.2) says that the core carries out such forms without an
 * illegal-instruction exception. So what later architectures have put there is what it was before (mffsl is mffs).
 * @example define('add', '31 RT RA RB OE 266:9 Rc', 'RT,RA,RB', (s, f) => …)
 * @throws RangeError when the encoding does not come to 32 bits or a field is out of its place.
 */
export function define(
  mnemonic: string,
  encoding: string,
  syntax: string,
  meaning: Meaning | null,
  traits: Traits = {},
): InstructionRow {
  const tokens = encoding.split(' ');
  let at = 0;
  let mask = 0;
  let value = 0;
  let reserved = 0;
  const fields: FieldName[] = [];
  for (const [index, token] of tokens.entries()) {
    if (token.startsWith('/:')) {
      const bits = Number(token.slice(2));
      reserved |= (2 ** bits - 1) << (32 - at - bits);
      at += bits;
    } else if (/^\d/.test(token)) {
      const [digits, width] = index === 0 ? [token, '6'] : token.split(':');
      const bits = Number(width);
      const ones = 2 ** bits - 1;
      if (!(Number(digits) <= ones)) throw new RangeError(`${mnemonic}: ${token} does not fit its width`);
      mask |= ones << (32 - at - bits);
      value |= Number(digits) << (32 - at - bits);
      at += bits;
    } else {
      const name = token as FieldName;
      const field = FIELDS[name];
      if (fields.includes(name) && isParted(name) && at === field?.last) {
        at++;
        continue;
      }
      if (!field || field.first !== at) throw new RangeError(`${mnemonic}: field ${token} does not stand at bit ${at}`);
      fields.push(name);
      at = isParted(name) ? field.first + 5 : field.last + 1;
    }
  }
  if (at !== 32) throw new RangeError(`${mnemonic}: the encoding has ${at} bits`);
  return { level: 'base', ...traits, mnemonic, mask: mask | 0, value: value | 0, reserved, fields, syntax, meaning };
}
