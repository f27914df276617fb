/** Fixed-point arithmetic, comparison and trap: Power ISA 2.07 Book I, 3.3.9–3.3.11. */
import { define, type InstructionRow } from '../define.ts';
import type { Expr, Meaning, Operand, Operands, Semantics } from '../semantics.ts';
import { inMode, isNegative, result, upper } from './common.ts';

const MIN32 = -0x80000000;

/** Whether a sum carries out of bit 0 of the computation mode: it is less than what was added to. */
const carries = (s: Semantics, sum: Expr, addend: Expr): Expr => s.ltUnsigned(inMode(s, sum), inMode(s, addend));

/** RT ← a + b with CA and, when OE=1, OV. */
function addWithCarryOut(s: Semantics, f: Operands, a: Expr, b: Expr): void {
  const x = s.let(a);
  const y = s.let(b);
  const sum = s.let(s.add(x, y));
  s.setCa(carries(s, sum, x));
  if (f.OE) s.setOv(isNegative(s, s.and(s.xor(sum, x), s.xor(sum, y))));
  result(s, f, f.RT, sum);
}

/** RT ← a + b + CA with CA and, when OE=1, OV. The subtracts are ¬RA + b + CA. */
function addExtended(s: Semantics, f: Operands, a: Expr, b: Expr): void {
  const x = s.let(a);
  const y = s.let(b);
  const partial = s.let(s.add(x, y));
  const sum = s.let(s.add(partial, s.wordFromUnsigned32(s.ca())));
  s.setCa(s.or(carries(s, partial, x), carries(s, sum, partial)));
  if (f.OE) s.setOv(isNegative(s, s.and(s.xor(sum, x), s.xor(sum, y))));
  result(s, f, f.RT, sum);
}

/** RT ← a + CA: no carry but from a = -1. */
function addToZero(s: Semantics, f: Operands, a: Expr): void {
  const x = s.let(a);
  const sum = s.let(s.add(x, s.wordFromUnsigned32(s.ca())));
  s.setCa(carries(s, sum, x));
  if (f.OE) s.setOv(isNegative(s, s.and(sum, s.not(x))));
  result(s, f, f.RT, sum);
}

/** RT ← a - 1 + CA: a carry unless a and CA are both zero. */
function addToMinusOne(s: Semantics, f: Operands, a: Expr): void {
  const x = s.let(a);
  const carry = s.let(s.wordFromUnsigned32(s.ca()));
  const sum = s.let(s.add(s.add(x, carry), -1));
  s.setCa(s.ne(inMode(s, s.or(x, carry)), 0));
  if (f.OE) s.setOv(isNegative(s, s.and(x, s.not(sum))));
  result(s, f, f.RT, sum);
}

/** RT ← RB - RA, with CA when `withCarry` and OV when OE=1. */
function subtractFrom(s: Semantics, f: Operands, withCarry: boolean): void {
  if (!withCarry && !f.OE) {
    result(s, f, f.RT, s.sub(s.gpr(f.RB), s.gpr(f.RA)));
    return;
  }
  const a = s.let(s.gpr(f.RA));
  const b = s.let(s.gpr(f.RB));
  const difference = s.let(s.sub(b, a));
  if (withCarry) s.setCa(s.geUnsigned(inMode(s, b), inMode(s, a)));
  if (f.OE) s.setOv(isNegative(s, s.and(s.xor(b, a), s.xor(b, difference))));
  result(s, f, f.RT, difference);
}

const addImmediateCarrying =
  (record: boolean): Meaning =>
  (s, f) => {
    const sum = s.let(s.add(s.gpr(f.RA), f.SI));
    s.setCa(f.SI === 0 ? s.i32(0) : s.ltUnsigned(inMode(s, sum), f.SI));
    s.setGpr(f.RT, sum);
    if (record) s.recordCr0(sum);
  };

const signedProduct = (s: Semantics, f: Operands): Expr =>
  s.mul(s.extendSigned(s.low32(s.gpr(f.RA))), s.extendSigned(s.low32(s.gpr(f.RB))));

/** The high half of a 64-bit product; the high half of a 64-bit register is left undefined, and is zero here. */
const highHalf = (s: Semantics, product: Expr): Expr => s.wordFromUnsigned32(s.wrap(s.shrUnsigned(product, 32)));

/**
 * RT ← RA ÷ RB. The architecture leaves the quotient undefined when RB = 0 or the quotient overflows (-2³¹ ÷ -1);
 * this implementation then divides by 1, so that RT ← RA.
 */
