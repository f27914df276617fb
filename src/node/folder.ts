/**
 * Folders of the host, by Node. On Linux each directory and file is a descriptor, opened from its directory's by one name that is
 * not followed if it is a symbolic link: /proc/self/fd/N/NAME is what openat, renameat and so on take as N and NAME. What was
 * opened is looked at before it is used, and only regular files and directories are (by /proc/self/fd/N, which is that very
 * file). So whoever renames or links in the folder meanwhile leads nothing out of it.
 *
 * Elsewhere a directory is its path, of which each call first checks that no component has become a link. Between the check
 * and the call is a moment in which a program of the host may exchange one.
 */
import * as fs from 'node:fs';
import { getegid, geteuid } from 'node:process';
import { MachineError } from '../machine/error.ts';
import {
  type FileAccess,
  type FileChanges,
  type FileStatus,
  type Folder,
  type FolderDirectory,
  FolderError,
  type FolderFile,
  type FolderRoom,
  type NewTime,
  NinePServer,
  now,
  run,
  type Soon,
  type Steps,
} from '../machine/ninep/index.ts';
import { FileCalls } from './file-calls.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } = fs.constants;
/** Windows has none of these. */
const { O_DIRECTORY = 0, O_NOFOLLOW = 0, O_NONBLOCK = 0, O_NOCTTY = 0 } = fs.constants as Partial<typeof fs.constants>;
/** Linux's, on all processors that Node runs on; fs.constants has no name for it. */
const O_PATH = 0o10000000;

/** Numbers of Linux's file systems (statfs(2)) that wait for somebody else: NFS, SMB, CIFS, Ceph, AFS, 9P, FUSE. */
const NETWORK_FILE_SYSTEMS = new Set([
  0x6969, 0x517b, 0xfe534d42, 0xff534d42, 0x00c36400, 0x5346414f, 0x01021997, 0x65735546,
]);

const MAX_HANDLES = 2 ** 16;
const CUSTOMARY_HANDLES = 512;
/** Directories of this size take a millisecond or more to list. */
const LONG_DIRECTORY_BYTES = 2 ** 17;
/** Numbers that libuv takes for "now" (UV_FS_UTIME_NOW, since 1.51); Node passes strings through. */
const NOW = 'Infinity';

const plainFlags = ({ read, write, append }: FileAccess): number =>
  (write ? (read ? O_RDWR : O_WRONLY) : O_RDONLY) | (append ? O_APPEND : 0);

/** What Windows takes for something else than a file's name. */
const NO_WINDOWS_NAME = /[<>:"|?*\\]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

function utf8(name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(name, 'latin1'));
  } catch {
    throw new FolderError('EINVAL');
  }
}

/** A time as Node takes it: seconds, of which a double has some 240 ns exactly; rounded up, so that copies are not older. */
function seconds(ns: bigint): string {
  let value = Number(ns) / 1e9;
  const ulp = 2 ** (Math.floor(Math.log2(Math.abs(value) || 1)) - 52);
  const whole = Math.trunc(value);
  if (value > 0 && BigInt(whole) * 1_000_000_000n + BigInt(Math.trunc((value - whole) * 1e9)) < ns) value += ulp;
  return String(value);
}

const uvVersion = (process.versions.uv ?? '0.0').split('.').map(Number);
const knowsNow = (uvVersion[0] ?? 0) > 1 || (uvVersion[1] ?? 0) >= 51;

const time = (wanted: NewTime | undefined, before: bigint): string =>
  wanted === undefined
    ? seconds(before)
    : wanted !== 'now'
      ? seconds(wanted)
      : knowsNow
        ? NOW
        : String(Date.now() / 1000);

/** The kind of a status for those who open regular files only. @throws FolderError EISDIR, ELOOP, ENXIO. */
function checkRegular(status: fs.BigIntStats): void {
  if (status.isFile()) return;
  throw new FolderError(status.isDirectory() ? 'EISDIR' : status.isSymbolicLink() ? 'ELOOP' : 'ENXIO');
}

/** What an owner needs of a file, and of a directory. */
const OWNER_FILE = 0o600;
const OWNER_DIRECTORY = 0o700;

