import { MachineError } from '../../error.ts';
import type { BlockStore, ByteStore } from '../../outside/blocks.ts';
import type { DiskCodecs } from '../codecs.ts';
import { Gate, Together } from '../gate.ts';
import { ZEROES } from '../zeroes.ts';
import { ClusterSet } from './cluster-set.ts';
import { CompressedClusters } from './compressed.ts';
import { damaged } from './damage.ts';
import { FIELD, type Header } from './header.ts';
import { type Entry, Mapping } from './mapping.ts';
import { Refcounts, type Run } from './refcounts.ts';
import { Requests } from './requests.ts';
import type { Table } from './table-cache.ts';

/** So many runs that wait to be free are reason enough to write the tables. */
const MAX_FREED_RUNS = 4096;

/** A stretch of the disk, and where its contents are. */
export interface Extent {
  /** `backing`: what the backing file has there; zeroes if there is none. */
  readonly kind: 'data' | 'zero' | 'compressed' | 'backing';
  readonly length: number;
}

/** What a disk needs besides its file. */
export interface Qcow2Parts {
  readonly store: ByteStore;
  readonly header: Header;
  readonly codecs: DiskCodecs;
  readonly backing: BlockStore | undefined;
  readonly readOnly: boolean;
}

/**
 * A disk in a qcow2 image. Data are written where they belong at once; the tables are changed in memory and written when the
 * guest flushes, or when many of them changed. What leads to a cluster is written only after what it leads to, and a cluster
 * becomes free only after nothing in the file leads to it: a loss of power at any moment leaves an image that is right up to
 * the last flush at least, and perhaps counts clusters that nobody uses.
 */
export class Qcow2Disk implements BlockStore {
  readonly name: string;
  readonly size: number;
  readonly readOnly: boolean;
  readonly clusterBytes: number;
  readonly #store: ByteStore;
  readonly #backing: BlockStore | undefined;
  readonly #hasZeroFlag: boolean;
  readonly #mapping: Mapping;
  readonly #compressed: CompressedClusters;
  /** Undefined: it is read only. */
  #counts: Refcounts | undefined;
  readonly #metadata = new ClusterSet();
  readonly #requests = new Requests();
  /** Clusters of the disk whose place in the file is changing. */
  readonly #busy = new Map<number, Promise<void>>();
  readonly #writing = new Gate(1);
  /** Runs that nothing leads to any more once the tables are written. */
  #freed: Run[] = [];
  readonly #releasing = new Set<Promise<void>>();
  #nextCommit: Promise<void> | undefined;
  #lastCommit: Promise<void> = Promise.resolve();
  /** Where the next compressed cluster goes, and the end of what was taken for it; bytes. */
  #tail = 0;
  #tailEnd = 0;

  private constructor(parts: Qcow2Parts, mapping: Mapping) {
    this.#store = parts.store;
    this.#backing = parts.backing;
    this.name = parts.store.name;
    this.size = parts.header.size;
    this.readOnly = parts.readOnly;
    this.clusterBytes = 2 ** parts.header.clusterBits;
    this.#hasZeroFlag = parts.header.version === 3;
    this.#mapping = mapping;
    this.#compressed = new CompressedClusters(parts.store, parts.header, parts.codecs);
  }

  /** @throws MachineError when its tables are damaged. */
  static async open(parts: Qcow2Parts): Promise<Qcow2Disk> {
    const { store, header } = parts;
    const disk = new Qcow2Disk(parts, await Mapping.open(store, header));
    if (!parts.readOnly) await disk.#openForWriting(header);
    return disk;
  }

  async #openForWriting(header: Header): Promise<void> {
    if (header.isCorrupt) throw damaged(this.name, 'it is marked as corrupt, and can only be read');
    if (header.isDirty)
      throw new MachineError(
        `the disk image '${this.name}' was not closed: 'powervisor image check -r all' makes its reference counts right`,
      );
    this.#metadata.add(0);
    await this.#mapping.claim(this.#metadata);
    const free = (run: Run): void => this.#free(run.offset, run.clusters);
    this.#counts = await Refcounts.open(this.#store, header, this.#metadata, this.#writing, free);
    // Bits of features that would not be kept up to date here.
    if (header.hasAutoclear) await this.#store.write(FIELD.autoclear, new Uint8Array(8));
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const cohort = this.#requests.enter();
    try {
      const together = new Together();
      await together.start(() => this.#read(offset, into, together));
    } finally {
      this.#requests.leave(cohort);
    }
  }

