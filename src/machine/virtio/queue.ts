import type { GuestMemory } from '../../kvm/api.ts';
import { type DeviceState, savedBoolean, savedNumber, savedNumbers } from '../device.ts';
import { MachineError } from '../error.ts';
import { Chain } from './chain.ts';
import { LittleEndianMemory } from './little-endian.ts';

/** Descriptor (virtio 1.2, section 2.7.5): address 64, length 32, flags 16, next 16. */
const DESCRIPTOR_BYTES = 16;
const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
/** Offsets in the available ring (2.7.6) and the used ring (2.7.8). */
const FLAGS = 0;
const INDEX = 2;
const RING = 4;
const NO_INTERRUPT = 1;
const USED_ELEMENT_BYTES = 8;

/** Descriptors in an indirect table at most. Linux's drivers have tables of up to a few hundred. */
const MOST_INDIRECT = 1024;
/** Words of a saved chain. */
const MOST_SAVED_WORDS = 2 + 3 * 2 * MOST_INDIRECT;
const TWO_32 = 2 ** 32;

/**
 * A split virtqueue. The driver's half of it is the guest's to write as it likes: what makes no sense breaks the queue, which
 * `onBroken` hears of, and nothing else happens.
 */
export class VirtQueue {
  readonly maxSize: number;
  /** What the driver has set. Addresses are guest physical. */
  size: number;
  enabled = false;
  descriptors = 0;
  driver = 0;
  device = 0;
  /** Features that were negotiated. */
  eventIdx = false;
  indirect = false;
  readonly #memory: GuestMemory;
  readonly #ring: LittleEndianMemory;
  readonly #onBroken: (reason: string) => void;
  readonly #onUsed: () => void;
  /** What the device has and has not given back, oldest first. */
  readonly #held = new Map<number, Chain>();
  readonly #spare: Chain[] = [];
  #broken = false;
  /** Of the available ring: entries that were taken; what the driver was told to notify about. */
  #taken = 0;
  #notifyAt = -1;
  /** Of the used ring: entries that were given back; of those, how many the driver was told of. */
  #used = 0;
  #signalled = 0;

  /** `onUsed`: interrupts the driver. */
  constructor(memory: GuestMemory, maxSize: number, onUsed: () => void, onBroken: (reason: string) => void) {
    this.#memory = memory;
    this.#ring = new LittleEndianMemory(memory);
    this.maxSize = this.size = maxSize;
    this.#onUsed = onUsed;
    this.#onBroken = onBroken;
  }

  /** Chains that the device has, oldest first. */
  get held(): Iterable<Chain> {
    return this.#held.values();
  }

  get heldCount(): number {
    return this.#held.size;
  }

  /** Forgets everything; chains that the device has are not alive any more. */
  reset(): void {
    for (const chain of this.#held.values()) chain.alive = false;
    this.#held.clear();
    this.size = this.maxSize;
    this.enabled = this.#broken = false;
    this.descriptors = this.driver = this.device = 0;
    this.#taken = this.#used = this.#signalled = 0;
    this.#notifyAt = -1;
  }

  /** Takes nothing any more until it is reset. */
  stop(): void {
    this.#broken = true;
  }

  #fail(reason: string): undefined {
    this.#broken = true;
    this.#onBroken(reason);
    return undefined;
  }

