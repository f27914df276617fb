/** Archives that Linux takes as an initial RAM disk: the "newc" form of cpio (Documentation/driver-api/early-userspace). */

export interface Entry {
  /** Without a '/' in front. */
  readonly path: string;
  /** Type and permissions, as stat has them. */
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Of a character device. */
  readonly device?: { readonly major: number; readonly minor: number };
  /** Of a file with more names than one: the same object in the entries of all of them, of which the first has the data. */
  readonly names?: { readonly count: number };
}

const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';
/** Every entry is as old as this, so that what is packed twice is the same. */
const MTIME = 1767225600;

export const directory = (path: string, mode = 0o755): Entry => ({ path, mode: 0o040000 | mode });
export const file = (path: string, data: Uint8Array, mode = 0o644): Entry => ({ path, mode: 0o100000 | mode, data });
export const link = (path: string, target: string): Entry => ({ path, mode: 0o120777, data: Buffer.from(target) });
export const characterDevice = (path: string, major: number, minor: number, mode: number): Entry => ({
  path,
  mode: 0o020000 | mode,
  device: { major, minor },
});

/** Packs one entry after another, all owned by root; a directory has to come before what is in it. */
export class CpioPacker {
  #last = 0;
  readonly #inodes = new Map<NonNullable<Entry['names']>, number>();

  add(entry: Entry): Uint8Array[] {
    const known = entry.names && this.#inodes.get(entry.names);
    const inode = known ?? ++this.#last;
    if (entry.names) this.#inodes.set(entry.names, inode);
    const links = entry.names?.count ?? ((entry.mode & 0o170000) === 0o040000 ? 2 : 1);
    return this.#pack(inode, links, MTIME, entry);
  }

  /** What ends the archive. */
  end(): Uint8Array[] {
    return this.#pack(0, 1, 0, { path: TRAILER, mode: 0 });
  }

  #pack(inode: number, links: number, mtime: number, entry: Entry): Uint8Array[] {
    const { path, mode, data = new Uint8Array(), device } = entry;
    const name = Buffer.from(`${path}\0`);
    const fields = [
      ...[inode, mode, 0, 0, links, mtime, data.length, 0, 0],
      ...[device?.major ?? 0, device?.minor ?? 0, name.length, 0],
    ];
    const header = Buffer.from(
      MAGIC + fields.map((value) => value.toString(16).toUpperCase().padStart(8, '0')).join(''),
    );
    const pad = (length: number): Uint8Array => new Uint8Array(-length & 3);
    return [header, name, pad(header.length + name.length), data, pad(data.length)];
  }
}

/** A whole archive, of entries in the order given. */
export function packCpio(entries: readonly Entry[]): Buffer {
  const packer = new CpioPacker();
  return Buffer.concat([...entries.flatMap((entry) => packer.add(entry)), ...packer.end()]);
}
