/** Where the disk's clusters are in the file: the L1 table, which is kept, and the L2 tables that it leads to. */
import type { ByteStore } from '../../outside/blocks.ts';
import { Gate } from '../gate.ts';
import type { ClusterSet } from './cluster-set.ts';
import { damaged } from './damage.ts';
import type { Header } from './header.ts';
import type { Refcounts, Run } from './refcounts.ts';
import { type Table, TableCache, type TableChange } from './table-cache.ts';
import { viewOf } from './words.ts';

/** L2 tables that are kept: one of 64 KiB maps 512 MiB. */
const CACHE_BYTES = 16 * 2 ** 20;

/** The upper words of entries. */
const COPIED = 0x8000_0000;
const COMPRESSED = 0x4000_0000;
const OFFSET_HIGH = 0x00ff_ffff;
/** The lower word. */
const ZERO = 1;
const OFFSET_LOW = ~511;
const COMPRESSED_UNIT = 512;

/** What an entry of L2 says of its cluster. */
export interface Entry {
  /** `unallocated`: the backing file's contents, or zeroes. */
  readonly kind: 'unallocated' | 'zero' | 'data' | 'compressed';
  /** Bytes in the file; 0: none. */
  readonly offset: number;
  /** Compressed: bytes from `offset` to the end of the last sector of it. */
  readonly length: number;
  /** Nothing else uses the cluster: it may be written in place. */
  readonly isOwn: boolean;
}

const UNALLOCATED: Entry = { kind: 'unallocated', offset: 0, length: 0, isOwn: false };

/** What the file lacks of the mapping at some moment. */
export interface MapChanges {
  readonly tables: readonly TableChange[];
  /** Bytes of L1, from the first that changed; empty: none. */
  readonly l1From: number;
  readonly l1: Uint8Array;
}

export class Mapping {
  readonly #store: ByteStore;
  readonly #header: Header;
  readonly #clusterBytes: number;
  readonly #l1: Uint8Array;
  readonly #view: DataView;
  readonly #tables: TableCache;
  readonly #mutex = new Gate(1);
  #l1From = Number.POSITIVE_INFINITY;
  #l1To = 0;
  /** Entries of a table. */
  readonly entries: number;
  /** Bytes of the disk that a table maps. */
  readonly span: number;

  private constructor(store: ByteStore, header: Header, l1: Uint8Array) {
    this.#store = store;
    this.#header = header;
    this.#clusterBytes = 2 ** header.clusterBits;
    this.#l1 = l1;
    this.#view = viewOf(l1);
    this.#tables = new TableCache(store, this.#clusterBytes, CACHE_BYTES);
    this.entries = this.#clusterBytes / 8;
    this.span = this.entries * this.#clusterBytes;
  }

  static async open(store: ByteStore, header: Header): Promise<Mapping> {
    const l1 = new Uint8Array(header.l1Size * 8);
    await store.read(header.l1Offset, l1);
    return new Mapping(store, header, l1);
  }

