/** A machine on Node: the package's entry `powervisor/node`. */
export { codeCacheFolder } from './code-cache.ts';
export { type ClosablePortEnd, openFilePort, openSocketPort } from './console-ports.ts';
export { type DiskFileOptions, openDiskFile } from './disks/disk-file.ts';
export { FileStore, type FileStoreOptions } from './disks/file-store.ts';
export { findFirmware, readFirmware } from './firmware.ts';
export { NodeFolder, shareFolder } from './folder.ts';
export { type GdbServer, type GdbServerOptions, serveGdb } from './gdb.ts';
export { NodeHost } from './host.ts';
export {
  createMachine,
  forkMachine,
  MAX_THREADS,
  type NodeMachineOptions,
  type NodeRestoreOptions,
  restoreMachine,
} from './machine.ts';
export { createUserNetwork } from './network.ts';
export { writeSnapshotFile } from './snapshot-file.ts';
export { NodeSockets, type NodeSocketsOptions } from './sockets.ts';
export { openTrace } from './trace-file.ts';
