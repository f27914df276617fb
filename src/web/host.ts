import type { MachineHost } from '../machine/index.ts';

/** Timers are good to a few milliseconds; what is shorter is waited out exactly, with the thread asleep where that may be. */
const SHORT_NS = 4e6;
const MAX_TIMER_MS = 2 ** 31 - 1;
/** `crypto.getRandomValues` gives so many bytes at most. */
const RANDOM_BYTES = 65536;

/** A word that never changes. Pages that are not isolated have no SharedArrayBuffer, but WebAssembly's is one. */
const nothing = new Int32Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer);

/** Whether this thread may sleep: a worker's may, a page's own may not. */
function maySleep(): boolean {
  try {
    Atomics.wait(nothing, 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}

/** What a machine needs from the world, by a browser: in a worker, or in the page itself. */
export class BrowserHost implements MachineHost {
  readonly clock = { now: (): number => performance.now() * 1e6 };
  readonly console: MachineHost['console'];
  readonly #onTurn: () => void;
  readonly #maySleep = maySleep();
  readonly #channel = new MessageChannel();
  readonly #turns: (() => void)[] = [];
  #woken = false;
  #end: (() => void) | undefined;

  /** `onTurn` is called at the end of each of the guest's slices, when it can take input. */
  constructor(console: MachineHost['console'], onTurn: () => void = () => {}) {
    this.console = console;
    this.#onTurn = onTurn;
    this.#channel.port1.onmessage = () => this.#turns.shift()?.();
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
      if (this.#maySleep) Atomics.wait(nothing, 0, 0, remaining / 1e6);
      return this.#turn();
    }
    await new Promise<void>((resolve) => {
      // Early: the machine finds that nothing is due, and sleeps the rest exactly.
      const early = Math.min(Math.floor((remaining - SHORT_NS) / 1e6), MAX_TIMER_MS);
      const timer = setTimeout(() => this.#end?.(), early);
      this.#end = () => {
        clearTimeout(timer);
        this.#end = undefined;
        resolve();
      };
    });
    // A timer that is set in another's task is late by design; in a message's it is not.
    return this.#turn();
  }

  unixTime(): number {
    return Date.now() / 1000;
  }

  random(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += RANDOM_BYTES)
      crypto.getRandomValues(bytes.subarray(at, at + RANDOM_BYTES) as Uint8Array<ArrayBuffer>);
  }

  wake(): void {
    this.#woken = true;
    this.#end?.();
  }

  yield(): Promise<void> {
    this.#onTurn();
    return this.#turn();
  }

  /** A message to oneself: the event loop does what came before it, and is not held up by a timer. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#turns.push(resolve);
      this.#channel.port2.postMessage(undefined);
    });
  }
}