  /** What needs no table that is not here, and lies in the file as it is. */
  readNow(offset: number, into: Uint8Array): boolean {
    for (let done = 0; done < into.length; ) {
      const at = offset + done;
      const { kind, host, length } = this.#stretchHere(at, into.length - done);
      const piece = into.subarray(done, done + length);
      if (kind === 'data') {
        const count = this.#store.readNow?.(host, piece) ?? -1;
        if (count < 0) return false;
        if (count < length) piece.fill(0, count);
      } else if (kind === 'backing') {
        if (!readPaddedNow(this.#backing, at, piece)) return false;
      } else if (kind === 'zero') piece.fill(0);
      else return false;
      done += length;
    }
    return true;
  }

  /** Into clusters that it has already. */
  writeNow(offset: number, bytes: Uint8Array): boolean {
    if (this.#counts === undefined || this.#store.writeNow === undefined) return false;
    const size = this.clusterBytes;
    const { entries } = this.#mapping;
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const first = Math.floor(at / size);
      const number = Math.floor(first / entries);
      const table = this.#mapping.tableHere(number);
      if (table === undefined || !this.#mapping.isOwnTable(number)) return false;
      const index = first - number * entries;
      const host = this.#mapping.ownOffset(table, index);
      let count = 0;
      for (let end = -(at % size); end < bytes.length - done && index + count < entries; end += size, count++) {
        const next = this.#mapping.ownOffset(table, index + count);
        if (next < 0 || this.#busy.has(first + count)) return false;
        if (next !== host + count * size) break;
        this.#checkData(next);
      }
      const piece = bytes.subarray(done, done + count * size - (at % size));
      if (!this.#store.writeNow(host + (at % size), piece)) return false;
      done += piece.length;
    }
    return true;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const cohort = this.#requests.enter();
    try {
      const together = new Together();
      await together.start(() => this.#write(offset, bytes, together));
    } finally {
      this.#requests.leave(cohort);
    }
  }

  async writeZeroes(offset: number, length: number, mayDiscard: boolean): Promise<void> {
    const cohort = this.#requests.enter();
    try {
      await this.#clear(offset, length, mayDiscard ? 'zero' : 'keep');
    } finally {
      this.#requests.leave(cohort);
    }
  }

  async discard(offset: number, length: number): Promise<void> {
    const cohort = this.#requests.enter();
    try {
      await this.#clear(offset, length, 'discard');
    } finally {
      this.#requests.leave(cohort);
    }
  }

  /** Requests that come together have one flush. */
  flush(): Promise<void> {
    // One that is under way may have begun before the caller's writes were done.
    this.#nextCommit ??= this.#lastCommit.then(() => {
      this.#nextCommit = undefined;
      const commit = this.#writing.run(() => this.#commit());
      this.#lastCommit = commit.catch(() => {});
      return commit;
    });
    return this.#nextCommit;
  }

  async close(): Promise<void> {
    try {
      await this.#requests.ended();
      if (this.#counts === undefined) return;
      do {
        await this.flush();
        await Promise.all(this.#releasing);
      } while (this.#mapping.isDirty || this.#counts.isDirty || this.#freed.length > 0);
    } finally {
      await this.#store.close().finally(() => this.#backing?.close());
    }
  }

  /** Where the bytes from `at` on are, as far as neighbours are alike; `elsewhere`: that has to be read first. */
  #stretchHere(at: number, most: number): { kind: Extent['kind'] | 'elsewhere'; host: number; length: number } {
    const { span, entries } = this.#mapping;
    const number = Math.floor(at / span);
    if (!this.#mapping.hasTable(number))
      return { kind: 'backing', host: 0, length: Math.min(most, (number + 1) * span - at) };
    const table = this.#mapping.tableHere(number);
    if (table === undefined) return { kind: 'elsewhere', host: 0, length: most };
    const index = Math.floor((at % span) / this.clusterBytes);
    const within = at % this.clusterBytes;
    const first = this.#mapping.entry(table, index);
    let length = this.clusterBytes - within;
    for (let i = index + 1; length < most && i < entries; i++, length += this.clusterBytes) {
      const { kind, offset } = this.#mapping.entry(table, i);
      if (kind !== first.kind || (kind === 'data' && offset !== first.offset + (i - index) * this.clusterBytes)) break;
    }
    return { kind: kindOf(first), host: first.offset + within, length: Math.min(length, most) };
  }

  /** The stretch that begins at `offset`, of at most `length` bytes; so long at least as to the end of its cluster. */
  async extent(offset: number, length: number): Promise<Extent> {
    const number = Math.floor(offset / this.#mapping.span);
    const table = await this.#mapping.tableFor(number);
    const inTable = Math.min(length, (number + 1) * this.#mapping.span - offset);
    if (table === undefined) return { kind: 'backing', length: inTable };
    const first = Math.floor((offset % this.#mapping.span) / this.clusterBytes);
    const kind = kindOf(this.#mapping.entry(table, first));
    let end = first + 1;
    while (end < this.#mapping.entries && kindOf(this.#mapping.entry(table, end)) === kind) end++;
    const bytes = end * this.clusterBytes - (offset % this.#mapping.span);
    return { kind, length: Math.min(bytes, inTable) };
  }

  /** Bytes from `offset` on that are zeroes without a look at them. */
  async zeroesFrom(offset: number): Promise<number> {
    let at = offset;
    while (at < this.size) {
      const { kind, length } = await this.extent(at, this.size - at);
      if (kind !== 'zero' && (kind !== 'backing' || at < (this.#backing?.size ?? 0))) break;
      at += length;
    }
    return at - offset;
  }

  /**
   * Puts a cluster that has no place yet into the file, as it was compressed: fewer bytes than it has. For images that are
   * being made, one after the other.
   */
  async writeCompressed(offset: number, bytes: Uint8Array): Promise<void> {
    const counts = this.#writable;
    if (this.#isCrowded) await this.flush();
    const table = await this.#holdTable(Math.floor(offset / this.#mapping.span));
    try {
      // A cluster that others have begun counts once more, if it can.
      const shared = Math.floor(this.#tail / this.clusterBytes) * this.clusterBytes;
      if (this.#tail !== this.#tailEnd && !(await counts.addReference(shared))) this.#tail = this.#tailEnd;
      let isShared = this.#tail !== this.#tailEnd;
      while (this.#tailEnd - this.#tail < bytes.length) {
        const { offset: next } = await counts.allocate(1);
        if (next !== this.#tailEnd) {
          if (isShared) await counts.release({ offset: shared, clusters: 1 });
          isShared = false;
          this.#tail = next;
        }
        this.#tailEnd = next + this.clusterBytes;
      }
      await this.#store.write(this.#tail, bytes);
      const index = Math.floor((offset % this.#mapping.span) / this.clusterBytes);
      this.#mapping.setCompressed(table, index, this.#tail, bytes.length);
      this.#tail += bytes.length;
    } finally {
      this.#mapping.letGo(table);
    }
  }

  async #read(offset: number, into: Uint8Array, together: Together): Promise<void> {
    const { span, entries } = this.#mapping;
    for (let done = 0; done < into.length; ) {
      const at = offset + done;
      const number = Math.floor(at / span);
      const found = this.#mapping.tableFor(number);
      const table = found instanceof Promise ? await found : found;
      const within = at % this.clusterBytes;
      const left = into.length - done;
      let index = Math.floor((at % span) / this.clusterBytes);
      const first = this.#mapping.entry(table, index);
      let length = table === undefined ? (number + 1) * span - at : this.clusterBytes - within;
      // Neighbours that are read alike come with it.
      if (table !== undefined && first.kind !== 'compressed')
        for (let next = first.offset; length < left && ++index < entries; length += this.clusterBytes) {
          const entry = this.#mapping.entry(table, index);
          next += this.clusterBytes;
          if (entry.kind !== first.kind || (entry.kind === 'data' && entry.offset !== next)) break;
        }
      const piece = into.subarray(done, done + Math.min(length, left));
      switch (first.kind) {
        case 'data':
          together.add(this.#readFile(first.offset + within, piece));
          break;
        case 'compressed':
          together.add(this.#readCompressed(first, within, piece));
          break;
        case 'zero':
          piece.fill(0);
          break;
        default:
          if (this.#backing) together.add(readPadded(this.#backing, at, piece));
          else piece.fill(0);
      }
      done += piece.length;
    }
  }

  /** What lies beyond the file's end is zeroes. */
  async #readFile(offset: number, into: Uint8Array): Promise<void> {
    const count = await this.#store.read(offset, into);
    if (count < into.length) into.fill(0, count);
  }

  async #readCompressed(entry: Entry, within: number, into: Uint8Array): Promise<void> {
    const cluster = await this.#compressed.read(entry);
    into.set(cluster.subarray(within, within + into.length));
  }

  get #writable(): Refcounts {
    if (this.#counts === undefined) throw new MachineError(`the disk image '${this.name}' is read only`);
    return this.#counts;
  }

  #holdTable(number: number): Promise<Table> {
    return this.#mapping.holdTable(number, this.#writable, (run) => this.#free(run.offset, run.clusters));
  }

  async #write(offset: number, bytes: Uint8Array, together: Together): Promise<void> {
    const { span } = this.#mapping;
    for (let done = 0; done < bytes.length; ) {
      if (this.#isCrowded) await this.flush();
      const at = offset + done;
      const number = Math.floor(at / span);
      const table = await this.#holdTable(number);
      try {
        const end = Math.min(bytes.length, (number + 1) * span - offset);
        while (done < end) done += await this.#writeRun(table, offset + done, bytes.subarray(done, end), together);
      } finally {
        this.#mapping.letGo(table);
      }
    }
  }

  /** Writes what can be written alike from `at` on. Gives the bytes that were, or are being, written. */
  async #writeRun(table: Table, at: number, bytes: Uint8Array, together: Together): Promise<number> {
    const cluster = Math.floor(at / this.clusterBytes);
    const changing = this.#busy.get(cluster);
    if (changing) {
      await changing;
      return 0;
    }
    const within = at % this.clusterBytes;
    const firstIndex = cluster % this.#mapping.entries;
    const limit = Math.ceil((within + bytes.length) / this.clusterBytes);
    const host = this.#mapping.ownOffset(table, firstIndex);
    let count = 1;
    if (host >= 0) {
      this.#checkData(host);
      while (
        count < limit &&
        !this.#busy.has(cluster + count) &&
        this.#mapping.ownOffset(table, firstIndex + count) === host + count * this.clusterBytes
      )
        this.#checkData(host + count++ * this.clusterBytes);
      const piece = bytes.subarray(0, count * this.clusterBytes - within);
      together.add(this.#store.write(host + within, piece));
      return piece.length;
    }
    while (count < limit && !this.#busy.has(cluster + count) && this.#mapping.ownOffset(table, firstIndex + count) < 0)
      count++;
    return this.#occupied(cluster, count, () => this.#place(table, cluster, count, within, bytes));
  }

  /** A damaged entry must not have the guest write into header or tables. */
  #checkData(host: number): void {
    if (this.#metadata.has(host / this.clusterBytes))
      throw damaged(this.name, `an entry for data leads to the tables at ${host}`);
  }

  /** Others wait for these clusters until the task has ended. */
  async #occupied<T>(cluster: number, count: number, task: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>();
    for (let i = 0; i < count; i++) this.#busy.set(cluster + i, promise);
    try {
      return await task();
    } finally {
      for (let i = 0; i < count; i++) this.#busy.delete(cluster + i);
      resolve();
    }
  }

  /** Writes into new clusters, of which there may be fewer than asked for. Gives the bytes that were written. */
  async #place(table: Table, cluster: number, count: number, within: number, bytes: Uint8Array): Promise<number> {
    const counts = this.#writable;
    const size = this.clusterBytes;
    const run = await counts.allocate(count);
    const data = bytes.subarray(0, run.clusters * size - within);
    const index = cluster % this.#mapping.entries;
    try {
      const together = new Together();
      const end = within + data.length;
      await together.start(async () => {
        together.add(this.#store.write(run.offset + within, data));
        const rest = run.clusters * size - end;
        if (within > 0) together.add(this.#fillUp(table, index, cluster * size, within, run.offset, run.isFresh));
        if (rest > 0)
          together.add(
            this.#fillUp(table, index + run.clusters - 1, cluster * size + end, rest, run.offset + end, run.isFresh),
          );
      });
    } catch (error) {
      await counts.release(run);
      throw error;
    }
    for (let i = 0; i < run.clusters; i++) {
      this.#freeEntry(this.#mapping.entry(table, index + i));
      this.#mapping.setEntry(table, index + i, run.offset + i * size, false);
    }
    return data.length;
  }

  /** What stood on the disk before and behind the data of a write goes into the new cluster, too. */
  async #fillUp(
    table: Table,
    index: number,
    from: number,
    length: number,
    host: number,
    isFresh: boolean,
  ): Promise<void> {
    const { kind } = this.#mapping.entry(table, index);
    const isZero = kind === 'zero' || (kind === 'unallocated' && from >= (this.#backing?.size ?? 0));
    if (isZero && isFresh) return;
    const old = new Uint8Array(length);
    const inDisk = Math.min(length, this.size - from);
    if (!isZero && inDisk > 0) {
      const together = new Together();
      await together.start(() => this.#read(from, old.subarray(0, inDisk), together));
    }
    await this.#store.write(host, old);
  }

  #freeEntry(entry: Entry): void {
    if (entry.offset === 0) return;
    // Compressed, several may share a cluster, each of which counts.
    const first = Math.floor(entry.offset / this.clusterBytes);
    const last = Math.floor((entry.offset + Math.max(entry.length, 1) - 1) / this.clusterBytes);
    this.#free(first * this.clusterBytes, last - first + 1);
  }

  #free(offset: number, clusters: number): void {
    const last = this.#freed.at(-1);
    if (last && last.offset + last.clusters * this.clusterBytes === offset)
      this.#freed[this.#freed.length - 1] = { offset: last.offset, clusters: last.clusters + clusters };
    else this.#freed.push({ offset, clusters });
  }

  get #isCrowded(): boolean {
    return this.#mapping.isCrowded || this.#writable.isCrowded || this.#freed.length > MAX_FREED_RUNS;
  }

  /** `discard`: the contents are not needed; `zero`: it reads as zeroes; `keep`: and keeps its room. */
  async #clear(offset: number, length: number, how: 'discard' | 'zero' | 'keep'): Promise<void> {
    const size = this.clusterBytes;
    const end = offset + length;
    const first = Math.ceil(offset / size);
    // The disk may end within its last cluster.
    const last = end === this.size ? Math.ceil(end / size) : Math.floor(end / size);
    if (how !== 'discard') {
      if (first >= last) return this.#zeroPart(offset, length);
      await this.#zeroPart(offset, first * size - offset);
      await this.#zeroPart(last * size, end - last * size);
    }
    // Version 2 has no way to say that a cluster is zeroes in front of a backing file.
    if (!this.#hasZeroFlag && this.#backing) {
      if (how !== 'discard') for (let i = first; i < last; i++) await this.#zeroPart(i * size, size);
      return;
    }
    for (let cluster = first; cluster < last; ) {
      const number = Math.floor(cluster / this.#mapping.entries);
      const to = Math.min(last, (number + 1) * this.#mapping.entries);
      if ((this.#backing === undefined || how === 'discard') && !this.#mapping.hasTable(number)) {
        cluster = to;
        continue;
      }
      if (this.#isCrowded) await this.flush();
      const table = await this.#holdTable(number);
      try {
        for (; cluster < to; cluster++) {
          for (let changing = this.#busy.get(cluster); changing; changing = this.#busy.get(cluster)) await changing;
          this.#clearEntry(table, cluster, how);
        }
      } finally {
        this.#mapping.letGo(table);
      }
    }
  }

  #clearEntry(table: Table, cluster: number, how: 'discard' | 'zero' | 'keep'): void {
    const index = cluster % this.#mapping.entries;
    const entry = this.#mapping.entry(table, index);
    const hidesBacking = cluster * this.clusterBytes < (this.#backing?.size ?? 0);
    if (entry.kind === 'unallocated' && (how === 'discard' || !hidesBacking)) return;
    const stays = how === 'keep' && this.#hasZeroFlag && entry.isOwn && entry.offset !== 0;
    if (entry.kind === 'zero' && (stays || entry.offset === 0)) return;
    if (!stays) this.#freeEntry(entry);
    this.#mapping.setEntry(table, index, stays ? entry.offset : 0, stays || hidesBacking);
  }

  /** Zeroes within clusters, which are written where there is something else. */
  async #zeroPart(offset: number, length: number): Promise<void> {
    for (let at = offset, end = Math.min(offset + length, this.size); at < end; ) {
      const inCluster = Math.min(end - at, this.clusterBytes - (at % this.clusterBytes));
      const { kind } = await this.extent(at, inCluster);
      if (kind !== 'zero' && (kind !== 'backing' || at < (this.#backing?.size ?? 0)))
        for (let done = 0; done < inCluster; ) {
          const piece = ZEROES.subarray(0, Math.min(ZEROES.length, inCluster - done));
          const together = new Together();
          await together.start(() => this.#write(at + done, piece, together));
          done += piece.length;
        }
      at += inCluster;
    }
  }

  /** Writes all that the file lacks of the tables, in an order that is right at every moment. */
  async #commit(): Promise<void> {
    const counts = this.#counts;
    if (counts === undefined) return;
    // At one moment: each cluster that an entry leads to is counted, and its data were written.
    const map = this.#mapping.takeChanges();
    const count = counts.takeChanges();
    const freed = this.#freed;
    this.#freed = [];
    let areWritten = false;
    try {
      const together = new Together();
      for (const { table, from, bytes } of count.blocks) together.add(this.#store.write(table.offset + from, bytes));
      // Nothing in the file leads to new tables yet.
      for (const { table, from, bytes, isNew } of map.tables)
        if (isNew) together.add(this.#store.write(table.offset + from, bytes));
      await together.end();
      await this.#store.flush();
      if (count.entriesTo > 0) {
        await counts.writeEntries(count);
        await this.#store.flush();
      }
      if (map.l1.length > 0 || map.tables.some((one) => !one.isNew)) {
        const leading = new Together();
        for (const { table, from, bytes, isNew } of map.tables)
          if (!isNew) leading.add(this.#store.write(table.offset + from, bytes));
        if (map.l1.length > 0) leading.add(this.#mapping.writeL1(map));
        await leading.end();
        await this.#store.flush();
      }
      areWritten = true;
    } finally {
      counts.settle(count, areWritten);
      this.#mapping.settle(map, areWritten);
      if (!areWritten) this.#freed = [...freed, ...this.#freed];
    }
    if (freed.length > 0) this.#release(counts, freed);
  }

  /** Counts clusters down that nothing leads to any more, once nobody is at work in them. */
  #release(counts: Refcounts, freed: readonly Run[]): void {
    const releasing = (async () => {
      await this.#requests.ended();
      this.#compressed.forget();
      for (const run of freed) {
        await counts.release(run);
        if (counts.isCrowded) await this.flush();
      }
    })();
    // What cannot be counted down stays in use: room is lost, nothing else.
    const settled = releasing.catch(() => {}).finally(() => this.#releasing.delete(settled));
    this.#releasing.add(settled);
  }
}

const kindOf = (entry: Entry): Extent['kind'] => (entry.kind === 'unallocated' ? 'backing' : entry.kind);

/** Reads a disk, none of which is zeroes, that may be shorter, if it can be at once. */
function readPaddedNow(disk: BlockStore | undefined, offset: number, into: Uint8Array): boolean {
  const inside = disk === undefined ? 0 : Math.max(0, Math.min(into.length, disk.size - offset));
  if (inside > 0 && disk?.readNow?.(offset, into.subarray(0, inside)) !== true) return false;
  into.fill(0, inside);
  return true;
}

/** Reads a disk that may be shorter. */
export async function readPadded(disk: BlockStore, offset: number, into: Uint8Array): Promise<void> {
  const inside = Math.max(0, Math.min(into.length, disk.size - offset));
  if (inside > 0) await disk.read(offset, into.subarray(0, inside));
  into.fill(0, inside);
}
