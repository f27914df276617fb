/** Fixed-point logic, sign extension, rotates and shifts: Power ISA 2.07 Book I, 3.3.13 and 3.3.14. */
import { define, type InstructionRow } from '../define.ts';
import type { Expr, Meaning, Operand, Operands, Semantics } from '../semantics.ts';
import { result, sameRegister, upperUnsigned } from './common.ts';

/** RA ← RS op RB; `alike` is the result when both are one register: the idioms for copying, negating and clearing. */
function logic(operate: (s: Semantics, a: Expr, b: Expr) => Expr, alike: (s: Semantics, a: Expr) => Expr): Meaning {
  return (s, f) => {
    const same = sameRegister(f.RS, f.RB);
    const value = same ? alike(s, s.gpr(f.RS)) : operate(s, s.gpr(f.RS), s.gpr(f.RB));
    result(s, f, f.RA, value);
  };
}

const itself = (_: Semantics, a: Expr) => a;
const inverse = (s: Semantics, a: Expr) => s.not(a);
const zero = (s: Semantics) => s.wordOf(0);
const ones = (s: Semantics) => s.wordOf(-1);

/** `or` of a register with itself is a copy, and nothing at all when it is its own copy (the priority hints too). */
const or: Meaning = (s, f) => {
  const copy = sameRegister(f.RS, f.RB);
  if (copy && sameRegister(f.RS, f.RA)) {
    if (f.Rc) s.recordCr0(s.gpr(f.RS));
    return;
  }
  result(s, f, f.RA, copy ? s.gpr(f.RS) : s.or(s.gpr(f.RS), s.gpr(f.RB)));
};

/** RA ← RS op immediate, nothing for `ori 0,0,0`, the preferred no-op. */
function immediate(operate: 'or' | 'xor', shifted: boolean): Meaning {
  return (s, f) => {
    const same = sameRegister(f.RS, f.RA);
    if (f.UI === 0 && same) return;
    const value = shifted ? upperUnsigned(s, f.UI) : f.UI;
    s.setGpr(f.RA, f.UI === 0 ? s.gpr(f.RS) : s[operate](s.gpr(f.RS), value));
  };
}

function andImmediate(shifted: boolean): Meaning {
  return (s, f) => {
    const value = s.let(s.and(s.gpr(f.RS), shifted ? upperUnsigned(s, f.UI) : f.UI));
    s.setGpr(f.RA, value);
    s.recordCr0(value);
  };
}

/** ROTL32(RS, n) & MASK, by the cheapest way that the constants allow. */
function rotateAndMask(s: Semantics, f: Operands, n: Operand): Expr {
  const source = s.low32(s.gpr(f.RS));
  const mask = f.MASK;
  if (typeof n === 'number' && typeof mask === 'number') {
    if (n === 0) return mask === -1 ? source : s.and(source, mask);
    if (mask === -1) return s.rotl(source, n);
    if (mask === -1 << n) return s.shl(source, n);
    if (mask === -1 >>> (32 - n)) return s.shrUnsigned(source, 32 - n);
  }
  return s.and(s.rotl(source, n), mask);
}

/** Whether a rotate-and-mask gives a 32-bit result, as far as is known: a mask that wraps reaches the upper half too. */
function staysLow(s: Semantics, f: Operands): boolean {
  return s.word === 'i32' || (typeof f.MB === 'number' && typeof f.ME === 'number' && f.MB <= f.ME);
}

/** MASK(MB+32, ME+32) of a 64-bit processor, where it may wrap. */
function doublewordMask(s: Semantics, f: Operands): Expr {
  const from = s.let(s.shrUnsigned(s.i64(0xffffffff), f.MB));
  const to = s.let(s.shl(s.i64(-1), s.sub(31, f.ME)));
  if (typeof f.MB === 'number' && typeof f.ME === 'number') return f.MB <= f.ME ? s.and(from, to) : s.or(from, to);
  return s.select(s.gtUnsigned(f.MB, f.ME), s.or(from, to), s.and(from, to));
}

/** ROTL32(RS, n): the rotated word in both halves. */
function rotatedTwice(s: Semantics, f: Operands, n: Operand): Expr {
  const rotated = s.let(s.extendUnsigned(s.rotl(s.low32(s.gpr(f.RS)), n)));
  return s.or(rotated, s.shl(rotated, 32));
}

function rotate(s: Semantics, f: Operands, n: Operand): void {
  if (staysLow(s, f)) result(s, f, f.RA, s.wordFromUnsigned32(rotateAndMask(s, f, n)));
  else result(s, f, f.RA, s.and(rotatedTwice(s, f, n), doublewordMask(s, f)));
}

/** rlwimi on a 64-bit processor: bits outside of the mask stay as they are, the upper half's too. */
function insert(s: Semantics, f: Operands): void {
  const mask = s.let(doublewordMask(s, f));
  const rotated = rotatedTwice(s, f, f.SH);
  result(s, f, f.RA, s.or(s.and(rotated, mask), s.and(s.gpr(f.RA), s.not(mask))));
}

/** Shifts of a word take six bits of RB: as 64-bit shifts they need no test for 32 and more. */
function shift(operate: 'shl' | 'shrUnsigned'): Meaning {
  return (s, f) => {
    const shifted = s[operate](s.extendUnsigned(s.low32(s.gpr(f.RS))), s.extendUnsigned(s.low32(s.gpr(f.RB))));
    result(s, f, f.RA, s.wordFromUnsigned32(s.wrap(shifted)));
  };
}

