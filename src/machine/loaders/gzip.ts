import { gunzipSync, Gunzip as Stream } from 'fflate';
import { formatBytes, MachineError } from '../error.ts';
import { crc32 } from './crc32.ts';

/** Member header and trailer (RFC 1952). */
const SHORTEST = 18;
/**
 * Up to this size a file is decompressed at once into a buffer of the size that its trailer says, which takes half the
 * time. What lies beyond the buffer is dropped, so a false trailer costs time (deflate grows at most 1032-fold), no memory.
 */
const AT_ONCE_BYTES = 4 * 2 ** 20;
/** Larger files are fed in pieces, each of which can make at most about 64 MiB before the limit is looked at. */
const PIECE_BYTES = 65536;

/** Whether a file begins as gzip does (RFC 1952: ID1, ID2, deflate). */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8;
}

/** What the host may do faster than JavaScript. */
export interface FastCodecs {
  /** Throws for damaged data and for results of more than `limit` bytes; what it gives is checked all the same. */
  gunzip?(bytes: Uint8Array, limit: number): Uint8Array;
  /** CRC-32 as zlib has it, unsigned: of `bytes`, or of what `previous` is that of, followed by `bytes`. */
  crc32?(bytes: Uint8Array, previous?: number): number;
  /** Raw deflate (RFC 1951), as fast as it can be. */
  deflate?(bytes: Uint8Array): Uint8Array;
  /** Throws for damaged data and for results of more than `limit` bytes, as the next but one does. */
  inflate?(bytes: Uint8Array, limit: number): Uint8Array;
  /** Zstandard (RFC 8878). */
  zstdCompress?(bytes: Uint8Array): Uint8Array;
  zstdDecompress?(bytes: Uint8Array, limit: number): Uint8Array;
}

/** CRC-32, by the host where it has one. */
export function checksum(bytes: Uint8Array, fast: FastCodecs | undefined): number {
  return fast?.crc32?.(bytes) ?? crc32(bytes);
}

/** Decompresses piece by piece; `tooLong` is thrown when the result passes `limit` bytes. */
function inPieces(bytes: Uint8Array, limit: number, tooLong: () => never): Uint8Array {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const stream = new Stream((piece) => {
    length += piece.length;
    if (length > limit) tooLong();
    if (piece.length > 0) pieces.push(piece);
  });
  for (let offset = 0; offset < bytes.length; offset += PIECE_BYTES)
    stream.push(bytes.subarray(offset, offset + PIECE_BYTES), offset + PIECE_BYTES >= bytes.length);
  const result = new Uint8Array(length);
  let offset = 0;
  for (const piece of pieces) {
    result.set(piece, offset);
    offset += piece.length;
  }
  return result;
}

/**
 * Decompresses a gzip file. `limit`: the most bytes that the result may have, whatever the file says. `what` names the
 * file in the message of the MachineError that anything wrong gives. `fast`: used in place of what is built in.
 */
export function gunzip(bytes: Uint8Array, limit: number, what: string, fast?: FastCodecs): Uint8Array {
  if (bytes.length < SHORTEST || !isGzip(bytes)) throw new MachineError(`${what} is not gzip data, as it should be`);
  const trailer = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 8, 8);
  const expectedCrc = trailer.getUint32(0, true);
  const expectedLength = trailer.getUint32(4, true);
  const tooLong = (): never => {
    throw new MachineError(`${what} grows beyond ${formatBytes(limit)} when decompressed: it needs more memory`);
  };
  if (expectedLength > limit) tooLong();
  let result: Uint8Array;
  try {
    if (fast?.gunzip) result = fast.gunzip(bytes, limit);
    else if (bytes.length <= AT_ONCE_BYTES) result = gunzipSync(bytes, { out: new Uint8Array(expectedLength) });
    else result = inPieces(bytes, limit, tooLong);
  } catch (error) {
    if (error instanceof MachineError) throw error;
    throw new MachineError(`${what} has damaged gzip data: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (result.length !== expectedLength || checksum(result, fast) !== expectedCrc)
    throw new MachineError(`${what} has damaged gzip data: size or check sum is wrong`);
  return result;
}
