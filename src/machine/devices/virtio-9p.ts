import { type DeviceState, savedPart, type Wiring } from '../device.ts';
import type { Outside } from '../outside/events.ts';
import type { MessageServer } from '../outside/messages.ts';
import type { Chain } from '../virtio/chain.ts';
import { VIRTIO_ID, type VirtioDevice, type VirtioPort, type VirtioSpec } from '../virtio/device.ts';
import { QueueService } from '../virtio/service.ts';

/** Features and configuration: the length of the tag, and its bytes (Linux's include/uapi/linux/virtio_9p.h). */
const MOUNT_TAG = 0;
const QUEUE_SIZE = 128;

/** A request larger than Linux's largest message, which is what 500 pages of 64 KB hold, gets no answer. */
const MOST_REQUEST_BYTES = 33 * 2 ** 20;
/** So many bytes of requests and of room for their answers may be under way, or one request. */
const MOST_BYTES_UNDER_WAY = 32 * 2 ** 20;
/** Requests that are answered at once lie in one buffer, unless they are larger than Linux makes them. */
const LEAST_SCRATCH_BYTES = 4096;
const MOST_SCRATCH_BYTES = 2 ** 20;
const NO_BYTES = new Uint8Array(0);

/** A shared folder, or whatever else speaks 9P. */
export interface ShareOptions {
  /** The name by which the guest mounts it. */
  readonly tag: string;
  readonly server: MessageServer;
}

class Virtio9p implements VirtioDevice {
  readonly config: Uint8Array;
  readonly #outside: Outside;
  readonly #server: MessageServer;
  readonly #service: QueueService;
  #scratch = NO_BYTES;
  #bytesUnderWay = 0;
  #requests = 0;
  #failed = 0;

  constructor(port: VirtioPort, { outside }: Wiring, { tag, server }: ShareOptions) {
    this.#outside = outside;
    this.#server = server;
    this.#service = new QueueService(port, outside, 0, (chain) => this.#begin(chain));
    this.config = Uint8Array.from([tag.length, 0, ...Array.from(tag, (character) => character.charCodeAt(0))]);
  }

  notified(): void {
    this.#service.run();
  }

  #begin(chain: Chain): boolean {
    const { readableBytes, writableBytes } = chain;
    if (readableBytes > MOST_REQUEST_BYTES) {
      this.#failed++;
      this.#service.done(chain, 0);
      return true;
    }
    const bytes = readableBytes + Math.min(writableBytes, MOST_REQUEST_BYTES);
    if (this.#bytesUnderWay > 0 && this.#bytesUnderWay + bytes > MOST_BYTES_UNDER_WAY) return false;
    const request = this.#buffer(readableBytes);
    chain.read(0, request);
    this.#requests++;
    const soon = this.#server.answer(request, Math.min(writableBytes, MOST_REQUEST_BYTES));
    // What is answered at once the guest finds answered as soon as it has asked.
    if (!(soon instanceof Promise) && this.#outside.isPrompt) {
      this.#give(chain, soon);
      return true;
    }
    // The request is the server's until then.
    this.#scratch = NO_BYTES;
    this.#bytesUnderWay += bytes;
    this.#outside.wait(
      soon instanceof Promise ? soon : Promise.resolve(soon?.slice()),
      (answer) => this.#end(chain, bytes, answer),
      () => {
        this.#failed++;
        this.#end(chain, bytes, undefined);
      },
    );
    return true;
  }

  /** For a request: the buffer of the one before, if that is large enough. */
  #buffer(length: number): Uint8Array {
    if (length > MOST_SCRATCH_BYTES) return new Uint8Array(length);
    if (length > this.#scratch.length)
      this.#scratch = new Uint8Array(Math.max(LEAST_SCRATCH_BYTES, 2 ** Math.ceil(Math.log2(length))));
    return this.#scratch.subarray(0, length);
  }

  /** Of a request that was flushed nothing comes but its buffers. */
  #give(chain: Chain, answer: Uint8Array | undefined): void {
    if (chain.alive) this.#service.done(chain, answer === undefined ? 0 : chain.write(0, answer));
  }

  #end(chain: Chain, bytes: number, answer: Uint8Array | undefined): void {
    this.#bytesUnderWay -= bytes;
    this.#give(chain, answer);
    this.#service.run();
  }

  reset(): void {
    this.#server.reset();
  }

  save(): DeviceState {
    return { server: this.#server.save?.() ?? {} };
  }

  /** Requests that were under way are made again. */
  restore(state: DeviceState): void {
    const server = savedPart(state, 'server');
    if (this.#server.restore) this.#server.restore(server);
    else this.#server.reset();
    this.#service.restart();
    this.#service.run();
  }

  counters(): Record<string, number> {
    return { requests: this.#requests, failed: this.#failed };
  }
}

/** A share on a machine. */
export function virtio9p(name: string, options: ShareOptions): VirtioSpec {
  return {
    name,
    id: VIRTIO_ID.filesystem9p,
    features: [MOUNT_TAG],
    queues: [QUEUE_SIZE],
    create: (port, wiring) => new Virtio9p(port, wiring, options),
  };
}
