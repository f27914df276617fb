import { type Device, type DeviceSpec, type DeviceState, type MmioRegion, savedRegisters } from '../../device.ts';

export const MAC_NVRAM_BYTES = 0x2000;

/** Partition header (PowerPC CHRP binding, section 8.4). */
const BLOCK_BYTES = 16;
const COMMON = { at: 0, signature: 0x70, name: 'system', bytes: 0xc10 } as const;
/** Mac OS X's: two copies of the variables, each with a header of its own. */
const OS_X = { at: 0x1000, signature: 0x5a, name: 'nvram', bytes: 0x1000 } as const;
const FREE = { signature: 0x7f, name: 'free' } as const;

/**
 * Bytes that stay without power, each at a multiple of `stride` in the memory map. A new one holds what firmware expects:
 * an empty partition for its variables, Mac OS X's, and free room between.
 */
export class MacNvram implements Device, MmioRegion {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly #bytes = new Uint8Array(MAC_NVRAM_BYTES);
  readonly #shift: number;

  /** `stride`: a power of two. */
  constructor(stride: number) {
    this.#shift = Math.log2(stride);
    this.#partition(COMMON.at, COMMON.signature, COMMON.name, COMMON.bytes);
    this.#partition(COMMON.bytes, FREE.signature, FREE.name, OS_X.at - COMMON.bytes);
    this.#partition(OS_X.at, OS_X.signature, OS_X.name, OS_X.bytes);
  }

  #partition(at: number, signature: number, name: string, length: number): void {
    const header = this.#bytes.subarray(at, at + BLOCK_BYTES);
    header.set([signature, 0, length / BLOCK_BYTES / 256, length / BLOCK_BYTES]);
    header.set(
      Uint8Array.from(name, (character) => character.charCodeAt(0)),
      4,
    );
    let sum = 0;
    for (const byte of header) {
      sum += byte;
      if (sum > 0xff) sum -= 0xff;
    }
    header[1] = sum;
  }

  read(offset: number, _length: number): number {
    return this.#bytes[(offset >> this.#shift) & (MAC_NVRAM_BYTES - 1)] as number;
  }

  write(offset: number, _length: number, value: number): void {
    this.#bytes[(offset >> this.#shift) & (MAC_NVRAM_BYTES - 1)] = value;
  }

  reset(): void {}

  save(): DeviceState {
    return { bytes: Array.from(this.#bytes) };
  }

  restore(state: DeviceState): void {
    this.#bytes.set(savedRegisters(state, 'bytes', MAC_NVRAM_BYTES));
  }
}

/** NVRAM in a macio chip, or at an address of its own. */
export function macNvram(options: { name: string; stride: number; base?: number }): DeviceSpec {
  return {
    name: options.name,
    ...(options.base !== undefined && { mmio: [{ base: options.base, size: MAC_NVRAM_BYTES * options.stride }] }),
    create: () => new MacNvram(options.stride),
  };
}
