import {
  type Device,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  type MmioRegion,
  savedRegisters,
} from '../../device.ts';
import type { InterruptLine, InterruptSink } from '../../interrupts.ts';

/** Eight bytes of levels, then a byte for each pin: its level as input, whether it is an output, and what it drives. */
const PINS_AT = 8;
const PINS = 36;
export const GPIO_BYTES = 0x30;
const INPUT = 0x02;
const OUTPUT = 0x04;
const DRIVEN = 0x01;

/** External interrupts of KeyLargo, by the pin that each comes in at. */
const EXTERNAL_INTERRUPTS = [1, 9] as const;

/** KeyLargo's general-purpose pins, two of which are external interrupts, active when low: what is wired to them asserts by pulling down. */
export class MacGpio implements Device, MmioRegion, InterruptSink {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly #lines: readonly InterruptLine[];
  readonly #pins = new Uint8Array(PINS).fill(INPUT);

  constructor(lines: readonly InterruptLine[]) {
    this.#lines = lines;
  }

  setInput(input: number, active: boolean): void {
    const pin = this.#pins[input];
    if (pin === undefined) return;
    this.#pins[input] = active ? pin & ~INPUT : pin | INPUT;
    this.#update();
  }

  #update(): void {
    EXTERNAL_INTERRUPTS.forEach((pin, i) => {
      this.#lines[i]?.set(((this.#pins[pin] as number) & INPUT) === 0);
    });
  }

  read(offset: number, _length: number): number {
    return offset < PINS_AT ? this.#levels(offset) : (this.#pins[offset - PINS_AT] ?? 0);
  }

  /** Levels of eight pins, the first in the highest bit. */
  #levels(group: number): number {
    let levels = 0;
    for (let i = 0; i < 8; i++) if (((this.#pins[8 * group + i] ?? 0) & INPUT) !== 0) levels |= 0x80 >> i;
    return levels;
  }

  write(offset: number, _length: number, value: number): void {
    const pin = this.#pins[offset - PINS_AT];
    if (pin === undefined) return;
    const isOutput = (value & OUTPUT) !== 0;
    const level = isOutput ? ((value & DRIVEN) !== 0 ? INPUT : 0) : pin & INPUT;
    this.#pins[offset - PINS_AT] = (value & ~INPUT & 0xff) | level;
    this.#update();
  }

  reset(): void {
    // The levels of inputs belong to other devices.
    for (let pin = 0; pin < PINS; pin++) {
      const value = this.#pins[pin] as number;
      this.#pins[pin] = (value & OUTPUT) !== 0 ? INPUT : value & INPUT;
    }
    this.#update();
  }

  save(): DeviceState {
    return { pins: Array.from(this.#pins) };
  }

  restore(state: DeviceState): void {
    this.#pins.set(savedRegisters(state, 'pins', PINS));
    this.#update();
  }
}

/** The pins of a KeyLargo chip; `interrupts`: where the external interrupts at pins 1 and 9 go. */
export function macGpio(options: { name: string; interrupts: readonly [InterruptSpec, InterruptSpec] }): DeviceSpec {
  return { name: options.name, interrupts: options.interrupts, create: ({ interrupts }) => new MacGpio(interrupts) };
}
