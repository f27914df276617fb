import {
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  type MmioRegion,
  savedNumber,
  savedNumbers,
  savedPart,
  savedReal,
  type TimedDevice,
  type Wiring,
} from '../../device.ts';
import type { InterruptLine } from '../../interrupts.ts';
import { AdbBus } from './adb.ts';
import { MacCalendar } from './calendar.ts';
import { pmuLengths, VARIABLE } from './pmu-lengths.ts';
import { Via } from './via.ts';

/** Port B: acknowledge is the PMU's, request the guest's; both active low. */
const TACK = 0x08;
const TREQ = 0x10;

/** Commands (Linux's pmu.h). */
const COMMAND = {
  POWER_EVENTS: 0x8f,
  ADB: 0x20,
  ADB_POLL_OFF: 0x21,
  SET_RTC: 0x30,
  READ_RTC: 0x38,
  SET_INT_MASK: 0x70,
  INT_ACK: 0x78,
  SHUTDOWN: 0x7e,
  RESET: 0xd0,
  GET_COVER: 0xdc,
  SYSTEM_READY: 0xdf,
  DOWNLOAD_STATUS: 0xe2,
  GET_VERSION: 0xea,
} as const;

/** Interrupt bits. */
const INT_ADB_AUTO = 0x04;
const INT_ADB = 0x10;
const INT_TICK = 0x80;

/** What SHUTDOWN must be told. */
const MATT = [0x4d, 0x41, 0x54, 0x54] as const;
/** First words of the ADB command that turns autopolling on. */
const AUTOPOLL = [0x00, 0x86] as const;
const FIRMWARE = 1;
/** No firmware can be loaded. */
const DOWNLOAD_IDLE = 0x62;

const BUFFER_BYTES = 255;
const POLL_NS = 20e6;
const SECOND_NS = 1e9;

/** What the guest is in the midst of. */
const IDLE = 0;
const SENDING = 1;
const READING = 2;

/** The power management unit: power and reset, calendar, and ADB where the machine has one, behind a VIA's shift register. */
export class Pmu implements TimedDevice {
  readonly adb: AdbBus | undefined;
  readonly #via: Via;
  readonly #calendar: MacCalendar;
  readonly #clock: Wiring['clock'];
  readonly #power: Wiring['power'];
  /** Its own interrupt, by way of a GPIO of the chip. */
  readonly #external: InterruptLine;
  #lastB = 0;
  #phase = IDLE;
  #command = 0;
  #commandLength = 0;
  #replyLength = 0;
  #bytes: number[] = [];
  #reply: number[] = [];
  #replied = 0;
  #pending = 0;
  #mask = 0;
  #adbReply: number[] = [];
  /** Devices that are asked by themselves; 0: none. */
  #pollMask = 0;
  #nextPoll = Number.POSITIVE_INFINITY;
  #nextSecond = 0;

