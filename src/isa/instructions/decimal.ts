/** Decimal floating point: Power ISA 2.07 Book I, chapter 5. */
import { ADD, COMPARE, DIVIDE, MULTIPLY } from '../decimal/arithmetic.ts';
import {
  FROM_BCD,
  FROM_FIXED,
  INSERT_EXPONENT,
  LONG_TO_EXTENDED,
  ROUND_TO_LONG,
  ROUND_TO_SHORT,
  SHIFT,
  SHORT_TO_LONG,
  TO_BCD,
  TO_FIXED,
} from '../decimal/convert.ts';
import {
  type Decimal,
  digitsIn,
  exponentOf,
  isInfinite,
  isNegative,
  isNotNumber,
  isSignalling,
  isSpecial,
  isZero,
  limbsOf,
  mostExponent,
  precision,
} from '../decimal/number.ts';
import { modeOf, QUANTIZE, QUANTIZE_LIKE, REROUND, TO_INTEGRAL } from '../decimal/quantum.ts';
import { note } from '../decimal/rounding.ts';
import { SETTLE } from '../decimal/settle.ts';
import { define, type InstructionRow } from '../define.ts';
import { type FieldName, fieldBits } from '../fields.ts';
import { EXCEPTIONS, FPSCR, raised } from '../float/fpscr.ts';
import type { Expr, Meaning, Operand, Operands, Semantics } from '../semantics.ts';
import { floatMeaning, interruptIfEnabled, recordCr1 } from './float-common.ts';

type Register = 'FRT' | 'FRA' | 'FRB';

/** A number in a register, or of the extended format in a pair. */
function number(s: Semantics, register: Operand, extended: boolean): Decimal {
  const high = s.let(s.fpr(register));
  return { high, low: extended ? s.let(s.fpr(s.registerAfter(register, 1))) : s.i64(0) };
}

function write(s: Semantics, f: Operands, high: Expr, pair: boolean): void {
  s.setFpr(f.FRT, high);
  if (pair) s.setFpr(s.registerAfter(f.FRT, 1), s.wideState('decimalLow'));
}

/** What has exceptions: nothing is written where an enabled one forbids it. */
const operation =
  (result: (s: Semantics, f: Operands, before: Expr) => Expr, pair: boolean): Meaning =>
  (s, f) => {
    const before = s.let(s.state('fpscr'));
    const CONTROL = 0xff;
    s.setState('fpscr', s.and(before, CONTROL));
    const high = s.let(result(s, f, before));
    s.if(s.eqz(s.invoke(SETTLE, before)), () => write(s, f, high, pair));
    recordCr1(s, f);
    interruptIfEnabled(s);
  };

/** What has none. */
const move =
  (result: (s: Semantics, f: Operands) => Expr, pair: boolean): Meaning =>
  (s, f) => {
    write(s, f, s.let(result(s, f)), pair);
    recordCr1(s, f);
  };

/** Registers of pairs are even. */
const oddPair =
  (pairs: readonly Register[]) =>
  (word: number): boolean =>
    pairs.some((name) => (fieldBits(word, name) & 1) === 1);

function row(
  mnemonic: string,
  encoding: string,
  syntax: string,
  meaning: Meaning,
  pairs: readonly Register[] = [],
): InstructionRow {
  const traits = { level: 'decimal', invalid: oddPair(pairs) } as const;
  return define(mnemonic, encoding, syntax, floatMeaning(meaning), traits);
}

/** An instruction of the long format (opcode 59) and of the extended one (63), with the registers that are pairs then. */
function both(
  mnemonic: string,
  encoding: string,
  syntax: string,
  pairs: readonly Register[],
  meaning: (format: number, extended: boolean) => Meaning,
): InstructionRow[] {
  return [
    row(mnemonic, `59 ${encoding}`, syntax, meaning(0, false)),
    row(`${mnemonic}q`, `63 ${encoding}`, syntax, meaning(1, true), pairs),
  ];
}

const THREE: readonly Register[] = ['FRT', 'FRA', 'FRB'];
const SIGN = 1n << 63n;

const binary = (mnemonic: string, extended: number, routine: typeof ADD, negates = false): InstructionRow[] =>
  both(mnemonic, `FRT FRA FRB ${extended}:10 Rc`, 'FRT,FRA,FRB', THREE, (format, wide) =>
    operation((s, f) => {
      const [a, b] = [number(s, f.FRA, wide), number(s, f.FRB, wide)];
      const negated = s.select(isNotNumber(s, b.high), b.high, s.xor(b.high, s.i64(SIGN)));
      const other = negates ? s.let(negated) : b.high;
      return s.invoke(routine, a.high, a.low, other, b.low, s.i32(format));
    }, wide),
  );

