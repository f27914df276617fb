/**
 * Where a frame of Zstandard ends (RFC 8878, section 3.1.1). Compressed clusters stand close to each other, and decoders
 * take a frame that follows for more of the same.
 */
import { viewOf } from './words.ts';

const MAGIC = 0xfd2fb528;
const DICTIONARY_BYTES = [0, 1, 2, 4];
const SIZE_BYTES = [0, 2, 4, 8];
const RLE = 1;

/** Bytes of the frame that begins here; undefined: there is none, or it is cut short. */
export function zstdFrameBytes(bytes: Uint8Array): number | undefined {
  if (bytes.length < 6 || viewOf(bytes).getUint32(0, true) !== MAGIC) return undefined;
  const descriptor = bytes[4] ?? 0;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeBytes = isSingleSegment && descriptor >>> 6 === 0 ? 1 : (SIZE_BYTES[descriptor >>> 6] ?? 0);
  let at = 5 + (isSingleSegment ? 0 : 1) + (DICTIONARY_BYTES[descriptor & 3] ?? 0) + sizeBytes;
  for (let isLast = false; !isLast; ) {
    if (at + 3 > bytes.length) return undefined;
    const header = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
    isLast = (header & 1) !== 0;
    at += 3 + (((header >>> 1) & 3) === RLE ? 1 : header >>> 3);
  }
  if ((descriptor & 4) !== 0) at += 4;
  return at <= bytes.length ? at : undefined;
}
