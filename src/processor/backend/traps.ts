import { FACILITY } from '../../isa/registers/define.ts';
import type { InstructionInterrupt, InterruptCause } from '../../isa/semantics.ts';
import { DSISR, SERVER_VECTOR, SRR1_PROGRAM } from '../book3s/interface.ts';
import { BOOKE_VECTOR, ESR } from '../booke/interface.ts';
import { EXIT_SYNDROME, EXIT_VECTOR } from '../layout.ts';
import type { Emitter } from '../wasm/emitter.ts';
import { constant, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';

/** How a family's processors report what an instruction raises: vectors, and the syndrome of each. */
export interface InterruptNumbers {
  readonly vectors: Readonly<Record<InstructionInterrupt, number>>;
  readonly causes: Readonly<Record<InterruptCause, number>>;
  /** Syndrome of an access that is a store. */
  readonly store: number;
  /** Vector of the interrupt behind an instruction that was stepped over. */
  readonly trace: number;
  /** The host's own events: an access that a watch stops, a fetch from a page that may only be stepped. */
  readonly watch: { readonly data: number; readonly code: number };
}

export const BOOKE_INTERRUPTS: InterruptNumbers = {
  vectors: {
    ...BOOKE_VECTOR,
    vectorUnavailable: BOOKE_VECTOR.auxiliaryProcessorUnavailable,
    vsxUnavailable: BOOKE_VECTOR.auxiliaryProcessorUnavailable,
    facilityUnavailable: BOOKE_VECTOR.auxiliaryProcessorUnavailable,
  },
  causes: {
    ...FACILITY,
    illegal: ESR.PIL,
    privileged: ESR.PPR,
    trap: ESR.PTR,
    unimplemented: ESR.PUO,
    floatEnabled: ESR.FP,
  },
  store: ESR.ST,
  trace: BOOKE_VECTOR.debug,
  watch: { data: BOOKE_VECTOR.watch, code: BOOKE_VECTOR.codeWatch },
};

export const SERVER_INTERRUPTS: InterruptNumbers = {
  vectors: {
    ...SERVER_VECTOR,
    auxiliaryProcessorUnavailable: SERVER_VECTOR.program,
    speUnavailable: SERVER_VECTOR.program,
    speFloatData: SERVER_VECTOR.program,
    speFloatRound: SERVER_VECTOR.program,
  },
  causes: {
    ...FACILITY,
    illegal: SRR1_PROGRAM.ILL,
    privileged: SRR1_PROGRAM.PRIV,
    trap: SRR1_PROGRAM.TRAP,
    unimplemented: SRR1_PROGRAM.ILL,
    floatEnabled: SRR1_PROGRAM.FP,
  },
  store: DSISR.ISSTORE,
  trace: SERVER_VECTOR.trace,
  watch: { data: SERVER_VECTOR.watch, code: SERVER_VECTOR.codeWatch },
};

/** Interrupts that come when the instruction is complete: the next one is where the guest goes on. */
export const isBehind = (kind: InstructionInterrupt): boolean => kind === 'systemCall' || kind === 'speFloatRound';

/**
 * Emits the vector and the syndrome of an interrupt that an instruction raises by itself. An alignment
 * interrupt's syndrome is that of its access: `Builder.misaligned` has set it.
 */
export function setInstructionInterrupt(
  e: Emitter,
  block: Node,
  { vectors, causes }: InterruptNumbers,
  kind: InstructionInterrupt,
  cause?: InterruptCause,
): void {
  e.store(OP.i32Store, block, EXIT_VECTOR, constant('i32', vectors[kind]));
  if (kind !== 'alignment') e.store(OP.i32Store, block, EXIT_SYNDROME, constant('i32', cause ? causes[cause] : 0));
}
