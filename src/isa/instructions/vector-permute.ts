/** Vector permute, formatting and whole-register shift instructions: Power ISA 2.07 Book I, 6.8. */
import type { InstructionRow } from '../define.ts';
import type { FieldName } from '../fields.ts';
import type { Expr, Operand, Semantics } from '../semantics.ts';
import type { SimdOp } from '../simd.ts';
import {
  bytesFromLeft,
  type ElementBits,
  everyLane,
  IDENTITY,
  laneOp,
  permute,
  permuteElements,
  splatElement,
} from '../vector/lanes.ts';
import { sameRegister } from './common.ts';
import { type Binary, bounded, saturated, setVr, va, vectorRow, vr, vx, vxUnary } from './vector-common.ts';

/** Elements of VRA ‖ VRB by their numbers from the left. */
const chosen =
  (bits: ElementBits, elements: readonly number[]): Binary =>
  (s, a, b) =>
    permuteElements(s, bits, a, b, elements);

/** An element of VRA and one of VRB in turn, from element `first` on, `step` apart. */
function merged(bits: ElementBits, first: number, step = 1): Binary {
  const count = 128 / bits;
  return chosen(
    bits,
    Array.from({ length: count }, (_, i) => first + step * (i >> 1) + (i & 1) * count),
  );
}

/** The right halves of all elements. */
const packedModulo = (bits: ElementBits): Binary => {
  const half = (bits / 2) as ElementBits;
  return chosen(
    half,
    Array.from({ length: 128 / half }, (_, i) => 2 * i + 1),
  );
};

/**
 * Elements of 16 or 32 bits, bounded to a half of that: what WebAssembly narrows is signed. VRA's stand left. SAT tells
 * whether some element is another when it is made wide again.
 */
function packedSigned(bits: 16 | 32, to: 's' | 'u'): Binary {
  const half = (bits / 2) as 8 | 16;
  const wide = (place: 'low' | 'high') => laneOp(bits, `extend_${place}_${half === 8 ? 'i8x16' : 'i16x8'}_${to}`);
  return (s, a, b) => {
    const result = s.let(s.simd(laneOp(half, `narrow_${bits === 16 ? 'i16x8' : 'i32x4'}_${to}`), b, a));
    const changed = s.simd(
      'v128.or',
      s.simd('v128.xor', a, s.simd(wide('high'), result)),
      s.simd('v128.xor', b, s.simd(wide('low'), result)),
    );
    saturated(s, s.simd('v128.any_true', changed));
    return result;
  };
}

function packedUnsigned(bits: 16 | 32): Binary {
  const half = (bits / 2) as 8 | 16;
  const op: SimdOp = bits === 16 ? 'i8x16.narrow_i16x8_u' : 'i16x8.narrow_i32x4_u';
  return (s, a, b) => {
    const largest = everyLane(s, bits, 2 ** half - 1);
    const [boundA, boundB] = [a, b].map((value) => s.let(s.simd(laneOp(bits, 'min_u'), value, largest))) as [
      Expr,
      Expr,
    ];
    const changed = s.simd('v128.or', s.simd('v128.xor', a, boundA), s.simd('v128.xor', b, boundB));
    saturated(s, s.simd('v128.any_true', changed));
    return s.simd(op, boundB, boundA);
  };
}

/** Unsigned doublewords, bounded to words. */
function boundedUnsigned(s: Semantics, value: Expr): Expr {
  const fits = s.simd('i64x2.eq', s.simd('i64x2.shr_u', value, 32), everyLane(s, 64, 0));
  return s.let(s.simd('v128.bitselect', value, everyLane(s, 64, 0xffff_ffffn), fits));
}

const packedDoublewords =
  (bound: (s: Semantics, value: Expr) => Expr): Binary =>
  (s, a, b, f) => {
    const [left, right] = [bound(s, a), bound(s, b)];
    const changed = s.simd('v128.or', s.simd('v128.xor', a, left), s.simd('v128.xor', b, right));
    saturated(s, s.simd('v128.any_true', changed));
    return packedModulo(64)(s, left, right, f);
  };

/** Pixels of 8, 8, 8 and 8 bits to 1, 5, 5 and 5 (6.8.1). */
function packPixels(s: Semantics, a: Expr): Expr {
  const part = (right: number, mask: number): Expr =>
    s.simd('v128.and', s.simd('i32x4.shr_u', a, right), everyLane(s, 32, mask));
  return s.simd('v128.or', s.simd('v128.or', part(9, 0xfc00), part(6, 0x03e0)), part(3, 0x001f));
}

