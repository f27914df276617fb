/** Images by name: what a machine boots for a run, and what files its command finds. */
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MachineError, type NinePServer } from '../../machine/index.ts';
import { codeCacheFolder } from '../code-cache.ts';
import { shareFolder } from '../folder.ts';
import { guestFolders } from '../guest-files.ts';
import type { ImageConfig } from '../images/oci.ts';
import type { Reporter } from '../packages/progress.ts';
import { agentArchive } from './agent.ts';
import type { Architecture } from './agent-program.ts';

/** Of the command's programs, by the names that container images have for them; `ppc`: 32-bit ones on the kernel of `ppc64`. */
export const PROGRAM_ARCHITECTURES = ['ppc64le', 'ppc64', 'ppc'] as const;
export type ProgramArchitecture = (typeof PROGRAM_ARCHITECTURES)[number];

interface ImageEntry {
  readonly architecture: ProgramArchitecture;
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
  ppc64: {
    architecture: 'ppc64',
    kernel: 'ppc64',
    root: 'ppc64',
    archive: 'initramfs.cpio.gz',
    memoryBytes: 2 ** 28,
  },
  ppc: {
    architecture: 'ppc',
    kernel: 'ppc64',
    root: 'ppc64',
    archive: 'initramfs-32.cpio.gz',
    memoryBytes: 2 ** 28,
  },
};

/** What images that say nothing of it are for, and those that are made elsewhere. */
const CUSTOMARY: Readonly<Record<ProgramArchitecture, keyof typeof IMAGES>> = {
  ppc64le: 'debian',
  ppc64: 'ppc64',
  ppc: 'ppc',
};

/** What a machine boots for a run; `read` reads its files. */
export interface Image {
  /** The kernel's. */
  readonly architecture: Architecture;
  /** Its programs are of 32 bits. */
  readonly is32Bit: boolean;
  read(): { readonly kernel: Uint8Array; readonly initrd: Uint8Array };
  /** Guest memory that it is content with. */
  readonly memoryBytes: number;
  /** Differs where the files are others: their paths, sizes and times. */
  readonly stamp: string;
  /** Files that are in the place of the initial RAM disk's. */
  readonly root?: ImageRoot | undefined;
}

/** A root file system that is a share. */
export interface ImageRoot {
  readonly config: ImageConfig;
  /** For one run. @throws MachineError */
  open(): Promise<NinePServer>;
  /** A file's text; undefined where it is not there. */
  read(path: string): Promise<string | undefined>;
}

export interface ImageOptions {
  readonly architecture?: ProgramArchitecture | undefined;
  /** Ask again for what a tag stands for. */
  readonly refresh?: boolean | undefined;
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
  const architecture = entry.architecture === 'ppc64le' ? 'ppc64le' : 'ppc64';
  return {
    architecture,
    is32Bit: entry.architecture === 'ppc',
    read: () => {
      const [kernel, run, root] = paths.map((path) => readFileSync(path)) as [Buffer, Buffer, Buffer];
      return { kernel, initrd: Buffer.concat([...padded(run), ...padded(agentArchive(architecture)), root]) };
    },
    memoryBytes: entry.memoryBytes,
    stamp: JSON.stringify(stamp),
  };
}

/** Files of a container image, or of a folder, for the kernel of the customary image. */
async function containerRoot(name: string, architecture: ProgramArchitecture, refresh: boolean): Promise<ImageRoot> {
  const isPath = /^[./~]/.test(name);
  const {
    fetchImage,
    imageOfArchive,
    imageOfLayout,
    isLayout,
    PLAIN_CONFIG,
    parseReference,
    readFromLayers,
    shareLayers,
  } = await import('../images/index.ts');
  const status = isPath ? statSync(name, { throwIfNoEntry: false }) : undefined;
  if (isPath && status === undefined) throw new MachineError(`there is no image '${name}': no such file or folder`);
  if (status?.isDirectory() && !isLayout(name)) {
    const folder = resolve(name);
    const path = (one: string): string => join(folder, one);
    return {
      config: PLAIN_CONFIG,
      open: async () => shareFolder(folder),
      read: async (one) => (isFile(path(one)) ? readFileSync(path(one), 'utf8') : undefined),
    };
  }
  const contents = status?.isDirectory()
    ? await imageOfLayout(resolve(name), architecture)
    : status
      ? await imageOfArchive(resolve(name), architecture)
      : await fetchImage(parseReference(name), architecture, { refresh });
  const { layers, config } = contents;
  return { config, open: async () => shareLayers(name, layers), read: (path) => readFromLayers(name, layers, path) };
}

/**
 * The image of a name of ours, of a path (a folder or an archive), or of a reference to a registry; the architecture's customary one
 * where none is named.
 * @throws MachineError when there is no such image, or it has not been made
 */
export async function findImage(
  name: string | undefined,
  { architecture, refresh = false, report = SILENT }: ImageOptions = {},
): Promise<Image> {
  const own = name ?? CUSTOMARY[architecture ?? 'ppc64le'];
  if (Object.hasOwn(IMAGES, own)) {
    const entry = IMAGES[own] as ImageEntry;
    if (architecture !== undefined && entry.architecture !== architecture)
      throw new MachineError(`the image '${own}' is for ${entry.architecture}, not for ${architecture}`);
    return ownImage(own, report);
  }
  if (!/[./:]/.test(own))
    throw new MachineError(
      `there is no image '${own}'; there are: ${Object.keys(IMAGES).join(', ')}, folders and archives by path, and HOST/NAME:TAG of a registry`,
    );
  const wanted = architecture ?? 'ppc64le';
  const root = await containerRoot(own, wanted, refresh);
  return { ...(await ownImage(CUSTOMARY[wanted], report)), root };
}
