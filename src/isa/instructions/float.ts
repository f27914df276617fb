/**
 * Floating-point arithmetic, conversion and comparison: Power ISA 2.07 Book I, 4.6.6–4.6.9. The numbers are in the
 * routines of ../float; a processor without the unit takes all of it for what MSR[FP]=0 makes of it.
 */

import { define, type InstructionRow, type Level } from '../define.ts';
import { INTEGER, ROUND_TO_INTEGRAL, TIES_AWAY } from '../float/convert.ts';
import { RECIPROCAL, RECIPROCAL_ROOT } from '../float/estimates.ts';
import { FPSCR } from '../float/fpscr.ts';
import { isNegative, isNotNumber, isZero, NEGATED, SIGN } from '../float/number.ts';
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
import type { Expr, Meaning, Operands, Semantics } from '../semantics.ts';
import { floatMeaning, interruptIfEnabled, recordCr1, writeResult } from './float-common.ts';

type Unit = (s: Semantics, f: Operands, format: Expr, old: Expr) => Expr;

function row(
  mnemonic: string,
  encoding: string,
  syntax: string,
  meaning: Meaning,
  level: Level = 'float',
): InstructionRow {
  return define(mnemonic, encoding, syntax, floatMeaning(meaning), { level });
}

/** An operation that rounds: its result, then the interrupt that it may have enabled, then CR1. */
const operation =
  (format: number, unit: Unit): Meaning =>
  (s, f) =>
    writeResult(s, f, unit(s, f, s.i32(format), s.let(s.fpr(f.FRT))));

/** Arithmetic in double (opcode 63) and single precision (opcode 59). */
const both = (mnemonic: string, operands: string, syntax: string, unit: Unit, format = 0): InstructionRow[] => [
  row(mnemonic, `63 ${operands} Rc`, syntax, operation(format, unit)),
  row(`${mnemonic}s`, `59 ${operands} Rc`, syntax, operation(format | 1, unit)),
];
const two = (mnemonic: string, extended: number, unit: Unit) =>
  both(mnemonic, `FRT FRA FRB /:5 ${extended}:5`, 'FRT,FRA,FRB', unit);
const fused = (mnemonic: string, extended: number, subtracts: number, format: number) =>
  both(
    mnemonic,
    `FRT FRA FRB FRC ${extended}:5`,
    'FRT,FRA,FRC,FRB',
    (s, f, precision, old) =>
      s.invoke(MULTIPLY_ADD, s.fpr(f.FRA), s.fpr(f.FRC), s.fpr(f.FRB), s.i32(subtracts), precision, old),
    format,
  );

const subtrahend = (s: Semantics, f: Operands): Expr => {
  const b = s.let(s.fpr(f.FRB));
  return s.select(isNotNumber(s, b), b, s.xor(b, s.i64(SIGN)));
};

/** One operand in FRB, with the eleven bits that stand for the operation. */
function one(mnemonic: string, opcode: number, extended: number, meaning: Meaning, level?: Level): InstructionRow {
  return row(mnemonic, `${opcode} FRT /:5 FRB ${extended}:10 Rc`, 'FRT,FRB', meaning, level);
}

/** A move, which has no exceptions. */
const move =
  (value: (s: Semantics, f: Operands) => Expr): Meaning =>
  (s, f) => {
    s.setFpr(f.FRT, value(s, f));
    recordCr1(s, f);
  };

/** The words of FRA and FRB, left or right: of the floating-point facility, though it came with vectors (4.6.5). */
const merge = (mnemonic: string, extended: number, value: (s: Semantics, x: Expr, y: Expr) => Expr): InstructionRow =>
  row(
    mnemonic,
    `63 FRT FRA FRB ${extended}:10 /:1`,
    'FRT,FRA,FRB',
    (s, f) => s.setFpr(f.FRT, value(s, s.let(s.fpr(f.FRA)), s.let(s.fpr(f.FRB)))),
    '2.07',
  );

