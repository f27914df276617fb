/** Doubleword arithmetic, extended division and BCD assist: Power ISA 2.07 Book I, 3.3.9, 3.3.11 and 3.3.15. */
import { define, type InstructionRow } from '../define.ts';
import type { Expr, Operands, Semantics } from '../semantics.ts';
import { extendedQuotient, highProduct } from '../wide.ts';
import { trap } from './arithmetic.ts';
import { result } from './common.ts';

const MIN64 = -0x8000_0000_0000_0000n;
/** The signed one: each negative factor has counted the other 2^64 times too often. */
function highSignedProduct(s: Semantics, a: Expr, b: Expr): Expr {
  const unsigned = highProduct(s, a, b);
  const excess = s.add(s.and(s.shrSigned(a, 63), b), s.and(s.shrSigned(b, 63), a));
  return s.sub(unsigned, excess);
}

function multiplyHigh(s: Semantics, f: Operands, product: typeof highProduct): void {
  const a = s.let(s.gpr(f.RA));
  const b = s.let(s.gpr(f.RB));
  result(s, f, f.RT, product(s, a, b));
}

/** As divw and divwu: an undefined quotient is that of a division by 1. */
function divide(s: Semantics, f: Operands, signed: boolean): void {
  const dividend = s.let(s.gpr(f.RA));
  const divisor = s.let(s.gpr(f.RB));
  let undefinedQuotient = s.eqz(divisor);
  if (signed) undefinedQuotient = s.or(undefinedQuotient, s.and(s.eq(divisor, -1), s.eq(dividend, s.i64(MIN64))));
  undefinedQuotient = s.let(undefinedQuotient);
  const safe = s.select(undefinedQuotient, s.i64(1), divisor);
  const quotient = s.let(signed ? s.divSigned(dividend, safe) : s.divUnsigned(dividend, safe));
  if (f.OE) s.setOv(undefinedQuotient);
  result(s, f, f.RT, quotient);
}

/** Undefined quotients are zero. */
function writeQuotient(s: Semantics, f: Operands, quotient: Expr, undefinedQuotient: Expr): void {
  const value = s.let(s.select(undefinedQuotient, s.i64(0), quotient));
  if (f.OE) s.setOv(undefinedQuotient);
  result(s, f, f.RT, value);
}

function divideExtended(s: Semantics, f: Operands): void {
  const dividend = s.let(s.gpr(f.RA));
  const divisor = s.let(s.gpr(f.RB));
  const magnitude = (value: Expr): Expr => {
    const sign = s.shrSigned(value, 63);
    return s.sub(s.xor(value, sign), sign);
  };
  const a = s.let(magnitude(dividend));
  const b = s.let(magnitude(divisor));
  const tooLarge = s.let(s.geUnsigned(a, b));
  const safe = s.let(s.select(tooLarge, s.i64(0), a));
  const quotient = s.let(extendedQuotient(s, safe, s.let(s.select(s.eqz(b), s.i64(1), b))));
  const sign = s.let(s.shrSigned(s.xor(dividend, divisor), 63));
  const limit = s.sub(s.i64(0x7fff_ffff_ffff_ffffn), sign);
  const undefinedQuotient = s.let(s.or(tooLarge, s.gtUnsigned(quotient, limit)));
  writeQuotient(s, f, s.sub(s.xor(quotient, sign), sign), undefinedQuotient);
}

function divideExtendedUnsigned(s: Semantics, f: Operands): void {
  const a = s.let(s.gpr(f.RA));
  const b = s.let(s.gpr(f.RB));
  const undefinedQuotient = s.let(s.geUnsigned(a, b));
  const safe = s.let(s.select(undefinedQuotient, s.i64(0), a));
  const divisor = s.let(s.select(s.eqz(b), s.i64(1), b));
  writeQuotient(s, f, extendedQuotient(s, safe, divisor), undefinedQuotient);
}

