import * as fs from 'node:fs';
import {
  type FileAccess,
  type FileChanges,
  type FileStatus,
  type FolderDirectory,
  FolderError,
  type FolderFile,
  now,
  run,
  type Soon,
  type Steps,
} from '../../machine/ninep/index.ts';
import { NodeFile } from './file.ts';
import {
  checkRegular,
  type Host,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  OWNER_DIRECTORY,
  plainFlags,
  time,
} from './host.ts';

const { O_CREAT, O_EXCL, O_RDONLY } = fs.constants;
/** Directories of this size take a millisecond or more to list. */
const LONG_DIRECTORY_BYTES = 2 ** 17;
/** What Windows takes for something else than a file's name. */
const NO_WINDOWS_NAME = /[<>:"|?*\\]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

function utf8(name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(name, 'latin1'));
  } catch {
    throw new FolderError('EINVAL');
  }
}

/** A directory of a folder of the host: a descriptor on Linux, a path elsewhere. */
export class NodeDirectory implements FolderDirectory {
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
