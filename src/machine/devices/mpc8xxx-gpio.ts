import {
  type Device,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  interruptProperties,
  type MmioRegion,
  savedRegisters,
} from '../device.ts';
import type { PowerSwitch } from '../power.ts';

/** Registers, words with pin 0 in the highest bit (QorIQ P2020 Reference Manual, chapter "General purpose I/O"). */
const GPDIR = 0x00; // 1: output
const GPODR = 0x04; // open drain
const GPDAT = 0x08; // data
const GPIER = 0x0c; // events, write 1 to clear
const GPIMR = 0x10; // interrupt mask
const GPICR = 0x14; // 1: event at a falling edge only
const REGISTERS = 6;
const REGION_BYTES = 0x1000;

/**
 * A GPIO controller of the QorIQ family. Nothing drives its inputs: they read as 0, events never come. `powerOffPin`:
 * the machine is switched off when this pin is driven high.
 */
export class Mpc8xxxGpio implements Device, MmioRegion {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly #power: PowerSwitch;
  readonly #powerOffMask: number;
  readonly #registers = new Uint32Array(REGISTERS);

  constructor(power: PowerSwitch, powerOffPin: number) {
    this.#power = power;
    this.#powerOffMask = 0x80000000 >>> powerOffPin;
  }

  read(offset: number, length: number): number {
    return length === 4 && (offset & 3) === 0 ? (this.#registers[offset >>> 2] ?? 0) : 0;
  }

  write(offset: number, length: number, value: number): void {
    if (length !== 4) return;
    switch (offset) {
      case GPDIR:
      case GPDAT:
        this.#registers[offset >>> 2] = value;
        // An input's data bit waits until the pin is made an output.
        if ((this.#at(GPDIR) & this.#at(GPDAT) & this.#powerOffMask) !== 0) this.#power.press('shutdown');
        break;
      case GPODR:
      case GPIMR:
      case GPICR:
        this.#registers[offset >>> 2] = value;
        break;
      case GPIER:
        // No event is ever there to be cleared.
        break;
    }
  }

  #at(offset: number): number {
    return this.#registers[offset >>> 2] as number;
  }

  reset(): void {
    this.#registers.fill(0);
  }

  save(): DeviceState {
    return { registers: Array.from(this.#registers) };
  }

  restore(state: DeviceState): void {
    this.#registers.set(savedRegisters(state, 'registers', REGISTERS));
    this.#registers[GPIER >>> 2] = 0;
  }
}

/** The controller on a board, and the node by which guests switch off. `path`: of the bus, in which it stands at `offset`. */
export function mpc8xxxGpio(options: {
  name: string;
  path: string;
  base: number;
  offset: number;
  interrupt: InterruptSpec;
  powerOffPin: number;
}): DeviceSpec {
  const { name, path, base, offset, interrupt, powerOffPin } = options;
  return {
    name,
    mmio: [{ base, size: REGION_BYTES }],
    interrupts: [interrupt],
    node: {
      path: `${path}/gpio@${offset.toString(16)}`,
      properties: {
        compatible: 'fsl,qoriq-gpio',
        reg: [offset, REGION_BYTES],
        ...interruptProperties([interrupt]),
        '#gpio-cells': [2],
        'gpio-controller': true,
      },
    },
    create: ({ power }) => new Mpc8xxxGpio(power, powerOffPin),
  };
}
