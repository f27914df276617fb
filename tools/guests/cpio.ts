/** Archives that Linux takes as an initial RAM disk: the "newc" form of cpio (Documentation/driver-api/early-userspace). */

export interface Entry {
  /** Without a '/' in front. */
  readonly path: string;
  /** Type and permissions, as stat has them. */
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Of a character device. */
  readonly device?: { readonly major: number; readonly minor: number };
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

/** All owned by root, in the order given; a directory has to come before what is in it. */
export function packCpio(entries: readonly Entry[]): Buffer {
  const pieces: Uint8Array[] = [];
  const pad = (length: number): Uint8Array => new Uint8Array(-length & 3);
  const add = (inode: number, { path, mode, data = new Uint8Array(), device }: Entry): void => {
    const name = Buffer.from(`${path}\0`);
    const links = (mode & 0o170000) === 0o040000 ? 2 : 1;
    const fields = [
      ...[inode, mode, 0, 0, links, path === TRAILER ? 0 : MTIME, data.length, 0, 0],
      ...[device?.major ?? 0, device?.minor ?? 0, name.length, 0],
    ];
    const header = Buffer.from(
      MAGIC + fields.map((value) => value.toString(16).toUpperCase().padStart(8, '0')).join(''),
    );
    pieces.push(header, name, pad(header.length + name.length), data, pad(data.length));
  };
  for (const [index, entry] of entries.entries()) add(index + 1, entry);
  add(0, { path: TRAILER, mode: 0 });
  return Buffer.concat(pieces);
}