  /** The driver's available index; -1: there is no ring. */
  #available(): number {
    return this.enabled && !this.#broken ? this.#ring.read16(this.driver + INDEX) : -1;
  }

  /** Whether `take` would have something. */
  get isEmpty(): boolean {
    const available = this.#available();
    return available < 0 || available === this.#taken;
  }

  /** The next request, or undefined. It is the device's until `done`. */
  take(): Chain | undefined {
    if (!this.enabled || this.#broken) return undefined;
    const available = this.#ring.read16(this.driver + INDEX);
    if (available < 0) return this.#fail('the available ring is not in memory');
    const taken = this.#taken;
    const waiting = (available - taken) & 0xffff;
    if (waiting === 0) {
      if (this.eventIdx && this.#notifyAt !== taken) this.#askToBeNotified(taken);
      return undefined;
    }
    if (waiting > this.size) return this.#fail('the available index is further ahead than the queue has entries');
    const head = this.#ring.read16(this.driver + RING + 2 * (taken % this.size));
    if (head < 0 || head >= this.size) return this.#fail('the available ring names a descriptor that is none');
    if (this.#held.has(head)) return this.#fail('the available ring names a descriptor that is in use');
    const chain = this.#spare.pop() ?? new Chain(this.#memory);
    chain.clear(head);
    if (!this.#walk(chain, head)) {
      this.#spare.push(chain);
      return undefined;
    }
    this.#taken = (taken + 1) & 0xffff;
    this.#held.set(head, chain);
    return chain;
  }

  #askToBeNotified(index: number): void {
    this.#notifyAt = index;
    // avail_event stands behind the used ring.
    if (!this.#ring.write16(this.device + RING + USED_ELEMENT_BYTES * this.size, index))
      this.#fail('the used ring is not in memory');
  }

  #walk(chain: Chain, head: number): boolean {
    const ring = this.#ring;
    let table = this.descriptors;
    let limit = this.size;
    let index = head;
    let isIndirect = false;
    for (let count = 0; ; ) {
      if (++count > limit || index >= limit) return this.#fail('a descriptor chain does not end') ?? false;
      const at = table + index * DESCRIPTOR_BYTES;
      const low = ring.read32(at);
      const high = ring.read32(at + 4);
      const length = ring.read32(at + 8);
      const flags = ring.read16(at + 12);
      const next = ring.read16(at + 14);
      if (next < 0) return this.#fail('a descriptor is not in memory') ?? false;
      const address = high * TWO_32 + low;
      if ((flags & INDIRECT) !== 0) {
        const entries = length / DESCRIPTOR_BYTES;
        const fits = this.indirect && !isIndirect && (flags & NEXT) === 0 && Number.isInteger(entries);
        if (!fits || entries === 0 || entries > MOST_INDIRECT)
          return this.#fail('an indirect descriptor makes no sense') ?? false;
        table = address;
        limit = entries;
        index = count = 0;
        isIndirect = true;
        continue;
      }
      if (length > 0 && !chain.add(address, length, (flags & WRITE) !== 0))
        return this.#fail('a descriptor names what is not memory, or one to read follows one to write') ?? false;
      if ((flags & NEXT) === 0) return true;
      index = next;
    }
  }

  /** Gives a request back, with as many bytes written from the beginning of its writable part. Then `signal`. */
  done(chain: Chain, written: number): void {
    if (!chain.alive) return;
    this.#held.delete(chain.head);
    const element = this.device + RING + USED_ELEMENT_BYTES * (this.#used % this.size);
    const ring = this.#ring;
    this.#used = (this.#used + 1) & 0xffff;
    const isThere =
      ring.write32(element, chain.head) &&
      ring.write32(element + 4, written) &&
      ring.write16(this.device + INDEX, this.#used);
    this.#spare.push(chain);
    if (!isThere) this.#fail('the used ring is not in memory');
  }

  /** Takes back a `take`: the chain is the next again. Only for the one that was taken last. */
  untake(chain: Chain): void {
    if (!chain.alive) return;
    this.#held.delete(chain.head);
    this.#spare.push(chain);
    this.#taken = (this.#taken - 1) & 0xffff;
  }

  /** Interrupts the driver if it wants to know of what was given back since the last time. */
  signal(): void {
    const { eventIdx } = this;
    const used = this.#used;
    const before = this.#signalled;
    if (used === before || this.#broken) return;
    this.#signalled = used;
    if (eventIdx) {
      // used_event stands behind the available ring.
      const event = this.#ring.read16(this.driver + RING + 2 * this.size);
      if (((used - event - 1) & 0xffff) < ((used - before) & 0xffff)) this.#onUsed();
    } else if ((this.#ring.read16(this.driver + FLAGS) & NO_INTERRUPT) === 0) this.#onUsed();
  }

  save(): DeviceState {
    const high = (value: number): number => Math.floor(value / TWO_32) >>> 0;
    const chains = Array.from(this.#held.values(), (chain) => chain.save());
    return {
      size: this.size,
      enabled: this.enabled,
      broken: this.#broken,
      addresses: [this.descriptors, this.driver, this.device].flatMap((one) => [one >>> 0, high(one)]),
      taken: this.#taken,
      notifyAt: this.#notifyAt + 1,
      used: this.#used,
      signalled: this.#signalled,
      held: Object.fromEntries(chains.map((words, i) => [String(i), words])),
    };
  }

  /** Takes what `save` gave: the device finds the chains that it had in `held`. Memory is restored before. */
  restore(state: DeviceState): void {
    this.reset();
    const size = savedNumber(state, 'size');
    if (!isQueueSize(size, this.maxSize)) throw new MachineError('the saved state has a queue of no possible size');
    this.size = size;
    this.enabled = savedBoolean(state, 'enabled');
    this.#broken = savedBoolean(state, 'broken');
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = savedNumbers(state, 'addresses', 6);
    this.descriptors = b * TWO_32 + a;
    this.driver = d * TWO_32 + c;
    this.device = f * TWO_32 + e;
    this.#taken = savedNumber(state, 'taken') & 0xffff;
    this.#notifyAt = (savedNumber(state, 'notifyAt') & 0x1ffff) - 1;
    this.#used = savedNumber(state, 'used') & 0xffff;
    this.#signalled = savedNumber(state, 'signalled') & 0xffff;
    const held = savedPartOrNone(state);
    for (let i = 0; i < size && Object.hasOwn(held, String(i)); i++) {
      const chain = new Chain(this.#memory);
      chain.restore(savedNumbers(held, String(i), MOST_SAVED_WORDS));
      if (chain.head >= size || this.#held.has(chain.head))
        throw new MachineError('the saved state has a request that is none');
      this.#held.set(chain.head, chain);
    }
  }
}

function savedPartOrNone(state: DeviceState): DeviceState {
  const held: unknown = Object.hasOwn(state, 'held') ? state['held'] : undefined;
  return typeof held === 'object' && held !== null && !Array.isArray(held) ? (held as DeviceState) : {};
}

/** Whether a queue may have so many entries: a power of two (section 2.7), at most `maxSize`. */
export function isQueueSize(size: number, maxSize: number): boolean {
  return size > 0 && size <= maxSize && (size & (size - 1)) === 0;
}
