/** Requests that began in the same stretch of time. */
export interface Cohort {
  running: number;
  isClosed: boolean;
  readonly ended: Promise<void>;
  readonly end: () => void;
}

function open(): Cohort {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { running: 0, isClosed: false, ended: promise, end: resolve };
}

/**
 * Knows which requests are under way. A cluster that nothing leads to any more may still be read or written by one that found
 * it before; it is given to somebody else only after that has ended.
 */
export class Requests {
  #current = open();
  #before: Promise<void> = Promise.resolve();

  enter(): Cohort {
    this.#current.running++;
    return this.#current;
  }

  leave(cohort: Cohort): void {
    if (--cohort.running === 0 && cohort.isClosed) cohort.end();
  }

  /** Resolves when all that are under way now have ended. */
  ended(): Promise<void> {
    const cohort = this.#current;
    this.#current = open();
    cohort.isClosed = true;
    if (cohort.running === 0) cohort.end();
    this.#before = Promise.all([this.#before, cohort.ended]).then(() => {});
    return this.#before;
  }
}