export const LOGIC_INSTRUCTIONS: readonly InstructionRow[] = [
  define('andi.', '28 RS RA UI', 'RA,RS,UI', andImmediate(false)),
  define('andis.', '29 RS RA UI', 'RA,RS,UI', andImmediate(true)),
  define('ori', '24 RS RA UI', 'RA,RS,UI', immediate('or', false)),
  define('oris', '25 RS RA UI', 'RA,RS,UI', immediate('or', true)),
  define('xori', '26 RS RA UI', 'RA,RS,UI', immediate('xor', false)),
  define('xoris', '27 RS RA UI', 'RA,RS,UI', immediate('xor', true)),

  define('or', '31 RS RA RB 444:10 Rc', 'RA,RS,RB', or),
  define(
    'and',
    '31 RS RA RB 28:10 Rc',
    'RA,RS,RB',
    logic((s, a, b) => s.and(a, b), itself),
  ),
  define(
    'xor',
    '31 RS RA RB 316:10 Rc',
    'RA,RS,RB',
    logic((s, a, b) => s.xor(a, b), zero),
  ),
  define(
    'nor',
    '31 RS RA RB 124:10 Rc',
    'RA,RS,RB',
    logic((s, a, b) => s.not(s.or(a, b)), inverse),
  ),
  define(
    'nand',
    '31 RS RA RB 476:10 Rc',
    'RA,RS,RB',
    logic((s, a, b) => s.not(s.and(a, b)), inverse),
  ),
  define(
    'eqv',
    '31 RS RA RB 284:10 Rc',
    'RA,RS,RB',
    logic((s, a, b) => s.not(s.xor(a, b)), ones),
  ),
  define(
    'andc',
    '31 RS RA RB 60:10 Rc',
    'RA,RS,RB',
    logic((s, a, b) => s.and(a, s.not(b)), zero),
  ),
  define(
    'orc',
    '31 RS RA RB 412:10 Rc',
    'RA,RS,RB',
    logic((s, a, b) => s.or(a, s.not(b)), ones),
  ),

  define('extsb', '31 RS RA /:5 954:10 Rc', 'RA,RS', (s, f) => result(s, f, f.RA, s.signExtend8(s.gpr(f.RS)))),
  define('extsh', '31 RS RA /:5 922:10 Rc', 'RA,RS', (s, f) => result(s, f, f.RA, s.signExtend16(s.gpr(f.RS)))),
  define('cntlzw', '31 RS RA /:5 26:10 Rc', 'RA,RS', (s, f) =>
    result(s, f, f.RA, s.wordFromUnsigned32(s.clz(s.low32(s.gpr(f.RS))))),
  ),

  define('rlwinm', '21 RS RA SH MB ME Rc', 'RA,RS,SH,MB,ME', (s, f) => rotate(s, f, f.SH)),
  define('rlwnm', '23 RS RA RB MB ME Rc', 'RA,RS,RB,MB,ME', (s, f) => rotate(s, f, s.low32(s.gpr(f.RB)))),
  define('rlwimi', '20 RS RA SH MB ME Rc', 'RA,RS,SH,MB,ME', (s, f) => {
    if (s.word === 'i64') return insert(s, f);
    const outside = typeof f.MASK === 'number' ? ~f.MASK : s.not(f.MASK);
    if (outside === 0) return rotate(s, f, f.SH);
    const inserted = s.or(rotateAndMask(s, f, f.SH), s.and(s.low32(s.gpr(f.RA)), outside));
    result(s, f, f.RA, s.wordFromUnsigned32(inserted));
  }),

  define('slw', '31 RS RA RB 24:10 Rc', 'RA,RS,RB', shift('shl')),
  define('srw', '31 RS RA RB 536:10 Rc', 'RA,RS,RB', shift('shrUnsigned')),
  define('sraw', '31 RS RA RB 792:10 Rc', 'RA,RS,RB', (s, f) => {
    const source = s.let(s.extendSigned(s.low32(s.gpr(f.RS))));
    const n = s.let(s.extendUnsigned(s.low32(s.gpr(f.RB))));
    const shifted = s.let(s.shrSigned(source, n));
    s.setCa(s.and(s.ltSigned(source, 0), s.ne(s.shl(shifted, n), source)));
    result(s, f, f.RA, s.wordFromSigned32(s.wrap(shifted)));
  }),
  define('srawi', '31 RS RA SH 824:10 Rc', 'RA,RS,SH', (s, f) => {
    const source = s.let(s.low32(s.gpr(f.RS)));
    if (f.SH === 0) {
      s.setCa(s.i32(0));
    } else {
      // CA: the sign and any bit that is shifted out. One comparison tells: more than the sign alone is left of both.
      const SIGN = -0x80000000;
      const tested = typeof f.SH === 'number' ? SIGN | ((1 << f.SH) - 1) : s.or(s.sub(s.shl(s.i32(1), f.SH), 1), SIGN);
      s.setCa(s.gtUnsigned(s.and(source, tested), SIGN));
    }
    result(s, f, f.RA, s.wordFromSigned32(f.SH === 0 ? source : s.shrSigned(source, f.SH)));
  }),
];
