/** The guest's decrementer (Power ISA 2.07 Book III-S, 7.3) and virtual time base. Nothing ticks: what it shows follows from the time base. */
import type { GuestTime } from '../time.ts';
import { D_DEC_START, D_VTB_START, DOUBLE_COUNT, DOUBLES, W_DEC } from './layout.ts';

export class Decrementer {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #time: GuestTime;
  readonly #onChange: (pending: boolean) => void;
  /** Time base at which the decrementer becomes negative; Infinity: it is. */
  deadline = Number.POSITIVE_INFINITY;

  /** `onChange` hears whether the interrupt is pending: it is as long as DEC's sign is set, until DEC is written. */
  constructor(
    words: Int32Array,
    buffer: ArrayBufferLike,
    base: number,
    time: GuestTime,
    onChange: (pending: boolean) => void,
  ) {
    this.#words = words;
    this.#doubles = new Float64Array(buffer, base + DOUBLES, DOUBLE_COUNT);
    this.#time = time;
    this.#onChange = onChange;
  }

  reset(): void {
    this.#doubles[D_VTB_START] = this.#time.timebase();
    this.write(0x7fff_ffff);
  }

  /** What a slice's end calls. */
  poll(): void {
    if (this.#time.timebase() < this.deadline) return;
    this.deadline = Number.POSITIVE_INFINITY;
    this.#onChange(true);
  }

  read(): number {
    const passed = this.#time.timebase() - (this.#doubles[D_DEC_START] as number);
    return ((this.#words[W_DEC] as number) - passed) | 0;
  }

  /** mtdec. A negative value interrupts at once (the reference waits for it to count through). */
  write(value: number): void {
    const now = this.#time.timebase();
    this.#words[W_DEC] = value;
    this.#doubles[D_DEC_START] = now;
    const negative = value < 0;
    this.deadline = negative ? Number.POSITIVE_INFINITY : now + value + 1;
    this.#onChange(negative);
  }

  /** The time base at which it becomes negative, or became. */
  get expiry(): number {
    return (this.#doubles[D_DEC_START] as number) + (this.#words[W_DEC] as number) + 1;
  }

  set expiry(ticks: number) {
    const left = ticks - 1 - this.#time.timebase();
    this.write(Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, left)));
  }

  /** Ticks that the time base is ahead of the clock. */
  get timebaseOffset(): number {
    return this.#time.offset;
  }

  /** Moves the time base; decrementer and virtual time base go on from what they show. */
  set timebaseOffset(ticks: number) {
    const moved = ticks - this.#time.offset;
    this.#time.offset = ticks;
    this.#doubles[D_DEC_START] = (this.#doubles[D_DEC_START] as number) + moved;
    this.#doubles[D_VTB_START] = (this.#doubles[D_VTB_START] as number) + moved;
    this.deadline += moved;
  }

  /** Ticks of the virtual time base, which counts as the time base does. */
  virtualTime(): number {
    return this.#time.timebase() - (this.#doubles[D_VTB_START] as number);
  }

  setVirtualTime(ticks: number): void {
    this.#doubles[D_VTB_START] = this.#time.timebase() - ticks;
  }
}
