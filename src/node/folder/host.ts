/** What all handles of a folder of the host have in common: calls, rights, times. */
import * as fs from 'node:fs';
import { geteuid } from 'node:process';
import {
  type FileAccess,
  type FileChanges,
  FolderError,
  type NewTime,
  now,
  type Soon,
  type Steps,
} from '../../machine/ninep/index.ts';
import { FileCalls } from '../file-calls.ts';

const { O_APPEND, O_RDONLY, O_RDWR, O_WRONLY } = fs.constants;
/** Windows has none of these. */
export const {
  O_DIRECTORY = 0,
  O_NOFOLLOW = 0,
  O_NONBLOCK = 0,
  O_NOCTTY = 0,
} = fs.constants as Partial<typeof fs.constants>;
/** Linux's, on all processors that Node runs on; fs.constants has no name for it. */
export const O_PATH = 0o10000000;
/** Numbers that libuv takes for "now" (UV_FS_UTIME_NOW, since 1.51); Node passes strings through. */
const NOW = 'Infinity';

export const plainFlags = ({ read, write, append }: FileAccess): number =>
  (write ? (read ? O_RDWR : O_WRONLY) : O_RDONLY) | (append ? O_APPEND : 0);

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

/** A new time as Node takes it; what is not wanted stays as before. */
export const time = (wanted: NewTime | undefined, before: bigint): string =>
  wanted === undefined
    ? seconds(before)
    : wanted !== 'now'
      ? seconds(wanted)
      : knowsNow
        ? NOW
        : String(Date.now() / 1000);

/** The kind of a status for those who open regular files only. @throws FolderError EISDIR, ELOOP, ENXIO. */
export function checkRegular(status: fs.BigIntStats): void {
  if (status.isFile()) return;
  throw new FolderError(status.isDirectory() ? 'EISDIR' : status.isSymbolicLink() ? 'ELOOP' : 'ENXIO');
}

/** What an owner needs of a file, and of a directory. */
export const OWNER_FILE = 0o600;
export const OWNER_DIRECTORY = 0o700;

/** What all handles of a folder have. */
export class Host {
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
