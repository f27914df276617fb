import { type DeviceState, savedNumber, savedPart, savedReal, savedRegisters } from '../../device.ts';
import type { InterruptLine } from '../../interrupts.ts';

/** Registers (MOS 6522 data sheet, table 1). */
const B = 0;
const A = 1;
const DIRECTION_B = 2;
const DIRECTION_A = 3;
const T1_COUNTER_LOW = 4;
const T1_COUNTER_HIGH = 5;
const T1_LATCH_LOW = 6;
const T1_LATCH_HIGH = 7;
const T2_LOW = 8;
const T2_HIGH = 9;
const SHIFT = 10;
const AUXILIARY = 11;
const PERIPHERAL = 12;
const FLAGS = 13;
const A_NO_HANDSHAKE = 15;

/** Registers stand so far apart in a macio chip. */
const REGISTER_SHIFT = 9;
export const VIA_BYTES = 0x2000;

/** Interrupt flags. */
const SHIFTED = 0x04;
const T2 = 0x20;
const T1 = 0x40;
const ANY = 0x80;

/** Auxiliary control: the shift register shifts out; timer 1 runs freely. */
export const SHIFT_OUT = 0x10;
const T1_FREE_RUN = 0x40;

/** Ticks a second: 4.7 MHz by six, to the digit that Mac OS X has when it measures the time base by it. */
const TIMER_HZ = 0xbf401675e5d / 2 ** 24;

/** What is later than this is late. */
const LATE_NS = 200_000;

/** A timer counts down from what it was loaded with. Times are nanoseconds of the guest's clock. */
interface Timer {
  latch: number;
  loaded: number;
  loadTime: number;
  /** It raises its flag at this time, if it has not for this load. */
  due: number;
}

/** The versatile interface adapter, to whose port B and shift register a system controller is wired. */
export class Via {
  /** Port B as the guest sees it: what it drives, and what the controller does. */
  b = 0;
  shift = 0;
  readonly #now: () => number;
  readonly #line: InterruptLine;
  readonly #portWritten: () => void;
  readonly #initialB: number;
  #a = 0;
  #directionB = 0xff;
  #directionA = 0;
  #auxiliary = 0;
  #peripheral = 0;
  #flags = 0;
  #enable = 0;
  readonly #t1: Timer = { latch: 0xffff, loaded: 0xffff, loadTime: 0, due: Number.POSITIVE_INFINITY };
  readonly #t2: Timer = { latch: 0xffff, loaded: 0xffff, loadTime: 0, due: Number.POSITIVE_INFINITY };
  /** When a byte is through the shift register. */
  #shifted = Number.POSITIVE_INFINITY;

  /** `portWritten`: called when the guest has written port B; `initialB`: the port's level after a reset. */
  constructor(line: InterruptLine, now: () => number, portWritten: () => void, initialB: number) {
    this.#line = line;
    this.#now = now;
    this.#portWritten = portWritten;
    this.#initialB = initialB;
  }

