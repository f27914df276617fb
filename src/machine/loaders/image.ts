import { formatBytes, hex, MachineError } from '../error.ts';

/** A part of a kernel, as it goes into guest memory: `bytes` at `address`, then zeros up to `memoryBytes` in all. */
export interface Segment {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly memoryBytes: number;
}

/** A kernel that has been taken apart and checked: every segment lies in guest RAM. Addresses are guest physical. */
export interface KernelImage {
  readonly format: 'ELF' | 'uImage' | 'raw';
  readonly segments: readonly Segment[];
  readonly entry: number;
  /** Its instructions are in little-endian order. */
  readonly littleEndian: boolean;
}

/** Throws MachineError unless [address, address + bytes) lies in RAM, which begins at 0. */
export function checkFits(what: string, address: number, bytes: number, memoryBytes: number): void {
  if (address + bytes > memoryBytes)
    throw new MachineError(
      `${what} needs memory from ${hex(address)} to ${hex(address + bytes)}, but the machine has ` +
        `${formatBytes(memoryBytes)}; ${formatBytes(Math.ceil((address + bytes) / 2 ** 20) * 2 ** 20)} or more would fit`,
    );
}
