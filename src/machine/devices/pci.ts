import { type DeviceState, savedRegisters } from '../device.ts';

/** Bytes of a function's configuration space (PCI Local Bus Specification 3.0, section 6.1). */
export const PCI_CONFIG_BYTES = 256;

/** One function on a PCI bus. `offset` + `length` never passes the end of the configuration space. */
export interface PciFunction {
  readConfig(offset: number, length: number): number;
  writeConfig(offset: number, length: number, value: number): void;
  reset(): void;
  save(): DeviceState;
  restore(state: DeviceState): void;
}

/** A configuration space with read-only, writable and one-to-clear bits; little-endian. */
export class PciConfigSpace implements PciFunction {
  readonly #bytes = new Uint8Array(PCI_CONFIG_BYTES);
  readonly #initial = new Uint8Array(PCI_CONFIG_BYTES);
  readonly #writable = new Uint8Array(PCI_CONFIG_BYTES);

  /** `classCode`: base class, subclass and interface, 24 bits. */
  constructor(identity: { vendor: number; device: number; classCode: number; revision: number }) {
    const set = (offset: number, length: number, value: number): void => {
      for (let i = 0; i < length; i++) this.#initial[offset + i] = value >>> (8 * i);
    };
    set(0x00, 2, identity.vendor);
    set(0x02, 2, identity.device);
    set(0x08, 1, identity.revision);
    set(0x09, 3, identity.classCode);
    // Command: I/O, memory, master, parity, SERR, interrupt disable. Cache line size; interrupt line; beyond the header.
    this.#writable[0x04] = 0x47;
    this.#writable[0x05] = 0x05;
    this.#writable[0x0c] = 0xff;
    this.#writable[0x3c] = 0xff;
    this.#writable.fill(0xff, 0x40);
    this.reset();
  }

  readConfig(offset: number, length: number): number {
    let value = 0;
    for (let i = 0; i < length; i++) value |= (this.#bytes[offset + i] ?? 0xff) << (8 * i);
    return value >>> 0;
  }

  writeConfig(offset: number, length: number, value: number): void {
    for (let i = 0; i < length && offset + i < PCI_CONFIG_BYTES; i++) {
      const mask = this.#writable[offset + i] as number;
      const old = this.#bytes[offset + i] as number;
      this.#bytes[offset + i] = (old & ~mask) | ((value >>> (8 * i)) & mask);
    }
  }

  reset(): void {
    this.#bytes.set(this.#initial);
  }

  save(): DeviceState {
    return { config: Array.from(this.#bytes) };
  }

  restore(state: DeviceState): void {
    this.#bytes.set(savedRegisters(state, 'config', PCI_CONFIG_BYTES));
  }
}

/** Bus 0 of a host bridge: up to 32 devices of one function each. */
export class PciBus {
  readonly #functions: (PciFunction | undefined)[] = new Array(32).fill(undefined);

  plug(device: number, pciFunction: PciFunction): void {
    this.#functions[device] = pciFunction;
  }

  get functions(): readonly PciFunction[] {
    return this.#functions.filter((one) => one !== undefined);
  }

  /** `address` is CONFIG_ADDRESS (enable bit 31, bus, device, function, register); where nothing answers, all ones. */
  #select(address: number): PciFunction | undefined {
    if ((address & 0x80000000) === 0 || (address & 0x00ff0700) !== 0) return undefined;
    return this.#functions[(address >>> 11) & 31];
  }

  /** Reads at byte `lane` (0-3) of the addressed register. */
  readConfig(address: number, lane: number, length: number): number {
    const pciFunction = this.#select(address);
    if (pciFunction === undefined) return length === 4 ? 0xffffffff : (1 << (8 * length)) - 1;
    return pciFunction.readConfig((address & 0xfc) + lane, length);
  }

  writeConfig(address: number, lane: number, length: number, value: number): void {
    this.#select(address)?.writeConfig((address & 0xfc) + lane, length, value);
  }
}
