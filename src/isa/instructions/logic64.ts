/** Doubleword logic, rotates and shifts, and what works on the bytes of a register: Power ISA 2.07 Book I, 3.3.13–3.3.15. */
import { define, type InstructionRow } from '../define.ts';
import type { Expr, Operand, Operands, Semantics } from '../semantics.ts';
import { result } from './common.ts';

const DOUBLEWORD = { level: '64-bit' } as const;
const VERSION_205 = { level: '2.05' } as const;
const VERSION_206 = { level: '2.06' } as const;

const ONES = -1;

/** Ones from bit `mb` on. */
const maskFrom = (s: Semantics, mb: Operand): Expr => s.shrUnsigned(s.i64(ONES), mb);
/** Ones through bit `me`. */
const maskTo = (s: Semantics, me: Operand): Expr => s.shl(s.i64(ONES), s.sub(63, me));

/** MASK(mb, me), wrapping when me < mb. */
function mask(s: Semantics, mb: Operand, me: Operand): Expr {
  const from = s.let(maskFrom(s, mb));
  const to = s.let(maskTo(s, me));
  if (typeof mb === 'number' && typeof me === 'number') return mb <= me ? s.and(from, to) : s.or(from, to);
  return s.select(s.gtUnsigned(s.i32(mb), s.i32(me)), s.or(from, to), s.and(from, to));
}

/** RS rotated left; a constant rotation by zero is none. */
const rotated = (s: Semantics, f: Operands, n: Operand): Expr => s.rotl(s.gpr(f.RS), n);

/** RS rotated, then cleared left of MB: the shifts to the right where the constants say so. */
function clearLeft(s: Semantics, f: Operands, n: Operand): void {
  const mb = f.MB6;
  const shifts = typeof n === 'number' && n > 0 && mb === 64 - n;
  const whole = () => (mb === 0 ? rotated(s, f, n) : s.and(rotated(s, f, n), maskFrom(s, mb)));
  result(s, f, f.RA, shifts ? s.shrUnsigned(s.gpr(f.RS), mb) : whole());
}

function clearRight(s: Semantics, f: Operands, n: Operand): void {
  const me = f.ME6;
  const shifts = typeof n === 'number' && typeof me === 'number' && n === 63 - me;
  result(s, f, f.RA, shifts ? s.shl(s.gpr(f.RS), n) : s.and(rotated(s, f, n), maskTo(s, me)));
}

const LOW_BITS = 63;

/** Shifts take seven bits of RB. */
function shift(s: Semantics, f: Operands, operate: 'shl' | 'shrUnsigned'): void {
  const n = s.let(s.gpr(f.RB));
  const shifted = s[operate](s.gpr(f.RS), n);
  result(s, f, f.RA, s.select(s.eqz(s.and(n, s.i64(64))), shifted, s.i64(0)));
}

/** Whether a shift to the right loses ones of a negative value: CA. */
const losesOnes = (s: Semantics, source: Expr, shifted: Expr, n: Operand): Expr =>
  s.and(s.ltSigned(source, 0), s.ne(s.shl(shifted, n), source));

/** How many ones each part of a value has, in that part: parts of 8 bits, then of 32. */
function bytePopulations(s: Semantics, value: Expr): Expr {
  const pairs = s.let(s.sub(value, s.and(s.shrUnsigned(value, 1), s.i64(0x5555_5555_5555_5555n))));
  const THREES = 0x3333_3333_3333_3333n;
  const fours = s.let(s.add(s.and(pairs, s.i64(THREES)), s.and(s.shrUnsigned(pairs, 2), s.i64(THREES))));
  return s.and(s.add(fours, s.shrUnsigned(fours, 4)), s.i64(0x0f0f_0f0f_0f0f_0f0fn));
}

const wordPopulation = (s: Semantics, word: Expr): Expr => s.extendUnsigned(s.popcnt(word));
const upperWord = (s: Semantics, value: Expr): Expr => s.wrap(s.shrUnsigned(value, 32));

/** The lowest bits of a word's four bytes, added without carry. */
function wordParity(s: Semantics, word: Expr): Expr {
  return s.extendUnsigned(s.and(s.popcnt(s.and(word, 0x01010101)), 1));
}

/** 0xff in each byte where two values are the same. */
function compareBytes(s: Semantics, a: Expr, b: Expr): Expr {
  const SEVEN_BITS = 0x7f7f_7f7f_7f7f_7f7fn;
  const difference = s.let(s.xor(a, b));
  const sum = s.add(s.and(difference, s.i64(SEVEN_BITS)), s.i64(SEVEN_BITS));
  // 0x80 in each byte that differs from zero in no bit.
  const equal = s.let(s.not(s.or(s.or(sum, difference), s.i64(SEVEN_BITS))));
  const ones = s.let(s.shrUnsigned(equal, 7));
  return s.or(s.sub(equal, ones), equal);
}

/** Bit i of the result's last byte is the bit of RB that byte i of RS numbers, zero for numbers of 64 and more. */
function permuteBits(s: Semantics, f: Operands): Expr {
  const source = s.let(s.gpr(f.RS));
  const bits = s.let(s.gpr(f.RB));
  let permuted: Expr = s.i64(0);
  for (let i = 0; i < 8; i++) {
    const index = s.let(s.and(s.shrUnsigned(source, 56 - 8 * i), s.i64(0xff)));
    const bit = s.and(s.shrUnsigned(bits, s.sub(s.i64(63), index)), s.i64(1));
    const chosen = s.select(s.ltUnsigned(index, s.i64(64)), bit, s.i64(0));
    permuted = s.let(s.or(permuted, s.shl(chosen, 7 - i)));
  }
  return permuted;
}

