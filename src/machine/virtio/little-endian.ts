import type { GuestMemory } from '../../kvm/api.ts';
import { swapBytes } from '../bus.ts';

/** Little-endian words in a guest's memory, whatever the guest: virtio's and most PCI devices' byte order. */
export class LittleEndianMemory {
  readonly #memory: GuestMemory;
  readonly #swap: boolean;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
    this.#swap = !memory.littleEndian;
  }

  /** -1: there is no memory. */
  read16(address: number): number {
    const value = this.#memory.read16(address);
    return value === undefined ? -1 : this.#swap ? swapBytes(value, 2) : value;
  }

  /** -1: there is no memory. */
  read32(address: number): number {
    const value = this.#memory.read32(address);
    return value === undefined ? -1 : this.#swap ? swapBytes(value, 4) : value;
  }

  write16(address: number, value: number): boolean {
    return this.#memory.write16(address, this.#swap ? swapBytes(value, 2) : value);
  }

  write32(address: number, value: number): boolean {
    return this.#memory.write32(address, this.#swap ? swapBytes(value, 4) : value);
  }
}
