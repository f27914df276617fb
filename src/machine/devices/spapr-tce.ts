import type { Device, DeviceState } from '../device.ts';
import { savedPart } from '../device.ts';
import { MachineError } from '../error.ts';
import { H_PARAMETER, H_SUCCESS, type Hypercall, type HypercallArguments } from '../hypercalls.ts';

/** An entry: real page number, and what devices may do there (LoPAPR 1.1, section 14.5.4.2). */
export const TCE_READ = 1;
export const TCE_WRITE = 2;
const PAGE_BYTES = 4096;
const TWO_32 = 2 ** 32;
/** Entries of H_PUT_TCE_INDIRECT's list: a page of them. */
const MOST_INDIRECT = 512;
/** Entries that come into being together: what no guest has touched takes no room. */
const BLOCK_ENTRIES = 4096;

/**
 * Translation control entries: what a partition's devices see of its memory. A table, by its logical I/O bus number, has an
 * entry for each 4-KB page of a window of bus addresses from 0.
 */
export class TceTable {
  readonly entries: number;
  /** Blocks of low and high words. */
  readonly #blocks: (Uint32Array | undefined)[];

  constructor(bytes: number) {
    this.entries = bytes / PAGE_BYTES;
    this.#blocks = new Array(Math.ceil(this.entries / BLOCK_ENTRIES)).fill(undefined);
  }

  set(index: number, high: number, low: number): void {
    const number = Math.floor(index / BLOCK_ENTRIES);
    let block = this.#blocks[number];
    if (block === undefined) {
      if (high === 0 && low === 0) return;
      this.#blocks[number] = block = new Uint32Array(2 * BLOCK_ENTRIES);
    }
    const at = 2 * (index % BLOCK_ENTRIES);
    block[at] = low;
    block[at + 1] = high;
  }

  low(index: number): number {
    return this.#blocks[Math.floor(index / BLOCK_ENTRIES)]?.[2 * (index % BLOCK_ENTRIES)] ?? 0;
  }

  high(index: number): number {
    return this.#blocks[Math.floor(index / BLOCK_ENTRIES)]?.[2 * (index % BLOCK_ENTRIES) + 1] ?? 0;
  }

  /** Guest physical address of a bus address, for an access that does not cross a page; -1: devices may not. */
  translate(address: number, access: number): number {
    const index = Math.floor(address / PAGE_BYTES);
    if (!(index >= 0 && index < this.entries)) return -1;
    const low = this.low(index);
    if ((low & access) !== access) return -1;
    return this.high(index) * TWO_32 + ((low & ~(PAGE_BYTES - 1)) >>> 0) + (address % PAGE_BYTES);
  }

  clear(): void {
    this.#blocks.fill(undefined);
  }

  save(): DeviceState {
    return Object.fromEntries(
      this.#blocks.flatMap((block, i) => (block?.some((word) => word !== 0) ? [[String(i), Array.from(block)]] : [])),
    );
  }

  restore(state: DeviceState): void {
    this.clear();
    this.#blocks.forEach((_, i) => {
      const words: unknown = Object.hasOwn(state, String(i)) ? state[String(i)] : undefined;
      if (words === undefined) return;
      const isBlock = Array.isArray(words) && words.length === 2 * BLOCK_ENTRIES && words.every(isWord);
      if (!isBlock) throw new MachineError('the saved state has a block of TCEs that is none');
      this.#blocks[i] = Uint32Array.from(words as number[]);
    });
  }
}

const isWord = (value: unknown): boolean => Number.isInteger(value) && (value as number) >>> 0 === value;

/**
 * The hypercalls that fill a bridge's table. A device that accesses memory behind it asks `table.translate`; virtio's do not, as
 * they do not offer ACCESS_PLATFORM.
 */
export class SpaprTce implements Device {
  readonly hypercalls: readonly Hypercall[] = [
    { number: 0x1c, name: 'H_GET_TCE', call: (args) => this.#get(args) },
    { number: 0x20, name: 'H_PUT_TCE', call: (args) => this.#put(args) },
    { number: 0x138, name: 'H_STUFF_TCE', call: (args) => this.#stuff(args) },
    { number: 0x13c, name: 'H_PUT_TCE_INDIRECT', call: (args) => this.#putIndirect(args) },
  ];
  readonly table: TceTable;
  readonly #liobn: number;
  readonly #read64: (address: number) => readonly [high: number, low: number] | undefined;

  /** `read64`: a big-endian doubleword of the guest's memory. */
  constructor(liobn: number, bytes: number, read64: (address: number) => readonly [number, number] | undefined) {
    this.table = new TceTable(bytes);
    this.#liobn = liobn;
    this.#read64 = read64;
  }

  /** Index of the first of `count` entries that arguments 0 and 1 name; -1: there are none. */
  #index(args: HypercallArguments, count: number): number {
    const address = args.number(1);
    const index = Math.floor(address / PAGE_BYTES);
    if (args.number(0) !== this.#liobn || !(index + count <= this.table.entries)) return -1;
    return index;
  }

  #get(args: HypercallArguments): number {
    const index = this.#index(args, 1);
    if (index < 0) return H_PARAMETER;
    args.set(0, this.table.high(index), this.table.low(index));
    return H_SUCCESS;
  }

  #put(args: HypercallArguments): number {
    const index = this.#index(args, 1);
    if (index < 0) return H_PARAMETER;
    this.table.set(index, args.high(2), args.low(2));
    return H_SUCCESS;
  }

  #stuff(args: HypercallArguments): number {
    const count = args.number(3);
    if (!(count <= this.table.entries)) return H_PARAMETER;
    const index = this.#index(args, count);
    if (index < 0) return H_PARAMETER;
    const [high, low] = [args.high(2), args.low(2)];
    for (let i = 0; i < count; i++) this.table.set(index + i, high, low);
    return H_SUCCESS;
  }

  #putIndirect(args: HypercallArguments): number {
    const list = args.number(2);
    const count = args.number(3);
    if (!(count <= MOST_INDIRECT) || !(list % PAGE_BYTES === 0)) return H_PARAMETER;
    const index = this.#index(args, count);
    if (index < 0) return H_PARAMETER;
    for (let i = 0; i < count; i++) {
      const entry = this.#read64(list + 8 * i);
      if (entry === undefined) return H_PARAMETER;
      this.table.set(index + i, entry[0], entry[1]);
    }
    return H_SUCCESS;
  }

  reset(): void {
    this.table.clear();
  }

  save(): DeviceState {
    return { table: this.table.save() };
  }

  restore(state: DeviceState): void {
    this.table.restore(savedPart(state, 'table'));
  }
}
