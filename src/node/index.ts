/** A machine on Node: the package's entry `powervisor/node`. */
export { codeCacheFolder } from './code-cache.ts';
export { fileProblem } from './file-problem.ts';
export { NodeHost } from './host.ts';
export {
  createMachine,
  forkMachine,
  type NodeMachineOptions,
  type NodeRestoreOptions,
  restoreMachine,
} from './machine.ts';
export { writeSnapshotFile } from './snapshot-file.ts';
