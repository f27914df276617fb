import type { Clock } from '../kvm/api.ts';

/** What a machine needs from the world outside: time, a console, and the event loop. Node and browser each bring theirs. */
export interface MachineHost {
  readonly clock: Clock;
  readonly console: {
    /** Takes what the guest wrote. The bytes are the callee's to keep. */
    write(bytes: Uint8Array): void;
  };
  /** Resolves when the clock has reached `untilNs` (Infinity: never by itself), or at the next `wake()`. */
  sleep(untilNs: number): Promise<void>;
  /** Ends the sleep that is under way, if there is one. */
  wake(): void;
  /** Lets the event loop do its work once. */
  yield(): Promise<void>;
  /**
   * Decompresses a gzip file at once, where the host does that faster than JavaScript. Throws for damaged data and for
   * results of more than `limit` bytes.
   */
  gunzip?(bytes: Uint8Array, limit: number): Uint8Array;
}

/** Console output is handed out in pieces of at most this many bytes. */
const BUFFER_BYTES = 4096;

/** Collects a serial port's bytes, so that the host is not called for each. */
export class ConsoleBuffer {
  readonly #host: MachineHost;
  readonly #bytes = new Uint8Array(BUFFER_BYTES);
  #length = 0;

  constructor(host: MachineHost) {
    this.#host = host;
  }

  writeByte(byte: number): void {
    this.#bytes[this.#length++] = byte;
    if (this.#length === BUFFER_BYTES) this.flush();
  }

  flush(): void {
    if (this.#length === 0) return;
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    this.#host.console.write(bytes);
  }
}
