import type { HostMemory } from '../processor/index.ts';
import { type GuestMemory, KvmError } from './api.ts';

/** Slots begin and end on pages of 4 KB. */
const PAGE_BYTES = 4096;
/** KVM counts guest and host addresses in frames of 1 KB, the 440's smallest page: 36-bit addresses stay small integers. */
export const FRAME_SHIFT = 10;
const FRAME_BYTES = 1 << FRAME_SHIFT;
export const PHYSICAL_ADDRESS_LIMIT = 2 ** 36;
const LARGEST_PAGE_BYTES = 2 ** 28;

const PAGE_FRAMES = PAGE_BYTES / FRAME_BYTES;

/** A memory slot, in frames. */
export class MemorySlot {
  readonly slot: number;
  readonly firstFrame: number;
  readonly endFrame: number;
  /** Host real frame minus guest frame. */
  readonly delta: number;
  readonly readonly: boolean;
  /** The dirty log: a bit for each page of 4 KB; null: none is kept. */
  #dirty: Uint8Array | null;

  constructor(slot: number, firstFrame: number, endFrame: number, delta: number, readonly: boolean, logged: boolean) {
    this.slot = slot;
    this.firstFrame = firstFrame;
    this.endFrame = endFrame;
    this.delta = delta;
    this.readonly = readonly;
    this.#dirty = logged ? new Uint8Array(Math.ceil((endFrame - firstFrame) / PAGE_FRAMES / 8)) : null;
  }

  /** A dirty log is kept. */
  get logged(): boolean {
    return this.#dirty !== null;
  }

