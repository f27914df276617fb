import assert from 'node:assert/strict';
import type { ByteStore } from '../../src/machine/index.ts';

/** What was done to a store, in order. */
export type StoreEvent =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'flush' };

/** A file in memory. Answers come in later turns, as a host's do, in an order that a seed decides. */
export class MemoryStore implements ByteStore {
  readonly name: string;
  readonly readOnly = false;
  bytes: Uint8Array;
  length: number;
  /** If set, what is written and flushed is kept here; writes at the time of their end, flushes of their begin. */
  events: StoreEvent[] | undefined;
  /** Called before each write; may throw. */
  onWrite: ((offset: number, bytes: Uint8Array) => void) | undefined;
  /** Whether something is known at once. */
  isPrompt: () => boolean = () => false;
  /** Calls that were answered at once. */
  promptCalls = 0;
  isClosed = false;
  #delay: () => number;

  constructor(name = 'memory', bytes: Uint8Array = new Uint8Array(0), delay: () => number = () => 0) {
    this.name = name;
    this.bytes = bytes;
    this.length = bytes.length;
    this.#delay = delay;
  }

  contents(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  async #later(): Promise<void> {
    for (let turns = this.#delay(); turns > 0; turns--) await Promise.resolve();
  }

  async size(): Promise<number> {
    return this.length;
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    await this.#later();
    if (this.isClosed) throw new Error('read after close');
    const count = Math.max(0, Math.min(into.length, this.length - offset));
    into.set(this.bytes.subarray(offset, offset + count));
    return count;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#later();
    if (this.isClosed) throw new Error('write after close');
    this.onWrite?.(offset, bytes);
    this.put(offset, bytes);
    this.events?.push({ kind: 'write', offset, bytes: bytes.slice() });
    await this.#later();
  }

  readNow(offset: number, into: Uint8Array): number {
    if (!this.isPrompt()) return -1;
    this.promptCalls++;
    const count = Math.max(0, Math.min(into.length, this.length - offset));
    into.set(this.bytes.subarray(offset, offset + count));
    return count;
  }

  writeNow(offset: number, bytes: Uint8Array): boolean {
    if (!this.isPrompt()) return false;
    this.promptCalls++;
    this.onWrite?.(offset, bytes);
    this.put(offset, bytes);
    this.events?.push({ kind: 'write', offset, bytes: bytes.slice() });
    return true;
  }

  put(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    if (end > this.bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.bytes.length * 2));
      larger.set(this.bytes.subarray(0, this.length));
      this.bytes = larger;
    }
    this.bytes.set(bytes, offset);
    this.length = Math.max(this.length, end);
  }

  async flush(): Promise<void> {
    this.events?.push({ kind: 'flush' });
    await this.#later();
  }

  async truncate(size: number): Promise<void> {
    if (size < this.length) this.bytes.fill(0, size, this.length);
    this.put(size, new Uint8Array(0));
    this.length = size;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** Marsaglia's xorshift: numbers below `limit` that a seed decides. */
export function randomNumbers(seed: number): (limit: number) => number {
  let state = (seed * 2654435761 + 1) | 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

export function randomBytes(random: (limit: number) => number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = random(255) + 1;
  return bytes;
}

/** Says where bytes differ first: a whole difference of disks takes assert minutes. */
export function same(found: Uint8Array, expected: Uint8Array, what = ''): void {
  if (Buffer.compare(found, expected) === 0) return;
  const at = found.findIndex((byte, i) => byte !== expected[i]);
  assert.fail(`${what} byte ${at} of ${found.length}, ${expected.length}: ${found[at]}, not ${expected[at]}`);
}
