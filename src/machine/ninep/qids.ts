import { type DeviceState, savedNumber } from '../device.ts';
import { MachineError } from '../error.ts';
import { type FileStatus, S_IFDIR, S_IFLNK, S_IFMT } from '../outside/folders.ts';
import { QID_DIRECTORY, QID_LINK, type Qid } from './protocol.ts';

const INODE_BITS = 48n;
const MAX_PREFIXES = 2 ** 16;

/** Numbers of files that are unique in a whole folder, which may span several of the host's file systems. */
export class Qids {
  /** By a file system and the upper bits of its inodes' numbers: what stands in their place. */
  readonly #prefixes = new Map<bigint, bigint>();

  save(): DeviceState {
    return Object.fromEntries([...this.#prefixes].map(([key, prefix]) => [String(key), Number(prefix)]));
  }

  /** Takes what `save` gave. @throws MachineError. */
  static restore(state: DeviceState): Qids {
    const qids = new Qids();
    for (const key of Object.keys(state)) {
      if (!/^\d{1,24}$/.test(key) || savedNumber(state, key) >= MAX_PREFIXES)
        throw new MachineError('the saved state has a file system that is none');
      qids.#prefixes.set(BigInt(key), BigInt(savedNumber(state, key)));
    }
    return qids;
  }

  path({ dev, ino }: FileStatus): bigint {
    const key = (dev << 16n) | (ino >> INODE_BITS);
    let prefix = this.#prefixes.get(key);
    if (prefix === undefined) {
      prefix = BigInt(this.#prefixes.size);
      // With so many, two files of different file systems may have one number; nobody has seen such a folder.
      if (prefix < MAX_PREFIXES) this.#prefixes.set(key, prefix);
      else prefix %= BigInt(MAX_PREFIXES);
    }
    return (prefix << INODE_BITS) | BigInt.asUintN(Number(INODE_BITS), ino);
  }

  of(status: FileStatus): Qid {
    return {
      type: qidType(Number(status.mode) & S_IFMT),
      version: Number(BigInt.asUintN(32, (status.mtimeNs >> 10n) ^ (status.size << 8n))),
      path: this.path(status),
    };
  }
}

/** A qid's type for a kind of file. */
export function qidType(kind: number): number {
  return kind === S_IFDIR ? QID_DIRECTORY : kind === S_IFLNK ? QID_LINK : 0;
}
