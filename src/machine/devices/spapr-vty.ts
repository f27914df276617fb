import {
  type ByteSink,
  type ConsoleDevice,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  savedNumbers,
} from '../device.ts';
import { H_PARAMETER, H_SUCCESS, type Hypercall, type HypercallArguments } from '../hypercalls.ts';
import type { InterruptLine } from '../interrupts.ts';
import { ByteQueue } from './byte-queue.ts';
import { RTAS_SUCCESS, type RtasArguments, type RtasCall } from './spapr-rtas.ts';

/** What a hypercall carries: two registers. */
const MOST_BYTES = 16;
/** What waits until the guest asks for it; `receive` takes no more than this. */
export const VTY_QUEUE_BYTES = 65536;

/**
 * A virtual terminal (LoPAPR 1.1, section 16.4, "Virtual Terminal", the client of type hvterm1): raw bytes both ways, up to
 * sixteen a hypercall, and an interrupt edge whenever input comes.
 */
export class SpaprVty implements ConsoleDevice {
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
  readonly #queue = new ByteQueue(VTY_QUEUE_BYTES);
  #transmitted = 0;
  #received = 0;

  /** `unit`: the address that names the terminal in hypercalls. */
  constructor(unit: number, interrupt: InterruptLine) {
    this.#unit = unit;
    this.#interrupt = interrupt;
  }

  receive(bytes: Uint8Array): number {
    let taken = 0;
    while (taken < bytes.length && this.#queue.push(bytes[taken] as number)) taken++;
    this.#received += taken;
    if (taken > 0) this.#pulse();
    return taken;
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
    const count = Math.min(this.#queue.length, MOST_BYTES);
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
    return { queue: this.#queue.toArray() };
  }

  restore(state: DeviceState): void {
    this.#queue.set(savedNumbers(state, 'queue', VTY_QUEUE_BYTES));
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
    create: ({ interrupts: [line] }) => new SpaprVty(options.unit, line as InterruptLine),
  };
}
