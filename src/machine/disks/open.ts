import { MachineError } from '../error.ts';
import type { BlockStore, ByteStore } from '../outside/blocks.ts';
import { builtInCodecs, type DiskCodecs } from './codecs.ts';
import { createQcow2 } from './qcow2/create.ts';
import { Qcow2Disk } from './qcow2/disk.ts';
import { type BackingName, isQcow2, readHeader } from './qcow2/header.ts';
import { RawDisk } from './raw.ts';

export const DISK_FORMATS = ['raw', 'qcow2'] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

export interface OpenDiskOptions {
  /** Default: what the file's name ends with, `.raw` or `.qcow2`, else raw. */
  readonly format?: DiskFormat | undefined;
  readonly readOnly?: boolean | undefined;
  /** Default: what there is without the outside's help, which is deflate. */
  readonly codecs?: DiskCodecs | undefined;
  /** Opens the file that the image shows where it has nothing, if it may be opened. Absent: no file may. */
  readonly openBacking?: ((backing: BackingName) => Promise<BlockStore>) | undefined;
}

/**
 * The format of a file whose contents may be its guest's: they never decide. A guest could write a header of qcow2 into its
 * raw disk, and name as its backing file whatever it would like to read the next time.
 * @throws MachineError when nobody named the format, and it looks like another than raw.
 */
export async function diskFormat(store: ByteStore, format?: DiskFormat): Promise<DiskFormat> {
  if (format) return format;
  const ending = DISK_FORMATS.find((one) => store.name.toLowerCase().endsWith(`.${one}`));
  if (ending) return ending;
  const start = new Uint8Array(4);
  if ((await store.read(0, start)) === start.length && isQcow2(start))
    throw new MachineError(
      `the disk image '${store.name}' looks like qcow2: format=qcow2 or format=raw says what it is`,
    );
  return 'raw';
}

/**
 * Opens a disk, which has the store from then on: closed with it, or at once when it cannot be opened.
 * @throws MachineError with one line for an image that cannot be used.
 */
export async function openDisk(store: ByteStore, options: OpenDiskOptions = {}): Promise<BlockStore> {
  const { readOnly = store.readOnly, codecs = builtInCodecs, openBacking } = options;
  let backing: BlockStore | undefined;
  try {
    if ((await diskFormat(store, options.format)) === 'raw') return await RawDisk.open(store, readOnly);
    const header = await readHeader(store);
    if (header.backing) {
      if (!openBacking)
        throw new MachineError(
          `the disk image '${store.name}' has the backing file '${header.backing.name}', which is not here`,
        );
      backing = await openBacking(header.backing);
    }
    return await Qcow2Disk.open({ store, header, codecs, backing, readOnly });
  } catch (error) {
    await backing?.close();
    await store.close();
    throw error;
  }
}

/** A disk that shows `base` until it is written: what is written goes into the empty file `store`. It has both from then on. */
export async function openOverlay(store: ByteStore, base: BlockStore, codecs: DiskCodecs): Promise<BlockStore> {
  try {
    await createQcow2(store, base.size);
    const header = await readHeader(store);
    return await Qcow2Disk.open({ store, header, codecs, backing: base, readOnly: false });
  } catch (error) {
    await store.close();
    throw error;
  }
}
