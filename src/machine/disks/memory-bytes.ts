import type { ByteStore } from '../outside/blocks.ts';

const BLOCK_BYTES = 65_536;

/** Bytes in memory, which takes what was written, in blocks: a disk that goes with its machine, or what is written above one. */
export class MemoryBytes implements ByteStore {
  readonly name: string;
  readonly readOnly = false;
  readonly #blocks = new Map<number, Uint8Array>();
  #size: number;

  /** `bytes`: a file of so many zeroes. */
  constructor(name = 'memory', bytes = 0) {
    this.name = name;
    this.#size = bytes;
  }

  async size(): Promise<number> {
    return this.#size;
  }

  readNow(offset: number, into: Uint8Array): number {
    const count = Math.max(0, Math.min(into.length, this.#size - offset));
    for (let done = 0; done < count; ) {
      const within = (offset + done) % BLOCK_BYTES;
      const piece = into.subarray(done, Math.min(count, done + BLOCK_BYTES - within));
      const block = this.#blocks.get(Math.floor((offset + done) / BLOCK_BYTES));
      if (block === undefined) piece.fill(0);
      else piece.set(block.subarray(within, within + piece.length));
      done += piece.length;
    }
    return count;
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    return this.readNow(offset, into);
  }

  writeNow(offset: number, bytes: Uint8Array): boolean {
    for (let done = 0; done < bytes.length; ) {
      const within = (offset + done) % BLOCK_BYTES;
      const number = Math.floor((offset + done) / BLOCK_BYTES);
      const piece = bytes.subarray(done, done + BLOCK_BYTES - within);
      let block = this.#blocks.get(number);
      if (block === undefined) this.#blocks.set(number, (block = new Uint8Array(BLOCK_BYTES)));
      block.set(piece, within);
      done += piece.length;
    }
    this.#size = Math.max(this.#size, offset + bytes.length);
    return true;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.writeNow(offset, bytes);
  }

  async flush(): Promise<void> {}

  async truncate(size: number): Promise<void> {
    const last = Math.floor(size / BLOCK_BYTES);
    for (const number of this.#blocks.keys()) if (number > last) this.#blocks.delete(number);
    if (size < this.#size) this.#blocks.get(last)?.fill(0, size % BLOCK_BYTES);
    this.#size = size;
  }

  async punchHole(offset: number, length: number): Promise<void> {
    const end = Math.min(offset + length, this.#size);
    for (let at = offset; at < end; ) {
      const [number, within] = [Math.floor(at / BLOCK_BYTES), at % BLOCK_BYTES];
      const count = Math.min(end - at, BLOCK_BYTES - within);
      if (count === BLOCK_BYTES) this.#blocks.delete(number);
      else this.#blocks.get(number)?.fill(0, within, within + count);
      at += count;
    }
  }

  async close(): Promise<void> {
    this.#blocks.clear();
  }
}
