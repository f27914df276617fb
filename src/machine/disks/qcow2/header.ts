/** The header of a qcow2 image, versions 2 and 3 (QEMU's docs/interop/qcow2). All numbers are big-endian. */
import { MachineError } from '../../error.ts';
import type { ByteStore } from '../../outside/blocks.ts';
import { MAX_DISK_BYTES, SECTOR_BYTES } from '../sectors.ts';
import { readNumber64, viewOf, writeNumber64 } from './words.ts';

const MAGIC = 0x514649fb;
const V2_HEADER_BYTES = 72;
/** What images of ours have: up to the compression type, padded. */
export const V3_HEADER_BYTES = 112;
const SHORTEST_V3_HEADER_BYTES = 104;
const MAX_NAME_BYTES = 1023;
const MIN_CLUSTER_BITS = 9;
const MAX_CLUSTER_BITS = 21;
/** The most that QEMU takes, too. */
const MAX_L1_BYTES = 32 * 2 ** 20;
const MAX_REFCOUNT_TABLE_BYTES = 8 * 2 ** 20;
const MAX_SNAPSHOTS = 65_536;

/** Where fields are that change in place. */
export const FIELD = {
  refcountTableOffset: 48,
  refcountTableClusters: 56,
  incompatible: 72,
  autoclear: 88,
} as const;

/** Features that a reader must know. */
export const INCOMPATIBLE = { dirty: 1, corrupt: 2, dataFile: 4, compression: 8, extendedL2: 16 } as const;
const KNOWN_INCOMPATIBLE = INCOMPATIBLE.dirty | INCOMPATIBLE.corrupt | INCOMPATIBLE.compression;
export const LAZY_REFCOUNTS = 1;

const EXTENSION = { end: 0, backingFormat: 0xe2792aca } as const;

export type Compression = 'zlib' | 'zstd';

export interface Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  /** Bytes of the disk. */
  readonly size: number;
  /** Entries. */
  readonly l1Size: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  readonly snapshots: number;
  readonly snapshotsOffset: number;
  readonly isDirty: boolean;
  readonly isCorrupt: boolean;
  readonly lazyRefcounts: boolean;
  /** Some of the bits are set that a writer who does not know them clears. */
  readonly hasAutoclear: boolean;
  readonly refcountBits: number;
  readonly compression: Compression;
  readonly backing: BackingName | undefined;
}

/** The image that shows where this one has nothing, as the header names it. */
export interface BackingName {
  readonly name: string;
  /** As it was recorded; undefined: it was not. */
  readonly format: string | undefined;
}

/** Whether a file begins as qcow2 images do, of whatever version. */
export function isQcow2(start: Uint8Array): boolean {
  return start.length >= 4 && viewOf(start).getUint32(0) === MAGIC;
}

const incompatibleName: Readonly<Record<number, string>> = {
  [INCOMPATIBLE.dataFile]: 'an external data file',
  [INCOMPATIBLE.extendedL2]: 'extended L2 entries',
};

