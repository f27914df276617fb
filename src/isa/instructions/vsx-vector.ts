/** Vector-scalar instructions on two doubles or four singles. Power ISA 2.07 Book I, 7.6. */

import { define, type InstructionRow } from '../define.ts';
import { INTEGER, LOAD_SINGLE, MAY_BE_INEXACT, ROUND_TO_INTEGRAL, STORE_SINGLE, TIES_AWAY } from '../float/convert.ts';
import { RECIPROCAL, RECIPROCAL_ROOT } from '../float/estimates.ts';
import { FPSCR } from '../float/fpscr.ts';
import { isNotNumber, NEGATED, SIGN, SINGLE } from '../float/number.ts';
import { ADD, DIVIDE, FROM_INTEGER, MULTIPLY, MULTIPLY_ADD, SQUARE_ROOT, TO_INTEGER } from '../float/quick.ts';
import { DOUBLE_LIMITS, divideTest, rootTest, SINGLE_LIMITS } from '../float/tests.ts';
import { COMPARE_MASK, EXTREME, NARROW, negatedPair, PAIR, RELATION, SIGNS, twice, WIDEN } from '../float/vector.ts';
import type { Expr, Meaning, Operands, Semantics } from '../semantics.ts';
import { vsxMeaning } from './vector-common.ts';
import { HALVES, type Half, writeHalves, writeVector, xx2, xx2Field, xx3, xx3Field } from './vsx-common.ts';

/** Doublewords of the operands, each of which is read when it is asked for. */
interface Operand {
  readonly a: Expr;
  readonly b: Expr;
  readonly t: Expr;
}
type Unit = (s: Semantics, operands: Operand) => Expr;

const operandsOf = (s: Semantics, f: Operands, half: Half): Operand => ({
  get a() {
    return s.vsrHalf(f.XA, half);
  },
  get b() {
    return s.vsrHalf(f.XB, half);
  },
  get t() {
    return s.vsrHalf(f.XT, half);
  },
});

const operation =
  (unit: Unit): Meaning =>
  (s, f) =>
    writeVector(s, f, (half) => unit(s, operandsOf(s, f, half)));

/** A move, which has no exceptions. */
const move =
  (unit: Unit): Meaning =>
  (s, f) =>
    writeHalves(s, f, (half) => unit(s, operandsOf(s, f, half)));

/** What a suppressed element would keep: the whole vector is not written then. */
const none = (s: Semantics): Expr => s.i64(0);

/** An instruction on doubles and one on singles. */
const both = (
  row: typeof xx3,
  mnemonic: string,
  numbers: [dp: number, sp: number],
  double: Meaning,
  single: Meaning,
) => [row(`${mnemonic}dp`, numbers[0], double), row(`${mnemonic}sp`, numbers[1], single)];
const arithmetic = (row: typeof xx3, mnemonic: string, numbers: [dp: number, sp: number], double: Unit, single: Unit) =>
  both(row, mnemonic, numbers, operation(double), operation(single));

/** XT is the addend (a) or a factor (m). */
function fused(mnemonic: string, [dp, sp]: [number, number], subtracts: number, format: number): InstructionRow[] {
  const rows = (letter: string, more: number, inputs: (o: Operand) => readonly [factor: Expr, addend: Expr]) =>
    arithmetic(
      xx3,
      `${mnemonic}${letter}`,
      [dp + more, sp + more],
      (s, o) => s.invoke(MULTIPLY_ADD, o.a, ...inputs(o), s.i32(subtracts), s.i32(format), none(s)),
      (s, o) => s.invoke(PAIR.multiplyAdd, o.a, ...inputs(o), s.i32(subtracts), s.i32(format | SINGLE)),
    );
  return [...rows('a', 0, ({ b, t }) => [b, t]), ...rows('m', 8, ({ b, t }) => [t, b])];
}

const subtrahend = (s: Semantics, bits: Expr): Expr => {
  const pinned = s.let(bits);
  return s.select(isNotNumber(s, pinned), pinned, s.xor(pinned, s.i64(SIGN)));
};

const extreme = (mnemonic: string, numbers: [number, number], least: number): InstructionRow[] =>
  arithmetic(
    xx3,
    mnemonic,
    numbers,
    (s, { a, b }) => s.invoke(EXTREME, a, b, s.i32(least), none(s)),
    (s, { a, b }) => s.invoke(PAIR.extreme, a, b, s.i32(least)),
  );

/** LT of CR field 6: all elements are ones; EQ: none is (7.6.1.3). */
const record = (s: Semantics, left: Expr, right: Expr): void => {
  const all = s.eq(s.and(left, right), s.i64(-1));
  const none = s.eqz(s.or(left, right));
  s.setCrField(6, s.or(s.select(all, 8, 0), s.select(none, 2, 0)));
};