  get shiftsOut(): boolean {
    return (this.#auxiliary & SHIFT_OUT) !== 0;
  }

  /** A byte has gone through the shift register, or will have at a time. */
  hasShifted(at = this.#now()): void {
    this.#shifted = at;
    this.turn();
  }

  /** When the timers or the shift register have something to do. */
  due(): number {
    return Math.min(
      this.#shifted,
      (this.#enable & T1) !== 0 ? this.#t1.due : Number.POSITIVE_INFINITY,
      (this.#enable & T2) !== 0 ? this.#t2.due : Number.POSITIVE_INFINITY,
    );
  }

  turn(): void {
    const now = this.#now();
    if (now >= this.#shifted) {
      this.#shifted = Number.POSITIVE_INFINITY;
      this.#flags |= SHIFTED;
    }
    if (now >= this.#t1.due) {
      this.#flags |= T1;
      // A guest that measures a period by looking is not to see a shorter one because its host was late.
      if (now - this.#t1.due > LATE_NS) this.#startAgain(now);
      this.#t1.due = (this.#auxiliary & T1_FREE_RUN) !== 0 ? this.#nextExpiry(now) : Number.POSITIVE_INFINITY;
    }
    if (now >= this.#t2.due) {
      this.#flags |= T2;
      this.#t2.due = Number.POSITIVE_INFINITY;
    }
    this.#update();
  }

  #update(): void {
    this.#line.set((this.#flags & this.#enable & ~ANY) !== 0);
  }

  #ticks(timer: Timer): number {
    return Math.max(0, Math.floor(((this.#now() - timer.loadTime) / 1e9) * TIMER_HZ));
  }

  #load(timer: Timer, value: number): void {
    timer.loaded = value;
    timer.loadTime = this.#now();
    timer.due = timer.loadTime + ((value + 1.5) / TIMER_HZ) * 1e9;
  }

  /** The timer's period begins now, as if it had passed zero. */
  #startAgain(now: number): void {
    this.#t1.loaded = this.#t1.latch;
    this.#t1.loadTime = now;
  }

  /** When the free-running timer passes zero next: it goes down from its latch to -1. */
  #nextExpiry(now: number): number {
    const { latch, loaded, loadTime } = this.#t1;
    const first = loadTime + ((loaded + 1.5) / TIMER_HZ) * 1e9;
    const period = ((latch + 2) / TIMER_HZ) * 1e9;
    return first + (Math.floor((now - first) / period) + 1) * period;
  }

  #count1(): number {
    const ticks = this.#ticks(this.#t1);
    const { loaded, latch } = this.#t1;
    if (ticks <= loaded + 1) return (loaded - ticks) & 0xffff;
    return (latch - ((ticks - loaded - 1) % (latch + 2))) & 0xffff;
  }

  #count2(): number {
    return (this.#t2.loaded - (this.#ticks(this.#t2) % 0x10000)) & 0xffff;
  }

  read(offset: number): number {
    this.turn();
    switch ((offset >> REGISTER_SHIFT) & 15) {
      case B:
        return this.b;
      case A:
      case A_NO_HANDSHAKE:
        return this.#a;
      case DIRECTION_B:
        return this.#directionB;
      case DIRECTION_A:
        return this.#directionA;
      case T1_COUNTER_LOW:
        this.#clear(T1);
        return this.#count1() & 0xff;
      case T1_COUNTER_HIGH:
        return this.#count1() >> 8;
      case T1_LATCH_LOW:
        return this.#t1.latch & 0xff;
      case T1_LATCH_HIGH:
        return this.#t1.latch >> 8;
      case T2_LOW:
        this.#clear(T2);
        return this.#count2() & 0xff;
      case T2_HIGH:
        return this.#count2() >> 8;
      case SHIFT:
        this.#clear(SHIFTED);
        return this.shift;
      case AUXILIARY:
        return this.#auxiliary;
      case PERIPHERAL:
        return this.#peripheral;
      case FLAGS:
        return this.#flags | ((this.#flags & this.#enable) !== 0 ? ANY : 0);
      default:
        return this.#enable | ANY;
    }
  }

  #clear(flags: number): void {
    this.#flags &= ~flags;
    this.#update();
  }

  write(offset: number, word: number): void {
    const value = word & 0xff;
    this.turn();
    switch ((offset >> REGISTER_SHIFT) & 15) {
      case B:
        this.b = (this.b & ~this.#directionB) | (value & this.#directionB);
        this.#portWritten();
        break;
      case A:
      case A_NO_HANDSHAKE:
        this.#a = (this.#a & ~this.#directionA) | (value & this.#directionA);
        break;
      case DIRECTION_B:
        this.#directionB = value;
        break;
      case DIRECTION_A:
        this.#directionA = value;
        break;
      case T1_COUNTER_LOW:
      case T1_LATCH_LOW:
        this.#t1.latch = (this.#t1.latch & 0xff00) | value;
        break;
      case T1_COUNTER_HIGH:
        this.#t1.latch = (this.#t1.latch & 0xff) | (value << 8);
        this.#load(this.#t1, this.#t1.latch);
        this.#clear(T1);
        break;
      case T1_LATCH_HIGH:
        this.#t1.latch = (this.#t1.latch & 0xff) | (value << 8);
        this.#clear(T1);
        break;
      case T2_LOW:
        this.#t2.latch = (this.#t2.latch & 0xff00) | value;
        break;
      case T2_HIGH:
        this.#t2.latch = (this.#t2.latch & 0xff) | (value << 8);
        this.#load(this.#t2, this.#t2.latch);
        this.#clear(T2);
        break;
      case SHIFT:
        this.shift = value;
        this.#clear(SHIFTED);
        break;
      case AUXILIARY:
        this.#auxiliary = value;
        break;
      case PERIPHERAL:
        this.#peripheral = value;
        break;
      case FLAGS:
        this.#clear(value);
        break;
      default:
        this.#enable = (value & ANY) !== 0 ? this.#enable | (value & ~ANY) : this.#enable & ~value;
        this.#update();
    }
  }

  reset(): void {
    this.b = this.#initialB;
    this.#directionB = 0xff;
    this.#a = this.#directionA = this.shift = this.#auxiliary = this.#peripheral = this.#flags = this.#enable = 0;
    this.#t1.latch = this.#t2.latch = 0xffff;
    this.#load(this.#t1, 0xffff);
    this.#load(this.#t2, 0xffff);
    this.#t1.due = this.#t2.due = this.#shifted = Number.POSITIVE_INFINITY;
    this.#update();
  }

  save(): DeviceState {
    const time = (value: number): number => (value === Number.POSITIVE_INFINITY ? -1 : value);
    const timer = ({ latch, loaded, loadTime, due }: Timer): DeviceState => ({
      latch,
      loaded,
      loadTime,
      due: time(due),
    });
    return {
      registers: [
        this.b,
        this.#a,
        this.#directionB,
        this.#directionA,
        this.shift,
        this.#auxiliary,
        this.#peripheral,
        this.#flags,
        this.#enable,
      ],
      t1: timer(this.#t1),
      t2: timer(this.#t2),
      shifted: time(this.#shifted),
    };
  }

  restore(state: DeviceState): void {
    const registers = savedRegisters(state, 'registers', 9).map((value) => value & 0xff);
    const [b = 0, a = 0, directionB = 0, directionA = 0, shift = 0, auxiliary = 0, peripheral = 0, flags = 0] =
      registers;
    const time = (part: DeviceState, name: string): number => {
      const value = savedReal(part, name, Number.MAX_SAFE_INTEGER);
      return value < 0 ? Number.POSITIVE_INFINITY : value;
    };
    for (const [name, timer] of [
      ['t1', this.#t1],
      ['t2', this.#t2],
    ] as const) {
      const part = savedPart(state, name);
      timer.latch = savedNumber(part, 'latch') & 0xffff;
      timer.loaded = savedNumber(part, 'loaded') & 0xffff;
      timer.loadTime = savedReal(part, 'loadTime', Number.MAX_SAFE_INTEGER);
      timer.due = time(part, 'due');
    }
    this.b = b;
    this.#a = a;
    this.#directionB = directionB;
    this.#directionA = directionA;
    this.shift = shift;
    this.#auxiliary = auxiliary;
    this.#peripheral = peripheral;
    this.#flags = flags & ~ANY;
    this.#enable = (registers[8] as number) & ~ANY;
    this.#shifted = time(state, 'shifted');
    this.#update();
  }
}
