import type { Clock } from './api.ts';

/**
 * A vCPU's time: the injected clock, or with icount the number of retired instructions, in which case every exit
 * counts as one more instruction, so that a guest that only traps gets older too.
 */
export class GuestTime implements Clock {
  readonly ticksPerNanosecond: number;
  readonly icount: number;
  /** Set when the processor exists: instructions retired so far. */
  retired: () => number = () => 0;
  /** Exits so far (icount). */
  exits = 0;
  /** Nanoseconds that passed while the guest was halted (icount). */
  idle = 0;
  /** Ticks added to the clock's: what writes of TBL and TBU set. */
  offset = 0;
  readonly #clock: Clock;

  constructor(clock: Clock, timebaseFrequency: number, icount: number) {
    this.#clock = clock;
    this.icount = icount;
    this.ticksPerNanosecond = timebaseFrequency / 1e9;
  }

  /** Nanoseconds. */
  now(): number {
    if (this.icount === 0) return this.#clock.now();
    return (this.retired() + this.exits) * this.icount + this.idle;
  }

  /** The time base in ticks. */
  timebase(): number {
    return Math.floor(this.now() * this.ticksPerNanosecond) + this.offset;
  }

  /** Sets the time base; returns by how many ticks it was moved. */
  setTimebase(ticks: number): number {
    const moved = ticks - this.timebase();
    this.offset += moved;
    return moved;
  }

  /** First nanosecond at which the time base is at least `ticks`. */
  nanosecondsAt(ticks: number): number {
    return Math.ceil((ticks - this.offset) / this.ticksPerNanosecond) + 1;
  }
}
