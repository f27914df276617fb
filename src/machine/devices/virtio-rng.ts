import type { DeviceState, Wiring } from '../device.ts';
import type { Chain } from '../virtio/chain.ts';
import { VIRTIO_ID, type VirtioDevice, type VirtioPort, type VirtioSpec } from '../virtio/device.ts';
import { QueueService } from '../virtio/service.ts';

const QUEUE_SIZE = 8;
/** A request gets so many bytes at most; the driver asks again. */
const MOST_BYTES = 4096;

/** A source of randomness: the host's. Where it has none, requests get no bytes. */
class VirtioRng implements VirtioDevice {
  readonly config = new Uint8Array(0);
  readonly #service: QueueService;
  readonly #random: ((bytes: Uint8Array) => void) | undefined;
  readonly #buffer = new Uint8Array(MOST_BYTES);
  #bytes = 0;

  constructor(port: VirtioPort, { outside, world }: Wiring) {
    this.#random = world.random;
    this.#service = new QueueService(port, outside, 0, (chain) => this.#fill(chain));
  }

  notified(): void {
    this.#service.run();
  }

  #fill(chain: Chain): boolean {
    const bytes = this.#buffer.subarray(0, this.#random === undefined ? 0 : chain.writableBytes);
    if (bytes.length > 0) this.#random?.(bytes);
    this.#bytes += bytes.length;
    this.#service.done(chain, chain.write(0, bytes));
    return true;
  }

  reset(): void {}

  save(): DeviceState {
    return {};
  }

  restore(): void {
    this.#service.restart();
    this.#service.run();
  }

  counters(): Record<string, number> {
    return { bytes: this.#bytes };
  }
}

/** The generator on a machine. */
export function virtioRng(name: string): VirtioSpec {
  return {
    name,
    id: VIRTIO_ID.entropy,
    features: [],
    queues: [QUEUE_SIZE],
    create: (port, wiring) => new VirtioRng(port, wiring),
  };
}
