/** Images by name: what a machine boots for a run, and what files its command finds. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MachineError } from '../../machine/index.ts';
import { codeCacheFolder } from '../code-cache.ts';
import { guestFolders } from '../guest-files.ts';
import type { Reporter } from '../packages/progress.ts';
import { agentArchive } from './agent.ts';

/** Processors, by the names that container images have for them. */
export const ARCHITECTURES = ['ppc64le'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

interface ImageEntry {
  readonly architecture: Architecture;
  /** The guest whose kernel and run.cpio it boots with. */
  readonly kernel: string;
  /** The guest whose initial RAM disk its files are. */
  readonly root: string;
  /** Archives are as their names end. */
  readonly archive: string;
  readonly memoryBytes: number;
}

const IMAGES: Readonly<Record<string, ImageEntry>> = {
  debian: {
    architecture: 'ppc64le',
    kernel: 'debian',
    root: 'debian',
    archive: 'initramfs.cpio.gz',
    memoryBytes: 2 ** 29,
  },
  'debian-tools': {
    architecture: 'ppc64le',
    kernel: 'debian',
    root: 'debian-tools',
    archive: 'initramfs.cpio.zst',
    memoryBytes: 2 ** 31,
  },
};

/** What images that say nothing of it are for, and those that are made elsewhere. */
const CUSTOMARY: Readonly<Record<Architecture, keyof typeof IMAGES>> = { ppc64le: 'debian' };

/** What a machine boots for a run; `read` reads its files. */
export interface Image {
  readonly architecture: Architecture;
  read(): { readonly kernel: Uint8Array; readonly initrd: Uint8Array };
  /** Guest memory that it is content with. */
  readonly memoryBytes: number;
  /** Differs where the files are others: their paths, sizes and times. */
  readonly stamp: string;
}

export interface ImageOptions {
  readonly architecture?: Architecture | undefined;
  /** Hears what is fetched. Default: nobody. */
  readonly report?: Reporter | undefined;
}

const SILENT: Reporter = { say: () => {}, progress: () => {} };

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

/** A file of a guest: in the folder that POWERVISOR_GUESTS names, or in the cache. */
const findFile = (guest: string, name: string): string | undefined =>
  guestFolders()
    .map((folder) => join(folder, guest, name))
    .find(isFile);

/** The kernel takes archives one behind the other, plain ones at multiples of four bytes. */
const padded = (archive: Uint8Array): Uint8Array[] => [archive, new Uint8Array(-archive.length & 3)];

/** The customary image where no clone has made it: made by this command once, of Debian's packages. */
async function ownDebian(report: Reporter): Promise<readonly string[]> {
  const folder = join(codeCacheFolder(), 'images', 'debian-ppc64el-1');
  const paths = ['vmlinux', 'run.cpio', 'initramfs.cpio'].map((name) => join(folder, name));
  if (!paths.every(isFile)) {
    report.say("making the image 'debian' of Debian's packages, once");
    const { makeDebianImage } = await import('./make-image.ts');
    await makeDebianImage(folder, report);
  }
  return paths;
}

/** Kernel, run.cpio and archive of an image that has a name of ours. */
async function filesOf(name: string, entry: ImageEntry, report: Reporter): Promise<readonly string[]> {
  const files = [
    [entry.kernel, 'vmlinux'],
    [entry.kernel, 'run.cpio'],
    [entry.root, entry.archive],
  ] as const;
  const paths = files.map(([guest, file]) => findFile(guest, file));
  if (paths.every((path) => path !== undefined)) return paths;
  if (name === 'debian') return ownDebian(report);
  throw new MachineError(
    `the image '${name}' has not been made: in a clone of Powervisor, 'npm run guests -- ${entry.root}' makes it`,
  );
}

async function ownImage(name: string, report: Reporter): Promise<Image> {
  const entry = IMAGES[name] as ImageEntry;
  const paths = await filesOf(name, entry, report);
  const stamp = paths.map((path) => {
    const { size, mtimeMs } = statSync(path);
    return [path, size, mtimeMs];
  });
  return {
    architecture: entry.architecture,
    read: () => {
      const [kernel, run, root] = paths.map((path) => readFileSync(path)) as [Buffer, Buffer, Buffer];
      return { kernel, initrd: Buffer.concat([...padded(run), ...padded(agentArchive()), root]) };
    },
    memoryBytes: entry.memoryBytes,
    stamp: JSON.stringify(stamp),
  };
}

/**
 * The image of a name, or the architecture's customary one.
 * @throws MachineError when there is no such image, or it has not been made
 */
export async function findImage(
  name: string | undefined,
  { architecture, report = SILENT }: ImageOptions = {},
): Promise<Image> {
  const own = name ?? CUSTOMARY[architecture ?? 'ppc64le'];
  if (Object.hasOwn(IMAGES, own)) {
    const entry = IMAGES[own] as ImageEntry;
    if (architecture !== undefined && entry.architecture !== architecture)
      throw new MachineError(`the image '${own}' is for ${entry.architecture}, not for ${architecture}`);
    return ownImage(own, report);
  }
  throw new MachineError(`there is no image '${own}'; there are: ${Object.keys(IMAGES).join(', ')}`);
}
