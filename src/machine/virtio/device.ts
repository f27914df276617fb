import type { GuestMemory } from '../../kvm/api.ts';
import type { DeviceState, Wiring } from '../device.ts';
import type { VirtQueue } from './queue.ts';

/** Kinds of devices by their virtio numbers (virtio 1.2, section 5). */
export const VIRTIO_ID = { net: 1, block: 2, console: 3, entropy: 4, balloon: 5, filesystem9p: 9, vsock: 19 } as const;

/** A virtio device: what is the same on every transport. Nothing in it throws for anything that a guest does. */
export interface VirtioDevice {
  /** The configuration space, little-endian; the device keeps it up to date. */
  readonly config: Uint8Array;
  /** The driver has written there; what the driver may not write is the device's to take back. */
  configWritten?(offset: number, length: number): void;
  /** The driver is up: what was negotiated is fixed. */
  started?(): void;
  /** The driver has put something into a queue. */
  notified(queue: number): void;
  /** The driver has reset the device, or the machine was. Its chains are not alive any more. */
  reset(): void;
  save(): DeviceState;
  /** Takes what `save` gave; the queues have their states already, and what was under way in `held`. */
  restore(state: DeviceState): void;
  /** The whole machine goes on from a snapshot, or is a fork (`Device.restored`). */
  restored?(): void;
  counters?(): Record<string, number>;
}

/** What a device has of its transport. */
export interface VirtioPort {
  readonly memory: GuestMemory;
  readonly queues: readonly VirtQueue[];
  /** The driver is up, and nothing has gone wrong since. */
  readonly isRunning: boolean;
  /** Whether a feature was negotiated, by its bit number. */
  has(feature: number): boolean;
  /** Tells the driver that the configuration space is another one. */
  configChanged(): void;
  /** Something that the driver has done makes no sense: it is told to reset the device, and nothing goes on until then. */
  needsReset(reason: string): void;
}

/** A virtio device without its place: a board gives it one. */
export interface VirtioSpec {
  /** Unique in the machine: the name in saved states and statistics. */
  readonly name: string;
  /** Its kind, of VIRTIO_ID. */
  readonly id: number;
  /** The features that it offers beside the transport's, by bit number. */
  readonly features: readonly number[];
  /** How many entries each queue has at most, a power of two. */
  readonly queues: readonly number[];
  create(port: VirtioPort, wiring: Wiring): VirtioDevice;
}
