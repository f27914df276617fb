import { swapBytes } from '../bus.ts';
import {
  type Device,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  type MmioRegion,
  savedRegisters,
  type TreeCell,
  type TreeNodeSpec,
  type TreeValue,
} from '../device.ts';
import { MachineError } from '../error.ts';
import type { InterruptLine, InterruptSink } from '../interrupts.ts';
import { PCI_DEVICES, PciBus, type PciFunction, type PciHost } from '../pci/bus.ts';
import { PCI_CONFIG_BYTES } from '../pci/config-space.ts';
import {
  RTAS_HARDWARE_ERROR,
  RTAS_PARAMETER_ERROR,
  RTAS_SUCCESS,
  type RtasArguments,
  type RtasCall,
} from './spapr-rtas.ts';
import { SpaprTce } from './spapr-tce.ts';

/** The bridge's unit number, by which RTAS knows it, and where its windows are (as on QEMU's board of this name). */
const BUID_HIGH = 0x08000000;
const BUID_LOW = 0x20000000;
const TiB = 2 ** 40;
const GiB = 2 ** 30;
const IO = { bus: 0, address: 32 * TiB, size: 0x10000 } as const;
const MEMORY = { bus: 0x80000000, address: 32 * TiB + 2 * GiB, size: 2 * GiB } as const;
const MEMORY64 = { bus: 33 * TiB, address: 33 * TiB, size: TiB } as const;
/** Bus address that message-signalled interrupts are written to; the word is the interrupt's source number. */
const MESSAGES = 4 * TiB;
const TWO_32 = 2 ** 32;

/** What the functions see of memory: logical I/O bus number and bytes of the window that begins at bus address 0. */
const LIOBN = 0x80000000;
const DMA_WINDOW_BYTES = GiB;

/** Pins of the bridge: slots share them, one further each. */
const PINS = 4;
/** Address-space codes of a function's `reg` (IEEE 1275's PCI binding). */
const SPACE = { config: 0, io: 1, memory: 2, memory64: 3 } as const;
const PREFETCHABLE = 0x40000000;
const RELOCATABLE_SHIFT = 24;

/** Functions of ibm,change-msi (LoPAPR 1.1, section 7.3.10.5.1), and kinds of interrupts that it answers. */
const CHANGE = 1;
const CHANGE_TO_MSIX = 4;
const TYPE_MSIX = 2;
const EDGE = 1;

