import { getRandomValues } from 'node:crypto';
import { crc32, gunzipSync } from 'node:zlib';
import type { MachineHost } from '../machine/index.ts';

/** Node's timers are good to a millisecond or two; what is shorter is waited out exactly, with the thread asleep. */
const SHORT_NS = 2e6;
/** How often a machine that waits for its console's reader looks at what else there is. */
const CONGESTED_MS = 10;
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Kernels come out in a few pieces, not in thousands. */
const GUNZIP_CHUNK = 8 * 2 ** 20;
const nothing = new Int32Array(new SharedArrayBuffer(4));

/** What a machine needs from the world, by Node. */
export class NodeHost implements MachineHost {
  readonly clock = { now: (): number => performance.now() * 1e6 };
  readonly console: MachineHost['console'];
  readonly #onTurn: () => void;
  readonly #isCongested: () => boolean;
  #woken = false;
  #end: (() => void) | undefined;

  /**
   * `onTurn` is called at the end of each of the guest's slices, when it can take input; as long as `isCongested` says so,
   * the guest waits for the reader of its console.
   */
  constructor(
    console: MachineHost['console'],
    onTurn: () => void = () => {},
    isCongested: () => boolean = () => false,
  ) {
    this.console = console;
    this.#onTurn = onTurn;
    this.#isCongested = isCongested;
  }

  async sleep(untilNs: number): Promise<void> {
    this.#woken = false;
    this.#onTurn();
    const remaining = untilNs - this.clock.now();
    if (this.#woken || remaining <= 0) return this.#turn();
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

  random(bytes: Uint8Array): void {
    getRandomValues(bytes as Uint8Array<ArrayBuffer>);
  }

  gunzip(bytes: Uint8Array, limit: number): Uint8Array {
    return gunzipSync(bytes, { maxOutputLength: limit, chunkSize: GUNZIP_CHUNK });
  }

  crc32(bytes: Uint8Array): number {
    return crc32(bytes);
  }

  wake(): void {
    this.#woken = true;
    this.#end?.();
  }

  yield(): Promise<void> {
    this.#onTurn();
    return this.#isCongested() ? this.#pause(CONGESTED_MS) : this.#turn();
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}
