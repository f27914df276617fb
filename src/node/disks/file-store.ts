import { spawnSync } from 'node:child_process';
import {
  close,
  closeSync,
  constants,
  fdatasync,
  fstat,
  fstatSync,
  ftruncate,
  mkdtempSync,
  openSync,
  read,
  readSync,
  rmSync,
  write,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ByteStore, MachineError } from '../../machine/index.ts';
import { CallPace } from '../call-pace.ts';
import { problemOf } from '../problems.ts';

const closeFile = promisify(close);
const datasync = promisify(fdatasync);
const truncate = promisify(ftruncate);
const status = promisify(fstat);

/** Where the system locks a file as it opens it: O_EXLOCK and O_SHLOCK of the BSDs, UV_FS_O_EXLOCK of libuv on Windows. */
const OPEN_LOCKS: Readonly<Partial<Record<NodeJS.Platform, { readonly own: number; readonly shared: number }>>> = {
  darwin: { own: 0x20, shared: 0x10 },
  freebsd: { own: 0x20, shared: 0x10 },
  openbsd: { own: 0x20, shared: 0x10 },
  win32: { own: 0x1000_0000, shared: 0 },
};

export interface FileStoreOptions {
  /** Default: false. */
  readonly readOnly?: boolean | undefined;
  /**
   * Default: true. One that writes has the file for itself, and those who read share it, as flock(2) has it. False: others may
   * change the file meanwhile.
   */
  readonly lock?: boolean | undefined;
  /** The file must not exist yet, or is emptied if `overwrite`. */
  readonly create?: 'new' | 'overwrite' | undefined;
}

/** The bytes of a file, which Node's threads read and write. */
export class FileStore implements ByteStore {
  readonly name: string;
  readonly readOnly: boolean;
  readonly #descriptor: number;

  readonly #isTemporary: boolean;
  readonly #pace = new CallPace();
  /** Calls of the system that are under way: the descriptor is theirs, too. */
  #calls = 0;
  #isClosed = false;
  #onIdle: (() => void) | undefined;

  private constructor(name: string, descriptor: number, readOnly: boolean, isTemporary = false) {
    this.name = name;
    this.#descriptor = descriptor;
    this.readOnly = readOnly;
    this.#isTemporary = isTemporary;
  }

