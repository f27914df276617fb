/**
 * The guest's decrementer, fixed-interval timer and watchdog (PowerPC 440 User's Manual, chapter "Timer Facilities").
 * Nothing ticks: what they show follows from the time base whenever somebody looks.
 */
import type { GuestTime } from '../time.ts';
import { TCR, TSR } from './bits.ts';
import { D_DEC_START, D_TIMERS_SEEN, DOUBLE_COUNT, DOUBLES, W_DEC, W_DECAR, W_TCR, W_TSR } from './layout.ts';

/** How many 0-to-1 transitions the time base bit of weight 2^exponent has made up to a time. */
function transitions(timebase: number, exponent: number): number {
  return Math.floor((timebase + 2 ** exponent) / 2 ** (exponent + 1));
}

/** The first time after `timebase` at which the bit goes from 0 to 1. */
function nextTransition(timebase: number, exponent: number): number {
  return transitions(timebase, exponent) * 2 ** (exponent + 1) + 2 ** exponent;
}

/** Exponents of the time base bits whose transitions from 0 to 1 are events, as TCR selects them. */
export interface TimerPeriods {
  fit(tcr: number): number;
  watchdog(tcr: number): number;
}

/** The 440's: TCR[FP], bits 19, 15, 11, 7 of TBL; TCR[WP], bits 11, 7, 3 of TBL, bit 31 of TBU. */
export const PERIODS_440: TimerPeriods = {
  fit: (tcr) => 12 + 4 * ((tcr >>> TCR.FP_SHIFT) & 3),
  watchdog: (tcr) => 20 + 4 * (tcr >>> TCR.WP_SHIFT),
};

/** The e500's: TCR[FPEXT,FP] and TCR[WPEXT,WP] number any bit of the time base, from the left. */
export const PERIODS_E500: TimerPeriods = {
  fit: (tcr) => 63 - (((tcr >>> 11) & 0x3c) | ((tcr >>> TCR.FP_SHIFT) & 3)),
  watchdog: (tcr) => 63 - (((tcr >>> 15) & 0x3c) | (tcr >>> TCR.WP_SHIFT)),
};

export class BookeTimers {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #time: GuestTime;
  readonly #onChange: () => void;
  readonly #periods: TimerPeriods;
  /** Time base at which the next enabled timer interrupt is due; Infinity: none. */
  deadline = Number.POSITIVE_INFINITY;
  /** The watchdog expired for the third time with TCR[WRC] set: the processor resets. */
  watchdogReset = false;

  /** `onChange` hears that TSR or TCR may have changed. */
  constructor(
    words: Int32Array,
    buffer: ArrayBufferLike,
    base: number,
    time: GuestTime,
    onChange: () => void,
    periods: TimerPeriods,
  ) {
    this.#periods = periods;
    this.#words = words;
    this.#doubles = new Float64Array(buffer, base + DOUBLES, DOUBLE_COUNT);
    this.#time = time;
    this.#onChange = onChange;
  }

  reset(): void {
    this.watchdogReset = false;
    this.#doubles[D_DEC_START] = 0;
    this.#doubles[D_TIMERS_SEEN] = this.#time.timebase();
    this.#rearm();
  }

  /** What is not in the registers. */
  save(): { readonly decStart: number; readonly timersSeen: number; readonly watchdogReset: boolean } {
    return {
      decStart: this.#doubles[D_DEC_START] as number,
      timersSeen: this.#doubles[D_TIMERS_SEEN] as number,
      watchdogReset: this.watchdogReset,
    };
  }

  /** Takes what `save` gave, after the registers were replaced. */
  restore({ decStart, timersSeen, watchdogReset }: ReturnType<BookeTimers['save']>): void {
    this.#doubles[D_DEC_START] = decStart;
    this.#doubles[D_TIMERS_SEEN] = timersSeen;
    this.watchdogReset = watchdogReset;
    this.#rearm();
  }

