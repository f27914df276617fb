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
import { PciConfigSpace, type PciIdentity } from '../../pci/config-space.ts';
import { PciPins, SUBSYSTEM } from './pci-pins.ts';

/** The host bridges in Apple's memory controllers: what they are and the slot that they have on their own bus. */
const APPLE = 0x106b;
const bridge = (device: number): PciIdentity => ({
  vendor: APPLE,
  device,
  classCode: 0x060000,
  revision: 0,
  ...SUBSYSTEM,
});
export const UNINORTH = {
  agp: { identity: bridge(0x0020), slot: 11 },
  main: { identity: bridge(0x001f), slot: 11 },
  internal: { identity: bridge(0x001e), slot: 14 },
  u3: { identity: bridge(0x004b), slot: 11 },
} as const;

/** Configuration address: bit 0 says that bus and device are named as PCI bridges have it; else a bit names the device. */
const TYPE_1 = 0x1;
const FIRST_SLOT = 11;
const ENABLE = 0x80000000;

/** Clocks that the bridge may keep the bus, as QEMU's shows. */
const LATENCY_TIMER = 0x0d;
const LATENCY = 0x10;

/** The controller's registers: the first has its version. */
const VERSION = 7;
const REGISTERS_BYTES = 0x1000;

/**
 * The address that a bus knows (enable, bus, device, function, register) for what the guest wrote. An address that has its
 * highest bit set is taken as such a one: firmware made for QEMU's machine writes them. 0: no device.
 */
function busAddress(address: number, offset: number): number {
  if ((address & ENABLE) !== 0) return address;
  const register = (address & 0xfc) | (offset & 4);
  if ((address & TYPE_1) !== 0) return (ENABLE | (address & 0x00ffff00) | register) >>> 0;
  const selected = address >>> FIRST_SLOT;
  if (selected === 0) return 0;
  const slot = FIRST_SLOT + 31 - Math.clz32(selected & -selected);
  return (ENABLE | (slot << 11) | (address & 0x700) | register) >>> 0;
}

/** One PCI host bridge. Input n is the interrupt of slot n. Everything is little-endian. */
export class UniNorthPci implements Device, PciHost, InterruptSink {
  readonly bus = new PciBus();
  readonly #bridge: PciConfigSpace;
  readonly #pins: PciPins;
  #address = 0;

  constructor(pins: readonly InterruptLine[], kind: keyof typeof UNINORTH, memory: number) {
    this.#pins = new PciPins(pins);
    const { identity, slot } = UNINORTH[kind];
    this.#bridge = new PciConfigSpace(identity);
    this.#bridge.allowAll();
    this.bus.plug(slot, { space: this.#bridge });
    this.mmio = [
      {
        read: (_offset, length) => (length === 4 ? this.#address : 0),
        write: (_offset, length, value) => {
          if (length === 4) this.#address = value >>> 0;
        },
      },
      {
        read: (offset, length) => this.bus.readConfig(busAddress(this.#address, offset), offset & 3, length),
        write: (offset, length, value) =>
          this.bus.writeConfig(busAddress(this.#address, offset), offset & 3, length, value),
      },
      this.bus.window(true, 0),
      this.bus.window(false, memory),
    ];
  }

  readonly mmio: readonly MmioRegion[];

  setInput(input: number, active: boolean): void {
    this.#pins.setInput(input, active);
  }

  reset(): void {
    this.#address = 0;
    this.#bridge.reset();
    this.#bridge.put(LATENCY_TIMER, 1, LATENCY);
  }

  save(): DeviceState {
    return { address: this.#address, bridge: this.#bridge.save() };
  }

  restore(state: DeviceState): void {
    this.#address = savedNumber(state, 'address');
    this.#bridge.restore(savedPart(state, 'bridge'));
  }
}

/** A host bridge on a board. `io` and `memory`: its windows, where devices can be behind it. */
export function uninorthPci(options: {
  name: string;
  kind: keyof typeof UNINORTH;
  config: { readonly address: number; readonly data: number };
  io?: { readonly base: number; readonly size: number };
  memory?: { readonly base: number; readonly size: number };
  pins: readonly InterruptSpec[];
}): DeviceSpec {
  const { config, io, memory } = options;
  return {
    name: options.name,
    mmio: [
      { base: config.address, size: 4, littleEndian: true },
      { base: config.data, size: 8, littleEndian: true },
      ...(io === undefined || memory === undefined
        ? []
        : [
            { ...io, littleEndian: true },
            { ...memory, littleEndian: true },
          ]),
    ],
    interrupts: options.pins,
    create: ({ interrupts }) => new UniNorthPci(interrupts, options.kind, memory?.base ?? 0),
  };
}

/** The memory controller's own registers, of which guests ask the version. */
export function uninorthRegisters(options: { name: string; base: number }): DeviceSpec {
  const region: MmioRegion = { read: (offset) => (offset === 0 ? VERSION : 0), write: () => {} };
  return {
    name: options.name,
    mmio: [{ base: options.base, size: REGISTERS_BYTES }],
    create: () => ({ mmio: [region], reset: () => {}, save: () => ({}), restore: () => {} }),
  };
}
