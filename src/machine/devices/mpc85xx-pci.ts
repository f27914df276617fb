import { swapBytes } from '../bus.ts';
import {
  type Device,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  interruptProperties,
  type MmioRegion,
  savedNumber,
  savedPart,
  savedRegisters,
  type TreeCell,
  type Wiring,
} from '../device.ts';
import type { InterruptLine, InterruptSink } from '../interrupts.ts';
import { PCI_DEVICES, PciBus, type PciHost } from '../pci/bus.ts';
import { PciConfigSpace } from '../pci/config-space.ts';

/** Configuration access (MPC8544E Reference Manual, section 16.3.1): the address is big-endian, the data as on the bus. */
const CFG_ADDR = 0x000;
const CFG_DATA = 0x004;
const CONFIG_BYTES = 8;
/** Address translation (16.3.1.2, 16.3.1.3): windows of 32 bytes, outbound ones upwards, inbound ones downwards. */
const WINDOWS = 0xc00;
const WINDOW_BYTES = 0x20;
const WINDOWS_END = 0xe00;
const REGION_BYTES = 0x1000;
const OUTBOUND = [0xc20, 0xc40, 0xc60, 0xc80] as const;
const INBOUND = [0xde0, 0xdc0, 0xda0] as const;
/** Words of a window: translation address, its upper half (outbound), base address, its upper half (inbound), attributes. */
const TAR = 0;
const TEAR = 1;
const WBAR = 2;
const WBEAR = 3;
const WAR = 4;

const WAR_EN = 0x80000000;
/** Transaction of an outbound window's reads; 8 is I/O. */
const WAR_RTT_SHIFT = 16;
const WAR_WTT_SHIFT = 12;
const TRANSACTION_IO = 8;
/** Inbound windows: the target, 15 is local memory. */
const WAR_TARGET_SHIFT = 20;
const TARGET_LOCAL = 15;
const WAR_SIZE = 0x3f;
const PAGE = 4096;
const TWO_32 = 2 ** 32;
/** Effective addresses translate to these: everything that the e500's 36 bits reach. */
const PHYSICAL_BYTES = 2 ** 36;
const CCSR_BYTES = 2 ** 20;

const HOST_BRIDGE = { vendor: 0x1957, device: 0x0030, classCode: 0x0b2000, revision: 0 };
/** Bits of the interrupt map's mask: device number and pin. */
const MAP_MASK = [0xf800, 0, 0, 7] as const;
const PINS = 4;
const SLOTS = PCI_DEVICES - 1;

/** A window that is on: [base, end) of one side is at `target` of the other. */
interface Window {
  base: number;
  end: number;
  target: number;
  isIoRead: boolean;
  isIoWrite: boolean;
}

/**
 * PCI host bridge of the MPC85xx family. Outbound windows show PCI space to the processor where nothing else is mapped; bus
 * addresses reach the chip's own registers through the bridge's BAR 0, and memory through inbound windows. Input n is the
 * interrupt of the device in slot n.
 */
export class Mpc85xxPci implements Device, PciHost, InterruptSink {
  readonly bus = new PciBus();
  readonly #wiring: Pick<Wiring, 'memory' | 'bus'>;
  readonly #ccsr: number;
  readonly #bridge: PciConfigSpace;
  readonly #pins: readonly InterruptLine[];
  /** Slots that assert each pin, a bit each. */
  readonly #asserting = new Uint32Array(PINS);
  readonly #words = new Uint32Array((WINDOWS_END - WINDOWS) / 4);
  readonly #outbound: Window[] = OUTBOUND.map(noWindow);
  readonly #inbound: Window[] = INBOUND.map(noWindow);
  readonly #memorySpace = this.bus.window(false, 0);
  readonly #ioSpace = this.bus.window(true, 0);
  #configAddress = 0;
  /** An access is on its way through the bridge: what comes back to the windows from there finds none. */
  #isBusy = false;

