import { MachineError } from '../../error.ts';
import type { ByteStore } from '../../outside/blocks.ts';
import { Gate } from '../gate.ts';
import type { ClusterSet } from './cluster-set.ts';
import { readCount, writeCount } from './counts.ts';
import { damaged } from './damage.ts';
import { FIELD, type Header } from './header.ts';
import { type Table, TableCache, type TableChange } from './table-cache.ts';
import { viewOf, writeNumber64 } from './words.ts';

/** Blocks of reference counts that are kept: one of 64 KiB counts for 2 GiB of the file. */
const CACHE_BYTES = 4 * 2 ** 20;

/** A run of clusters. */
export interface Run {
  /** Bytes. */
  readonly offset: number;
  readonly clusters: number;
}

/** A run that was free. */
export interface Allocation extends Run {
  /** The file never had anything there: it reads as zeroes. */
  readonly isFresh: boolean;
}

/** What the file lacks of the counts at some moment. */
export interface CountChanges {
  readonly blocks: readonly TableChange[];
  /** Entries of the table, first and one past the last. */
  readonly entriesFrom: number;
  readonly entriesTo: number;
}

/**
 * Reference counts: how often each cluster of the file is in use. Counts go up before anything in the file leads to a
 * cluster, and down after nothing does any more; the disk sees to the order.
 */
export class Refcounts {
  readonly #store: ByteStore;
  readonly #bits: number;
  readonly #clusterBytes: number;
  /** Clusters that a block counts. */
  readonly #perBlock: number;
  readonly #blocks: TableCache;
  /** Header and tables, which no count makes free. */
  readonly #metadata: ClusterSet;
  /** Clusters that are in use no more once the next changes are in the file. */
  readonly #free: (run: Run) => void;
  readonly #mutex = new Gate(1);
  /** Who writes tables to the file: two at once could leave the older of two states there. */
  readonly #writing: Gate;
  #table: Uint8Array;
  #view: DataView;
  #tableOffset: number;
  #entriesFrom = Number.POSITIVE_INFINITY;
  #entriesTo = 0;
  /** No cluster before it is free. */
  #search = 0;
  /** From this cluster on nothing was ever written. */
  #freshFrom: number;

  private constructor(
    store: ByteStore,
    header: Header,
    fileBytes: number,
    table: Uint8Array,
    metadata: ClusterSet,
    writing: Gate,
    free: (run: Run) => void,
  ) {
    this.#store = store;
    this.#writing = writing;
    this.#bits = header.refcountBits;
    this.#clusterBytes = 2 ** header.clusterBits;
    this.#perBlock = (this.#clusterBytes * 8) / this.#bits;
    this.#blocks = new TableCache(store, this.#clusterBytes, CACHE_BYTES);
    this.#metadata = metadata;
    this.#free = free;
    this.#table = table;
    this.#view = viewOf(table);
    this.#tableOffset = header.refcountTableOffset;
    this.#freshFrom = Math.ceil(fileBytes / this.#clusterBytes);
  }

  /** Adds its own clusters to `metadata`. @throws MachineError when they overlap with others. */
  static async open(
    store: ByteStore,
    header: Header,
    metadata: ClusterSet,
    writing: Gate,
    free: (run: Run) => void,
  ): Promise<Refcounts> {
    const clusterBytes = 2 ** header.clusterBits;
    const table = new Uint8Array(header.refcountTableClusters * clusterBytes);
    await store.read(header.refcountTableOffset, table);
    const counts = new Refcounts(store, header, await store.size(), table, metadata, writing, free);
    const first = header.refcountTableOffset / clusterBytes;
    const claim = (cluster: number, what: string): void => {
      if (!metadata.add(cluster)) throw damaged(store.name, `${what} shares its cluster ${cluster} with another table`);
    };
    for (let i = 0; i < header.refcountTableClusters; i++) claim(first + i, 'its refcount table');
    for (let block = 0; block < table.length / 8; block++) {
      const offset = counts.#blockOffset(block);
      if (offset !== 0) claim(offset / clusterBytes, `refcount block ${block}`);
    }
    return counts;
  }

  get isDirty(): boolean {
    return this.#blocks.isDirty || this.#entriesTo > 0;
  }