  /** Adds the tables' clusters to `metadata`. @throws MachineError where they overlap with others, or lie outside of the file. */
  async claim(metadata: ClusterSet): Promise<void> {
    const clusters = Math.ceil((await this.#store.size()) / this.#clusterBytes);
    const claim = (cluster: number, what: string): void => {
      if (cluster >= clusters)
        throw damaged(this.#store.name, `${what} is at cluster ${cluster}, beyond the file's end`);
      if (!metadata.add(cluster))
        throw damaged(this.#store.name, `${what} shares its cluster ${cluster} with another table`);
    };
    const first = this.#header.l1Offset / this.#clusterBytes;
    for (let i = 0; i < Math.ceil(this.#l1.length / this.#clusterBytes); i++) claim(first + i, 'its L1 table');
    for (let index = 0; index < this.#header.l1Size; index++) {
      const offset = this.#tableOffset(index);
      if (offset !== 0) claim(offset / this.#clusterBytes, `L2 table ${index}`);
    }
  }

  get isDirty(): boolean {
    return this.#tables.isDirty || this.#l1To > 0;
  }

  get isCrowded(): boolean {
    return this.#tables.isCrowded;
  }

  /** There is a table for these entries: not all of them are unallocated. */
  hasTable(index: number): boolean {
    return this.#tableOffset(index) !== 0;
  }

  /** The table of that number for reading; undefined: there is none; a promise: it has to be read. */
  tableFor(index: number): Table | undefined | Promise<Table> {
    const offset = this.#tableOffset(index);
    return offset === 0 ? undefined : (this.#tables.get(offset) ?? this.#tables.load(offset));
  }

  /** The same if it is here; undefined: it is not. */
  tableHere(index: number): Table | undefined {
    const offset = this.#tableOffset(index);
    return offset === 0 ? undefined : this.#tables.get(offset);
  }

  /** The table of that number, which may be written into; made if there is none. The caller lets it go. */
  holdTable(index: number, counts: Refcounts, free: (run: Run) => void): Promise<Table> {
    const offset = this.#tableOffset(index);
    if (offset !== 0 && this.isOwnTable(index)) return this.#tables.hold(offset);
    return this.#mutex.run(async () => {
      const old = this.#tableOffset(index);
      // Somebody else was here before.
      if (old !== 0 && this.isOwnTable(index)) return this.#tables.hold(old);
      const bytes = old === 0 ? undefined : (await this.#tables.load(old)).bytes.slice();
      const run = await counts.allocate(1, true);
      const table = this.#tables.add(run.offset, bytes);
      table.users++;
      this.#view.setUint32(index * 8, COPIED | Math.floor(run.offset / 2 ** 32));
      this.#view.setUint32(index * 8 + 4, run.offset % 2 ** 32);
      this.#l1From = Math.min(this.#l1From, index * 8);
      this.#l1To = Math.max(this.#l1To, index * 8 + 8);
      if (old !== 0) free({ offset: old, clusters: 1 });
      return table;
    });
  }

  letGo(table: Table): void {
    table.users--;
  }

  /** @throws MachineError for entries that cannot be. */
  entry(table: Table | undefined, index: number): Entry {
    if (table === undefined) return UNALLOCATED;
    const high = table.view.getUint32(index * 8);
    const low = table.view.getUint32(index * 8 + 4);
    if ((high | low) === 0) return UNALLOCATED;
    if ((high & COMPRESSED) !== 0) return this.#compressed(high, low);
    const offset = (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
    if (offset % this.#clusterBytes !== 0 || offset > Number.MAX_SAFE_INTEGER)
      throw damaged(this.#store.name, `an entry of the L2 table at ${table.offset} leads to ${offset}`);
    const isZero = (low & ZERO) !== 0 && this.#header.version === 3;
    if (offset === 0 && !isZero) return UNALLOCATED;
    return { kind: isZero ? 'zero' : 'data', offset, length: 0, isOwn: (high & COPIED) !== 0 };
  }

  /** The entry's offset if it is data that may be written in place, else -1. */
  ownOffset(table: Table, index: number): number {
    const high = table.view.getUint32(index * 8);
    const low = table.view.getUint32(index * 8 + 4);
    if ((high & (COPIED | COMPRESSED)) >>> 0 !== COPIED) return -1;
    if ((low & ZERO) !== 0 && this.#header.version === 3) return -1;
    const offset = (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
    return offset === 0 || offset % this.#clusterBytes !== 0 || offset > Number.MAX_SAFE_INTEGER ? -1 : offset;
  }

  /** The entry leads to a cluster of its own from here on; `offset` 0: to none. */
  setEntry(table: Table, index: number, offset: number, isZero: boolean): void {
    table.view.setUint32(index * 8, offset === 0 ? 0 : COPIED | Math.floor(offset / 2 ** 32));
    table.view.setUint32(index * 8 + 4, (offset % 2 ** 32) + (isZero ? ZERO : 0));
    this.#tables.touch(table, index * 8, 8);
  }

  /** The entry leads to compressed bytes from here on. */
  setCompressed(table: Table, index: number, offset: number, length: number): void {
    const sectors = Math.floor((offset + length - 1) / COMPRESSED_UNIT) - Math.floor(offset / COMPRESSED_UNIT);
    const offsetBits = 62 - (this.#header.clusterBits - 8);
    // Both fields lie in the upper word from bit 32 on, the offset's lower part below.
    const high = COMPRESSED + sectors * 2 ** (offsetBits - 32) + Math.floor(offset / 2 ** 32);
    table.view.setUint32(index * 8, high);
    table.view.setUint32(index * 8 + 4, offset % 2 ** 32);
    this.#tables.touch(table, index * 8, 8);
  }

  takeChanges(): MapChanges {
    const l1To = Math.max(this.#l1From, this.#l1To);
    const changes: MapChanges = {
      tables: this.#tables.takeChanges(),
      l1From: this.#l1From,
      l1: this.#l1To === 0 ? new Uint8Array(0) : this.#l1.slice(this.#l1From, l1To),
    };
    this.#l1From = Number.POSITIVE_INFINITY;
    this.#l1To = 0;
    return changes;
  }

  settle(changes: MapChanges, areWritten: boolean): void {
    this.#tables.settle(changes.tables, areWritten);
    if (areWritten || changes.l1.length === 0) return;
    this.#l1From = Math.min(this.#l1From, changes.l1From);
    this.#l1To = Math.max(this.#l1To, changes.l1From + changes.l1.length);
  }

  writeL1({ l1From, l1 }: MapChanges): Promise<void> {
    return this.#store.write(this.#header.l1Offset + l1From, l1);
  }

  /** Nothing else uses the table of that number: it may be written into. */
  isOwnTable(index: number): boolean {
    return (this.#view.getUint32(index * 8) & COPIED) !== 0;
  }

  #tableOffset(index: number): number {
    const low = (this.#view.getUint32(index * 8 + 4) & OFFSET_LOW) >>> 0;
    const offset = (this.#view.getUint32(index * 8) & OFFSET_HIGH) * 2 ** 32 + low;
    if (offset % this.#clusterBytes !== 0 || offset > Number.MAX_SAFE_INTEGER)
      throw damaged(this.#store.name, `entry ${index} of its L1 table leads to ${offset}`);
    return offset;
  }

  /** Below bit 62: further sectors, then the offset, which is no multiple of anything. */
  #compressed(high: number, low: number): Entry {
    const offsetBits = 62 - (this.#header.clusterBits - 8);
    const fields = high & (COMPRESSED - 1);
    const sectors = Math.floor(fields / 2 ** (offsetBits - 32));
    const offset = (fields % 2 ** (offsetBits - 32)) * 2 ** 32 + low;
    if (offset > Number.MAX_SAFE_INTEGER) throw damaged(this.#store.name, `a compressed cluster is at ${offset}`);
    const length = (sectors + 1) * COMPRESSED_UNIT - (offset % COMPRESSED_UNIT);
    return { kind: 'compressed', offset, length, isOwn: false };
  }
}