function divide(s: Semantics, f: Operands, signed: boolean): void {
  const dividend = s.let(s.low32(s.gpr(f.RA)));
  const divisor = s.let(s.low32(s.gpr(f.RB)));
  let undefinedQuotient = s.eqz(divisor);
  if (signed) undefinedQuotient = s.or(undefinedQuotient, s.and(s.eq(divisor, -1), s.eq(dividend, MIN32)));
  if (signed || f.OE) undefinedQuotient = s.let(undefinedQuotient);
  const quotient = signed
    ? s.divSigned(dividend, s.select(undefinedQuotient, 1, divisor))
    : s.divUnsigned(dividend, s.or(divisor, undefinedQuotient));
  const word = s.let(s.wordFromUnsigned32(quotient));
  if (f.OE) s.setOv(undefinedQuotient);
  result(s, f, f.RT, word);
}

/** CR[BF] from a comparison; L=1 compares doublewords where there are any. */
function compare(s: Semantics, f: Operands, b: Operand, signed: boolean): void {
  const a = s.gpr(f.RA);
  if (f.L === 1 || s.word === 'i32') s.compare(f.BF, a, b, signed);
  else s.compare(f.BF, s.low32(a), typeof b === 'number' ? b : s.low32(b), signed);
}

/** Bits of TO: less, greater, equal, then less and greater as unsigned numbers. */
const TRAP_CONDITIONS = [
  [16, (s: Semantics, a: Expr, b: Operand) => s.ltSigned(a, b)],
  [8, (s: Semantics, a: Expr, b: Operand) => s.gtSigned(a, b)],
  [4, (s: Semantics, a: Expr, b: Operand) => s.eq(a, b)],
  [2, (s: Semantics, a: Expr, b: Operand) => s.ltUnsigned(a, b)],
  [1, (s: Semantics, a: Expr, b: Operand) => s.gtUnsigned(a, b)],
] as const;

/** Tests that stand for several bits of TO at once. */
const MERGED_TRAP_CONDITIONS: Readonly<Record<number, (s: Semantics, a: Expr, b: Operand) => Expr>> = {
  24: (s, a, b) => s.ne(a, b),
  20: (s, a, b) => s.leSigned(a, b),
  12: (s, a, b) => s.geSigned(a, b),
  6: (s, a, b) => s.leUnsigned(a, b),
  5: (s, a, b) => s.geUnsigned(a, b),
  3: (s, a, b) => s.ne(a, b),
};

/** The condition of a trap whose TO is known; null when it always traps. */
function trapCondition(s: Semantics, to: number, a: Expr, b: Operand): Expr | null {
  if ((to & 28) === 28 || (to & 7) === 7) return null;
  const merged = MERGED_TRAP_CONDITIONS[to];
  if (merged) return merged(s, a, b);
  const tests = TRAP_CONDITIONS.filter(([bit]) => (to & bit) !== 0).map(([, test]) => test(s, a, b));
  return tests.reduce((met, test) => s.or(met, test));
}

export function trap(s: Semantics, f: Operands, left: Expr, right: Operand): void {
  const interrupt = () => s.interrupt('program', 'trap');
  if (f.TO === 0) return;
  const a = s.let(left);
  const b = typeof right === 'number' ? right : s.let(right);
  if (typeof f.TO === 'number') {
    const condition = trapCondition(s, f.TO, a, b);
    if (condition === null) interrupt();
    else s.if(condition, interrupt);
    return;
  }
  const placed = TRAP_CONDITIONS.map(([bit, test]) => s.shl(test(s, a, b), Math.log2(bit)));
  const met = placed.reduce((all, one) => s.or(all, one));
  s.if(s.and(met, f.TO), interrupt);
}