  /** `pins`: its interrupts INTA to INTD; `ccsr`: physical address of the registers that BAR 0 shows. */
  constructor(pins: readonly InterruptLine[], ccsr: number, wiring: Pick<Wiring, 'memory' | 'bus'>) {
    this.#pins = pins;
    this.#ccsr = ccsr;
    this.#wiring = wiring;
    this.#bridge = new PciConfigSpace(HOST_BRIDGE, [
      { index: 0, kind: 'memory', bytes: CCSR_BYTES, region: this.#registersOnBus },
    ]);
    this.bus.plug(0, { space: this.#bridge });
    this.bus.onMessage = (address, data) => this.#message(address, data);
  }

  setInput(slot: number, active: boolean): void {
    const pin = slot % PINS;
    const bit = 1 << slot;
    const before = this.#asserting[pin] as number;
    const now = active ? before | bit : before & ~bit;
    this.#asserting[pin] = now;
    this.#pins[pin]?.set(now !== 0);
  }

  readonly #configuration: MmioRegion = {
    read: (offset, length) => {
      // The bytes of the bus, as the big-endian side sees them.
      if (offset >= CFG_DATA) return swapBytes(this.bus.readConfig(this.#configAddress, offset & 3, length), length);
      return offset === CFG_ADDR && length === 4 ? this.#configAddress : 0;
    },
    write: (offset, length, value) => {
      if (offset >= CFG_DATA) this.bus.writeConfig(this.#configAddress, offset & 3, length, swapBytes(value, length));
      else if (offset === CFG_ADDR && length === 4) this.#configAddress = value;
    },
  };

  readonly #translation: MmioRegion = {
    read: (offset, length) => (length === 4 && (offset & 3) === 0 ? (this.#words[offset >>> 2] ?? 0) : 0),
    write: (offset, length, value) => {
      const start = WINDOWS + offset - (offset % WINDOW_BYTES);
      const isWindow = OUTBOUND.some((at) => at === start) || INBOUND.some((at) => at === start);
      if (length !== 4 || (offset & 3) !== 0 || !isWindow || offset % WINDOW_BYTES > 4 * WAR) return;
      this.#words[offset >>> 2] = value;
      this.#setWindows();
    },
  };

  /** What the processor sees of PCI space, at any address that is nobody else's; little-endian. */
  readonly #outside: MmioRegion = {
    read: (address, length) => {
      const window = this.#enter(this.#outbound, address, length);
      if (window === undefined) return 0;
      const space = window.isIoRead ? this.#ioSpace : this.#memorySpace;
      const value = space.read(address - window.base + window.target, length);
      this.#isBusy = false;
      return value;
    },
    write: (address, length, value) => {
      const window = this.#enter(this.#outbound, address, length);
      if (window === undefined) return;
      const space = window.isIoWrite ? this.#ioSpace : this.#memorySpace;
      space.write(address - window.base + window.target, length, value);
      this.#isBusy = false;
    },
  };

  readonly mmio: readonly MmioRegion[] = [this.#configuration, this.#translation, this.#outside];

  /** The chip's registers as BAR 0 shows them: byte for byte. */
  get #registersOnBus(): MmioRegion {
    return {
      read: (offset, length) => swapBytes(this.#wiring.bus.readMmio(this.#ccsr + offset, length), length),
      write: (offset, length, value) =>
        this.#wiring.bus.writeMmio(this.#ccsr + offset, length, swapBytes(value, length)),
    };
  }

  /** The window that an access passes through, if there is one; the bridge is then busy until the access is done. */
  #enter(windows: readonly Window[], address: number, length: number): Window | undefined {
    if (this.#isBusy) return undefined;
    for (let i = 0; i < windows.length; i++) {
      const window = windows[i] as Window;
      if (address >= window.base && address + length <= window.end) {
        this.#isBusy = true;
        return window;
      }
    }
    return undefined;
  }

  /** A function writes a word to a bus address. */
  #message(address: number, data: number): void {
    const bar = this.#bridge.find(false, address, 4);
    if (bar !== undefined) {
      bar.region.write(address - this.#bridge.barBase, 4, data);
      return;
    }
    const wasBusy = this.#isBusy;
    this.#isBusy = false;
    const window = this.#enter(this.#inbound, address, 4);
    if (window !== undefined) {
      const physical = address - window.base + window.target;
      const word = swapBytes(data, 4);
      if (!this.#wiring.memory.write32(physical, word)) this.#wiring.bus.writeMmio(physical, 4, word);
    }
    this.#isBusy = wasBusy;
  }

  #setWindows(): void {
    const word = (start: number, index: number): number => this.#words[(start - WINDOWS) / 4 + index] as number;
    OUTBOUND.forEach((start, i) => {
      const attributes = word(start, WAR);
      setWindow(this.#outbound[i] as Window, attributes, {
        base: (word(start, WBAR) & 0xffffff) * PAGE,
        target: word(start, TAR) * PAGE + (word(start, TEAR) & 0xfffff) * TWO_32 * PAGE,
        isIoRead: ((attributes >>> WAR_RTT_SHIFT) & 15) === TRANSACTION_IO,
        isIoWrite: ((attributes >>> WAR_WTT_SHIFT) & 15) === TRANSACTION_IO,
      });
    });
    INBOUND.forEach((start, i) => {
      const attributes = word(start, WAR);
      const isLocal = ((attributes >>> WAR_TARGET_SHIFT) & 15) === TARGET_LOCAL;
      setWindow(this.#inbound[i] as Window, isLocal ? attributes : 0, {
        base: word(start, WBAR) * PAGE + (word(start, WBEAR) & 0xfffff) * TWO_32 * PAGE,
        target: (word(start, TAR) & 0xffffff) * PAGE,
        isIoRead: false,
        isIoWrite: false,
      });
    });
  }

  reset(): void {
    this.#configAddress = 0;
    this.#words.fill(0);
    this.#setWindows();
    this.#bridge.reset();
  }

  save(): DeviceState {
    return { configAddress: this.#configAddress, windows: Array.from(this.#words), bridge: this.#bridge.save() };
  }

  restore(state: DeviceState): void {
    this.#configAddress = savedNumber(state, 'configAddress');
    this.#words.set(savedRegisters(state, 'windows', this.#words.length));
    this.#setWindows();
    this.#bridge.restore(savedPart(state, 'bridge'));
  }
}

const noWindow = (): Window => ({ base: 0, end: 0, target: 0, isIoRead: false, isIoWrite: false });

function setWindow(
  window: Window,
  attributes: number,
  { base, target, isIoRead, isIoWrite }: Omit<Window, 'end'>,
): void {
  const isOn = (attributes & WAR_EN) !== 0;
  // The low bits of both addresses that are within the window do not count.
  const bytes = 2 ** ((attributes & WAR_SIZE) + 1);
  window.base = base - (base % bytes);
  window.end = isOn && bytes >= PAGE ? window.base + bytes : window.base;
  window.target = target - (target % bytes);
  window.isIoRead = isIoRead;
  window.isIoWrite = isIoWrite;
}

/**
 * The bridge on a board. `base`: of its registers; `memory`, `io`: where firmware and guests put the outbound windows, guest
 * physical and bus addresses; `pins`: its interrupts INTA to INTD; `error`: its own in the device tree, which never comes;
 * `messages`: the device that takes message-signalled interrupts; `ccsr`: physical address of the chip's registers.
 */
export function mpc85xxPci(options: {
  name: string;
  base: number;
  ccsr: number;
  memory: { base: number; bus: number; size: number };
  io: { base: number; size: number };
  clock: number;
  pins: readonly InterruptSpec[];
  error: InterruptSpec;
  messages: string;
}): DeviceSpec {
  const { name, base, ccsr, memory, io, clock, pins, error, messages } = options;
  const wide = (value: number): number[] => [Math.floor(value / TWO_32), value >>> 0];
  return {
    name,
    mmio: [
      { base, size: CONFIG_BYTES },
      { base: base + WINDOWS, size: WINDOWS_END - WINDOWS },
      { base: 0, size: PHYSICAL_BYTES, littleEndian: true, isBackground: true },
    ],
    interrupts: pins,
    node: {
      path: `/pci@${base.toString(16)}`,
      properties: {
        device_type: 'pci',
        compatible: 'fsl,mpc8540-pci',
        'cell-index': [0],
        reg: [...wide(base), ...wide(REGION_BYTES)],
        '#address-cells': [3],
        '#size-cells': [2],
        '#interrupt-cells': [1],
        'clock-frequency': [clock],
        'bus-range': [0, 0xff],
        'fsl,msi': [{ phandle: messages }],
        ...interruptProperties([error]),
        ranges: [
          ...[0x02000000, 0, memory.bus, ...wide(memory.base), ...wide(memory.size)],
          ...[0x01000000, 0, 0, ...wide(io.base), ...wide(io.size)],
        ],
        'interrupt-map-mask': MAP_MASK,
        'interrupt-map': Array.from({ length: SLOTS * PINS }, (_, i): TreeCell[] => {
          const slot = 1 + Math.floor(i / PINS);
          const pin = pins[(slot + (i % PINS)) % PINS] as InterruptSpec;
          return [slot << 11, 0, 0, 1 + (i % PINS), { phandle: pin.controller }, pin.input, pin.sense ?? 1];
        }).flat(),
      },
    },
    create: ({ interrupts, memory: ram, bus }) => new Mpc85xxPci(interrupts, ccsr, { memory: ram, bus }),
  };
}
