import type { Clock } from '../../kvm/api.ts';
import {
  type ByteSink,
  type ConsoleDevice,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  savedNumber,
  savedNumbers,
  savedReal,
  type TimedDevice,
} from '../device.ts';
import { H_PARAMETER, H_SUCCESS, type Hypercall, type HypercallArguments } from '../hypercalls.ts';
import type { InterruptLine } from '../interrupts.ts';
import { ByteQueue } from './byte-queue.ts';
import { RTAS_SUCCESS, type RtasArguments, type RtasCall } from './spapr-rtas.ts';

/** What a hypercall carries: two registers. */
const MOST_BYTES = 16;
/** What waits until the guest asks for it; `receive` takes no more than this. */
export const VTY_QUEUE_BYTES = 65536;

/** From a piece of input's end to the next one, by the guest's clock: enough for a driver to see that there is no more. */
const PIECE_NS = 100_000;

/**
 * A virtual terminal (LoPAPR 1.1, section 16.4, "Virtual Terminal", the client of type hvterm1): raw bytes both ways, up to
 * sixteen a hypercall, and an interrupt edge whenever input comes. It comes in pieces of sixteen bytes at
 * most, each some time after the guest has taken the one before: a driver that reads until nothing is there comes to an end.
 */
export class SpaprVty implements ConsoleDevice, TimedDevice {
  readonly hypercalls: readonly Hypercall[] = [
    { number: 0x54, name: 'H_GET_TERM_CHAR', call: (args) => this.#get(args) },
    { number: 0x58, name: 'H_PUT_TERM_CHAR', call: (args) => this.#put(args) },
  ];
  readonly rtas: readonly RtasCall[] = [
    { name: 'display-character', args: 1, results: 1, call: (args) => this.#display(args) },
  ];
  sink: ByteSink | undefined;
  readonly #unit: number;
  readonly #interrupt: InterruptLine;
  readonly #clock: Clock;
  readonly #queue = new ByteQueue(VTY_QUEUE_BYTES);
  /** What of the queue has come; the rest is on its way. */
  #here = 0;
  /** When the next piece comes. */
  #next = 0;
  #transmitted = 0;
  #received = 0;

  /** `unit`: the address that names the terminal in hypercalls. */
  constructor(unit: number, interrupt: InterruptLine, clock: Clock) {
    this.#unit = unit;
    this.#interrupt = interrupt;
    this.#clock = clock;
  }

  receive(bytes: Uint8Array): number {
    let taken = 0;
    while (taken < bytes.length && this.#queue.push(bytes[taken] as number)) taken++;
    this.#received += taken;
    this.turn();
    return taken;
  }

  due(): number {
    return this.#here === 0 && this.#queue.length > 0 ? this.#next : Number.POSITIVE_INFINITY;
  }

  /** The next piece comes once the one before was taken. */
  turn(): void {
    if (this.#here > 0 || this.#queue.length === 0) return;
    if (this.#clock.now() < this.#next) return;
    this.#here = Math.min(this.#queue.length, MOST_BYTES);
    this.#pulse();
  }

  #pulse(): void {
    this.#interrupt.assert();
    this.#interrupt.deassert();
  }

  /** Unit 0 is whatever terminal the partition has. */
  #mine(args: HypercallArguments): boolean {
    const unit = args.number(0);
    return unit === this.#unit || unit === 0;
  }

  #get(args: HypercallArguments): number {
    if (!this.#mine(args)) return H_PARAMETER;
    this.turn();
    const count = this.#here;
    if (count > 0) this.#next = this.#clock.now() + PIECE_NS;
    this.#here = 0;
    for (let word = 0; word < 4; word++) {
      let value = 0;
      for (let i = 0; i < 4; i++) value = (value << 8) | (word * 4 + i < count ? this.#queue.shift() : 0);
      // The first byte is the most significant one of r5.
      if (word % 2 === 0) args.set(1 + (word >> 1), value, 0);
      else args.set(1 + (word >> 1), args.high(1 + (word >> 1)), value);
    }
    args.set(0, 0, count);
    return H_SUCCESS;
  }

  #put(args: HypercallArguments): number {
    const count = args.number(1);
    if (!this.#mine(args) || !(count <= MOST_BYTES)) return H_PARAMETER;
    for (let i = 0; i < count; i++) {
      const argument = 2 + (i >> 3);
      const word = (i & 4) === 0 ? args.high(argument) : args.low(argument);
      this.#send((word >>> (24 - 8 * (i & 3))) & 0xff);
    }
    return H_SUCCESS;
  }

  #display(args: RtasArguments): number {
    this.#send(args.word(0) & 0xff);
    return RTAS_SUCCESS;
  }

  #send(byte: number): void {
    this.#transmitted++;
    this.sink?.writeByte(byte);
  }

  /** Input that the guest has not taken is still to come. */
  reset(): void {
    this.#interrupt.deassert();
  }

  save(): DeviceState {
    return { queue: this.#queue.toArray(), here: this.#here, next: this.#next };
  }

  restore(state: DeviceState): void {
    this.#queue.set(savedNumbers(state, 'queue', VTY_QUEUE_BYTES));
    this.#here = Math.min(savedNumber(state, 'here'), MOST_BYTES, this.#queue.length);
    this.#next = savedReal(state, 'next', Number.MAX_SAFE_INTEGER);
  }

  counters(): Record<string, number> {
    return { bytes_transmitted: this.#transmitted, bytes_received: this.#received };
  }
}

/** A virtual terminal on a board; `unit` is its address on the virtual bus `/vdevice`. */
export function spaprVty(options: { name: string; unit: number; interrupt: InterruptSpec }): DeviceSpec {
  const { interrupt } = options;
  return {
    name: options.name,
    interrupts: [interrupt],
    node: {
      path: `/vdevice/vty@${options.unit.toString(16)}`,
      properties: {
        device_type: 'serial',
        compatible: 'hvterm1',
        reg: [options.unit],
        interrupts: [interrupt.input, interrupt.sense ?? 0],
      },
    },
    create: ({ interrupts: [line], clock }) => new SpaprVty(options.unit, line as InterruptLine, clock),
  };
}