/** @throws MachineError when it is no image, a damaged one, or one that asks for something that is not here. */
export async function readHeader(store: ByteStore): Promise<Header> {
  const refuse = (problem: string): MachineError => new MachineError(`the disk image '${store.name}' ${problem}`);
  const damaged = (problem: string): MachineError => refuse(`is damaged: ${problem}`);
  const fileSize = await store.size();
  const bytes = new Uint8Array(Math.min(fileSize, 2 ** MAX_CLUSTER_BITS));
  const length = await store.read(0, bytes.subarray(0, Math.min(bytes.length, 4096)));
  const view = viewOf(bytes);
  if (length < V2_HEADER_BYTES || !isQcow2(bytes)) throw refuse('is no qcow2 image');
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) throw refuse(`has version ${version} of qcow2; 2 and 3 are read`);
  if (version === 3 && length < SHORTEST_V3_HEADER_BYTES) throw damaged('its header is cut short');
  const clusterBits = view.getUint32(20);
  if (clusterBits < MIN_CLUSTER_BITS || clusterBits > MAX_CLUSTER_BITS)
    throw damaged(`its clusters have 2^${clusterBits} bytes; 2^9 to 2^21 are possible`);
  const clusterBytes = 2 ** clusterBits;
  if (view.getUint32(32) !== 0) throw refuse('is encrypted, which is not read here');

  const headerBytes = version === 3 ? view.getUint32(100) : V2_HEADER_BYTES;
  if (headerBytes < (version === 3 ? SHORTEST_V3_HEADER_BYTES : V2_HEADER_BYTES) || headerBytes > clusterBytes)
    throw damaged(`its header has ${headerBytes} bytes`);
  const incompatible = version === 3 ? readNumber64(view, FIELD.incompatible) : 0;
  const unknown = version === 3 ? [...unknownBits(view)] : [];
  if (unknown.length > 0)
    throw refuse(
      `needs ${unknown.map((bit) => incompatibleName[2 ** bit] ?? `the unknown feature ${bit}`).join(' and ')}, which is not here`,
    );
  const refcountOrder = version === 3 ? view.getUint32(96) : 4;
  if (refcountOrder > 6) throw damaged(`its reference counts have 2^${refcountOrder} bits; up to 2^6 are possible`);
  const compression = headerBytes > SHORTEST_V3_HEADER_BYTES ? (bytes[104] ?? 0) : 0;
  if (compression > 1) throw refuse(`is compressed by the unknown method ${compression}`);
  if (compression !== 0 && (incompatible & INCOMPATIBLE.compression) === 0)
    throw damaged('its compression is not among its features');

  const size = readNumber64(view, 24);
  if (size > MAX_DISK_BYTES) throw damaged(`its disk has ${size} bytes`);
  const inFile = (offset: number, bytes: number, what: string): void => {
    if (offset % clusterBytes !== 0 || offset === 0 || offset + bytes > fileSize)
      throw damaged(`its ${what} is at ${offset}, where it cannot be`);
  };
  const l1Size = view.getUint32(36);
  const l1Offset = readNumber64(view, 40);
  const needed = Math.ceil(size / (clusterBytes * (clusterBytes / 8)));
  if (l1Size < needed || l1Size * 8 > MAX_L1_BYTES)
    throw damaged(`its L1 table has ${l1Size} entries, where its size takes ${needed}`);
  if (l1Size > 0) inFile(l1Offset, l1Size * 8, 'L1 table');
  const refcountTableOffset = readNumber64(view, FIELD.refcountTableOffset);
  const refcountTableClusters = view.getUint32(FIELD.refcountTableClusters);
  if (refcountTableClusters === 0 || refcountTableClusters * clusterBytes > MAX_REFCOUNT_TABLE_BYTES)
    throw damaged(`its refcount table has ${refcountTableClusters} clusters`);
  inFile(refcountTableOffset, 0, 'refcount table');
  const snapshots = view.getUint32(60);
  const snapshotsOffset = readNumber64(view, 64);
  if (snapshots > MAX_SNAPSHOTS) throw damaged(`it has ${snapshots} snapshots`);
  if (snapshots > 0) inFile(snapshotsOffset, 0, 'list of snapshots');

  const nameOffset = readNumber64(view, 8);
  const nameBytes = view.getUint32(16);
  // Names and extensions lie within the first cluster.
  const firstBytes = Math.min(fileSize, clusterBytes);
  if (firstBytes > length) await store.read(length, bytes.subarray(length, firstBytes));
  const first = bytes.subarray(0, firstBytes);
  let backing: BackingName | undefined;
  if (nameOffset !== 0) {
    if (
      nameBytes === 0 ||
      nameBytes > MAX_NAME_BYTES ||
      nameOffset < headerBytes ||
      nameOffset + nameBytes > firstBytes
    )
      throw damaged('the name of its backing file is where it cannot be');
    const name = new TextDecoder().decode(first.slice(nameOffset, nameOffset + nameBytes));
    backing = { name, format: backingFormat(first, headerBytes, nameOffset) };
  }
  return {
    version,
    clusterBits,
    // Part of a sector is none.
    size: Math.ceil(size / SECTOR_BYTES) * SECTOR_BYTES,
    l1Size,
    l1Offset,
    refcountTableOffset,
    refcountTableClusters,
    snapshots,
    snapshotsOffset,
    isDirty: (incompatible & INCOMPATIBLE.dirty) !== 0,
    isCorrupt: (incompatible & INCOMPATIBLE.corrupt) !== 0,
    lazyRefcounts: version === 3 && (view.getUint32(84) & LAZY_REFCOUNTS) !== 0,
    hasAutoclear: version === 3 && readNumber64(view, FIELD.autoclear) !== 0,
    refcountBits: 2 ** refcountOrder,
    compression: compression === 1 ? 'zstd' : 'zlib',
    backing,
  };
}