export const ARITHMETIC_INSTRUCTIONS: readonly InstructionRow[] = [
  define('addi', '14 RT RA0 SI', 'RT,RA0,SI', (s, f) => s.setGpr(f.RT, s.add(s.gpr(f.RA0), f.SI))),
  define('addis', '15 RT RA0 SI', 'RT,RA0,SI', (s, f) => s.setGpr(f.RT, s.add(s.gpr(f.RA0), upper(s, f.SI)))),
  define('addic', '12 RT RA SI', 'RT,RA,SI', addImmediateCarrying(false)),
  define('addic.', '13 RT RA SI', 'RT,RA,SI', addImmediateCarrying(true)),
  define('subfic', '8 RT RA SI', 'RT,RA,SI', (s, f) => {
    const a = s.let(s.gpr(f.RA));
    s.setCa(s.leUnsigned(inMode(s, a), f.SI));
    s.setGpr(f.RT, s.sub(f.SI, a));
  }),
  define('add', '31 RT RA RB OE 266:9 Rc', 'RT,RA,RB', (s, f) => {
    if (!f.OE) return result(s, f, f.RT, s.add(s.gpr(f.RA), s.gpr(f.RB)));
    const a = s.let(s.gpr(f.RA));
    const b = s.let(s.gpr(f.RB));
    const sum = s.let(s.add(a, b));
    s.setOv(isNegative(s, s.and(s.xor(sum, a), s.xor(sum, b))));
    result(s, f, f.RT, sum);
  }),
  define('addc', '31 RT RA RB OE 10:9 Rc', 'RT,RA,RB', (s, f) => addWithCarryOut(s, f, s.gpr(f.RA), s.gpr(f.RB))),
  define('adde', '31 RT RA RB OE 138:9 Rc', 'RT,RA,RB', (s, f) => addExtended(s, f, s.gpr(f.RA), s.gpr(f.RB))),
  define('addme', '31 RT RA /:5 OE 234:9 Rc', 'RT,RA', (s, f) => addToMinusOne(s, f, s.gpr(f.RA))),
  define('addze', '31 RT RA /:5 OE 202:9 Rc', 'RT,RA', (s, f) => addToZero(s, f, s.gpr(f.RA))),
  define('subf', '31 RT RA RB OE 40:9 Rc', 'RT,RA,RB', (s, f) => subtractFrom(s, f, false)),
  define('subfc', '31 RT RA RB OE 8:9 Rc', 'RT,RA,RB', (s, f) => subtractFrom(s, f, true)),
  define('subfe', '31 RT RA RB OE 136:9 Rc', 'RT,RA,RB', (s, f) => addExtended(s, f, s.not(s.gpr(f.RA)), s.gpr(f.RB))),
  define('subfme', '31 RT RA /:5 OE 232:9 Rc', 'RT,RA', (s, f) => addToMinusOne(s, f, s.not(s.gpr(f.RA)))),
  define('subfze', '31 RT RA /:5 OE 200:9 Rc', 'RT,RA', (s, f) => addToZero(s, f, s.not(s.gpr(f.RA)))),
  define('neg', '31 RT RA /:5 OE 104:9 Rc', 'RT,RA', (s, f) => {
    if (!f.OE) return result(s, f, f.RT, s.neg(s.gpr(f.RA)));
    const a = s.let(s.gpr(f.RA));
    const negated = s.let(s.neg(a));
    s.setOv(isNegative(s, s.and(a, negated)));
    result(s, f, f.RT, negated);
  }),

  define('mulli', '7 RT RA SI', 'RT,RA,SI', (s, f) => s.setGpr(f.RT, s.mul(s.gpr(f.RA), f.SI))),
  define('mullw', '31 RT RA RB OE 235:9 Rc', 'RT,RA,RB', (s, f) => {
    if (!f.OE && s.word === 'i32') return result(s, f, f.RT, s.mul(s.gpr(f.RA), s.gpr(f.RB)));
    const product = s.let(signedProduct(s, f));
    const low = s.let(s.wrap(product));
    if (f.OE) s.setOv(s.ne(product, s.extendSigned(low)));
    result(s, f, f.RT, s.word === 'i32' ? low : product);
  }),
  define('mulhw', '31 RT RA RB /:1 75:9 Rc', 'RT,RA,RB', (s, f) =>
    result(s, f, f.RT, highHalf(s, signedProduct(s, f))),
  ),
  define('mulhwu', '31 RT RA RB /:1 11:9 Rc', 'RT,RA,RB', (s, f) => {
    const product = s.mul(s.extendUnsigned(s.low32(s.gpr(f.RA))), s.extendUnsigned(s.low32(s.gpr(f.RB))));
    result(s, f, f.RT, highHalf(s, product));
  }),
  define('divw', '31 RT RA RB OE 491:9 Rc', 'RT,RA,RB', (s, f) => divide(s, f, true)),
  define('divwu', '31 RT RA RB OE 459:9 Rc', 'RT,RA,RB', (s, f) => divide(s, f, false)),

  define('cmp', '31 BF /:1 L RA RB 0:10 /:1', 'BF,L,RA,RB', (s, f) => compare(s, f, s.gpr(f.RB), true)),
  define('cmpl', '31 BF /:1 L RA RB 32:10 /:1', 'BF,L,RA,RB', (s, f) => compare(s, f, s.gpr(f.RB), false)),
  define('cmpi', '11 BF /:1 L RA SI', 'BF,L,RA,SI', (s, f) => compare(s, f, f.SI, true)),
  define('cmpli', '10 BF /:1 L RA UI', 'BF,L,RA,UI', (s, f) => compare(s, f, f.UI, false)),

  define('tw', '31 TO RA RB 4:10 /:1', 'TO,RA,RB', (s, f) => trap(s, f, s.low32(s.gpr(f.RA)), s.low32(s.gpr(f.RB)))),
  define('twi', '3 TO RA SI', 'TO,RA,SI', (s, f) => trap(s, f, s.low32(s.gpr(f.RA)), f.SI)),
];
