/** Shifts of each element by an amount of its own. */
import type { Expr, Routine, Semantics } from '../semantics.ts';
import type { SimdLaneOp } from '../simd.ts';
import { type ElementBits, laneOp, SHAPES } from './lanes.ts';

export type Shift = 'shl' | 'shr_u' | 'shr_s' | 'rotl';

/** All elements by one amount, taken modulo their size. */
function together(s: Semantics, bits: ElementBits, shift: Shift, a: Expr, n: Expr): Expr {
  if (shift !== 'rotl') return s.simd(laneOp(bits, shift), a, n);
  return s.simd('v128.or', s.simd(laneOp(bits, 'shl'), a, n), s.simd(laneOp(bits, 'shr_u'), a, s.neg(n)));
}

/** One element, as its right part of a 32-bit or 64-bit value. */
function single(s: Semantics, bits: ElementBits, shift: Shift, a: Expr, n: Expr): Expr {
  if (bits >= 32) {
    if (shift === 'rotl') return s.rotl(a, n);
    return shift === 'shl' ? s.shl(a, n) : shift === 'shr_u' ? s.shrUnsigned(a, n) : s.shrSigned(a, n);
  }
  const amount = s.and(n, bits - 1);
  if (shift === 'rotl') {
    const element = s.let(a);
    return s.shrUnsigned(s.shl(s.or(element, s.shl(element, bits)), amount), bits);
  }
  return shift === 'shl' ? s.shl(a, amount) : shift === 'shr_u' ? s.shrUnsigned(a, amount) : s.shrSigned(a, amount);
}

const extraction = (bits: ElementBits, sign: 's' | 'u'): SimdLaneOp =>
  `${SHAPES[bits]}.extract_lane${bits < 32 ? `_${sign}` : ''}` as SimdLaneOp;

/** WebAssembly shifts all elements by one amount: nearly always they have one. Otherwise it is one after the other. */
function routine(bits: ElementBits, shift: Shift): Routine {
  const extract = extraction(bits, shift === 'shr_s' ? 's' : 'u');
  return {
    name: `vector ${shift} ${SHAPES[bits]}`,
    params: ['v128', 'v128'],
    result: 'v128',
    body: (s, a, b) => {
      const result = s.cell(a);
      const first = s.let(s.simdLane(extraction(bits, 'u'), 0, b));
      const areEqual = s.simd(laneOp(bits, 'eq'), b, s.simd(laneOp(bits, 'splat'), first));
      s.if(
        s.simd(laneOp(bits, 'all_true'), areEqual),
        () => result.set(together(s, bits, shift, a, s.low32(first))),
        () => {
          for (let lane = 0; lane < 128 / bits; lane++) {
            const [element, amount] = [s.simdLane(extract, lane, a), s.simdLane(extraction(bits, 'u'), lane, b)];
            const shifted = single(s, bits, shift, element, amount);
            result.set(s.simdLane(`${SHAPES[bits]}.replace_lane`, lane, result.get(), shifted));
          }
        },
      );
      return result.get();
    },
  };
}

const ALL: readonly (readonly [bits: ElementBits, shift: Shift, routine: Routine])[] = (
  [8, 16, 32, 64] as const
).flatMap((bits) =>
  (['shl', 'shr_u', 'shr_s', 'rotl'] as const).map((shift) => [bits, shift, routine(bits, shift)] as const),
);

export const SHIFT_ROUTINES: readonly Routine[] = ALL.map(([, , one]) => one);

/** a shifted by b, element by element. */
export function shiftElements(s: Semantics, bits: ElementBits, shift: Shift, a: Expr, b: Expr): Expr {
  const [, , one] = ALL.find(([size, name]) => size === bits && name === shift) as (typeof ALL)[number];
  return s.invoke(one, a, b);
}
