/** mfspr and mtspr of a 32-bit Book3S guest. */
import type { Book3sContext } from '../book3s/context.ts';
import type { Decrementer } from '../book3s/decrementer.ts';
import type { VcpuCounters } from '../stats.ts';
import type { GuestTime } from '../time.ts';
import { readXer, W_SDR1, wordOfClassic, writeXer } from './layout.ts';
import { type ClassicSprs, RIGHT, SPECIAL } from './sprs.ts';

const TWO_32 = 2 ** 32;
const W_THRM3 = wordOfClassic('thrm3');
/** What the thermal sensor measures, always, in degrees; THRM1 and THRM2, and THRM3[E] (MPC750 user's manual, 10.3). */
const TEMPERATURE = 40;
const THRM = {
  TIN: 0x8000_0000 | 0,
  TIV: 0x4000_0000,
  THRESHOLD_SHIFT: 23,
  THRESHOLD: 0x7f,
  TID: 0x4,
  V: 0x1,
  WRITTEN: 0x3f80_0007,
  E: 0x1,
} as const;

export class ClassicSprEmulation {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #table: ClassicSprs;
  readonly #decrementer: Decrementer;
  readonly #time: GuestTime;
  readonly #counters: VcpuCounters;
  readonly #onSdr1: () => void;
  readonly #onBats: () => void;
  readonly #onDebug: () => void;

  constructor(
    context: Book3sContext,
    table: ClassicSprs,
    decrementer: Decrementer,
    time: GuestTime,
    counters: VcpuCounters,
    onSdr1: () => void,
    onBats: () => void,
    onDebug: () => void,
  ) {
    this.#words = context.words;
    this.#context = context;
    this.#table = table;
    this.#decrementer = decrementer;
    this.#time = time;
    this.#counters = counters;
    this.#onSdr1 = onSdr1;
    this.#onBats = onBats;
    this.#onDebug = onDebug;
  }

  /** mfspr into the register at `target`. False: there is no such register, or it may not be read. */
  read(spr: number, target: number): boolean {
    if (!this.#may(spr, RIGHT.READ, RIGHT.USER_READ)) return false;
    (this.#counters.sprs[spr] as number)++;
    this.#words[target] = this.#value(spr);
    return true;
  }

  #value(spr: number): number {
    const words = this.#words;
    switch (this.#table.special[spr]) {
      case SPECIAL.XER:
        return readXer(words);
      case SPECIAL.DEC:
        return this.#decrementer.read();
      case SPECIAL.DSISR:
        return words[this.#context.wDsisr] as number;
      case SPECIAL.TB:
        return (this.#time.timebase() % TWO_32) | 0;
      case SPECIAL.TBU:
        return Math.floor(this.#time.timebase() / TWO_32);
      case SPECIAL.THERMAL:
        return this.#thermal(words[this.#table.word[spr] as number] as number);
      default:
        return words[this.#table.word[spr] as number] as number;
    }
  }

  /** A comparator's register, with what the comparison says where it is made. */
  #thermal(value: number): number {
    if ((value & THRM.V) === 0 || ((this.#words[W_THRM3] as number) & THRM.E) === 0) return value;
    const threshold = (value >>> THRM.THRESHOLD_SHIFT) & THRM.THRESHOLD;
    const exceeds = (value & THRM.TID) !== 0 ? TEMPERATURE < threshold : TEMPERATURE > threshold;
    return value | THRM.TIV | (exceeds ? THRM.TIN : 0);
  }

  /** mtspr. False as for `read`. */
  write(spr: number, value: number): boolean {
    if (!this.#may(spr, RIGHT.WRITE, RIGHT.USER_WRITE)) return false;
    const words = this.#words;
    (this.#counters.sprs[1024 + spr] as number)++;
    const word = this.#table.word[spr] as number;
    const kept = value & (this.#table.mask[spr] as number);
    switch (this.#table.special[spr]) {
      case SPECIAL.FIXED:
        break;
      case SPECIAL.XER:
        writeXer(words, value);
        break;
      case SPECIAL.DEC:
        this.#decrementer.write(value);
        break;
      case SPECIAL.DSISR:
        words[this.#context.wDsisr] = value;
        break;
      case SPECIAL.SDR1:
        words[W_SDR1] = value;
        this.#onSdr1();
        break;
      case SPECIAL.TB:
        this.#setTimebase((timebase) => timebase - (timebase % TWO_32) + (value >>> 0));
        break;
      case SPECIAL.TBU:
        this.#setTimebase((timebase) => (value >>> 0) * TWO_32 + (timebase % TWO_32));
        break;
      case SPECIAL.BAT:
        // Operating systems write what is there already, in loops.
        if (words[word] === kept) break;
        words[word] = kept;
        this.#onBats();
        break;
      case SPECIAL.DEBUG:
        words[word] = value;
        this.#onDebug();
        break;
      case SPECIAL.THERMAL:
        words[word] = value & THRM.WRITTEN;
        break;
      default:
        words[word] = kept;
    }
    return true;
  }

  /** The time base is the operating system's to set; what a double does not tell apart is cut off on the left. */
  #setTimebase(wanted: (timebase: number) => number): void {
    const timebase = this.#time.timebase();
    const ticks = wanted(timebase) % 2 ** 53;
    this.#decrementer.timebaseOffset += ticks - timebase;
  }

  #may(spr: number, right: number, userRight: number): boolean {
    return ((this.#table.rights[spr] as number) & (this.#context.user ? userRight : right)) !== 0;
  }
}
