/** The steps of AES (FIPS 197) on a state whose bytes are those of a vector from the left, and the functions of SHA-2 (FIPS 180-4). */
import type { Expr, Routine, Semantics } from '../semantics.ts';
import { bytesFromLeft, everyLane, laneOp, permute } from './lanes.ts';

/** A product in the field of 2^8 elements that AES computes in. */
function fieldProduct(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit++) {
    if ((b >> bit) & 1) product ^= a << bit;
  }
  for (let bit = 14; bit >= 8; bit--) if ((product >> bit) & 1) product ^= 0x11b << (bit - 8);
  return product;
}

/** FIPS 197, 5.1.1: the inverse in the field, then sums of its bits. */
function substitute(byte: number): number {
  let inverse = 1;
  for (let i = 0; i < 254; i++) inverse = fieldProduct(inverse, byte);
  const rotated = (n: number): number => ((inverse << n) | (inverse >> (8 - n))) & 0xff;
  return inverse ^ rotated(1) ^ rotated(2) ^ rotated(3) ^ rotated(4) ^ 0x63;
}

// Made when code is generated that has AES in it, not at each start.
const substitutes = (): number[] => Array.from({ length: 256 }, (_, byte) => substitute(byte));
const inverses = (): number[] => {
  const forward = substitutes();
  return Array.from({ length: 256 }, (_, byte) => forward.indexOf(byte));
};

/** A table of 256 bytes as sixteen swizzles: each has sixteen of them, and zeros for all other numbers. */
function lookUp(name: string, makeTable: () => readonly number[]): Routine {
  return {
    name,
    params: ['v128'],
    result: 'v128',
    body: (s, a) => {
      const table = makeTable();
      let [result, number] = [everyLane(s, 8, 0), a];
      for (let part = 0; part < 256; part += 16) {
        const entries = bytesFromLeft(s, table.slice(part, part + 16).reverse());
        result = s.let(s.simd('v128.or', result, s.simd('i8x16.swizzle', entries, number)));
        number = s.let(s.simd('i8x16.sub', number, everyLane(s, 8, 16)));
      }
      return result;
    },
  };
}

const SUBSTITUTE = lookUp('AES SubBytes', substitutes);
const SUBSTITUTE_INVERSE = lookUp('AES InvSubBytes', inverses);

export const CIPHER_ROUTINES: readonly Routine[] = [SUBSTITUTE, SUBSTITUTE_INVERSE];

export const subBytes = (s: Semantics, a: Expr): Expr => s.invoke(SUBSTITUTE, a);
export const invSubBytes = (s: Semantics, a: Expr): Expr => s.invoke(SUBSTITUTE_INVERSE, a);

/** Row r is every fourth byte from r on; it turns by r columns. */
const rows = (direction: 1 | -1): number[] =>
  Array.from({ length: 16 }, (_, i) => (i + direction * 4 * (i & 3) + 16) & 15);
export const shiftRows = (s: Semantics, a: Expr): Expr => permute(s, a, a, rows(1));
export const invShiftRows = (s: Semantics, a: Expr): Expr => permute(s, a, a, rows(-1));

/** Each byte doubled in the field. */
function doubled(s: Semantics, a: Expr): Expr {
  const carried = s.simd('v128.and', s.simd('i8x16.shr_s', a, 7), everyLane(s, 8, 0x1b));
  return s.simd('v128.xor', s.simd('i8x16.add', a, a), carried);
}

/** The byte `by` places further in the same column, in each byte's place. */
const turned = (s: Semantics, a: Expr, by: number): Expr =>
  permute(
    s,
    a,
    a,
    Array.from({ length: 16 }, (_, i) => (i & 12) | ((i + by) & 3)),
  );

/** 2a + 3b + c + d of each column's bytes, from each one on. */
export function mixColumns(s: Semantics, state: Expr): Expr {
  const a = s.let(state);
  const b = s.let(turned(s, a, 1));
  const ab = s.let(s.simd('v128.xor', a, b));
  const rest = s.simd('v128.xor', b, turned(s, ab, 2));
  return s.simd('v128.xor', doubled(s, ab), rest);
}

/** The inverse is the same after 4(a + c) is added to each byte. */
export function invMixColumns(s: Semantics, state: Expr): Expr {
  const a = s.let(state);
  const sum = s.let(s.simd('v128.xor', a, turned(s, a, 2)));
  const four = doubled(s, s.let(doubled(s, sum)));
  return mixColumns(s, s.simd('v128.xor', a, four));
}

type Rotation = readonly [number, number, number];
/** The functions in their order: σ0, σ1 (whose last number is a shift), Σ0, Σ1. */
const SHA = {
  32: [
    [7, 18, 3],
    [17, 19, 10],
    [2, 13, 22],
    [6, 11, 25],
  ],
  64: [
    [1, 8, 7],
    [19, 61, 6],
    [28, 34, 39],
    [14, 18, 41],
  ],
} as const satisfies Record<number, readonly Rotation[]>;

/** One of the functions of SHA-256 or SHA-512, of each word or doubleword. */
export function shaSigma(s: Semantics, bits: 32 | 64, a: Expr, large: number, one: 0 | 1): Expr {
  const [first, second, last] = SHA[bits][2 * large + one] as Rotation;
  const right = (n: number): Expr => s.simd(laneOp(bits, 'shr_u'), a, n);
  const rotated = (n: number): Expr => s.simd('v128.or', right(n), s.simd(laneOp(bits, 'shl'), a, bits - n));
  const both = s.simd('v128.xor', rotated(first), rotated(second));
  return s.simd('v128.xor', both, large ? rotated(last) : right(last));
}
