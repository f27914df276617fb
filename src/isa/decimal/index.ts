/** All routines of decimal floating point. */
import type { Routine } from '../semantics.ts';
import { ADD, COMPARE, DIVIDE, MULTIPLY } from './arithmetic.ts';
import {
  FROM_BCD,
  FROM_FIXED,
  INSERT_EXPONENT,
  LONG_TO_EXTENDED,
  ROUND_TO_LONG,
  ROUND_TO_SHORT,
  SHIFT,
  SHORT_TO_LONG,
  TO_BCD,
  TO_FIXED,
} from './convert.ts';
import { ENCODE, FROM_DECLETS, PACK, PACK_SHORT, SPECIAL, TO_DECLETS } from './number.ts';
import { QUANTIZE, QUANTIZE_LIKE, REROUND, TO_INTEGRAL } from './quantum.ts';
import { FINISH } from './rounding.ts';
import { SETTLE } from './settle.ts';

export const DECIMAL_ROUTINES: readonly Routine[] = [
  FROM_DECLETS,
  TO_DECLETS,
  ENCODE,
  PACK,
  PACK_SHORT,
  SPECIAL,
  FINISH,
  SETTLE,
  ADD,
  MULTIPLY,
  DIVIDE,
  COMPARE,
  QUANTIZE,
  QUANTIZE_LIKE,
  REROUND,
  TO_INTEGRAL,
  SHORT_TO_LONG,
  LONG_TO_EXTENDED,
  ROUND_TO_SHORT,
  ROUND_TO_LONG,
  FROM_FIXED,
  TO_FIXED,
  TO_BCD,
  FROM_BCD,
  SHIFT,
  INSERT_EXPONENT,
];
