/** Vector integer arithmetic: Power ISA 2.07 Book I, 6.9.1. */
import type { InstructionRow, Level } from '../define.ts';
import type { Expr, Semantics } from '../semantics.ts';
import { type ElementBits, everyLane, laneOp, permuteElements, SHAPES } from '../vector/lanes.ts';
import { type Binary, bounded, saturated, saturatedUnless, type Ternary, va, vx, vxSimd } from './vector-common.ts';

const SIZES: readonly (readonly [suffix: string, bits: ElementBits, place: number, level: Level])[] = [
  ['b', 8, 0, 'vector'],
  ['h', 16, 64, 'vector'],
  ['w', 32, 128, 'vector'],
  ['d', 64, 192, 'vector-2.07'],
];

/** A row for each size of elements; the opcodes of neighbours are 64 apart. */
function sized(
  name: (size: string) => string,
  opcode: number,
  row: (mnemonic: string, opcode: number, bits: ElementBits, level: Level) => InstructionRow,
  sizes = SIZES,
): InstructionRow[] {
  return sizes.map(([suffix, bits, place, level]) => row(name(suffix), opcode + place, bits, level));
}

const TO_WORDS = SIZES.slice(0, 3);
const simple = (operation: string) => (mnemonic: string, opcode: number, bits: ElementBits, level: Level) =>
  vxSimd(mnemonic, opcode, laneOp(bits, operation), level);

/** A sum or difference within the bounds of its elements, which sets VSCR[SAT] where these are what it comes to. */
type Bounded = (s: Semantics, a: Expr, b: Expr) => Expr;

/** WebAssembly bounds elements of 8 and 16 bits. */
function narrowBounded(bits: 8 | 16, operation: 'add' | 'sub', sign: 's' | 'u'): Bounded {
  return (s, a, b) => {
    const result = s.let(s.simd(laneOp(bits, `${operation}_sat_${sign}`), a, b));
    saturatedUnless(s, result, s.simd(laneOp(bits, operation), a, b));
    return result;
  };
}

const anyLane = (s: Semantics, mask: Expr): void => saturated(s, s.simd('v128.any_true', mask));

/** The pinned sum of unsigned words; a carry leaves ones. */
const addUnsignedWords: Bounded = (s, a, b) => {
  const sum = s.let(s.simd('i32x4.add', a, b));
  const carries = s.let(s.simd('i32x4.lt_u', sum, a));
  anyLane(s, carries);
  return s.simd('v128.or', sum, carries);
};

const subtractUnsignedWords: Bounded = (s, a, b) => {
  const borrows = s.let(s.simd('i32x4.lt_u', a, b));
  anyLane(s, borrows);
  return s.simd('v128.andnot', s.simd('i32x4.sub', a, b), borrows);
};

/** `overflow` has ones in its lanes' signs; the bound is the one on the side of `side`. */
function boundedWords(s: Semantics, sum: Expr, overflow: Expr, side: Expr): Expr {
  const mask = s.let(s.simd('i32x4.shr_s', overflow, 31));
  anyLane(s, mask);
  const bound = s.simd('v128.xor', s.simd('i32x4.shr_s', side, 31), everyLane(s, 32, 0x7fff_ffff));
  return s.simd('v128.bitselect', bound, sum, mask);
}

/** The signs of lanes where a sum has another sign than both of its parts. */
const overflowOf = (s: Semantics, sum: Expr, a: Expr, b: Expr): Expr =>
  s.simd('v128.and', s.simd('v128.xor', sum, a), s.simd('v128.xor', sum, b));

const addSignedWords: Bounded = (s, a, b) => {
  const sum = s.let(s.simd('i32x4.add', a, b));
  return boundedWords(s, sum, overflowOf(s, sum, a, b), a);
};

const subtractSignedWords: Bounded = (s, a, b) => {
  const difference = s.let(s.simd('i32x4.sub', a, b));
  const overflow = s.simd('v128.and', s.simd('v128.xor', difference, a), s.simd('v128.xor', a, b));
  return boundedWords(s, difference, overflow, a);
};

const WORDS: Record<string, Bounded> = {
  'add u': addUnsignedWords,
  'sub u': subtractUnsignedWords,
  'add s': addSignedWords,
  'sub s': subtractSignedWords,
};

