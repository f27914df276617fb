/** All routines of vector instructions, in the order in which back ends number them. */
import type { Routine } from '../semantics.ts';
import { CIPHER_ROUTINES } from './cipher.ts';
import { POLYNOMIAL_ROUTINES } from './polynomial.ts';
import { SHIFT_ROUTINES } from './shift.ts';

export const VECTOR_ROUTINES: readonly Routine[] = [...SHIFT_ROUTINES, ...CIPHER_ROUTINES, ...POLYNOMIAL_ROUTINES];
