/** SPE's integer arithmetic, logic, shifts, comparisons and merges (SPE Programming Environments Manual, chapter 5). */
import { define, type InstructionRow } from '../define.ts';
import type { Expr, Operand, Semantics } from '../semantics.ts';
import {
  type Binary,
  type Elements,
  eachOf,
  eachPair,
  elements,
  pinned,
  scalarRow,
  setElements,
  setOverflow,
  speMeaning,
  speRow,
  wideGpr,
} from './spe-common.ts';

const ROUND = 0x8000;
const UPPER = 0xffff_0000 | 0;
const LEAST = 0x8000_0000 | 0;
const LARGEST = 0x7fff_ffff;

/** Shifts by the low six bits of an element: from 32 on, nothing is left but copies of the sign. */
const shifted =
  (kind: 'left' | 'right' | 'signed'): Binary =>
  (s, a, b) => {
    const n = s.let(s.and(b, 63));
    if (kind === 'signed') return s.shrSigned(a, s.select(s.gtUnsigned(n, 31), 31, n));
    return s.select(s.gtUnsigned(n, 31), 0, kind === 'left' ? s.shl(a, n) : s.shrUnsigned(a, n));
  };

/** A 5-bit immediate operand of both elements. */
const immediate = (
  mnemonic: string,
  opcode: number,
  operate: (s: Semantics, a: Expr, n: Operand) => Expr,
): InstructionRow =>
  speRow(mnemonic, opcode, 'RT RA SH', 'RT,RA,SH', (s, f) => {
    const a = pinned(s, f.RA);
    setElements(s, f.RT, operate(s, a.high, f.SH), operate(s, a.low, f.SH));
  });

/** RB and an immediate that stands in RA's place. */
const withImmediate = (mnemonic: string, opcode: number, operate: (s: Semantics, b: Expr, n: Operand) => Expr) =>
  speRow(mnemonic, opcode, 'RT UIM5 RB', 'RT,RB,UIM5', (s, f) => {
    const b = pinned(s, f.RB);
    setElements(s, f.RT, operate(s, b.high, f.UIM5), operate(s, b.low, f.UIM5));
  });

/** BF ← whether the elements compare so: high, low, either, both. */
const comparison = (mnemonic: string, opcode: number, compare: (s: Semantics, a: Expr, b: Expr) => Expr) =>
  speRow(mnemonic, opcode, 'BF /:2 RA RB', 'BF,RA,RB', (s, f) => {
    const [a, b] = [elements(s, f.RA), elements(s, f.RB)];
    const high = s.let(compare(s, a.high, b.high));
    const low = s.let(compare(s, a.low, b.low));
    const both = s.or(s.shl(s.or(high, low), 1), s.and(high, low));
    s.setCrField(f.BF, s.or(s.or(s.shl(high, 3), s.shl(low, 2)), both));
  });

/** RT ← an element of RA, one of RB. */
const merge = (mnemonic: string, opcode: number, first: keyof Elements, second: keyof Elements) =>
  speRow(mnemonic, opcode, 'RT RA RB', 'RT,RA,RB', (s, f) => {
    setElements(s, f.RT, elements(s, f.RA)[first], elements(s, f.RB)[second]);
  });

const ACCUMULATOR_LOW = (s: Semantics): Expr => s.extendUnsigned(s.wrap(s.wideState('accumulator')));
const ACCUMULATOR_HIGH = (s: Semantics): Expr => s.shrUnsigned(s.wideState('accumulator'), s.i64(32));

/** ACC and RT ← ACC ± RA, element by element; saturating ones tell where they did. */
function accumulate(mnemonic: string, opcode: number, kind: { minus: boolean; signed: boolean; saturates: boolean }) {
  return speRow(mnemonic, opcode, 'RT RA /:5', 'RT,RA', (s, f) => {
    const a = pinned(s, f.RA);
    const sum = (accumulator: Expr, element: Expr): SaturatedSum => {
      const extend = (value: Expr): Expr => (kind.signed ? s.extendSigned(value) : s.extendUnsigned(value));
      const left = kind.signed ? s.signExtend32(accumulator) : accumulator;
      const wide = s.let(kind.minus ? s.sub(left, extend(element)) : s.add(left, extend(element)));
      return kind.saturates ? saturatedSum(s, wide, kind.signed) : { value: s.let(s.wrap(wide)), overflow: s.i32(0) };
    };
    const high = sum(ACCUMULATOR_HIGH(s), a.high);
    const low = sum(ACCUMULATOR_LOW(s), a.low);
    setElements(s, f.RT, high.value, low.value);
    s.setWideState('accumulator', wideGpr(s, f.RT));
    if (kind.saturates) setOverflow(s, high.overflow, low.overflow);
  });
}