const boundedRows = (operation: 'add' | 'sub', sign: 's' | 'u', opcode: number): InstructionRow[] =>
  sized(
    (size) => `v${operation}${sign}${size}s`,
    opcode,
    (mnemonic, code, bits, level) => {
      const narrow = bits === 8 || bits === 16;
      const operate = narrow ? narrowBounded(bits, operation, sign) : (WORDS[`${operation} ${sign}`] as Bounded);
      return vx(mnemonic, code, operate, level);
    },
    TO_WORDS,
  );

/** The products of every second element, as elements of twice the size: even ones (from the left) or odd ones. */
function product(bits: 8 | 16 | 32, sign: 's' | 'u', parity: 'even' | 'odd'): Binary {
  const wide = (2 * bits) as ElementBits;
  const count = 128 / bits;
  const first = parity === 'even' ? 0 : 1;
  // All of them in the right half: the left one is nobody's.
  const chosen = Array.from({ length: count }, (_, i) => (2 * i + first) % count);
  const op = laneOp(wide, `extmul_low_${SHAPES[bits]}_${sign}`);
  return (s, a, b) => s.simd(op, permuteElements(s, bits, a, a, chosen), permuteElements(s, bits, b, b, chosen));
}

const products = (parity: 'even' | 'odd', sign: 's' | 'u', opcode: number): InstructionRow[] =>
  sized(
    (size) => `vmul${parity === 'even' ? 'e' : 'o'}${sign}${size}`,
    opcode,
    (mnemonic, code, bits, level) =>
      vx(mnemonic, code, product(bits as 8 | 16 | 32, sign, parity), bits === 32 ? 'vector-2.07' : level),
    TO_WORDS,
  );

/** (a · b + rounding) >> 15 + c, bounded to signed halfwords. */
function multiplyHigh(rounding: number): Ternary {
  return (s, a, b, c) => {
    const [low, high] = (['low', 'high'] as const).map((half) => {
      const whole = s.simd(`i32x4.extmul_${half}_i16x8_s`, a, b);
      const rounded = rounding ? s.simd('i32x4.add', whole, everyLane(s, 32, rounding)) : whole;
      const shifted = s.simd('i32x4.shr_s', rounded, 15);
      return s.let(s.simd('i32x4.add', shifted, s.simd(`i32x4.extend_${half}_i16x8_s`, c)));
    }) as [Expr, Expr];
    const result = s.let(s.simd('i16x8.narrow_i32x4_s', low, high));
    const changed = s.simd(
      'v128.or',
      s.simd('v128.xor', low, s.simd('i32x4.extend_low_i16x8_s', result)),
      s.simd('v128.xor', high, s.simd('i32x4.extend_high_i16x8_s', result)),
    );
    anyLane(s, changed);
    return result;
  };
}

/** Every second element, extended to twice the size: those with even numbers from the left are the left ones. */
function extended(s: Semantics, bits: 8 | 16, a: Expr, sign: 's' | 'u', parity: 'even' | 'odd'): Expr {
  const wide = (2 * bits) as 16 | 32;
  if (parity === 'even') return s.simd(laneOp(wide, `shr_${sign}`), a, bits);
  if (sign === 'u') return s.simd('v128.and', a, everyLane(s, wide, 2 ** bits - 1));
  return s.simd(laneOp(wide, 'shr_s'), s.simd(laneOp(wide, 'shl'), a, bits), bits);
}

/** For each word, the sum of the products of its bytes or halfwords, which for halfwords is taken modulo 2^32. */
function sumOfProducts(s: Semantics, bits: 8 | 16, a: Expr, signA: 's' | 'u', b: Expr): Expr {
  const wide = (2 * bits) as 16 | 32;
  const [even, odd] = (['even', 'odd'] as const).map((parity) => {
    const one = s.simd(laneOp(wide, 'mul'), extended(s, bits, a, signA, parity), extended(s, bits, b, 'u', parity));
    return bits === 8 ? s.simd(`i32x4.extadd_pairwise_i16x8_${signA}`, one) : one;
  }) as [Expr, Expr];
  return s.simd('i32x4.add', even, odd);
}

