/** Guest memory as a device has it, with its accesses told to a tracer. */
import type { GuestMemory } from '../../kvm/api.ts';
import type { Tracer } from './tracer.ts';

class TracedMemory implements GuestMemory {
  readonly littleEndian: boolean;
  readonly #memory: GuestMemory;
  readonly #tracer: Tracer;

  constructor(memory: GuestMemory, tracer: Tracer) {
    this.littleEndian = memory.littleEndian;
    this.#memory = memory;
    this.#tracer = tracer;
  }

  contains(address: number, length: number): boolean {
    return this.#memory.contains(address, length);
  }

  read8(address: number): number | undefined {
    this.#tracer.dma(false, address, 1);
    return this.#memory.read8(address);
  }

  read16(address: number): number | undefined {
    this.#tracer.dma(false, address, 2);
    return this.#memory.read16(address);
  }

  read32(address: number): number | undefined {
    this.#tracer.dma(false, address, 4);
    return this.#memory.read32(address);
  }

  write8(address: number, value: number): boolean {
    this.#tracer.dma(true, address, 1);
    return this.#memory.write8(address, value);
  }

  write16(address: number, value: number): boolean {
    this.#tracer.dma(true, address, 2);
    return this.#memory.write16(address, value);
  }

  write32(address: number, value: number): boolean {
    this.#tracer.dma(true, address, 4);
    return this.#memory.write32(address, value);
  }

  readBytes(address: number, length: number): Uint8Array | undefined {
    this.#tracer.dma(false, address, length);
    return this.#memory.readBytes(address, length);
  }

  readInto(address: number, into: Uint8Array): boolean {
    this.#tracer.dma(false, address, into.length);
    return this.#memory.readInto(address, into);
  }

  writeBytes(address: number, bytes: Uint8Array): boolean {
    this.#tracer.dma(true, address, bytes.length);
    return this.#memory.writeBytes(address, bytes);
  }

  fill(address: number, length: number, value: number): boolean {
    this.#tracer.dma(true, address, length);
    return this.#memory.fill(address, length, value);
  }
}

export function tracedMemory(memory: GuestMemory, tracer: Tracer): GuestMemory {
  return new TracedMemory(memory, tracer);
}