const currentMode = (s: Semantics): Expr => s.and(s.state('fpscr'), FPSCR.RN);
const toInteger = (kind: number, toZero: boolean): Meaning =>
  operation(0, (s, f, _format, old) =>
    s.invoke(TO_INTEGER, s.fpr(f.FRB), toZero ? s.i32(1) : currentMode(s), s.i32(kind), old),
  );
const toIntegral = (mode: number): Meaning =>
  operation(0, (s, f, _format, old) => s.invoke(ROUND_TO_INTEGRAL, s.fpr(f.FRB), s.i32(mode), old));
const fromInteger = (format: number, unsigned: number): Meaning =>
  operation(format, (s, f, precision) => s.invoke(FROM_INTEGER, s.fpr(f.FRB), s.i32(unsigned), precision));

const compare =
  (ordered: number): Meaning =>
  (s, f) => {
    const bits = s.invoke(COMPARE, s.fpr(f.FRA), s.fpr(f.FRB), s.i32(ordered));
    s.setCrField(f.BF, bits);
    interruptIfEnabled(s);
  };

const select: Meaning = (s, f) => {
  const a = s.let(s.fpr(f.FRA));
  const atLeastZero = s.and(s.eqz(isNotNumber(s, a)), s.or(s.eqz(isNegative(s, a)), isZero(s, a)));
  s.setFpr(f.FRT, s.select(atLeastZero, s.fpr(f.FRC), s.fpr(f.FRB)));
  recordCr1(s, f);
};

const testDivide: Meaning = (s, f) => {
  const [a, b] = [s.let(s.fpr(f.FRA)), s.let(s.fpr(f.FRB))];
  s.setCrField(f.BF, divideTest(s, a, b, DOUBLE_LIMITS));
};
const testRoot: Meaning = (s, f) => s.setCrField(f.BF, rootTest(s, s.let(s.fpr(f.FRB)), DOUBLE_LIMITS));