const compare = (mnemonic: string, extended: number, ordered: number): InstructionRow[] =>
  both(mnemonic, `BF /:2 FRA FRB ${extended}:10 /:1`, 'BF,FRA,FRB', ['FRA', 'FRB'], (format, wide) => (s, f) => {
    const [a, b] = [number(s, f.FRA, wide), number(s, f.FRB, wide)];
    const before = s.let(s.state('fpscr'));
    const ENABLES = 0xff;
    s.setState('fpscr', s.and(before, ENABLES));
    const bits = s.invoke(COMPARE, a.high, a.low, b.high, b.low, s.i32(format), s.i32(ordered));
    const causes = s.let(s.and(s.state('fpscr'), EXCEPTIONS));
    s.setState('fpscr', raised(s, withCondition(s, before, bits), causes));
    s.setCrField(f.BF, bits);
    interruptIfEnabled(s);
  });

const withCondition = (s: Semantics, fpscr: Expr, bits: Expr): Expr => s.or(s.and(fpscr, ~FPSCR.FPCC), s.shl(bits, 12));

/** BF and FPCC from a test. */
function setTest(s: Semantics, f: Operands, bits: Expr): void {
  const pinned = s.let(bits);
  s.setState('fpscr', withCondition(s, s.state('fpscr'), pinned));
  s.setCrField(f.BF, pinned);
}

/** Whether the number has one of the properties that a mask names, the first one's bit being the leftmost of six. */
const maskTest = (
  mnemonic: string,
  extended: number,
  mask: 'DCM' | 'DGM',
  properties: (s: Semantics, n: Decimal, format: Expr) => Expr[],
): InstructionRow[] =>
  both(mnemonic, `BF /:2 FRA ${mask} ${extended}:9 /:1`, `BF,FRA,${mask}`, ['FRA'], (format, wide) => (s, f) => {
    const n = number(s, f.FRA, wide);
    const has = properties(s, n, s.i32(format)).reduce<Expr>(
      (all, property) => s.or(s.shl(all, 1), property),
      s.i32(0),
    );
    const matches = s.ne(s.and(has, s.i32(f[mask as FieldName])), 0);
    setTest(s, f, s.or(s.select(isNegative(s, n.high), 8, s.i32(0)), s.shl(matches, 1)));
  });

/** What tests look at in a finite number. */
function measured(s: Semantics, n: Decimal, format: Expr) {
  const limbs = limbsOf(s, n, format);
  const exponent = exponentOf(s, n.high, format);
  const finite = s.let(s.eqz(isSpecial(s, n.high)));
  const zero = s.let(s.and(finite, isZero(s, limbs)));
  const digits = digitsIn(s, limbs);
  const nonZero = s.let(s.and(finite, s.eqz(zero)));
  const subnormal = s.let(s.and(nonZero, s.ltSigned(s.add(exponent, digits), precision(s, format))));
  return { exponent, finite, zero, digits, nonZero, subnormal };
}

function classes(s: Semantics, n: Decimal, format: Expr): Expr[] {
  const { zero, nonZero, subnormal } = measured(s, n, format);
  const [nan, signalling] = [s.let(isNotNumber(s, n.high)), s.let(isSignalling(s, n.high))];
  const normal = s.and(nonZero, s.eqz(subnormal));
  return [zero, subnormal, normal, isInfinite(s, n.high), s.and(nan, s.eqz(signalling)), signalling];
}

function groups(s: Semantics, n: Decimal, format: Expr): Expr[] {
  const { exponent, finite, zero, digits, nonZero, subnormal } = measured(s, n, format);
  const extreme = s.let(s.or(s.eqz(exponent), s.eq(exponent, mostExponent(s, format))));
  const plain = s.let(s.and(s.and(nonZero, s.eqz(subnormal)), s.eqz(extreme)));
  const full = s.let(s.eq(digits, precision(s, format)));
  return [
    s.and(zero, s.eqz(extreme)),
    s.and(zero, extreme),
    s.and(nonZero, s.or(subnormal, extreme)),
    s.and(plain, s.eqz(full)),
    s.and(plain, full),
    s.eqz(finite),
  ];
}

