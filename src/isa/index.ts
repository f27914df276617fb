/** The Power instruction set: one table, and what comes out of it. */
export { AssemblerError, assemble, assembleWords } from './assembler.ts';
export { Decoder } from './decoder.ts';
export type { Access, Instruction, Level, Traits } from './define.ts';
export { areCompatible, define, isOf, LEVELS } from './define.ts';
export { CLASSIC_LEVELS, disassemble, E500_LEVELS, EMBEDDED_LEVELS, SERVER_LEVELS } from './disassembler.ts';
export type { Field, FieldKind, FieldName } from './fields.ts';
export { encodeField, FIELDS, fieldBits, fieldValue, rotateMask } from './fields.ts';
export { FLOAT_OPS, type FloatOp, type FloatOperation } from './float-ops.ts';
export {
  FACILITY,
  isPrivilegedRegister,
  type RegisterFile,
  type Right,
  registersOf,
  SPECIAL_REGISTERS,
  type SpecialRegister,
} from './registers/index.ts';
export type {
  Cell,
  Expr,
  InstructionInterrupt,
  InterruptCause,
  Meaning,
  Operand,
  Operands,
  Routine,
  Semantics,
  SharedName,
  StateName,
  StaticFieldName,
  ValueType,
  WideStateName,
} from './semantics.ts';
export { STATIC_FIELDS } from './semantics.ts';
export { SHUFFLE_OPCODE, SIMD, SIMD_LANE, type SimdLaneOp, type SimdOp, type SimdOperation } from './simd.ts';
export { INSTRUCTIONS } from './table.ts';
