import { MachineError } from '../../error.ts';

/** The image contradicts itself. */
export const damaged = (name: string, problem: string): MachineError =>
  new MachineError(`the disk image '${name}' is damaged: ${problem}; 'powervisor image check' says what else`);
