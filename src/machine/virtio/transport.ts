import type { GuestMemory } from '../../kvm/api.ts';
import { type DeviceState, savedNumber, savedPart, savedRegisters, type Wiring } from '../device.ts';
import { MachineError } from '../error.ts';
import type { VirtioDevice, VirtioPort, VirtioSpec } from './device.ts';
import { isQueueSize, VirtQueue } from './queue.ts';

/** Device status (virtio 1.2, section 2.1). */
export const STATUS = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  NEEDS_RESET: 0x40,
  FAILED: 0x80,
} as const;

/** The transport's features, by bit number (section 6). */
const INDIRECT_DESC = 28;
const EVENT_IDX = 29;
const VERSION_1 = 32;
const FEATURE_WORDS = 2;

const TWO_32 = 2 ** 32;

/** How a transport interrupts the driver. */
export interface VirtioInterrupts {
  /** A queue has something for the driver. */
  queue(index: number): void;
  /** The configuration, or the device's status, has changed. */
  config(): void;
}

/** What every transport has behind its registers: status, features, queues, and the device. */
export class VirtioTransport implements VirtioPort {
  readonly id: number;
  readonly memory: GuestMemory;
  readonly queues: readonly VirtQueue[];
  readonly device: VirtioDevice;
  readonly #interrupts: VirtioInterrupts;
  readonly #offered = new Uint32Array(FEATURE_WORDS);
  readonly #accepted = new Uint32Array(FEATURE_WORDS);
  #status = 0;
  #generation = 0;
  #broken = 0;

  constructor(spec: VirtioSpec, wiring: Wiring, interrupts: VirtioInterrupts) {
    this.id = spec.id;
    this.memory = wiring.memory;
    this.#interrupts = interrupts;
    for (const bit of [...spec.features, INDIRECT_DESC, EVENT_IDX, VERSION_1])
      this.#offered[bit >>> 5] = (this.#offered[bit >>> 5] as number) | (1 << (bit & 31));
    this.queues = spec.queues.map(
      (size, index) =>
        new VirtQueue(
          wiring.memory,
          size,
          () => interrupts.queue(index),
          (reason) => this.needsReset(reason),
        ),
    );
    this.device = spec.create(this, wiring);
  }

  get isRunning(): boolean {
    return (this.#status & (STATUS.DRIVER_OK | STATUS.NEEDS_RESET)) === STATUS.DRIVER_OK;
  }

  has(feature: number): boolean {
    return ((this.#accepted[feature >>> 5] as number) & (1 << (feature & 31))) !== 0;
  }

  configChanged(): void {
    this.#generation = (this.#generation + 1) & 0xff;
    if ((this.#status & STATUS.DRIVER_OK) !== 0) this.#interrupts.config();
  }

  needsReset(_reason: string): void {
    if ((this.#status & STATUS.NEEDS_RESET) !== 0) return;
    this.#broken++;
    this.#status |= STATUS.NEEDS_RESET;
    for (const queue of this.queues) queue.stop();
    if ((this.#status & STATUS.DRIVER_OK) !== 0) this.#interrupts.config();
  }

  /** Counts the changes of the configuration. */
  get generation(): number {
    return this.#generation;
  }

  get status(): number {
    return this.#status;
  }

  /** The driver writes the status; 0 resets the device. */
  setStatus(value: number): void {
    if (value === 0) {
      this.reset();
      return;
    }
    const before = this.#status;
    // The driver clears nothing: it resets.
    let status = before | (value & 0xff & ~STATUS.NEEDS_RESET);
    if ((status & ~before & STATUS.FEATURES_OK) !== 0 && !this.#acceptable()) status &= ~STATUS.FEATURES_OK;
    if ((status & STATUS.FEATURES_OK) === 0) status &= ~STATUS.DRIVER_OK;
    this.#status = status;
    if ((status & ~before & STATUS.FEATURES_OK) !== 0) this.#negotiated();
    if ((status & ~before & STATUS.DRIVER_OK) !== 0) {
      this.device.started?.();
      // What was put into the queues before is not notified again.
      this.queues.forEach((queue, index) => {
        if (queue.enabled) this.notify(index);
      });
    }
  }

  #acceptable(): boolean {
    return this.has(VERSION_1) && this.#accepted.every((word, i) => (word & ~(this.#offered[i] as number)) === 0);
  }

  #negotiated(): void {
    for (const queue of this.queues) {
      queue.eventIdx = this.has(EVENT_IDX);
      queue.indirect = this.has(INDIRECT_DESC);
    }
  }

  /** 32 of the features that are offered, by the number that the driver selected. */
  offered(select: number): number {
    return this.#offered[select] ?? 0;
  }

  accepted(select: number): number {
    return this.#accepted[select] ?? 0;
  }

  accept(select: number, bits: number): void {
    if (select < FEATURE_WORDS && (this.#status & STATUS.FEATURES_OK) === 0) this.#accepted[select] = bits;
  }

  setQueueSize(queue: VirtQueue, size: number): void {
    if (!queue.enabled && isQueueSize(size, queue.maxSize)) queue.size = size;
  }

  /** Half of the address of a part of a queue, while the queue is not enabled. */
  setQueueAddress(queue: VirtQueue, part: 'descriptors' | 'driver' | 'device', high: boolean, value: number): void {
    if (queue.enabled) return;
    const before = queue[part];
    const low = before % TWO_32;
    queue[part] = high ? value * TWO_32 + low : before - low + value;
  }

  enableQueue(queue: VirtQueue): void {
    if ((this.#status & STATUS.FEATURES_OK) !== 0) queue.enabled = true;
  }

  /** The driver has put something into a queue. */
  notify(index: number): void {
    if (this.isRunning && this.queues[index]?.enabled === true) this.device.notified(index);
  }

  readConfig(offset: number, length: number): number {
    const { config } = this.device;
    let value = 0;
    for (let i = 0; i < length; i++) value |= (config[offset + i] ?? 0) << (8 * i);
    return value >>> 0;
  }

  writeConfig(offset: number, length: number, value: number): void {
    const { device } = this;
    if (device.configWritten === undefined || offset + length > device.config.length) return;
    for (let i = 0; i < length; i++) device.config[offset + i] = value >>> (8 * i);
    device.configWritten(offset, length);
  }

  reset(): void {
    this.#status = 0;
    this.#accepted.fill(0);
    for (const queue of this.queues) {
      queue.reset();
      queue.eventIdx = queue.indirect = false;
    }
    this.device.reset();
  }

  save(): DeviceState {
    return {
      id: this.id,
      status: this.#status,
      generation: this.#generation,
      accepted: Array.from(this.#accepted),
      queues: Object.fromEntries(this.queues.map((queue, i) => [String(i), queue.save()])),
      device: this.device.save(),
    };
  }

  restore(state: DeviceState): void {
    if (savedNumber(state, 'id') !== this.id) throw new MachineError('the saved state is of another kind of device');
    this.#status = savedNumber(state, 'status') & 0xff;
    this.#generation = savedNumber(state, 'generation') & 0xff;
    this.#accepted.set(savedRegisters(state, 'accepted', FEATURE_WORDS));
    const queues = savedPart(state, 'queues');
    this.queues.forEach((queue, i) => {
      queue.restore(savedPart(queues, String(i)));
    });
    this.#negotiated();
    this.device.restore(savedPart(state, 'device'));
  }

  counters(): Record<string, number> {
    return { ...this.device.counters?.(), broken: this.#broken };
  }
}
