/** Bytes that may wait for a reader that is slower than the guest. */
const HIGH_WATER = 1 << 20;

/**
 * The guest's console on standard output. The machine hands its bytes over once in each turn of the event loop; a reader
 * that went away is told once.
 */
export class ConsoleOutput {
  readonly #stream: NodeJS.WriteStream;
  #atLineStart = true;
  #broken = false;

  /** `onBroken` is called when the reader has gone away, `onRoom` when there is room again. */
  constructor(
    stream: NodeJS.WriteStream,
    onBroken: (error: NodeJS.ErrnoException) => void,
    onRoom: () => void = () => {},
  ) {
    this.#stream = stream;
    stream.on('drain', onRoom);
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#broken) return;
      this.#broken = true;
      onBroken(error);
    });
  }

  /** So much waits for the reader that the guest has to wait, too. */
  get full(): boolean {
    return !this.#broken && this.#stream.writableLength > HIGH_WATER;
  }

  write(bytes: Uint8Array): void {
    if (this.#broken || bytes.length === 0) return;
    this.#atLineStart = bytes[bytes.length - 1] === 0x0a;
    this.#stream.write(bytes);
  }

  /** Ends a line that the guest began, so that text of ours stands on lines of its own. */
  endLine(): void {
    this.write(new TextEncoder().encode(this.#atLineStart ? '' : '\n'));
  }

  /** Resolves when the system has taken everything (or never will), or has taken nothing for some milliseconds. */
  async drain(stalledMs?: number): Promise<void> {
    if (this.#broken) return;
    const taken = new Promise<true>((resolve) => this.#stream.write('', () => resolve(true)));
    if (stalledMs === undefined) return void (await taken);
    for (let waiting = Number.POSITIVE_INFINITY; waiting > this.#stream.writableLength; ) {
      waiting = this.#stream.writableLength;
      let timer: NodeJS.Timeout | undefined;
      const stalled = new Promise<false>((resolve) => {
        timer = setTimeout(() => resolve(false), stalledMs);
      });
      const isDone = await Promise.race([taken, stalled]);
      clearTimeout(timer);
      if (isDone) return;
    }
  }
}
