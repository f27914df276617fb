/** All routines that meanings invoke, in the order in which back ends number them. */
import { DECIMAL_ROUTINES } from './decimal/index.ts';
import { FLOAT_ROUTINES } from './float/index.ts';
import { VECTOR_ROUTINES as FLOAT_VECTOR_ROUTINES } from './float/vector.ts';
import type { Routine } from './semantics.ts';
import { VECTOR_ROUTINES } from './vector/index.ts';

export const ROUTINES: readonly Routine[] = [
  ...FLOAT_ROUTINES,
  ...FLOAT_VECTOR_ROUTINES,
  ...VECTOR_ROUTINES,
  ...DECIMAL_ROUTINES,
];
