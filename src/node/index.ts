/** A machine on Node: the package's entry `powervisor/node`. */
export { codeCacheFolder } from './code-cache.ts';
export { NodeFolder, shareFolder } from './folder.ts';
export { NodeHost } from './host.ts';
export { createMachine, type NodeMachineOptions } from './machine.ts';
