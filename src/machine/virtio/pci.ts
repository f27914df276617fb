import {
  type Device,
  type DeviceSpec,
  type DeviceState,
  type MmioRegion,
  savedNumber,
  savedPart,
  savedRegisters,
  type TreeNodeSpec,
  type Wiring,
} from '../device.ts';
import type { InterruptLine } from '../interrupts.ts';
import type { PciBus, PciFunction, PciHost } from '../pci/bus.ts';
import { type PciBar, PciConfigSpace } from '../pci/config-space.ts';
import { MSIX_BAR_BYTES, Msix } from '../pci/msix.ts';
import { VIRTIO_ID, type VirtioSpec } from './device.ts';
import type { VirtQueue } from './queue.ts';
import { VirtioTransport } from './transport.ts';

/** Identification (virtio 1.2, section 4.1.2): only what is not transitional. */
const VENDOR = 0x1af4;
const FIRST_DEVICE = 0x1040;
const REVISION = 1;
/** Class codes; what is not here is "other" of the base system peripherals. */
const CLASS_CODES: Readonly<Record<number, number>> = {
  [VIRTIO_ID.net]: 0x020000,
  [VIRTIO_ID.block]: 0x010000,
  [VIRTIO_ID.console]: 0x078000,
  [VIRTIO_ID.filesystem9p]: 0x000200,
};
const OTHER_CLASS = 0x00ff00;

/** Vendor-specific capabilities (4.1.4): kinds, and where each structure stands in the device's memory. */
const CAPABILITY = 0x09;
const COMMON = 1;
const NOTIFY = 2;
const ISR = 3;
const DEVICE = 4;
const PCI_ACCESS = 5;
const MSIX_BAR = 1;
const MEMORY_BAR = 4;
const PART_BYTES = 0x1000;
const PARTS = { [COMMON]: 0x0000, [ISR]: 0x1000, [DEVICE]: 0x2000, [NOTIFY]: 0x3000 } as const;
const MEMORY_BYTES = 0x4000;
const COMMON_BYTES = 0x40;
const NOTIFY_MULTIPLIER = 4;

/** What a function decodes. */
export const VIRTIO_PCI_BARS = [
  { index: MSIX_BAR, kind: 'memory', bytes: MSIX_BAR_BYTES },
  { index: MEMORY_BAR, kind: 'memory64', prefetchable: true, bytes: MEMORY_BYTES },
] as const satisfies readonly Omit<PciBar, 'region'>[];

/** Bits of the ISR byte. */
const ISR_QUEUE = 1;
const ISR_CONFIG = 2;
const NO_VECTOR = 0xffff;

/** Common configuration (4.1.4.3). */
const REG = {
  deviceFeatureSelect: 0,
  deviceFeature: 4,
  driverFeatureSelect: 8,
  driverFeature: 12,
  msixConfig: 16,
  numQueues: 18,
  status: 20,
  generation: 21,
  queueSelect: 22,
  queueSize: 24,
  queueVector: 26,
  queueEnable: 28,
  queueNotifyOff: 30,
  queueDescriptors: 32,
  queueDriver: 40,
  queueDevice: 48,
} as const;
/** Parts of a queue whose addresses stand at `queueDescriptors` + 8n. */
const QUEUE_PARTS = ['descriptors', 'driver', 'device'] as const;
const TWO_32 = 2 ** 32;

/** A virtio device as a function on a PCI bus. */
export class VirtioPci implements Device, PciFunction {
  readonly space: PciConfigSpace;
  readonly msix: Msix;
  readonly transport: VirtioTransport;
  readonly #line: InterruptLine | undefined;
  readonly #queueVectors: Uint16Array;
  #configVector = NO_VECTOR;
  #isr = 0;
  #deviceFeatureSelect = 0;
  #driverFeatureSelect = 0;
  #queueSelect = 0;
  /** Offset of the capability that gives access through the configuration space (4.1.4.9). */
  readonly #access: number;

