import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import type { DiskCodecs } from '../../machine/index.ts';

const inflateRaw = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.inflateRaw);
const deflateRaw = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.deflateRaw);
const zstdCompress = promisify<Uint8Array, Buffer>(zlib.zstdCompress);
const zstdDecompress = promisify<Uint8Array, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress);

/** Compression by Node, on its threads. */
export const nodeCodecs: DiskCodecs = {
  inflate: (bytes, length) => inflateRaw(bytes, { maxOutputLength: length, chunkSize: length }),
  // QEMU reads windows of 4 KiB only.
  deflate: (bytes) => deflateRaw(bytes, { windowBits: 12 }),
  unzstd: (bytes, length) => zstdDecompress(bytes, { maxOutputLength: length, chunkSize: length }),
  zstd: (bytes) => zstdCompress(bytes),
};
