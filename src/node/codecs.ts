import {
  constants,
  crc32,
  deflateRawSync,
  gunzipSync,
  inflateRawSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib';
import type { FastCodecs } from '../machine/index.ts';

/** Kernels come out in a few pieces, not in thousands. */
const GUNZIP_CHUNK = 8 * 2 ** 20;
/** What else is compressed has about this size. */
const CHUNK = 2 ** 20;
const ZSTD_LEVEL = 1;

/** What Node does faster than JavaScript. */
export const nodeCodecs: Required<FastCodecs> = {
  gunzip: (bytes, limit) => gunzipSync(bytes, { maxOutputLength: limit, chunkSize: GUNZIP_CHUNK }),
  crc32: (bytes, previous) => crc32(bytes, previous),
  deflate: (bytes) => deflateRawSync(bytes, { level: 1, chunkSize: CHUNK }),
  inflate: (bytes, limit) => inflateRawSync(bytes, { maxOutputLength: limit, chunkSize: CHUNK }),
  zstdCompress: (bytes) =>
    zstdCompressSync(bytes, { chunkSize: CHUNK, params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } }),
  zstdDecompress: (bytes, limit) => zstdDecompressSync(bytes, { maxOutputLength: limit, chunkSize: CHUNK }),
};
