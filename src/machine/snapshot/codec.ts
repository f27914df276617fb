/** How pieces of a snapshot are compressed: by the host where it can, else by what is built in. */
import { deflateSync, inflateSync } from 'fflate';
import { MachineError } from '../error.ts';
import type { FastCodecs } from '../loaders/gzip.ts';

/** `zstd` is smaller and faster than `deflate`, but not every host has it; `none` is read fastest. */
export type SnapshotCompression = 'none' | 'deflate' | 'zstd';

/** The numbers that stand in files. */
const CODECS: readonly SnapshotCompression[] = ['none', 'deflate', 'zstd'];

export const isCompression = (value: unknown): value is SnapshotCompression =>
  CODECS.includes(value as SnapshotCompression);

export const codecNumber = (compression: SnapshotCompression): number => CODECS.indexOf(compression);

/** Which numbers of codecs are known. */
export const isCodec = (number: number): boolean => number < CODECS.length;

/** @throws MachineError when the host has no such codec. */
export function compress(bytes: Uint8Array, compression: SnapshotCompression, fast: FastCodecs): Uint8Array {
  switch (compression) {
    case 'none':
      return bytes;
    case 'deflate':
      return fast.deflate?.(bytes) ?? deflateSync(bytes, { level: 1 });
    default:
      if (fast.zstdCompress === undefined)
        throw new MachineError('this host cannot compress with zstd; deflate or none would fit');
      return fast.zstdCompress(bytes);
  }
}

/** `length`: what there must be, and no more is made. @throws MachineError. */
export function decompress(bytes: Uint8Array, codec: number, length: number, fast: FastCodecs): Uint8Array {
  const compression = CODECS[codec];
  if (compression === 'none') return bytes;
  if (compression === 'zstd' && fast.zstdDecompress === undefined)
    throw new MachineError(
      'the snapshot is compressed with zstd, which this host cannot decompress; deflate would fit',
    );
  try {
    if (compression === 'zstd') return (fast.zstdDecompress as NonNullable<typeof fast.zstdDecompress>)(bytes, length);
    return fast.inflate?.(bytes, length) ?? inflateSync(bytes, { out: new Uint8Array(length) });
  } catch (error) {
    throw new MachineError(`the snapshot has damaged data: ${error instanceof Error ? error.message : String(error)}`);
  }
}
