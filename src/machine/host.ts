import type { Clock } from '../kvm/api.ts';
import type { FastCodecs } from './loaders/gzip.ts';

/** What a machine needs from the world outside: time, a console, and the event loop. Node and browser each bring theirs. */
export interface MachineHost extends FastCodecs {
  readonly clock: Clock;
  readonly console: {
    /** Takes what the guest wrote. The bytes are the callee's to keep. */
    write(bytes: Uint8Array): void;
    /** It takes no more for now: the guest stands still until this is false, which a `wake()` tells. Absent: it takes everything. */
    readonly full?: boolean;
  };
  /**
   * Resolves when the clock has reached `untilNs` (Infinity: never by itself), or at the next `wake()`. `isExpectant`: the
   * event loop is about to bring something, so the thread is not to be held up meanwhile.
   */
  sleep(untilNs: number, isExpectant?: boolean): Promise<void>;
  /** Ends the sleep that is under way, if there is one. */
  wake(): void;
  /** Lets the event loop do its work once. */
  yield(): Promise<void>;
  /** Seconds since 1970, which calendar clocks start from; without it they start at that date. */
  unixTime?(): number;
  /** Fills bytes that nobody can guess; without it guests get no randomness from outside. */
  random?(bytes: Uint8Array): void;
}

/** What devices see of the world outside. */
export interface World {
  /** Seconds since 1970. */
  unixTime(): number;
  /** Fills bytes at random; undefined where the host has none. */
  readonly random: ((bytes: Uint8Array) => void) | undefined;
}

/** The world as the host has it. */
export function hostWorld(host: MachineHost): World {
  return {
    unixTime: () => host.unixTime?.() ?? 0,
    random: host.random?.bind(host),
  };
}

/** A world that is the same in every run, for runs that repeat exactly. It has a state, never 0. */
export interface RepeatableWorld extends World {
  /** Where its random numbers are. */
  readonly state: number;
}

const FIRST_STATE = 0x2545f491;

export function repeatableWorld(start = FIRST_STATE): RepeatableWorld {
  let state = start | 0 || FIRST_STATE;
  return {
    get state() {
      return state >>> 0;
    },
    unixTime: () => 0,
    // Marsaglia's xorshift, 32 bits.
    random: (bytes) => {
      for (let i = 0; i < bytes.length; i++) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        bytes[i] = state >>> 24;
      }
    },
  };
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

  /** The host takes no more for now. */
  get full(): boolean {
    return this.#host.console.full === true;
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
