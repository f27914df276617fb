import { type DeviceState, savedNumber, savedPart } from '../device.ts';
import { MachineError } from '../error.ts';
import { type FileStatus, FolderError, S_IFMT, S_IFREG } from '../outside/folders.ts';

/** setuid, setgid and sticky. */
const SPECIAL = 0o7000;
/** About 30 MB of the host's memory. */
const MAX_FILES = 2 ** 18;

/** What a guest is shown of a file's owner and kind. */
export interface Shown {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: bigint;
}

/** What a guest has given a file that its host does not know of. */
interface Given {
  uid: number | undefined;
  gid: number | undefined;
  special: number;
  /** Of a file made by mknod: its kind, and the device; 0: as the host has it. */
  kind: number;
  rdev: bigint;
  /** When the host's file was made: numbers of files are used again. */
  readonly born: bigint;
}

/**
 * Owners, special mode bits and device nodes as the guest wants them, beside the host's files, which stay their user's own and
 * plain (as fakeroot does it): root in the guest can chown, install setuid programs and make devices. Who made a file on the
 * host is root in the guest, and the other way round. It is kept in memory, for as long as the share is.
 */
export class Ownership {
  readonly #owner: { readonly uid: number; readonly gid: number };
  /** By the path of a file's qid. */
  readonly #given = new Map<bigint, Given>();

  constructor(owner: { readonly uid: number; readonly gid: number }) {
    this.#owner = owner;
  }

  show(path: bigint, status: FileStatus): Shown {
    const given = this.#given.size > 0 ? this.#find(path, status) : undefined;
    const { uid, gid } = this.#owner;
    const mode = Number(status.mode);
    return {
      mode: given ? (given.kind || mode & S_IFMT) | (mode & 0o777) | given.special : mode,
      uid: given?.uid ?? (Number(status.uid) === uid ? 0 : Number(status.uid)),
      gid: given?.gid ?? (Number(status.gid) === gid ? 0 : Number(status.gid)),
      rdev: given?.kind ? given.rdev : status.rdev,
    };
  }

  #find(path: bigint, { birthtimeNs, mode }: FileStatus): Given | undefined {
    const given = this.#given.get(path);
    if (given === undefined) return undefined;
    if (given.born === birthtimeNs && (given.kind === 0 || (Number(mode) & S_IFMT) === S_IFREG)) return given;
    this.#given.delete(path);
    return undefined;
  }

  /** @throws FolderError ENOSPC when there are too many. */
  #make(path: bigint, status: FileStatus): Given {
    const known = this.#find(path, status);
    if (known) return known;
    if (this.#given.size >= MAX_FILES) throw new FolderError('ENOSPC');
    // The host's own special bits, if it has any, are the guest's from now on.
    const special = Number(status.mode) & SPECIAL;
    const given = { uid: undefined, gid: undefined, special, kind: 0, rdev: 0n, born: status.birthtimeNs };
    this.#given.set(path, given);
    return given;
  }

  /** A user of the guest has made this file. */
  created(path: bigint, status: FileStatus, uid: number, gid: number, mode: number): void {
    this.#given.delete(path);
    this.chown(path, status, uid, gid);
    this.chmod(path, status, mode);
  }

  chown(path: bigint, status: FileStatus, uid: number | undefined, gid: number | undefined): void {
    const shown = this.show(path, status);
    if ((uid ?? shown.uid) === shown.uid && (gid ?? shown.gid) === shown.gid) return;
    const given = this.#make(path, status);
    given.uid = uid ?? given.uid;
    given.gid = gid ?? given.gid;
  }

  /** The special bits of a new mode; the others are the host's. */
  chmod(path: bigint, status: FileStatus, mode: number): void {
    if ((this.show(path, status).mode & SPECIAL) !== (mode & SPECIAL))
      this.#make(path, status).special = mode & SPECIAL;
  }

  /** An empty file stands for a device, a pipe or a socket. */
  mknod(path: bigint, status: FileStatus, kind: number, rdev: bigint): void {
    const given = this.#make(path, status);
    given.kind = kind;
    given.rdev = rdev;
  }

  /** Somebody without rights over it has written to a file: what it runs as is not to be believed any more. */
  written(path: bigint): void {
    const given = this.#given.size > 0 ? this.#given.get(path) : undefined;
    if (given) given.special &= ~0o6000;
  }

  /** The last name and the last user of a file are gone. */
  forget(path: bigint): void {
    this.#given.delete(path);
  }

  save(): DeviceState {
    const state: Record<string, DeviceState> = {};
    for (const [path, { uid, gid, special, kind, rdev, born }] of this.#given) {
      state[String(path)] = {
        ...(uid !== undefined && { uid }),
        ...(gid !== undefined && { gid }),
        special,
        kind,
        rdev: Number(rdev),
        born: String(born),
      };
    }
    return state;
  }

  /** Takes what `save` gave. @throws MachineError. */
  static restore(owner: { readonly uid: number; readonly gid: number }, state: DeviceState): Ownership {
    const ownership = new Ownership(owner);
    const paths = Object.keys(state);
    if (paths.length > MAX_FILES) throw new MachineError('the saved state has the owners of too many files');
    for (const path of paths) {
      const part = savedPart(state, path);
      const born: unknown = part['born'];
      if (!/^\d{1,20}$/.test(path) || typeof born !== 'string' || !/^-?\d{1,20}$/.test(born))
        throw new MachineError('the saved state has the owner of no file');
      const number = (name: string): number | undefined =>
        Object.hasOwn(part, name) ? savedNumber(part, name) : undefined;
      ownership.#given.set(BigInt(path), {
        uid: number('uid'),
        gid: number('gid'),
        special: savedNumber(part, 'special') & SPECIAL,
        kind: savedNumber(part, 'kind') & S_IFMT,
        rdev: BigInt(savedNumber(part, 'rdev')),
        born: BigInt(born),
      });
    }
    return ownership;
  }

  get isEmpty(): boolean {
    return this.#given.size === 0;
  }
}
