import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MachineError } from '../../machine/index.ts';
import { guestFolders } from '../guest-files.ts';
import { agentArchive } from './agent.ts';
import type { Architecture } from './agent-program.ts';

interface ImageEntry {
  /** The guest whose kernel and run.cpio it boots with. */
  readonly kernel: string;
  /** The guest whose initial RAM disk its files are. */
  readonly root: string;
  /** Archives are as their names end. */
  readonly archive: string;
  readonly architecture: Architecture;
  readonly memoryBytes: number;
}

const IMAGES: Readonly<Record<string, ImageEntry>> = {
  debian: {
    kernel: 'debian',
    root: 'debian',
    archive: 'initramfs.cpio.gz',
    architecture: 'ppc64le',
    memoryBytes: 2 ** 29,
  },
  'debian-tools': {
    kernel: 'debian',
    root: 'debian-tools',
    archive: 'initramfs.cpio.zst',
    architecture: 'ppc64le',
    memoryBytes: 2 ** 31,
  },
};

/** What a machine boots for a run; `read` reads its files. */
export interface Image {
  read(): { readonly kernel: Uint8Array; readonly initrd: Uint8Array };
  readonly architecture: Architecture;
  /** Guest memory that it is content with. */
  readonly memoryBytes: number;
  /** Differs where the files are others: their paths, sizes and times. */
  readonly stamp: string;
}

/** The customary image. */
export const DEFAULT_IMAGE = 'debian';

/** A file of a guest: in the folder that POWERVISOR_GUESTS names, or in the cache. */
function findFile(guest: string, name: string): string | undefined {
  return guestFolders()
    .map((folder) => join(folder, guest, name))
    .find((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
}

/** The kernel takes archives one behind the other, plain ones at multiples of four bytes. */
const padded = (archive: Uint8Array): Uint8Array[] => [archive, new Uint8Array(-archive.length & 3)];

/** @throws MachineError when there is no such image, or it has not been made. */
export function findImage(name: string): Image {
  const entry = Object.hasOwn(IMAGES, name) ? IMAGES[name] : undefined;
  if (entry === undefined)
    throw new MachineError(`there is no image '${name}'; there are: ${Object.keys(IMAGES).join(', ')}`);
  const files = [
    [entry.kernel, 'vmlinux'],
    [entry.kernel, 'run.cpio'],
    [entry.root, entry.archive],
  ] as const;
  const paths = files.map(([guest, file]) => {
    const path = findFile(guest, file);
    if (path !== undefined) return path;
    throw new MachineError(
      `the image '${name}' has not been made: in a clone of Powervisor, 'npm run guests -- ${guest}' makes it`,
    );
  });
  const stamp = paths.map((path) => {
    const { size, mtimeMs } = statSync(path);
    return [path, size, mtimeMs];
  });
  return {
    read: () => {
      const [kernel, run, root] = paths.map((path) => readFileSync(path)) as [Buffer, Buffer, Buffer];
      return { kernel, initrd: Buffer.concat([...padded(run), ...padded(agentArchive(entry.architecture)), root]) };
    },
    architecture: entry.architecture,
    memoryBytes: entry.memoryBytes,
    stamp: JSON.stringify(stamp),
  };
}
