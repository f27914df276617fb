import { type Device, type DeviceSpec, type DeviceState, savedNumber, savedPart, savedRegisters } from '../device.ts';
import { Calendar } from './calendar.ts';
import type { I2cHost, I2cSlave } from './i2c.ts';

/** Registers (Maxim DS1338 data sheet, "RTC and RAM Address Map"), in BCD; RAM behind them. */
const SECONDS = 0;
const HOURS = 2;
const DAY = 3;
const YEAR = 6;
const CONTROL = 7;
const REGISTERS = 64;

const SECONDS_HALT = 0x80; // the clock stands still
const HOURS_12 = 0x40; // twelve hours, with
const HOURS_PM = 0x20;
const CONTROL_OUT = 0x80;
const CONTROL_OSF = 0x20; // the oscillator was stopped; only ever cleared
const CONTROL_WRITABLE = 0xb3;

/** Years count from here. */
const CENTURY = 2000;
const DAY_SECONDS = 86400;

const toBcd = (value: number): number => (Math.floor(value / 10) << 4) | (value % 10);
/** Digits that are none count on, as the chip's adders do. */
const fromBcd = (byte: number): number => (byte >>> 4) * 10 + (byte & 15);

/** A calendar clock with 56 bytes of RAM, on an I2C bus. */
export class Ds1338 implements Device, I2cSlave {
  readonly #calendar: Calendar;
  readonly #bytes = new Uint8Array(REGISTERS);
  #pointer = 0;
  /** The first byte of a transfer sets the pointer. */
  #isAddressing = false;
  /** What the guest's week day is, above the calendar's. */
  #dayOffset = 0;

  constructor(calendar: Calendar) {
    this.#calendar = calendar;
    this.#bytes[CONTROL] = CONTROL_OUT | 0x03;
  }

  /** The clock's registers are those of one moment while they are read. */
  #capture(): void {
    const bytes = this.#bytes;
    if (((bytes[SECONDS] as number) & SECONDS_HALT) !== 0) return;
    const date = new Date(Math.floor(this.#calendar.seconds) * 1000);
    const hours = date.getUTCHours();
    const is12 = ((bytes[HOURS] as number) & HOURS_12) !== 0;
    bytes[SECONDS] = toBcd(date.getUTCSeconds());
    bytes[1] = toBcd(date.getUTCMinutes());
    bytes[HOURS] = is12 ? HOURS_12 | (hours >= 12 ? HOURS_PM : 0) | toBcd(hours % 12 || 12) : toBcd(hours);
    bytes[DAY] = ((date.getUTCDay() + this.#dayOffset) % 7) + 1;
    bytes[4] = toBcd(date.getUTCDate());
    bytes[5] = toBcd(date.getUTCMonth() + 1);
    bytes[YEAR] = toBcd(date.getUTCFullYear() % 100);
  }

  /** The calendar follows what the guest has written. */
  #set(): void {
    const bytes = this.#bytes;
    const byte = (index: number): number => bytes[index] as number;
    const hours = byte(HOURS);
    const hour =
      (hours & HOURS_12) === 0
        ? fromBcd(hours & 0x3f)
        : (fromBcd(hours & 0x1f) % 12) + ((hours & HOURS_PM) !== 0 ? 12 : 0);
    const year = CENTURY + fromBcd(byte(YEAR));
    const seconds =
      Date.UTC(
        year,
        fromBcd(byte(5) & 0x1f) - 1,
        fromBcd(byte(4) & 0x3f),
        hour,
        fromBcd(byte(1) & 0x7f),
        fromBcd(byte(SECONDS) & 0x7f),
      ) / 1000;
    this.#calendar.seconds = seconds;
    this.#dayOffset = ((byte(DAY) & 7) + 6 - weekDay(seconds) + 7) % 7;
  }

  start(isRead: boolean): void {
    this.#isAddressing = !isRead;
    if (isRead) this.#capture();
  }

  write(byte: number): boolean {
    if (this.#isAddressing) {
      this.#pointer = byte % REGISTERS;
      this.#isAddressing = false;
      return true;
    }
    const bytes = this.#bytes;
    const at = this.#pointer;
    if (at <= YEAR) {
      // The other registers are those of now.
      this.#capture();
      bytes[at] = byte;
      this.#set();
    } else if (at === CONTROL) {
      const stopped = (bytes[CONTROL] as number) & byte & CONTROL_OSF;
      bytes[CONTROL] = (byte & CONTROL_WRITABLE & ~CONTROL_OSF) | stopped;
    } else bytes[at] = byte;
    this.#advance();
    return true;
  }

  read(): number {
    const byte = this.#bytes[this.#pointer] as number;
    this.#advance();
    return byte;
  }

  #advance(): void {
    this.#pointer = (this.#pointer + 1) % REGISTERS;
    if (this.#pointer === 0) this.#capture();
  }

  /** Its battery keeps it going. */
  reset(): void {
    this.#pointer = 0;
    this.#isAddressing = false;
  }

  save(): DeviceState {
    return {
      bytes: Array.from(this.#bytes),
      pointer: this.#pointer,
      addressing: this.#isAddressing ? 1 : 0,
      dayOffset: this.#dayOffset,
      calendar: this.#calendar.save(),
    };
  }

  restore(state: DeviceState): void {
    const bytes = savedRegisters(state, 'bytes', REGISTERS);
    this.#calendar.restore(savedPart(state, 'calendar'));
    this.#pointer = savedNumber(state, 'pointer') % REGISTERS;
    this.#isAddressing = savedNumber(state, 'addressing') !== 0;
    this.#dayOffset = savedNumber(state, 'dayOffset') % 7;
    this.#bytes.set(bytes);
  }

  restored(): void {
    this.#calendar.restored();
  }
}

/** 0: Sunday. The first of January 1970 was a Thursday. */
function weekDay(seconds: number): number {
  return (((Math.floor(seconds / DAY_SECONDS) + 4) % 7) + 7) % 7;
}

/** The clock on a board. `bus`: name of the controller, which stands before it in the board's list; `path`: its node. */
export function ds1338(options: {
  name: string;
  bus: string;
  path: string;
  compatible: string;
  address: number;
}): DeviceSpec {
  const { name, bus, path, compatible, address } = options;
  return {
    name,
    node: { path: `${path}/rtc@${address.toString(16)}`, properties: { compatible, reg: [address] } },
    create: ({ clock, world, device }) => {
      const chip = new Ds1338(new Calendar(clock, () => world.unixTime()));
      (device(bus) as Device & I2cHost).i2c.attach(address, chip);
      return chip;
    },
  };
}
