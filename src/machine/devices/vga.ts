import type { GuestMemory } from '../../kvm/api.ts';
import { swapBytes } from '../bus.ts';
import {
  type Device,
  type DeviceSpec,
  type DeviceState,
  type MmioRegion,
  savedNumbers,
  savedPart,
  savedRegisters,
} from '../device.ts';
import type { PciFunction, PciHost } from '../pci/bus.ts';
import { PciConfigSpace } from '../pci/config-space.ts';
import type { DisplayDevice, Picture } from '../picture.ts';

/** The standard VGA of QEMU and Bochs. */
const IDENTITY = {
  vendor: 0x1234,
  device: 0x1111,
  classCode: 0x030000,
  revision: 2,
  subsystemVendor: 0x1af4,
  subsystem: 0x1100,
};
export const VGA_MEMORY_BYTES = 16 * 2 ** 20;
const REGISTERS_BYTES = 0x1000;

/** I/O ports: VGA's own, and index and data of the display interface. */
const VGA_PORTS = { first: 0x3b0, count: 0x30 } as const;
const DISPI_PORTS = { first: 0x1ce, count: 4 } as const;
/** Where both stand in the registers' range (QEMU's standard-vga specification), and the byte order of the frame buffer. */
const AT = { ports: 0x400, portsEnd: 0x420, dispi: 0x500, dispiEnd: 0x516, extension: 0x600, order: 0x604 } as const;
const ORDER = { big: 0xbebebebe, little: 0x1e1e1e1e } as const;
const EXTENSION_BYTES = 8;

/** Registers of the display interface (Bochs VBE extensions). */
const DISPI = {
  ID: 0,
  WIDTH: 1,
  HEIGHT: 2,
  DEPTH: 3,
  ENABLE: 4,
  BANK: 5,
  VIRTUAL_WIDTH: 6,
  VIRTUAL_HEIGHT: 7,
  X: 8,
  Y: 9,
  MEMORY: 10,
} as const;
const DISPI_REGISTERS = 11;
const DISPI_ID = 0xb0c5;
const ENABLED = 0x01;
const CAPABILITIES = 0x02;
const DAC_8_BITS = 0x20;
const KEEP_MEMORY = 0x80;
const MOST = { width: 16000, height: 12000, depth: 32 } as const;
const DEPTHS: readonly number[] = [8, 15, 16, 24, 32];

/** VGA's ports, from 0x3c0: attribute, the palette's, and pairs of index and data. */
const PORT = {
  ATTRIBUTE: 0x3c0,
  DAC_MASK: 0x3c6,
  DAC_READ: 0x3c7,
  DAC_WRITE: 0x3c8,
  DAC_DATA: 0x3c9,
  STATUS: 0x3da,
} as const;
/** The display is between two pictures: who waits for it sees it come and go. */
const RETRACE = 0x09;
const COLOURS = 256;

/** A display of linear frame buffers. Its memory is the machine's: a range of it, at the place that firmware gives it. */
export class Vga implements Device, PciFunction, DisplayDevice {
  readonly space: PciConfigSpace;
  readonly #memory: GuestMemory;
  readonly #base: number;
  readonly #dispi = new Uint16Array(DISPI_REGISTERS);
  #index = 0;
  readonly #ports = new Uint8Array(VGA_PORTS.count);
  readonly #palette = new Uint8Array(3 * COLOURS);
  /** Which byte of the palette is written, or read, next. */
  #paletteAt = 0;
  #paletteReadAt = 0;
  #status = 0;
  #isBigEndian = true;

  /** `base`: guest physical address of the memory. */
  constructor(memory: GuestMemory, base: number) {
    this.#memory = memory;
    this.#base = base;
    this.space = new PciConfigSpace(IDENTITY, [
      { index: 0, kind: 'memory', prefetchable: true, bytes: VGA_MEMORY_BYTES, region: this.#frameBuffer },
      { index: 2, kind: 'memory', bytes: REGISTERS_BYTES, region: this.#registers },
    ]);
    this.reset();
  }

  /** The memory at another place than its own. */
  readonly #frameBuffer: MmioRegion = {
    read: (offset, length) => {
      const at = this.#base + offset;
      const memory = this.#memory;
      const value = length === 4 ? memory.read32(at) : length === 2 ? memory.read16(at) : memory.read8(at);
      return this.#turned(value ?? 0, length);
    },
    write: (offset, length, value) => {
      const at = this.#base + offset;
      const memory = this.#memory;
      const turned = this.#turned(value, length);
      if (length === 4) memory.write32(at, turned);
      else if (length === 2) memory.write16(at, turned);
      else memory.write8(at, turned);
    },
  };

  #turned(value: number, length: number): number {
    return this.#memory.littleEndian ? value : swapBytes(value, length);
  }