function compare(mnemonic: string, extended: number, unit: Unit): InstructionRow {
  const meaning: Meaning = (s, f) => {
    const then = f.VECTOR_RC ? (left: Expr, right: Expr) => record(s, left, right) : undefined;
    writeVector(s, f, (half) => unit(s, operandsOf(s, f, half)), then);
  };
  const encoding = `60 XT XA XB VECTOR_RC ${extended}:7 XA XB XT`;
  return define(mnemonic, encoding, 'XT,XA,XB', vsxMeaning(meaning), { level: 'vsx' });
}
const relation = (name: string, [dp, sp]: [number, number], wanted: number): InstructionRow[] => [
  compare(`xvcmp${name}dp`, dp, (s, { a, b }) => s.invoke(COMPARE_MASK, a, b, s.i32(wanted))),
  compare(`xvcmp${name}sp`, sp, (s, { a, b }) => s.invoke(PAIR.compare, a, b, s.i32(wanted))),
];

const leftWord = (s: Semantics, bits: Expr): Expr => s.shrUnsigned(bits, 32);
const singles = (s: Semantics, pair: Expr): Expr[] => {
  const pinned = s.let(pair);
  return [leftWord(s, pinned), pinned].map((word) => s.invoke(LOAD_SINGLE, s.wrap(word)));
};

/** The CR field of the elements' tests, added up. */
const test =
  (of: (s: Semantics, o: Operand) => Expr[]): Meaning =>
  (s, f) => {
    const bits = HALVES.flatMap((half) => of(s, operandsOf(s, f, half)));
    s.setCrField(
      f.BF,
      bits.reduce((all, one) => s.or(all, one)),
    );
  };

const toIntegral = (letter: string, [dp, sp]: [number, number], mode: (s: Semantics) => Expr): InstructionRow[] => [
  xx2(
    `xvrdpi${letter}`,
    dp,
    operation((s, { b }) => s.invoke(ROUND_TO_INTEGRAL, b, mode(s), none(s))),
  ),
  xx2(
    `xvrspi${letter}`,
    sp,
    operation((s, { b }) => s.invoke(PAIR.toIntegral, b, mode(s))),
  ),
];

const toDoublewords = (kind: number): { double: Meaning; single: Meaning } => ({
  double: operation((s, { b }) => s.invoke(TO_INTEGER, b, s.i32(1), s.i32(kind), none(s))),
  single: operation((s, { b }) => {
    const number = s.invoke(LOAD_SINGLE, s.wrap(leftWord(s, b)));
    return s.invoke(TO_INTEGER, number, s.i32(1), s.i32(kind), none(s));
  }),
});
const toWords = (kind: number): { double: Meaning; single: Meaning } => ({
  double: operation((s, { b }) => twice(s, s.let(s.wrap(s.invoke(TO_INTEGER, b, s.i32(1), s.i32(kind), none(s)))))),
  single: operation((s, { b }) => s.invoke(PAIR.toInteger, b, s.i32(kind))),
});
const fromDoublewords = (unsigned: number): { double: Meaning; single: Meaning } => ({
  double: operation((s, { b }) => s.invoke(FROM_INTEGER, b, s.i32(unsigned), s.i32(0))),
  single: operation((s, { b }) =>
    twice(s, s.invoke(STORE_SINGLE, s.invoke(FROM_INTEGER, b, s.i32(unsigned), s.i32(SINGLE)))),
  ),
});
const fromWords = (unsigned: number): { double: Meaning; single: Meaning } => ({
  double: operation((s, { b }) => {
    const word = unsigned ? leftWord(s, b) : s.shrSigned(b, 32);
    return s.invoke(FROM_INTEGER, word, s.i32(0), s.i32(0));
  }),
  single: operation((s, { b }) => s.invoke(PAIR.fromInteger, b, s.i32(unsigned))),
});

