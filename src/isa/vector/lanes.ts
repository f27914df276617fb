/** Vectors as the manual sees them: elements of some size, numbered from the left. */
import type { Expr, Operand, Semantics } from '../semantics.ts';
import type { SimdOp } from '../simd.ts';

/** An element's size in bits. */
export type ElementBits = 8 | 16 | 32 | 64;
/** WebAssembly's name of a vector of such elements. */
export const SHAPES = { 8: 'i8x16', 16: 'i16x8', 32: 'i32x4', 64: 'i64x2' } as const;

/** The operation of that name on elements of a size. */
export function laneOp(bits: ElementBits, operation: string): SimdOp {
  return `${SHAPES[bits]}.${operation}` as SimdOp;
}

/** A vector constant that has one value in all its lanes. */
export function everyLane(s: Semantics, bits: ElementBits, value: number | bigint): Expr {
  return s.v128(sameLanes(bits, value));
}

/** Its 128 bits. */
export function sameLanes(bits: ElementBits, value: number | bigint): bigint {
  const lane = BigInt.asUintN(bits, BigInt(value));
  let all = 0n;
  for (let at = 0; at < 128; at += bits) all |= lane << BigInt(at);
  return all;
}

/** A constant of sixteen bytes, in the manual's order: the leftmost first. */
export function bytesFromLeft(s: Semantics, bytes: readonly number[]): Expr {
  return s.v128(bytes.reduce((all, byte) => (all << 8n) | BigInt(byte), 0n));
}

/** The number of each byte from the right: what a byte is swizzled by to stay where it is. */
export const IDENTITY = Array.from({ length: 16 }, (_, i) => 15 - i);

/** Sixteen bytes of a ‖ b by their numbers from the left, the leftmost first. */
export function permute(s: Semantics, a: Expr, b: Expr, bytes: readonly number[]): Expr {
  return s.shuffle(b, a, bytes.map((byte) => 31 - byte).reverse());
}

/** Elements of a ‖ b by their numbers from the left. */
export function permuteElements(s: Semantics, bits: ElementBits, a: Expr, b: Expr, elements: readonly number[]): Expr {
  const size = bits / 8;
  const bytes = elements.flatMap((element) => Array.from({ length: size }, (_, i) => element * size + i));
  return permute(s, a, b, bytes);
}

/** One element, by its number from the left, in the place of all. */
export function splatElement(s: Semantics, bits: 8 | 16 | 32, vector: Expr, element: Operand): Expr {
  const count = 128 / bits;
  if (typeof element === 'number') {
    const pinned = s.let(vector);
    return permuteElements(s, bits, pinned, pinned, new Array<number>(count).fill(element));
  }
  const lane = s.xor(element, count - 1);
  // The numbers of the lane's bytes, the rightmost first.
  if (bits === 8) return s.simd('i8x16.swizzle', vector, s.simd('i8x16.splat', lane));
  if (bits === 16) return s.simd('i8x16.swizzle', vector, s.simd('i16x8.splat', s.add(s.mul(lane, 0x0202), 0x0100)));
  return s.simd('i8x16.swizzle', vector, s.simd('i32x4.splat', s.add(s.mul(lane, 0x0404_0404), 0x0302_0100)));
}
