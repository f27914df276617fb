/**
 * A snapshot's file: a signature, a header in JSON, and pieces, each with its own check sum; the last one says that nothing
 * is missing. All numbers are little-endian words. Reading needs no more memory than the largest piece may have, whatever
 * the file says.
 *
 * | bytes | |
 * |---|---|
 * | 8 | signature |
 * | 4, 4, 4 | format, bytes of the header, CRC-32 of the header |
 * | … | the header |
 * | 24, 8 × runs, stored | a piece: kind, codec, area, runs, bytes stored, CRC-32 of all this; runs of pages (first, count); data |
 */
import type { KvmState, MemoryArea } from '../../kvm/api.ts';
import type { DeviceState } from '../device.ts';
import { formatBytes, MachineError } from '../error.ts';
import { crc32 as builtInCrc } from '../loaders/crc32.ts';
import type { FastCodecs } from '../loaders/gzip.ts';
import { codecNumber, compress, decompress, isCodec, type SnapshotCompression } from './codec.ts';

/** The format that this program writes, and the only one that it reads. */
export const SNAPSHOT_FORMAT = 1;
/** As PNG has it: a file that passed through something that changes ends of lines is none. */
const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x56, 0x53, 0x0d, 0x0a, 0x1a, 0x0a);
const PREFIX_BYTES = SIGNATURE.length + 12;
const MAX_HEADER_BYTES = 16 * 2 ** 20;
const PIECE_BYTES = 24;
const PIECE_CRC = 20;
const RUN_BYTES = 8;
const PAGE_BYTES = 4096;
/** Pages of a piece. */
const MAX_PAGES = 256;
/** What does not shrink may grow a little. */
const MAX_STORED_BYTES = MAX_PAGES * PAGE_BYTES + 65536;
/** What was hot (`CodeProfile.bytes`). */
export const MAX_PROFILE_BYTES = 4 * 2 ** 20;
const KIND = { PAGES: 1, PROFILE: 2, END: 3 } as const;

/** What a snapshot is of, and what needs to be so where it is restored. */
export interface SnapshotHeader {
  /** The version of the program that saved it. */
  readonly version: string;
  readonly board: string;
  readonly cpu: string;
  readonly accel: string;
  readonly memoryBytes: number;
  /** How memory is kept (`Vm.memoryOrder`). */
  readonly memoryOrder: number;
  /** Nanoseconds an instruction, where time is counted. */
  readonly icount?: number;
  readonly vm: KvmState;
  readonly devices: Readonly<Record<string, DeviceState>>;
  readonly machine: DeviceState;
  /** Memory by name and size; pieces name it by its place in this list. */
  readonly areas: readonly { readonly name: string; readonly bytes: number }[];
}

/** Where a snapshot is read from, from its beginning to its end. */
export interface SnapshotSource {
  /** The next bytes: fewer at the end, and only until the next call. Throws MachineError when it cannot be read. */
  read(length: number): Uint8Array;
}

