import {
  type Device,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  type MmioRegion,
  savedNumber,
  savedPart,
  savedRegisters,
  type TreeCell,
} from '../device.ts';
import type { InterruptLine, InterruptSink } from '../interrupts.ts';
import { PciBus, type PciHost } from '../pci/bus.ts';
import { PciConfigSpace } from '../pci/config-space.ts';

/** Configuration registers (PPC440EP User's Manual, "PCI Controller"); little-endian, as everything here. */
const CFGADDR = 0;
const CFGDATA = 4;
const CONFIG_SIZE = 8;

/**
 * Bridge registers: three PLB-to-PCI maps PMM0-2 of four words (local address, mask, PCI address low, high) from 0x00,
 * two PCI-to-PLB maps PTM1-2 of two words (size, local address) from 0x30.
 */
const REGISTERS_SIZE = 0x40;

/** The bridge as the 440's Linux and QEMU know it: IBM 1014:027f, "other bridge". */
const HOST_BRIDGE = { vendor: 0x1014, device: 0x027f, classCode: 0x068000, revision: 0 };

/**
 * The 440EP's PCI host bridge. The maps are kept for the guest to read back; PLB and PCI addresses are the same.
 * Input n is the interrupt of the device in slot n, from 1.
 */
export class Ppc4xxPci implements Device, PciHost, InterruptSink {
  readonly bus = new PciBus();
  readonly #bridge = new PciConfigSpace(HOST_BRIDGE);
  readonly #slots: readonly InterruptLine[];
  readonly #maps = new Uint32Array(REGISTERS_SIZE / 4);
  #configAddress = 0;

  /** `slots`: the interrupt of each slot; `memory`, `io`: PCI addresses at which the windows begin. */
  constructor(slots: readonly InterruptLine[], memory: number, io: number) {
    this.#slots = slots;
    this.#bridge.allowAll();
    this.bus.plug(0, { space: this.#bridge });
    this.mmio = [this.#config, this.#registers, this.bus.window(true, io), this.bus.window(false, memory)];
  }

  setInput(input: number, active: boolean): void {
    this.#slots[input - 1]?.set(active);
  }

  readonly #config: MmioRegion = {
    read: (offset, length) => {
      if (offset >= CFGDATA) return this.bus.readConfig(this.#configAddress, offset & 3, length);
      return offset === CFGADDR && length === 4 ? this.#configAddress : 0;
    },
    write: (offset, length, value) => {
      if (offset >= CFGDATA) this.bus.writeConfig(this.#configAddress, offset & 3, length, value);
      else if (offset === CFGADDR && length === 4) this.#configAddress = value >>> 0;
    },
  };

  readonly #registers: MmioRegion = {
    read: (offset, length) => ((offset & 3) === 0 && length === 4 ? (this.#maps[offset >>> 2] ?? 0) : 0),
    write: (offset, length, value) => {
      if ((offset & 3) === 0 && length === 4) this.#maps[offset >>> 2] = value;
    },
  };

  readonly mmio: readonly MmioRegion[];

  reset(): void {
    this.#configAddress = 0;
    this.#maps.fill(0);
    this.#bridge.reset();
  }

  save(): DeviceState {
    return {
      configAddress: this.#configAddress,
      maps: Array.from(this.#maps),
      bridge: this.#bridge.save(),
    };
  }

  restore(state: DeviceState): void {
    this.#configAddress = savedNumber(state, 'configAddress');
    this.#maps.set(savedRegisters(state, 'maps', this.#maps.length));
    this.#bridge.restore(savedPart(state, 'bridge'));
  }
}

/** The bridge on a board. `slots`: the interrupt of each slot, by PCI device number from 1. */
export function ppc4xxPci(options: {
  name: string;
  path: string;
  config: number;
  interruptAcknowledge: number;
  registers: number;
  io: { base: number; size: number };
  memory: { base: number; size: number };
  slots: readonly InterruptSpec[];
}): DeviceSpec {
  const { config, interruptAcknowledge: acknowledge, registers, io, memory, slots } = options;
  return {
    name: options.name,
    mmio: [
      { base: config, size: CONFIG_SIZE, littleEndian: true },
      { base: registers, size: REGISTERS_SIZE, littleEndian: true },
      { base: io.base, size: io.size, littleEndian: true },
      { base: memory.base, size: memory.size, littleEndian: true },
    ],
    interrupts: slots,
    node: {
      path: options.path,
      properties: {
        device_type: 'pci',
        '#interrupt-cells': [1],
        '#size-cells': [2],
        '#address-cells': [3],
        compatible: ['ibm,plb440ep-pci', 'ibm,plb-pci'],
        primary: true,
        // Configuration space, interrupt acknowledge, special cycles, bridge registers.
        reg: [0, config, CONFIG_SIZE, 0, acknowledge, 4, 0, acknowledge, 4, 0, registers, REGISTERS_SIZE],
        // Outbound: memory at the same address, then I/O from 0.
        ranges: [0x02000000, 0, memory.base, 0, memory.base, 0, memory.size, 0x01000000, 0, 0, 0, io.base, 0, io.size],
        // Inbound: 2 GiB from 0.
        'dma-ranges': [0x42000000, 0, 0, 0, 0, 0, 0x80000000],
        'interrupt-map-mask': [0xf800, 0, 0, 0],
        'interrupt-map': slots.flatMap((slot, i): TreeCell[] => [
          (i + 1) << 11,
          0,
          0,
          0,
          { phandle: slot.controller },
          slot.input,
          slot.sense ?? 8,
        ]),
      },
    },
    // Memory is at the same address on both sides, I/O space begins at 0.
    create: ({ interrupts }) => new Ppc4xxPci(interrupts, memory.base, 0),
  };
}
