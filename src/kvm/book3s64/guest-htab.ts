/**
 * The guest's hashed page table: in its own memory where SDR1 says, or with PAPR in KVM's. Big-endian, whatever the
 * guest's mode. Every address is checked: what is not there is not found.
 */
import type { HostMemory } from '../../processor/index.ts';
import type { HashTable } from '../family.ts';
import { FRAME_SHIFT, type MemorySlot, type MemorySlots } from '../slots.ts';

const PAGE_BYTES = 4096;
const PTEG_BYTES = 128;
/** Entries of a group. */
export const PTEG_ENTRIES = 8;
export const HPTE_BYTES = 16;
/** SDR1[HTABSIZE]: the table has 2^(11 + this) groups. */
const LARGEST_HTABSIZE = 28;
const TWO_32 = 2 ** 32;

const swap = (word: number): number => (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);

export class GuestHtab {
  readonly #slots: MemorySlots;
  readonly #words: Int32Array;
  readonly #littleEndian: boolean;
  readonly #table: HashTable;
  /** Hears of a word in guest memory that was changed. */
  readonly #onWrite: (address: number) => void;
  /** SDR1: real address, and masks of the hash, 39 bits. */
  #base = 0;
  #maskLow = 0x7ff;
  #maskHigh = 0;
  /** Where the group that was selected last stands: the slot, and the page of 4 KB. */
  #slot: MemorySlot | null = null;
  #page = 0;

  constructor(memory: HostMemory, slots: MemorySlots, table: HashTable, onWrite: (address: number) => void) {
    this.#slots = slots;
    this.#onWrite = onWrite;
    this.#words = memory.i32;
    this.#littleEndian = memory.littleEndian;
    this.#table = table;
  }

  /** SDR1: HTABORG in bits 2:45, HTABSIZE in bits 59:63. */
  setSdr1(low: number, high: number): void {
    const size = Math.min(low & 0x1f, LARGEST_HTABSIZE);
    this.#base = (high & 0x0fff_ffff) * TWO_32 + ((low & 0xfffc_0000) >>> 0);
    this.#maskLow = 11 + size >= 32 ? -1 : (1 << (11 + size)) - 1;
    this.#maskHigh = 11 + size > 32 ? (1 << (size - 21)) - 1 : 0;
  }

  /** Host real address of the group that a hash selects, or -1 when there is no memory. */
  group(hashLow: number, hashHigh: number): number {
    const { log2Bytes, address } = this.#table;
    if (log2Bytes > 0) return address + (hashLow & ((1 << (log2Bytes - 7)) - 1)) * PTEG_BYTES;
    const index = (hashHigh & this.#maskHigh) * TWO_32 + ((hashLow & this.#maskLow) >>> 0);
    const group = this.#base + index * PTEG_BYTES;
    this.#slot = this.#slots.find(Math.floor(group / 2 ** FRAME_SHIFT));
    this.#page = Math.floor(group / PAGE_BYTES);
    return this.#slots.hostAddress(group, PTEG_BYTES);
  }

  /** Groups of the table. */
  get groups(): number {
    const { log2Bytes } = this.#table;
    return log2Bytes > 0
      ? 2 ** (log2Bytes - 7)
      : (this.#maskHigh + (this.#maskLow === -1 ? 1 : 0)) * TWO_32 + (this.#maskLow === -1 ? 0 : this.#maskLow + 1);
  }

  /** Host real address of an entry of KVM's table by PAPR's index, or -1. */
  entry(indexLow: number, indexHigh: number): number {
    const { log2Bytes, address } = this.#table;
    const index = indexLow >>> 0;
    if (indexHigh !== 0 || log2Bytes === 0 || index >= 2 ** (log2Bytes - 4)) return -1;
    return address + index * HPTE_BYTES;
  }

  /** A word of an entry, by host real address. */
  read(address: number): number {
    if (this.#littleEndian) return swap(this.#words[address >>> 2] as number);
    return this.#words[(address ^ 4) >>> 2] as number;
  }

  write(address: number, value: number): void {
    if (this.#littleEndian) this.#words[address >>> 2] = swap(value);
    else this.#words[(address ^ 4) >>> 2] = value;
  }

  /** R or C is set by a translation in the group that was selected last; a table in read-only memory stays as it is. */
  update(address: number, value: number): void {
    const slot = this.#table.log2Bytes > 0 ? null : this.#slot;
    if (slot?.readonly === true) return;
    this.write(address, value);
    if (slot === null) return;
    slot.markDirty(this.#page);
    this.#onWrite(address);
  }
}
