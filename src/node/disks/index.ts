/** Disks on Node: files, and what they are opened with. This file is the folder's public interface. */
export { nodeCodecs } from './codecs.ts';
export { type DiskFileOptions, openDiskFile } from './disk-file.ts';
export { FileStore, type FileStoreOptions } from './file-store.ts';
