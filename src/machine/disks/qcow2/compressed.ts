import { MachineError } from '../../error.ts';
import type { ByteStore } from '../../outside/blocks.ts';
import type { DiskCodecs } from '../codecs.ts';
import { Gate } from '../gate.ts';
import { damaged } from './damage.ts';
import type { Header } from './header.ts';
import type { Entry } from './mapping.ts';
import { zstdFrameBytes } from './zstd-frame.ts';

/** Clusters that are kept: guests read one in small pieces. */
const KEPT = 4;
/** Clusters that are decompressed at once. */
const WIDTH = 8;

/** Reads compressed clusters. */
export class CompressedClusters {
  readonly #store: ByteStore;
  readonly #clusterBytes: number;
  readonly #isZstd: boolean;
  readonly #decompress: DiskCodecs['inflate'];
  readonly #gate = new Gate(WIDTH);
  /** By offset in the file, in the order of their last use. */
  readonly #kept = new Map<number, Promise<Uint8Array>>();

  constructor(store: ByteStore, header: Header, codecs: DiskCodecs) {
    this.#store = store;
    this.#clusterBytes = 2 ** header.clusterBits;
    this.#isZstd = header.compression === 'zstd';
    this.#decompress =
      header.compression === 'zlib'
        ? codecs.inflate
        : (codecs.unzstd ??
          (() => Promise.reject(new MachineError(`'${store.name}' is compressed by zstd, which cannot be read here`))));
  }

  /** The cluster's bytes, which are not the caller's to change. */
  async read(entry: Entry): Promise<Uint8Array> {
    const known = this.#kept.get(entry.offset);
    if (known) {
      this.#kept.delete(entry.offset);
      this.#kept.set(entry.offset, known);
      return known;
    }
    const reading = this.#gate.run(() => this.#read(entry));
    this.#kept.set(entry.offset, reading);
    if (this.#kept.size > KEPT) for (const oldest of this.#kept.keys()) if (this.#kept.delete(oldest)) break;
    try {
      return await reading;
    } catch (error) {
      if (this.#kept.get(entry.offset) === reading) this.#kept.delete(entry.offset);
      throw error;
    }
  }

  /** Some cluster will hold something else. */
  forget(): void {
    this.#kept.clear();
  }

  async #read({ offset, length }: Entry): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    const count = await this.#store.read(offset, bytes);
    let result: Uint8Array;
    try {
      const end = this.#isZstd ? (zstdFrameBytes(bytes.subarray(0, count)) ?? count) : count;
      result = await this.#decompress(bytes.subarray(0, end), this.#clusterBytes);
    } catch (error) {
      if (error instanceof MachineError) throw error;
      throw damaged(this.#store.name, `the compressed cluster at ${offset} cannot be decompressed`);
    }
    if (result.length !== this.#clusterBytes)
      throw damaged(this.#store.name, `the compressed cluster at ${offset} has ${result.length} bytes`);
    return result;
  }
}
