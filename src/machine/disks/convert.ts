import { MachineError } from '../error.ts';
import type { BlockStore, ByteStore } from '../outside/blocks.ts';
import type { DiskCodecs } from './codecs.ts';
import { Gate, Together } from './gate.ts';
import { Qcow2Disk } from './qcow2/disk.ts';
import type { Compression } from './qcow2/header.ts';
import { isZero } from './zeroes.ts';

/** Bytes that are read at once, and how many such pieces are under way. */
const PIECE_BYTES = 2 ** 21;
const PIECES = 4;
/** Zeroes of a raw image that are so many, and so aligned, stay a hole. */
const HOLE_BYTES = 4096;

export interface CopyOptions {
  /** From 0 to 1. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** Copies a disk into an empty file, whose zeroes become a hole. */
export async function copyToRaw(source: BlockStore, target: ByteStore, options: CopyOptions = {}): Promise<void> {
  await target.truncate(source.size);
  await forEachPiece(source, options, (offset, bytes) =>
    eachRun(bytes, HOLE_BYTES, (from, to) => target.write(offset + from, bytes.subarray(from, to))),
  );
  await target.flush();
}

/** Copies a disk into an image that has nothing yet. `compression`: how its clusters are compressed; undefined: not at all. */
export async function copyToQcow2(
  source: BlockStore,
  target: Qcow2Disk,
  codecs: DiskCodecs,
  compression: Compression | undefined,
  options: CopyOptions = {},
): Promise<void> {
  const size = target.clusterBytes;
  const compress = compression === 'zstd' ? codecs.zstd : codecs.deflate;
  if (compression && !compress) throw new MachineError(`compression by ${compression} is not here`);
  // One after the other: they stand close to each other.
  const appending = new Gate(1);
  const put = async (offset: number, bytes: Uint8Array): Promise<void> => {
    if (!compression || !compress) return target.write(offset, bytes);
    const together = new Together();
    for (let at = 0; at < bytes.length; at += size) {
      const cluster = new Uint8Array(size);
      cluster.set(bytes.subarray(at, at + size));
      together.add(
        compress(cluster).then((packed) =>
          packed.length < size
            ? appending.run(() => target.writeCompressed(offset + at, packed))
            : target.write(offset + at, bytes.subarray(at, at + size)),
        ),
      );
    }
    await together.end();
  };
  await forEachPiece(source, options, (offset, bytes) =>
    eachRun(bytes, size, (from, to) => put(offset + from, bytes.subarray(from, to))),
  );
  await target.flush();
}

/** Calls `task` for the runs of blocks that are not zero. */
async function eachRun(
  bytes: Uint8Array,
  block: number,
  task: (from: number, to: number) => Promise<void>,
): Promise<void> {
  const together = new Together();
  let from = -1;
  for (let at = 0; at < bytes.length; at += block) {
    const isHole = isZero(bytes.subarray(at, at + block));
    if (!isHole && from < 0) from = at;
    if (isHole && from >= 0) together.add(task(from, at));
    if (isHole) from = -1;
  }
  if (from >= 0) together.add(task(from, bytes.length));
  await together.end();
}

/** Reads the disk in pieces, several at once; what is known to be zeroes is left out. */
async function forEachPiece(
  source: BlockStore,
  { onProgress }: CopyOptions,
  task: (offset: number, bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  let at = 0;
  while (at < source.size && !failure) {
    const hole = source instanceof Qcow2Disk ? await source.zeroesFrom(at) : 0;
    // Whole pieces, so that clusters of the target are not written in parts.
    if (hole >= PIECE_BYTES || at + hole === source.size) {
      at = at + hole === source.size ? source.size : at + hole - (hole % PIECE_BYTES);
      onProgress?.(at / source.size);
      continue;
    }
    const offset = at;
    at = Math.min(source.size, at + PIECE_BYTES);
    const piece = (async () => {
      const bytes = new Uint8Array(at - offset);
      await source.read(offset, bytes);
      await task(offset, bytes);
    })().catch((error: unknown) => {
      failure ??= { error };
    });
    const settled = piece.finally(() => running.delete(settled));
    running.add(settled);
    if (running.size >= PIECES) await Promise.race(running);
    onProgress?.(offset / source.size);
  }
  await Promise.all(running);
  if (failure) throw failure.error;
  onProgress?.(1);
}
