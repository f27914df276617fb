/** More than this from a pipe waits in the pipe, not here. */
const HIGH_WATER = 1 << 20;

/** Console input on its way to a guest that takes it at its own pace. */
export class ConsoleInput {
  readonly #take: (bytes: Uint8Array) => number;
  readonly #stream: NodeJS.ReadStream;
  #pending: Uint8Array[] = [];
  #bytes = 0;

  /** `take` answers how many bytes the guest had room for. */
  constructor(stream: NodeJS.ReadStream, take: (bytes: Uint8Array) => number) {
    this.#stream = stream;
    this.#take = take;
  }

  push(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.#bytes += bytes.length;
    this.offer();
    if (this.#bytes > HIGH_WATER) this.#stream.pause();
  }

  /** Gives the guest what it has room for. */
  offer(): void {
    for (let first = this.#pending[0]; first !== undefined; first = this.#pending[0]) {
      const taken = this.#take(first);
      this.#bytes -= taken;
      if (taken < first.length) {
        this.#pending[0] = first.subarray(taken);
        return;
      }
      this.#pending.shift();
    }
    if (this.#stream.isPaused()) this.#stream.resume();
  }
}
