/**
 * The virtual time base (Power ISA 2.07 Book III-S, 7.2): time that the guest's processor had. It stands still while the
 * guest waits for an interrupt. While the host itself is kept from its work (a process that is stopped, a computer that
 * sleeps), neither is the guest's processor there: operating systems take this register for what they watch themselves by.
 */
import type { GuestTime } from '../time.ts';
import { D_VTB, D_VTB_SEEN, DOUBLE_COUNT, DOUBLES } from './layout.ts';

/** A host that has not looked at the clock for longer than this was not there. */
const AWAY_NS = 1e9;

export class VirtualTime {
  readonly #doubles: Float64Array;
  readonly #time: GuestTime;
  readonly #mostTicks: number;

  constructor(buffer: ArrayBufferLike, base: number, time: GuestTime) {
    this.#doubles = new Float64Array(buffer, base + DOUBLES, DOUBLE_COUNT);
    this.#time = time;
    this.#mostTicks = Math.ceil(AWAY_NS * time.ticksPerNanosecond);
    this.reset();
  }

  reset(): void {
    this.#doubles[D_VTB] = 0;
    this.stop();
  }

  /** A look at the time base. */
  advance(now: number): void {
    const doubles = this.#doubles;
    const seen = doubles[D_VTB_SEEN] as number;
    doubles[D_VTB_SEEN] = now;
    if (now > seen) doubles[D_VTB] = (doubles[D_VTB] as number) + Math.min(now - seen, this.#mostTicks);
  }

  /** The guest waits from here on, until the next look; or the time base is moved. */
  stop(): void {
    this.#doubles[D_VTB_SEEN] = Number.NaN;
  }

  /** The guest begins to wait. */
  halt(): void {
    this.advance(this.#time.timebase());
    this.stop();
  }

  /** Ticks; where the guest runs, `advance` comes first. */
  get ticks(): number {
    return this.#doubles[D_VTB] as number;
  }

  set ticks(count: number) {
    this.#doubles[D_VTB] = count;
  }

  /** Ticks, and whether it runs. */
  save(): { readonly vtb: number; readonly vtbRuns: boolean } {
    const vtbRuns = !Number.isNaN(this.#doubles[D_VTB_SEEN]);
    return { vtb: vtbRuns ? this.read() : this.ticks, vtbRuns };
  }

  restore({ vtb, vtbRuns }: ReturnType<VirtualTime['save']>): void {
    this.#doubles[D_VTB] = vtb;
    this.#doubles[D_VTB_SEEN] = vtbRuns ? this.#time.timebase() : Number.NaN;
  }

  read(): number {
    // One that stands still is not set going by who asks.
    if (!Number.isNaN(this.#doubles[D_VTB_SEEN])) this.advance(this.#time.timebase());
    return this.ticks;
  }
}
