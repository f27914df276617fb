/** Worlds for machines of hostile guests, that end a run after so many turns of the event loop. */

import type { MachineHost } from '../../src/machine/index.ts';
import { NodeHost } from '../../src/node/host.ts';

/** Nanoseconds that a look at the counted clock takes, so that time passes in every loop that looks at it. */
const NS_PER_LOOK = 2e6;

/** What a run's owner does in a turn; false ends the run. */
export type OnTurn = () => boolean;

/** Bytes that guests wrote, counted and dropped. */
class Sink {
  bytes = 0;
  write(bytes: Uint8Array): void {
    this.bytes += bytes.length;
  }
}

/** A host whose time passes when it is looked at, so that runs repeat exactly. What sleeps is woken at once. */
export class CountedHost implements MachineHost {
  readonly console = new Sink();
  readonly #onTurn: OnTurn;
  #now = 0;
  readonly clock = { now: (): number => (this.#now += NS_PER_LOOK) };
  end = (): void => {};

  constructor(onTurn: OnTurn) {
    this.#onTurn = onTurn;
  }

  async sleep(untilNs: number): Promise<void> {
    if (Number.isFinite(untilNs)) this.#now = Math.max(this.#now, untilNs);
    this.#turn();
  }

  wake(): void {}

  async yield(): Promise<void> {
    this.#turn();
  }

  #turn(): void {
    if (!this.#onTurn()) this.end();
  }
}

/** Node's world with the clock on the wall. A guest that would sleep for long is woken: by input, or by its end. */
export class WallHost extends NodeHost {
  static readonly #longestSleepNs = 4e6;
  end = (): void => {};

  constructor(onTurn: OnTurn) {
    super(new Sink(), () => {
      if (!onTurn()) this.end();
    });
  }

  override sleep(untilNs: number): Promise<void> {
    return super.sleep(Math.min(untilNs, this.clock.now() + WallHost.#longestSleepNs));
  }
}
