/** A ring of bytes with a fixed capacity: what receivers keep. */
export class ByteQueue {
  readonly #bytes: Uint8Array;
  #start = 0;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** Appends a byte; answers false, and drops it, when the queue is full. */
  push(byte: number): boolean {
    if (this.#length === this.#bytes.length) return false;
    this.#bytes[(this.#start + this.#length) % this.#bytes.length] = byte;
    this.#length++;
    return true;
  }

  /** Puts a byte before the first one; dropped when the queue is full. */
  unshift(byte: number): void {
    if (this.#length === this.#bytes.length) return;
    this.#start = (this.#start + this.#bytes.length - 1) % this.#bytes.length;
    this.#bytes[this.#start] = byte;
    this.#length++;
  }

  /** Takes the first byte; 0 when there is none. */
  shift(): number {
    if (this.#length === 0) return 0;
    const byte = this.#bytes[this.#start] as number;
    this.#start = (this.#start + 1) % this.#bytes.length;
    this.#length--;
    return byte;
  }

  /** Takes the last byte; 0 when there is none. */
  pop(): number {
    if (this.#length === 0) return 0;
    this.#length--;
    return this.#bytes[(this.#start + this.#length) % this.#bytes.length] as number;
  }

  clear(): void {
    this.#start = this.#length = 0;
  }

  /** The contents, first byte first. */
  toArray(): number[] {
    return Array.from(
      { length: this.#length },
      (_, i) => this.#bytes[(this.#start + i) % this.#bytes.length] as number,
    );
  }

  /** Replaces the contents; what is beyond the capacity is dropped. */
  set(bytes: readonly number[]): void {
    this.clear();
    for (const byte of bytes) this.push(byte);
  }
}