/** How two numbers, pinned and signed, are related, as a CR field. */
const relation = (s: Semantics, a: Expr, b: Expr): Expr =>
  s.select(s.ltSigned(a, b), 8, s.select(s.gtSigned(a, b), 4, s.i32(2)));

const exponents = (format: number, wide: boolean): Meaning => {
  return (s, f) => {
    const [a, b] = [number(s, f.FRA, wide).high, number(s, f.FRB, wide).high];
    const [x, y] = [exponentOf(s, a, s.i32(format)), exponentOf(s, b, s.i32(format))];
    const special = s.or(isSpecial(s, a), isSpecial(s, b));
    const bothNaN = s.and(isNotNumber(s, a), isNotNumber(s, b));
    const same = s.or(bothNaN, s.and(isInfinite(s, a), isInfinite(s, b)));
    setTest(s, f, s.select(special, s.select(same, 2, s.i32(1)), relation(s, x, y)));
  };
};

/** The last six bits of FRA. */
const reference = (s: Semantics, f: Operands): Expr => s.let(s.and(s.wrap(s.fpr(f.FRA)), 63));

const significance = (format: number, wide: boolean): Meaning => {
  return (s, f) => {
    const b = number(s, f.FRB, wide);
    const wanted = reference(s, f);
    const { digits, finite } = measured(s, b, s.i32(format));
    const compared = s.select(s.eqz(wanted), 4, relation(s, wanted, digits));
    setTest(s, f, s.select(finite, compared, s.i32(1)));
  };
};

const RMC = (s: Semantics, f: Operands): Expr => modeOf(s, s.i32(f.RMC), s.i32(0));

const toIntegral = (mnemonic: string, extended: number, exceptions: number): InstructionRow[] =>
  both(mnemonic, `FRT /:4 RMC_R FRB RMC ${extended}:8 Rc`, 'RMC_R,FRT,FRB,RMC', ['FRT', 'FRB'], (format, wide) =>
    operation((s, f) => {
      const b = number(s, f.FRB, wide);
      const mode = modeOf(s, s.i32(f.RMC), s.i32(f.RMC_R));
      return s.invoke(TO_INTEGRAL, b.high, b.low, mode, s.i32(exceptions), s.i32(format));
    }, wide),
  );

const shift = (mnemonic: string, extended: number, right: number): InstructionRow[] =>
  both(mnemonic, `FRT FRA SH_DIGITS ${extended}:9 Rc`, 'FRT,FRA,SH_DIGITS', ['FRT', 'FRA'], (format, wide) =>
    move((s, f) => {
      const a = number(s, f.FRA, wide);
      return s.invoke(SHIFT, a.high, a.low, s.i32(f.SH_DIGITS), s.i32(right), s.i32(format));
    }, wide),
  );

/** The exponent, or what stands for a class: -1 infinity, -2 quiet NaN, -3 signalling NaN. */
function extracted(s: Semantics, high: Expr, format: number): Expr {
  const exponent = s.extendUnsigned(exponentOf(s, high, s.i32(format)));
  const nan = s.select(isSignalling(s, high), s.i64(-3), s.i64(-2));
  return s.select(isNotNumber(s, high), nan, s.select(isInfinite(s, high), s.i64(-1), exponent));
}

/** To another format, or between integers and numbers. */
const conversion = (
  mnemonic: string,
  opcode: 59 | 63,
  extended: number,
  pairs: readonly Register[],
  result: (s: Semantics, f: Operands, before: Expr) => Expr,
): InstructionRow =>
  row(
    mnemonic,
    `${opcode} FRT /:5 FRB ${extended}:10 Rc`,
    'FRT,FRB',
    operation(result, pairs.includes('FRT') && mnemonic !== 'drdpq'),
    pairs,
  );
const toFixed = (s: Semantics, f: Operands, before: Expr, wide: boolean): Expr => {
  const b = number(s, f.FRB, wide);
  const result = s.invoke(TO_FIXED, b.high, b.low, s.i32(wide ? 1 : 0));
  // FPRF is undefined.
  note(s, s.and(before, FPSCR.FPRF));
  return result;
};

