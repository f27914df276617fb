import {
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  type MmioRegion,
  savedBoolean,
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
import { Via } from './via.ts';

/** Port B: transfer request is CUDA's, acknowledge and "transfer in progress" the guest's; all active low. */
const TREQ = 0x08;
const TACK = 0x10;
const TIP = 0x20;
const HANDSHAKE = TACK | TIP;

/** Packets by their first byte. */
const PACKET = { ADB: 0, CUDA: 1, ERROR: 2 } as const;
/** Second byte of an ADB answer: the devices were asked without a command; nobody has answered. */
const AUTOPOLLED = 0x40;
const NO_ANSWER = 0x02;
/** Reasons in an error packet. */
const UNKNOWN_COMMAND = 2;
const WRONG_LENGTH = 5;

/** Commands (Linux's cuda.h). */
const COMMAND = {
  AUTOPOLL: 0x01,
  GET_TIME: 0x03,
  SET_TIME: 0x09,
  POWER_DOWN: 0x0a,
  RESET_SYSTEM: 0x11,
  FILE_SERVER_FLAG: 0x13,
  SET_AUTO_RATE: 0x14,
  SET_DEVICE_LIST: 0x19,
  SET_POWER_MESSAGES: 0x21,
} as const;

/** As many bytes as CUDA takes or gives at once. */
const PACKET_BYTES = 16;
/** A byte is through the shift register after so long: drivers set up their interrupt after they have asked for it. */
const SHIFT_NS = 20_000;
const NS_PER_MS = 1e6;
const USUAL_RATE_MS = 20;

/** A command: how many bytes it takes behind its own, and what it does; it answers the bytes of the reply. */
type Handler = readonly [length: number, run: (bytes: readonly number[]) => number[] | undefined];

/** The system controller of Macs before the PMU: ADB, calendar, power and reset, behind a VIA's shift register. */
export class Cuda implements TimedDevice {
  readonly adb = new AdbBus();
  readonly #via: Via;
  readonly #calendar: MacCalendar;
  readonly #clock: Wiring['clock'];
  readonly #power: Wiring['power'];
  #lastB = 0;
  /** From the guest. */
  #out: number[] = [];
  /** To the guest, and what of it has gone. */
  #in: number[] = [];
  #inIndex = 0;
  #autopoll = false;
  #rateMs = USUAL_RATE_MS;
  #devices = 0xffff;
  #nextPoll = Number.POSITIVE_INFINITY;

  constructor(line: InterruptLine, wiring: Pick<Wiring, 'clock' | 'world' | 'power'>) {
    this.#clock = wiring.clock;
    this.#power = wiring.power;
    this.#calendar = new MacCalendar(wiring);
    this.#via = new Via(
      line,
      () => wiring.clock.now(),
      () => this.#portWritten(),
      TREQ | TIP | TACK,
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
    return this.adb.keyboard.key(name, isDown);
  }

  move(x: number, y: number, buttons: number): void {
    this.adb.mouse.move(x, y, buttons);
  }

  due(): number {
    return Math.min(this.#via.due(), this.#nextPoll);
  }

  turn(): void {
    this.#via.turn();
    const now = this.#clock.now();
    if (now < this.#nextPoll) return;
    this.#nextPoll = now + this.#rateMs * NS_PER_MS;
    // An answer that the guest has not begun to take is not written over.
    if (this.#inIndex < this.#in.length) return;
    const answer = this.adb.poll(this.#devices);
    if (answer !== undefined) this.#send([PACKET.ADB, AUTOPOLLED, ...answer]);
  }

  #hasShifted(): void {
    this.#via.hasShifted(this.#clock.now() + SHIFT_NS);
  }

  #portWritten(): void {
    const via = this.#via;
    const before = this.#lastB;
    let isPacket = false;
    const moved = ((via.b ^ before) & HANDSHAKE) !== 0;
    if ((via.b & TIP) === 0) {
      if (!moved) {
        this.#lastB = via.b;
        return;
      }
      if (via.shiftsOut) {
        if (this.#out.length < PACKET_BYTES) {
          this.#out.push(via.shift);
          this.#hasShifted();
        }
      } else if (this.#inIndex < this.#in.length) {
        via.shift = this.#in[this.#inIndex++] as number;
        if (this.#inIndex >= this.#in.length) via.b |= TREQ;
        this.#hasShifted();
      }
    } else if ((before & TIP) !== 0 && ((via.b ^ before) & TACK) !== 0) {
      // Outside of a transfer the guest synchronises by TACK, which TREQ follows.
      via.b = (via.b & TACK) !== 0 ? via.b | TREQ : via.b & ~TREQ;
      this.#hasShifted();
    } else {
      if ((before & TIP) === 0) {
        isPacket = this.#out.length > 0;
        this.#hasShifted();
      }
      if (this.#inIndex < this.#in.length) via.b &= ~TREQ;
    }
    this.#lastB = via.b;
    if (isPacket) {
      const packet = this.#out;
      this.#out = [];
      this.#received(packet);
    }
  }

  #send(packet: number[]): void {
    this.#in = packet;
    this.#inIndex = 0;
    if ((this.#via.b & TIP) !== 0) this.#via.b &= ~TREQ;
    this.#lastB = this.#via.b;
    this.#hasShifted();
  }

  #received([kind, command = 0, ...bytes]: readonly number[]): void {
    if (kind === PACKET.ADB) {
      const answer = this.adb.request(command, bytes);
      this.#send(answer === undefined ? [PACKET.ADB, NO_ANSWER, command] : [PACKET.ADB, 0, command, ...answer]);
      return;
    }
    if (kind !== PACKET.CUDA) return;
    const handler = this.#handlers.get(command);
    const answer = handler?.[0] === bytes.length ? handler[1](bytes) : undefined;
    if (answer !== undefined) this.#send([PACKET.CUDA, 0, command, ...answer]);
    else this.#send([PACKET.ERROR, handler === undefined ? UNKNOWN_COMMAND : WRONG_LENGTH, PACKET.CUDA, command]);
  }

  readonly #handlers: ReadonlyMap<number, Handler> = new Map<number, Handler>([
    [COMMAND.AUTOPOLL, [1, ([on]) => this.#setAutopoll(on !== 0)]],
    [COMMAND.GET_TIME, [0, () => this.#calendar.bytes()]],
    [
      COMMAND.SET_TIME,
      [
        4,
        (bytes) => {
          this.#calendar.setBytes(bytes);
          return [];
        },
      ],
    ],
    [
      COMMAND.POWER_DOWN,
      [
        0,
        () => {
          this.#power.press('shutdown');
          return [];
        },
      ],
    ],
    [
      COMMAND.RESET_SYSTEM,
      [
        0,
        () => {
          this.#power.press('reset');
          return [];
        },
      ],
    ],
    [COMMAND.FILE_SERVER_FLAG, [1, () => []]],
    [COMMAND.SET_POWER_MESSAGES, [1, () => []]],
    [
      COMMAND.SET_AUTO_RATE,
      [
        1,
        ([rate = 0]) => {
          if (rate === 0) return undefined;
          this.#rateMs = rate;
          return this.#setAutopoll(this.#autopoll);
        },
      ],
    ],
    [
      COMMAND.SET_DEVICE_LIST,
      [
        2,
        ([high = 0, low = 0]) => {
          this.#devices = (high << 8) | low;
          return [];
        },
      ],
    ],
  ]);

  #setAutopoll(on: boolean): number[] {
    this.#autopoll = on;
    this.#nextPoll = on ? this.#clock.now() + this.#rateMs * NS_PER_MS : Number.POSITIVE_INFINITY;
    return [];
  }

  reset(): void {
    this.#via.reset();
    this.adb.reset();
    this.#lastB = this.#via.b;
    this.#out = [];
    this.#in = [];
    this.#inIndex = 0;
    this.#rateMs = USUAL_RATE_MS;
    this.#devices = 0xffff;
    this.#setAutopoll(false);
  }

  save(): DeviceState {
    return {
      via: this.#via.save(),
      adb: this.adb.save(),
      calendar: this.#calendar.save(),
      lastB: this.#lastB,
      out: [...this.#out],
      in: this.#in.slice(this.#inIndex),
      autopoll: this.#autopoll,
      rateMs: this.#rateMs,
      devices: this.#devices,
      nextPoll: this.#autopoll ? this.#nextPoll : 0,
    };
  }

  restore(state: DeviceState): void {
    this.#via.restore(savedPart(state, 'via'));
    this.adb.restore(savedPart(state, 'adb'));
    this.#calendar.restore(savedPart(state, 'calendar'));
    this.#lastB = savedNumber(state, 'lastB') & 0xff;
    this.#out = savedNumbers(state, 'out', PACKET_BYTES).map((byte) => byte & 0xff);
    this.#in = savedNumbers(state, 'in', PACKET_BYTES).map((byte) => byte & 0xff);
    this.#inIndex = 0;
    this.#autopoll = savedBoolean(state, 'autopoll');
    this.#rateMs = Math.max(1, savedNumber(state, 'rateMs') & 0xff);
    this.#devices = savedNumber(state, 'devices') & 0xffff;
    this.#nextPoll = this.#autopoll ? savedReal(state, 'nextPoll', Number.MAX_SAFE_INTEGER) : Number.POSITIVE_INFINITY;
  }

  restored(): void {
    this.#calendar.restored();
  }
}

/** CUDA in a macio chip. */
export function cuda(options: { name: string; interrupt: InterruptSpec }): DeviceSpec {
  return {
    name: options.name,
    interrupts: [options.interrupt],
    create: (wiring) => new Cuda(wiring.interrupts[0] as InterruptLine, wiring),
  };
}