  constructor(spec: VirtioSpec, bus: PciBus, wiring: Wiring) {
    this.#line = wiring.interrupts[0];
    this.#queueVectors = new Uint16Array(spec.queues.length).fill(NO_VECTOR);
    this.msix = new Msix((address, data) => bus.onMessage?.(address, data), spec.queues.length + 1);
    const [table, memory] = VIRTIO_PCI_BARS;
    this.space = new PciConfigSpace(virtioPciIdentity(spec), [
      { ...table, region: this.msix.region },
      { ...memory, region: this.#memory },
    ]);
    this.msix.addTo(this.space, MSIX_BAR);
    this.transport = new VirtioTransport(spec, wiring, {
      queue: (index) => this.#interrupt(ISR_QUEUE, this.#queueVectors[index] as number),
      config: () => this.#interrupt(ISR_CONFIG, this.#configVector),
    });
    const part = (kind: number, at: number, bytes: number, more: number[] = []): number =>
      this.space.addCapability(CAPABILITY, capabilityBody(kind, at, bytes, more));
    part(COMMON, PARTS[COMMON], COMMON_BYTES);
    part(ISR, PARTS[ISR], 1);
    if (this.transport.device.config.length > 0) part(DEVICE, PARTS[DEVICE], this.transport.device.config.length);
    part(NOTIFY, PARTS[NOTIFY], NOTIFY_MULTIPLIER * spec.queues.length, [NOTIFY_MULTIPLIER]);
    // The guest writes bar, offset and length, and then data.
    const writable = new Uint8Array(18);
    writable[2] = 0xff;
    writable.fill(0xff, 6);
    this.#access = this.space.addCapability(CAPABILITY, capabilityBody(PCI_ACCESS, 0, 0, [0]), writable);
    this.space.onWrite = (offset, end) => this.#written(offset, end);
    this.space.onRead = (offset, end) => {
      if (end > this.#access + 16 && offset < this.#access + 20) this.#throughConfig(false);
    };
  }

  #interrupt(isr: number, vector: number): void {
    if (this.msix.isEnabled) {
      this.msix.raise(vector);
      return;
    }
    this.#isr |= isr;
    this.#updateLine();
  }

  #updateLine(): void {
    const isActive = this.#isr !== 0;
    this.space.isInterrupting = isActive;
    this.#line?.set(isActive && this.space.isIntxAllowed && !this.msix.isEnabled);
  }

