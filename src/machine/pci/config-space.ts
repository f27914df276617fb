import { type DeviceState, type MmioRegion, savedRegisters } from '../device.ts';

/** Bytes of a function's configuration space (PCI Local Bus Specification 3.0, section 6.1). */
export const PCI_CONFIG_BYTES = 256;

/** Offsets in the header of type 0 (section 6.1). */
export const PCI_CONFIG = {
  VENDOR: 0x00,
  DEVICE: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  REVISION: 0x08,
  CLASS: 0x09,
  BAR0: 0x10,
  SUBSYSTEM_VENDOR: 0x2c,
  SUBSYSTEM: 0x2e,
  CAPABILITIES: 0x34,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
} as const;

/** Bits of the command and status registers (6.2.2, 6.2.3). */
const COMMAND_IO = 0x001;
const COMMAND_MEMORY = 0x002;
const COMMAND_INTX_DISABLE = 0x400;
const STATUS_INTERRUPT = 0x08;
const STATUS_CAPABILITIES = 0x10;

/** Low bits of a base address (6.2.5.1). */
const BAR_IO = 0x1;
const BAR_64 = 0x4;
const BAR_PREFETCHABLE = 0x8;

const TWO_32 = 2 ** 32;

/** What a function is. `classCode`: base class, subclass and interface, 24 bits. */
export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly classCode: number;
  readonly revision: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
  /** 1 to 4: INTA to INTD; absent: none. */
  readonly interruptPin?: number;
}

/** A range that a function decodes. */
export interface PciBar {
  /** 0 to 5; a 64-bit one takes the next, too. */
  readonly index: number;
  readonly kind: 'io' | 'memory' | 'memory64';
  readonly prefetchable?: boolean;
  /** A power of two, 16 or more. */
  readonly bytes: number;
  readonly region: MmioRegion;
}

interface Decoder {
  readonly bar: PciBar;
  /** Bus address; -1: not decoded now. */
  base: number;
}

/**
 * The configuration space of one function: header, base addresses, capabilities; little-endian, with read-only and writable
 * bits. What is not in it reads as zeroes.
 */
export class PciConfigSpace {
  /** Called before the guest reads something, with the offsets from and to which. */
  onRead: ((offset: number, end: number) => void) | undefined;
  /** Called when the guest has written something, with the offsets from and to which. */
  onWrite: ((offset: number, end: number) => void) | undefined;
  readonly #bytes = new Uint8Array(PCI_CONFIG_BYTES);
  readonly #initial = new Uint8Array(PCI_CONFIG_BYTES);
  readonly #writable = new Uint8Array(PCI_CONFIG_BYTES);
  readonly #decoders: readonly Decoder[];
  /** Where the next capability goes, and where the chain of them is to be continued. */
  #free = 0x40;
  #link: number = PCI_CONFIG.CAPABILITIES;

  constructor(identity: PciIdentity, bars: readonly PciBar[] = []) {
    this.#set(PCI_CONFIG.VENDOR, 2, identity.vendor);
    this.#set(PCI_CONFIG.DEVICE, 2, identity.device);
    this.#set(PCI_CONFIG.REVISION, 1, identity.revision);
    this.#set(PCI_CONFIG.CLASS, 3, identity.classCode);
    this.#set(PCI_CONFIG.SUBSYSTEM_VENDOR, 2, identity.subsystemVendor ?? 0);
    this.#set(PCI_CONFIG.SUBSYSTEM, 2, identity.subsystem ?? 0);
    this.#set(PCI_CONFIG.INTERRUPT_PIN, 1, identity.interruptPin ?? 0);
    // Command: I/O, memory, master, parity, SERR, interrupt disable. Cache line size; interrupt line.
    this.#writable[PCI_CONFIG.COMMAND] = 0x47;
    this.#writable[PCI_CONFIG.COMMAND + 1] = 0x05;
    this.#writable[0x0c] = 0xff;
    this.#writable[PCI_CONFIG.INTERRUPT_LINE] = 0xff;
    for (const { index, kind, prefetchable, bytes } of bars) {
      const at = PCI_CONFIG.BAR0 + 4 * index;
      const type = kind === 'io' ? BAR_IO : kind === 'memory64' ? BAR_64 : 0;
      this.#set(at, 4, type | (prefetchable === true ? BAR_PREFETCHABLE : 0));
      this.#allow(at, 4, (~(bytes - 1) & (kind === 'io' ? ~0x3 : ~0xf)) >>> 0);
      if (kind === 'memory64') this.#allow(at + 4, 4, 0xffffffff);
    }
    this.#decoders = bars.map((bar) => ({ bar, base: -1 }));
    this.reset();
  }

