/** A virtio device over each transport on a fake memory, and a driver for it. */
import { Bus } from '../../../src/machine/bus.ts';
import type { DeviceState, MmioRegion, Wiring } from '../../../src/machine/device.ts';
import { repeatableWorld } from '../../../src/machine/host.ts';
import { InterruptLine } from '../../../src/machine/interrupts.ts';
import { OutsideEvents } from '../../../src/machine/outside/events.ts';
import { PciBus } from '../../../src/machine/pci/bus.ts';
import { PowerSwitch } from '../../../src/machine/power.ts';
import type { VirtioSpec } from '../../../src/machine/virtio/device.ts';
import { VirtioMmio } from '../../../src/machine/virtio/mmio.ts';
import { VirtioPci } from '../../../src/machine/virtio/pci.ts';
import type { VirtioTransport } from '../../../src/machine/virtio/transport.ts';
import { type FakeVm, makeFakeVm } from '../fake-vm.ts';

export const MEMORY_BYTES = 2 ** 20;
export const QUEUE_ENTRIES = 16;
/** Where the driver's queues and buffers are. */
const QUEUE_BYTES = 0x2000;
const AVAILABLE = 0x800;
const USED = 0x1000;
const BUFFERS = 0x80000;

export const INDIRECT_DESC = 28;
export const EVENT_IDX = 29;
export const VERSION_1 = 32;

export type TransportName = 'mmio' | 'pci';
export const TRANSPORTS: readonly TransportName[] = ['mmio', 'pci'];

/** A buffer of a request: bytes for the device to read, or so much room for it to write. */
export type Buffer = Uint8Array | number;

/** A request that the driver has made. */
export interface Request {
  readonly head: number;
  readonly buffers: readonly { readonly address: number; readonly length: number }[];
}

/** Registers as each transport has them. */
interface Registers {
  status(value?: number): number;
  offered(word: number): number;
  accept(word: number, bits: number): void;
  queue(index: number, size: number, addresses: readonly [number, number, number]): void;
  notify(queue: number): void;
  config(offset: number, length: number): number;
  writeConfig(offset: number, length: number, value: number): void;
  /** Whether there was an interrupt since the last time. */
  interrupted(): boolean;
  /** Any access, of 1, 2 or 4 bytes: what was read, or undefined for a write. */
  access(offset: number, length: number, value?: number): number | undefined;
}

function mmioRegisters(card: VirtioMmio, line: InterruptLine): Registers {
  const word = (offset: number, value: number): void => card.write(offset, 4, value >>> 0);
  return {
    status: (value) => {
      if (value !== undefined) word(0x70, value);
      return card.read(0x70, 4);
    },
    offered: (select) => {
      word(0x14, select);
      return card.read(0x10, 4);
    },
    accept: (select, bits) => {
      word(0x24, select);
      word(0x20, bits);
    },
    queue: (index, size, addresses) => {
      word(0x30, index);
      word(0x38, size);
      addresses.forEach((address, i) => {
        word(0x80 + 0x10 * i, address % 2 ** 32);
        word(0x84 + 0x10 * i, Math.floor(address / 2 ** 32));
      });
      word(0x44, 1);
    },
    notify: (queue) => word(0x50, queue),
    config: (offset, length) => card.read(0x100 + offset, length),
    writeConfig: (offset, length, value) => card.write(0x100 + offset, length, value),
    interrupted: () => {
      const { active } = line;
      word(0x64, card.read(0x60, 4));
      return active;
    },
    access: (offset, length, value) => {
      const at = offset % (0x200 - 4);
      return value === undefined ? card.read(at, length) : void card.write(at, length, value);
    },
  };
}

const PCI_MEMORY = 0x80000000;

/** BAR 4 at the window's beginning, BAR 1 behind it, memory on. */
function placeBars({ space }: VirtioPci): void {
  space.writeConfig(0x14, 4, PCI_MEMORY + 0x8000);
  space.writeConfig(0x20, 4, PCI_MEMORY);
  space.writeConfig(0x24, 4, 0);
  space.writeConfig(0x04, 2, 6);
}

