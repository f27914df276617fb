/** What is told to the user: lines, and on a terminal how far a download is. */
export interface Reporter {
  /** A line that stays. */
  say(text: string): void;
  /** How far something is; `bytes` of `total`. */
  progress(what: string, bytes: number, total: number): void;
}

const REDRAW_MS = 100;
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Lines on standard error; a download has one line that is drawn again and again, where that is a terminal. */
export class TerminalReporter implements Reporter {
  readonly #stream: NodeJS.WriteStream;
  readonly #prefix: string;
  #drawn = 0;
  #unfinished = false;

  constructor(stream: NodeJS.WriteStream, prefix: string) {
    this.#stream = stream;
    this.#prefix = prefix;
  }

  say(text: string): void {
    this.#stream.write(`${this.#clear()}${this.#prefix}${text}\n`);
  }

  progress(what: string, bytes: number, total: number): void {
    const finished = bytes >= total;
    if (!this.#stream.isTTY) {
      if (finished) this.say(`${what}, ${megabytes(total)} MB`);
      return;
    }
    const now = performance.now();
    if (!finished && this.#unfinished && now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    const line = `${this.#clear()}${this.#prefix}${what}, ${megabytes(bytes)} of ${megabytes(total)} MB`;
    this.#unfinished = !finished;
    this.#stream.write(finished ? `${line}\n` : line);
  }

  #clear(): string {
    const clear = this.#unfinished ? '\r\x1b[K' : '';
    this.#unfinished = false;
    return clear;
  }
}
