/** Products of polynomials over the field of two elements: products without carries. */
import type { Expr, Routine, Semantics } from '../semantics.ts';
import { bytesFromLeft, type ElementBits, everyLane, laneOp, permute, permuteElements, SHAPES } from './lanes.ts';

/** Every fourth bit. */
const EVERY_FOURTH = 0x1111_1111_1111_1111n;

/**
 * The right halves of products, in each lane: ordinary products of parts that have every fourth bit only. At most fifteen
 * ones meet in one place, and these do not reach the next place that counts; sixteen meet in the last one.
 */
function product(s: Semantics, bits: 16 | 32 | 64, a: Expr, b: Expr): Expr {
  const masks = [0, 1, 2, 3].map((n) => everyLane(s, bits, EVERY_FOURTH << BigInt(n)));
  const parts = (of: Expr): Expr[] => masks.map((mask) => s.let(s.simd('v128.and', of, mask)));
  const [left, right] = [parts(a), parts(b)];
  return masks
    .map((mask, place) => {
      const terms = left.map((part, i) => s.simd(laneOp(bits, 'mul'), part, right[(place - i) & 3] as Expr));
      return s.simd(
        'v128.and',
        terms.reduce((sum, term) => s.simd('v128.xor', sum, term)),
        mask,
      );
    })
    .reduce((all, part) => s.simd('v128.or', all, part));
}

/** The elements with even numbers from the left, or those with odd ones, in lanes of twice their size. */
function widened(s: Semantics, bits: 8 | 16 | 32, a: Expr, parity: 'even' | 'odd'): Expr {
  const wide = (2 * bits) as ElementBits;
  if (parity === 'even') return s.simd(laneOp(wide, 'shr_u'), a, bits);
  return s.simd('v128.and', a, everyLane(s, wide, 2n ** BigInt(bits) - 1n));
}

/** The sums of the products of neighbours. */
const narrow = (bits: 8 | 16 | 32): Routine => ({
  name: `polynomial products ${SHAPES[bits]}`,
  params: ['v128', 'v128'],
  result: 'v128',
  body: (s, a, b) => {
    const wide = (2 * bits) as 16 | 32 | 64;
    const [even, odd] = (['even', 'odd'] as const).map((parity) =>
      product(s, wide, s.let(widened(s, bits, a, parity)), s.let(widened(s, bits, b, parity))),
    ) as [Expr, Expr];
    return s.simd('v128.xor', even, odd);
  },
});

/** Four bits in the opposite order. */
const mirrored4 = (n: number): number => ((n & 1) << 3) | ((n & 2) << 1) | ((n & 4) >> 1) | ((n & 8) >> 3);

/** The bits of each doubleword in the opposite order. */
function mirrored(s: Semantics, a: Expr): Expr {
  const mirror = (shift: number): Expr =>
    bytesFromLeft(
      s,
      Array.from({ length: 16 }, (_, i) => mirrored4(15 - i) << shift),
    );
  const low = s.simd('i8x16.swizzle', mirror(4), s.simd('v128.and', a, everyLane(s, 8, 15)));
  const bytes = s.let(s.simd('v128.or', low, s.simd('i8x16.swizzle', mirror(0), s.simd('i8x16.shr_u', a, 4))));
  return permute(s, bytes, bytes, [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8]);
}

/** The left halves of the products of doublewords are the right ones of the mirror images, mirrored. */
const DOUBLEWORDS: Routine = {
  name: 'polynomial products i64x2',
  params: ['v128', 'v128'],
  result: 'v128',
  body: (s, a, b) => {
    const right = s.let(product(s, 64, a, b));
    const image = s.let(product(s, 64, s.let(mirrored(s, a)), s.let(mirrored(s, b))));
    const left = s.let(s.simd('i64x2.shr_u', mirrored(s, image), 1));
    // Of both products the left half, then of both the right one.
    return s.simd('v128.xor', permuteElements(s, 64, left, right, [0, 2]), permuteElements(s, 64, left, right, [1, 3]));
  },
};

const ALL: Readonly<Record<ElementBits, Routine>> = { 8: narrow(8), 16: narrow(16), 32: narrow(32), 64: DOUBLEWORDS };
export const POLYNOMIAL_ROUTINES: readonly Routine[] = Object.values(ALL);

/** For each pair of elements, the sum of their products with those of b. */
export const polynomialSums = (s: Semantics, bits: ElementBits, a: Expr, b: Expr): Expr => s.invoke(ALL[bits], a, b);