/** PCI host bridge of a partition: configuration space by RTAS, LSIs and MSIs through XICS. Input n is slot n's INTA. */
export class SpaprPci implements Device, PciHost, InterruptSink {
  readonly bus = new PciBus();
  readonly mmio: readonly MmioRegion[] = [
    this.bus.window(true, IO.bus),
    this.bus.window(false, MEMORY.bus),
    this.bus.window(false, MEMORY64.bus),
  ];
  readonly rtas: readonly RtasCall[] = [
    { name: 'read-pci-config', args: 2, results: 2, call: (args) => this.#read(args, args.word(1)) },
    { name: 'write-pci-config', args: 3, results: 1, call: (args) => this.#write(args, args.word(1), args.word(2)) },
    {
      name: 'ibm,read-pci-config',
      args: 4,
      results: 2,
      call: (args) => (isOurs(args) ? this.#read(args, args.word(3)) : RTAS_PARAMETER_ERROR),
    },
    {
      name: 'ibm,write-pci-config',
      args: 5,
      results: 1,
      call: (args) => (isOurs(args) ? this.#write(args, args.word(3), args.word(4)) : RTAS_PARAMETER_ERROR),
    },
    { name: 'ibm,change-msi', args: 6, results: 4, call: (args) => this.#changeMsi(args) },
    { name: 'ibm,query-interrupt-source-number', args: 4, results: 3, call: (args) => this.#querySource(args) },
  ];
  readonly #pins: readonly InterruptLine[];
  /** Slots that assert each pin, a bit each. */
  readonly #asserting = new Uint32Array(PINS);
  readonly #controller: InterruptSink;
  readonly #firstMessage: number;
  /** For each message's source number, which slot has it, counted from 1. */
  readonly #owners: Uint8Array;

  /**
   * `pins`: INTA to INTD of the bridge. `controller` takes `messages.count` message-signalled interrupts as its inputs from
   * `messages.first`.
   */
  constructor(
    pins: readonly InterruptLine[],
    controller: InterruptSink,
    messages: { readonly first: number; readonly count: number },
  ) {
    this.#pins = pins;
    this.#controller = controller;
    this.#firstMessage = messages.first;
    this.#owners = new Uint8Array(messages.count);
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

  #message(address: number, source: number): void {
    const owner = this.#owners[source - this.#firstMessage] ?? 0;
    if (address !== MESSAGES || owner === 0) return;
    this.#controller.setInput(source, true);
    this.#controller.setInput(source, false);
  }

  /** The function that a configuration address names: register's high nibble, bus, device and function, register. */
  #function(address: number): PciFunction | undefined {
    return (address & 0xf0ff0700) === 0 ? this.bus.function((address >>> 11) & 31) : undefined;
  }

  #read(args: RtasArguments, size: number): number {
    const address = args.word(0);
    if (!isAccess(address, size)) return RTAS_HARDWARE_ERROR;
    const space = this.#function(address)?.space;
    args.result(1, space?.readConfig(address % PCI_CONFIG_BYTES, size) ?? 0xffffffff);
    return RTAS_SUCCESS;
  }

  #write(args: RtasArguments, size: number, value: number): number {
    const address = args.word(0);
    if (!isAccess(address, size)) return RTAS_HARDWARE_ERROR;
    this.#function(address)?.space.writeConfig(address % PCI_CONFIG_BYTES, size, value);
    return RTAS_SUCCESS;
  }

  /** Arguments: configuration address, unit, function, how many, sequence number; results: how many, sequence, kind. */
  #changeMsi(args: RtasArguments): number {
    const slot = (args.word(0) >>> 11) & 31;
    const one = this.#function(args.word(0));
    const kind = args.word(3);
    const wanted = args.word(4);
    if (!isOurs(args) || one?.msix === undefined) return RTAS_PARAMETER_ERROR;
    if (kind !== CHANGE && kind !== CHANGE_TO_MSIX) return RTAS_PARAMETER_ERROR;
    this.#release(slot);
    const count = Math.min(wanted, one.msix.vectors);
    const first = this.#find(count);
    if (first < 0) return RTAS_HARDWARE_ERROR;
    for (let i = 0; i < count; i++) {
      this.#owners[first + i] = slot + 1;
      one.msix.setMessage(i, MESSAGES, this.#firstMessage + first + i);
    }
    args.result(1, count);
    args.result(2, args.word(5) + 1);
    args.result(3, TYPE_MSIX);
    return RTAS_SUCCESS;
  }

  #release(slot: number): void {
    for (let i = 0; i < this.#owners.length; i++) if (this.#owners[i] === slot + 1) this.#owners[i] = 0;
  }

  /** Index of the first of `count` messages that nobody has; -1: there are not so many. */
  #find(count: number): number {
    let free = 0;
    for (let i = 0; i < this.#owners.length && free < count; i++) {
      free = this.#owners[i] === 0 ? free + 1 : 0;
      if (free === count) return i - count + 1;
    }
    return count === 0 ? 0 : -1;
  }

  /** The source number of a function's nth message. */
  #querySource(args: RtasArguments): number {
    const slot = (args.word(0) >>> 11) & 31;
    const n = args.word(3);
    const first = this.#owners.indexOf(slot + 1);
    if (!isOurs(args) || first < 0 || this.#owners[first + n] !== slot + 1) return RTAS_PARAMETER_ERROR;
    args.result(1, this.#firstMessage + first + n);
    args.result(2, EDGE);
    return RTAS_SUCCESS;
  }

  reset(): void {
    this.#owners.fill(0);
  }

  save(): DeviceState {
    return { owners: Array.from(this.#owners) };
  }

  restore(state: DeviceState): void {
    const owners = savedRegisters(state, 'owners', this.#owners.length);
    if (owners.some((owner) => owner > PCI_DEVICES))
      throw new MachineError('the saved state has an interrupt of a slot that is none');
    this.#owners.set(owners);
  }
}

/** Whether the bridge that the arguments name (in their second and third word) is this one. */
function isOurs(args: RtasArguments): boolean {
  return args.word(1) === BUID_HIGH && args.word(2) === BUID_LOW;
}

function isAccess(address: number, size: number): boolean {
  return (size === 1 || size === 2 || size === 4) && address % size === 0;
}

/** The bridge's node, which functions' nodes stand below. */
const PATH = '/pci@800000020000000';

/** The table of the bridge's functions: what they see of memory (virtio's see all of it, without looking there). */
export function spaprPciTce(name: string): DeviceSpec {
  return {
    name,
    create: ({ memory }) =>
      new SpaprTce(LIOBN, DMA_WINDOW_BYTES, (address) => {
        const [first, second] = [memory.read32(address), memory.read32(address + 4)];
        if (first === undefined || second === undefined) return undefined;
        return memory.littleEndian ? [swapBytes(first, 4), swapBytes(second, 4)] : [first, second];
      }),
  };
}

/** A function's node: guests of a partition take functions, sizes of their ranges and interrupts from the device tree. */
export function spaprPciNode(
  slot: number,
  identity: {
    readonly vendor: number;
    readonly device: number;
    readonly classCode: number;
    readonly revision: number;
    readonly subsystemVendor: number;
    readonly subsystem: number;
    /** MSI-X vectors. */
    readonly vectors: number;
  },
  bars: readonly { readonly index: number; readonly kind: 'io' | 'memory' | 'memory64'; readonly bytes: number }[],
): TreeNodeSpec {
  const { vendor, device } = identity;
  const devfn = slot << 11;
  const reg: TreeCell[] = [devfn, 0, 0, 0, 0];
  for (const { index, kind, bytes } of bars) {
    const space = (SPACE[kind] << RELOCATABLE_SHIFT) | (kind === 'memory64' ? PREFETCHABLE : 0);
    reg.push((space | devfn | (0x10 + 4 * index)) >>> 0, 0, 0, Math.floor(bytes / TWO_32), bytes >>> 0);
  }
  const name = `pci${vendor.toString(16)},${device.toString(16)}`;
  const properties: Record<string, TreeValue> = {
    'vendor-id': [vendor],
    'device-id': [device],
    'class-code': [identity.classCode],
    'revision-id': [identity.revision],
    'subsystem-vendor-id': [identity.subsystemVendor],
    'subsystem-id': [identity.subsystem],
    interrupts: [1],
    'ibm,req#msi-x': [identity.vectors],
    'ibm,loc-code': `slot-${slot}`,
    reg,
  };
  return { path: `${PATH}/${name}@${slot.toString(16)}`, properties };
}

/**
 * The bridge on a board. `pins`: XICS sources of its four interrupts. Message-signalled interrupts are the sources from
 * `messages.first` of the same controller, which stands before it in the board's list.
 */
export function spaprPci(options: {
  name: string;
  pins: readonly InterruptSpec[];
  messages: { readonly first: number; readonly count: number };
}): DeviceSpec {
  const { pins, messages } = options;
  const range = (space: number, { bus, address, size }: { bus: number; address: number; size: number }): number[] => [
    space << RELOCATABLE_SHIFT,
    ...[bus, address, size].flatMap((value) => [Math.floor(value / TWO_32), value >>> 0]),
  ];
  return {
    name: options.name,
    mmio: [IO, MEMORY, MEMORY64].map(({ address, size }) => ({ base: address, size, littleEndian: true })),
    interrupts: pins,
    node: {
      path: PATH,
      properties: {
        device_type: 'pci',
        compatible: 'IBM,Logical_PHB',
        '#address-cells': [3],
        '#size-cells': [2],
        '#interrupt-cells': [1],
        'used-by-rtas': true,
        'bus-range': [0, 0xff],
        reg: [BUID_HIGH, BUID_LOW, 0, 0],
        ranges: [...range(SPACE.io, IO), ...range(SPACE.memory, MEMORY), ...range(SPACE.memory64, MEMORY64)],
        'ibm,pe-total-#msi': [messages.count],
        'ibm,dma-window': [LIOBN, 0, 0, Math.floor(DMA_WINDOW_BYTES / TWO_32), DMA_WINDOW_BYTES % TWO_32],
        'ibm,#dma-address-cells': [2],
        'ibm,#dma-size-cells': [2],
        'interrupt-map-mask': [0xf800, 0, 0, 7],
        'interrupt-map': Array.from({ length: PCI_DEVICES }, (_, slot) => {
          const pin = pins[slot % PINS] as InterruptSpec;
          return [slot << 11, 0, 0, 1, { phandle: pin.controller }, pin.input, pin.sense ?? 1];
        }).flat(),
      },
    },
    create: ({ interrupts, device }) => {
      const controller = device(pins[0]?.controller ?? '') as Device & InterruptSink;
      return new SpaprPci(interrupts, controller, messages);
    },
  };
}