/** What all handles of a folder have. */
class Host {
  readonly calls = new FileCalls();
  /** Whether descriptors have names, as on Linux. */
  readonly byDescriptor = process.platform === 'linux' && fs.existsSync('/proc/self/fd');
  readonly umask = process.umask();

  /** The user that this process is; it may do everything when that is 0. */
  readonly user = geteuid?.() ?? 0;

  self(descriptor: number): string {
    return `/proc/self/fd/${descriptor}`;
  }

  /**
   * Does something that the mode of one's own file or directory may forbid to its owner, but not to root, who the guest thinks
   * it is: with the rights that are missing, for the moment that it takes.
   */
  *asOwner<T>(descriptor: number | undefined, rights: number, body: () => Soon<T>): Steps<T> {
    try {
      return yield* now(body());
    } catch (error) {
      if (!(error instanceof FolderError) || error.code !== 'EACCES') throw error;
      if (descriptor === undefined || !this.byDescriptor || this.user === 0) throw error;
      const { mode, uid } = yield* now(this.calls.fstat(descriptor));
      const [permissions, path] = [Number(mode) & 0o7777, this.self(descriptor)];
      if (Number(uid) !== this.user || (permissions & rights) === rights) throw error;
      yield* now(this.calls.chmod(path, permissions | rights));
      try {
        return yield* now(body());
      } finally {
        yield* now(this.calls.chmod(path, permissions));
      }
    }
  }

  /** Changes what a descriptor is of. */
  *change(descriptor: number, changes: FileChanges, canWrite: boolean): Steps<void> {
    const { calls } = this;
    const { permissions, size, atime, mtime } = changes;
    const path = this.self(descriptor);
    if (size !== undefined) {
      if (canWrite || !this.byDescriptor) yield* now(calls.ftruncate(descriptor, size));
      else {
        const open = (): Soon<number> => calls.open(path, O_WRONLY | O_NONBLOCK);
        const writing = yield* this.asOwner(descriptor, OWNER_FILE, open);
        try {
          yield* now(calls.ftruncate(writing, size));
        } finally {
          calls.close(writing);
        }
      }
    }
    if (permissions !== undefined)
      yield* now(this.byDescriptor ? calls.chmod(path, permissions) : calls.fchmod(descriptor, permissions));
    if (atime === undefined && mtime === undefined) return;
    const before = yield* now(calls.fstat(descriptor));
    const [access, modification] = [time(atime, before.atimeNs), time(mtime, before.mtimeNs)];
    yield* now(
      this.byDescriptor ? calls.utimes(path, access, modification) : calls.futimes(descriptor, access, modification),
    );
  }
}

class NodeFile implements FolderFile {
  readonly #host: Host;
  readonly #descriptor: number;
  /** Undefined: only held on to. */
  readonly #access: FileAccess | undefined;

  constructor(host: Host, descriptor: number, access: FileAccess | undefined) {
    this.#host = host;
    this.#descriptor = descriptor;
    this.#access = access;
  }

  status(): Soon<FileStatus> {
    return this.#host.calls.fstat(this.#descriptor);
  }

