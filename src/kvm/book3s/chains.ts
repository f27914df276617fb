/** Hash chains over records that are numbers: doubly linked, in arrays, so that taking one out costs nothing to find. */

const MULTIPLIER = 0x9e3779b1 | 0;

export class Chains {
  readonly #shift: number;
  readonly #heads: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;

  /** `log2Heads` chains over `records` records. */
  constructor(log2Heads: number, records: number) {
    this.#shift = 32 - log2Heads;
    this.#heads = new Int32Array(1 << log2Heads).fill(-1);
    this.#next = new Int32Array(records).fill(-1);
    this.#previous = new Int32Array(records).fill(-1);
  }

  /** The chain of a key: what the other methods take. */
  chain(key: number): number {
    return Math.imul(key, MULTIPLIER) >>> this.#shift;
  }

  first(chain: number): number {
    return this.#heads[chain] as number;
  }

  next(record: number): number {
    return this.#next[record] as number;
  }

  insert(chain: number, record: number): void {
    const head = this.#heads[chain] as number;
    this.#next[record] = head;
    // The first record of a chain has the chain in place of a predecessor.
    this.#previous[record] = -2 - chain;
    if (head >= 0) this.#previous[head] = record;
    this.#heads[chain] = record;
  }

  remove(record: number): void {
    const next = this.#next[record] as number;
    const previous = this.#previous[record] as number;
    if (next >= 0) this.#previous[next] = previous;
    if (previous >= 0) this.#next[previous] = next;
    else this.#heads[-2 - previous] = next;
  }

  clear(): void {
    this.#heads.fill(-1);
  }
}