const sumUnsignedBounded: Ternary = (s, a, b, c) => {
  const [even, odd] = (['even', 'odd'] as const).map((parity) =>
    s.let(s.simd('i32x4.mul', extended(s, 16, a, 'u', parity), extended(s, 16, b, 'u', parity))),
  ) as [Expr, Expr];
  const both = s.let(s.simd('i32x4.add', even, odd));
  const sum = s.let(s.simd('i32x4.add', both, c));
  const carries = s.let(s.simd('v128.or', s.simd('i32x4.lt_u', both, even), s.simd('i32x4.lt_u', sum, both)));
  anyLane(s, carries);
  return s.simd('v128.or', sum, carries);
};

/** Two products of -2^15 · -2^15 come to 2^31, which looks like -2^31: its overflow and its bound are the other ones. */
const sumSignedBounded: Ternary = (s, a, b, c) => {
  const both = s.let(s.simd('i32x4.dot_i16x8_s', a, b));
  const sum = s.let(s.simd('i32x4.add', both, c));
  const turned = s.let(s.simd('i32x4.eq', both, everyLane(s, 32, 0x8000_0000)));
  const overflow = s.simd('v128.xor', overflowOf(s, sum, both, c), turned);
  return boundedWords(s, sum, overflow, s.simd('v128.xor', both, turned));
};

/** The bytes or halfwords of each word of a, and the word of b. */
const acrossUnsignedBytes: Binary = (s, a, b) =>
  addUnsignedWords(s, s.let(s.simd('i32x4.extadd_pairwise_i16x8_u', s.simd('i16x8.extadd_pairwise_i8x16_u', a))), b);
const acrossSignedBytes: Binary = (s, a, b) =>
  addSignedWords(s, s.let(s.simd('i32x4.extadd_pairwise_i16x8_s', s.simd('i16x8.extadd_pairwise_i8x16_s', a))), b);
const acrossHalfwords: Binary = (s, a, b) => addSignedWords(s, s.let(s.simd('i32x4.extadd_pairwise_i16x8_s', a)), b);

/** The right word of each doubleword, and the sum of both, as signed doublewords. */
const rightWords = (s: Semantics, a: Expr): Expr => s.simd('i64x2.shr_s', s.simd('i64x2.shl', a, 32), 32);
const bothWords = (s: Semantics, a: Expr): Expr => s.simd('i64x2.add', s.simd('i64x2.shr_s', a, 32), rightWords(s, a));

/** Signed doublewords bounded to signed words, in the right halves; the left ones are zero. */
function boundedToWords(s: Semantics, sum: Expr): Expr {
  const pinned = s.let(sum);
  const result = bounded(s, pinned, -0x8000_0000n, 0x7fff_ffffn);
  saturatedUnless(s, result, pinned);
  return s.simd('v128.and', result, everyLane(s, 64, 0xffff_ffffn));
}

const acrossDoublewords: Binary = (s, a, b) =>
  boundedToWords(s, s.simd('i64x2.add', bothWords(s, a), rightWords(s, b)));

const acrossAll: Binary = (s, a, b) => {
  const halves = s.let(bothWords(s, a));
  const zero = everyLane(s, 64, 0);
  const right = s.simd('i64x2.add', rightWords(s, b), permuteElements(s, 64, zero, halves, [0, 2]));
  const sum = s.simd('i64x2.add', right, halves);
  return boundedToWords(s, permuteElements(s, 64, zero, s.let(sum), [0, 3]));
};

/** Half of a + b + 1: what they have in common, and half of where they differ, rounded up. */
function averaged(bits: ElementBits, sign: 's' | 'u'): Binary {
  return (s, a, b) => {
    const half = s.simd(laneOp(bits, `shr_${sign}`), s.simd('v128.xor', a, b), 1);
    return s.simd(laneOp(bits, 'sub'), s.simd('v128.or', a, b), half);
  };
}

const averages = (sign: 's' | 'u', opcode: number): InstructionRow[] =>
  sized(
    (size) => `vavg${sign}${size}`,
    opcode,
    (mnemonic, code, bits) =>
      sign === 'u' && bits < 32
        ? vxSimd(mnemonic, code, laneOp(bits, 'avgr_u'))
        : vx(mnemonic, code, averaged(bits, sign)),
    TO_WORDS,
  );

