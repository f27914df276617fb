import { inflateSync } from 'fflate';

/** What compressed clusters of disk images need; the outside gives what it has. Each throws, or rejects, for damaged data. */
export interface DiskCodecs {
  /** Deflate without a header. Gives at most `length` bytes; whatever follows the end of the data is ignored. */
  inflate(bytes: Uint8Array, length: number): Promise<Uint8Array>;
  deflate?(bytes: Uint8Array): Promise<Uint8Array>;
  /** A frame of Zstandard. The same rules. */
  unzstd?(bytes: Uint8Array, length: number): Promise<Uint8Array>;
  zstd?(bytes: Uint8Array): Promise<Uint8Array>;
}

/** What there is without the outside's help. */
export const builtInCodecs: DiskCodecs = {
  // What lies beyond the buffer is dropped: a hostile cluster costs time, but no memory.
  inflate: async (bytes, length) => inflateSync(bytes, { out: new Uint8Array(length) }),
};
