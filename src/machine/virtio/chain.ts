import type { GuestMemory } from '../../kvm/api.ts';
import { MachineError } from '../error.ts';

/** Words of a buffer in a saved chain: address low, high, length. */
const SAVED_WORDS = 3;
const TWO_32 = 2 ** 32;

/**
 * A request: the buffers of one descriptor chain, those that the device reads before those that it writes. All of them lie
 * in memory. The device has it until it gives it back to its queue; `alive` ends before that when the driver resets.
 */
export class Chain {
  readonly #memory: GuestMemory;
  readonly #addresses: number[] = [];
  readonly #lengths: number[] = [];
  #readable = 0;
  /** Index of the chain's first descriptor, by which the driver knows it. */
  head = 0;
  /** The driver still waits for it. */
  alive = true;
  readableBytes = 0;
  writableBytes = 0;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  clear(head: number): void {
    this.head = head;
    this.#readable = this.readableBytes = this.writableBytes = 0;
    this.#addresses.length = this.#lengths.length = 0;
  }

  /** Adds a buffer. False: it is not in memory, or one that is read comes behind one that is written. */
  add(address: number, length: number, writable: boolean): boolean {
    if (!this.#memory.contains(address, length)) return false;
    if (!writable && this.#addresses.length > this.#readable) return false;
    this.#addresses.push(address);
    this.#lengths.push(length);
    if (writable) this.writableBytes += length;
    else {
      this.#readable++;
      this.readableBytes += length;
    }
    return true;
  }

  /** The device's buffers to write: address and length of each. */
  *writable(): Generator<readonly [address: number, length: number]> {
    for (let i = this.#readable; i < this.#addresses.length; i++)
      yield [this.#addresses[i] as number, this.#lengths[i] as number];
  }

  /** Fills `into` from byte `offset` of what the device reads. Answers how many bytes there were. */
  read(offset: number, into: Uint8Array): number {
    return this.#copy(0, this.#readable, offset, into, false);
  }

  /** Puts `bytes` at `offset` of what the device writes. Answers how many found room. */
  write(offset: number, bytes: Uint8Array): number {
    return this.#copy(this.#readable, this.#addresses.length, offset, bytes, true);
  }

  #copy(first: number, end: number, offset: number, bytes: Uint8Array, toGuest: boolean): number {
    let skip = offset;
    let done = 0;
    for (let i = first; i < end && done < bytes.length; i++) {
      const length = this.#lengths[i] as number;
      if (skip >= length) {
        skip -= length;
        continue;
      }
      const count = Math.min(length - skip, bytes.length - done);
      const piece = count === bytes.length ? bytes : bytes.subarray(done, done + count);
      const address = (this.#addresses[i] as number) + skip;
      if (toGuest) this.#memory.writeBytes(address, piece);
      else this.#memory.readInto(address, piece);
      skip = 0;
      done += count;
    }
    return done;
  }

  /** As words: head, how many buffers are read, and each buffer. */
  save(): number[] {
    const words = [this.head, this.#readable];
    this.#addresses.forEach((address, i) => {
      words.push(address >>> 0, Math.floor(address / TWO_32), this.#lengths[i] as number);
    });
    return words;
  }

  /** Takes what `save` gave. @throws MachineError for anything else. */
  restore(words: readonly number[]): void {
    const [head = -1, readable = -1] = words;
    const buffers = (words.length - 2) / SAVED_WORDS;
    this.clear(head);
    let fits = Number.isInteger(buffers) && head >= 0 && readable >= 0 && readable <= buffers;
    for (let i = 0; i < buffers && fits; i++) {
      const [low = 0, high = 0, length = 0] = words.slice(2 + i * SAVED_WORDS);
      fits = this.add(high * TWO_32 + low, length, i >= readable);
    }
    if (!fits) throw new MachineError('the saved state has a request that is none');
  }
}
