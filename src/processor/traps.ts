import type { InstructionInterrupt, ProgramCause } from '../isa/semantics.ts';
import { BOOKE_VECTOR, ESR } from './interface.ts';
import { EXIT_SYNDROME, EXIT_VECTOR } from './layout.ts';
import type { Emitter } from './wasm/emitter.ts';
import { constant, type Node } from './wasm/node.ts';
import { OP } from './wasm/opcodes.ts';

const PROGRAM_SYNDROME: Record<ProgramCause, number> = {
  illegal: ESR.PIL,
  privileged: ESR.PPR,
  trap: ESR.PTR,
  unimplemented: ESR.PUO,
  floatEnabled: ESR.FP,
};

/**
 * Emits the vector and the syndrome of an interrupt that an instruction raises by itself (BookE). An alignment
 * interrupt's syndrome is that of its access: `Builder.misaligned` has set it.
 */
export function setInstructionInterrupt(
  e: Emitter,
  block: Node,
  kind: InstructionInterrupt,
  cause?: ProgramCause,
): void {
  e.store(OP.i32Store, block, EXIT_VECTOR, constant('i32', BOOKE_VECTOR[kind]));
  if (kind !== 'alignment')
    e.store(OP.i32Store, block, EXIT_SYNDROME, constant('i32', cause ? PROGRAM_SYNDROME[cause] : 0));
}
