/** What only vector-scalar instructions do: routines on pairs of singles, extremes, comparisons that make masks. */

import type { Expr, Routine, Semantics } from '../semantics.ts';
import { LOAD_SINGLE, ROUND_TO_INTEGRAL, STORE_SINGLE } from './convert.ts';
import { RECIPROCAL, RECIPROCAL_ROOT } from './estimates.ts';
import { FPSCR, raised } from './fpscr.ts';
import { EXACT, isNotNumber, quieted, SINGLE, signalling } from './number.ts';
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
} from './quick.ts';

/** (a, b, whether the least, old) → the greater or the lesser one of two numbers: FPRF, FR and FI stay as they are. */
export const EXTREME: Routine = {
  name: 'floatExtreme',
  params: ['i64', 'i64', 'i32', 'i64'],
  result: 'i64',
  body: (s, a, b, least, old) => {
    const signals = s.let(s.or(signalling(s, a), signalling(s, b)));
    const [nanA, nanB] = [s.let(isNotNumber(s, a)), s.let(isNotNumber(s, b))];
    // In order as integers, -0 being less than +0.
    const inOrder = (bits: Expr): Expr => s.xor(bits, s.shrUnsigned(s.shrSigned(bits, 63), 1));
    const less = s.ltSigned(inOrder(a), inOrder(b));
    const number = s.select(s.eq(less, s.ne(least, 0)), a, b);
    // One quiet NaN beside a number counts for nothing; of others the first is the result, made quiet.
    const ofA = s.select(s.or(nanB, s.ne(signalling(s, a), 0)), quieted(s, a), b);
    const ofB = s.select(signalling(s, b), quieted(s, b), a);
    const result = s.let(s.select(nanA, ofA, s.select(nanB, ofB, number)));
    const fpscr = s.let(s.state('fpscr'));
    s.setState('fpscr', raised(s, fpscr, signals));
    const suppressed = s.and(s.ne(signals, 0), s.ne(s.and(fpscr, FPSCR.VE), 0));
    return s.select(suppressed, old, result);
  },
};

/** The relations of COMPARE_MASK, as COMPARE answers them; with 1 more a quiet NaN is invalid. */
export const RELATION = { equal: 2, greater: 4 | 1, atLeast: 4 | 2 | 1 } as const;

/** (a, b, relation) → all ones where it holds. FPCC stays as it is. */
export const COMPARE_MASK: Routine = {
  name: 'floatCompareMask',
  params: ['i64', 'i64', 'i32'],
  result: 'i64',
  body: (s, a, b, relation) => {
    const flags = s.let(s.and(s.state('fpscr'), FPSCR.FPCC));
    const bits = s.let(s.invoke(COMPARE, a, b, s.and(relation, 1)));
    s.setState('fpscr', s.or(s.and(s.state('fpscr'), ~FPSCR.FPCC), flags));
    const holds = s.and(bits, s.and(relation, ~1));
    return s.neg(s.extendUnsigned(s.ne(holds, 0)));
  },
};

/** (a single in the low word, old) → the number as a double; a signalling NaN is an invalid operation. */
export const WIDEN: Routine = {
  name: 'floatWiden',
  params: ['i64', 'i64'],
  result: 'i64',
  body: (s, word, old) => {
    const number = s.invoke(LOAD_SINGLE, s.wrap(word));
    const value = s.let(s.select(isNotNumber(s, number), quieted(s, number), number));
    return s.invoke(EXACT, value, signalling(s, number), s.i32(0), old);
  },
};

/** The single in a pair's left (0) or right word, as a double. */
function singleOf(s: Semantics, pair: Expr, word: 0 | 1): Expr {
  return s.invoke(LOAD_SINGLE, s.wrap(word === 0 ? s.shrUnsigned(pair, 32) : pair));
}

/** Two pinned words beside each other. */
const joined = (s: Semantics, left: Expr, right: Expr): Expr =>
  s.or(s.shl(s.extendUnsigned(left), 32), s.extendUnsigned(right));

type Unit = (s: Semantics, operands: readonly Expr[], rest: readonly Expr[]) => Expr;

/** A routine on the words of doublewords: `words` on words as they are, else on singles, as doubles. */
function pairwise(name: string, operands: number, rest: number, unit: Unit, words = false): Routine {
  const params = [...new Array<'i64'>(operands).fill('i64'), ...new Array<'i32'>(rest).fill('i32')];
  return {
    name,
    params,
    result: 'i64',
    body: (s, ...args) => {
      const half = (word: 0 | 1): Expr => {
        const given = args
          .slice(0, operands)
          .map((pair) => (words ? s.let(word === 0 ? s.shrUnsigned(pair, 32) : pair) : singleOf(s, pair, word)));
        return s.let(unit(s, given, args.slice(operands)));
      };
      const left = half(0);
      return joined(s, left, half(1));
    },
  };
}