export interface SaturatedSum {
  readonly value: Expr;
  readonly overflow: Expr;
}

/** A pinned sum of 64 bits as one of 32: signed, or, with what is below zero becoming zero, unsigned. */
export function saturatedSum(s: Semantics, wide: Expr, signed: boolean): SaturatedSum {
  const narrow = s.let(s.wrap(wide));
  const overflow = s.let(s.ne(signed ? s.extendSigned(narrow) : s.extendUnsigned(narrow), wide));
  const negative = s.ltSigned(wide, s.i64(0));
  const bound = signed ? s.select(negative, LEAST, LARGEST) : s.select(negative, 0, -1);
  return { value: s.let(s.select(overflow, bound, narrow)), overflow };
}

interface Quotient {
  readonly value: Expr;
  readonly overflow: Expr;
}

/** Quotients; what there is none of is bounded, which SPEFSCR tells. */
function signedQuotient(s: Semantics, a: Expr, b: Expr): Quotient {
  const impossible = s.let(s.or(s.eqz(b), s.and(s.eq(a, LEAST), s.eq(b, -1))));
  const bound = s.select(s.and(s.ltSigned(a, 0), s.eqz(b)), LEAST, LARGEST);
  return {
    value: s.let(s.select(impossible, bound, s.divSigned(a, s.let(s.select(impossible, 1, b))))),
    overflow: impossible,
  };
}

function unsignedQuotient(s: Semantics, a: Expr, b: Expr): Quotient {
  const zero = s.let(s.eqz(b));
  return { value: s.let(s.select(zero, -1, s.divUnsigned(a, s.let(s.select(zero, 1, b))))), overflow: zero };
}

const quotients = (mnemonic: string, opcode: number, divide: (s: Semantics, a: Expr, b: Expr) => Quotient) =>
  speRow(mnemonic, opcode, 'RT RA RB', 'RT,RA,RB', (s, f) => {
    const [a, b] = [pinned(s, f.RA), pinned(s, f.RB)];
    const [high, low] = [divide(s, a.high, b.high), divide(s, a.low, b.low)];
    setElements(s, f.RT, high.value, low.value);
    setOverflow(s, high.overflow, low.overflow);
  });

/** The bits of a pinned word in the opposite order. */
function reversed(s: Semantics, word: Expr): Expr {
  const exchange = (value: Expr, mask: number, n: number): Expr =>
    s.let(s.or(s.and(s.shrUnsigned(value, n), mask), s.shl(s.and(value, mask), n)));
  const bytes = exchange(exchange(exchange(word, 0x5555_5555, 1), 0x3333_3333, 2), 0x0f0f_0f0f, 4);
  return s.rotl(exchange(bytes, 0x00ff_00ff, 8), 16);
}

/** Bits that brinc increments at most. */
const INCREMENTED = 0xffff;

