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
  type Wiring,
} from '../device.ts';
import type { InterruptLine } from '../interrupts.ts';
import type { VirtioSpec } from './device.ts';
import type { VirtQueue } from './queue.ts';
import { VirtioTransport } from './transport.ts';

/** Registers (virtio 1.2, section 4.2.2), little-endian. */
const REG = {
  magic: 0x00,
  version: 0x04,
  deviceId: 0x08,
  vendorId: 0x0c,
  deviceFeatures: 0x10,
  deviceFeaturesSelect: 0x14,
  driverFeatures: 0x20,
  driverFeaturesSelect: 0x24,
  queueSelect: 0x30,
  queueSizeMax: 0x34,
  queueSize: 0x38,
  queueReady: 0x44,
  queueNotify: 0x50,
  interruptStatus: 0x60,
  interruptAcknowledge: 0x64,
  status: 0x70,
  queueDescriptors: 0x80,
  queueDriver: 0x90,
  queueDevice: 0xa0,
  sharedMemoryLengthLow: 0xb0,
  sharedMemoryLengthHigh: 0xb4,
  configGeneration: 0xfc,
  config: 0x100,
} as const;
export const VIRTIO_MMIO_BYTES = 0x200;

const MAGIC = 0x74726976;
const VERSION = 2;
/** "POWR", which no driver looks at. */
const VENDOR = 0x52574f50;
const QUEUE_INTERRUPT = 1;
const CONFIG_INTERRUPT = 2;
const QUEUE_PARTS: Readonly<Record<number, 'descriptors' | 'driver' | 'device'>> = {
  [REG.queueDescriptors]: 'descriptors',
  [REG.queueDriver]: 'driver',
  [REG.queueDevice]: 'device',
};

/** A virtio device in the memory map. */
export class VirtioMmio implements Device, MmioRegion {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly transport: VirtioTransport;
  readonly #line: InterruptLine | undefined;
  #interruptStatus = 0;
  #deviceFeaturesSelect = 0;
  #driverFeaturesSelect = 0;
  #queueSelect = 0;

  constructor(spec: VirtioSpec, wiring: Wiring) {
    this.#line = wiring.interrupts[0];
    this.transport = new VirtioTransport(spec, wiring, {
      queue: () => this.#setInterrupts(this.#interruptStatus | QUEUE_INTERRUPT),
      config: () => this.#setInterrupts(this.#interruptStatus | CONFIG_INTERRUPT),
    });
  }

  #setInterrupts(status: number): void {
    this.#interruptStatus = status;
    this.#line?.set(status !== 0);
  }

  get #queue(): VirtQueue | undefined {
    return this.transport.queues[this.#queueSelect];
  }

  read(offset: number, length: number): number {
    const { transport } = this;
    if (offset >= REG.config) return transport.readConfig(offset - REG.config, length);
    if (length !== 4) return 0;
    switch (offset) {
      case REG.magic:
        return MAGIC;
      case REG.version:
        return VERSION;
      case REG.deviceId:
        return transport.id;
      case REG.vendorId:
        return VENDOR;
      case REG.deviceFeatures:
        return transport.offered(this.#deviceFeaturesSelect);
      case REG.queueSizeMax:
        return this.#queue?.maxSize ?? 0;
      case REG.queueReady:
        return this.#queue?.enabled === true ? 1 : 0;
      case REG.interruptStatus:
        return this.#interruptStatus;
      case REG.status:
        return transport.status;
      // A length of all ones: there is no shared memory (4.2.2.1).
      case REG.sharedMemoryLengthLow:
      case REG.sharedMemoryLengthHigh:
        return 0xffffffff;
      case REG.configGeneration:
        return transport.generation;
      default:
        return 0;
    }
  }

  write(offset: number, length: number, value: number): void {
    const { transport } = this;
    if (offset >= REG.config) {
      transport.writeConfig(offset - REG.config, length, value);
      return;
    }
    if (length !== 4) return;
    const queue = this.#queue;
    switch (offset) {
      case REG.deviceFeaturesSelect:
        this.#deviceFeaturesSelect = value;
        break;
      case REG.driverFeatures:
        transport.accept(this.#driverFeaturesSelect, value);
        break;
      case REG.driverFeaturesSelect:
        this.#driverFeaturesSelect = value;
        break;
      case REG.queueSelect:
        this.#queueSelect = value;
        break;
      case REG.queueSize:
        if (queue !== undefined) transport.setQueueSize(queue, value);
        break;
      case REG.queueReady:
        if (queue === undefined) break;
        if ((value & 1) !== 0) transport.enableQueue(queue);
        else queue.reset();
        break;
      case REG.queueNotify:
        transport.notify(value);
        break;
      case REG.interruptAcknowledge:
        this.#setInterrupts(this.#interruptStatus & ~value);
        break;
      case REG.status:
        transport.setStatus(value & 0xff);
        if ((value & 0xff) === 0) this.#forget();
        break;
      default: {
        const part = QUEUE_PARTS[offset & ~4];
        if (part !== undefined && queue !== undefined)
          transport.setQueueAddress(queue, part, (offset & 4) !== 0, value);
      }
    }
  }

  #forget(): void {
    this.#deviceFeaturesSelect = this.#driverFeaturesSelect = this.#queueSelect = 0;
    this.#setInterrupts(0);
  }

  reset(): void {
    this.transport.reset();
    this.#forget();
  }

  save(): DeviceState {
    return {
      interruptStatus: this.#interruptStatus,
      selects: [this.#deviceFeaturesSelect, this.#driverFeaturesSelect, this.#queueSelect],
      virtio: this.transport.save(),
    };
  }

  restore(state: DeviceState): void {
    const [deviceFeatures = 0, driverFeatures = 0, queue = 0] = savedRegisters(state, 'selects', 3);
    this.#deviceFeaturesSelect = deviceFeatures;
    this.#driverFeaturesSelect = driverFeatures;
    this.#queueSelect = queue;
    this.#setInterrupts(savedNumber(state, 'interruptStatus') & (QUEUE_INTERRUPT | CONFIG_INTERRUPT));
    this.transport.restore(savedPart(state, 'virtio'));
  }

  restored(): void {
    this.transport.device.restored?.();
  }

  counters(): Record<string, number> {
    return this.transport.counters();
  }
}

/** A virtio device in the memory map of a board. `path`: of the bus that it stands on, `offset`: where in it, if not at `base`. */
export function virtioMmio(
  spec: VirtioSpec,
  place: {
    readonly base: number;
    readonly path: string;
    readonly offset?: number;
    readonly interrupt: InterruptSpec;
  },
): DeviceSpec {
  const { base, path, offset = base, interrupt } = place;
  return {
    name: spec.name,
    mmio: [{ base, size: VIRTIO_MMIO_BYTES, littleEndian: true }],
    interrupts: [interrupt],
    node: {
      path: `${path}/virtio@${offset.toString(16)}`,
      properties: {
        compatible: 'virtio,mmio',
        reg: [offset, VIRTIO_MMIO_BYTES],
        ...interruptProperties([interrupt]),
      },
    },
    create: (wiring) => new VirtioMmio(spec, wiring),
  };
}
