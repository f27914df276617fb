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
import { PciBus, PciConfigSpace } from './pci.ts';

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
 * Its bus has nothing but the bridge itself.
 */
export class Ppc4xxPci implements Device {
  readonly bus = new PciBus();
  readonly #bridge = new PciConfigSpace(HOST_BRIDGE);
  readonly #maps = new Uint32Array(REGISTERS_SIZE / 4);
  #configAddress = 0;

  constructor() {
    this.bus.plug(0, this.#bridge);
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

  /** I/O space: no device decodes it, so the bus floats high. */
  readonly #io: MmioRegion = {
    read: (_offset, length) => (length === 4 ? 0xffffffff : (1 << (8 * length)) - 1),
    write: () => {},
  };

  readonly mmio: readonly MmioRegion[] = [this.#config, this.#registers, this.#io];

  reset(): void {
    this.#configAddress = 0;
    this.#maps.fill(0);
    for (const one of this.bus.functions) one.reset();
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
    create: () => new Ppc4xxPci(),
  };
}
