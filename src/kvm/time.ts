import type { Clock, KvmState } from './api.ts';
import { savedInteger, savedNumber } from './state.ts';

/** A guest may set all 64 bits. */
export const TIMEBASE_LIMIT = 2 ** 65;

/** No host runs twenty instructions of a guest in a nanosecond. */
const LEAST_INSTRUCTION_NS = 0.05;

/**
 * A vCPU's time: the injected clock, or with icount the number of retired instructions, in which case every exit
 * counts as one more instruction, so that a guest that only traps gets older too.
 */
export class GuestTime implements Clock {
  readonly ticksPerNanosecond: number;
  readonly icount: number;
  /** Instructions retired in finished runs of the processor (icount). */
  retired = 0;
  /** The budget of the run under way and where the processor counts it down; 0 between runs. */
  sliceBudget = 0;
  remaining: Int32Array | null = null;
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
    const running = this.sliceBudget === 0 ? 0 : this.sliceBudget - ((this.remaining as Int32Array)[0] as number);
    return (this.retired + running + this.exits) * this.icount + this.idle;
  }

  /** A run begins (icount). */
  begin(budget: number): void {
    this.sliceBudget = budget;
  }

  /** A run has ended (icount). */
  finish(): void {
    this.retired += this.sliceBudget - ((this.remaining as Int32Array)[0] as number);
    this.sliceBudget = 0;
  }

  /** The time base in ticks. */
  timebase(): number {
    return Math.floor(this.now() * this.ticksPerNanosecond) + this.offset;
  }

  /** Between runs. */
  save(): KvmState {
    return {
      icount: this.icount,
      counted: this.retired + this.exits,
      idle: this.idle,
      nanoseconds: this.now(),
      timebase: this.timebase(),
    };
  }

  /** Looks at a state, and answers what goes on from there: the time base does in any case, and counted time where it is counted alike. */
  read(state: KvmState): () => void {
    const counted = savedInteger(state, 'counted');
    const idle = savedNumber(state, 'idle', 0);
    const nanoseconds = savedNumber(state, 'nanoseconds');
    const timebase = savedNumber(state, 'timebase', -TIMEBASE_LIMIT, TIMEBASE_LIMIT);
    const isSame = savedNumber(state, 'icount', 0) === this.icount;
    return () => {
      this.retired = isSame ? counted : 0;
      this.exits = 0;
      this.idle = isSame ? idle : Math.max(0, nanoseconds);
      this.offset = 0;
      this.offset = timebase - this.timebase();
    };
  }

  /** Ticks that pass with each instruction at the least; 0 where they are counted anyway (icount). */
  get leastStep(): number {
    return this.icount === 0 ? LEAST_INSTRUCTION_NS * this.ticksPerNanosecond : 0;
  }

  /** First nanosecond at which the time base is at least `ticks`. */
  nanosecondsAt(ticks: number): number {
    return Math.ceil((ticks - this.offset) / this.ticksPerNanosecond) + 1;
  }
}
