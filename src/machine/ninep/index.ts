/** Shared folders: what those outside of this room see of it. */
export {
  type ErrorName,
  type FileAccess,
  type FileChanges,
  type FileStatus,
  type Folder,
  type FolderDirectory,
  FolderError,
  type FolderFile,
  type FolderRoom,
  isErrorName,
  type NewTime,
  type Soon,
} from '../outside/folders.ts';
export { MemoryFolder } from './memory-folder.ts';
export { NinePServer, type NinePServerOptions } from './server.ts';
export { now, run, type Steps } from './steps.ts';
