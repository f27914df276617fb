/** Sizes of buffers: powers of two from 2^14 to 2^21. */
const SMALLEST = 14;
const SIZES = 8;
/** Buffers of each size that are kept for the next who needs one. */
const KEPT = 4;

/** Buffers that come and go, and how much of them is out. */
export class BufferPool {
  readonly #free: Uint8Array[][] = Array.from({ length: SIZES }, () => []);
  /** Bytes that are in use. */
  used = 0;

  /** A buffer of at least so many bytes, with anything in it. */
  take(bytes: number): Uint8Array {
    const size = Math.max(0, Math.ceil(Math.log2(bytes)) - SMALLEST);
    const buffer = this.#free[size]?.pop() ?? new Uint8Array(2 ** (SMALLEST + size));
    this.used += buffer.length;
    return buffer;
  }

  give(buffer: Uint8Array): void {
    if (buffer.length === 0) return;
    this.used -= buffer.length;
    const free = this.#free[Math.log2(buffer.length) - SMALLEST];
    if (free !== undefined && free.length < KEPT) free.push(buffer);
  }
}

const NOTHING = new Uint8Array(0);

/** Bytes in the order in which they came. Its buffer is as large as it must be, and given back when it is empty. */
export class ByteRing {
  readonly #pool: BufferPool;
  #bytes: Uint8Array = NOTHING;
  #start = 0;
  length = 0;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  append(bytes: Uint8Array): void {
    const total = this.length + bytes.length;
    if (total > this.#bytes.length) {
      const larger = this.#pool.take(total);
      this.copy(0, this.length, larger, 0);
      this.#pool.give(this.#bytes);
      this.#bytes = larger;
      this.#start = 0;
    }
    const ring = this.#bytes;
    const at = (this.#start + this.length) & (ring.length - 1);
    const room = ring.length - at;
    if (bytes.length <= room) ring.set(bytes, at);
    else {
      ring.set(bytes.subarray(0, room), at);
      ring.set(bytes.subarray(room), 0);
    }
    this.length = total;
  }

  /** Copies `count` bytes that stand `offset` behind the first; there are so many. */
  copy(offset: number, count: number, target: Uint8Array, to: number): void {
    const ring = this.#bytes;
    const at = (this.#start + offset) & (ring.length - 1);
    const first = Math.min(count, ring.length - at);
    target.set(ring.subarray(at, at + first), to);
    if (first < count) target.set(ring.subarray(0, count - first), to + first);
  }

  /** Lets go of the first `count` bytes; there are so many. */
  drop(count: number): void {
    this.length -= count;
    if (this.length === 0) this.clear();
    else this.#start = (this.#start + count) & (this.#bytes.length - 1);
  }

  clear(): void {
    this.#pool.give(this.#bytes);
    this.#bytes = NOTHING;
    this.#start = 0;
    this.length = 0;
  }
}
