import type { HostMemory } from '../processor/index.ts';
import { type GuestMemory, KvmError, type MemoryRegion } from './api.ts';

/** Slots begin and end on pages of 4 KB. */
const PAGE_BYTES = 4096;
/** KVM counts guest and host addresses in frames of 1 KB, the 440's smallest page: 36-bit addresses stay small integers. */
export const FRAME_SHIFT = 10;
const FRAME_BYTES = 1 << FRAME_SHIFT;
export const PHYSICAL_ADDRESS_LIMIT = 2 ** 36;
const LARGEST_PAGE_BYTES = 2 ** 28;

/** Frames of a page of 4 KB, of which the dirty log has a bit. */
export const PAGE_FRAMES = PAGE_BYTES / FRAME_BYTES;

/** A memory slot, in frames. `MemorySlots` moves it. */
export class MemorySlot {
  readonly slot: number;
  firstFrame: number;
  endFrame: number;
  /** Host real frame minus guest frame. */
  delta: number;
  readonly readonly: boolean;
  /** The dirty log: a bit for each page of 4 KB; null: none is kept. */
  #dirty: Uint8Array | null = null;

  constructor(slot: number, firstFrame: number, endFrame: number, delta: number, readonly: boolean, logged: boolean) {
    this.slot = slot;
    this.firstFrame = firstFrame;
    this.endFrame = endFrame;
    this.delta = delta;
    this.readonly = readonly;
    this.log(logged);
  }

  /** A dirty log is kept. */
  get logged(): boolean {
    return this.#dirty !== null;
  }

  /** Begins a dirty log, or gives it up; one that is kept goes on. */
  log(logged: boolean): void {
    const pages = (this.endFrame - this.firstFrame) / PAGE_FRAMES;
    this.#dirty = logged ? (this.#dirty ?? new Uint8Array(Math.ceil(pages / 8))) : null;
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

/** A stretch of host memory: real address and length, bytes. */
export interface HostArea {
  readonly address: number;
  readonly bytes: number;
}

/**
 * The memory slots of a VM and where each stands in host memory. A slot is placed so that its host real address is
 * congruent to its guest physical address modulo the largest page that fits in it: one shadow entry can then map it. One
 * that moves in the guest stays where it is in the host, and is mapped by whatever pages still fit.
 */
export class MemorySlots {
  readonly slots: MemorySlot[] = [];
  readonly #ram: HostArea;
  /** Host memory that no slot has, all zero: in the order of addresses, no two side by side. */
  #free: HostArea[];
  #last: MemorySlot | null = null;

  constructor(ramBase: number, ramBytes: number) {
    this.#ram = { address: ramBase, bytes: ramBytes };
    this.#free = [this.#ram];
  }

  /**
   * KVM_SET_USER_MEMORY_REGION: makes, moves, or with 0 bytes removes a slot, or has its dirty log begin or end. Answers the
   * host memory of a slot that was removed: it is to be cleared.
   * @throws KvmError as the reference: EINVAL when it is malformed, EEXIST when it overlaps another; ENOMEM: there is no room.
   */
  set({
    slot,
    guestPhysAddr,
    memorySize,
    readonly = false,
    logDirtyPages = false,
  }: MemoryRegion): HostArea | undefined {
    const end = guestPhysAddr + memorySize;
    const name = `memory slot ${slot} (${memorySize} bytes at 0x${guestPhysAddr.toString(16)})`;
    if (!(guestPhysAddr >= 0 && memorySize >= 0 && end <= PHYSICAL_ADDRESS_LIMIT))
      throw new KvmError(`${name} is outside of the guest's 36-bit address space`);
    if (guestPhysAddr % PAGE_BYTES !== 0 || memorySize % PAGE_BYTES !== 0)
      throw new KvmError(`${name} must begin and end on a 4096-byte page`);
    const old = this.slots.find((other) => other.slot === slot);
    if (memorySize === 0) {
      if (old === undefined) throw new KvmError(`there is no memory slot ${slot} to be removed`);
      return this.#remove(old);
    }
    const firstFrame = guestPhysAddr / FRAME_BYTES;
    const frames = memorySize / FRAME_BYTES;
    if (old !== undefined && (old.endFrame - old.firstFrame !== frames || old.readonly !== readonly))
      throw new KvmError(`${name} is there with another size, or for other accesses: it has to be removed first`);
    for (const other of this.slots)
      if (other !== old && firstFrame < other.endFrame && other.firstFrame < firstFrame + frames)
        throw new KvmError(`${name} overlaps memory slot ${other.slot}`, 'EEXIST');
    this.#last = null;
    if (old === undefined) {
      const address = this.#take(guestPhysAddr, memorySize);
      if (address === undefined)
        throw new KvmError(`${name} does not fit: the virtual machine has room for ${this.#ram.bytes} bytes`, 'ENOMEM');
      const delta = address / FRAME_BYTES - firstFrame;
      this.slots.push(new MemorySlot(slot, firstFrame, firstFrame + frames, delta, readonly, logDirtyPages));
    } else {
      old.delta += old.firstFrame - firstFrame;
      old.firstFrame = firstFrame;
      old.endFrame = firstFrame + frames;
      old.log(logDirtyPages);
    }
    return undefined;
  }

  #remove(slot: MemorySlot): HostArea {
    this.#last = null;
    this.slots.splice(this.slots.indexOf(slot), 1);
    const { firstFrame, endFrame, delta } = slot;
    const area = { address: (firstFrame + delta) * FRAME_BYTES, bytes: (endFrame - firstFrame) * FRAME_BYTES };
    const free: HostArea[] = [];
    for (const one of [...this.#free, area].sort((a, b) => a.address - b.address)) {
      const last = free.at(-1);
      if (last && last.address + last.bytes === one.address)
        free[free.length - 1] = { address: last.address, bytes: last.bytes + one.bytes };
      else free.push(one);
    }
    this.#free = free;
    return area;
  }

  /** The first free place for a slot, where it can be mapped by the largest pages. */
  #take(guestPhysAddr: number, bytes: number): number | undefined {
    let alignment = PAGE_BYTES;
    while (alignment * 4 <= bytes && alignment < LARGEST_PAGE_BYTES) alignment *= 4;
    for (const [i, free] of this.#free.entries()) {
      const misplaced = (free.address - guestPhysAddr) % alignment;
      const address = free.address + (misplaced > 0 ? alignment - misplaced : -misplaced);
      const end = address + bytes;
      if (end > free.address + free.bytes) continue;
      const rest = [
        { address: free.address, bytes: address - free.address },
        { address: end, bytes: free.address + free.bytes - end },
      ];
      this.#free.splice(i, 1, ...rest.filter((area) => area.bytes > 0));
      return address;
    }
    return undefined;
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