  #written(offset: number, end: number): void {
    this.msix.written(offset, end);
    this.#updateLine();
    const at = this.#access;
    if (end > at + 16 && offset < at + 20) this.#throughConfig(true);
  }

  /** An access to the device's memory that its capability in the configuration space describes. */
  #throughConfig(isWrite: boolean): void {
    const { space } = this;
    const at = this.#access;
    const offset = space.get(at + 8, 4);
    const length = space.get(at + 12, 4);
    if (space.get(at + 4, 1) !== MEMORY_BAR || (length !== 1 && length !== 2 && length !== 4)) return;
    if (offset % length !== 0 || offset + length > MEMORY_BYTES) return;
    if (isWrite) this.#memory.write(offset, length, lowBytes(space.get(at + 16, 4), length));
    else space.put(at + 16, 4, this.#memory.read(offset, length));
  }

  readonly #memory: MmioRegion = {
    read: (offset, length) => {
      const at = offset % PART_BYTES;
      switch (offset - at) {
        case PARTS[COMMON]:
          return lowBytes(this.#readCommon(at & ~3) >>> (8 * (at & 3)), length);
        case PARTS[ISR]: {
          if (at !== 0) return 0;
          const isr = this.#isr;
          this.#isr = 0;
          this.#updateLine();
          return isr;
        }
        case PARTS[DEVICE]:
          return this.transport.readConfig(at, length);
        default:
          return 0;
      }
    },
    write: (offset, length, value) => {
      const at = offset % PART_BYTES;
      switch (offset - at) {
        case PARTS[COMMON]:
          if (length === 4 && at >= REG.msixConfig && at < REG.queueDescriptors) {
            this.#writeCommon(at, 2, value & 0xffff);
            this.#writeCommon(at + 2, 2, value >>> 16);
          } else this.#writeCommon(at, length, value);
          break;
        case PARTS[DEVICE]:
          this.transport.writeConfig(at, length, value);
          break;
        case PARTS[NOTIFY]:
          this.transport.notify(at / NOTIFY_MULTIPLIER);
          break;
      }
    },
  };

  get #queue(): VirtQueue | undefined {
    return this.transport.queues[this.#queueSelect];
  }

  /** The aligned word at an offset of the common configuration. */
  #readCommon(at: number): number {
    const { transport } = this;
    const queue = this.#queue;
    const pair = (low: number, high: number): number => (low | (high << 16)) >>> 0;
    switch (at) {
      case REG.deviceFeatureSelect:
        return this.#deviceFeatureSelect;
      case REG.deviceFeature:
        return transport.offered(this.#deviceFeatureSelect);
      case REG.driverFeatureSelect:
        return this.#driverFeatureSelect;
      case REG.driverFeature:
        return transport.accepted(this.#driverFeatureSelect);
      case REG.msixConfig:
        return pair(this.#configVector, transport.queues.length);
      case REG.status:
        return pair(transport.status | (transport.generation << 8), this.#queueSelect);
      case REG.queueSize:
        return pair(queue?.size ?? 0, this.#queueVectors[this.#queueSelect] ?? NO_VECTOR);
      case REG.queueEnable:
        return pair(queue?.enabled === true ? 1 : 0, queue === undefined ? 0 : this.#queueSelect);
      default: {
        const part = QUEUE_PARTS[(at - REG.queueDescriptors) >> 3];
        if (queue === undefined || part === undefined) return 0;
        return (at & 4) === 0 ? queue[part] >>> 0 : Math.floor(queue[part] / TWO_32);
      }
    }
  }

  #writeCommon(at: number, length: number, value: number): void {
    const { transport } = this;
    const queue = this.#queue;
    switch (at) {
      case REG.deviceFeatureSelect:
        if (length === 4) this.#deviceFeatureSelect = value;
        break;
      case REG.driverFeatureSelect:
        if (length === 4) this.#driverFeatureSelect = value;
        break;
      case REG.driverFeature:
        if (length === 4) transport.accept(this.#driverFeatureSelect, value);
        break;
      case REG.msixConfig:
        if (length === 2) this.#configVector = this.#vector(value);
        break;
      case REG.status:
        transport.setStatus(value & 0xff);
        if ((value & 0xff) === 0) this.#forget();
        break;
      case REG.queueSelect:
        if (length === 2) this.#queueSelect = value;
        break;
      case REG.queueSize:
        if (length === 2 && queue !== undefined) transport.setQueueSize(queue, value);
        break;
      case REG.queueVector:
        if (length === 2 && queue !== undefined) this.#queueVectors[this.#queueSelect] = this.#vector(value);
        break;
      case REG.queueEnable:
        if (length === 2 && value === 1 && queue !== undefined) transport.enableQueue(queue);
        break;
      default: {
        const part = QUEUE_PARTS[(at - REG.queueDescriptors) >> 3];
        if (length === 4 && (at & 3) === 0 && queue !== undefined && part !== undefined && at > REG.queueEnable)
          transport.setQueueAddress(queue, part, (at & 4) !== 0, value);
      }
    }
  }

  /** A vector that there is, or none. */
  #vector(value: number): number {
    return value < this.msix.vectors ? value : NO_VECTOR;
  }

  /** What a reset by the driver forgets of the transport. */
  #forget(): void {
    this.#configVector = NO_VECTOR;
    this.#queueVectors.fill(NO_VECTOR);
    this.#isr = this.#queueSelect = this.#deviceFeatureSelect = this.#driverFeatureSelect = 0;
    this.#updateLine();
  }

  reset(): void {
    this.transport.reset();
    this.space.reset();
    this.msix.reset();
    this.#forget();
  }

  save(): DeviceState {
    return {
      ...this.space.save(),
      msix: this.msix.save(),
      vectors: [this.#configVector, ...this.#queueVectors],
      isr: this.#isr,
      selects: [this.#deviceFeatureSelect, this.#driverFeatureSelect, this.#queueSelect],
      virtio: this.transport.save(),
    };
  }

  restore(state: DeviceState): void {
    const queues = this.#queueVectors.length;
    this.space.restore(state);
    this.msix.restore(savedPart(state, 'msix'));
    const [configVector = 0, ...queueVectors] = savedRegisters(state, 'vectors', queues + 1);
    this.#configVector = this.#vector(configVector);
    queueVectors.forEach((vector, i) => {
      this.#queueVectors[i] = this.#vector(vector);
    });
    this.#isr = savedNumber(state, 'isr') & (ISR_QUEUE | ISR_CONFIG);
    const [deviceFeature = 0, driverFeature = 0, queue = 0] = savedRegisters(state, 'selects', 3);
    this.#deviceFeatureSelect = deviceFeature;
    this.#driverFeatureSelect = driverFeature;
    this.#queueSelect = queue & 0xffff;
    this.#updateLine();
    this.transport.restore(savedPart(state, 'virtio'));
  }

  restored(): void {
    this.transport.device.restored?.();
  }

  counters(): Record<string, number> {
    return this.transport.counters();
  }
}

function lowBytes(word: number, length: number): number {
  return length === 4 ? word >>> 0 : word & ((1 << (8 * length)) - 1);
}

/** A capability behind its link: length, kind, BAR, offset and length in it, and words of its own (4.1.4). */
function capabilityBody(kind: number, offset: number, bytes: number, more: readonly number[]): Uint8Array {
  const body = new Uint8Array(14 + 4 * more.length);
  const view = new DataView(body.buffer);
  body[0] = body.length + 2;
  body[1] = kind;
  body[2] = MEMORY_BAR;
  view.setUint32(6, offset, true);
  view.setUint32(10, bytes, true);
  more.forEach((word, i) => {
    view.setUint32(14 + 4 * i, word, true);
  });
  return body;
}

/** Where a function is plugged in. */
export interface PciSlot {
  /** Name of the bridge's device, which stands before it in the board's list. */
  readonly bridge: string;
  readonly slot: number;
  /** Its node, where the guest does not look for functions by itself. */
  readonly node?: TreeNodeSpec;
}

/** A virtio device in a PCI slot. The bridge takes its interrupt by the slot's number. */
export function virtioPci(spec: VirtioSpec, { bridge, slot, node }: PciSlot): DeviceSpec {
  return {
    name: spec.name,
    interrupts: [{ controller: bridge, input: slot }],
    ...(node && { node }),
    create: (wiring) => {
      const { bus } = wiring.device(bridge) as Device & PciHost;
      const card = new VirtioPci(spec, bus, wiring);
      bus.plug(slot, card);
      return card;
    },
  };
}

/** What a virtio device is as a PCI function. */
export function virtioPciIdentity(spec: VirtioSpec) {
  const device = FIRST_DEVICE + spec.id;
  return {
    vendor: VENDOR,
    device,
    classCode: CLASS_CODES[spec.id] ?? OTHER_CLASS,
    revision: REVISION,
    subsystemVendor: VENDOR,
    subsystem: device,
    interruptPin: 1,
    /** MSI-X: one for each queue, and one for the configuration. */
    vectors: spec.queues.length + 1,
  };
}
