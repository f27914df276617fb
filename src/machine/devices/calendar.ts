import type { Clock } from '../../kvm/api.ts';
import { type DeviceState, savedReal } from '../device.ts';

/** Seconds since 1970 that a calendar has (ECMA-262, "Time Values and Time Range"). */
const LAST_SECOND = 8.64e12;

/** What a calendar clock counts: UTC, from the host's at the start, going on by the guest's time. A battery keeps it going. */
export class Calendar {
  readonly #clock: Clock;
  /** The host's time, seconds since 1970. */
  readonly #unixTime: () => number;
  /** Seconds since 1970 at the guest's time 0. */
  #base: number;
  /** The host's time when the state that was restored last was saved. */
  #savedAt = 0;

  constructor(clock: Clock, unixTime: () => number) {
    this.#clock = clock;
    this.#unixTime = unixTime;
    this.#base = unixTime() - clock.now() / 1e9;
  }

  /** Seconds since 1970, with their fraction. */
  get seconds(): number {
    return this.#base + this.#clock.now() / 1e9;
  }

  set seconds(seconds: number) {
    this.#base = seconds - this.#clock.now() / 1e9;
  }

  save(): DeviceState {
    return { unixTime: this.seconds, hostTime: this.#unixTime() };
  }

  restore(state: DeviceState): void {
    const unixTime = savedReal(state, 'unixTime', LAST_SECOND);
    this.#savedAt = savedReal(state, 'hostTime', LAST_SECOND);
    this.seconds = unixTime;
  }

  /** The clock has gone on while the machine did not run. */
  restored(): void {
    this.#base += this.#unixTime() - this.#savedAt;
  }
}
