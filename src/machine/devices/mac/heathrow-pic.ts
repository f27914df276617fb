import {
  type Device,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  type MmioRegion,
  savedRegisters,
} from '../../device.ts';
import type { InterruptLine, InterruptSink } from '../../interrupts.ts';

/** Registers of a bank, by offset (Linux's pmac_pic.c has the layout; little-endian). */
const EVENTS = 0x0;
const MASK = 0x4;
const CLEAR = 0x8;
const LEVELS = 0xc;
const FIRST_BANK = 0x10;
const BANK_BYTES = 0x10;
const BANKS = 2;
export const HEATHROW_BYTES = 0x50;
const INPUTS_PER_BANK = 32;

/** Inputs that interrupt by their level: the PCI slots', in the bank of interrupts 0 to 31. */
const LEVEL_TRIGGERED = [0, 0x1ff00000] as const;

/** One bank of 32 inputs. Words are kept signed. */
interface Bank {
  events: number;
  mask: number;
  levels: number;
}

/**
 * The interrupt controller of the macio chips before KeyLargo: two banks, that of interrupts 32 to 63 first. An edge is kept
 * until it is cleared, levels are masked off while they last.
 */
export class HeathrowPic implements Device, MmioRegion, InterruptSink {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly #output: InterruptLine;
  readonly #banks: readonly [Bank, Bank] = [
    { events: 0, mask: 0, levels: 0 },
    { events: 0, mask: 0, levels: 0 },
  ];

  constructor(output: InterruptLine) {
    this.#output = output;
  }

  setInput(input: number, active: boolean): void {
    if (!(input >= 0 && input < BANKS * INPUTS_PER_BANK)) return;
    const index = 1 - (input >> 5);
    const bank = this.#banks[index] as Bank;
    const bit = 1 << (input & 31);
    if (active) {
      bank.levels |= bit;
      bank.events |= bit & ~(LEVEL_TRIGGERED[index] as number);
    } else bank.levels &= ~bit;
    this.#update();
  }

  #update(): void {
    const isPending = ({ events, levels, mask }: Bank, index: 0 | 1): boolean =>
      ((events | (levels & LEVEL_TRIGGERED[index])) & mask) !== 0;
    this.#output.set(isPending(this.#banks[0], 0) || isPending(this.#banks[1], 1));
  }

  read(offset: number, length: number): number {
    const index = (offset - FIRST_BANK) >> 4;
    const bank = this.#banks[index];
    if (bank === undefined || length !== 4) return 0;
    switch (offset & (BANK_BYTES - 1)) {
      case EVENTS:
        return bank.events >>> 0;
      case MASK:
        return bank.mask >>> 0;
      case LEVELS:
        return bank.levels >>> 0;
      default:
        return 0;
    }
  }

  write(offset: number, length: number, value: number): void {
    const index = (offset - FIRST_BANK) >> 4;
    const bank = this.#banks[index];
    if (bank === undefined || length !== 4) return;
    switch (offset & (BANK_BYTES - 1)) {
      case MASK:
        bank.mask = value | 0;
        break;
      case CLEAR:
        bank.events &= ~(value & ~(LEVEL_TRIGGERED[index] as number));
        break;
      default:
        return;
    }
    this.#update();
  }

  reset(): void {
    // The lines belong to other devices: they keep their levels.
    for (const bank of this.#banks) bank.events = bank.mask = 0;
    this.#update();
  }

  save(): DeviceState {
    return { banks: this.#banks.flatMap(({ events, mask, levels }) => [events >>> 0, mask >>> 0, levels >>> 0]) };
  }

  restore(state: DeviceState): void {
    const words = savedRegisters(state, 'banks', 3 * BANKS);
    this.#banks.forEach((bank, i) => {
      bank.events = (words[3 * i] as number) | 0;
      bank.mask = (words[3 * i + 1] as number) | 0;
      bank.levels = (words[3 * i + 2] as number) | 0;
    });
    this.#update();
  }
}

/** The controller in a macio chip. */
export function heathrowPic(options: { name: string; output: InterruptSpec }): DeviceSpec {
  return {
    name: options.name,
    interrupts: [options.output],
    create: ({ interrupts: [output] }) => new HeathrowPic(output as InterruptLine),
  };
}