export const DECIMAL_INSTRUCTIONS: readonly InstructionRow[] = [
  ...binary('dadd', 2, ADD),
  ...binary('dsub', 514, ADD, true),
  ...binary('dmul', 34, MULTIPLY),
  ...binary('ddiv', 546, DIVIDE),
  ...compare('dcmpo', 130, 1),
  ...compare('dcmpu', 642, 0),
  ...maskTest('dtstdc', 194, 'DCM', classes),
  ...maskTest('dtstdg', 226, 'DGM', groups),
  ...both('dtstex', 'BF /:2 FRA FRB 162:10 /:1', 'BF,FRA,FRB', ['FRA', 'FRB'], exponents),
  ...both('dtstsf', 'BF /:2 FRA FRB 674:10 /:1', 'BF,FRA,FRB', ['FRB'], significance),

  ...both('dquai', 'FRT TE FRB RMC 67:8 Rc', 'TE,FRT,FRB,RMC', ['FRT', 'FRB'], (format, wide) =>
    operation((s, f) => {
      const b = number(s, f.FRB, wide);
      const exponent = s.let(s.add(s.i32(f.TE), wide ? 6176 : 398));
      return s.invoke(QUANTIZE, exponent, b.high, b.low, RMC(s, f), s.i32(format));
    }, wide),
  ),
  ...both('dqua', 'FRT FRA FRB RMC 3:8 Rc', 'FRT,FRA,FRB,RMC', THREE, (format, wide) =>
    operation((s, f) => {
      const [a, b] = [number(s, f.FRA, wide), number(s, f.FRB, wide)];
      return s.invoke(QUANTIZE_LIKE, a.high, a.low, b.high, b.low, RMC(s, f), s.i32(format));
    }, wide),
  ),
  ...both('drrnd', 'FRT FRA FRB RMC 35:8 Rc', 'FRT,FRA,FRB,RMC', ['FRT', 'FRB'], (format, wide) =>
    operation((s, f) => {
      const b = number(s, f.FRB, wide);
      return s.invoke(REROUND, reference(s, f), b.high, b.low, RMC(s, f), s.i32(format));
    }, wide),
  ),
  ...toIntegral('drintx', 99, 1),
  ...toIntegral('drintn', 227, 0),

  conversion('dctdp', 59, 258, [], (s, f) => s.invoke(SHORT_TO_LONG, s.fpr(f.FRB))),
  conversion('dctqpq', 63, 258, ['FRT'], (s, f) => s.invoke(LONG_TO_EXTENDED, s.fpr(f.FRB))),
  conversion('drsp', 59, 770, [], (s, f) => s.invoke(ROUND_TO_SHORT, s.fpr(f.FRB))),
  conversion('drdpq', 63, 770, ['FRT', 'FRB'], (s, f) => {
    const b = number(s, f.FRB, true);
    return s.invoke(ROUND_TO_LONG, b.high, b.low);
  }),
  conversion('dcffix', 59, 802, [], (s, f) => s.invoke(FROM_FIXED, s.fpr(f.FRB), s.i32(0))),
  conversion('dcffixq', 63, 802, ['FRT'], (s, f) => s.invoke(FROM_FIXED, s.fpr(f.FRB), s.i32(1))),
  conversion('dctfix', 59, 290, [], (s, f, before) => toFixed(s, f, before, false)),
  conversion('dctfixq', 63, 290, ['FRB'], (s, f, before) => toFixed(s, f, before, true)),

  ...both('ddedpd', 'FRT SP /:3 FRB 322:10 Rc', 'SP,FRT,FRB', ['FRT', 'FRB'], (format, wide) =>
    move((s, f) => {
      const b = number(s, f.FRB, wide);
      return s.invoke(TO_BCD, b.high, b.low, s.i32(f.SP), s.i32(format));
    }, wide),
  ),
  ...both('denbcd', 'FRT BCD_S /:4 FRB 834:10 Rc', 'BCD_S,FRT,FRB', ['FRT', 'FRB'], (format, wide) =>
    operation((s, f) => {
      const b = number(s, f.FRB, wide);
      return s.invoke(FROM_BCD, b.high, b.low, s.i32(f.BCD_S), s.i32(format));
    }, wide),
  ),
  ...both('dxex', 'FRT /:5 FRB 354:10 Rc', 'FRT,FRB', ['FRB'], (format, wide) =>
    move((s, f) => extracted(s, number(s, f.FRB, wide).high, format), false),
  ),
  ...both('diex', 'FRT FRA FRB 866:10 Rc', 'FRT,FRA,FRB', ['FRT', 'FRB'], (format, wide) =>
    move((s, f) => {
      const b = number(s, f.FRB, wide);
      return s.invoke(INSERT_EXPONENT, s.fpr(f.FRA), b.high, b.low, s.i32(format));
    }, wide),
  ),
  ...shift('dscli', 66, 0),
  ...shift('dscri', 98, 1),
];