  /** A page (guest physical address / 4 KB) of the slot is written. */
  markDirty(page: number): void {
    if (this.#dirty === null) return;
    const index = page - this.firstFrame / PAGE_FRAMES;
    this.#dirty[index >> 3] = (this.#dirty[index >> 3] as number) | (1 << (index & 7));
  }

  /** The dirty log, which begins anew. */
  takeDirty(): Uint8Array | undefined {
    if (this.#dirty === null) return undefined;
    const taken = this.#dirty;
    this.#dirty = new Uint8Array(taken.length);
    return taken;
  }
}

/**
 * The memory slots of a VM and where each stands in host memory. A slot is placed so that its host real address is
 * congruent to its guest physical address modulo the largest page that fits in it: one shadow entry can then map it.
 */
export class MemorySlots {
  readonly slots: MemorySlot[] = [];
  readonly #ramBase: number;
  readonly #ramBytes: number;
  #next: number;
  #last: MemorySlot | null = null;

  constructor(ramBase: number, ramBytes: number) {
    this.#ramBase = ramBase;
    this.#ramBytes = ramBytes;
    this.#next = ramBase;
  }

  /** Adds a slot. @throws KvmError when it is malformed, overlaps another or does not fit. */
  add(slot: number, guestPhysAddr: number, memorySize: number, readonly: boolean, logged = false): void {
    const end = guestPhysAddr + memorySize;
    const name = `memory slot ${slot} (${memorySize} bytes at 0x${guestPhysAddr.toString(16)})`;
    if (!(guestPhysAddr >= 0 && memorySize > 0 && end <= PHYSICAL_ADDRESS_LIMIT))
      throw new KvmError(`${name} is outside of the guest's 36-bit address space`);
    if (guestPhysAddr % PAGE_BYTES !== 0 || memorySize % PAGE_BYTES !== 0)
      throw new KvmError(`${name} must begin and end on a 4096-byte page`);
    const firstFrame = guestPhysAddr / FRAME_BYTES;
    const endFrame = end / FRAME_BYTES;
    for (const other of this.slots) {
      if (other.slot === slot) throw new KvmError(`${name}: this slot is in use`);
      if (firstFrame < other.endFrame && other.firstFrame < endFrame)
        throw new KvmError(`${name} overlaps memory slot ${other.slot}`);
    }
    let alignment = PAGE_BYTES;
    while (alignment * 4 <= memorySize && alignment < LARGEST_PAGE_BYTES) alignment *= 4;
    const misplaced = (this.#next - guestPhysAddr) % alignment;
    const base = this.#next + (misplaced === 0 ? 0 : misplaced > 0 ? alignment - misplaced : -misplaced);
    if (base + memorySize > this.#ramBase + this.#ramBytes)
      throw new KvmError(`${name} does not fit: the virtual machine has room for ${this.#ramBytes} bytes`);
    this.#next = base + memorySize;
    const delta = base / FRAME_BYTES - firstFrame;
    this.slots.push(new MemorySlot(slot, firstFrame, endFrame, delta, readonly, logged));
  }

  /** The slot that holds a guest frame, or null. */
  find(frame: number): MemorySlot | null {
    const last = this.#last;
    if (last !== null && frame >= last.firstFrame && frame < last.endFrame) return last;
    const { slots } = this;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i] as MemorySlot;
      if (frame >= slot.firstFrame && frame < slot.endFrame) {
        this.#last = slot;
        return slot;
      }
    }
    return null;
  }

  /** Host real address of [address, address + length), or -1 when it is not all inside one slot. */
  hostAddress(address: number, length: number): number {
    if (!(address >= 0 && length >= 0 && Number.isInteger(address) && Number.isInteger(length))) return -1;
    const slot = this.find(Math.floor(address / FRAME_BYTES));
    if (slot === null || address + length > slot.endFrame * FRAME_BYTES) return -1;
    return address + slot.delta * FRAME_BYTES;
  }
}

/** Guest physical memory for user space and devices. `onWrite` hears of every change, to drop translations of code. */
export class SlotMemory implements GuestMemory {
  readonly #slots: MemorySlots;
  readonly #memory: HostMemory;
  readonly #onWrite: (hostAddress: number, length: number) => void;

  constructor(slots: MemorySlots, memory: HostMemory, onWrite: (hostAddress: number, length: number) => void) {
    this.#slots = slots;
    this.#memory = memory;
    this.#onWrite = onWrite;
  }

  get littleEndian(): boolean {
    return this.#memory.littleEndian;
  }

  contains(address: number, length: number): boolean {
    return this.#slots.hostAddress(address, length) >= 0;
  }

  read8(address: number): number | undefined {
    const host = this.#slots.hostAddress(address, 1);
    return host < 0 ? undefined : this.#memory.read8(host);
  }

  read16(address: number): number | undefined {
    const host = this.#slots.hostAddress(address, 2);
    return host < 0 ? undefined : this.#memory.read16(host);
  }

  read32(address: number): number | undefined {
    const host = this.#slots.hostAddress(address, 4);
    return host < 0 ? undefined : this.#memory.read32(host);
  }

  write8(address: number, value: number): boolean {
    const host = this.#slots.hostAddress(address, 1);
    if (host < 0) return false;
    this.#memory.write8(host, value);
    this.#onWrite(host, 1);
    return true;
  }

  write16(address: number, value: number): boolean {
    const host = this.#slots.hostAddress(address, 2);
    if (host < 0) return false;
    this.#memory.write16(host, value);
    this.#onWrite(host, 2);
    return true;
  }

  write32(address: number, value: number): boolean {
    const host = this.#slots.hostAddress(address, 4);
    if (host < 0) return false;
    this.#memory.write32(host, value);
    this.#onWrite(host, 4);
    return true;
  }

  readBytes(address: number, length: number): Uint8Array | undefined {
    const host = this.#slots.hostAddress(address, length);
    return host < 0 ? undefined : this.#memory.readBytes(host, length);
  }

  readInto(address: number, into: Uint8Array): boolean {
    const host = this.#slots.hostAddress(address, into.length);
    if (host < 0) return false;
    this.#memory.readInto(host, into);
    return true;
  }

  writeBytes(address: number, bytes: Uint8Array): boolean {
    const host = this.#slots.hostAddress(address, bytes.length);
    if (host < 0) return false;
    this.#memory.writeBytes(host, bytes);
    this.#onWrite(host, bytes.length);
    return true;
  }

  fill(address: number, length: number, value: number): boolean {
    const host = this.#slots.hostAddress(address, length);
    if (host < 0) return false;
    this.#memory.fill(host, length, value);
    this.#onWrite(host, length);
    return true;
  }
}
