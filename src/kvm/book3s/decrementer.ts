/** The guest's decrementer (Power ISA 2.07 Book III-S, 7.3). Nothing ticks: what it shows follows from the time base. */
import type { GuestTime } from '../time.ts';
import { D_DEC_START, DOUBLE_COUNT, DOUBLES, W_DEC } from './layout.ts';

export class Decrementer {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #time: GuestTime;
  readonly #onChange: (pending: boolean) => void;
  /** Time base at which the decrementer's sign changes next. */
  deadline = Number.POSITIVE_INFINITY;

  /** `onChange` hears whether the interrupt is pending: it is as long as DEC's sign is set. */
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
    this.write(0x7fff_ffff);
  }

  /** What a slice's end calls, with the time base. */
  poll(now: number): void {
    if (now >= this.deadline) this.#follow(now);
  }

  /** What is not in the registers. */
  save(): { readonly decStart: number } {
    return { decStart: this.#doubles[D_DEC_START] as number };
  }

  /** Takes what `save` gave, after the registers were replaced. */
  restore({ decStart }: ReturnType<Decrementer['save']>): void {
    this.#doubles[D_DEC_START] = decStart;
    this.#follow(this.#time.timebase());
  }

  read(): number {
    return this.#value(this.#time.timebase());
  }

  /** mtdec. A negative value interrupts at once (the reference waits for it to count through). */
  write(value: number): void {
    const now = this.#time.timebase();
    this.#words[W_DEC] = value;
    this.#doubles[D_DEC_START] = now;
    this.#follow(now);
  }

  #value(now: number): number {
    return ((this.#words[W_DEC] as number) - (now - (this.#doubles[D_DEC_START] as number))) | 0;
  }

  /** The exception is there as long as the sign is set: it comes when DEC counts below 0, and goes when it wraps or is written. */
  #follow(now: number): void {
    const value = this.#value(now);
    this.deadline = now + value + 1 + (value < 0 ? 2 ** 31 : 0);
    this.#onChange(value < 0);
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

  /** Moves the time base; the decrementer goes on from what it shows. */
  set timebaseOffset(ticks: number) {
    const moved = ticks - this.#time.offset;
    this.#time.offset = ticks;
    this.#doubles[D_DEC_START] = (this.#doubles[D_DEC_START] as number) + moved;
    this.deadline += moved;
  }
}
