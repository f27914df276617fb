import type { InterruptLine, InterruptSink } from '../../interrupts.ts';

/** Subsystem that functions of these machines have, unless they say otherwise: QEMU's. */
export const SUBSYSTEM = { subsystemVendor: 0x1af4, subsystem: 0x1100 } as const;

/** Four interrupts for all slots of a bus: a slot's INTA goes to the one that its number names modulo four. */
export class PciPins implements InterruptSink {
  readonly #pins: readonly InterruptLine[];
  /** For each pin a bit for each slot that asserts it. */
  readonly #asserted = new Int32Array(4);

  constructor(pins: readonly InterruptLine[]) {
    this.#pins = pins;
  }

  /** `input`: the slot. */
  setInput(input: number, active: boolean): void {
    const pin = input & 3;
    const bit = 1 << (input & 31);
    const asserted = this.#asserted[pin] as number;
    this.#asserted[pin] = active ? asserted | bit : asserted & ~bit;
    this.#pins[pin]?.set(this.#asserted[pin] !== 0);
  }
}