  get isCrowded(): boolean {
    return this.#blocks.isCrowded;
  }

  /**
   * Takes between one and `clusters` clusters that follow each other, and counts them once. `isMetadata`: a table is to be
   * there.
   */
  allocate(clusters: number, isMetadata = false): Promise<Allocation> {
    return this.#mutex.run(() => this.#allocate(clusters, isMetadata));
  }

  /** Counts each cluster of the run down; those that nobody uses any more can be had again. */
  release(run: Run): Promise<void> {
    return this.#mutex.run(async () => {
      const first = run.offset / this.#clusterBytes;
      for (let cluster = first; cluster < first + run.clusters; cluster++) {
        const offset = this.#blockOffset(Math.floor(cluster / this.#perBlock));
        const block = offset === 0 ? undefined : (this.#blocks.get(offset) ?? (await this.#blocks.load(offset)));
        const index = cluster % this.#perBlock;
        const count = block === undefined ? 0 : readCount(block.bytes, index, this.#bits);
        // A damaged image may count less than there is: nothing is made of it.
        if (block === undefined || count === 0) continue;
        this.#set(block, index, count - 1);
        if (count > 1) continue;
        this.#metadata.delete(cluster);
        this.#search = Math.min(this.#search, cluster);
      }
    });
  }

  /** Counts a cluster that is in use once more. False: it cannot be counted any higher. */
  addReference(offset: number): Promise<boolean> {
    return this.#mutex.run(async () => {
      const cluster = offset / this.#clusterBytes;
      const block = await this.#blocks.load(this.#blockOffset(Math.floor(cluster / this.#perBlock)));
      const index = cluster % this.#perBlock;
      const count = readCount(block.bytes, index, this.#bits);
      if (count === 2 ** this.#bits - 1) return false;
      this.#set(block, index, count + 1);
      return true;
    });
  }

