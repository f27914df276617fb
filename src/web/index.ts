/** A machine in a browser, seen from the page: the package's entry `powervisor/browser`. */
export { KvmError } from '../kvm/api.ts';
export { MachineError } from '../machine/error.ts';
export type { MachineEnd, MachineState } from '../machine/index.ts';
export {
  type BrowserMachine,
  type BrowserMachineOptions,
  type BrowserRestoreOptions,
  createMachine,
  restoreMachine,
} from './machine.ts';
export type { MachineDescription, ServedDisk, ServedNetwork, ServedOptions, ServedRestoreOptions } from './protocol.ts';