/** Whether a is greater; WebAssembly compares doublewords with signs only. */
export function isGreater(s: Semantics, bits: ElementBits, sign: 's' | 'u', a: Expr, b: Expr): Expr {
  if (bits < 64 || sign === 's') return s.simd(laneOp(bits, `gt_${sign}`), a, b);
  const signs = everyLane(s, 64, 1n << 63n);
  return s.simd('i64x2.gt_s', s.simd('v128.xor', a, signs), s.simd('v128.xor', b, signs));
}

const extremes = (which: 'max' | 'min', sign: 's' | 'u', opcode: number): InstructionRow[] =>
  sized(
    (size) => `v${which}${sign}${size}`,
    opcode,
    (mnemonic, code, bits, level) => {
      if (bits < 64) return vxSimd(mnemonic, code, laneOp(bits, `${which}_${sign}`), level);
      return vx(
        mnemonic,
        code,
        (s, a, b) => {
          const greater = isGreater(s, bits, sign, a, b);
          return which === 'max' ? s.simd('v128.bitselect', a, b, greater) : s.simd('v128.bitselect', b, a, greater);
        },
        level,
      );
    },
  );

const plusWords =
  (sum: (s: Semantics, a: Expr, b: Expr) => Expr): Ternary =>
  (s, a, b, c) =>
    s.simd('i32x4.add', sum(s, a, b), c);

export const VECTOR_ARITHMETIC_INSTRUCTIONS: readonly InstructionRow[] = [
  ...sized((size) => `vaddu${size}m`, 0, simple('add')),
  ...sized((size) => `vsubu${size}m`, 1024, simple('sub')),
  vx('vaddcuw', 384, (s, a, b) => {
    const carries = s.simd('i32x4.lt_u', s.simd('i32x4.add', a, b), a);
    return s.simd('i32x4.shr_u', carries, 31);
  }),
  vx('vsubcuw', 1408, (s, a, b) => s.simd('i32x4.shr_u', s.simd('i32x4.ge_u', a, b), 31)),
  ...boundedRows('add', 'u', 512),
  ...boundedRows('add', 's', 768),
  ...boundedRows('sub', 'u', 1536),
  ...boundedRows('sub', 's', 1792),

  ...products('odd', 'u', 8),
  ...products('odd', 's', 264),
  ...products('even', 'u', 520),
  ...products('even', 's', 776),
  vxSimd('vmuluwm', 137, 'i32x4.mul', 'vector-2.07'),
  va('vmhaddshs', 32, multiplyHigh(0)),
  va('vmhraddshs', 33, multiplyHigh(0x4000)),
  va('vmladduhm', 34, (s, a, b, c) => s.simd('i16x8.add', s.simd('i16x8.mul', a, b), c)),
  va(
    'vmsumubm',
    36,
    plusWords((s, a, b) => sumOfProducts(s, 8, a, 'u', b)),
  ),
  va(
    'vmsummbm',
    37,
    plusWords((s, a, b) => sumOfProducts(s, 8, a, 's', b)),
  ),
  va(
    'vmsumuhm',
    38,
    plusWords((s, a, b) => sumOfProducts(s, 16, a, 'u', b)),
  ),
  va('vmsumuhs', 39, sumUnsignedBounded),
  va(
    'vmsumshm',
    40,
    plusWords((s, a, b) => s.simd('i32x4.dot_i16x8_s', a, b)),
  ),
  va('vmsumshs', 41, sumSignedBounded),

  vx('vsum4ubs', 1544, acrossUnsignedBytes),
  vx('vsum4sbs', 1800, acrossSignedBytes),
  vx('vsum4shs', 1608, acrossHalfwords),
  vx('vsum2sws', 1672, acrossDoublewords),
  vx('vsumsws', 1928, acrossAll),

  ...averages('u', 1026),
  ...averages('s', 1282),
  ...extremes('max', 'u', 2),
  ...extremes('max', 's', 258),
  ...extremes('min', 'u', 514),
  ...extremes('min', 's', 770),
];
