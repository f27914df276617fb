/** A machine on Node: the package's entry `powervisor/node`. */
export { NodeHost } from './host.ts';
export { createMachine, type NodeMachineOptions } from './machine.ts';
