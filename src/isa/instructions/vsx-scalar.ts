/** Vector-scalar instructions on one number, in doubleword 0. Power ISA 2.07 Book I, 7.6. */

import { define, type InstructionRow } from '../define.ts';
import { INTEGER, LOAD_SINGLE, MAY_BE_INEXACT, ROUND_TO_INTEGRAL, STORE_SINGLE, TIES_AWAY } from '../float/convert.ts';
import { RECIPROCAL, RECIPROCAL_ROOT } from '../float/estimates.ts';
import { FPSCR } from '../float/fpscr.ts';
import { isNotNumber, NEGATED, SIGN, SINGLE, signalling } from '../float/number.ts';
import {
  ADD,
  COMPARE,
  DIVIDE,
  FROM_INTEGER,
  MULTIPLY,
  MULTIPLY_ADD,
  ROUND_TO_SINGLE,
  SQUARE_ROOT,
  TO_INTEGER,
} from '../float/quick.ts';
import { DOUBLE_LIMITS, divideTest, rootTest } from '../float/tests.ts';
import { EXTREME, NARROW, twice, WIDEN } from '../float/vector.ts';
import type { Expr, Meaning, Operands, Semantics } from '../semantics.ts';
import { indexedAddress } from './common.ts';
import { interruptIfEnabled } from './float-common.ts';
import { vsxMeaning } from './vector-common.ts';
import { writeScalar, xx2, xx2Field, xx3, xx3Field } from './vsx-common.ts';

const a = (s: Semantics, f: Operands): Expr => s.vsrHalf(f.XA, 0);
const b = (s: Semantics, f: Operands): Expr => s.vsrHalf(f.XB, 0);
const t = (s: Semantics, f: Operands): Expr => s.vsrHalf(f.XT, 0);

type Unit = (s: Semantics, f: Operands, format: Expr, old: Expr) => Expr;

const operation =
  (unit: Unit, format = 0): Meaning =>
  (s, f) =>
    writeScalar(s, f, unit(s, f, s.i32(format), s.let(t(s, f))));

/** A move, which has no exceptions. */
const move =
  (value: (s: Semantics, f: Operands) => Expr): Meaning =>
  (s, f) =>
    s.setVsrHalf(f.XT, 0, value(s, f));

/** Arithmetic in double precision and, of ISA 2.07, in single precision. */
function both(
  row: typeof xx3,
  mnemonic: string,
  double: number,
  single: number,
  unit: Unit,
  format = 0,
): InstructionRow[] {
  return [
    row(`${mnemonic}dp`, double, operation(unit, format)),
    row(`${mnemonic}sp`, single, operation(unit, format | SINGLE), 'vsx-2.07'),
  ];
}

/** XT is the addend (a) or a factor (m). */
function fused(mnemonic: string, double: number, single: number, subtracts: number, format: number): InstructionRow[] {
  const unit =
    (targetAdds: boolean): Unit =>
    (s, f, precision, old) => {
      const [factor, addend] = targetAdds ? [b(s, f), old] : [old, b(s, f)];
      return s.invoke(MULTIPLY_ADD, a(s, f), factor, addend, s.i32(subtracts), precision, old);
    };
  return [
    ...both(xx3, `${mnemonic}a`, double, single, unit(true), format),
    ...both(xx3, `${mnemonic}m`, double + 8, single + 8, unit(false), format),
  ];
}

const subtrahend = (s: Semantics, bits: Expr): Expr => {
  const pinned = s.let(bits);
  return s.select(isNotNumber(s, pinned), pinned, s.xor(pinned, s.i64(SIGN)));
};

const compare =
  (ordered: number): Meaning =>
  (s, f) => {
    s.setCrField(f.BF, s.invoke(COMPARE, a(s, f), b(s, f), s.i32(ordered)));
    interruptIfEnabled(s);
  };
const extreme = (least: number): Meaning =>
  operation((s, f, _format, old) => s.invoke(EXTREME, a(s, f), b(s, f), s.i32(least), old));
const toInteger = (kind: number): Meaning =>
  operation((s, f, _format, old) => s.invoke(TO_INTEGER, b(s, f), s.i32(1), s.i32(kind), old));
const toIntegral = (mode: number): Meaning =>
  operation((s, f, _format, old) => s.invoke(ROUND_TO_INTEGRAL, b(s, f), s.i32(mode), old));
const fromInteger = (unsigned: number, format: number): Meaning =>
  operation((s, f, precision) => s.invoke(FROM_INTEGER, b(s, f), s.i32(unsigned), precision), format);
const currentMode = (s: Semantics): Expr => s.and(s.state('fpscr'), FPSCR.RN);

/** The single goes to word 0, and to word 1, which is undefined. */
const narrow: Meaning = (s, f) => {
  const number = s.let(b(s, f));
  const old = s.let(t(s, f));
  const enabled = s.ne(s.and(s.state('fpscr'), FPSCR.VE), 0);
  const suppressed = s.let(s.and(s.ne(signalling(s, number), 0), enabled));
  writeScalar(s, f, s.select(suppressed, old, s.invoke(NARROW, number)));
};

const left = (s: Semantics, bits: Expr): Expr => s.shrUnsigned(bits, 32);

const storage = (mnemonic: string, register: 'XT' | 'XS', extended: number, meaning: Meaning): InstructionRow =>
  define(mnemonic, `31 ${register} RA0 RB ${extended}:10 ${register}`, `${register},RA0,RB`, vsxMeaning(meaning), {
    level: 'vsx-2.07',
  });