  takeChanges(): CountChanges {
    const changes = { blocks: this.#blocks.takeChanges(), entriesFrom: this.#entriesFrom, entriesTo: this.#entriesTo };
    this.#entriesFrom = Number.POSITIVE_INFINITY;
    this.#entriesTo = 0;
    return changes;
  }

  settle(changes: CountChanges, areWritten: boolean): void {
    this.#blocks.settle(changes.blocks, areWritten);
    if (areWritten || changes.entriesTo === 0) return;
    this.#entriesFrom = Math.min(this.#entriesFrom, changes.entriesFrom);
    this.#entriesTo = Math.max(this.#entriesTo, changes.entriesTo);
  }

  /** Writes entries of the table that lead to new blocks, which are in the file by now. */
  writeEntries({ entriesFrom, entriesTo }: CountChanges): Promise<void> {
    return this.#store.write(this.#tableOffset + entriesFrom * 8, this.#table.slice(entriesFrom * 8, entriesTo * 8));
  }

  #blockOffset(block: number): number {
    if ((block + 1) * 8 > this.#table.length) return 0;
    const high = this.#view.getUint32(block * 8);
    const low = this.#view.getUint32(block * 8 + 4) & ~511;
    const offset = high * 2 ** 32 + (low >>> 0);
    if (offset % this.#clusterBytes !== 0 || offset > Number.MAX_SAFE_INTEGER)
      throw damaged(this.#store.name, `refcount block ${block} is at ${offset}`);
    return offset;
  }

  #set(block: Table, index: number, count: number): void {
    writeCount(block.bytes, index, this.#bits, count);
    this.#blocks.touch(block, Math.floor((index * this.#bits) / 8), Math.ceil(this.#bits / 8));
  }

  async #allocate(wanted: number, isMetadata: boolean): Promise<Allocation> {
    for (;;) {
      const number = Math.floor(this.#search / this.#perBlock);
      if (number * 8 >= this.#table.length) {
        await this.#writing.run(() => this.#growTable());
        continue;
      }
      const offset = this.#blockOffset(number);
      const block =
        offset === 0 ? this.#addBlock(number) : (this.#blocks.get(offset) ?? (await this.#blocks.load(offset)));
      let index = this.#search % this.#perBlock;
      const isFree = (at: number): boolean =>
        readCount(block.bytes, at, this.#bits) === 0 && !this.#metadata.has(number * this.#perBlock + at);
      while (index < this.#perBlock && !isFree(index)) index++;
      const first = index;
      while (index < this.#perBlock && index - first < wanted && isFree(index)) this.#set(block, index++, 1);
      this.#search = number * this.#perBlock + index;
      if (index === first) continue;
      const cluster = number * this.#perBlock + first;
      if (isMetadata) for (let i = 0; i < index - first; i++) this.#metadata.add(cluster + i);
      const isFresh = cluster >= this.#freshFrom;
      this.#freshFrom = Math.max(this.#freshFrom, this.#search);
      return { offset: cluster * this.#clusterBytes, clusters: index - first, isFresh };
    }
  }

  /** A block for clusters none of which is counted; it is the first of them itself. */
  #addBlock(number: number): Table {
    let index = 0;
    while (index < this.#perBlock && this.#metadata.has(number * this.#perBlock + index)) index++;
    const cluster = number * this.#perBlock + index;
    if (index === this.#perBlock || !this.#metadata.add(cluster))
      throw damaged(this.#store.name, `clusters from ${number * this.#perBlock} on have no reference counts`);
    const block = this.#blocks.add(cluster * this.#clusterBytes);
    this.#freshFrom = Math.max(this.#freshFrom, cluster + 1);
    this.#set(block, index, 1);
    writeNumber64(this.#view, number * 8, block.offset);
    this.#entriesFrom = Math.min(this.#entriesFrom, number);
    this.#entriesTo = Math.max(this.#entriesTo, number + 1);
    return block;
  }

  /**
   * All entries of the table are in use: a larger one is written behind what the old one counts, with the blocks that
   * count it; then the header leads to it. The header's two fields lie in one sector.
   */
  async #growTable(): Promise<void> {
    const size = this.#clusterBytes;
    const oldEntries = this.#table.length / 8;
    const first = oldEntries * this.#perBlock;
    if ((first + 1) * size > Number.MAX_SAFE_INTEGER)
      throw new MachineError(`the disk image '${this.#store.name}' is full`);
    let blocks = 1;
    let tableClusters = 0;
    for (;;) {
      tableClusters = Math.ceil((Math.max(oldEntries * 1.5, oldEntries + blocks) * 8) / size);
      const needed = Math.ceil((tableClusters + blocks) / this.#perBlock);
      if (needed <= blocks) break;
      blocks = needed;
    }
    const table = new Uint8Array(tableClusters * size);
    table.set(this.#table);
    const view = viewOf(table);
    const tableOffset = first * size;
    const used = tableClusters + blocks;
    for (let i = 0; i < used; i++)
      if (this.#metadata.has(first + i)) throw damaged(this.#store.name, `cluster ${first + i} has no reference count`);
    const added: number[] = [];
    for (let i = 0; i < blocks; i++) {
      const cluster = first + tableClusters + i;
      const block = this.#blocks.add(cluster * size);
      added.push(block.offset);
      for (let index = 0; index < Math.min(this.#perBlock, used - i * this.#perBlock); index++)
        this.#set(block, index, 1);
      writeNumber64(view, (oldEntries + i) * 8, block.offset);
    }
    for (let i = 0; i < used; i++) this.#metadata.add(first + i);
    this.#freshFrom = Math.max(this.#freshFrom, first + used);
    // The new table leads to all blocks at once, so all have to be in the file.
    const changes = this.takeChanges();
    let areWritten = false;
    try {
      for (const { table: block, from, bytes } of changes.blocks) await this.#store.write(block.offset + from, bytes);
      await this.#store.write(tableOffset, table);
      await this.#store.flush();
      const fields = new Uint8Array(12);
      writeNumber64(viewOf(fields), 0, tableOffset);
      viewOf(fields).setUint32(8, tableClusters);
      await this.#store.write(FIELD.refcountTableOffset, fields);
      await this.#store.flush();
      areWritten = true;
    } finally {
      this.settle(changes, areWritten);
      if (!areWritten) {
        for (const offset of added) this.#blocks.forget(offset);
        for (let i = 0; i < used; i++) this.#metadata.delete(first + i);
      }
    }
    this.#free({ offset: this.#tableOffset, clusters: (oldEntries * 8) / size });
    this.#table = table;
    this.#view = view;
    this.#tableOffset = tableOffset;
  }
}