/** A snapshot that is in memory. */
export class BytesSource implements SnapshotSource {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(length: number): Uint8Array {
    const start = this.#at;
    this.#at = Math.min(start + length, this.#bytes.length);
    return this.#bytes.subarray(start, this.#at);
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** CRC-32 of several parts, one behind the other. */
function checksum(parts: readonly Uint8Array[], fast: FastCodecs): number {
  let crc = 0;
  for (const part of parts) crc = fast.crc32?.(part, crc) ?? builtInCrc(part, crc);
  return crc;
}

export interface WriteOptions {
  readonly compression: SnapshotCompression;
  readonly fast: FastCodecs;
  /** Takes the next bytes; they are its own. */
  readonly write: (bytes: Uint8Array) => void;
}

export function writeSnapshot(
  header: SnapshotHeader,
  areas: readonly MemoryArea[],
  profile: Uint8Array | undefined,
  options: WriteOptions,
): void {
  const { write, fast, compression } = options;
  const json = new TextEncoder().encode(JSON.stringify(header));
  const prefix = new Uint8Array(PREFIX_BYTES);
  prefix.set(SIGNATURE);
  const view = viewOf(prefix);
  view.setUint32(8, SNAPSHOT_FORMAT, true);
  view.setUint32(12, json.length, true);
  view.setUint32(16, checksum([json], fast), true);
  write(prefix);
  write(json);
  if (profile !== undefined) writePiece(KIND.PROFILE, 0, [], profile, { ...options, compression: 'none' });
  for (const [index, area] of areas.entries()) {
    // So many pages at a time, however they lie.
    let runs: number[] = [];
    let count = 0;
    const flush = (): void => {
      if (count > 0) writePiece(KIND.PAGES, index, runs, gather(area.bytes, runs, count), { write, fast, compression });
      runs = [];
      count = 0;
    };
    const touched = area.touched();
    for (let i = 0; i < touched.length; i += 2) {
      let first = touched[i] as number;
      const end = first + (touched[i + 1] as number);
      while (first < end) {
        const pages = Math.min(end - first, MAX_PAGES - count);
        runs.push(first, pages);
        first += pages;
        count += pages;
        if (count === MAX_PAGES) flush();
      }
    }
    flush();
  }
  writePiece(KIND.END, 0, [], new Uint8Array(0), options);
}

/** A copy of the runs' pages, one behind the other. */
function gather(bytes: Uint8Array, runs: readonly number[], count: number): Uint8Array {
  const pages = new Uint8Array(count * PAGE_BYTES);
  let at = 0;
  for (let i = 0; i < runs.length; i += 2) {
    const start = (runs[i] as number) * PAGE_BYTES;
    const length = (runs[i + 1] as number) * PAGE_BYTES;
    pages.set(bytes.subarray(start, start + length), at);
    at += length;
  }
  return pages;
}

function writePiece(
  kind: number,
  area: number,
  runs: readonly number[],
  data: Uint8Array,
  { compression, fast, write }: WriteOptions,
): void {
  const packed = compression === 'none' || data.length === 0 ? data : compress(data, compression, fast);
  const isSmaller = packed.length < data.length;
  const stored = isSmaller ? packed : data;
  const head = new Uint8Array(PIECE_BYTES + runs.length * 4);
  const view = viewOf(head);
  const codec = isSmaller ? codecNumber(compression) : 0;
  for (const [i, word] of [kind, codec, area, runs.length / 2, stored.length, 0, ...runs].entries())
    view.setUint32(4 * i, word, true);
  view.setUint32(PIECE_CRC, checksum([head, stored], fast), true);
  write(head);
  write(stored);
}

const damaged = (what: string): MachineError => new MachineError(`the snapshot is damaged: ${what}`);
const truncated = (): MachineError => new MachineError('the snapshot is incomplete: its end is missing');

/** Reads a snapshot, in the order in which it is needed: its header first, then memory. Every error is a MachineError. */
export class SnapshotReader {
  readonly #source: SnapshotSource;
  readonly #fast: FastCodecs;
  readonly header: SnapshotHeader;
  /** What was hot, after `readMemory`. */
  profile: Uint8Array | undefined;

  constructor(source: SnapshotSource, fast: FastCodecs) {
    this.#source = source;
    this.#fast = fast;
    const prefix = source.read(PREFIX_BYTES);
    if (!SIGNATURE.every((byte, i) => prefix[i] === byte))
      throw new MachineError('this is no snapshot of a machine; a file that was saved by one would fit');
    if (prefix.length < PREFIX_BYTES) throw truncated();
    const view = viewOf(prefix);
    const format = view.getUint32(8, true);
    const length = view.getUint32(12, true);
    const crc = view.getUint32(16, true);
    if (format !== SNAPSHOT_FORMAT)
      throw new MachineError(`the snapshot has format ${format}; this program reads format ${SNAPSHOT_FORMAT}`);
    if (length > MAX_HEADER_BYTES) throw damaged(`a header of ${formatBytes(length)}`);
    const json = source.read(length);
    if (json.length < length) throw truncated();
    if (checksum([json], fast) !== crc) throw damaged('the check sum of its header is wrong');
    this.header = parseHeader(json);
  }

