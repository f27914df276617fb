import type { Outside } from '../outside/events.ts';
import type { Chain } from './chain.ts';
import type { VirtioPort } from './device.ts';
import type { VirtQueue } from './queue.ts';

/** Serves a queue's requests in their order; each may end when it likes. */
export class QueueService {
  readonly #port: VirtioPort;
  readonly #index: number;
  readonly #outside: Outside;
  readonly #begin: (chain: Chain) => boolean;
  /** Requests that a saved state had under way, and that have not begun again. */
  #again: Chain[] = [];
  #isRunning = false;
  #isPostponed = false;

  /** `begin` takes a request on, and gives it back by `done` at once or later; false: it cannot now, `run` will be called again. */
  constructor(port: VirtioPort, outside: Outside, index: number, begin: (chain: Chain) => boolean) {
    this.#port = port;
    this.#outside = outside;
    this.#index = index;
    this.#begin = begin;
  }

  get #queue(): VirtQueue {
    return this.#port.queues[this.#index] as VirtQueue;
  }

  /** Begins what waits, as far as it goes, and interrupts the driver for what has ended. */
  run(): void {
    // A request that ends at once must not begin the next from within.
    if (this.#isRunning) return;
    this.#isRunning = true;
    const queue = this.#queue;
    // Answers may lie where the ring is, and make it endless: the guest, too, has its turn.
    for (let count = 0; this.#port.isRunning; count++) {
      if (count > queue.maxSize) {
        this.#postpone();
        break;
      }
      const saved = this.#again[0];
      const chain = saved ?? queue.take();
      if (chain === undefined) break;
      if (saved?.alive === false) {
        this.#again.shift();
        continue;
      }
      if (!this.#begin(chain)) {
        if (saved === undefined) queue.untake(chain);
        break;
      }
      if (saved !== undefined) this.#again.shift();
    }
    this.#isRunning = false;
    queue.signal();
  }

  #postpone(): void {
    if (this.#isPostponed) return;
    this.#isPostponed = true;
    this.#outside.between(() => {
      this.#isPostponed = false;
      this.run();
    });
  }

  /** Gives a request back. */
  done(chain: Chain, written: number): void {
    this.#queue.done(chain, written);
    if (!this.#isRunning) this.#queue.signal();
  }

  /** A state was restored: what it had under way begins again, before all else. */
  restart(): void {
    this.#again = [...this.#queue.held];
  }
}
