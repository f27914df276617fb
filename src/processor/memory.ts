/**
 * The one accessor for a machine's memory.
 *
 * WebAssembly loads and stores are little-endian. A big-endian machine's RAM is therefore kept *word-reversed*:
 * the byte at real address `a` stands at offset `a ^ 3` (`a ^ 7` for machines with 64-bit registers), so that an
 * aligned word access by generated code needs no byte swap. A little-endian machine's RAM is kept as it is.
 * Nothing outside this file and the code generator's access helpers knows the order.
 */

import { type ByteTurner, createByteTurner } from './byte-turner.ts';

/** How RAM is stored: `natural`, or reversed within aligned 4-byte or 8-byte units. The number is the XOR of byte addresses. */
export type MemoryOrder = 0 | 3 | 7;

declare global {
  /** The names alone, for programs that know neither the DOM's types nor others that declare them; they merge with those. */
  namespace WebAssembly {
    interface Memory {}
    interface Module {}
    interface Instance {}
  }
}

/** From so many bytes on, generated code turns them round. */
const TURNER_BYTES = 65536;

/** WebAssembly's page, the unit in which memory is created. */
export const WASM_PAGE_BYTES = 65536;

/**
 * Host real memory: a WebAssembly memory plus its storage order. Addresses are *host real addresses*, byte offsets into
 * the WebAssembly memory. Multi-byte accesses have the guest's byte order and need no alignment.
 * Out-of-range addresses throw RangeError: callers check guest-supplied addresses first (`GuestMemory` does).
 */
export class HostMemory {
  readonly wasm: WebAssembly.Memory;
  readonly order: MemoryOrder;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly byteLength: number;
  #turn: ByteTurner | undefined;

  constructor(wasm: WebAssembly.Memory, order: MemoryOrder) {
    this.wasm = wasm;
    this.order = order;
    this.u8 = new Uint8Array(wasm.buffer);
    this.u32 = new Uint32Array(wasm.buffer);
    this.i32 = new Int32Array(wasm.buffer);
    this.byteLength = wasm.buffer.byteLength;
  }

  /** Creates a shared memory of at least `bytes` bytes. The host's pages are only taken when they are touched. */
  static create(bytes: number, order: MemoryOrder): HostMemory {
    const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
    return new HostMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }), order);
  }

  get littleEndian(): boolean {
    return this.order === 0;
  }

  #check(address: number, bytes: number): void {
    if (!(address >= 0 && address + bytes <= this.byteLength))
      throw new RangeError(`host real address ${address.toString(16)} is outside of memory`);
  }

  read8(address: number): number {
    this.#check(address, 1);
    return this.u8[(address ^ this.order) >>> 0] as number;
  }

  write8(address: number, value: number): void {
    this.#check(address, 1);
    this.u8[(address ^ this.order) >>> 0] = value;
  }

  read16(address: number): number {
    const a = this.read8(address);
    const b = this.read8(address + 1);
    return this.littleEndian ? a | (b << 8) : (a << 8) | b;
  }

  write16(address: number, value: number): void {
    this.write8(address, this.littleEndian ? value : value >>> 8);
    this.write8(address + 1, this.littleEndian ? value >>> 8 : value);
  }

  /** Reads a word as an unsigned number. */
  read32(address: number): number {
    if ((address & 3) === 0 && address >= 0 && address + 4 <= this.byteLength)
      return this.u32[(this.order === 7 ? address ^ 4 : address) >>> 2] as number;
    const high = this.read16(this.littleEndian ? address + 2 : address);
    const low = this.read16(this.littleEndian ? address : address + 2);
    return (high * 0x10000 + low) >>> 0;
  }

  write32(address: number, value: number): void {
    if ((address & 3) === 0 && address >= 0 && address + 4 <= this.byteLength) {
      this.u32[(this.order === 7 ? address ^ 4 : address) >>> 2] = value;
      return;
    }
    this.write16(this.littleEndian ? address + 2 : address, value >>> 16);
    this.write16(this.littleEndian ? address : address + 2, value);
  }

  /** Reads a doubleword. Allocates a BigInt: not for hot paths. */
  read64(address: number): bigint {
    const high = this.read32(this.littleEndian ? address + 4 : address);
    const low = this.read32(this.littleEndian ? address : address + 4);
    return (BigInt(high) << 32n) | BigInt(low);
  }

  write64(address: number, value: bigint): void {
    this.write32(this.littleEndian ? address + 4 : address, Number((value >> 32n) & 0xffffffffn));
    this.write32(this.littleEndian ? address : address + 4, Number(value & 0xffffffffn));
  }

  /** Copies bytes (in address order) into memory. */
  writeBytes(address: number, bytes: Uint8Array): void {
    this.#check(address, bytes.length);
    if (this.order === 0) {
      this.u8.set(bytes, address);
      return;
    }
    const { u8, order } = this;
    let i = 0;
    const byByte = (end: number): void => {
      for (; i < end; i++) u8[((address + i) ^ order) >>> 0] = bytes[i] as number;
    };
    byByte(Math.min(bytes.length, -address & 7));
    if (bytes.length >= TURNER_BYTES) {
      const whole = (bytes.length - i) & ~7;
      u8.set(bytes.subarray(i, i + whole), address + i);
      this.#turn ??= createByteTurner(this.wasm, order === 7 ? 8 : 4);
      this.#turn(address + i, address + i + whole);
      i += whole;
    }
    // Whole words go through a view that turns them round.
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { u32 } = this;
    const swap = order === 7 ? 1 : 0;
    for (const end = bytes.length - 7; i < end; i += 8) {
      const word = (address + i) >>> 2;
      u32[word + swap] = view.getUint32(i);
      u32[word + 1 - swap] = view.getUint32(i + 4);
    }
    byByte(bytes.length);
  }

  /** Copies bytes (in address order) out of memory. */
  readBytes(address: number, length: number): Uint8Array {
    this.#check(address, length);
    const bytes = new Uint8Array(length);
    this.readInto(address, bytes);
    return bytes;
  }

  /** Fills `into` (in address order) from memory. */
  readInto(address: number, into: Uint8Array): void {
    const { length } = into;
    this.#check(address, length);
    const { u8, u32, order } = this;
    if (order === 0) {
      into.set(u8.subarray(address, address + length));
      return;
    }
    const head = Math.min(length, -address & 7);
    for (let i = 0; i < head; i++) into[i] = u8[((address + i) ^ order) >>> 0] as number;
    let i = head;
    if (length - i >= 8) {
      // Whole words go through a view that turns them round.
      const view = new DataView(into.buffer, into.byteOffset, length);
      const swap = order === 7 ? 1 : 0;
      for (const end = length - 7; i < end; i += 8) {
        const word = (address + i) >>> 2;
        view.setUint32(i, u32[word + swap] as number);
        view.setUint32(i + 4, u32[word + 1 - swap] as number);
      }
    }
    for (; i < length; i++) into[i] = u8[((address + i) ^ order) >>> 0] as number;
  }

  /** Fills with one byte value. */
  fill(address: number, length: number, value: number): void {
    this.#check(address, length);
    // Whole reversal units can be filled without looking at the order; ragged ends go byte by byte.
    let start = address;
    let end = address + length;
    while (start < end && (start & 7) !== 0) this.write8(start++, value);
    while (end > start && (end & 7) !== 0) this.write8(--end, value);
    this.u8.fill(value, start, end);
  }
}
