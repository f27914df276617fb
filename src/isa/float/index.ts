/** All routines of floating point, in the order in which back ends number them. */
import type { Routine } from '../semantics.ts';
import { ADD, DIVIDE, MULTIPLY, MULTIPLY_ADD, SQUARE_ROOT } from './arithmetic.ts';
import {
  COMPARE,
  FROM_INTEGER,
  LOAD_SINGLE,
  RECIPROCAL,
  RECIPROCAL_ROOT,
  ROUND_TO_INTEGRAL,
  ROUND_TO_SINGLE,
  STORE_SINGLE,
  TO_INTEGER,
  WRITE_FPSCR,
} from './convert.ts';
import { EXACT, FINISH } from './number.ts';
import { VECTOR_ROUTINES } from './vector.ts';

export const FLOAT_ROUTINES: readonly Routine[] = [
  EXACT,
  FINISH,
  ADD,
  MULTIPLY,
  DIVIDE,
  SQUARE_ROOT,
  MULTIPLY_ADD,
  ROUND_TO_SINGLE,
  FROM_INTEGER,
  TO_INTEGER,
  ROUND_TO_INTEGRAL,
  COMPARE,
  RECIPROCAL,
  RECIPROCAL_ROOT,
  LOAD_SINGLE,
  STORE_SINGLE,
  WRITE_FPSCR,
  ...VECTOR_ROUTINES,
];