  /** Sets TSR from what has passed since the last look. */
  update(): void {
    const now = this.#time.timebase();
    const words = this.#words;
    const doubles = this.#doubles;
    const before = words[W_TSR] as number;
    let tsr = before;
    const dec = (words[W_DEC] as number) >>> 0;
    if (dec !== 0) {
      const start = doubles[D_DEC_START] as number;
      const over = now - start - dec;
      if (over >= 0) {
        tsr |= TSR.DIS;
        const reload = (words[W_DECAR] as number) >>> 0;
        if (((words[W_TCR] as number) & TCR.ARE) !== 0 && reload !== 0) {
          doubles[D_DEC_START] = start + dec + Math.floor(over / reload) * reload;
          words[W_DEC] = reload;
        } else words[W_DEC] = 0;
      }
    }
    const seen = doubles[D_TIMERS_SEEN] as number;
    if (now !== seen) {
      doubles[D_TIMERS_SEEN] = now;
      const fit = this.#periods.fit(this.#words[W_TCR] as number);
      if (transitions(now, fit) > transitions(seen, fit)) tsr |= TSR.FIS;
      // One step at most: a host that slept for long must not fire a watchdog that the guest had no chance to serve.
      const watchdog = this.#periods.watchdog(this.#words[W_TCR] as number);
      if (transitions(now, watchdog) > transitions(seen, watchdog)) {
        if ((tsr & TSR.ENW) === 0) tsr |= TSR.ENW;
        else if ((tsr & TSR.WIS) === 0) tsr |= TSR.WIS;
        else if (((words[W_TCR] as number) & TCR.WRC) !== 0) {
          tsr = (tsr & ~TSR.WRS) | ((words[W_TCR] as number) & TCR.WRC);
          this.watchdogReset = true;
        }
      }
    }
    words[W_TSR] = tsr;
    this.#rearm();
    if (tsr !== before) this.#onChange();
  }

  /** Updates only if something is due: what a slice's end calls. */
  poll(): void {
    if (this.#time.timebase() >= this.deadline) this.update();
  }

  readDec(): number {
    this.update();
    const dec = (this.#words[W_DEC] as number) >>> 0;
    if (dec === 0) return 0;
    return (dec - (this.#time.timebase() - (this.#doubles[D_DEC_START] as number))) | 0;
  }

  /** mtdec. Zero stops the decrementer without an interrupt. */
  writeDec(value: number): void {
    this.update();
    this.#words[W_DEC] = value;
    this.#doubles[D_DEC_START] = this.#time.timebase();
    this.#rearm();
  }

  readTsr(): number {
    this.update();
    return this.#words[W_TSR] as number;
  }

  /** TSR bits are cleared by writing ones. */
  clearTsr(bits: number): void {
    this.update();
    this.#words[W_TSR] = (this.#words[W_TSR] as number) & ~bits;
    this.#rearm();
    this.#onChange();
  }

  /** Sets TSR as it is (user space). */
  writeTsr(value: number): void {
    this.#words[W_TSR] = value;
    this.#rearm();
    this.#onChange();
  }

  /** TCR[WRC] can be set, but only a reset clears it. */
  writeTcr(value: number): void {
    this.update();
    const wrc = (this.#words[W_TCR] as number) & TCR.WRC;
    this.#words[W_TCR] = wrc !== 0 ? (value & ~TCR.WRC) | wrc : value;
    this.#rearm();
    this.#onChange();
  }

  writeDecar(value: number): void {
    this.update();
    this.#words[W_DECAR] = value;
  }

  /** The guest writes its time base: the decrementer goes on, the bits of FIT and watchdog start from the new value. */
  writeTimebase(ticks: number): void {
    this.moveTimebase(ticks - this.#time.timebase());
  }

  /** Ticks that the time base is ahead of the clock. */
  get timebaseOffset(): number {
    return this.#time.offset;
  }

  /** Moves the time base by so many ticks, as `writeTimebase` does. */
  moveTimebase(moved: number): void {
    this.update();
    this.#time.offset += moved;
    this.#doubles[D_DEC_START] = (this.#doubles[D_DEC_START] as number) + moved;
    this.#doubles[D_TIMERS_SEEN] = this.#time.timebase();
    this.#rearm();
  }

  #rearm(): void {
    const tcr = this.#words[W_TCR] as number;
    const tsr = this.#words[W_TSR] as number;
    let deadline = Number.POSITIVE_INFINITY;
    const dec = (this.#words[W_DEC] as number) >>> 0;
    if ((tcr & TCR.DIE) !== 0 && (tsr & TSR.DIS) === 0 && dec !== 0)
      deadline = (this.#doubles[D_DEC_START] as number) + dec;
    const seen = this.#doubles[D_TIMERS_SEEN] as number;
    if ((tcr & TCR.FIE) !== 0 && (tsr & TSR.FIS) === 0)
      deadline = Math.min(deadline, nextTransition(seen, this.#periods.fit(this.#words[W_TCR] as number)));
    if ((tcr & (TCR.WIE | TCR.WRC)) !== 0) {
      const next = nextTransition(seen, this.#periods.watchdog(this.#words[W_TCR] as number));
      if ((tsr & TSR.WIS) === 0 || (tcr & TCR.WRC) !== 0) deadline = Math.min(deadline, next);
    }
    this.deadline = deadline;
  }
}
