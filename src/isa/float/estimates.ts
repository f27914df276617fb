/** Reciprocals, which are estimates that are as good as can be: Power ISA 2.07 Book I, 4.6.6.1. */
import type { Routine } from '../semantics.ts';
import { isInfinite, isNegative, isNotNumber, isZero } from './number.ts';
import { DIVIDE, SQUARE_ROOT } from './quick.ts';

const ONE = 0x3ff0_0000_0000_0000n;

/** (a, format, old) → 1 ÷ a: an estimate that is as good as can be. */
export const RECIPROCAL: Routine = {
  name: 'floatReciprocal',
  params: ['i64', 'i32', 'i64'],
  result: 'i64',
  body: (s, a, format, old) => s.invoke(DIVIDE, s.i64(ONE), a, format, old),
};

/** (a, format, old) → 1 ÷ √a, rounded twice. */
export const RECIPROCAL_ROOT: Routine = {
  name: 'floatReciprocalRoot',
  params: ['i64', 'i32', 'i64'],
  result: 'i64',
  body: (s, a, format, old) => {
    const result = s.cell(old);
    s.if(
      s.or(s.or(isNotNumber(s, a), isInfinite(s, a)), s.or(isNegative(s, a), isZero(s, a))),
      () => {
        const reciprocal = s.or(isInfinite(s, a), isZero(s, a));
        s.if(
          s.and(reciprocal, s.or(s.eqz(isNegative(s, a)), isZero(s, a))),
          () => result.set(s.invoke(DIVIDE, s.i64(ONE), a, format, old)),
          () => result.set(s.invoke(SQUARE_ROOT, a, format, old)),
        );
      },
      () => result.set(s.invoke(DIVIDE, s.i64(ONE), s.invoke(SQUARE_ROOT, a, s.i32(0), old), format, old)),
    );
    return result.get();
  },
};
