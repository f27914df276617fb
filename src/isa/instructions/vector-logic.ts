/** Vector comparisons, logic, rotates and shifts: Power ISA 2.07 Book I, 6.9.2–6.9.5. */
import type { InstructionRow, Level } from '../define.ts';
import type { Expr, Semantics } from '../semantics.ts';
import { type ElementBits, laneOp } from '../vector/lanes.ts';
import { type Shift, shiftElements } from '../vector/shift.ts';
import { isGreater } from './vector-arithmetic.ts';
import { setVr, vectorRow, vr, vx, vxSimd } from './vector-common.ts';

/** CR6 after a comparison: true of all elements, true of none. */
export function recordCr6(s: Semantics, mask: Expr): void {
  const all = s.shl(s.simd('i8x16.all_true', mask), 3);
  const none = s.shl(s.eqz(s.simd('v128.any_true', mask)), 1);
  s.setCrField(6, s.or(all, none));
}

function comparison(
  mnemonic: string,
  opcode: number,
  compare: (s: Semantics, a: Expr, b: Expr) => Expr,
  level: Level,
): InstructionRow {
  return vectorRow(
    mnemonic,
    `4 VRT VRA VRB VECTOR_RC ${opcode}:10`,
    'VRT,VRA,VRB',
    (s, f) => {
      const mask = s.let(compare(s, vr(s, f.VRA), vr(s, f.VRB)));
      setVr(s, f.VRT, mask);
      if (f.VECTOR_RC) recordCr6(s, mask);
    },
    { level },
  );
}

const SIZES = [
  { suffix: 'b', bits: 8, place: 0, level: 'vector' },
  { suffix: 'h', bits: 16, place: 64, level: 'vector' },
  { suffix: 'w', bits: 32, place: 128, level: 'vector' },
  { suffix: 'd', bits: 64, place: 193, level: 'vector-2.07' },
] as const satisfies { suffix: string; bits: ElementBits; place: number; level: Level }[];

const comparisons = SIZES.flatMap(({ suffix, bits, place, level }) => [
  comparison(`vcmpequ${suffix}`, 6 + place, (s, a, b) => s.simd(laneOp(bits, 'eq'), a, b), level),
  comparison(`vcmpgtu${suffix}`, 518 + place, (s, a, b) => isGreater(s, bits, 'u', a, b), level),
  comparison(`vcmpgts${suffix}`, 774 + place, (s, a, b) => isGreater(s, bits, 's', a, b), level),
]);

const inverted = (op: 'v128.and' | 'v128.or' | 'v128.xor') => (s: Semantics, a: Expr, b: Expr) =>
  s.simd('v128.not', s.simd(op, a, b));

/** Opcodes of the shifts by the size of their elements. */
const SHIFTS: readonly (readonly [name: string, shift: Shift, opcodes: Readonly<Record<ElementBits, number>>])[] = [
  ['vrl', 'rotl', { 8: 4, 16: 68, 32: 132, 64: 196 }],
  ['vsl', 'shl', { 8: 260, 16: 324, 32: 388, 64: 1476 }],
  ['vsr', 'shr_u', { 8: 516, 16: 580, 32: 644, 64: 1732 }],
  ['vsra', 'shr_s', { 8: 772, 16: 836, 32: 900, 64: 964 }],
];

export const VECTOR_LOGIC_INSTRUCTIONS: readonly InstructionRow[] = [
  ...comparisons,

  vxSimd('vand', 1028, 'v128.and'),
  vxSimd('vandc', 1092, 'v128.andnot'),
  vxSimd('vor', 1156, 'v128.or'),
  vxSimd('vxor', 1220, 'v128.xor'),
  vx('vnor', 1284, inverted('v128.or')),
  vx('vorc', 1348, (s, a, b) => s.simd('v128.or', a, s.simd('v128.not', b)), 'vector-2.07'),
  vx('vnand', 1412, inverted('v128.and'), 'vector-2.07'),
  vx('veqv', 1668, inverted('v128.xor'), 'vector-2.07'),

  ...SHIFTS.flatMap(([name, shift, opcodes]) =>
    SIZES.map(({ suffix, bits, level }) =>
      vx(name + suffix, opcodes[bits], (s, a, b) => shiftElements(s, bits, shift, a, b), level),
    ),
  ),
];