/** A routine on pairs of singles whose results are singles: an element with an enabled exception is not written. */
const single = (name: string, operands: number, rest: number, unit: Unit): Routine =>
  pairwise(name, operands, rest, (s, given, more) => s.invoke(STORE_SINGLE, unit(s, given, more)));

const at = (list: readonly Expr[], index: number): Expr => list[index] as Expr;
const NOTHING = 0;

/** What is done with pairs of singles. Operands are as in the routines for doubles, without format and old value. */
export const PAIR = {
  add: single('floatAddPair', 2, 0, (s, [a, b]) => s.invoke(ADD, a as Expr, b as Expr, s.i32(SINGLE), s.i64(NOTHING))),
  multiply: single('floatMultiplyPair', 2, 0, (s, [a, b]) =>
    s.invoke(MULTIPLY, a as Expr, b as Expr, s.i32(SINGLE), s.i64(NOTHING)),
  ),
  divide: single('floatDividePair', 2, 0, (s, [a, b]) =>
    s.invoke(DIVIDE, a as Expr, b as Expr, s.i32(SINGLE), s.i64(NOTHING)),
  ),
  squareRoot: single('floatSquareRootPair', 1, 0, (s, [a]) =>
    s.invoke(SQUARE_ROOT, a as Expr, s.i32(SINGLE), s.i64(NOTHING)),
  ),
  /** (a, c, b, subtracts, format). */
  multiplyAdd: single('floatMultiplyAddPair', 3, 2, (s, [a, c, b], rest) =>
    s.invoke(MULTIPLY_ADD, a as Expr, c as Expr, b as Expr, at(rest, 0), at(rest, 1), s.i64(NOTHING)),
  ),
  /** (a, b, whether the least). */
  extreme: single('floatExtremePair', 2, 1, (s, [a, b], rest) =>
    s.invoke(EXTREME, a as Expr, b as Expr, at(rest, 0), s.i64(NOTHING)),
  ),
  reciprocal: single('floatReciprocalPair', 1, 0, (s, [a]) =>
    s.invoke(RECIPROCAL, a as Expr, s.i32(SINGLE), s.i64(NOTHING)),
  ),
  reciprocalRoot: single('floatReciprocalRootPair', 1, 0, (s, [a]) =>
    s.invoke(RECIPROCAL_ROOT, a as Expr, s.i32(SINGLE), s.i64(NOTHING)),
  ),
  /** (a, mode). */
  toIntegral: single('floatToIntegralPair', 1, 1, (s, [a], rest) =>
    s.invoke(ROUND_TO_INTEGRAL, a as Expr, at(rest, 0), s.i64(NOTHING)),
  ),
  /** (a, kind of integer): toward zero. */
  toInteger: pairwise('floatToIntegerPair', 1, 1, (s, [a], rest) =>
    s.wrap(s.invoke(TO_INTEGER, a as Expr, s.i32(1), at(rest, 0), s.i64(NOTHING))),
  ),
  /** (words, whether they are unsigned). */
  fromInteger: pairwise(
    'floatFromIntegerPair',
    1,
    1,
    (s, [word], rest) => {
      const wide = s.select(at(rest, 0), s.and(word as Expr, s.i64(0xffff_ffff)), s.signExtend32(word as Expr));
      return s.invoke(STORE_SINGLE, s.invoke(FROM_INTEGER, s.let(wide), s.i32(0), s.i32(SINGLE)));
    },
    true,
  ),
  /** (a, b, relation) → masks. */
  compare: pairwise('floatCompareMaskPair', 2, 1, (s, [a, b], rest) =>
    s.wrap(s.invoke(COMPARE_MASK, a as Expr, b as Expr, at(rest, 0))),
  ),
} as const satisfies Record<string, Routine>;

/** (a) → a rounded to single precision, in both words: one of them is undefined. */
export const NARROW: Routine = {
  name: 'floatNarrow',
  params: ['i64'],
  result: 'i64',
  body: (s, a) => {
    const word = s.let(s.invoke(STORE_SINGLE, s.invoke(ROUND_TO_SINGLE, a, s.i64(NOTHING))));
    return joined(s, word, word);
  },
};

/** A pinned word in both words of a doubleword. */
export const twice = (s: Semantics, word: Expr): Expr => joined(s, word, word);

/** The sign of a single in each word. */
export const SIGNS = 0x8000_0000_8000_0000n;

/** A pair of singles with their signs turned around, but those of NaNs. */
export function negatedPair(s: Semantics, bits: Expr): Expr {
  const pair = s.let(bits);
  const INFINITE = 0x7f80_0000;
  const sign = (word: Expr): Expr => s.select(s.gtSigned(s.and(word, 0x7fff_ffff), INFINITE), 0, 0x8000_0000 | 0);
  const signs = joined(s, sign(s.wrap(s.shrUnsigned(pair, 32))), sign(s.wrap(pair)));
  return s.xor(pair, signs);
}

/** All routines of this file. */
export const VECTOR_ROUTINES: readonly Routine[] = [EXTREME, COMPARE_MASK, WIDEN, NARROW, ...Object.values(PAIR)];