/** And back, out of halfwords that are extended with their signs. */
function unpackPixels(s: Semantics, extended: Expr): Expr {
  const a = s.let(extended);
  const part = (left: number, mask: number): Expr =>
    s.simd('v128.and', s.simd('i32x4.shl', a, left), everyLane(s, 32, mask));
  const signs = part(0, 0xff00_001f);
  return s.simd('v128.or', s.simd('v128.or', signs, part(6, 0x001f_0000)), part(3, 0x0000_1f00));
}

const unpacked = (mnemonic: string, opcode: number, op: SimdOp, level: 'vector' | 'vector-2.07' = 'vector') =>
  vxUnary(mnemonic, opcode, (s, b) => s.simd(op, b), level);

function splatRow(mnemonic: string, opcode: number, bits: 8 | 16 | 32, field: FieldName): InstructionRow {
  const reserved = { UIM4: 1, UIM3: 2, UIM2: 3 }[field as 'UIM4' | 'UIM3' | 'UIM2'];
  return vectorRow(mnemonic, `4 VRT /:${reserved} ${field} VRB ${opcode}:11`, `VRT,VRB,${field}`, (s, f) =>
    setVr(s, f.VRT, splatElement(s, bits, vr(s, f.VRB), f[field])),
  );
}

function splatImmediate(mnemonic: string, opcode: number, bits: 8 | 16 | 32): InstructionRow {
  return vectorRow(mnemonic, `4 VRT SIM /:5 ${opcode}:11`, 'VRT,SIM', (s, f) =>
    setVr(s, f.VRT, typeof f.SIM === 'number' ? everyLane(s, bits, f.SIM) : s.simd(laneOp(bits, 'splat'), f.SIM)),
  );
}

/**
 * A byte's number from the left among thirty-two, turned around: among the first sixteen it is below 16, and then the
 * byte's number from the right; a swizzle makes zeros of all others.
 */
function permuteBytes(s: Semantics, a: Expr, b: Expr, control: Expr): Expr {
  const numbers = s.simd('v128.and', control, everyLane(s, 8, 31));
  const inA = s.let(s.simd('v128.xor', numbers, everyLane(s, 8, 15)));
  const inB = s.simd('v128.xor', inA, everyLane(s, 8, 16));
  return s.simd('v128.or', s.simd('i8x16.swizzle', a, inA), s.simd('i8x16.swizzle', b, inB));
}

/** The bytes of a whose numbers from the left are given by the low four bits of each byte. */
const lookUp = (s: Semantics, a: Expr, numbers: Expr): Expr =>
  s.simd('i8x16.swizzle', a, s.simd('v128.xor', numbers, everyLane(s, 8, 15)));

/** A ‖ B from byte `n` on. */
function shiftLeftDouble(s: Semantics, a: Expr, b: Expr, n: Operand): Expr {
  if (typeof n === 'number')
    return permute(
      s,
      a,
      b,
      Array.from({ length: 16 }, (_, i) => i + n),
    );
  const identity = bytesFromLeft(s, IDENTITY);
  const inA = s.let(s.simd('i8x16.sub', identity, s.simd('i8x16.splat', n)));
  const inB = s.simd('i8x16.add', inA, everyLane(s, 8, 16));
  return s.simd('v128.or', s.simd('i8x16.swizzle', a, inA), s.simd('i8x16.swizzle', b, inB));
}

/** The shift in bytes is in bits 121:124 of VRB. */
const octets = (s: Semantics, b: Expr): Expr =>
  s.simd('i8x16.splat', s.and(s.shrUnsigned(s.simdLane('i8x16.extract_lane_u', 0, b), 3), 15));

/** The shift in bits is in the last three. */
const bitsOfShift = (s: Semantics, b: Expr): Expr => s.let(s.and(s.simdLane('i8x16.extract_lane_u', 0, b), 7));

/** One doubleword of a in the place of the other, zeros where it was. */
const moved = (s: Semantics, a: Expr, elements: readonly number[]): Expr =>
  permuteElements(s, 64, a, everyLane(s, 64, 0), elements);

const shiftLeft: Binary = (s, a, b) => {
  const n = bitsOfShift(s, b);
  const carried = s.simd('i64x2.shr_u', s.simd('i64x2.shr_u', a, 1), s.xor(n, 63));
  return s.simd('v128.or', s.simd('i64x2.shl', a, n), moved(s, carried, [1, 2]));
};

const shiftRight: Binary = (s, a, b) => {
  const n = bitsOfShift(s, b);
  const carried = s.simd('i64x2.shl', s.simd('i64x2.shl', a, 1), s.xor(n, 63));
  return s.simd('v128.or', s.simd('i64x2.shr_u', a, n), moved(s, carried, [2, 0]));
};

const shiftLeftByOctets: Binary = (s, a, b) =>
  s.simd('i8x16.swizzle', a, s.simd('i8x16.sub', bytesFromLeft(s, IDENTITY), octets(s, b)));
