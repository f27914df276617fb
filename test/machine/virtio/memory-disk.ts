import type { BlockStore } from '../../../src/machine/outside/blocks.ts';

/** A disk in memory that counts, and that can be told to wait or to fail. */
export class MemoryDisk implements BlockStore {
  readonly name = 'memory';
  readonly size: number;
  readonly readOnly: boolean;
  readonly bytes: Uint8Array;
  readonly calls: string[] = [];
  /** Calls wait until `release`. */
  isHeld = false;
  isFailing = false;
  /** It answers at once. */
  isPrompt = false;
  #held: (() => void)[] = [];

  constructor(size = 64 * 512, readOnly = false) {
    this.size = size;
    this.readOnly = readOnly;
    this.bytes = Uint8Array.from({ length: size }, (_, i) => (i >>> 9) + 7 * i);
  }

  async #turn(call: string): Promise<void> {
    this.calls.push(call);
    if (this.isHeld) await new Promise<void>((resolve) => this.#held.push(resolve));
    if (this.isFailing) throw new Error('the disk is broken');
  }

  release(): void {
    for (const resolve of this.#held.splice(0)) resolve();
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#turn(`read ${offset} ${into.length}`);
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  readNow(offset: number, into: Uint8Array): boolean {
    if (!this.#now(`read ${offset} ${into.length} now`)) return false;
    into.set(this.bytes.subarray(offset, offset + into.length));
    return true;
  }

  writeNow(offset: number, bytes: Uint8Array): boolean {
    if (!this.#now(`write ${offset} ${bytes.length} now`)) return false;
    this.bytes.set(bytes, offset);
    return true;
  }

  #now(call: string): boolean {
    if (!this.isPrompt) return false;
    this.calls.push(call);
    if (this.isFailing) throw new Error('the disk is broken');
    return true;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#turn(`write ${offset} ${bytes.length}`);
    this.bytes.set(bytes, offset);
  }

  async writeZeroes(offset: number, length: number, mayDiscard: boolean): Promise<void> {
    await this.#turn(`zero ${offset} ${length} ${mayDiscard}`);
    this.bytes.fill(0, offset, offset + length);
  }

  async discard(offset: number, length: number): Promise<void> {
    await this.#turn(`discard ${offset} ${length}`);
  }

  async flush(): Promise<void> {
    await this.#turn('flush');
  }

  async close(): Promise<void> {}
}
