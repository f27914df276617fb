/**
 * Folders that the outside shares with a guest: directories and files by handles, and names inside of directories. There are
 * no paths, so nothing outside of the folder has a name. A name is one component, one character a byte (0x01-0xff, not `/`), never
 * "." or ".."; an implementation refuses names that its host cannot have. Nothing follows a symbolic link. Where something may
 * wait it is a promise; what is short may be answered at once. All fail with a FolderError and nothing else.
 */

/** What is known at once, or later. */
export type Soon<T> = T | Promise<T>;

/** Linux's numbers of errors (asm-generic/errno-base.h and errno.h), which 9P2000.L carries. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EPROTO: 71,
  EOVERFLOW: 75,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  ETIMEDOUT: 110,
  ESTALE: 116,
  EDQUOT: 122,
} as const;
export type ErrorName = keyof typeof ERRNO;

export const isErrorName = (name: string): name is ErrorName => Object.hasOwn(ERRNO, name);

/** Why something could not be done in a folder, by Linux's name for it. */
export class FolderError extends Error {
  override name = 'FolderError';
  readonly code: ErrorName;

  constructor(code: ErrorName) {
    super(code);
    this.code = code;
  }
}

/** Kinds of files in `mode` (sys/stat.h). */
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

/** What stat(2) tells, under its names; `rdev` as Linux encodes it. Times are nanoseconds since 1970. */
export interface FileStatus {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly mode: bigint;
  readonly nlink: bigint;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly rdev: bigint;
  /** Bytes. */
  readonly size: bigint;
  /** Units of 512 bytes. */
  readonly blocks: bigint;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** 0 where the host does not know. */
  readonly birthtimeNs: bigint;
}

/** Times as they are set: nanoseconds since 1970, or the time that the host's own writes would leave. */
export type NewTime = bigint | 'now';

/** What changes; what is absent stays. */
export interface FileChanges {
  /** Permission bits, 0o777 at most. */
  readonly permissions?: number | undefined;
  readonly size?: number | undefined;
  readonly atime?: NewTime | undefined;
  readonly mtime?: NewTime | undefined;
}

export interface FileAccess {
  readonly read: boolean;
  readonly write: boolean;
  readonly truncate?: boolean | undefined;
  /** Each write goes to the file's end. */
  readonly append?: boolean | undefined;
}

/** A regular file, whatever its name is by now, and whether it has one. */
export interface FolderFile {
  status(): Soon<FileStatus>;
  /** The same file once more. */
  open(access: FileAccess): Soon<FolderFile>;
  /** Fills `into` from `offset`; the bytes that there were. */
  read(offset: number, into: Uint8Array): Soon<number>;
  /** How many of the bytes were written, one at least. */
  write(offset: number, bytes: Uint8Array): Soon<number>;
  change(changes: FileChanges): Soon<void>;
  sync(dataOnly: boolean): Soon<void>;
  /** Calls that are under way have ended before. */
  close(): void;
}

/** A directory, whatever its name is by now. */
export interface FolderDirectory {
  status(): Soon<FileStatus>;
  change(changes: FileChanges): Soon<void>;
  /** What has this name; undefined: nothing. */
  look(name: string): Soon<FileStatus | undefined>;
  /** All names, in any order. ENOMEM: there are more than `most`. */
  list(most: number): Soon<string[]>;
  /** ENOTDIR: it is something else, such as a symbolic link. */
  directory(name: string): Soon<FolderDirectory>;
  /** Opens a regular file and nothing else: EISDIR, ELOOP (a symbolic link), ENXIO. Without access it only holds on to it. */
  file(name: string, access: FileAccess | undefined): Soon<FolderFile>;
  /** Makes a file that was not there: EEXIST. */
  create(name: string, access: FileAccess, permissions: number): Soon<FolderFile>;
  makeDirectory(name: string, permissions: number): Soon<void>;
  makeLink(name: string, target: string): Soon<void>;
  readLink(name: string): Soon<string>;
  /** Gives an entry of `from` another name here. */
  link(name: string, from: FolderDirectory, oldName: string): Soon<void>;
  rename(name: string, to: FolderDirectory, newName: string): Soon<void>;
  removeFile(name: string): Soon<void>;
  removeDirectory(name: string): Soon<void>;
  /** Changes a regular file, a directory, or the times of a symbolic link; anything else is EOPNOTSUPP. */
  changeEntry(name: string, changes: FileChanges): Soon<void>;
  sync(): Soon<void>;
  /** Calls that are under way have ended before. */
  close(): void;
}

/** Room in a folder's file system, as statfs(2) tells. */
export interface FolderRoom {
  readonly bsize: bigint;
  readonly blocks: bigint;
  readonly bfree: bigint;
  readonly bavail: bigint;
  readonly files: bigint;
  readonly ffree: bigint;
}

export interface Folder {
  /** For messages. */
  readonly name: string;
  /** Who owns what is made in it. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** So many files and directories may be open at a time. */
  readonly maxHandles: number;
  readonly root: FolderDirectory;
  room(): Soon<FolderRoom>;
  /** Calls that are under way have ended before. */
  close(): void;
}
