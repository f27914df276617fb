import type { Device, DeviceSpec, DeviceState, MmioRegion } from '../device.ts';

/** An entry (ePAPR 1.1, section 5.5.2.1), big-endian: address, r3, a reserved word, PIR, a reserved doubleword. */
const ENTRY_BYTES = 32;
const ENTRIES = 32;
const ADDRESS_LOW = 0x04;
const R3_LOW = 0x0c;
const PIR = 0x14;
/** The address of a processor that waits. */
const WAITING = 1;

/**
 * Where secondary processors wait to be released. The primary one does not wait, and there are no others: entries read as
 * after power-on, and releasing nobody does nothing.
 */
export class SpinTable implements Device, MmioRegion {
  readonly mmio: readonly MmioRegion[] = [this];

  read(offset: number, length: number): number {
    let value = 0;
    for (let i = offset; i < offset + length; i++) value = value * 256 + byteAt(i);
    return value;
  }

  write(): void {}

  reset(): void {}

  save(): DeviceState {
    return {};
  }

  restore(): void {}
}

function byteAt(offset: number): number {
  const cpu = Math.floor(offset / ENTRY_BYTES);
  const at = offset % ENTRY_BYTES;
  const word = at & ~3;
  const value = word === ADDRESS_LOW ? WAITING : word === R3_LOW || word === PIR ? cpu : 0;
  return (value >>> (8 * (3 - (at & 3)))) & 0xff;
}

/** The table on a board. */
export function spinTable(options: { name: string; base: number }): DeviceSpec {
  return {
    name: options.name,
    mmio: [{ base: options.base, size: ENTRIES * ENTRY_BYTES }],
    create: () => new SpinTable(),
  };
}
