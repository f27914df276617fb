/**
 * How what the outside says comes to devices: queued, and handed over between two slices of the guest, so that nothing happens
 * in the midst of an instruction, and a log could repeat the moment.
 */

/** A device's view of it. */
export interface Outside {
  /**
   * The outside may be asked for what it knows at once. False: time is counted, and whether something was known at once must
   * not show; all answers are waited for.
   */
  readonly isPrompt: boolean;
  /**
   * Waits for an answer of the outside: `done` or `failed` is called between two slices of the guest. Until then the machine
   * looks often whether the answer has come.
   */
  wait<T>(answer: Promise<T>, done: (value: T) => void, failed: (error: unknown) => void): void;
  /** Has `run` called between two slices: for what comes unasked (packets, input). May be called from anywhere. */
  between(run: () => void): void;
}

/** More events than this at once wait for the next time: a flood from outside does not stop the guest. */
const MOST_AT_ONCE = 4096;

interface Event {
  /** Undefined: the answer has not come. */
  run: (() => void) | undefined;
}

/** The machine's end. */
export class OutsideEvents implements Outside {
  readonly #wake: () => void;
  readonly #ordered: boolean;
  #queue: Event[] = [];
  #outstanding = 0;
  #events = 0;
  /** A device has asked for something since the machine looked last. */
  asked = false;

  /** `wake`: called when there is something. `ordered`: answers come in the order in which they were asked for. */
  constructor(wake: () => void, ordered: boolean) {
    this.#wake = wake;
    this.#ordered = ordered;
  }

  /** No time is counted: nothing depends on when an answer comes. */
  get isPrompt(): boolean {
    return !this.#ordered;
  }

  /** Answers that are waited for. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** `drain` has something to do. */
  get pending(): boolean {
    return this.#queue[0]?.run !== undefined;
  }

  /** Events since the start. */
  get events(): number {
    return this.#events;
  }

  wait<T>(answer: Promise<T>, done: (value: T) => void, failed: (error: unknown) => void): void {
    this.#outstanding++;
    this.asked = true;
    const event: Event = { run: undefined };
    if (this.#ordered) this.#queue.push(event);
    const settle = (run: () => void): void => {
      this.#outstanding--;
      event.run = run;
      if (!this.#ordered) this.#queue.push(event);
      this.#wake();
    };
    answer.then(
      (value) => settle(() => done(value)),
      (error) => settle(() => failed(error)),
    );
  }

  between(run: () => void): void {
    this.#queue.push({ run });
    this.#wake();
  }

  /** Hands over what has come; what comes meanwhile waits for the next time. Answers whether there was anything. */
  drain(): boolean {
    if (!this.pending) return false;
    const queue = this.#queue;
    this.#queue = [];
    let count = 0;
    for (; count < queue.length && count < MOST_AT_ONCE; count++) {
      const { run } = queue[count] as Event;
      if (run === undefined) break;
      this.#events++;
      run();
    }
    if (count < queue.length) this.#queue = [...queue.slice(count), ...this.#queue];
    return true;
  }
}
