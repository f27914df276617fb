import { MachineError } from '../error.ts';
import type { BlockStore, ByteStore } from '../outside/blocks.ts';
import { SECTOR_BYTES } from './sectors.ts';
import { isZero, ZEROES } from './zeroes.ts';

/** A disk whose image is its bytes. */
export class RawDisk implements BlockStore {
  readonly name: string;
  readonly size: number;
  readonly readOnly: boolean;
  readonly #store: ByteStore;

  private constructor(store: ByteStore, size: number, readOnly: boolean) {
    this.#store = store;
    this.name = store.name;
    this.size = size;
    this.readOnly = readOnly;
  }

  /** A file that ends within a sector is a disk with that sector, whose rest is zeroes. */
  static async open(store: ByteStore, readOnly = store.readOnly): Promise<RawDisk> {
    const bytes = await store.size();
    if (bytes === 0)
      throw new MachineError(`the disk image '${store.name}' is empty; 'powervisor image create' makes one`);
    return new RawDisk(store, Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES, readOnly);
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const count = await this.#store.read(offset, into);
    if (count < into.length) into.fill(0, count);
  }

  readNow(offset: number, into: Uint8Array): boolean {
    const count = this.#store.readNow?.(offset, into) ?? -1;
    if (count < 0) return false;
    if (count < into.length) into.fill(0, count);
    return true;
  }

  writeNow(offset: number, bytes: Uint8Array): boolean {
    return this.#store.writeNow?.(offset, bytes) ?? false;
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#store.write(offset, bytes);
  }

  /** What is zero already is left alone, so that holes of the file stay holes. */
  async writeZeroes(offset: number, length: number, mayDiscard: boolean): Promise<void> {
    if (mayDiscard && this.#store.punchHole) return this.#store.punchHole(offset, length);
    const found = new Uint8Array(Math.min(length, ZEROES.length));
    for (let done = 0; done < length; ) {
      const piece = found.subarray(0, Math.min(found.length, length - done));
      await this.read(offset + done, piece);
      if (!isZero(piece)) await this.#store.write(offset + done, ZEROES.subarray(0, piece.length));
      done += piece.length;
    }
  }

  async discard(offset: number, length: number): Promise<void> {
    await this.#store.punchHole?.(offset, length);
  }

  flush(): Promise<void> {
    return this.#store.flush();
  }

  async close(): Promise<void> {
    try {
      if (!this.readOnly) await this.#store.flush();
    } finally {
      await this.#store.close();
    }
  }
}
