import { Writable } from 'node:stream';
import type { MachineHost } from '../machine/index.ts';
import { nodeCodecs } from './codecs.ts';
import { fillRandom } from './random.ts';

/** Node's timers are good to a millisecond or two; what is shorter is waited out exactly, with the thread asleep. */
const SHORT_NS = 2e6;
const MAX_TIMER_MS = 2 ** 31 - 1;
const nothing = new Int32Array(new SharedArrayBuffer(4));

/**
 * A stream of Node's as a console. What it has not passed on yet is full at the stream's high-water mark; one that has ended,
 * or that has failed, takes everything and drops it: its errors are its owner's to hear of.
 */
class StreamConsole {
  static readonly #known = new WeakMap<Writable, StreamConsole>();
  readonly #stream: Writable;
  /** Those who wait for room. */
  readonly #waiting = new Set<() => void>();

  private constructor(stream: Writable) {
    this.#stream = stream;
    const wake = (): void => {
      for (const one of this.#waiting) one();
      this.#waiting.clear();
    };
    for (const event of ['drain', 'close', 'error']) stream.on(event, wake);
  }

  /** One for each stream, however many machines write to it. */
  static of(stream: Writable): StreamConsole {
    let known = StreamConsole.#known.get(stream);
    if (known === undefined) StreamConsole.#known.set(stream, (known = new StreamConsole(stream)));
    return known;
  }

  get full(): boolean {
    return this.#stream.writableNeedDrain && this.#stream.writable;
  }

  /** `onRoom` is called once when there is room again. */
  write(bytes: Uint8Array, onRoom: () => void): void {
    if (!this.#stream.writable) return;
    this.#stream.write(bytes);
    if (this.full) this.#waiting.add(onRoom);
  }
}

/** What a machine needs from the world, by Node. */
export class NodeHost implements MachineHost {
  readonly clock = { now: (): number => performance.now() * 1e6 };
  readonly console: MachineHost['console'];
  readonly #onTurn: () => void;
  #woken = false;
  #end: (() => void) | undefined;

  /**
   * `console` takes what the guest writes: a stream of Node's, such as `process.stdout`, which the guest waits for while it is
   * full; or an object of one's own. `onTurn` is called at the end of each of the guest's slices, when it can take input.
   */
  constructor(console: MachineHost['console'], onTurn: () => void = () => {}) {
    this.#onTurn = onTurn;
    if (!(console instanceof Writable)) {
      this.console = console;
      return;
    }
    const stream = StreamConsole.of(console);
    const wake = (): void => this.wake();
    this.console = {
      write: (bytes) => stream.write(bytes, wake),
      get full() {
        return stream.full;
      },
    };
  }

  async sleep(untilNs: number, isExpectant = false): Promise<void> {
    this.#woken = false;
    this.#onTurn();
    const remaining = untilNs - this.clock.now();
    if (this.#woken || remaining <= 0) return this.#turn();
    if (remaining <= SHORT_NS && isExpectant) {
      do await this.#turn();
      while (!this.#woken && this.clock.now() < untilNs);
      return;
    }
    if (remaining <= SHORT_NS) {
      Atomics.wait(nothing, 0, 0, remaining / 1e6);
      return this.#turn();
    }
    // A little early: the machine finds that nothing is due, and sleeps the rest exactly.
    await this.#pause(Math.min(Math.floor(remaining / 1e6) - 1, MAX_TIMER_MS));
  }

  /** Waits so long, or until `wake`. */
  #pause(milliseconds: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#end?.(), milliseconds);
      this.#end = () => {
        clearTimeout(timer);
        this.#end = undefined;
        resolve();
      };
    });
  }

  unixTime(): number {
    return Date.now() / 1000;
  }

  readonly random = fillRandom;
  readonly gunzip = nodeCodecs.gunzip;
  readonly crc32 = nodeCodecs.crc32;
  readonly deflate = nodeCodecs.deflate;
  readonly inflate = nodeCodecs.inflate;
  readonly zstdCompress = nodeCodecs.zstdCompress;
  readonly zstdDecompress = nodeCodecs.zstdDecompress;

  wake(): void {
    this.#woken = true;
    this.#end?.();
  }

  yield(): Promise<void> {
    this.#onTurn();
    return this.#turn();
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}
