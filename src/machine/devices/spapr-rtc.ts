import type { Clock } from '../../kvm/api.ts';
import { type Device, type DeviceSpec, type DeviceState, savedReal } from '../device.ts';
import { RTAS_PARAMETER_ERROR, RTAS_SUCCESS, type RtasArguments, type RtasCall } from './spapr-rtas.ts';

/** Seconds since 1970 that a calendar has (ECMA-262, "Time Values and Time Range"). */
const LAST_SECOND = 8.64e12;

/** The calendar clock of a partition: UTC, from the host's at the start, going on by the guest's time. */
export class SpaprRtc implements Device {
  readonly rtas: readonly RtasCall[] = [
    { name: 'get-time-of-day', args: 0, results: 8, call: (args) => this.#get(args) },
    { name: 'set-time-of-day', args: 7, results: 1, call: (args) => this.#set(args) },
  ];
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

  #get(args: RtasArguments): number {
    const seconds = this.#base + this.#clock.now() / 1e9;
    const date = new Date(Math.floor(seconds) * 1000);
    [
      date.getUTCFullYear(),
      date.getUTCMonth() + 1,
      date.getUTCDate(),
      date.getUTCHours(),
      date.getUTCMinutes(),
      date.getUTCSeconds(),
      Math.floor((seconds - Math.floor(seconds)) * 1e9),
    ].forEach((value, i) => {
      args.result(1 + i, value);
    });
    return RTAS_SUCCESS;
  }

  #set(args: RtasArguments): number {
    const [year, month, day, hour, minute, second, nanosecond] = Array.from({ length: 7 }, (_, i) => args.word(i)) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const milliseconds = Date.UTC(year, month - 1, day, hour, minute, second);
    // A day such as 31 February would be carried over: no clock has it.
    const valid = year >= 1970 && year <= 9999 && new Date(milliseconds).getUTCDate() === day && nanosecond < 1e9;
    if (!valid || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return RTAS_PARAMETER_ERROR;
    this.#base = milliseconds / 1000 + nanosecond / 1e9 - this.#clock.now() / 1e9;
    return RTAS_SUCCESS;
  }

  /** The clock's battery keeps it going. */
  reset(): void {}

  save(): DeviceState {
    return { unixTime: this.#base + this.#clock.now() / 1e9, hostTime: this.#unixTime() };
  }

  restore(state: DeviceState): void {
    const unixTime = savedReal(state, 'unixTime', LAST_SECOND);
    this.#savedAt = savedReal(state, 'hostTime', LAST_SECOND);
    this.#base = unixTime - this.#clock.now() / 1e9;
  }

  /** The clock has gone on while the machine did not run. */
  restored(): void {
    this.#base += this.#unixTime() - this.#savedAt;
  }
}

/** The calendar clock on a board. */
export function spaprRtc(options: { name: string }): DeviceSpec {
  return { name: options.name, create: ({ clock, world }) => new SpaprRtc(clock, () => world.unixTime()) };
}
