import type { DcrRegion, MmioRegion } from './device.ts';
import { hex, MachineError } from './error.ts';

/** DCR numbers have ten bits (PowerPC 440 User's Manual, "Device Control Registers"). */
export const DCR_COUNT = 1024;

interface Mapping {
  readonly base: number;
  readonly end: number;
  readonly region: MmioRegion;
  readonly swap: boolean;
}

/** Turns the bytes of a 1-, 2- or 4-byte value round. */
export function swapBytes(value: number, length: number): number {
  if (length === 4) return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
  if (length === 2) return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
  return value;
}

/**
 * The address-space dispatcher of a machine: MMIO ranges and DCR ranges to devices. An access that no device
 * answers is counted; it reads zero and writes nothing, as on QEMU's boards. Dispatching allocates nothing.
 */
export class Bus {
  readonly #mappings: Mapping[] = [];
  readonly #dcrRegions: (DcrRegion | undefined)[] = new Array(DCR_COUNT).fill(undefined);
  readonly #dcrOffsets = new Uint16Array(DCR_COUNT);
  #last: Mapping | undefined;
  #background: Mapping | undefined;
  readonly #littleEndian: boolean;
  #mmioReads = 0;
  #mmioWrites = 0;
  #dcrReads = 0;
  #dcrWrites = 0;
  #unassignedMmio = 0;
  #unassignedDcr = 0;
  #lastUnassignedMmio = 0;
  #lastUnassignedDcr = 0;

  /** `littleEndian`: the values of accesses are in that order, as the machine's memory is. */
  constructor(littleEndian = false) {
    this.#littleEndian = littleEndian;
  }

  /**
   * Maps `size` bytes at guest physical address `base`. The region of a little-endian device sees its own byte order, any
   * other that of the machine.
   */
  mapMmio(base: number, size: number, region: MmioRegion, littleEndian = false): void {
    const end = base + size;
    if (!(size > 0) || this.#mappings.some((other) => base < other.end && other.base < end))
      throw new MachineError(`two devices of this board share guest physical address ${hex(base)}`);
    this.#mappings.push({ base, end, region, swap: littleEndian && !this.#littleEndian });
  }

  /** Maps the one region that answers where no other does. */
  mapBackground(base: number, size: number, region: MmioRegion, littleEndian = false): void {
    this.#background = { base, end: base + size, region, swap: littleEndian && !this.#littleEndian };
  }

  /** Maps `count` DCRs from number `base`. */
  mapDcr(base: number, count: number, region: DcrRegion): void {
    for (let i = 0; i < count; i++) {
      if (base + i >= DCR_COUNT || this.#dcrRegions[base + i] !== undefined)
        throw new MachineError(`two devices of this board share DCR ${hex(base + i)}`);
      this.#dcrRegions[base + i] = region;
      this.#dcrOffsets[base + i] = i;
    }
  }

  #find(address: number, length: number): Mapping | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.base && address + length <= last.end) return last;
    for (let i = 0; i < this.#mappings.length; i++) {
      const mapping = this.#mappings[i] as Mapping;
      if (address >= mapping.base && address + length <= mapping.end) {
        this.#last = mapping;
        return mapping;
      }
    }
    const background = this.#background;
    return background !== undefined && address >= background.base && address + length <= background.end
      ? background
      : undefined;
  }

  /** The unsigned value of `length` bytes at `address`, in the machine's byte order. */
  readMmio(address: number, length: number): number {
    this.#mmioReads++;
    const mapping = this.#find(address, length);
    if (mapping === undefined) {
      this.#unassignedMmio++;
      this.#lastUnassignedMmio = address;
      return 0;
    }
    const value = mapping.region.read(address - mapping.base, length);
    return mapping.swap ? swapBytes(value, length) : value;
  }

  writeMmio(address: number, length: number, value: number): void {
    this.#mmioWrites++;
    const mapping = this.#find(address, length);
    if (mapping === undefined) {
      this.#unassignedMmio++;
      this.#lastUnassignedMmio = address;
      return;
    }
    mapping.region.write(address - mapping.base, length, mapping.swap ? swapBytes(value, length) : value);
  }

  readDcr(number: number): number {
    this.#dcrReads++;
    const region = this.#dcrRegions[number];
    if (region === undefined) {
      this.#unassignedDcr++;
      this.#lastUnassignedDcr = number;
      return 0;
    }
    return region.readDcr(this.#dcrOffsets[number] as number);
  }

  writeDcr(number: number, value: number): void {
    this.#dcrWrites++;
    const region = this.#dcrRegions[number];
    if (region === undefined) {
      this.#unassignedDcr++;
      this.#lastUnassignedDcr = number;
      return;
    }
    region.writeDcr(this.#dcrOffsets[number] as number, value >>> 0);
  }

  /** Accesses since the start, and the last address and DCR that no device answered. */
  counters(): Record<string, number> {
    return {
      bus_mmio_reads: this.#mmioReads,
      bus_mmio_writes: this.#mmioWrites,
      bus_dcr_reads: this.#dcrReads,
      bus_dcr_writes: this.#dcrWrites,
      bus_unassigned_mmio: this.#unassignedMmio,
      bus_unassigned_mmio_last: this.#lastUnassignedMmio,
      bus_unassigned_dcr: this.#unassignedDcr,
      bus_unassigned_dcr_last: this.#lastUnassignedDcr,
    };
  }
}
