import { existsSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, resolve, sep } from 'node:path';
import {
  type BackingName,
  type BlockStore,
  DISK_FORMATS,
  type DiskFormat,
  MachineError,
  openDisk,
  openOverlay,
} from '../../machine/index.ts';
import { nodeCodecs } from './codecs.ts';
import { FileStore } from './file-store.ts';

/** Images above each other; more are a ring. */
const MAX_CHAIN = 32;

export interface DiskFileOptions {
  /** Default: what the file's name ends with, `.raw` or `.qcow2`, else raw; never what its contents look like. */
  readonly format?: DiskFormat | undefined;
  readonly readOnly?: boolean | undefined;
  /** What the guest writes goes into a temporary file, and is thrown away with it. */
  readonly snapshot?: boolean | undefined;
  /** The image's backing file, in place of the one that it names. */
  readonly backing?: string | undefined;
  /** The backing file's format, in place of the one that the image names. */
  readonly backingFormat?: DiskFormat | undefined;
  /** Default: true. False: other programs may have the files open, too. */
  readonly lock?: boolean | undefined;
}

/**
 * Opens the image of a disk. The backing file that an image names is opened only if it lies in the image's own folder, or
 * in a folder of that: an image may come from anywhere, and must not show its guest the host's other files.
 * @throws MachineError with one line for what cannot be used.
 */
export async function openDiskFile(path: string, options: DiskFileOptions = {}): Promise<BlockStore> {
  if (!options.snapshot) return openInChain(path, options, 1);
  const base = await openInChain(path, { ...options, readOnly: true }, 1);
  try {
    return await openOverlay(FileStore.temporary(temporaryFolder(), path), base, nodeCodecs);
  } catch (error) {
    await base.close();
    throw error;
  }
}

/** Where large files that do not stay belong: a `/tmp` may be memory. */
function temporaryFolder(): string {
  return process.env.TMPDIR || (existsSync('/var/tmp') ? '/var/tmp' : tmpdir());
}

async function openInChain(path: string, options: DiskFileOptions, depth: number): Promise<BlockStore> {
  if (depth > MAX_CHAIN) throw new MachineError(`more than ${MAX_CHAIN} images are above '${path}': they are a ring`);
  const { format, readOnly, lock, backing, backingFormat } = options;
  const openBacking = (named: BackingName): Promise<BlockStore> => {
    const file = backing ?? besides(path, named.name);
    const used = backingFormat ?? knownFormat(path, named.format);
    return openInChain(file, { format: used, readOnly: true, lock }, depth + 1);
  };
  return openDisk(FileStore.open(path, { readOnly, lock }), { format, codecs: nodeCodecs, openBacking });
}

function knownFormat(path: string, name: string | undefined): DiskFormat | undefined {
  const known = DISK_FORMATS.find((one) => one === name);
  if (name !== undefined && known === undefined)
    throw new MachineError(
      `the backing file of '${path}' has the format '${name}'; ${DISK_FORMATS.join(' and ')} are read`,
    );
  return known;
}

/** The file that an image names as its backing file. */
function besides(path: string, name: string): string {
  const refuse = (problem: string): MachineError =>
    new MachineError(`the disk image '${path}' has the backing file '${name}', ${problem}; backing=FILE names it`);
  // QEMU takes "nbd:…" and "json:…" there, which lead anywhere.
  if (/^[a-z0-9+.-]+:/i.test(name)) throw refuse('which is no file');
  const folder = dirname(realpathSync(path));
  let file: string;
  try {
    file = realpathSync(resolve(folder, name));
  } catch {
    throw refuse('which is not there');
  }
  if (!file.startsWith(folder.endsWith(sep) ? folder : folder + sep))
    throw refuse("which is outside of the image's folder");
  return file;
}
