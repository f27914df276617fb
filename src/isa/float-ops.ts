/**
 * The operations on single floating-point numbers that meanings may use: WebAssembly's, by their names, which round to
 * nearest. The bits of a NaN that one makes are not defined: a meaning keeps NaNs out, or makes the bits itself.
 */
import type { ValueType } from './value-type.ts';

export interface FloatOperation {
  readonly opcode: number;
  readonly params: readonly ValueType[];
  readonly result: ValueType;
}

const operation = (opcode: number, params: readonly ValueType[], result: ValueType): FloatOperation => ({
  opcode,
  params,
  result,
});
const comparison = (opcode: number): FloatOperation => operation(opcode, ['f64', 'f64'], 'i32');
const unary = (opcode: number): FloatOperation => operation(opcode, ['f64'], 'f64');
const binary = (opcode: number): FloatOperation => operation(opcode, ['f64', 'f64'], 'f64');

export const FLOAT_OPS = {
  'f64.eq': comparison(0x61),
  'f64.lt': comparison(0x63),
  'f64.gt': comparison(0x64),
  'f64.abs': unary(0x99),
  'f64.trunc': unary(0x9d),
  'f64.nearest': unary(0x9e),
  'f64.sqrt': unary(0x9f),
  'f64.add': binary(0xa0),
  'f64.sub': binary(0xa1),
  'f64.mul': binary(0xa2),
  'f64.div': binary(0xa3),
  /** The caller rules out what is no i64: WebAssembly traps on it. */
  'i64.trunc_f64_s': operation(0xb0, ['f64'], 'i64'),
  'f32.demote_f64': operation(0xb6, ['f64'], 'f32'),
  'f64.convert_i64_s': operation(0xb9, ['i64'], 'f64'),
  'f64.promote_f32': operation(0xbb, ['f32'], 'f64'),
  'i32.reinterpret_f32': operation(0xbc, ['f32'], 'i32'),
  'i64.reinterpret_f64': operation(0xbd, ['f64'], 'i64'),
  'f32.reinterpret_i32': operation(0xbe, ['i32'], 'f32'),
  'f64.reinterpret_i64': operation(0xbf, ['i64'], 'f64'),
} as const satisfies Record<string, FloatOperation>;

export type FloatOp = keyof typeof FLOAT_OPS;