  /** A file that nobody else sees, and that is gone with this process at the latest. It need not be safe from anything. */
  static temporary(folder: string, name: string): FileStore {
    try {
      const own = mkdtempSync(join(folder, 'powervisor-'));
      try {
        const descriptor = openSync(join(own, 'disk'), constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
        return new FileStore(name, descriptor, false, true);
      } finally {
        rmSync(own, { recursive: true });
      }
    } catch (error) {
      throw new MachineError(`cannot make a temporary file in '${folder}': ${problemOf(error)}`);
    }
  }

  /** @throws MachineError: there is no such file, it is in use, it may not be written … */
  static open(path: string, options: FileStoreOptions = {}): FileStore {
    const { readOnly = false, lock = true, create } = options;
    const refuse = (problem: string): MachineError =>
      new MachineError(`cannot open the disk image '${path}': ${problem}`);
    const lockBits = lock ? OPEN_LOCKS[process.platform] : undefined;
    let flags = readOnly ? constants.O_RDONLY : constants.O_RDWR;
    if (create) flags |= constants.O_CREAT | (create === 'new' ? constants.O_EXCL : 0);
    // A FIFO would wait for its other end.
    flags |= constants.O_NONBLOCK ?? 0;
    if (lockBits) flags |= readOnly ? lockBits.shared : lockBits.own;
    let descriptor: number;
    try {
      descriptor = openSync(path, flags, 0o666);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (lockBits && (code === 'EAGAIN' || code === 'EBUSY')) throw refuse(IN_USE);
      throw refuse(problemOf(error));
    }
    try {
      const { isDirectory, isFile } = kindOf(descriptor);
      if (!isFile) throw refuse(isDirectory ? 'it is a folder' : 'it is no file, but a device or a pipe');
      if (lock && !lockBits && !flock(descriptor, readOnly)) throw refuse(IN_USE);
      return new FileStore(path, descriptor, readOnly);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  async size(): Promise<number> {
    return (await this.#call('read', () => status(this.#descriptor))).size;
  }

  read(offset: number, into: Uint8Array): Promise<number> {
    return this.#call('read', () => transfer(read, this.#descriptor, offset, into));
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#call('write', () => transfer(write, this.#descriptor, offset, bytes));
  }

  readNow(offset: number, into: Uint8Array): number {
    return this.#now('read', readSync, offset, into);
  }

  writeNow(offset: number, bytes: Uint8Array): boolean {
    return this.#now('write', writeSync, offset, bytes) >= 0;
  }

  /** Reads or writes on this thread, while that is fast. -1: it is not. Fewer bytes only at the file's end. */
  #now(what: string, call: CallNow, offset: number, bytes: Uint8Array): number {
    const start = performance.now();
    if (this.#pace.isSlow(start)) return -1;
    if (this.#isClosed) throw this.#closed(what);
    let done = 0;
    try {
      for (let count = 1; done < bytes.length && count > 0; done += count)
        count = call(this.#descriptor, bytes, done, bytes.length - done, offset + done);
    } catch (error) {
      throw this.#failure(error, what);
    } finally {
      this.#pace.took(performance.now() - start, start);
    }
    return done;
  }

  async flush(): Promise<void> {
    if (!this.#isTemporary) await this.#call('write', () => datasync(this.#descriptor));
  }

  truncate(size: number): Promise<void> {
    return this.#call('write', () => truncate(this.#descriptor, size));
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#calls > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    try {
      await closeFile(this.#descriptor);
    } catch (error) {
      throw this.#failure(error, 'close');
    }
  }

  async #call<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw this.#closed(what);
    this.#calls++;
    try {
      return await work();
    } catch (error) {
      throw this.#failure(error, what);
    } finally {
      if (--this.#calls === 0) this.#onIdle?.();
    }
  }

  #closed(what: string): MachineError {
    return new MachineError(`cannot ${what} the disk image '${this.name}': it is closed`);
  }

  #failure(error: unknown, what: string): MachineError {
    return new MachineError(`cannot ${what} the disk image '${this.name}': ${problemOf(error)}`);
  }
}

type Call = (
  descriptor: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  position: number,
  done: (error: Error | null, count: number) => void,
) => void;

type CallNow = (descriptor: number, bytes: Uint8Array, offset: number, length: number, position: number) => number;

/** Reads or writes all of `bytes`, however often the system has to be asked. Gives fewer only at the file's end. */
function transfer(call: Call, descriptor: number, position: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    let done = 0;
    const next = (): void =>
      call(descriptor, bytes, done, bytes.length - done, position + done, (error, count) => {
        if (error) return reject(error);
        done += count;
        if (count === 0 || done === bytes.length) resolve(done);
        else next();
      });
    next();
  });
}

const IN_USE = 'another machine or program has it open; lock=off would not ask';

function kindOf(descriptor: number): { isDirectory: boolean; isFile: boolean } {
  const status = fstatSync(descriptor);
  return { isDirectory: status.isDirectory(), isFile: status.isFile() };
}

/**
 * Locks an open file; false: somebody else has locked it. Node has no flock(2), but the lock belongs to the open file, not to
 * the process that took it: the command of that name takes it on our descriptor, and it stays until that is closed, by
 * whatever end of this process.
 */
function flock(descriptor: number, isShared: boolean): boolean {
  const { error, status } = spawnSync('flock', [isShared ? '-s' : '-x', '-n', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', descriptor],
  });
  if (error)
    throw new MachineError('disk images are locked by the command flock, which is not here; lock=off does without');
  return status === 0;
}
