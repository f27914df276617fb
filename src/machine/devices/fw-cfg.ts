import type { FirmwareInformant, Preloaded } from '../board.ts';
import {
  type Device,
  type DeviceSpec,
  type DeviceState,
  type MmioRegion,
  savedNumber,
  savedNumbers,
} from '../device.ts';

/** Keys that are the same on all machines (QEMU's "Firmware Configuration Device" specification, and its fw_cfg.h). */
export const FW_CFG = {
  SIGNATURE: 0x00,
  ID: 0x01,
  UUID: 0x02,
  RAM_SIZE: 0x03,
  NOGRAPHIC: 0x04,
  NB_CPUS: 0x05,
  MACHINE_ID: 0x06,
  KERNEL_ADDR: 0x07,
  KERNEL_SIZE: 0x08,
  KERNEL_CMDLINE: 0x09,
  INITRD_ADDR: 0x0a,
  INITRD_SIZE: 0x0b,
  BOOT_DEVICE: 0x0c,
  NUMA: 0x0d,
  BOOT_MENU: 0x0e,
  MAX_CPUS: 0x0f,
  FILE_DIR: 0x19,
} as const;

/** The bit that makes a key the architecture's own, and a bit that asked for writing in versions of old. */
const WRITE = 0x4000;
/** Selects nothing. */
const INVALID = 0xffff;

/** The device's registers: the key, 16 bits and big-endian, and the data behind it, byte after byte. */
const SELECTOR = 0;
const DATA = 2;
export const FW_CFG_BYTES = 3;

/** What a key answers. */
export type FwCfgItem = readonly [key: number, value: Uint8Array];

/** Little-endian numbers as items have them. */
export const word16 = (value: number): Uint8Array => Uint8Array.of(value, value >>> 8);
export const word32 = (value: number): Uint8Array => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
const word64 = (value: number): Uint8Array =>
  Uint8Array.from([...word32(value), ...word32(Math.floor(value / 2 ** 32))]);

/** Keys by which firmware learns of KVM's hypercall: whether there is one, and its words. */
export interface HypercallKeys {
  readonly isKvm: number;
  readonly instructions: number;
}
/** The first hard disk, or the first CD, by the letter that it has. */
export type BootDisk = 'c' | 'd';
const HYPERCALL_WORDS = 4;
const HYPERCALL_BYTES = 4 * HYPERCALL_WORDS;
const PRELOADED_WORDS = 5;

/** Where a machine tells its firmware what it is and what there is to boot. */
export class FwCfg implements Device, MmioRegion, FirmwareInformant {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly #fixed: readonly FwCfgItem[];
  readonly #items = new Map<number, Uint8Array>();
  /** Addresses and sizes of what is preloaded, as `inform` was told last. */
  #preloaded: readonly number[] = [0, 0, 0, 0, 0];
  readonly #hypercall: HypercallKeys | undefined;
  readonly #disk: BootDisk;
  #key = INVALID;
  #offset = 0;

  /** `disk`: what is to be booted from when there is no kernel. */
  constructor(fixed: readonly FwCfgItem[], disk: BootDisk, hypercall?: HypercallKeys) {
    this.#fixed = fixed;
    this.#hypercall = hypercall;
    this.#disk = disk;
    this.#fill();
  }

  inform({ kernel, initrd, commandLine, hcallInstructions = [] }: Preloaded): void {
    this.#preloaded = [kernel.address, kernel.bytes, commandLine, initrd.address, initrd.bytes, ...hcallInstructions];
    this.#fill();
  }

  #fill(): void {
    const [kernel = 0, kernelBytes = 0, commandLine = 0, initrd = 0, initrdBytes = 0, ...instructions] =
      this.#preloaded;
    const items: FwCfgItem[] = [
      [FW_CFG.SIGNATURE, Uint8Array.from('QEMU', (character) => character.charCodeAt(0))],
      [FW_CFG.ID, word32(1)],
      [FW_CFG.UUID, new Uint8Array(16)],
      [FW_CFG.KERNEL_ADDR, word32(kernel)],
      [FW_CFG.KERNEL_SIZE, word32(kernelBytes)],
      [FW_CFG.KERNEL_CMDLINE, word32(commandLine)],
      [FW_CFG.INITRD_ADDR, word32(initrd)],
      [FW_CFG.INITRD_SIZE, word32(initrdBytes)],
      [FW_CFG.BOOT_MENU, word16(0)],
      [FW_CFG.BOOT_DEVICE, word16((kernelBytes > 0 ? 'm' : this.#disk).charCodeAt(0))],
      // A count, big-endian: no files.
      [FW_CFG.FILE_DIR, word32(0)],
      ...this.#fixed,
    ];
    if (this.#hypercall !== undefined && instructions.length > 0) {
      items.push([this.#hypercall.isKvm, word32(1)]);
      const bytes = new DataView(new ArrayBuffer(HYPERCALL_BYTES));
      instructions.forEach((word, i) => {
        bytes.setUint32(4 * i, word);
      });
      items.push([this.#hypercall.instructions, new Uint8Array(bytes.buffer)]);
    }
    this.#items.clear();
    for (const [key, value] of items) this.#items.set(key, value);
  }

  read(offset: number, length: number): number {
    if (offset !== DATA || length !== 1) return 0;
    // Behind an item's end there are zeroes.
    return this.#items.get(this.#key)?.[this.#offset++] ?? 0;
  }

  write(offset: number, length: number, value: number): void {
    if (offset !== SELECTOR || length !== 2) return;
    this.#key = value & ~WRITE & 0xffff;
    this.#offset = 0;
  }

  reset(): void {
    this.#key = INVALID;
    this.#offset = 0;
  }

  save(): DeviceState {
    return { key: this.#key, offset: this.#offset, preloaded: [...this.#preloaded] };
  }

  restore(state: DeviceState): void {
    const preloaded = savedNumbers(state, 'preloaded', PRELOADED_WORDS + HYPERCALL_WORDS);
    this.#preloaded = preloaded;
    this.#key = savedNumber(state, 'key') & 0xffff;
    this.#offset = savedNumber(state, 'offset');
    this.#fill();
  }
}

/** The device on a board. `items`: what the board says beside what all do. */
export function fwCfg(options: {
  name: string;
  base: number;
  memoryBytes: number;
  machineId: number;
  /** There is no display: the serial port is the console. */
  noGraphic: boolean;
  items: readonly FwCfgItem[];
  bootDisk: BootDisk;
  hypercall?: HypercallKeys;
}): DeviceSpec {
  return {
    name: options.name,
    mmio: [{ base: options.base, size: FW_CFG_BYTES }],
    create: () =>
      new FwCfg(
        [
          [FW_CFG.RAM_SIZE, word64(options.memoryBytes)],
          [FW_CFG.NOGRAPHIC, word16(options.noGraphic ? 1 : 0)],
          [FW_CFG.NB_CPUS, word16(1)],
          [FW_CFG.MAX_CPUS, word16(1)],
          [FW_CFG.MACHINE_ID, word16(options.machineId)],
          ...options.items,
        ],
        options.bootDisk,
        options.hypercall,
      ),
  };
}