const shiftRightByOctets: Binary = (s, a, b) =>
  s.simd('i8x16.swizzle', a, s.simd('i8x16.add', bytesFromLeft(s, IDENTITY), octets(s, b)));

export const VECTOR_PERMUTE_INSTRUCTIONS: readonly InstructionRow[] = [
  vectorRow('vperm', '4 VRT VRA VRB VRC 43:6', 'VRT,VRA,VRB,VRC', (s, f) => {
    const control = vr(s, f.VRC);
    const a = s.let(vr(s, f.VRA));
    const result = sameRegister(f.VRA, f.VRB)
      ? lookUp(s, a, s.simd('v128.and', control, everyLane(s, 8, 15)))
      : permuteBytes(s, a, s.let(vr(s, f.VRB)), control);
    setVr(s, f.VRT, result);
  }),
  va('vsel', 42, (s, a, b, c) => s.simd('v128.bitselect', b, a, c)),
  va(
    'vpermxor',
    45,
    (s, a, b, c) => {
      const right = s.simd('v128.and', c, everyLane(s, 8, 15));
      return s.simd('v128.xor', lookUp(s, a, s.simd('i8x16.shr_u', c, 4)), lookUp(s, b, right));
    },
    'VRT,VRA,VRB,VRC',
    'vector-2.07',
  ),
  vectorRow('vsldoi', '4 VRT VRA VRB /:1 SHB 44:6', 'VRT,VRA,VRB,SHB', (s, f) =>
    setVr(s, f.VRT, shiftLeftDouble(s, s.let(vr(s, f.VRA)), s.let(vr(s, f.VRB)), f.SHB)),
  ),
  vx('vsl', 452, shiftLeft),
  vx('vsr', 708, shiftRight),
  vx('vslo', 1036, shiftLeftByOctets),
  vx('vsro', 1100, shiftRightByOctets),

  vx('vmrghb', 12, merged(8, 0)),
  vx('vmrghh', 76, merged(16, 0)),
  vx('vmrghw', 140, merged(32, 0)),
  vx('vmrglb', 268, merged(8, 8)),
  vx('vmrglh', 332, merged(16, 4)),
  vx('vmrglw', 396, merged(32, 2)),
  vx('vmrgow', 1676, merged(32, 1, 2), 'vector-2.07'),
  vx('vmrgew', 1932, merged(32, 0, 2), 'vector-2.07'),

  vx('vpkuhum', 14, packedModulo(16)),
  vx('vpkuwum', 78, packedModulo(32)),
  vx('vpkudum', 1102, packedModulo(64), 'vector-2.07'),
  vx('vpkuhus', 142, packedUnsigned(16)),
  vx('vpkuwus', 206, packedUnsigned(32)),
  vx('vpkudus', 1230, packedDoublewords(boundedUnsigned), 'vector-2.07'),
  vx('vpkshus', 270, packedSigned(16, 'u')),
  vx('vpkswus', 334, packedSigned(32, 'u')),
  vx(
    'vpksdus',
    1358,
    packedDoublewords((s, value) => bounded(s, value, 0n, 0xffff_ffffn)),
    'vector-2.07',
  ),
  vx('vpkshss', 398, packedSigned(16, 's')),
  vx('vpkswss', 462, packedSigned(32, 's')),
  vx(
    'vpksdss',
    1486,
    packedDoublewords((s, value) => bounded(s, value, -0x8000_0000n, 0x7fff_ffffn)),
    'vector-2.07',
  ),
  vx('vpkpx', 782, (s, a, b, f) => packedModulo(32)(s, packPixels(s, a), packPixels(s, b), f)),

  unpacked('vupkhsb', 526, 'i16x8.extend_high_i8x16_s'),
  unpacked('vupkhsh', 590, 'i32x4.extend_high_i16x8_s'),
  unpacked('vupkhsw', 1614, 'i64x2.extend_high_i32x4_s', 'vector-2.07'),
  unpacked('vupklsb', 654, 'i16x8.extend_low_i8x16_s'),
  unpacked('vupklsh', 718, 'i32x4.extend_low_i16x8_s'),
  unpacked('vupklsw', 1742, 'i64x2.extend_low_i32x4_s', 'vector-2.07'),
  vxUnary('vupkhpx', 846, (s, b) => unpackPixels(s, s.simd('i32x4.extend_high_i16x8_s', b))),
  vxUnary('vupklpx', 974, (s, b) => unpackPixels(s, s.simd('i32x4.extend_low_i16x8_s', b))),

  splatRow('vspltb', 524, 8, 'UIM4'),
  splatRow('vsplth', 588, 16, 'UIM3'),
  splatRow('vspltw', 652, 32, 'UIM2'),
  splatImmediate('vspltisb', 780, 8),
  splatImmediate('vspltish', 844, 16),
  splatImmediate('vspltisw', 908, 32),
];
