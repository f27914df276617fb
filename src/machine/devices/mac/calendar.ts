import type { Wiring } from '../../device.ts';
import { Calendar } from '../calendar.ts';

/** Macs count seconds from 1 January 1904, in 32 bits. */
const FROM_1904_TO_1970 = 2_082_844_800;

/** The calendar in a system controller. */
export class MacCalendar extends Calendar {
  constructor({ clock, world }: Pick<Wiring, 'clock' | 'world'>) {
    super(clock, () => world.unixTime());
  }

  /** The seconds as the four bytes of an answer. */
  bytes(): number[] {
    const count = Math.floor(this.seconds + FROM_1904_TO_1970) >>> 0;
    return [count >>> 24, (count >>> 16) & 0xff, (count >>> 8) & 0xff, count & 0xff];
  }

  setBytes([a = 0, b = 0, c = 0, d = 0]: readonly number[]): void {
    this.seconds = (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) - FROM_1904_TO_1970;
  }
}