  /** Puts memory into areas, which are those of the header. */
  readMemory(areas: readonly MemoryArea[]): void {
    const expected = this.header.areas;
    const fits =
      areas.length === expected.length &&
      areas.every(({ name, bytes }, i) => name === expected[i]?.name && bytes.length === expected[i]?.bytes);
    if (!fits) throw new MachineError('the snapshot has other memory than the machine that it says it is of');
    while (this.#readPiece(areas));
    if (this.#source.read(1).length > 0) throw damaged('there is something behind its end');
  }

  /** False: it was the last one. */
  #readPiece(areas: readonly MemoryArea[]): boolean {
    const fixed = this.#source.read(PIECE_BYTES).slice();
    if (fixed.length < PIECE_BYTES) throw truncated();
    const view = viewOf(fixed);
    const [kind, codec, areaIndex, runCount, stored, crc] = [0, 4, 8, 12, 16, PIECE_CRC].map((at) =>
      view.getUint32(at, true),
    ) as [number, number, number, number, number, number];
    if (runCount > MAX_PAGES || stored > Math.max(MAX_STORED_BYTES, MAX_PROFILE_BYTES) || !isCodec(codec))
      throw damaged('a piece of it is larger than pieces are');
    const rest = this.#source.read(runCount * RUN_BYTES + stored);
    if (rest.length < runCount * RUN_BYTES + stored) throw truncated();
    view.setUint32(PIECE_CRC, 0, true);
    if (checksum([fixed, rest], this.#fast) !== crc) throw damaged('the check sum of a piece of it is wrong');
    const data = rest.subarray(runCount * RUN_BYTES);
    switch (kind) {
      case KIND.END:
        return false;
      case KIND.PROFILE:
        this.profile = data.slice();
        return true;
      case KIND.PAGES: {
        const area = areas[areaIndex];
        if (area === undefined) throw damaged('pages of memory that there is not');
        this.#putPages(area, viewOf(rest), runCount, data, codec);
        return true;
      }
      default:
        throw damaged(`a piece of the kind ${kind}`);
    }
  }

  #putPages(area: MemoryArea, runs: DataView, runCount: number, stored: Uint8Array, codec: number): void {
    const { bytes } = area;
    const pageCount = bytes.length / PAGE_BYTES;
    let total = 0;
    for (let i = 0; i < runCount; i++) {
      const first = runs.getUint32(i * RUN_BYTES, true);
      const count = runs.getUint32(i * RUN_BYTES + 4, true);
      total += count;
      if (count > MAX_PAGES || total > MAX_PAGES || first + count > pageCount)
        throw damaged('pages beyond the end of memory');
    }
    const pages = decompress(stored, codec, total * PAGE_BYTES, this.#fast);
    if (pages.length !== total * PAGE_BYTES) throw damaged('a piece of it has another size than it says');
    let at = 0;
    for (let i = 0; i < runCount; i++) {
      const start = runs.getUint32(i * RUN_BYTES, true) * PAGE_BYTES;
      const length = runs.getUint32(i * RUN_BYTES + 4, true) * PAGE_BYTES;
      bytes.set(pages.subarray(at, at + length), start);
      area.written(start, length);
      at += length;
    }
  }
}

type Kind = 'string' | 'number' | 'object';
const FIELDS: Readonly<Record<Exclude<keyof SnapshotHeader, 'icount' | 'areas'>, Kind>> = {
  version: 'string',
  board: 'string',
  cpu: 'string',
  accel: 'string',
  memoryBytes: 'number',
  memoryOrder: 'number',
  vm: 'object',
  devices: 'object',
  machine: 'object',
};

const isKind = (value: unknown, kind: Kind): boolean => typeof value === kind && value !== null;

function parseHeader(json: Uint8Array): SnapshotHeader {
  let header: Readonly<Record<string, unknown>>;
  try {
    header = Object(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json as Uint8Array<ArrayBuffer>)));
  } catch {
    throw damaged('its header cannot be read');
  }
  for (const [name, kind] of Object.entries(FIELDS))
    if (!Object.hasOwn(header, name) || !isKind(header[name], kind)) throw damaged(`its header lacks ${name}`);
  const { icount, areas } = header;
  if (icount !== undefined && typeof icount !== 'number') throw damaged('its header lacks icount');
  const areArea = (area: unknown): boolean => {
    const { name, bytes } = Object(area) as { name?: unknown; bytes?: unknown };
    return typeof name === 'string' && typeof bytes === 'number';
  };
  if (!Array.isArray(areas) || !areas.every(areArea)) throw damaged('its header lacks areas');
  return header as unknown as SnapshotHeader;
}