  open(access: FileAccess): Soon<FolderFile> {
    return run(this.#open(access));
  }

  *#open(access: FileAccess): Steps<FolderFile> {
    const host = this.#host;
    if (!host.byDescriptor) throw new FolderError('ESTALE');
    const flags = plainFlags(access) | (access.truncate ? O_TRUNC : 0) | O_NONBLOCK | O_NOCTTY;
    const path = host.self(this.#descriptor);
    const open = (): Soon<number> => host.calls.open(path, flags);
    return new NodeFile(host, yield* host.asOwner(this.#descriptor, OWNER_FILE, open), access);
  }

  read(offset: number, into: Uint8Array): Soon<number> {
    return this.#host.calls.read(this.#descriptor, into, offset);
  }

  write(offset: number, bytes: Uint8Array): Soon<number> {
    return this.#host.calls.write(this.#descriptor, bytes, offset);
  }

  change(changes: FileChanges): Soon<void> {
    return run(this.#host.change(this.#descriptor, changes, this.#access?.write === true));
  }

  sync(dataOnly: boolean): Soon<void> {
    return this.#host.calls.fsync(this.#descriptor, dataOnly);
  }

  close(): void {
    this.#host.calls.close(this.#descriptor);
  }
}

class NodeDirectory implements FolderDirectory {
  readonly #host: Host;
  readonly #path: string;
  readonly #descriptor: number | undefined;

  /** `path`: where names are below; `descriptor`: what it is the name of, on Linux. */
  constructor(host: Host, path: string, descriptor: number | undefined) {
    this.#host = host;
    this.#path = path;
    this.#descriptor = descriptor;
  }

  /** A call in this directory, which its owner may not have the right to. */
  #own<T>(body: () => Soon<T>): Steps<T> {
    return this.#host.asOwner(this.#descriptor, OWNER_DIRECTORY, body);
  }

  static byDescriptor(host: Host, descriptor: number): NodeDirectory {
    return new NodeDirectory(host, host.self(descriptor), descriptor);
  }

  /** The path of a name. @throws FolderError ENOENT: this directory is not where it was. */
  #at(name: string): string | Buffer {
    if (this.#descriptor !== undefined) {
      const path = `${this.#path}/${name}`;
      // biome-ignore lint/suspicious/noControlCharactersInRegex: bytes that are ASCII
      return /^[\x01-\x7f]*$/.test(path) ? path : Buffer.from(path, 'latin1');
    }
    if (process.platform === 'win32' && NO_WINDOWS_NAME.test(name)) throw new FolderError('EINVAL');
    this.#checkPlace();
    return `${this.#path}/${utf8(name)}`;
  }

  #checkPlace(): void {
    let real: string | undefined;
    try {
      real = fs.realpathSync.native(this.#path);
    } catch {}
    if (real !== this.#path) throw new FolderError('ENOENT');
  }

  /** Where the directory itself is opened. */
  #itself(): string {
    if (this.#descriptor === undefined) this.#checkPlace();
    return this.#path;
  }

  status(): Soon<FileStatus> {
    if (this.#descriptor !== undefined) return this.#host.calls.fstat(this.#descriptor);
    return run(this.#statusByPath());
  }

  *#statusByPath(): Steps<FileStatus> {
    const status = yield* now(this.#host.calls.lstat(this.#itself()));
    if (status === undefined) throw new FolderError('ENOENT');
    return status;
  }

  change(changes: FileChanges): Soon<void> {
    return run(this.#change(changes));
  }

  *#change(changes: FileChanges): Steps<void> {
    if (changes.size !== undefined) throw new FolderError('EISDIR');
    if (this.#descriptor !== undefined) yield* this.#host.change(this.#descriptor, changes, false);
    else yield* this.#changeByPath(this.#itself(), changes);
  }

  *#changeByPath(path: string | Buffer, { permissions, atime, mtime }: FileChanges): Steps<void> {
    const { calls } = this.#host;
    if (permissions !== undefined) yield* now(calls.chmod(path, permissions));
    if (atime === undefined && mtime === undefined) return;
    const before = yield* now(calls.lstat(path));
    if (before === undefined) throw new FolderError('ENOENT');
    yield* now(calls.lutimes(path, time(atime, before.atimeNs), time(mtime, before.mtimeNs)));
  }

  look(name: string): Soon<FileStatus | undefined> {
    return this.#host.calls.lstat(this.#at(name));
  }

  list(most: number): Soon<string[]> {
    return run(this.#list(most));
  }

  *#list(most: number): Steps<string[]> {
    const { size } = yield* now(this.status());
    const path = this.#itself();
    const names = yield* this.#own(() => this.#host.calls.readdir(path, size > LONG_DIRECTORY_BYTES, most));
    if (names.length > most) throw new FolderError('ENOMEM');
    return names;
  }

  directory(name: string): Soon<FolderDirectory> {
    return run(this.#directory(name));
  }

  *#directory(name: string): Steps<FolderDirectory> {
    const { calls, byDescriptor } = this.#host;
    const path = this.#at(name);
    if (byDescriptor)
      return NodeDirectory.byDescriptor(this.#host, yield* now(calls.open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW)));
    const status = yield* now(calls.lstat(path));
    if (status === undefined) throw new FolderError('ENOENT');
    if (!status.isDirectory()) throw new FolderError('ENOTDIR');
    return new NodeDirectory(this.#host, String(path), undefined);
  }

  file(name: string, access: FileAccess | undefined): Soon<FolderFile> {
    return run(this.#host.byDescriptor ? this.#file(name, access) : this.#fileByPath(name, access));
  }

  *#file(name: string, access: FileAccess | undefined): Steps<FolderFile> {
    const host = this.#host;
    const { calls } = host;
    const descriptor = yield* now(calls.open(this.#at(name), O_PATH | O_NOFOLLOW));
    const found = new NodeFile(host, descriptor, undefined);
    let isWanted = false;
    try {
      checkRegular(yield* now(calls.fstat(descriptor)));
      isWanted = access === undefined;
      return access === undefined ? found : yield* now(found.open(access));
    } finally {
      if (!isWanted) found.close();
    }
  }

  *#fileByPath(name: string, access: FileAccess = { read: true, write: false }): Steps<FolderFile> {
    const { calls } = this.#host;
    const path = this.#at(name);
    const status = yield* now(calls.lstat(path));
    if (status === undefined) throw new FolderError('ENOENT');
    checkRegular(status);
    const descriptor = yield* now(calls.open(path, plainFlags(access) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    try {
      const opened = yield* now(calls.fstat(descriptor));
      if (opened.dev !== status.dev || opened.ino !== status.ino) throw new FolderError('EAGAIN');
      if (access.truncate) yield* now(calls.ftruncate(descriptor, 0));
    } catch (error) {
      calls.close(descriptor);
      throw error;
    }
    return new NodeFile(this.#host, descriptor, access);
  }

  create(name: string, access: FileAccess, permissions: number): Soon<FolderFile> {
    return run(this.#create(name, access, permissions));
  }

  *#create(name: string, access: FileAccess, permissions: number): Steps<FolderFile> {
    const { calls, umask } = this.#host;
    const flags = plainFlags(access) | O_CREAT | O_EXCL | O_NOFOLLOW;
    const path = this.#at(name);
    const descriptor = yield* this.#own(() => calls.open(path, flags, permissions));
    if (permissions & umask) yield* now(calls.fchmod(descriptor, permissions));
    return new NodeFile(this.#host, descriptor, access);
  }

  makeDirectory(name: string, permissions: number): Soon<void> {
    return run(this.#makeDirectory(name, permissions));
  }

  *#makeDirectory(name: string, permissions: number): Steps<void> {
    const path = this.#at(name);
    yield* this.#own(() => this.#host.calls.mkdir(path, permissions));
    if (!(permissions & this.#host.umask)) return;
    const made = yield* now(this.directory(name));
    try {
      yield* now(made.change({ permissions }));
    } finally {
      made.close();
    }
  }

  makeLink(name: string, target: string): Soon<void> {
    const { calls, byDescriptor } = this.#host;
    const path = this.#at(name);
    const bytes = byDescriptor ? Buffer.from(target, 'latin1') : utf8(target);
    return run(this.#own(() => calls.symlink(bytes, path)));
  }

  readLink(name: string): Soon<string> {
    return this.#host.calls.readlink(this.#at(name));
  }

  link(name: string, from: FolderDirectory, oldName: string): Soon<void> {
    const [path, newPath] = [directoryOf(from).#at(oldName), this.#at(name)];
    return run(this.#own(() => this.#host.calls.link(path, newPath)));
  }

  rename(name: string, to: FolderDirectory, newName: string): Soon<void> {
    const target = directoryOf(to);
    const [path, newPath] = [this.#at(name), target.#at(newName)];
    return run(this.#own(() => run(target.#own(() => this.#host.calls.rename(path, newPath)))));
  }

  removeFile(name: string): Soon<void> {
    const path = this.#at(name);
    return run(this.#own(() => this.#host.calls.unlink(path)));
  }

  removeDirectory(name: string): Soon<void> {
    const path = this.#at(name);
    return run(this.#own(() => this.#host.calls.rmdir(path)));
  }

  changeEntry(name: string, changes: FileChanges): Soon<void> {
    return run(this.#changeEntry(name, changes));
  }

  *#changeEntry(name: string, changes: FileChanges): Steps<void> {
    const host = this.#host;
    const { calls } = host;
    const path = this.#at(name);
    if (host.byDescriptor) {
      const descriptor = yield* now(calls.open(path, O_PATH | O_NOFOLLOW));
      try {
        const status = yield* now(calls.fstat(descriptor));
        if (status.isFile() || (status.isDirectory() && changes.size === undefined))
          return yield* host.change(descriptor, changes, false);
        checkLink(status, changes);
      } finally {
        calls.close(descriptor);
      }
      return yield* this.#changeByPath(path, changes);
    }
    const status = yield* now(calls.lstat(path));
    if (status === undefined) throw new FolderError('ENOENT');
    if (status.isFile()) {
      const file = yield* this.#fileByPath(name, { read: true, write: changes.size !== undefined });
      try {
        yield* now(file.change(changes));
      } finally {
        file.close();
      }
      return;
    }
    if (!status.isDirectory() || changes.size !== undefined) checkLink(status, changes);
    yield* this.#changeByPath(path, changes);
  }

  sync(): Soon<void> {
    return run(this.#sync());
  }

  *#sync(): Steps<void> {
    const { calls } = this.#host;
    // Windows opens no directories.
    if (process.platform === 'win32') return;
    const descriptor = yield* now(calls.open(this.#itself(), O_RDONLY | O_DIRECTORY));
    try {
      yield* now(calls.fsync(descriptor, false));
    } finally {
      calls.close(descriptor);
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) this.#host.calls.close(this.#descriptor);
  }
}

/** Of a symbolic link only the times change. @throws FolderError EOPNOTSUPP, EINVAL. */
function checkLink(status: fs.BigIntStats, { permissions, size }: FileChanges): void {
  if (size !== undefined) throw new FolderError('EINVAL');
  if (!status.isSymbolicLink() || permissions !== undefined) throw new FolderError('EOPNOTSUPP');
}

function directoryOf(directory: FolderDirectory): NodeDirectory {
  if (!(directory instanceof NodeDirectory)) throw new FolderError('EXDEV');
  return directory;
}

/** Half of the files that this process may have open. */
function maxHandles(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(fs.readFileSync('/proc/self/limits', 'latin1'))?.[1];
    if (limit !== undefined) return Math.min(MAX_HANDLES, Math.floor(Number(limit) / 2));
  } catch {}
  return CUSTOMARY_HANDLES;
}

/** A folder of the host, for a share. */
export class NodeFolder implements Folder {
  readonly name: string;
  readonly owner = { uid: geteuid?.() ?? 0, gid: getegid?.() ?? 0 };
  readonly maxHandles = maxHandles();
  readonly root: FolderDirectory;
  readonly #host = new Host();
  readonly #path: string;

  /** @throws MachineError when there is no such folder. */
  constructor(path: string) {
    this.name = path;
    const refuse = (reason: string): MachineError => new MachineError(`cannot share '${path}': ${reason}`);
    try {
      if (!fs.statSync(path).isDirectory()) throw refuse('it is not a folder');
      const real = fs.realpathSync.native(path);
      const descriptor = this.#host.byDescriptor ? fs.openSync(path, O_PATH | O_DIRECTORY) : undefined;
      this.root =
        descriptor === undefined
          ? new NodeDirectory(this.#host, real, undefined)
          : NodeDirectory.byDescriptor(this.#host, descriptor);
      this.#path = descriptor === undefined ? real : this.#host.self(descriptor);
      if (NETWORK_FILE_SYSTEMS.has(fs.statfsSync(path).type)) this.makeSlow();
    } catch (error) {
      if (error instanceof MachineError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      throw refuse(
        code === 'ENOENT' ? 'there is no such folder' : code === 'EACCES' ? 'you may not read it' : String(code),
      );
    }
  }

  /** The root's status, which a server begins with. */
  status(): FileStatus {
    return fs.statSync(this.#path, { bigint: true });
  }

  /** All calls wait on Node's threads, as those of a slow file system do. */
  makeSlow(): void {
    this.#host.calls.pace.makeSlow();
  }

  room(): Soon<FolderRoom> {
    return this.#host.calls.statfs(this.#path);
  }

  close(): void {
    this.root.close();
  }
}

/**
 * Shares a folder of the host with a guest: the server of one of a machine's `shares`. The guest reads it, and writes only if it
 * is told to be `writable`.
 * @throws MachineError when there is no such folder.
 */
export function shareFolder(path: string, { writable = false }: { readonly writable?: boolean } = {}): NinePServer {
  const folder = new NodeFolder(path);
  return new NinePServer(folder, folder.status(), { writable });
}
