/** Calls of the host's file system for shared folders: at once on this thread while they are short, else on Node's threads. */
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { type ErrorName, FolderError, isErrorName, type Soon } from '../machine/ninep/index.ts';
import { CallPace } from './call-pace.ts';

const PIECE_NAMES = 1024;

/** Names that other systems give, or that Linux's table here has not. */
const OTHER_ERRORS: Readonly<Record<string, ErrorName>> = {
  ENOTSUP: 'EOPNOTSUPP',
  ENOATTR: 'EOPNOTSUPP',
};

/** What Node throws, as what a folder throws. */
function folderError(error: unknown): FolderError {
  if (error instanceof FolderError) return error;
  const { code } = Object(error) as { code?: unknown };
  if (typeof code !== 'string') return new FolderError('EIO');
  return new FolderError(isErrorName(code) ? code : (OTHER_ERRORS[code] ?? 'EIO'));
}

const exact = { bigint: true, throwIfNoEntry: false } as const;
const exactOpen = { bigint: true } as const;
const byBytes = { encoding: 'latin1' } as const;

const later = {
  open: promisify(fs.open),
  read: promisify(fs.read),
  write: promisify(fs.write),
  fstat: promisify(fs.fstat),
  lstat: promisify(fs.lstat),
  ftruncate: promisify(fs.ftruncate),
  fchmod: promisify(fs.fchmod),
  chmod: promisify(fs.chmod),
  futimes: promisify(fs.futimes),
  utimes: promisify(fs.utimes),
  lutimes: promisify(fs.lutimes),
  mkdir: promisify(fs.mkdir),
  rmdir: promisify(fs.rmdir),
  unlink: promisify(fs.unlink),
  rename: promisify(fs.rename),
  link: promisify(fs.link),
  symlink: promisify(fs.symlink),
  readlink: promisify(fs.readlink),
  statfs: promisify(fs.statfs),
  fsync: promisify(fs.fsync),
  fdatasync: promisify(fs.fdatasync),
};

type Path = fs.PathLike;

async function readPieces(path: Path, most: number): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of await fs.promises.opendir(path, { ...byBytes, bufferSize: PIECE_NAMES })) {
    if (names.push(name) > most) throw new FolderError('ENOMEM');
  }
  return names;
}

export class FileCalls {
  readonly pace = new CallPace();

  #call<T>(atOnce: () => T, afterwards: () => Promise<T>): Soon<T> {
    const start = performance.now();
    if (this.pace.isSlow(start)) return this.#wait(afterwards());
    try {
      return atOnce();
    } catch (error) {
      throw folderError(error);
    } finally {
      this.pace.took(performance.now() - start, start);
    }
  }

  async #wait<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      throw folderError(error);
    }
  }

  open(path: Path, flags: number, mode?: number): Soon<number> {
    return this.#call(
      () => fs.openSync(path, flags, mode),
      () => later.open(path, flags, mode),
    );
  }

  close(descriptor: number): void {
    if (this.pace.isSlow(performance.now())) fs.close(descriptor, () => {});
    else
      try {
        fs.closeSync(descriptor);
      } catch {
        // What could not be written is told by fsync; the descriptor is gone in any case.
      }
  }

  read(descriptor: number, into: Uint8Array, offset: number): Soon<number> {
    return this.#call(
      () => fs.readSync(descriptor, into, 0, into.length, offset),
      async () => (await later.read(descriptor, into, 0, into.length, offset)).bytesRead,
    );
  }

  write(descriptor: number, bytes: Uint8Array, offset: number): Soon<number> {
    return this.#call(
      () => fs.writeSync(descriptor, bytes, 0, bytes.length, offset),
      async () => (await later.write(descriptor, bytes, 0, bytes.length, offset)).bytesWritten,
    );
  }

  fstat(descriptor: number): Soon<fs.BigIntStats> {
    return this.#call(
      () => fs.fstatSync(descriptor, exactOpen),
      () => later.fstat(descriptor, exactOpen),
    );
  }

  /** Undefined: there is nothing. */
  lstat(path: Path): Soon<fs.BigIntStats | undefined> {
    return this.#call(
      () => fs.lstatSync(path, exact),
      async () => {
        try {
          return await later.lstat(path, exactOpen);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
          throw error;
        }
      },
    );
  }

  ftruncate(descriptor: number, size: number): Soon<void> {
    return this.#call(
      () => fs.ftruncateSync(descriptor, size),
      () => later.ftruncate(descriptor, size),
    );
  }

  fchmod(descriptor: number, mode: number): Soon<void> {
    return this.#call(
      () => fs.fchmodSync(descriptor, mode),
      () => later.fchmod(descriptor, mode),
    );
  }

  chmod(path: Path, mode: number): Soon<void> {
    return this.#call(
      () => fs.chmodSync(path, mode),
      () => later.chmod(path, mode),
    );
  }

  utimes(path: Path, atime: string, mtime: string): Soon<void> {
    return this.#call(
      () => fs.utimesSync(path, atime, mtime),
      () => later.utimes(path, atime, mtime),
    );
  }

  futimes(descriptor: number, atime: string, mtime: string): Soon<void> {
    return this.#call(
      () => fs.futimesSync(descriptor, atime, mtime),
      () => later.futimes(descriptor, atime, mtime),
    );
  }

  /** Of a symbolic link itself. */
  lutimes(path: Path, atime: string, mtime: string): Soon<void> {
    return this.#call(
      () => fs.lutimesSync(path, atime, mtime),
      () => later.lutimes(path, atime, mtime),
    );
  }

  mkdir(path: Path, mode: number): Soon<void> {
    return this.#call(
      () => void fs.mkdirSync(path, { mode }),
      async () => void (await later.mkdir(path, { mode })),
    );
  }

  rmdir(path: Path): Soon<void> {
    return this.#call(
      () => fs.rmdirSync(path),
      () => later.rmdir(path),
    );
  }

  unlink(path: Path): Soon<void> {
    return this.#call(
      () => fs.unlinkSync(path),
      () => later.unlink(path),
    );
  }

  rename(path: Path, newPath: Path): Soon<void> {
    return this.#call(
      () => fs.renameSync(path, newPath),
      () => later.rename(path, newPath),
    );
  }

  link(path: Path, newPath: Path): Soon<void> {
    return this.#call(
      () => fs.linkSync(path, newPath),
      () => later.link(path, newPath),
    );
  }

  symlink(target: Path, path: Path): Soon<void> {
    return this.#call(
      () => fs.symlinkSync(target, path),
      () => later.symlink(target, path),
    );
  }

  /** One character a byte. */
  readlink(path: Path): Soon<string> {
    return this.#call(
      () => fs.readlinkSync(path, byBytes),
      () => later.readlink(path, byBytes),
    );
  }

  /** One character a byte. `isLong`: in pieces, and on another thread in any case. ENOMEM: there are more than `most`. */
  readdir(path: Path, isLong: boolean, most: number): Soon<string[]> {
    const afterwards = (): Promise<string[]> => readPieces(path, most);
    return isLong ? this.#wait(afterwards()) : this.#call(() => fs.readdirSync(path, byBytes), afterwards);
  }

  statfs(path: Path): Soon<fs.BigIntStatsFs> {
    return this.#call(
      () => fs.statfsSync(path, exactOpen),
      () => later.statfs(path, exactOpen),
    );
  }

  /** Never at once: disks take their time. */
  fsync(descriptor: number, dataOnly: boolean): Promise<void> {
    return this.#wait(dataOnly ? later.fdatasync(descriptor) : later.fsync(descriptor));
  }
}
