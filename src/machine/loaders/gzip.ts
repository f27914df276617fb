import { Gunzip } from 'fflate';
import { formatBytes, MachineError } from '../error.ts';
import { crc32 } from './crc32.ts';

/** Input is fed in pieces: deflate grows at most 1032-fold, so one piece cannot make more than about 16 MiB. */
const PIECE_BYTES = 16384;
/** Member header and trailer (RFC 1952). */
const SHORTEST = 18;

/** Whether a file begins as gzip does (RFC 1952: ID1, ID2, deflate). */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8;
}

/**
 * Decompresses a gzip file. `limit`: the most bytes that the result may have; decompression stops there, whatever the
 * file says. `what` names the file in the message of the MachineError that anything wrong gives.
 */
export function gunzip(bytes: Uint8Array, limit: number, what: string): Uint8Array {
  if (bytes.length < SHORTEST || !isGzip(bytes)) throw new MachineError(`${what} is not gzip data, as it should be`);
  const pieces: Uint8Array[] = [];
  let length = 0;
  const stream = new Gunzip((piece) => {
    length += piece.length;
    if (length > limit)
      throw new MachineError(`${what} grows beyond ${formatBytes(limit)} when decompressed: it needs more memory`);
    if (piece.length > 0) pieces.push(piece);
  });
  try {
    for (let offset = 0; offset < bytes.length; offset += PIECE_BYTES)
      stream.push(bytes.subarray(offset, offset + PIECE_BYTES), offset + PIECE_BYTES >= bytes.length);
  } catch (error) {
    if (error instanceof MachineError) throw error;
    throw new MachineError(`${what} has damaged gzip data: ${error instanceof Error ? error.message : String(error)}`);
  }
  const result = new Uint8Array(length);
  let offset = 0;
  for (const piece of pieces) {
    result.set(piece, offset);
    offset += piece.length;
  }
  const trailer = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 8, 8);
  if (trailer.getUint32(4, true) !== length % 2 ** 32 || trailer.getUint32(0, true) !== crc32(result))
    throw new MachineError(`${what} has damaged gzip data: size or check sum is wrong`);
  return result;
}