function pciRegisters(card: VirtioPci, bus: PciBus, line: InterruptLine): Registers {
  bus.plug(1, card);
  const { space } = card;
  placeBars(card);
  const window: MmioRegion = bus.window(false, PCI_MEMORY);
  const half = (offset: number, value: number): void => window.write(offset, 2, value);
  const word = (offset: number, value: number): void => window.write(offset, 4, value >>> 0);
  return {
    status: (value) => {
      if (value !== undefined) window.write(20, 1, value);
      return window.read(20, 1);
    },
    offered: (select) => {
      word(0, select);
      return window.read(4, 4);
    },
    accept: (select, bits) => {
      word(8, select);
      word(12, bits);
    },
    queue: (index, size, addresses) => {
      half(22, index);
      half(24, size);
      addresses.forEach((address, i) => {
        word(32 + 8 * i, address % 2 ** 32);
        word(36 + 8 * i, Math.floor(address / 2 ** 32));
      });
      half(28, 1);
    },
    notify: (queue) => half(0x3000 + 4 * queue, queue),
    config: (offset, length) => window.read(0x2000 + offset, length),
    writeConfig: (offset, length, value) => window.write(0x2000 + offset, length, value),
    interrupted: () => {
      const { active } = line;
      window.read(0x1000, 1);
      return active;
    },
    // Configuration space, the table of MSI-X where it was moved to, the device's memory.
    access: (offset, length, value) => {
      const at = offset & 0xffff & -length;
      if (at >= 0xc000) {
        const register = at & 0xff & -length;
        return value === undefined
          ? space.readConfig(register, length)
          : void space.writeConfig(register, length, value);
      }
      return value === undefined ? window.read(at, length) : void window.write(at, length, value);
    },
  };
}

export class Rig {
  readonly vm: FakeVm = makeFakeVm(MEMORY_BYTES, function* () {});
  readonly view = new DataView(this.vm.bytes.buffer);
  readonly outside: OutsideEvents;
  readonly line = new InterruptLine();
  readonly registers: Registers;
  readonly transport: VirtioTransport;
  readonly #card: VirtioMmio | VirtioPci;
  readonly #available: number[] = [];
  readonly #seen: number[] = [];
  #nextDescriptor: number[] = [];
  #nextBuffer = BUFFERS;
  #eventIdx = false;

  /** `ordered`: as where time is counted. */
  constructor(spec: VirtioSpec, transport: TransportName = 'mmio', ordered = false) {
    this.outside = new OutsideEvents(() => {}, ordered);
    const wiring: Wiring = {
      interrupts: [this.line],
      memory: this.vm.memory,
      bus: new Bus(),
      clock: { now: () => 0 },
      world: repeatableWorld(),
      power: new PowerSwitch(),
      outside: this.outside,
      device: () => undefined,
    };
    if (transport === 'mmio') {
      const card = new VirtioMmio(spec, wiring);
      this.#card = card;
      card.reset();
      this.registers = mmioRegisters(card, this.line);
    } else {
      const bus = new PciBus();
      const card = new VirtioPci(spec, bus, wiring);
      this.#card = card;
      card.reset();
      this.registers = pciRegisters(card, bus, this.line);
    }
    this.transport = this.#card.transport;
  }

  /** Brings the device up as a driver does. `features`: bit numbers, beside VERSION_1. */
  start(features: readonly number[] = []): void {
    const { registers } = this;
    registers.status(0);
    registers.status(1);
    registers.status(3);
    const accepted = [0, 0];
    for (const bit of [...features, VERSION_1])
      accepted[bit >>> 5] = ((accepted[bit >>> 5] as number) | (1 << (bit & 31))) >>> 0;
    accepted.forEach((bits, i) => {
      registers.accept(i, bits);
    });
    registers.status(0xb);
    this.#eventIdx = features.includes(EVENT_IDX);
    this.transport.queues.forEach((queue, i) => {
      const base = i * QUEUE_BYTES;
      this.vm.bytes.fill(0, base, base + QUEUE_BYTES);
      const size = Math.min(QUEUE_ENTRIES, queue.maxSize);
      registers.queue(i, size, [base, base + AVAILABLE, base + USED]);
      this.#available[i] = this.#seen[i] = 0;
      this.#nextDescriptor[i] = 0;
    });
    this.#nextBuffer = BUFFERS;
    registers.status(0xf);
  }

  size(queue: number): number {
    return (this.transport.queues[queue] as { size: number }).size;
  }

  /** Writes a descriptor. */
  descriptor(queue: number, index: number, address: number, length: number, flags: number, next: number): void {
    this.#put(queue * QUEUE_BYTES + 16 * index, address, length, flags, next);
  }