export const SPE_INTEGER_INSTRUCTIONS: readonly InstructionRow[] = [
  eachPair('evaddw', 512, (s, a, b) => s.add(a, b)),
  withImmediate('evaddiw', 514, (s, b, n) => s.add(b, n)),
  eachPair('evsubw', 516, (s, a, b) => s.sub(b, a), 'RT,RB,RA'),
  withImmediate('evsubiw', 518, (s, b, n) => s.sub(b, n)),
  eachOf('evabs', 520, (s, a) => s.select(s.ltSigned(a, 0), s.neg(a), a)),
  eachOf('evneg', 521, (s, a) => s.neg(a)),
  eachOf('evextsb', 522, (s, a) => s.signExtend8(a)),
  eachOf('evextsh', 523, (s, a) => s.signExtend16(a)),
  eachOf('evrndw', 524, (s, a) => s.and(s.add(a, ROUND), UPPER)),
  eachOf('evcntlzw', 525, (s, a) => s.clz(a)),
  eachOf('evcntlsw', 526, (s, a) => s.clz(s.xor(a, s.shrSigned(a, 31)))),
  scalarRow('brinc', 527, 'RT RA RB', 'RT,RA,RB', (s, f) => {
    const a = s.let(s.low32(s.gpr(f.RA)));
    const mask = s.let(s.and(s.low32(s.gpr(f.RB)), INCREMENTED));
    const next = s.let(s.add(reversed(s, s.let(s.or(s.and(a, INCREMENTED), s.not(mask)))), 1));
    s.setGpr(f.RT, s.wordFromUnsigned32(s.or(s.and(a, ~INCREMENTED), s.and(reversed(s, next), mask))));
  }),
  eachPair('evand', 529, (s, a, b) => s.and(a, b)),
  eachPair('evandc', 530, (s, a, b) => s.and(a, s.not(b))),
  eachPair('evxor', 534, (s, a, b) => s.xor(a, b)),
  eachPair('evor', 535, (s, a, b) => s.or(a, b)),
  eachPair('evnor', 536, (s, a, b) => s.not(s.or(a, b))),
  eachPair('eveqv', 537, (s, a, b) => s.not(s.xor(a, b))),
  eachPair('evorc', 539, (s, a, b) => s.or(a, s.not(b))),
  eachPair('evnand', 542, (s, a, b) => s.not(s.and(a, b))),
  eachPair('evsrwu', 544, shifted('right')),
  eachPair('evsrws', 545, shifted('signed')),
  immediate('evsrwiu', 546, (s, a, n) => s.shrUnsigned(a, n)),
  immediate('evsrwis', 547, (s, a, n) => s.shrSigned(a, n)),
  eachPair('evslw', 548, shifted('left')),
  immediate('evslwi', 550, (s, a, n) => s.shl(a, n)),
  eachPair('evrlw', 552, (s, a, b) => s.rotl(a, b)),
  speRow('evsplati', 553, 'RT SIM /:5', 'RT,SIM', (s, f) => {
    setElements(s, f.RT, s.i32(f.SIM), s.i32(f.SIM));
  }),
  immediate('evrlwi', 554, (s, a, n) => s.rotl(a, n)),
  speRow('evsplatfi', 555, 'RT SIM /:5', 'RT,SIM', (s, f) => {
    const value = s.let(s.shl(s.i32(f.SIM), 27));
    setElements(s, f.RT, value, value);
  }),
  merge('evmergehi', 556, 'high', 'high'),
  merge('evmergelo', 557, 'low', 'low'),
  merge('evmergehilo', 558, 'high', 'low'),
  merge('evmergelohi', 559, 'low', 'high'),
  comparison('evcmpgtu', 560, (s, a, b) => s.gtUnsigned(a, b)),
  comparison('evcmpgts', 561, (s, a, b) => s.gtSigned(a, b)),
  comparison('evcmpltu', 562, (s, a, b) => s.ltUnsigned(a, b)),
  comparison('evcmplts', 563, (s, a, b) => s.ltSigned(a, b)),
  comparison('evcmpeq', 564, (s, a, b) => s.eq(a, b)),
  define(
    'evsel',
    '4 RT RA RB 79:8 BFS',
    'RT,RA,RB,BFS',
    speMeaning((s, f) => {
      const [a, b] = [pinned(s, f.RA), pinned(s, f.RB)];
      const selector = s.let(s.crField(f.BFS));
      setElements(s, f.RT, s.select(s.and(selector, 8), a.high, b.high), s.select(s.and(selector, 4), a.low, b.low));
    }),
    { level: 'spe' },
  ),
  accumulate('evaddusiaaw', 1216, { minus: false, signed: false, saturates: true }),
  accumulate('evaddssiaaw', 1217, { minus: false, signed: true, saturates: true }),
  accumulate('evsubfusiaaw', 1218, { minus: true, signed: false, saturates: true }),
  accumulate('evsubfssiaaw', 1219, { minus: true, signed: true, saturates: true }),
  speRow('evmra', 1220, 'RT RA /:5', 'RT,RA', (s, f) => {
    const a = pinned(s, f.RA);
    setElements(s, f.RT, a.high, a.low);
    s.setWideState('accumulator', wideGpr(s, f.RT));
  }),
  quotients('evdivws', 1222, signedQuotient),
  quotients('evdivwu', 1223, unsignedQuotient),
  accumulate('evaddumiaaw', 1224, { minus: false, signed: false, saturates: false }),
  accumulate('evaddsmiaaw', 1225, { minus: false, signed: true, saturates: false }),
  accumulate('evsubfumiaaw', 1226, { minus: true, signed: false, saturates: false }),
  accumulate('evsubfsmiaaw', 1227, { minus: true, signed: true, saturates: false }),
];