  constructor(
    lines: readonly [via: InterruptLine, external: InterruptLine],
    wiring: Pick<Wiring, 'clock' | 'world' | 'power'>,
    hasAdb: boolean,
  ) {
    this.#clock = wiring.clock;
    this.#power = wiring.power;
    this.#external = lines[1];
    this.adb = hasAdb ? new AdbBus() : undefined;
    this.#calendar = new MacCalendar(wiring);
    this.#via = new Via(
      lines[0],
      () => wiring.clock.now(),
      () => this.#portWritten(),
      TACK | TREQ,
    );
    this.mmio = [
      {
        read: (offset) => this.#via.read(offset),
        write: (offset, _length, value) => this.#via.write(offset, value),
      },
    ];
  }

  readonly mmio: readonly MmioRegion[];

  key(name: string, isDown: boolean): boolean {
    return this.adb?.keyboard.key(name, isDown) ?? false;
  }

  move(x: number, y: number, buttons: number): void {
    this.adb?.mouse.move(x, y, buttons);
  }

  due(): number {
    // A tick that nobody is told of changes nothing.
    const tick = (this.#mask & INT_TICK) !== 0 ? this.#nextSecond : Number.POSITIVE_INFINITY;
    return Math.min(this.#via.due(), this.#nextPoll, tick);
  }

  turn(): void {
    this.#via.turn();
    const now = this.#clock.now();
    if (now >= this.#nextSecond) {
      this.#nextSecond = now + SECOND_NS - ((now - this.#nextSecond) % SECOND_NS);
      this.#pending |= INT_TICK;
    }
    if (now >= this.#nextPoll) {
      this.#nextPoll = now + POLL_NS;
      const answer =
        (this.#pending & INT_ADB) === 0 && this.#phase === IDLE ? this.adb?.poll(this.#pollMask) : undefined;
      if (answer !== undefined) {
        this.#adbReply = answer;
        this.#pending |= INT_ADB | INT_ADB_AUTO;
      }
    }
    this.#update();
  }

  #update(): void {
    this.#external.set((this.#pending & this.#mask) !== 0);
  }

  #portWritten(): void {
    const via = this.#via;
    if (via.b === this.#lastB) return;
    const handshake = via.b & (TREQ | TACK);
    if (handshake === TREQ) {
      // The guest has taken the acknowledgement.
      via.b |= TACK;
      this.#lastB = via.b;
      return;
    }
    this.#lastB = via.b;
    if (handshake !== TACK) return;
    via.b &= ~TACK;
    this.#lastB = via.b;
    this.#step();
  }

  /** One byte more, in one direction or the other. */
  #step(): void {
    const via = this.#via;
    if (via.shiftsOut === (this.#phase === READING)) return;
    switch (this.#phase) {
      case IDLE: {
        this.#command = via.shift;
        const [send, receive] = pmuLengths(this.#command);
        this.#commandLength = send;
        this.#replyLength = receive;
        this.#bytes = [];
        this.#reply = [];
        this.#replied = 0;
        this.#phase = SENDING;
        break;
      }
      case SENDING:
        if (this.#commandLength === VARIABLE) this.#commandLength = via.shift;
        else if (this.#bytes.length < BUFFER_BYTES) this.#bytes.push(via.shift);
        break;
      default:
        if (this.#replyLength === VARIABLE) via.shift = this.#replyLength = this.#reply.length;
        else via.shift = this.#reply[this.#replied++] ?? 0;
    }
    via.hasShifted();
    if (this.#phase === SENDING && this.#commandLength === this.#bytes.length) {
      this.#reply = this.#run(this.#command, this.#bytes).slice(0, BUFFER_BYTES);
      this.#phase = READING;
    }
    if (this.#phase === READING && this.#replyLength === this.#replied) this.#phase = IDLE;
  }

  /** Does a command and answers its reply; what it does not know is answered by zeroes. */
  #run(command: number, bytes: readonly number[]): number[] {
    switch (command) {
      case COMMAND.INT_ACK:
        return this.#acknowledge();
      case COMMAND.SET_INT_MASK:
        this.#mask = bytes[0] ?? 0;
        this.#update();
        return [];
      case COMMAND.ADB:
        this.#adbCommand(bytes);
        return [];
      case COMMAND.ADB_POLL_OFF:
        this.#setPolling(0);
        return [];
      case COMMAND.READ_RTC:
        return this.#calendar.bytes();
      case COMMAND.SET_RTC:
        this.#calendar.setBytes(bytes);
        return [];
      case COMMAND.SHUTDOWN:
        if (MATT.every((byte, i) => bytes[i] === byte)) this.#power.press('shutdown');
        return [0];
      case COMMAND.RESET:
        this.#power.press('reset');
        return [];
      case COMMAND.GET_VERSION:
        return [FIRMWARE];
      case COMMAND.DOWNLOAD_STATUS:
        return [DOWNLOAD_IDLE];
      case COMMAND.GET_COVER:
        return [0];
      case COMMAND.POWER_EVENTS:
        // Asked what may power the machine up (kind 0) or wake it (3): nothing.
        return (bytes[0] ?? 0) % 3 === 0 ? [0, 0] : [];
      default:
        return new Array(Math.max(0, this.#replyLength)).fill(0);
    }
  }

  #acknowledge(): number[] {
    const isAdb = (this.#pending & INT_ADB) !== 0;
    const reply = isAdb ? [this.#pending & (INT_ADB | INT_ADB_AUTO), ...this.#adbReply] : [this.#pending];
    this.#pending &= isAdb ? ~(INT_ADB | INT_ADB_AUTO) : 0;
    this.#adbReply = [];
    this.#update();
    return reply;
  }

  #setPolling(mask: number): void {
    this.#pollMask = mask;
    this.#nextPoll = mask !== 0 && this.adb !== undefined ? this.#clock.now() + POLL_NS : Number.POSITIVE_INFINITY;
  }

  /** Command, flags, length, bytes; its answer comes by the interrupt. */
  #adbCommand(bytes: readonly number[]): void {
    if (this.adb === undefined || bytes.length < 2) return;
    if (bytes[0] === AUTOPOLL[0] && bytes[1] === AUTOPOLL[1]) {
      if (bytes.length === 4) this.#setPolling(((bytes[2] as number) << 8) | (bytes[3] as number));
      return;
    }
    const [command = 0, , length = 0] = bytes;
    const answer = length <= bytes.length - 3 ? this.adb.request(command, bytes.slice(3, 3 + length)) : undefined;
    this.#adbReply = answer === undefined || answer.length === 0 ? [0] : [command, answer.length, ...answer];
    this.#pending |= INT_ADB;
    this.#update();
  }

  reset(): void {
    this.#via.reset();
    this.adb?.reset();
    this.#lastB = this.#via.b;
    this.#phase = IDLE;
    this.#command = this.#commandLength = this.#replyLength = this.#replied = this.#pending = 0;
    this.#bytes = [];
    this.#reply = [];
    this.#adbReply = [];
    this.#mask = INT_ADB | INT_TICK;
    this.#nextSecond = this.#clock.now() + SECOND_NS;
    this.#setPolling(0);
    this.#update();
  }

  save(): DeviceState {
    return {
      via: this.#via.save(),
      ...(this.adb && { adb: this.adb.save() }),
      calendar: this.#calendar.save(),
      lastB: this.#lastB,
      phase: this.#phase,
      command: this.#command,
      // A length that is still to come is one more than any.
      commandLength: this.#commandLength === VARIABLE ? BUFFER_BYTES + 1 : this.#commandLength,
      replyLength: this.#replyLength === VARIABLE ? BUFFER_BYTES + 1 : this.#replyLength,
      bytes: [...this.#bytes],
      reply: [...this.#reply],
      replied: this.#replied,
      pending: this.#pending,
      mask: this.#mask,
      adbReply: [...this.#adbReply],
      pollMask: this.#pollMask,
      nextPoll: this.#pollMask === 0 ? 0 : this.#nextPoll,
      nextSecond: this.#nextSecond,
    };
  }

  restore(state: DeviceState): void {
    const bytes = (name: string): number[] => savedNumbers(state, name, BUFFER_BYTES).map((byte) => byte & 0xff);
    const length = (name: string): number => {
      const value = savedNumber(state, name);
      return value > BUFFER_BYTES ? VARIABLE : value;
    };
    this.#via.restore(savedPart(state, 'via'));
    this.adb?.restore(savedPart(state, 'adb'));
    this.#calendar.restore(savedPart(state, 'calendar'));
    this.#lastB = savedNumber(state, 'lastB') & 0xff;
    this.#phase = Math.min(savedNumber(state, 'phase'), READING);
    this.#command = savedNumber(state, 'command') & 0xff;
    this.#commandLength = length('commandLength');
    this.#replyLength = length('replyLength');
    this.#bytes = bytes('bytes');
    this.#reply = bytes('reply');
    this.#replied = Math.min(savedNumber(state, 'replied'), BUFFER_BYTES);
    this.#pending = savedNumber(state, 'pending') & 0xff;
    this.#mask = savedNumber(state, 'mask') & 0xff;
    this.#adbReply = bytes('adbReply');
    this.#pollMask = savedNumber(state, 'pollMask') & 0xffff;
    this.#nextPoll =
      this.#pollMask === 0 ? Number.POSITIVE_INFINITY : savedReal(state, 'nextPoll', Number.MAX_SAFE_INTEGER);
    this.#nextSecond = savedReal(state, 'nextSecond', Number.MAX_SAFE_INTEGER);
    this.#update();
  }

  restored(): void {
    this.#calendar.restored();
  }
}

/** The PMU in a KeyLargo chip. `interrupts`: the VIA's, and its own. */
export function pmu(options: {
  name: string;
  interrupts: readonly [InterruptSpec, InterruptSpec];
  hasAdb: boolean;
}): DeviceSpec {
  return {
    name: options.name,
    interrupts: options.interrupts,
    create: (wiring) => {
      const [via, external] = wiring.interrupts;
      return new Pmu([via as InterruptLine, external as InterruptLine], wiring, options.hasAdb);
    },
  };
}