  #put(at: number, address: number, length: number, flags: number, next: number): void {
    const { view } = this;
    view.setUint32(at, address % 2 ** 32, true);
    view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
    view.setUint32(at + 8, length, true);
    view.setUint16(at + 12, flags, true);
    view.setUint16(at + 14, next, true);
  }

  /** Makes a descriptor available. */
  offer(queue: number, head: number): void {
    const ring = queue * QUEUE_BYTES + AVAILABLE;
    const index = this.#available[queue] as number;
    this.view.setUint16(ring + 4 + 2 * (index % this.size(queue)), head, true);
    this.#available[queue] = (index + 1) & 0xffff;
    this.view.setUint16(ring + 2, this.#available[queue] as number, true);
  }

  /** Makes a request of these buffers, without a notification. `indirect`: its descriptors stand in a table of their own. */
  put(queue: number, buffers: readonly Buffer[], indirect = false): Request {
    const first = this.#nextDescriptor[queue] as number;
    const size = this.size(queue);
    const placed = buffers.map((buffer) => {
      const address = this.#nextBuffer;
      const length = typeof buffer === 'number' ? buffer : buffer.length;
      this.#nextBuffer += (length + 15) & ~15;
      if (typeof buffer !== 'number') this.vm.bytes.set(buffer, address);
      return { address, length };
    });
    const flags = (i: number): number => (i + 1 < buffers.length ? 1 : 0) | (typeof buffers[i] === 'number' ? 2 : 0);
    if (indirect) {
      const table = this.#nextBuffer;
      this.#nextBuffer += 16 * buffers.length;
      placed.forEach(({ address, length }, i) => {
        this.#put(table + 16 * i, address, length, flags(i), i + 1);
      });
      this.descriptor(queue, first, table, 16 * buffers.length, 4, 0);
    } else
      placed.forEach(({ address, length }, i) => {
        this.descriptor(queue, (first + i) % size, address, length, flags(i), (first + i + 1) % size);
      });
    this.#nextDescriptor[queue] = (first + (indirect ? 1 : buffers.length)) % size;
    this.offer(queue, first);
    return { head: first, buffers: placed };
  }

  /** The same with a notification. */
  ask(queue: number, buffers: readonly Buffer[], indirect = false): Request {
    const request = this.put(queue, buffers, indirect);
    this.registers.notify(queue);
    return request;
  }

  /** What has come back since the last time. */
  used(queue: number): { head: number; length: number }[] {
    const ring = queue * QUEUE_BYTES + USED;
    const index = this.view.getUint16(ring + 2, true);
    const found = [];
    while (this.#seen[queue] !== index) {
      const seen = this.#seen[queue] as number;
      const at = ring + 4 + 8 * (seen % this.size(queue));
      found.push({ head: this.view.getUint32(at, true), length: this.view.getUint32(at + 4, true) });
      this.#seen[queue] = (seen + 1) & 0xffff;
    }
    // used_event: an interrupt with the next.
    if (this.#eventIdx) this.view.setUint16(queue * QUEUE_BYTES + AVAILABLE + 4 + 2 * this.size(queue), index, true);
    return found;
  }

  /** The driver wants no interrupts (without EVENT_IDX). */
  suppressInterrupts(queue: number, isSuppressed: boolean): void {
    this.view.setUint16(queue * QUEUE_BYTES + AVAILABLE, isSuppressed ? 1 : 0, true);
  }

  /** Behind the used ring: when the device wants to be notified. */
  availEvent(queue: number): number {
    return this.view.getUint16(queue * QUEUE_BYTES + USED + 4 + 8 * this.size(queue), true);
  }

  bytes({ buffers }: Request, index: number): Uint8Array {
    const { address, length } = buffers[index] as { address: number; length: number };
    return this.vm.bytes.slice(address, address + length);
  }

  /** The machine's reset, and the firmware's part of it. */
  powerOn(): void {
    this.#card.reset();
    if (this.#card instanceof VirtioPci) placeBars(this.#card);
  }

  /** Lets promises end, and hands their ends to the device. */
  async settle(): Promise<void> {
    for (let i = 0; i < 50; i++) {
      await undefined;
      this.outside.drain();
    }
  }

  /** The driver was told to reset the device. */
  get isBroken(): boolean {
    return (this.registers.status() & 0x40) !== 0;
  }

  save(): DeviceState {
    return JSON.parse(JSON.stringify(this.#card.save()));
  }

  /** A second machine, with the state and the memory of this one. */
  moveTo(other: Rig): Rig {
    other.vm.bytes.set(this.vm.bytes);
    other.#available.push(...this.#available);
    other.#seen.push(...this.#seen);
    other.#nextDescriptor = [...this.#nextDescriptor];
    other.#nextBuffer = this.#nextBuffer;
    other.#eventIdx = this.#eventIdx;
    other.#card.restore(this.save());
    return other;
  }
}
