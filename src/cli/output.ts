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

  /** What waits for a reader that does not read is enough for now. */
  get full(): boolean {
    return !this.#broken && this.#stream.writableNeedDrain;
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

  /** Resolves when the system has taken everything (or never will). */
  async drain(): Promise<void> {
    if (!this.#broken) await new Promise<void>((resolve) => this.#stream.write('', () => resolve()));
  }
}
