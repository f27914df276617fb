import { swapBytes } from '../../bus.ts';
import type { Device, DeviceSpec, DeviceState, MmioRegion } from '../../device.ts';
import type { PciFunction, PciHost } from '../../pci/bus.ts';
import { PciConfigSpace } from '../../pci/config-space.ts';
import { SUBSYSTEM } from './pci-pins.ts';

/** The chip's memory: one range for all that is in it. */
const MACIO_BYTES = 0x80000;
/** Parts begin on pages of this size, or at least no two share one. */
const PAGE_SHIFT = 12;

const APPLE = 0x106b;
/** "Other" of the unclassified. */
const CLASS_CODE = 0xff0000;

/** A device in the chip: which of its regions answers at which offset. Bytes and what follows the chip's order need not say so. */
export interface MacioPart {
  readonly device: string;
  /** Number of the device's region; the first if absent. */
  readonly region?: number;
  readonly offset: number;
  readonly size: number;
  /** Its words are big-endian; the chip's own are little-endian, as PCI's. */
  readonly bigEndian?: boolean;
}

interface Placed extends MacioPart {
  readonly answers: MmioRegion;
}

/** The I/O chip of a Mac (Heathrow, Paddington, KeyLargo): a PCI function whose memory holds its devices. */
export class Macio implements Device, PciFunction {
  readonly space: PciConfigSpace;
  readonly #pages: (Placed | undefined)[] = new Array(MACIO_BYTES >> PAGE_SHIFT).fill(undefined);

  constructor(deviceId: number, parts: readonly Placed[]) {
    for (const part of parts)
      for (let at = part.offset & ~((1 << PAGE_SHIFT) - 1); at < part.offset + part.size; at += 1 << PAGE_SHIFT)
        this.#pages[at >> PAGE_SHIFT] = part;
    this.space = new PciConfigSpace(
      { vendor: APPLE, device: deviceId, classCode: CLASS_CODE, revision: 0, ...SUBSYSTEM },
      [{ index: 0, kind: 'memory', bytes: MACIO_BYTES, region: this.#memory }],
    );
  }

  #at(offset: number, length: number): Placed | undefined {
    const part = this.#pages[offset >> PAGE_SHIFT];
    return part !== undefined && offset >= part.offset && offset + length <= part.offset + part.size ? part : undefined;
  }

  readonly #memory: MmioRegion = {
    read: (offset, length) => {
      const part = this.#at(offset, length);
      if (part === undefined) return 0;
      const value = part.answers.read(offset - part.offset, length);
      return part.bigEndian === true ? swapBytes(value, length) : value;
    },
    write: (offset, length, value) => {
      const part = this.#at(offset, length);
      part?.answers.write(offset - part.offset, length, part.bigEndian === true ? swapBytes(value, length) : value);
    },
  };

  reset(): void {
    this.space.reset();
  }

  save(): DeviceState {
    return this.space.save();
  }

  restore(state: DeviceState): void {
    this.space.restore(state);
  }
}

/** The chip in a slot of a bridge; the devices in it stand before it in the board's list. */
export function macio(options: {
  name: string;
  bridge: string;
  slot: number;
  deviceId: number;
  parts: readonly MacioPart[];
}): DeviceSpec {
  return {
    name: options.name,
    create: (wiring) => {
      const parts = options.parts.map((part): Placed => {
        const answers = wiring.device(part.device)?.mmio?.[part.region ?? 0];
        if (answers === undefined) throw new Error(`"${part.device}" has no registers for "${options.name}"`);
        return { ...part, answers };
      });
      const chip = new Macio(options.deviceId, parts);
      (wiring.device(options.bridge) as Device & PciHost).bus.plug(options.slot, chip);
      return chip;
    },
  };
}