export const FLOAT_INSTRUCTIONS: readonly InstructionRow[] = [
  ...two('fadd', 21, (s, f, format, old) => s.invoke(ADD, s.fpr(f.FRA), s.fpr(f.FRB), format, old)),
  ...two('fsub', 20, (s, f, format, old) => s.invoke(ADD, s.fpr(f.FRA), subtrahend(s, f), format, old)),
  ...two('fdiv', 18, (s, f, format, old) => s.invoke(DIVIDE, s.fpr(f.FRA), s.fpr(f.FRB), format, old)),
  ...both('fmul', 'FRT FRA /:5 FRC 25:5', 'FRT,FRA,FRC', (s, f, format, old) =>
    s.invoke(MULTIPLY, s.fpr(f.FRA), s.fpr(f.FRC), format, old),
  ),
  ...both('fsqrt', 'FRT /:5 FRB /:5 22:5', 'FRT,FRB', (s, f, format, old) =>
    s.invoke(SQUARE_ROOT, s.fpr(f.FRB), format, old),
  ),
  ...fused('fmadd', 29, 0, 0),
  ...fused('fmsub', 28, 1, 0),
  ...fused('fnmadd', 31, 0, NEGATED),
  ...fused('fnmsub', 30, 1, NEGATED),
  row(
    'fres',
    '59 FRT /:5 FRB /:5 24:5 Rc',
    'FRT,FRB',
    operation(1, (s, f, format, old) => s.invoke(RECIPROCAL, s.fpr(f.FRB), format, old)),
  ),
  row(
    'frsqrte',
    '63 FRT /:5 FRB /:5 26:5 Rc',
    'FRT,FRB',
    operation(0, (s, f, format, old) => s.invoke(RECIPROCAL_ROOT, s.fpr(f.FRB), format, old)),
  ),
  row('fsel', '63 FRT FRA FRB FRC 23:5 Rc', 'FRT,FRA,FRC,FRB', select),

  one(
    'fmr',
    63,
    72,
    move((s, f) => s.fpr(f.FRB)),
  ),
  one(
    'fneg',
    63,
    40,
    move((s, f) => s.xor(s.fpr(f.FRB), s.i64(SIGN))),
  ),
  one(
    'fabs',
    63,
    264,
    move((s, f) => s.and(s.fpr(f.FRB), s.i64(~SIGN))),
  ),
  one(
    'fnabs',
    63,
    136,
    move((s, f) => s.or(s.fpr(f.FRB), s.i64(SIGN))),
  ),
  one(
    'frsp',
    63,
    12,
    operation(1, (s, f, _format, old) => s.invoke(ROUND_TO_SINGLE, s.fpr(f.FRB), old)),
  ),
  one('fctiw', 63, 14, toInteger(INTEGER.word, false)),
  one('fctiwz', 63, 15, toInteger(INTEGER.word, true)),
  row('fcmpu', '63 BF /:2 FRA FRB 0:10 /:1', 'BF,FRA,FRB', compare(0)),
  row('fcmpo', '63 BF /:2 FRA FRB 32:10 /:1', 'BF,FRA,FRB', compare(1)),

  one('fctid', 63, 814, toInteger(INTEGER.doubleword, false), 'float-64'),
  one('fctidz', 63, 815, toInteger(INTEGER.doubleword, true), 'float-64'),
  one('fcfid', 63, 846, fromInteger(0, 0), 'float-64'),

  row(
    'fre',
    '63 FRT /:5 FRB /:5 24:5 Rc',
    'FRT,FRB',
    operation(0, (s, f, format, old) => s.invoke(RECIPROCAL, s.fpr(f.FRB), format, old)),
    '2.02',
  ),
  row(
    'frsqrtes',
    '59 FRT /:5 FRB /:5 26:5 Rc',
    'FRT,FRB',
    operation(1, (s, f, format, old) => s.invoke(RECIPROCAL_ROOT, s.fpr(f.FRB), format, old)),
    '2.02',
  ),
  one('frin', 63, 392, toIntegral(TIES_AWAY), '2.02'),
  one('friz', 63, 424, toIntegral(1), '2.02'),
  one('frip', 63, 456, toIntegral(2), '2.02'),
  one('frim', 63, 488, toIntegral(3), '2.02'),

  row(
    'fcpsgn',
    '63 FRT FRA FRB 8:10 Rc',
    'FRT,FRA,FRB',
    move((s, f) => s.or(s.and(s.fpr(f.FRA), s.i64(SIGN)), s.and(s.fpr(f.FRB), s.i64(~SIGN)))),
    '2.05',
  ),

  one('fcfids', 59, 846, fromInteger(1, 0), '2.06'),
  one('fcfidu', 63, 974, fromInteger(0, 1), '2.06'),
  one('fcfidus', 59, 974, fromInteger(1, 1), '2.06'),
  one('fctidu', 63, 942, toInteger(INTEGER.unsignedDoubleword, false), '2.06'),
  one('fctiduz', 63, 943, toInteger(INTEGER.unsignedDoubleword, true), '2.06'),
  one('fctiwu', 63, 142, toInteger(INTEGER.unsignedWord, false), '2.06'),
  one('fctiwuz', 63, 143, toInteger(INTEGER.unsignedWord, true), '2.06'),
  row('ftdiv', '63 BF /:2 FRA FRB 128:10 /:1', 'BF,FRA,FRB', testDivide, '2.06'),
  row('ftsqrt', '63 BF /:2 /:5 FRB 160:10 /:1', 'BF,FRB', testRoot, '2.06'),

  merge('fmrgew', 966, (s, x, y) => s.or(s.and(x, s.i64(-1n << 32n)), s.shrUnsigned(y, 32))),
  merge('fmrgow', 838, (s, x, y) => s.or(s.shl(x, 32), s.and(y, s.i64(0xffff_ffff)))),
];
