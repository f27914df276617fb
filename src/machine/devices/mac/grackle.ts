import {
  type Device,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  type MmioRegion,
  savedNumber,
  savedPart,
} from '../../device.ts';
import type { InterruptLine, InterruptSink } from '../../interrupts.ts';
import { PciBus, type PciHost } from '../../pci/bus.ts';
import { PciConfigSpace } from '../../pci/config-space.ts';
import { PciPins, SUBSYSTEM } from './pci-pins.ts';

/** Motorola's MPC106 in address map B (MPC106 User's Manual, chapter 3). Everything is little-endian. */
const CONFIG_ADDRESS = 0xfec00000;
const CONFIG_DATA = 0xfee00000;
const IO = { base: 0xfe000000, size: 0x200000 } as const;
/** Up to where the machine has addresses of its own. */
const MEMORY = { base: 0x80000000, size: 0x70000000 } as const;

/** As QEMU's machine shows it. */
const BRIDGE = { vendor: 0x1057, device: 0x0002, classCode: 0x060001, revision: 0, ...SUBSYSTEM };

/** The PCI host bridge of beige Macs. Input n is the interrupt of slot n. */
export class Grackle implements Device, PciHost, InterruptSink {
  readonly bus = new PciBus();
  readonly #bridge = new PciConfigSpace(BRIDGE);
  readonly #pins: PciPins;
  #address = 0;

  constructor(pins: readonly InterruptLine[]) {
    this.#pins = new PciPins(pins);
    this.#bridge.allowAll();
    this.bus.plug(0, { space: this.#bridge });
    this.mmio = [
      {
        read: (_offset, length) => (length === 4 ? this.#address : 0),
        write: (_offset, length, value) => {
          if (length === 4) this.#address = value >>> 0;
        },
      },
      {
        read: (offset, length) => this.bus.readConfig(this.#address, offset, length),
        write: (offset, length, value) => this.bus.writeConfig(this.#address, offset, length, value),
      },
      this.bus.window(true, 0),
      this.bus.window(false, MEMORY.base),
    ];
  }

  readonly mmio: readonly MmioRegion[];

  setInput(input: number, active: boolean): void {
    this.#pins.setInput(input, active);
  }

  reset(): void {
    this.#address = 0;
    this.#bridge.reset();
  }

  save(): DeviceState {
    return { address: this.#address, bridge: this.#bridge.save() };
  }

  restore(state: DeviceState): void {
    this.#address = savedNumber(state, 'address');
    this.#bridge.restore(savedPart(state, 'bridge'));
  }
}

/** The bridge on a board. `pins`: the four interrupts of its slots. */
export function grackle(options: { name: string; pins: readonly InterruptSpec[] }): DeviceSpec {
  return {
    name: options.name,
    mmio: [
      { base: CONFIG_ADDRESS, size: 4, littleEndian: true },
      { base: CONFIG_DATA, size: 4, littleEndian: true },
      { ...IO, littleEndian: true },
      { ...MEMORY, littleEndian: true },
    ],
    interrupts: options.pins,
    create: ({ interrupts }) => new Grackle(interrupts),
  };
}
