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
  type FileStatus,
  type Folder,
  type FolderDirectory,
  type FolderRoom,
  NinePServer,
  type Soon,
} from '../machine/ninep/index.ts';
import { NodeDirectory } from './folder/directory.ts';
import { Host, O_DIRECTORY, O_PATH } from './folder/host.ts';

/** Numbers of Linux's file systems (statfs(2)) that wait for somebody else: NFS, SMB, CIFS, Ceph, AFS, 9P, FUSE. */
const NETWORK_FILE_SYSTEMS = new Set([
  0x6969, 0x517b, 0xfe534d42, 0xff534d42, 0x00c36400, 0x5346414f, 0x01021997, 0x65735546,
]);

const MAX_HANDLES = 2 ** 16;
const CUSTOMARY_HANDLES = 512;

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