  readonly #registers: MmioRegion = {
    read: (offset, length) => {
      if (offset >= AT.dispi && offset < AT.dispiEnd && length === 2) return this.#readDispi((offset - AT.dispi) >> 1);
      if (offset >= AT.ports && offset < AT.portsEnd && length === 1) return this.readPort(offset - AT.ports + 0x3c0);
      if (offset === AT.extension && length === 4) return EXTENSION_BYTES;
      if (offset === AT.order && length === 4) return this.#isBigEndian ? ORDER.big : ORDER.little;
      return 0;
    },
    write: (offset, length, value) => {
      if (offset >= AT.dispi && offset < AT.dispiEnd && length === 2) this.#writeDispi((offset - AT.dispi) >> 1, value);
      else if (offset >= AT.ports && offset < AT.portsEnd && length === 1)
        this.writePort(offset - AT.ports + 0x3c0, value);
      else if (offset === AT.order && length === 4) {
        if (value === ORDER.big) this.#isBigEndian = true;
        else if (value === ORDER.little) this.#isBigEndian = false;
      }
    },
  };

  /** What answers at VGA's ports. */
  readonly ports: MmioRegion = {
    read: (offset, length) => (length === 1 ? this.readPort(VGA_PORTS.first + offset) : 0),
    write: (offset, length, value) => {
      // A pair of index and data.
      for (let i = 0; i < length && i < 2; i++)
        this.writePort(VGA_PORTS.first + offset + i, (value >>> (8 * i)) & 0xff);
    },
  };

  /** What answers at the display interface's: the index, and the data beside it or behind it. */
  readonly dispiPorts: MmioRegion = {
    read: (offset, length) => (length === 2 ? (offset === 0 ? this.#index : this.#readDispi(this.#index)) : 0),
    write: (offset, length, value) => {
      if (length !== 2) return;
      if (offset === 0) this.#index = value;
      else this.#writeDispi(this.#index, value);
    },
  };

  readPort(port: number): number {
    switch (port) {
      case PORT.STATUS:
        this.#status ^= RETRACE;
        return this.#status;
      case PORT.DAC_WRITE:
        return Math.floor(this.#paletteAt / 3);
      case PORT.DAC_DATA: {
        const value = this.#palette[this.#paletteReadAt] as number;
        this.#paletteReadAt = (this.#paletteReadAt + 1) % this.#palette.length;
        return value;
      }
      default:
        return this.#ports[port - VGA_PORTS.first] ?? 0;
    }
  }

  writePort(port: number, value: number): void {
    const index = port - VGA_PORTS.first;
    if (index < 0 || index >= VGA_PORTS.count) return;
    this.#ports[index] = value;
    if (port === PORT.DAC_READ) this.#paletteReadAt = 3 * value;
    else if (port === PORT.DAC_WRITE) this.#paletteAt = 3 * value;
    else if (port === PORT.DAC_DATA) {
      this.#palette[this.#paletteAt] = value;
      this.#paletteAt = (this.#paletteAt + 1) % this.#palette.length;
    }
  }

  #readDispi(index: number): number {
    const asks = ((this.#dispi[DISPI.ENABLE] as number) & CAPABILITIES) !== 0;
    switch (index) {
      case DISPI.WIDTH:
        return asks ? MOST.width : (this.#dispi[index] as number);
      case DISPI.HEIGHT:
        return asks ? MOST.height : (this.#dispi[index] as number);
      case DISPI.DEPTH:
        return asks ? MOST.depth : (this.#dispi[index] as number);
      case DISPI.MEMORY:
        return VGA_MEMORY_BYTES / 65536;
      default:
        return this.#dispi[index] ?? 0;
    }
  }

  #writeDispi(index: number, value: number): void {
    const dispi = this.#dispi;
    switch (index) {
      case DISPI.ID:
        if ((value & 0xfff0) === (DISPI_ID & 0xfff0) && value <= DISPI_ID) dispi[index] = value;
        return;
      case DISPI.ENABLE: {
        const turnsOn = (value & ENABLED) !== 0 && ((dispi[index] as number) & ENABLED) === 0;
        dispi[index] = value;
        if (!turnsOn) return;
        dispi[DISPI.VIRTUAL_WIDTH] = dispi[DISPI.WIDTH] as number;
        dispi[DISPI.VIRTUAL_HEIGHT] = dispi[DISPI.HEIGHT] as number;
        dispi[DISPI.X] = dispi[DISPI.Y] = 0;
        const shown = this.#shown();
        if ((value & KEEP_MEMORY) === 0 && shown) this.#memory.fill(this.#base, shown.rowBytes * shown.height, 0);
        return;
      }
      case DISPI.MEMORY:
        return;
      default:
        if (index < DISPI_REGISTERS) dispi[index] = value;
    }
  }

  /** What is shown, as far as the memory reaches; undefined: nothing. Sizes in pixels and bytes. */
  #shown(): { width: number; height: number; depth: number; rowBytes: number; start: number } | undefined {
    const dispi = this.#dispi;
    if (((dispi[DISPI.ENABLE] as number) & ENABLED) === 0) return undefined;
    const depth = dispi[DISPI.DEPTH] as number;
    if (!DEPTHS.includes(depth)) return undefined;
    const pixelBytes = (depth + 7) >> 3;
    const width = Math.min(dispi[DISPI.WIDTH] as number, MOST.width) & ~7;
    const rowBytes = Math.max(width, dispi[DISPI.VIRTUAL_WIDTH] as number) * pixelBytes;
    if (width === 0) return undefined;
    const start = (dispi[DISPI.Y] as number) * rowBytes + (dispi[DISPI.X] as number) * pixelBytes;
    const rows = Math.floor((VGA_MEMORY_BYTES - start) / rowBytes);
    const height = Math.min(dispi[DISPI.HEIGHT] as number, MOST.height, rows);
    return height > 0 ? { width, height, depth, rowBytes, start } : undefined;
  }

  picture(): Picture | undefined {
    const shown = this.#shown();
    if (shown === undefined) return undefined;
    const { width, height, depth, rowBytes, start } = shown;
    const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
    const row = new Uint8Array(width * ((depth + 7) >> 3));
    const colours = this.#colours();
    for (let y = 0; y < height; y++) {
      if (!this.#memory.readInto(this.#base + start + y * rowBytes, row)) return undefined;
      this.#convert(row, depth, colours, pixels, 4 * width * y);
    }
    return { width, height, pixels };
  }

  /** The palette with eight bits a colour. */
  #colours(): Uint8Array {
    if (((this.#dispi[DISPI.ENABLE] as number) & DAC_8_BITS) !== 0) return this.#palette;
    // Six bits, of which the last is repeated.
    return this.#palette.map((value) => ((value & 0x3f) << 2) | ((value & 1) * 3));
  }

  #convert(row: Uint8Array, depth: number, colours: Uint8Array, pixels: Uint8ClampedArray, at: number): void {
    const big = this.#isBigEndian;
    let to = at;
    const put = (red: number, green: number, blue: number): void => {
      pixels[to] = red;
      pixels[to + 1] = green;
      pixels[to + 2] = blue;
      to += 4;
    };
    const five = (value: number): number => ((value & 0x1f) << 3) | ((value & 0x1f) >> 2);
    switch (depth) {
      case 8:
        for (const index of row) put(colours[3 * index] ?? 0, colours[3 * index + 1] ?? 0, colours[3 * index + 2] ?? 0);
        break;
      case 15:
      case 16:
        for (let i = 0; i < row.length; i += 2) {
          const first = row[i] as number;
          const second = row[i + 1] as number;
          const value = big ? (first << 8) | second : (second << 8) | first;
          if (depth === 15) put(five(value >> 10), five(value >> 5), five(value));
          else put(five(value >> 11), ((value >> 3) & 0xfc) | ((value >> 9) & 3), five(value));
        }
        break;
      default: {
        const bytes = depth >> 3;
        const first = big ? bytes - 3 : 2;
        const step = big ? 1 : -1;
        for (let i = 0; i < row.length; i += bytes)
          put(row[i + first] as number, row[i + first + step] as number, row[i + first + 2 * step] as number);
      }
    }
  }

  reset(): void {
    this.space.reset();
    this.#dispi.fill(0);
    this.#dispi[DISPI.ID] = DISPI_ID;
    this.#ports.fill(0);
    this.#palette.fill(0);
    this.#index = this.#paletteAt = this.#paletteReadAt = this.#status = 0;
    this.#isBigEndian = !this.#memory.littleEndian;
  }

  save(): DeviceState {
    return {
      space: this.space.save(),
      dispi: Array.from(this.#dispi),
      ports: Array.from(this.#ports),
      palette: Array.from(this.#palette),
      rest: [this.#index, this.#paletteAt, this.#paletteReadAt, this.#status, this.#isBigEndian ? 1 : 0],
    };
  }

  restore(state: DeviceState): void {
    this.space.restore(savedPart(state, 'space'));
    this.#dispi.set(savedRegisters(state, 'dispi', DISPI_REGISTERS));
    this.#ports.set(savedRegisters(state, 'ports', VGA_PORTS.count));
    this.#palette.set(savedRegisters(state, 'palette', this.#palette.length));
    const [index = 0, paletteAt = 0, paletteReadAt = 0, status = 0, order = 0] = savedNumbers(state, 'rest', 5);
    this.#index = index & 0xffff;
    this.#paletteAt = paletteAt % this.#palette.length;
    this.#paletteReadAt = paletteReadAt % this.#palette.length;
    this.#status = status & RETRACE;
    this.#isBigEndian = order !== 0;
  }
}

/** The display in a slot of a bridge; `memory`: where firmware is going to put its memory. */
export function vga(options: { name: string; bridge: string; slot: number; memory: number }): DeviceSpec {
  return {
    name: options.name,
    memory: { base: options.memory, bytes: VGA_MEMORY_BYTES },
    create: ({ memory, device }) => {
      const card = new Vga(memory, options.memory);
      const { bus } = device(options.bridge) as Device & PciHost;
      bus.plug(options.slot, card);
      bus.addPorts(VGA_PORTS.first, VGA_PORTS.count, card.ports);
      bus.addPorts(DISPI_PORTS.first, DISPI_PORTS.count, card.dispiPorts);
      return card;
    },
  };
}
