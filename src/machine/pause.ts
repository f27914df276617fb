/** A pause from its request to its end. */
export class Pause {
  /** Resolves when the guest stands still. */
  readonly still: Promise<void>;
  /** Resolves when it may go on. */
  readonly over: Promise<void>;
  /** Somebody has paused the machine, and will have it go on; else it does when nobody holds it. */
  isWanted = false;
  holds = 0;
  stands = (): void => {};
  end = (): void => {};

  constructor() {
    this.still = new Promise((resolve) => {
      this.stands = resolve;
    });
    this.over = new Promise((resolve) => {
      this.end = resolve;
    });
  }
}
