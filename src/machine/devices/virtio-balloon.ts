import type { GuestMemory } from '../../kvm/api.ts';
import { type DeviceState, savedRegisters, type Wiring } from '../device.ts';
import type { Outside } from '../outside/events.ts';
import type { Chain } from '../virtio/chain.ts';
import { VIRTIO_ID, type VirtioDevice, type VirtioPort, type VirtioSpec } from '../virtio/device.ts';
import { QueueService } from '../virtio/service.ts';

/** Features and configuration (virtio 1.2, sections 5.5.3 and 5.5.4): pages wanted 32, pages that the guest gave 32. */
const F = { DEFLATE_ON_OOM: 2, PAGE_REPORTING: 5 } as const;
const CONFIG_BYTES = 8;
const ACTUAL = 4;
const INFLATE = 0;
const DEFLATE = 1;
const REPORTING = 2;
const QUEUE_SIZE = 128;
/** Pages of the balloon, whatever the guest's are. */
const PAGE_BYTES = 4096;
/** Page numbers of one request that are read at once. */
const LIST_BYTES = 4096;
/** Pages that are looked at between two slices of the guest. */
const PAGES_AT_ONCE = 1024;

/**
 * A balloon that asks for nothing, and hears of pages that the guest has no use for: they are zeroed, so that they take no room
 * in what is kept of the machine.
 */
class VirtioBalloon implements VirtioDevice {
  readonly config = new Uint8Array(CONFIG_BYTES);
  readonly #memory: GuestMemory;
  readonly #outside: Outside;
  readonly #services: readonly QueueService[];
  readonly #page = new Uint8Array(PAGE_BYTES);
  readonly #words = new Float64Array(this.#page.buffer);
  #isBusy = false;
  #reported = 0;
  #zeroed = 0;

  constructor(port: VirtioPort, { outside }: Wiring) {
    this.#memory = port.memory;
    this.#outside = outside;
    this.#services = [INFLATE, DEFLATE, REPORTING].map(
      (queue) => new QueueService(port, outside, queue, (chain) => this.#begin(chain, queue)),
    );
  }

  /** One request at a time, a part of it between two slices: a guest can name all of its memory many times over. */
  #begin(chain: Chain, queue: number): boolean {
    if (this.#isBusy) return false;
    this.#isBusy = true;
    this.#goOn(
      chain,
      queue,
      queue === REPORTING ? this.#ranges(chain) : queue === INFLATE ? this.#inflated(chain) : [],
    );
    return true;
  }

  #goOn(chain: Chain, queue: number, pages: Iterable<number>): void {
    const steps = pages[Symbol.iterator]();
    const step = (): void => {
      for (let count = 0; count < PAGES_AT_ONCE; count++) {
        const next = chain.alive ? steps.next() : undefined;
        if (next === undefined || next.done === true) {
          this.#isBusy = false;
          this.#services[queue]?.done(chain, 0);
          this.#outside.between(() => {
            for (const service of this.#services) service.run();
          });
          return;
        }
        this.#clear(next.value);
      }
      this.#outside.between(step);
    };
    step();
  }

  notified(queue: number): void {
    this.#services[queue]?.run();
  }

  configWritten(): void {
    // How many pages the guest has given (ACTUAL) is for it to say; how many are wanted is not.
    this.config.fill(0, 0, ACTUAL);
  }

  /** Addresses of the pages that an inflating guest gives. */
  *#inflated(chain: Chain): Generator<number> {
    const list = new DataView(new ArrayBuffer(LIST_BYTES));
    const listBytes = new Uint8Array(list.buffer);
    for (let at = 0; at < chain.readableBytes; at += LIST_BYTES) {
      const bytes = chain.read(at, listBytes) & ~3;
      for (let i = 0; i < bytes; i += 4) yield list.getUint32(i, true) * PAGE_BYTES;
    }
  }

  /** Addresses of the whole pages in the ranges that a request names. */
  *#ranges(chain: Chain): Generator<number> {
    for (const [address, length] of chain.writable()) {
      const end = address + length;
      for (let page = Math.ceil(address / PAGE_BYTES) * PAGE_BYTES; page + PAGE_BYTES <= end; page += PAGE_BYTES)
        yield page;
    }
  }

  /** Zeroes a page that is not zero: what was never touched stays so. */
  #clear(page: number): void {
    const memory = this.#memory;
    this.#reported++;
    // Any bit that is set makes a number that is not +0.
    if (!memory.readInto(page, this.#page) || this.#words.every((word) => Object.is(word, 0))) return;
    memory.fill(page, PAGE_BYTES, 0);
    this.#zeroed++;
  }

  reset(): void {
    this.config.fill(0);
  }

  save(): DeviceState {
    return { config: Array.from(this.config) };
  }

  restore(state: DeviceState): void {
    this.config.set(savedRegisters(state, 'config', CONFIG_BYTES));
    this.configWritten();
    for (const service of this.#services) service.restart();
    for (const service of this.#services) service.run();
  }

  counters(): Record<string, number> {
    return { reported_pages: this.#reported, zeroed_pages: this.#zeroed };
  }
}

/** The balloon on a machine. */
export function virtioBalloon(name: string): VirtioSpec {
  return {
    name,
    id: VIRTIO_ID.balloon,
    features: [F.DEFLATE_ON_OOM, F.PAGE_REPORTING],
    queues: [QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE],
    create: (port, wiring) => new VirtioBalloon(port, wiring),
  };
}
