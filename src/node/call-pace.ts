/**
 * Calls of the host's file system: at once on this thread while they are short, on Node's threads while they are not. A single
 * call may have been long because the thread had to wait for a processor, so it takes several to send all to the threads, for a
 * hundred times as long as they took: a slow disk keeps this thread for a hundredth of its time.
 */
const LONG_MS = 1;
/** Long calls that come within so many others decide; one of a second decides alone. */
const LONG_CALLS = 8;
const AMONG_CALLS = 128;
const VERY_LONG_MS = 1000;
const PENALTY = 100;
const MAX_PENALTY_MS = 30_000;

/** How long the calls are that are made at once, and so where the next belong. */
export class CallPace {
  #laterUntil = 0;
  /** Long calls, each of which counts less with every call after it; and how long such calls are. */
  #longCalls = 0;
  #longMs = 0;

  /** A call at once, begun at `start`, took so many milliseconds. */
  took(milliseconds: number, start: number): void {
    this.#longCalls *= 1 - 1 / AMONG_CALLS;
    if (milliseconds <= LONG_MS) return;
    this.#longCalls += milliseconds > VERY_LONG_MS ? LONG_CALLS : 1;
    this.#longMs += (milliseconds - this.#longMs) / 4;
    if (this.#longCalls < LONG_CALLS) return;
    this.#longCalls = 0;
    this.#laterUntil = start + Math.min(this.#longMs * LONG_CALLS * PENALTY, MAX_PENALTY_MS);
  }

  /** Whether a call that is made at this time goes to Node's threads. */
  isSlow(now: number): boolean {
    return now < this.#laterUntil;
  }

  /** All calls go to Node's threads from now on, as for a slow file system. */
  makeSlow(): void {
    this.#laterUntil = Number.POSITIVE_INFINITY;
  }
}