  #set(offset: number, length: number, value: number): void {
    for (let i = 0; i < length; i++) this.#initial[offset + i] = value >>> (8 * i);
  }

  #allow(offset: number, length: number, mask: number): void {
    for (let i = 0; i < length; i++) this.#writable[offset + i] = mask >>> (8 * i);
  }

  /** The guest may write all that stands behind the header: a bridge whose registers there nobody models. */
  allowAll(): void {
    this.#writable.fill(0xff, 0x40);
  }

  /**
   * Adds a capability (6.7) whose bytes behind the link are `body`, with the bits of `writable` for the guest to write.
   * Answers its offset.
   */
  addCapability(id: number, body: Uint8Array, writable?: Uint8Array): number {
    const at = this.#free;
    this.#initial[this.#link] = at;
    this.#initial[at] = id;
    this.#initial.set(body, at + 2);
    if (writable !== undefined) this.#writable.set(writable, at + 2);
    this.#initial[PCI_CONFIG.STATUS] = STATUS_CAPABILITIES;
    this.#link = at + 1;
    this.#free = (at + 2 + body.length + 3) & ~3;
    this.reset();
    return at;
  }

  /** The ranges that it decodes. */
  get bars(): readonly PciBar[] {
    return this.#decoders.map(({ bar }) => bar);
  }

  /** What it was made with: identification and capabilities before the guest wrote anything. */
  initial(offset: number, length: number): number {
    return bytesAt(this.#initial, offset, length);
  }

  /** What stands there. */
  get(offset: number, length: number): number {
    return bytesAt(this.#bytes, offset, length);
  }

  /** The guest reads. */
  readConfig(offset: number, length: number): number {
    this.onRead?.(offset, offset + length);
    return bytesAt(this.#bytes, offset, length);
  }

  /** The guest writes. */

  writeConfig(offset: number, length: number, value: number): void {
    const end = Math.min(offset + length, PCI_CONFIG_BYTES);
    for (let i = offset; i < end; i++) {
      const mask = this.#writable[i] as number;
      this.#bytes[i] = ((this.#bytes[i] as number) & ~mask) | ((value >>> (8 * (i - offset))) & mask);
    }
    if (offset < PCI_CONFIG.SUBSYSTEM_VENDOR) this.#decode();
    this.onWrite?.(offset, end);
  }

  /** Sets bytes that the guest may not, as the function itself does. */
  put(offset: number, length: number, value: number): void {
    for (let i = 0; i < length; i++) this.#bytes[offset + i] = value >>> (8 * i);
  }

  get command(): number {
    return this.get(PCI_CONFIG.COMMAND, 2);
  }

  /** INTx is not switched off. */
  get isIntxAllowed(): boolean {
    return (this.command & COMMAND_INTX_DISABLE) === 0;
  }

  /** The interrupt bit of the status register. */
  set isInterrupting(value: boolean) {
    const status = this.#bytes[PCI_CONFIG.STATUS] as number;
    this.#bytes[PCI_CONFIG.STATUS] = value ? status | STATUS_INTERRUPT : status & ~STATUS_INTERRUPT;
  }

  #decode(): void {
    const { command } = this;
    for (const decoder of this.#decoders) {
      const { index, kind } = decoder.bar;
      const at = PCI_CONFIG.BAR0 + 4 * index;
      const isOn = (command & (kind === 'io' ? COMMAND_IO : COMMAND_MEMORY)) !== 0;
      const low = this.get(at, 4) & (kind === 'io' ? ~0x3 : ~0xf);
      const high = kind === 'memory64' ? this.get(at + 4, 4) : 0;
      decoder.base = isOn ? high * TWO_32 + (low >>> 0) : -1;
    }
  }

  /** The range that decodes a bus address, or undefined; `barBase` has where it begins. Not for addresses that pass its end. */
  find(isIo: boolean, address: number, length: number): PciBar | undefined {
    for (let i = 0; i < this.#decoders.length; i++) {
      const { bar, base } = this.#decoders[i] as Decoder;
      if (base < 0 || (bar.kind === 'io') !== isIo) continue;
      if (address >= base && address + length <= base + bar.bytes) {
        this.barBase = base;
        return bar;
      }
    }
    return undefined;
  }
  /** Answer of `find`. */
  barBase = 0;

  reset(): void {
    this.#bytes.set(this.#initial);
    this.#decode();
  }

  save(): DeviceState {
    return { config: Array.from(this.#bytes) };
  }

  restore(state: DeviceState): void {
    const bytes = savedRegisters(state, 'config', PCI_CONFIG_BYTES);
    this.reset();
    // What it is, it stays.
    bytes.forEach((byte, i) => {
      const mask = this.#writable[i] as number;
      this.#bytes[i] = ((this.#initial[i] as number) & ~mask) | (byte & mask);
    });
    this.#decode();
  }
}

function bytesAt(bytes: Uint8Array, offset: number, length: number): number {
  let value = 0;
  for (let i = 0; i < length; i++) value |= (bytes[offset + i] ?? 0xff) << (8 * i);
  return value >>> 0;
}
