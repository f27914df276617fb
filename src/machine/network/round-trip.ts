/** Times in milliseconds. */
const FIRST_TIMEOUT = 1000;
const LEAST_TIMEOUT = 400;
const MOST_TIMEOUT = 16_000;

/** How long a connection waits for an acknowledgement: by the round trips that were timed (RFC 6298). */
export class RoundTrip {
  /** What the next segment is waited for. */
  timeout = FIRST_TIMEOUT;
  #smoothed = 0;
  #variation = 0;
  #sequence = 0;
  /** When the segment was sent that is timed; 0: none is. */
  #at = 0;

  get isTimed(): boolean {
    return this.#at !== 0;
  }

  /** Times what ends at a sequence number. */
  begin(now: number, sequence = 0): void {
    this.#at = now;
    this.#sequence = sequence;
  }

  /** What was sent again tells nothing. */
  cancel(): void {
    this.#at = 0;
  }

  /** Whether an acknowledgement ends the round trip that is timed. */
  endsWith(acknowledgement: number): boolean {
    return this.#at !== 0 && ((acknowledgement - this.#sequence) | 0) >= 0;
  }

  end(now: number): void {
    const time = now - this.#at;
    this.#at = 0;
    if (this.#smoothed === 0) {
      this.#smoothed = time;
      this.#variation = time / 2;
    } else {
      this.#variation += (Math.abs(this.#smoothed - time) - this.#variation) / 4;
      this.#smoothed += (time - this.#smoothed) / 8;
    }
    this.reset();
  }

  /** The time-out is what round trips say; `backOff` has made it longer. */
  reset(): void {
    const estimate = this.#smoothed === 0 ? FIRST_TIMEOUT : this.#smoothed + 4 * this.#variation;
    this.timeout = Math.min(Math.max(estimate, LEAST_TIMEOUT), MOST_TIMEOUT);
  }

  backOff(): void {
    this.timeout = Math.min(this.timeout * 2, MOST_TIMEOUT);
  }
}