const single = (mnemonic: string, extended: number, meaning: Meaning): InstructionRow =>
  xx2(mnemonic, extended, meaning, 'vsx-2.07');

export const VSX_SCALAR_INSTRUCTIONS: readonly InstructionRow[] = [
  ...both(xx3, 'xsadd', 32, 0, (s, f, format, old) => s.invoke(ADD, a(s, f), b(s, f), format, old)),
  ...both(xx3, 'xssub', 40, 8, (s, f, format, old) => s.invoke(ADD, a(s, f), subtrahend(s, b(s, f)), format, old)),
  ...both(xx3, 'xsmul', 48, 16, (s, f, format, old) => s.invoke(MULTIPLY, a(s, f), b(s, f), format, old)),
  ...both(xx3, 'xsdiv', 56, 24, (s, f, format, old) => s.invoke(DIVIDE, a(s, f), b(s, f), format, old)),
  ...both(xx2, 'xssqrt', 75, 11, (s, f, format, old) => s.invoke(SQUARE_ROOT, b(s, f), format, old)),
  ...both(xx2, 'xsre', 90, 26, (s, f, format, old) => s.invoke(RECIPROCAL, b(s, f), format, old)),
  ...both(xx2, 'xsrsqrte', 74, 10, (s, f, format, old) => s.invoke(RECIPROCAL_ROOT, b(s, f), format, old)),
  ...fused('xsmadd', 33, 1, 0, 0),
  ...fused('xsmsub', 49, 17, 1, 0),
  ...fused('xsnmadd', 161, 129, 0, NEGATED),
  ...fused('xsnmsub', 177, 145, 1, NEGATED),

  xx3Field('xscmpudp', 35, compare(0)),
  xx3Field('xscmpodp', 43, compare(1)),
  xx3Field('xstdivdp', 61, (s, f) => s.setCrField(f.BF, divideTest(s, s.let(a(s, f)), s.let(b(s, f)), DOUBLE_LIMITS))),
  xx2Field('xstsqrtdp', 106, (s, f) => s.setCrField(f.BF, rootTest(s, s.let(b(s, f)), DOUBLE_LIMITS))),
  xx3('xsmaxdp', 160, extreme(0)),
  xx3('xsmindp', 168, extreme(1)),

  xx3(
    'xscpsgndp',
    176,
    move((s, f) => s.or(s.and(a(s, f), s.i64(SIGN)), s.and(b(s, f), s.i64(~SIGN)))),
  ),
  xx2(
    'xsabsdp',
    345,
    move((s, f) => s.and(b(s, f), s.i64(~SIGN))),
  ),
  xx2(
    'xsnabsdp',
    361,
    move((s, f) => s.or(b(s, f), s.i64(SIGN))),
  ),
  xx2(
    'xsnegdp',
    377,
    move((s, f) => s.xor(b(s, f), s.i64(SIGN))),
  ),

  xx2('xsrdpi', 73, toIntegral(TIES_AWAY)),
  xx2('xsrdpiz', 89, toIntegral(1)),
  xx2('xsrdpip', 105, toIntegral(2)),
  xx2('xsrdpim', 121, toIntegral(3)),
  xx2(
    'xsrdpic',
    107,
    operation((s, f, _format, old) => s.invoke(ROUND_TO_INTEGRAL, b(s, f), s.or(currentMode(s), MAY_BE_INEXACT), old)),
  ),
  xx2('xscvdpsxds', 344, toInteger(INTEGER.doubleword)),
  xx2('xscvdpuxds', 328, toInteger(INTEGER.unsignedDoubleword)),
  xx2('xscvdpsxws', 88, toInteger(INTEGER.word)),
  xx2('xscvdpuxws', 72, toInteger(INTEGER.unsignedWord)),
  xx2('xscvsxddp', 376, fromInteger(0, 0)),
  xx2('xscvuxddp', 360, fromInteger(1, 0)),
  xx2('xscvdpsp', 265, narrow),
  xx2(
    'xscvspdp',
    329,
    operation((s, f, _format, old) => s.invoke(WIDEN, left(s, b(s, f)), old)),
  ),

  single('xscvsxdsp', 312, fromInteger(0, SINGLE)),
  single('xscvuxdsp', 296, fromInteger(1, SINGLE)),
  single(
    'xsrsp',
    281,
    operation((s, f, _format, old) => s.invoke(ROUND_TO_SINGLE, b(s, f), old)),
  ),
  single(
    'xscvdpspn',
    267,
    move((s, f) => twice(s, s.invoke(STORE_SINGLE, b(s, f)))),
  ),
  single(
    'xscvspdpn',
    331,
    move((s, f) => s.invoke(LOAD_SINGLE, s.wrap(left(s, b(s, f))))),
  ),
  storage('lxsspx', 'XT', 524, (s, f) =>
    s.setVsrHalf(f.XT, 0, s.invoke(LOAD_SINGLE, s.low32(s.load(4, indexedAddress(s, f))))),
  ),
  storage('stxsspx', 'XS', 652, (s, f) =>
    s.store(4, indexedAddress(s, f), s.wordFromUnsigned32(s.invoke(STORE_SINGLE, s.vsrHalf(f.XS, 0)))),
  ),
];