/** The numbers of the features that are needed and not known. */
function* unknownBits(view: DataView): Generator<number> {
  for (let bit = 0; bit < 64; bit++) {
    const word = view.getUint32(FIELD.incompatible + (bit < 32 ? 4 : 0));
    const isKnown = bit < 32 && (KNOWN_INCOMPATIBLE & (1 << bit)) !== 0;
    if (((word >>> (bit % 32)) & 1) !== 0 && !isKnown) yield bit;
  }
}

/** The backing file's format out of the header's extensions: a list of type, length and data, padded to 8 bytes. */
function backingFormat(first: Uint8Array, from: number, to: number): string | undefined {
  const view = viewOf(first);
  for (let at = from; at + 8 <= to; ) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (type === EXTENSION.end || at + 8 + length > to) return undefined;
    if (type === EXTENSION.backingFormat) return new TextDecoder().decode(first.slice(at + 8, at + 8 + length));
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return undefined;
}

/** The first cluster of a new image: header, extensions and the backing file's name. */
export function headerCluster(header: Omit<Header, 'isDirty' | 'isCorrupt' | 'hasAutoclear'>): Uint8Array {
  const bytes = new Uint8Array(2 ** header.clusterBits);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC);
  view.setUint32(4, header.version);
  view.setUint32(20, header.clusterBits);
  writeNumber64(view, 24, header.size);
  view.setUint32(36, header.l1Size);
  writeNumber64(view, 40, header.l1Offset);
  writeNumber64(view, FIELD.refcountTableOffset, header.refcountTableOffset);
  view.setUint32(FIELD.refcountTableClusters, header.refcountTableClusters);
  let at = V2_HEADER_BYTES;
  if (header.version === 3) {
    const isZstd = header.compression === 'zstd';
    writeNumber64(view, FIELD.incompatible, isZstd ? INCOMPATIBLE.compression : 0);
    writeNumber64(view, 80, header.lazyRefcounts ? LAZY_REFCOUNTS : 0);
    view.setUint32(96, Math.log2(header.refcountBits));
    view.setUint32(100, V3_HEADER_BYTES);
    bytes[104] = isZstd ? 1 : 0;
    at = V3_HEADER_BYTES;
  }
  if (header.backing === undefined) return bytes;
  const name = new TextEncoder().encode(header.backing.name);
  const format = new TextEncoder().encode(header.backing.format ?? 'raw');
  if (name.length > MAX_NAME_BYTES)
    throw new MachineError(`the backing file's name is longer than ${MAX_NAME_BYTES} bytes`);
  const nameAt = at + 8 + Math.ceil(format.length / 8) * 8 + 8;
  if (nameAt + name.length > bytes.length)
    throw new MachineError("the backing file's name does not fit into a cluster; larger clusters have room");
  view.setUint32(at, EXTENSION.backingFormat);
  view.setUint32(at + 4, format.length);
  bytes.set(format, at + 8);
  bytes.set(name, nameAt);
  writeNumber64(view, 8, nameAt);
  view.setUint32(16, name.length);
  return bytes;
}
