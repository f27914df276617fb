/**
 * The guest's segments as segments of the host: a process context of the host has 65535 VSIDs (1 to 65535 here), and each
 * guest VSID that is in use in one of the guest's modes has one of them. A new one takes the place of the oldest when all
 * are given away, and only what belongs to that one goes.
 */

/** What the segment is, with the guest VSID (or the ESID, where there is none) the key. */
export const SEGMENT = {
  VIRTUAL: 0,
  /** A piece of 256 MB of a segment of 1 TB: VSID << 12 | the piece. */
  PIECE: 1,
  /** IR=DR=0: ESID. */
  REAL: 2,
  /** IR≠DR: ESID; fetches and data have different translations in it. */
  FETCH_VIRTUAL: 3,
  DATA_VIRTUAL: 4,
  /** The same where the key has the segment register, too, which says all that can change but for pages. */
  FETCH_REGISTER: 5,
  DATA_REGISTER: 6,
  KIND: 7,
  /** The one segment that has the magic page: its page belongs to no guest VSID. */
  MAGIC: 8,
  /** Problem state: user and kernel have different permissions on one guest VSID. */
  USER: 16,
} as const;

const BUCKETS_LOG2 = 14;
const MULTIPLIER = 0x9e3779b1 | 0;

export class VsidMap {
  /** VSIDs of the context: 1 to this. */
  readonly size: number;
  readonly #base: number;
  readonly #onRecycle: (n: number) => void;
  /** By VSID number: key (kind -1: free) and the next of its bucket. */
  readonly #value: Float64Array;
  readonly #kind: Int8Array;
  readonly #next: Int32Array;
  readonly #buckets = new Int32Array(1 << BUCKETS_LOG2).fill(-1);
  #cursor = 1;
  /** Numbers in use for split modes (IR≠DR). */
  readonly #split: number[] = [];
  /** Times that a VSID had to be taken from another segment. */
  recycled = 0;

  /**
   * @param context number of the host's process context
   * @param onRecycle hears that a VSID is to be given to another segment
   */
  constructor(context: number, size: number, onRecycle: (n: number) => void) {
    this.size = size;
    this.#base = context * 65536;
    this.#onRecycle = onRecycle;
    this.#value = new Float64Array(size + 1);
    this.#kind = new Int8Array(size + 1).fill(-1);
    this.#next = new Int32Array(size + 1).fill(-1);
  }

  /** The host's VSID: context number << 16 | n. */
  hostVsid(n: number): number {
    return this.#base + n;
  }

  /** Number of the host VSID that a segment has, or -1. */
  find(value: number, kind: number): number {
    for (let n = this.#buckets[this.#bucket(value, kind)] as number; n >= 0; n = this.#next[n] as number)
      if (this.#value[n] === value && this.#kind[n] === kind) return n;
    return -1;
  }

  /** Those in use, for who looks inside: number, key, and kind. */
  *list(): Generator<{ readonly n: number; readonly value: number; readonly kind: number }> {
    for (let n = 1; n <= this.size; n++)
      if (this.#kind[n] !== -1) yield { n, value: this.#value[n] as number, kind: this.#kind[n] as number };
  }

  /** Number of the host VSID of a segment; it gets one if it has none. */
  get(value: number, kind: number): number {
    const bucket = this.#bucket(value, kind);
    for (let n = this.#buckets[bucket] as number; n >= 0; n = this.#next[n] as number)
      if (this.#value[n] === value && this.#kind[n] === kind) return n;
    const sort = kind & SEGMENT.KIND;
    const split = sort === SEGMENT.FETCH_VIRTUAL || sort === SEGMENT.DATA_VIRTUAL;
    if (split && this.#split.length >= this.size) this.releaseSplit();
    const n = this.#cursor;
    this.#cursor = n === this.size ? 1 : n + 1;
    if (this.#kind[n] !== -1) {
      this.recycled++;
      this.#release(n);
    }
    this.#value[n] = value;
    this.#kind[n] = kind;
    this.#next[n] = this.#buckets[bucket] as number;
    this.#buckets[bucket] = n;
    if (split) this.#split.push(n);
    return n;
  }

  /** Releases the segments of split modes: they have ESIDs for keys, which say nothing once the guest's SLB changes. */
  releaseSplit(): void {
    for (let n = this.#split.pop(); n !== undefined; n = this.#split.pop()) {
      const sort = (this.#kind[n] as number) & SEGMENT.KIND;
      if (sort === SEGMENT.FETCH_VIRTUAL || sort === SEGMENT.DATA_VIRTUAL) this.#release(n);
    }
  }

  clear(): void {
    this.#kind.fill(-1);
    this.#buckets.fill(-1);
    this.#split.length = 0;
    this.#cursor = 1;
  }

  #bucket(value: number, kind: number): number {
    const low = value | 0;
    const high = Math.floor(value / 2 ** 32);
    return Math.imul(low ^ Math.imul(high, 31) ^ (kind << 24), MULTIPLIER) >>> (32 - BUCKETS_LOG2);
  }

  #release(n: number): void {
    const bucket = this.#bucket(this.#value[n] as number, this.#kind[n] as number);
    this.#kind[n] = -1;
    const first = this.#buckets[bucket] as number;
    if (first === n) this.#buckets[bucket] = this.#next[n] as number;
    else {
      let i = first;
      while (this.#next[i] !== n) i = this.#next[i] as number;
      this.#next[i] = this.#next[n] as number;
    }
    this.#onRecycle(n);
  }
}
