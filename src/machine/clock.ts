import type { Clock } from '../kvm/api.ts';

/** The host's clock as a machine sees it: it stands still while the machine is paused. */
export class MachineClock implements Clock {
  readonly #host: Clock;
  /** Host nanoseconds that were spent in pauses. */
  #lost = 0;
  /** The time at which the clock stands; undefined: it runs. */
  #stopped: number | undefined;

  /** `start`: what it says now; the host's time if absent. */
  constructor(host: Clock, start?: number) {
    this.#host = host;
    if (start !== undefined) this.#lost = host.now() - start;
  }

  now(): number {
    return this.#stopped ?? this.#host.now() - this.#lost;
  }

  /** The host's time at a moment of this clock. */
  toHost(nanoseconds: number): number {
    return nanoseconds + this.#lost;
  }

  stop(): void {
    this.#stopped ??= this.now();
  }

  start(): void {
    if (this.#stopped === undefined) return;
    this.#lost = this.#host.now() - this.#stopped;
    this.#stopped = undefined;
  }
}
