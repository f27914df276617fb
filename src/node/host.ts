import { getRandomValues } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import type { MachineHost } from '../machine/index.ts';

/** Node's timers are good to a millisecond or two; what is shorter is waited out exactly, with the thread asleep. */
const SHORT_NS = 2e6;
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Kernels come out in a few pieces, not in thousands. */
const GUNZIP_CHUNK = 8 * 2 ** 20;
const nothing = new Int32Array(new SharedArrayBuffer(4));

/** What a machine needs from the world, by Node. */
export class NodeHost implements MachineHost {
  readonly clock = { now: (): number => performance.now() * 1e6 };
  readonly console: MachineHost['console'];
  readonly #onTurn: () => void;
  #woken = false;
  #end: (() => void) | undefined;

  /** `onTurn` is called at the end of each of the guest's slices, when it can take input. */
  constructor(console: MachineHost['console'], onTurn: () => void = () => {}) {
    this.console = console;
    this.#onTurn = onTurn;
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
    await new Promise<void>((resolve) => {
      // A little early: the machine finds that nothing is due, and sleeps the rest exactly.
      const timer = setTimeout(() => this.#end?.(), Math.min(Math.floor(remaining / 1e6) - 1, MAX_TIMER_MS));
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
