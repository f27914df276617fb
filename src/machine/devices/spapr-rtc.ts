import type { Clock } from '../../kvm/api.ts';
import type { Device, DeviceSpec, DeviceState } from '../device.ts';
import { Calendar } from './calendar.ts';
import { RTAS_PARAMETER_ERROR, RTAS_SUCCESS, type RtasArguments, type RtasCall } from './spapr-rtas.ts';

/** The calendar clock of a partition: UTC. */
export class SpaprRtc implements Device {
  readonly rtas: readonly RtasCall[] = [
    { name: 'get-time-of-day', args: 0, results: 8, call: (args) => this.#get(args) },
    { name: 'set-time-of-day', args: 7, results: 1, call: (args) => this.#set(args) },
  ];
  readonly #calendar: Calendar;

  constructor(clock: Clock, unixTime: () => number) {
    this.#calendar = new Calendar(clock, unixTime);
  }

  #get(args: RtasArguments): number {
    const { seconds } = this.#calendar;
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
    this.#calendar.seconds = milliseconds / 1000 + nanosecond / 1e9;
    return RTAS_SUCCESS;
  }

  /** The clock's battery keeps it going. */
  reset(): void {}

  save(): DeviceState {
    return this.#calendar.save();
  }

  restore(state: DeviceState): void {
    this.#calendar.restore(state);
  }

  restored(): void {
    this.#calendar.restored();
  }
}

/** The calendar clock on a board. */
export function spaprRtc(options: { name: string }): DeviceSpec {
  return { name: options.name, create: ({ clock, world }) => new SpaprRtc(clock, () => world.unixTime()) };
}
