import { crc32 } from '../../src/machine/loaders/crc32.ts';

/** Makes a uImage with right check sums. Fields as in U-Boot's image header. */
export function makeUImage(
  data: Uint8Array,
  fields: { load?: number; entry?: number; os?: number; arch?: number; type?: number; compression?: number } = {},
): Uint8Array {
  const image = new Uint8Array(64 + data.length);
  const view = new DataView(image.buffer);
  view.setUint32(0, 0x27051956);
  view.setUint32(12, data.length);
  view.setUint32(16, fields.load ?? 0);
  view.setUint32(20, fields.entry ?? fields.load ?? 0);
  view.setUint32(24, crc32(data));
  image.set([fields.os ?? 5, fields.arch ?? 7, fields.type ?? 2, fields.compression ?? 0], 28);
  view.setUint32(4, crc32(image.subarray(0, 64)));
  image.set(data, 64);
  return image;
}

export interface ElfSegment {
  type?: number;
  virtual: number;
  physical: number;
  bytes: Uint8Array;
  memory?: number;
}

/** Makes a 32-bit big-endian PowerPC executable; `patch` may spoil the header. */
export function makeElf(segments: readonly ElfSegment[], entry: number, patch?: (view: DataView) => void): Uint8Array {
  let offset = 52 + segments.length * 32;
  const file = new Uint8Array(offset + segments.reduce((sum, one) => sum + one.bytes.length, 0));
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 2, 1]);
  view.setUint16(16, 2);
  view.setUint16(18, 20);
  view.setUint32(20, 1);
  view.setUint32(24, entry);
  view.setUint32(28, 52);
  view.setUint16(40, 52);
  view.setUint16(42, 32);
  view.setUint16(44, segments.length);
  segments.forEach(({ type = 1, virtual, physical, bytes, memory = bytes.length }, i) => {
    [type, offset, virtual, physical, bytes.length, memory, 7, 4].forEach((value, word) => {
      view.setUint32(52 + i * 32 + word * 4, value);
    });
    file.set(bytes, offset);
    offset += bytes.length;
  });
  patch?.(view);
  return file;
}

export interface Elf64Segment {
  type?: number;
  virtual: bigint;
  physical: bigint;
  bytes: Uint8Array;
  memory?: number;
}

/** Makes a 64-bit PowerPC executable; `patch` may spoil the header. */
export function makeElf64(
  segments: readonly Elf64Segment[],
  entry: bigint,
  littleEndian = false,
  patch?: (view: DataView) => void,
): Uint8Array {
  let offset = 64 + segments.length * 56;
  const file = new Uint8Array(offset + segments.reduce((sum, one) => sum + one.bytes.length, 0));
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, littleEndian ? 1 : 2, 1]);
  view.setUint16(16, 2, littleEndian);
  view.setUint16(18, 21, littleEndian);
  view.setUint32(20, 1, littleEndian);
  view.setBigUint64(24, entry, littleEndian);
  view.setBigUint64(32, 64n, littleEndian);
  view.setUint16(52, 64, littleEndian);
  view.setUint16(54, 56, littleEndian);
  view.setUint16(56, segments.length, littleEndian);
  segments.forEach(({ type = 1, virtual, physical, bytes, memory = bytes.length }, i) => {
    const at = 64 + i * 56;
    view.setUint32(at, type, littleEndian);
    view.setUint32(at + 4, 7, littleEndian);
    [BigInt(offset), virtual, physical, BigInt(bytes.length), BigInt(memory), 4n].forEach((value, field) => {
      view.setBigUint64(at + 8 + field * 8, value, littleEndian);
    });
    file.set(bytes, offset);
    offset += bytes.length;
  });
  patch?.(view);
  return file;
}

/** Adds sections to an executable; their names are in one more. */
export function addSections(
  executable: Uint8Array,
  sections: readonly { name: string; address: bigint; bytes: Uint8Array }[],
): Uint8Array {
  const wide = executable[4] === 2;
  const littleEndian = executable[5] === 1;
  const layout = wide
    ? { shoff: 40, shentsize: 58, bytes: 64, addr: 16, offset: 24, size: 32 }
    : { shoff: 32, shentsize: 46, bytes: 40, addr: 12, offset: 16, size: 20 };
  const names = new TextEncoder().encode(['', ...sections.map(({ name }) => name), '.shstrtab', ''].join('\0'));
  const all = [...sections, { name: '.shstrtab', address: 0n, bytes: names }];
  let offset = executable.length;
  const headers = offset + all.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const file = new Uint8Array(headers + all.length * layout.bytes);
  file.set(executable);
  const view = new DataView(file.buffer);
  const set = (at: number, value: bigint): void =>
    wide ? view.setBigUint64(at, value, littleEndian) : view.setUint32(at, Number(value), littleEndian);
  set(layout.shoff, BigInt(headers));
  [layout.bytes, all.length, all.length - 1].forEach((value, i) => {
    view.setUint16(layout.shentsize + 2 * i, value, littleEndian);
  });
  let nameAt = 1;
  all.forEach(({ name, address, bytes }, i) => {
    const at = headers + i * layout.bytes;
    view.setUint32(at, nameAt, littleEndian);
    set(at + layout.addr, address);
    set(at + layout.offset, BigInt(offset));
    set(at + layout.size, BigInt(bytes.length));
    file.set(bytes, offset);
    offset += bytes.length;
    nameAt += name.length + 1;
  });
  return file;
}