function divideWordExtended(s: Semantics, f: Operands, signed: boolean): void {
  const extend = (value: Expr): Expr => (signed ? s.extendSigned(s.low32(value)) : s.extendUnsigned(s.low32(value)));
  const dividend = s.let(s.shl(s.gpr(f.RA), 32));
  const divisor = s.let(extend(s.gpr(f.RB)));
  let impossible = s.eqz(divisor);
  if (signed) impossible = s.or(impossible, s.and(s.eq(divisor, -1), s.eq(dividend, s.i64(MIN64))));
  impossible = s.let(impossible);
  const safe = s.select(impossible, s.i64(1), divisor);
  const quotient = s.let(signed ? s.divSigned(dividend, safe) : s.divUnsigned(dividend, safe));
  const undefinedQuotient = s.let(s.or(impossible, s.ne(quotient, extend(quotient))));
  const word = s.let(s.select(undefinedQuotient, s.i64(0), quotient));
  if (f.OE) s.setOv(undefinedQuotient);
  result(s, f, f.RT, word);
}

/** Each nibble 6 where RA + RB does not carry out of it, else 0. */
function addAndGenerateSixes(s: Semantics, f: Operands): void {
  const a = s.let(s.gpr(f.RA));
  const b = s.let(s.gpr(f.RB));
  const sum = s.let(s.add(a, b));
  const carriesInto = s.shrUnsigned(s.xor(s.xor(a, b), sum), 4);
  const last = s.shl(s.extendUnsigned(s.ltUnsigned(sum, a)), 60);
  const none = s.let(s.and(s.not(s.or(carriesInto, last)), s.i64(0x1111_1111_1111_1111n)));
  s.setGpr(f.RT, s.or(s.shl(none, 1), s.shl(none, 2)));
}

const VERSION_206 = { level: '2.06' } as const;
const DOUBLEWORD = { level: '64-bit' } as const;

export const ARITHMETIC64_INSTRUCTIONS: readonly InstructionRow[] = [
  define(
    'mulld',
    '31 RT RA RB OE 233:9 Rc',
    'RT,RA,RB',
    (s, f) => {
      if (!f.OE) return result(s, f, f.RT, s.mul(s.gpr(f.RA), s.gpr(f.RB)));
      const a = s.let(s.gpr(f.RA));
      const b = s.let(s.gpr(f.RB));
      const product = s.let(s.mul(a, b));
      s.setOv(s.ne(highSignedProduct(s, a, b), s.shrSigned(product, 63)));
      result(s, f, f.RT, product);
    },
    DOUBLEWORD,
  ),
  define('mulhd', '31 RT RA RB /:1 73:9 Rc', 'RT,RA,RB', (s, f) => multiplyHigh(s, f, highSignedProduct), DOUBLEWORD),
  define('mulhdu', '31 RT RA RB /:1 9:9 Rc', 'RT,RA,RB', (s, f) => multiplyHigh(s, f, highProduct), DOUBLEWORD),
  define('divd', '31 RT RA RB OE 489:9 Rc', 'RT,RA,RB', (s, f) => divide(s, f, true), DOUBLEWORD),
  define('divdu', '31 RT RA RB OE 457:9 Rc', 'RT,RA,RB', (s, f) => divide(s, f, false), DOUBLEWORD),
  define('divde', '31 RT RA RB OE 425:9 Rc', 'RT,RA,RB', divideExtended, VERSION_206),
  define('divdeu', '31 RT RA RB OE 393:9 Rc', 'RT,RA,RB', divideExtendedUnsigned, VERSION_206),
  define('divwe', '31 RT RA RB OE 427:9 Rc', 'RT,RA,RB', (s, f) => divideWordExtended(s, f, true), VERSION_206),
  define('divweu', '31 RT RA RB OE 395:9 Rc', 'RT,RA,RB', (s, f) => divideWordExtended(s, f, false), VERSION_206),
  define('addg6s', '31 RT RA RB /:1 74:9 /:1', 'RT,RA,RB', addAndGenerateSixes, VERSION_206),
  define('td', '31 TO RA RB 68:10 /:1', 'TO,RA,RB', (s, f) => trap(s, f, s.gpr(f.RA), s.gpr(f.RB)), DOUBLEWORD),
  define('tdi', '2 TO RA SI', 'TO,RA,SI', (s, f) => trap(s, f, s.gpr(f.RA), f.SI), DOUBLEWORD),
];
