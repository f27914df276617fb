import type { Level } from '../isa/define.ts';
import { FLOAT_ROUTINES } from '../isa/float/index.ts';
import { VECTOR_ROUTINES as FLOAT_VECTOR_ROUTINES } from '../isa/float/vector.ts';
import { registersOf } from '../isa/registers/index.ts';
import { ROUTINES } from '../isa/routines.ts';
import type { Routine } from '../isa/semantics.ts';
import { SPE_ROUTINES } from '../isa/spe/float.ts';
import { VECTOR_ROUTINES } from '../isa/vector/index.ts';
import { BOOKE_INTERRUPTS, type InterruptNumbers, SERVER_INTERRUPTS } from './backend/traps.ts';
import { LEVELS_440, LEVELS_E500V2, LEVELS_OF, LEVELS_POWER8, type ProcessorName } from './levels.ts';
import type { MemoryOrder } from './memory.ts';

/** What generated code depends on beside the instructions that there are: the width and order of a processor's mode. */
export interface ProcessorModel {
  /** Its groups of instructions and registers. */
  readonly levels: ReadonlySet<Level>;
  /** Type of general registers and addresses. */
  readonly word: 'i32' | 'i64';
  /** Computation mode: `i32` is 32-bit mode on a 64-bit processor. */
  readonly computation: 'i32' | 'i64';
  /** How storage is kept. */
  readonly order: MemoryOrder;
  /** MSR[LE]: the byte order that accesses are made in. Where storage is kept in the other one, they are turned round. */
  readonly littleEndian: boolean;
  readonly blockBytes: number;
  readonly hasFloat: boolean;
  /** It has a register that says where the last taken branch was (CFAR). */
  readonly notesBranches: boolean;
  /** What its instructions invoke: SPE_ROUTINES, or of ROUTINES as many as are needed, from the first on. */
  readonly routines: readonly Routine[];
  readonly interrupts: InterruptNumbers;
  /**
   * A budget ends in translated code where it would in the interpreter, at the first branch that is taken afterwards, so that
   * a run with counted time does not depend on what is translated: regions leave the last instructions of a budget to it.
   */
  readonly isExact?: boolean;
}

const CFAR_SPR = 28;

export const MODEL_440: ProcessorModel = {
  levels: LEVELS_440,
  word: 'i32',
  computation: 'i32',
  order: 3,
  littleEndian: false,
  blockBytes: 32,
  hasFloat: true,
  notesBranches: false,
  routines: FLOAT_ROUTINES,
  interrupts: BOOKE_INTERRUPTS,
};
/** Its floating point is in the general registers (SPE). */
export const MODEL_E500V2: ProcessorModel = {
  ...MODEL_440,
  levels: LEVELS_E500V2,
  hasFloat: false,
  routines: SPE_ROUTINES,
};
/** Book III-S, 64-bit mode: a POWER8. */
export const MODEL_SERVER: ProcessorModel = {
  levels: LEVELS_POWER8,
  word: 'i64',
  computation: 'i64',
  order: 7,
  littleEndian: false,
  blockBytes: 128,
  hasFloat: true,
  notesBranches: true,
  routines: ROUTINES,
  interrupts: SERVER_INTERRUPTS,
};
export const MODEL_SERVER_LITTLE_ENDIAN: ProcessorModel = { ...MODEL_SERVER, order: 0, littleEndian: true };

/** Book3S of 32 bits: a G4. */
const MODEL_CLASSIC: ProcessorModel = {
  levels: LEVELS_OF['7400'],
  word: 'i32',
  computation: 'i32',
  order: 7,
  littleEndian: false,
  blockBytes: 32,
  hasFloat: true,
  notesBranches: false,
  routines: [...FLOAT_ROUTINES, ...FLOAT_VECTOR_ROUTINES, ...VECTOR_ROUTINES],
  interrupts: SERVER_INTERRUPTS,
};

/** What a processor's translated code depends on, by the order that storage is kept in. */
export function modelOf(name: ProcessorName, order: MemoryOrder): ProcessorModel {
  if (name === '440') return MODEL_440;
  if (name === 'e500v2') return MODEL_E500V2;
  const levels = LEVELS_OF[name];
  if (levels.has('book3s32'))
    return { ...MODEL_CLASSIC, levels, ...(!levels.has('vector') && { routines: FLOAT_ROUTINES }) };
  const model = order === 0 ? MODEL_SERVER_LITTLE_ENDIAN : MODEL_SERVER;
  return { ...model, levels, notesBranches: registersOf(levels).has(CFAR_SPR) };
}
