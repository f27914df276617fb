import type { Instruction, InstructionRow } from './define.ts';
import { ARITHMETIC_INSTRUCTIONS } from './instructions/arithmetic.ts';
import { ARITHMETIC64_INSTRUCTIONS } from './instructions/arithmetic64.ts';
import { BCD_INSTRUCTIONS } from './instructions/bcd.ts';
import { BRANCH_INSTRUCTIONS } from './instructions/branch.ts';
import { CACHE_INSTRUCTIONS } from './instructions/cache.ts';
import { CLASSIC_INSTRUCTIONS } from './instructions/classic.ts';
import { CONDITION_INSTRUCTIONS } from './instructions/condition.ts';
import { DECIMAL_INSTRUCTIONS } from './instructions/decimal.ts';
import { FLOAT_INSTRUCTIONS } from './instructions/float.ts';
import { FLOAT_STORAGE_INSTRUCTIONS } from './instructions/float-storage.ts';
import { LOGIC_INSTRUCTIONS } from './instructions/logic.ts';
import { LOGIC64_INSTRUCTIONS } from './instructions/logic64.ts';
import { MULTIPLY_ACCUMULATE_INSTRUCTIONS } from './instructions/multiply-accumulate.ts';
import { SERVER_INSTRUCTIONS } from './instructions/server.ts';
import { SERVER_SYSTEM_INSTRUCTIONS } from './instructions/server-system.ts';
import { SPE_FLOAT_INSTRUCTIONS } from './instructions/spe-float.ts';
import { SPE_INTEGER_INSTRUCTIONS } from './instructions/spe-integer.ts';
import { SPE_MULTIPLY_INSTRUCTIONS } from './instructions/spe-multiply.ts';
import { SPE_STORAGE_INSTRUCTIONS } from './instructions/spe-storage.ts';
import { SPECIAL_INSTRUCTIONS } from './instructions/special.ts';
import { STORAGE_INSTRUCTIONS } from './instructions/storage.ts';
import { STORAGE64_INSTRUCTIONS } from './instructions/storage64.ts';
import { STRING_INSTRUCTIONS } from './instructions/string.ts';
import { SYSTEM_INSTRUCTIONS } from './instructions/system.ts';
import { VECTOR_ARITHMETIC_INSTRUCTIONS } from './instructions/vector-arithmetic.ts';
import { VECTOR_BITS_INSTRUCTIONS } from './instructions/vector-bits.ts';
import { VECTOR_FLOAT_INSTRUCTIONS } from './instructions/vector-float.ts';
import { VECTOR_LOGIC_INSTRUCTIONS } from './instructions/vector-logic.ts';
import { VECTOR_PERMUTE_INSTRUCTIONS } from './instructions/vector-permute.ts';
import { VECTOR_STORAGE_INSTRUCTIONS } from './instructions/vector-storage.ts';
import { VSX_INSTRUCTIONS } from './instructions/vsx.ts';
import { VSX_SCALAR_INSTRUCTIONS } from './instructions/vsx-scalar.ts';
import { VSX_VECTOR_INSTRUCTIONS } from './instructions/vsx-vector.ts';

const ROWS: readonly InstructionRow[] = [
  ...ARITHMETIC_INSTRUCTIONS,
  ...LOGIC_INSTRUCTIONS,
  ...STORAGE_INSTRUCTIONS,
  ...STRING_INSTRUCTIONS,
  ...BRANCH_INSTRUCTIONS,
  ...CONDITION_INSTRUCTIONS,
  ...SPECIAL_INSTRUCTIONS,
  ...CACHE_INSTRUCTIONS,
  ...SYSTEM_INSTRUCTIONS,
  ...MULTIPLY_ACCUMULATE_INSTRUCTIONS,
  ...FLOAT_INSTRUCTIONS,
  ...FLOAT_STORAGE_INSTRUCTIONS,
  ...ARITHMETIC64_INSTRUCTIONS,
  ...LOGIC64_INSTRUCTIONS,
  ...BCD_INSTRUCTIONS,
  ...STORAGE64_INSTRUCTIONS,
  ...SERVER_INSTRUCTIONS,
  ...DECIMAL_INSTRUCTIONS,
  ...VSX_SCALAR_INSTRUCTIONS,
  ...VSX_VECTOR_INSTRUCTIONS,
  ...VECTOR_STORAGE_INSTRUCTIONS,
  ...VECTOR_PERMUTE_INSTRUCTIONS,
  ...VECTOR_ARITHMETIC_INSTRUCTIONS,
  ...VECTOR_BITS_INSTRUCTIONS,
  ...VECTOR_LOGIC_INSTRUCTIONS,
  ...VECTOR_FLOAT_INSTRUCTIONS,
  ...VSX_INSTRUCTIONS,
  ...SERVER_SYSTEM_INSTRUCTIONS,
  ...SPE_INTEGER_INSTRUCTIONS,
  ...SPE_MULTIPLY_INSTRUCTIONS,
  ...SPE_STORAGE_INSTRUCTIONS,
  ...SPE_FLOAT_INSTRUCTIONS,
  ...CLASSIC_INSTRUCTIONS,
];

/** All instructions of all processors. */
export const INSTRUCTIONS: readonly Instruction[] = ROWS.map((row, id) => ({ ...row, id }));
