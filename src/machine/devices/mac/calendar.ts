import { type DeviceState, savedReal, type Wiring } from '../../device.ts';

/** Macs count seconds from 1 January 1904. */
const FROM_1904_TO_1970 = 2_082_844_800;
const LIMIT = 2 ** 40;

/** The calendar in a system controller: seconds since 1904, from the host's at the start, going on by the guest's time. */
export class MacCalendar {
  readonly #now: () => number;
  readonly #unixTime: () => number;
  /** Seconds since 1904 at the guest's time 0. */
  #base: number;
  /** The host's time when the state that was restored last was saved. */
  #savedAt = 0;

  constructor({ clock, world }: Pick<Wiring, 'clock' | 'world'>) {
    this.#now = () => clock.now() / 1e9;
    this.#unixTime = () => world.unixTime();
    this.#base = this.#unixTime() + FROM_1904_TO_1970 - this.#now();
  }

  /** 32 bits. */
  get seconds(): number {
    return Math.floor(this.#base + this.#now()) >>> 0;
  }

  set seconds(value: number) {
    this.#base = value - this.#now();
  }

  /** The seconds as the four bytes of an answer. */
  bytes(): number[] {
    const { seconds } = this;
    return [seconds >>> 24, (seconds >>> 16) & 0xff, (seconds >>> 8) & 0xff, seconds & 0xff];
  }

  setBytes([a = 0, b = 0, c = 0, d = 0]: readonly number[]): void {
    this.seconds = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  }

  save(): DeviceState {
    return { seconds: this.#base + this.#now(), hostTime: this.#unixTime() };
  }

  restore(state: DeviceState): void {
    const seconds = savedReal(state, 'seconds', LIMIT);
    this.#savedAt = savedReal(state, 'hostTime', LIMIT);
    this.#base = seconds - this.#now();
  }

  /** The clock has gone on while the machine did not run. */
  restored(): void {
    this.#base += this.#unixTime() - this.#savedAt;
  }
}