export const VSX_VECTOR_INSTRUCTIONS: readonly InstructionRow[] = [
  ...arithmetic(
    xx3,
    'xvadd',
    [96, 64],
    (s, { a, b }) => s.invoke(ADD, a, b, s.i32(0), none(s)),
    (s, { a, b }) => s.invoke(PAIR.add, a, b),
  ),
  ...arithmetic(
    xx3,
    'xvsub',
    [104, 72],
    (s, { a, b }) => s.invoke(ADD, a, subtrahend(s, b), s.i32(0), none(s)),
    (s, { a, b }) => s.invoke(PAIR.add, a, negatedPair(s, b)),
  ),
  ...arithmetic(
    xx3,
    'xvmul',
    [112, 80],
    (s, { a, b }) => s.invoke(MULTIPLY, a, b, s.i32(0), none(s)),
    (s, { a, b }) => s.invoke(PAIR.multiply, a, b),
  ),
  ...arithmetic(
    xx3,
    'xvdiv',
    [120, 88],
    (s, { a, b }) => s.invoke(DIVIDE, a, b, s.i32(0), none(s)),
    (s, { a, b }) => s.invoke(PAIR.divide, a, b),
  ),
  ...arithmetic(
    xx2,
    'xvsqrt',
    [203, 139],
    (s, { b }) => s.invoke(SQUARE_ROOT, b, s.i32(0), none(s)),
    (s, { b }) => s.invoke(PAIR.squareRoot, b),
  ),
  ...arithmetic(
    xx2,
    'xvre',
    [218, 154],
    (s, { b }) => s.invoke(RECIPROCAL, b, s.i32(0), none(s)),
    (s, { b }) => s.invoke(PAIR.reciprocal, b),
  ),
  ...arithmetic(
    xx2,
    'xvrsqrte',
    [202, 138],
    (s, { b }) => s.invoke(RECIPROCAL_ROOT, b, s.i32(0), none(s)),
    (s, { b }) => s.invoke(PAIR.reciprocalRoot, b),
  ),
  ...fused('xvmadd', [97, 65], 0, 0),
  ...fused('xvmsub', [113, 81], 1, 0),
  ...fused('xvnmadd', [225, 193], 0, NEGATED),
  ...fused('xvnmsub', [241, 209], 1, NEGATED),
  ...extreme('xvmax', [224, 192], 0),
  ...extreme('xvmin', [232, 200], 1),
  ...relation('eq', [99, 67], RELATION.equal),
  ...relation('gt', [107, 75], RELATION.greater),
  ...relation('ge', [115, 83], RELATION.atLeast),

  xx3Field(
    'xvtdivdp',
    125,
    test((s, o) => [divideTest(s, s.let(o.a), s.let(o.b), DOUBLE_LIMITS)]),
  ),
  xx3Field(
    'xvtdivsp',
    93,
    test((s, o) => {
      const [dividends, divisors] = [singles(s, o.a), singles(s, o.b)];
      return dividends.map((dividend, i) => divideTest(s, dividend, divisors[i] as Expr, SINGLE_LIMITS));
    }),
  ),
  xx2Field(
    'xvtsqrtdp',
    234,
    test((s, { b }) => [rootTest(s, s.let(b), DOUBLE_LIMITS)]),
  ),
  xx2Field(
    'xvtsqrtsp',
    170,
    test((s, { b }) => singles(s, b).map((number) => rootTest(s, number, SINGLE_LIMITS))),
  ),

  ...both(
    xx3,
    'xvcpsgn',
    [240, 208],
    move((s, { a, b }) => s.or(s.and(a, s.i64(SIGN)), s.and(b, s.i64(~SIGN)))),
    move((s, { a, b }) => s.or(s.and(a, s.i64(SIGNS)), s.and(b, s.i64(~SIGNS)))),
  ),
  ...both(
    xx2,
    'xvabs',
    [473, 409],
    move((s, { b }) => s.and(b, s.i64(~SIGN))),
    move((s, { b }) => s.and(b, s.i64(~SIGNS))),
  ),
  ...both(
    xx2,
    'xvnabs',
    [489, 425],
    move((s, { b }) => s.or(b, s.i64(SIGN))),
    move((s, { b }) => s.or(b, s.i64(SIGNS))),
  ),
  ...both(
    xx2,
    'xvneg',
    [505, 441],
    move((s, { b }) => s.xor(b, s.i64(SIGN))),
    move((s, { b }) => s.xor(b, s.i64(SIGNS))),
  ),

  ...toIntegral('', [201, 137], (s) => s.i32(TIES_AWAY)),
  ...toIntegral('z', [217, 153], (s) => s.i32(1)),
  ...toIntegral('p', [233, 169], (s) => s.i32(2)),
  ...toIntegral('m', [249, 185], (s) => s.i32(3)),
  ...toIntegral('c', [235, 171], (s) => s.or(s.and(s.state('fpscr'), FPSCR.RN), MAY_BE_INEXACT)),

  xx2('xvcvdpsxds', 472, toDoublewords(INTEGER.doubleword).double),
  xx2('xvcvdpuxds', 456, toDoublewords(INTEGER.unsignedDoubleword).double),
  xx2('xvcvspsxds', 408, toDoublewords(INTEGER.doubleword).single),
  xx2('xvcvspuxds', 392, toDoublewords(INTEGER.unsignedDoubleword).single),
  xx2('xvcvdpsxws', 216, toWords(INTEGER.word).double),
  xx2('xvcvdpuxws', 200, toWords(INTEGER.unsignedWord).double),
  xx2('xvcvspsxws', 152, toWords(INTEGER.word).single),
  xx2('xvcvspuxws', 136, toWords(INTEGER.unsignedWord).single),
  xx2('xvcvsxddp', 504, fromDoublewords(0).double),
  xx2('xvcvuxddp', 488, fromDoublewords(1).double),
  xx2('xvcvsxdsp', 440, fromDoublewords(0).single),
  xx2('xvcvuxdsp', 424, fromDoublewords(1).single),
  xx2('xvcvsxwdp', 248, fromWords(0).double),
  xx2('xvcvuxwdp', 232, fromWords(1).double),
  xx2('xvcvsxwsp', 184, fromWords(0).single),
  xx2('xvcvuxwsp', 168, fromWords(1).single),
  xx2(
    'xvcvdpsp',
    393,
    operation((s, { b }) => s.invoke(NARROW, b)),
  ),
  xx2(
    'xvcvspdp',
    457,
    operation((s, { b }) => s.invoke(WIDEN, leftWord(s, b), none(s))),
  ),
];
