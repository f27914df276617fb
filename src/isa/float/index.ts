/** The routines of scalar floating point, in the order in which back ends number them. */

import type { Routine } from '../semantics.ts';
import { EXACT_ADD, EXACT_DIVIDE, EXACT_MULTIPLY, EXACT_MULTIPLY_ADD, EXACT_SQUARE_ROOT } from './arithmetic.ts';
import {
  EXACT_COMPARE,
  EXACT_FROM_INTEGER,
  EXACT_ROUND_TO_SINGLE,
  EXACT_TO_INTEGER,
  LOAD_SINGLE,
  ROUND_TO_INTEGRAL,
  STORE_SINGLE,
  WRITE_FPSCR,
} from './convert.ts';
import { RECIPROCAL, RECIPROCAL_ROOT } from './estimates.ts';
import { EXACT, FINISH } from './number.ts';
import {
  ADD,
  COMPARE,
  DIVIDE,
  FROM_INTEGER,
  MULTIPLY,
  MULTIPLY_ADD,
  ROUND_TO_SINGLE,
  SQUARE_ROOT,
  TO_INTEGER,
} from './quick.ts';

export const FLOAT_ROUTINES: readonly Routine[] = [
  EXACT,
  FINISH,
  EXACT_ADD,
  EXACT_MULTIPLY,
  EXACT_DIVIDE,
  EXACT_SQUARE_ROOT,
  EXACT_MULTIPLY_ADD,
  EXACT_ROUND_TO_SINGLE,
  EXACT_FROM_INTEGER,
  EXACT_TO_INTEGER,
  EXACT_COMPARE,
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
];
