/** Lets a bounded number of tasks be under way at once; the others wait in order. With a width of 1 it is a mutex. */
export class Gate {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(width: number) {
    this.#free = width;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      // The place goes straight to the next, so that nobody who comes now overtakes it.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

/** Waits for requests that run beside each other; the first failure is theirs together. */
export class Together {
  readonly #running: Promise<void>[] = [];
  #failed = false;
  #error: unknown;

  add(request: Promise<unknown>): void {
    // Caught at once: what fails while others are being started is nobody's unhandled rejection.
    this.#running.push(
      request.then(
        () => {},
        (error: unknown) => {
          if (!this.#failed) this.#error = error;
          this.#failed = true;
        },
      ),
    );
  }

  /** Runs a task that adds requests, and waits for it and for all of them. */
  start(task: () => Promise<void>): Promise<void> {
    this.add(task());
    return this.end();
  }

  /** Resolves when all have ended. */
  async end(): Promise<void> {
    // Those that are under way may add others.
    for (let ended = 0; ended < this.#running.length; ended++) await this.#running[ended];
    if (this.#failed) throw this.#error;
  }
}
