import type { MmioRegion } from '../device.ts';
import type { PciConfigSpace } from './config-space.ts';
import type { MessageSink, Msix } from './msix.ts';

/** Devices on a bus: the device number has five bits. */
export const PCI_DEVICES = 32;

/** What reads where nothing answers. */
const allOnes = (length: number): number => (length === 4 ? 0xffffffff : (1 << (8 * length)) - 1);

/** What is plugged into a slot. */
export interface PciFunction {
  readonly space: PciConfigSpace;
  /** Its message-signalled interrupts, if it has any. */
  readonly msix?: Msix;
}

/** Bus 0 of a host bridge: up to 32 devices of one function each. Where nothing answers, reads give all ones. */
export class PciBus {
  readonly #functions: (PciFunction | undefined)[] = new Array(PCI_DEVICES).fill(undefined);
  readonly #ports: { readonly first: number; readonly end: number; readonly region: MmioRegion }[] = [];
  /** Where functions' message-signalled interrupts go; none where the bridge takes none. */
  onMessage: MessageSink | undefined;

  /** Ports of I/O space that a function answers at whatever its base addresses are. */
  addPorts(first: number, count: number, region: MmioRegion): void {
    this.#ports.push({ first, end: first + count, region });
  }

  plug(device: number, pciFunction: PciFunction): void {
    this.#functions[device] = pciFunction;
  }

  function(device: number): PciFunction | undefined {
    return this.#functions[device];
  }

  /** `address` is CONFIG_ADDRESS (enable bit 31, bus, device, function, register). */
  #select(address: number): PciConfigSpace | undefined {
    if ((address & 0x80000000) === 0 || (address & 0x00ff0700) !== 0) return undefined;
    return this.#functions[(address >>> 11) & 31]?.space;
  }

  /** Reads at byte `lane` (0-3) of the addressed register. */
  readConfig(address: number, lane: number, length: number): number {
    return this.#select(address)?.readConfig((address & 0xfc) + lane, length) ?? allOnes(length);
  }

  writeConfig(address: number, lane: number, length: number, value: number): void {
    this.#select(address)?.writeConfig((address & 0xfc) + lane, length, value);
  }

  /** A window of the bridge: `size` bytes of I/O or memory space from a bus address. */
  window(isIo: boolean, base: number): MmioRegion {
    let last: PciConfigSpace | undefined;
    const find = (address: number, length: number): MmioRegion | undefined => {
      if (last !== undefined) {
        const bar = last.find(isIo, address, length);
        if (bar !== undefined) return bar.region;
      }
      for (let i = 0; i < PCI_DEVICES; i++) {
        const space = this.#functions[i]?.space;
        const bar = space?.find(isIo, address, length);
        if (bar === undefined) continue;
        last = space;
        return bar.region;
      }
      return undefined;
    };
    const ports = (address: number, length: number) =>
      isIo ? this.#ports.find(({ first, end }) => address >= first && address + length <= end) : undefined;
    return {
      read: (offset, length) => {
        const region = find(base + offset, length);
        if (region === undefined) {
          const fixed = ports(base + offset, length);
          return fixed?.region.read(base + offset - fixed.first, length) ?? allOnes(length);
        }
        return region.read(base + offset - (last as PciConfigSpace).barBase, length);
      },
      write: (offset, length, value) => {
        const region = find(base + offset, length);
        if (region === undefined) {
          const fixed = ports(base + offset, length);
          fixed?.region.write(base + offset - fixed.first, length, value);
          return;
        }
        region.write(base + offset - (last as PciConfigSpace).barBase, length, value);
      },
    };
  }
}

/** A device that has a bus for others. */
export interface PciHost {
  readonly bus: PciBus;
}
