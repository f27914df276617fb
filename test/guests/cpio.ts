export interface ReadEntry {
  readonly mode: number;
  readonly inode: number;
  readonly links: number;
  readonly device: readonly [number, number];
  readonly data: Buffer;
}

/** What an archive in cpio's "newc" form holds, by path. */
export function readCpio(archive: Buffer): Map<string, ReadEntry> {
  const entries = new Map<string, ReadEntry>();
  for (let at = 0; ; ) {
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const end = at + 110 + field(11);
    const name = archive.toString('latin1', at + 110, end - 1);
    if (name === 'TRAILER!!!') return entries;
    const begin = (end + 3) & ~3;
    entries.set(name, {
      mode: field(1),
      inode: field(0),
      links: field(4),
      device: [field(9), field(10)],
      data: archive.subarray(begin, begin + field(6)),
    });
    at = (begin + field(6) + 3) & ~3;
  }
}