export const LOGIC64_INSTRUCTIONS: readonly InstructionRow[] = [
  define(
    'extsw',
    '31 RS RA /:5 986:10 Rc',
    'RA,RS',
    (s, f) => result(s, f, f.RA, s.signExtend32(s.gpr(f.RS))),
    DOUBLEWORD,
  ),
  define('cntlzd', '31 RS RA /:5 58:10 Rc', 'RA,RS', (s, f) => result(s, f, f.RA, s.clz(s.gpr(f.RS))), DOUBLEWORD),

  define('rldicl', '30 RS RA SH6 MB6 0:3 SH6 Rc', 'RA,RS,SH6,MB6', (s, f) => clearLeft(s, f, f.SH6), DOUBLEWORD),
  define('rldicr', '30 RS RA SH6 ME6 1:3 SH6 Rc', 'RA,RS,SH6,ME6', (s, f) => clearRight(s, f, f.SH6), DOUBLEWORD),
  define(
    'rldic',
    '30 RS RA SH6 MB6 2:3 SH6 Rc',
    'RA,RS,SH6,MB6',
    (s, f) => result(s, f, f.RA, s.and(rotated(s, f, f.SH6), mask(s, f.MB6, s.sub(63, f.SH6)))),
    DOUBLEWORD,
  ),
  define(
    'rldimi',
    '30 RS RA SH6 MB6 3:3 SH6 Rc',
    'RA,RS,SH6,MB6',
    (s, f) => {
      const inside = s.let(mask(s, f.MB6, s.sub(63, f.SH6)));
      result(s, f, f.RA, s.or(s.and(rotated(s, f, f.SH6), inside), s.and(s.gpr(f.RA), s.not(inside))));
    },
    DOUBLEWORD,
  ),
  define('rldcl', '30 RS RA RB MB6 8:4 Rc', 'RA,RS,RB,MB6', (s, f) => clearLeft(s, f, s.gpr(f.RB)), DOUBLEWORD),
  define('rldcr', '30 RS RA RB ME6 9:4 Rc', 'RA,RS,RB,ME6', (s, f) => clearRight(s, f, s.gpr(f.RB)), DOUBLEWORD),

  define('sld', '31 RS RA RB 27:10 Rc', 'RA,RS,RB', (s, f) => shift(s, f, 'shl'), DOUBLEWORD),
  define('srd', '31 RS RA RB 539:10 Rc', 'RA,RS,RB', (s, f) => shift(s, f, 'shrUnsigned'), DOUBLEWORD),
  define(
    'srad',
    '31 RS RA RB 794:10 Rc',
    'RA,RS,RB',
    (s, f) => {
      const source = s.let(s.gpr(f.RS));
      const n = s.let(s.gpr(f.RB));
      const far = s.let(s.ne(s.and(n, s.i64(64)), s.i64(0)));
      const shifted = s.let(s.select(far, s.shrSigned(source, LOW_BITS), s.shrSigned(source, n)));
      s.setCa(s.and(s.ltSigned(source, 0), s.or(far, s.ne(s.shl(shifted, n), source))));
      result(s, f, f.RA, shifted);
    },
    DOUBLEWORD,
  ),
  define(
    'sradi',
    '31 RS RA SH6 413:9 SH6 Rc',
    'RA,RS,SH6',
    (s, f) => {
      const source = s.let(s.gpr(f.RS));
      const shifted = s.let(s.shrSigned(source, f.SH6));
      s.setCa(f.SH6 === 0 ? s.i32(0) : losesOnes(s, source, shifted, f.SH6));
      result(s, f, f.RA, shifted);
    },
    DOUBLEWORD,
  ),

  define(
    'popcntb',
    '31 RS RA /:5 122:10 /:1',
    'RA,RS',
    (s, f) => s.setGpr(f.RA, bytePopulations(s, s.let(s.gpr(f.RS)))),
    {
      level: '2.02',
    },
  ),
  define(
    'popcntw',
    '31 RS RA /:5 378:10 /:1',
    'RA,RS',
    (s, f) => {
      const source = s.let(s.gpr(f.RS));
      const upper = s.shl(wordPopulation(s, upperWord(s, source)), 32);
      s.setGpr(f.RA, s.or(upper, wordPopulation(s, s.wrap(source))));
    },
    VERSION_206,
  ),
  define('popcntd', '31 RS RA /:5 506:10 /:1', 'RA,RS', (s, f) => s.setGpr(f.RA, s.popcnt(s.gpr(f.RS))), VERSION_206),
  define(
    'prtyw',
    '31 RS RA /:5 154:10 /:1',
    'RA,RS',
    (s, f) => {
      const source = s.let(s.gpr(f.RS));
      s.setGpr(f.RA, s.or(s.shl(wordParity(s, upperWord(s, source)), 32), wordParity(s, s.wrap(source))));
    },
    VERSION_205,
  ),
  define(
    'prtyd',
    '31 RS RA /:5 186:10 /:1',
    'RA,RS',
    (s, f) => s.setGpr(f.RA, s.and(s.popcnt(s.and(s.gpr(f.RS), s.i64(0x0101_0101_0101_0101n))), s.i64(1))),
    VERSION_205,
  ),
  define(
    'cmpb',
    '31 RS RA RB 508:10 /:1',
    'RA,RS,RB',
    (s, f) => s.setGpr(f.RA, compareBytes(s, s.gpr(f.RS), s.gpr(f.RB))),
    VERSION_205,
  ),
  define('bpermd', '31 RS RA RB 252:10 /:1', 'RA,RS,RB', (s, f) => s.setGpr(f.RA, permuteBits(s, f)), VERSION_206),
];
