/** Counting and gathering bits. */
import type { Expr, Semantics } from '../semantics.ts';
import { bytesFromLeft, type ElementBits, everyLane, laneOp, SHAPES } from './lanes.ts';

/** Sixteen bytes by the numbers 0 to 15. */
const tableOf16 = (s: Semantics, entry: (n: number) => number): Expr =>
  bytesFromLeft(
    s,
    Array.from({ length: 16 }, (_, i) => entry(15 - i)),
  );

/** The ones in each element. */
export function populationCount(s: Semantics, bits: ElementBits, a: Expr): Expr {
  let count: Expr = s.simd('i8x16.popcnt', a);
  if (bits > 8) count = s.simd('i16x8.extadd_pairwise_i8x16_u', count);
  if (bits > 16) count = s.simd('i32x4.extadd_pairwise_i16x8_u', count);
  if (bits < 64) return count;
  const words = s.let(count);
  const left = s.simd('i64x2.shr_u', words, 32);
  return s.simd('i64x2.add', left, s.simd('v128.and', words, everyLane(s, 64, 0xffff_ffffn)));
}

/** The zeros in front of each element's first one: those of the left half, and of the right one where that is zero. */
export function leadingZeros(s: Semantics, bits: ElementBits, a: Expr): Expr {
  if (bits >= 32) {
    let result: Expr = a;
    const shape = SHAPES[bits as 32 | 64];
    for (let lane = 0; lane < 128 / bits; lane++)
      result = s.simdLane(`${shape}.replace_lane`, lane, result, s.clz(s.simdLane(`${shape}.extract_lane`, lane, a)));
    return result;
  }
  const half = bits / 2;
  let left: Expr;
  let right: Expr;
  if (bits === 8) {
    const zeros = tableOf16(s, (n) => Math.clz32(n) - 28);
    left = s.simd('i8x16.swizzle', zeros, s.simd('i8x16.shr_u', a, 4));
    right = s.simd('i8x16.swizzle', zeros, s.simd('v128.and', a, everyLane(s, 8, 15)));
  } else {
    const bytes = s.let(leadingZeros(s, 8, a));
    left = s.simd('i16x8.shr_u', bytes, 8);
    right = s.simd('v128.and', bytes, everyLane(s, 16, 0xff));
  }
  const leftZeros = s.let(left);
  const allZero = s.simd(laneOp(bits, 'eq'), leftZeros, everyLane(s, bits, half));
  return s.simd(laneOp(bits, 'add'), leftZeros, s.simd('v128.and', right, allZero));
}

/** Each doubleword's bytes as rows of bits, made into columns: blocks of one, two and four bits change places. */
export function transposedBits(s: Semantics, a: Expr): Expr {
  let value = a;
  for (const [distance, mask] of [
    [7, 0x00aa_00aa_00aa_00aan],
    [14, 0x0000_cccc_0000_ccccn],
    [28, 0x0000_0000_f0f0_f0f0n],
  ] as const) {
    const differences = s.simd('v128.xor', value, s.simd('i64x2.shr_u', value, distance));
    const exchanged = s.let(s.simd('v128.and', differences, everyLane(s, 64, mask)));
    value = s.let(s.simd('v128.xor', s.simd('v128.xor', value, exchanged), s.simd('i64x2.shl', exchanged, distance)));
  }
  return value;
}

/** Sixteen bits of a, chosen by their numbers in the bytes of b, beside each other. Beyond 127 they are zero. */
export function gatheredBits(s: Semantics, a: Expr, b: Expr): Expr {
  const fromRight = s.simd('v128.xor', s.simd('i8x16.shr_u', b, 3), everyLane(s, 8, 15));
  const bytes = s.simd('i8x16.swizzle', a, fromRight);
  const masks = tableOf16(s, (n) => 0x80 >> (n & 7));
  const mask = s.simd('i8x16.swizzle', masks, s.simd('v128.and', b, everyLane(s, 8, 7)));
  const isZero = s.simd('i8x16.eq', s.simd('v128.and', bytes, mask), everyLane(s, 8, 0));
  return s.xor(s.simd('i8x16.bitmask', isZero), 0xffff);
}
