import { MachineError } from '../../error.ts';
import type { ByteStore } from '../../outside/blocks.ts';
import { ClusterSet } from './cluster-set.ts';
import { readCount } from './counts.ts';
import { type Header, readHeader } from './header.ts';
import { References } from './references.ts';
import { repair } from './repair.ts';
import { readNumber64, viewOf } from './words.ts';

/** More than anybody makes; each may lead through all tables once more. */
const MAX_CHECKED_SNAPSHOTS = 256;
const SNAPSHOT_HEADER_BYTES = 40;
/** Mistakes that are said; all are counted. */
const MAX_LINES = 1000;

export interface CheckReport {
  /** What may lose data, or have lost them. */
  errors: number;
  /** Clusters that are counted and that nobody uses. */
  leaks: number;
  /** Errors and leaks that were there and are not any more. */
  errorsFixed: number;
  leaksFixed: number;
  /** Clusters of the disk, those that are in the file, those of them that do not follow the one before, the compressed ones. */
  totalClusters: number;
  allocatedClusters: number;
  fragmentedClusters: number;
  compressedClusters: number;
  /** Bytes up to the end of the last cluster in use. */
  imageEnd: number;
}

export interface CheckOptions {
  /** What is found, a line each. */
  readonly say?: ((line: string) => void) | undefined;
  /** Makes reference counts right: where they are too high, or all of them. Nothing else can be repaired. */
  readonly repair?: 'leaks' | 'all' | undefined;
  /** From 0 to 1. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** Compares how often clusters are in use with how often they are counted. @throws MachineError when it cannot be checked. */
export async function checkQcow2(store: ByteStore, options: CheckOptions = {}): Promise<CheckReport> {
  const header = await readHeader(store);
  const check = new Check(store, header, options);
  return check.run();
}

class Check {
  readonly #store: ByteStore;
  readonly #header: Header;
  readonly #options: CheckOptions;
  readonly #size: number;
  readonly #references = new References();
  readonly #tables: number[] = [];
  readonly #report: CheckReport;
  /** Clusters of the file. */
  #clusters = 0;
  #lines = 0;

  constructor(store: ByteStore, header: Header, options: CheckOptions) {
    this.#store = store;
    this.#header = header;
    this.#options = options;
    this.#size = 2 ** header.clusterBits;
    this.#report = {
      errors: 0,
      leaks: 0,
      errorsFixed: 0,
      leaksFixed: 0,
      totalClusters: Math.ceil(header.size / this.#size),
      allocatedClusters: 0,
      fragmentedClusters: 0,
      compressedClusters: 0,
      imageEnd: 0,
    };
  }

  async run(): Promise<CheckReport> {
    const header = this.#header;
    this.#clusters = Math.ceil((await this.#store.size()) / this.#size);
    this.#use(0, this.#size, 'the header');
    await this.#walkL1(header.l1Offset, header.l1Size, true);
    await this.#walkSnapshots();
    const wanted = this.#options.repair;
    const before = this.#report.errors;
    const table = await this.#walkCounts();
    const structural = this.#report.errors - before;
    const wrong = await this.#compare(table);
    const flags = await this.#compareFlags();
    this.#report.imageEnd = (this.#references.last() + 1) * this.#size;
    const total = wrong.errors + structural + flags;
    const needs =
      (wanted === 'all' && (total > 0 || wrong.leaks > 0 || header.isDirty || header.isCorrupt)) ||
      (wanted === 'leaks' && wrong.leaks > 0 && total === 0);
    if (needs) {
      // Without what the old counts take.
      const anew = new Check(this.#store, header, {});
      anew.#clusters = this.#clusters;
      anew.#use(0, this.#size, '');
      await anew.#walkL1(header.l1Offset, header.l1Size, true);
      await anew.#walkSnapshots();
      await repair({ store: this.#store, header, references: anew.#references, tables: anew.#tables });
      this.#report.errors -= total;
      this.#report.leaks -= wrong.leaks;
      this.#report.errorsFixed = total;
      this.#report.leaksFixed = wrong.leaks;
    }
    return this.#report;
  }

  #error(line: string): void {
    this.#report.errors++;
    this.#say(`error: ${line}`);
  }

  #say(line: string): void {
    if (this.#lines++ < MAX_LINES) this.#options.say?.(line);
    else if (this.#lines === MAX_LINES + 1) this.#options.say?.('there is more of it');
  }

  /** Counts the clusters of a range. False: it lies outside of the file. */
  #use(offset: number, bytes: number, what: string): boolean {
    const first = Math.floor(offset / this.#size);
    const last = Math.floor((offset + Math.max(bytes, 1) - 1) / this.#size);
    if (last >= this.#clusters) {
      this.#error(`${what} is at ${offset}, beyond the end of the file`);
      return false;
    }
    for (let cluster = first; cluster <= last; cluster++)
      if (this.#references.add(cluster) === undefined)
        throw new MachineError(`the clusters of '${this.#store.name}' are too far from each other to be checked`);
    return true;
  }

  async #walkL1(offset: number, entries: number, isActive: boolean): Promise<void> {
    if (entries === 0 || !this.#use(offset, entries * 8, 'an L1 table')) return;
    const l1 = new Uint8Array(entries * 8);
    await this.#store.read(offset, l1);
    const view = viewOf(l1);
    const seen = new ClusterSet();
    const table = new Uint8Array(this.#size);
    /** Where the next cluster would follow. */
    let next = -1;
    for (let index = 0; index < entries; index++) {
      if (isActive) this.#options.onProgress?.((index / entries) * 0.9);
      const l2 = offsetOf(view, index);
      if (l2 === 0) continue;
      if (l2 % this.#size !== 0) {
        this.#error(`entry ${index} of an L1 table leads to ${l2}, where no table can be`);
        continue;
      }
      if (!this.#use(l2, this.#size, `L2 table ${index}`)) continue;
      if (!seen.add(l2 / this.#size)) {
        this.#error(`entry ${index} of an L1 table leads to the table of another entry`);
        continue;
      }
      if (isActive) this.#tables.push(l2);
      const count = await this.#store.read(l2, table);
      table.fill(0, count);
      next = this.#walkL2(viewOf(table), l2, isActive, next);
    }
  }

  #walkL2(view: DataView, l2: number, isActive: boolean, following: number): number {
    const offsetBits = 62 - (this.#header.clusterBits - 8);
    let next = following;
    for (let index = 0; index < this.#size / 8; index++) {
      const high = view.getUint32(index * 8);
      const low = view.getUint32(index * 8 + 4);
      if ((high | low) === 0) continue;
      if ((high & 0x4000_0000) !== 0) {
        const fields = high & 0x3fff_ffff;
        const offset = (fields % 2 ** (offsetBits - 32)) * 2 ** 32 + low;
        const sectors = Math.floor(fields / 2 ** (offsetBits - 32)) + 1;
        if (high >>> 31 !== 0) this.#error(`a compressed cluster in the L2 table at ${l2} is marked as the only user`);
        if (!this.#use(offset, sectors * 512 - (offset % 512), 'a compressed cluster') || !isActive) continue;
        this.#report.allocatedClusters++;
        this.#report.compressedClusters++;
        // Compressed clusters never follow each other as others do.
        this.#report.fragmentedClusters++;
        continue;
      }
      const offset = offsetOf(view, index);
      if (offset === 0) continue;
      if (offset % this.#size !== 0) {
        this.#error(`an entry of the L2 table at ${l2} leads to ${offset}, where no cluster can be`);
        continue;
      }
      if (!this.#use(offset, this.#size, 'a cluster') || !isActive) continue;
      this.#report.allocatedClusters++;
      if (next >= 0 && offset !== next) this.#report.fragmentedClusters++;
      next = offset + this.#size;
    }
    return next;
  }

  async #walkSnapshots(): Promise<void> {
    const { snapshots, snapshotsOffset } = this.#header;
    if (snapshots > MAX_CHECKED_SNAPSHOTS)
      throw new MachineError(
        `'${this.#store.name}' has ${snapshots} snapshots; up to ${MAX_CHECKED_SNAPSHOTS} are checked`,
      );
    let at = snapshotsOffset;
    const head = new Uint8Array(SNAPSHOT_HEADER_BYTES);
    const view = viewOf(head);
    for (let i = 0; i < snapshots; i++) {
      if ((await this.#store.read(at, head)) < head.length) return this.#error('the list of snapshots is cut short');
      const l1Offset = readNumber64(view, 0);
      const l1Size = view.getUint32(8);
      const length = SNAPSHOT_HEADER_BYTES + view.getUint16(12) + view.getUint16(14) + view.getUint32(36);
      at += Math.ceil(length / 8) * 8;
      if (l1Offset % this.#size !== 0 || l1Size * 8 > 32 * 2 ** 20)
        this.#error(`the L1 table of snapshot ${i + 1} is where it cannot be`);
      else await this.#walkL1(l1Offset, l1Size, false);
    }
    if (snapshots > 0) this.#use(snapshotsOffset, at - snapshotsOffset, 'the list of snapshots');
  }

  /** Counts the refcount table and its blocks. Gives the table's view. */
  async #walkCounts(): Promise<DataView> {
    const { refcountTableOffset, refcountTableClusters } = this.#header;
    const table = new Uint8Array(refcountTableClusters * this.#size);
    await this.#store.read(refcountTableOffset, table);
    this.#use(refcountTableOffset, table.length, 'the refcount table');
    const view = viewOf(table);
    const seen = new ClusterSet();
    for (let index = 0; index < table.length / 8; index++) {
      const offset = offsetOf(view, index);
      if (offset === 0) continue;
      const isThere = offset % this.#size === 0 && this.#use(offset, this.#size, `refcount block ${index}`);
      if (offset % this.#size !== 0) this.#error(`refcount block ${index} is at ${offset}, where no block can be`);
      if (isThere && seen.add(offset / this.#size)) continue;
      if (isThere) this.#error(`refcount block ${index} is another one, too`);
      // Nothing in it counts.
      view.setUint32(index * 8, 0);
      view.setUint32(index * 8 + 4, 0);
    }
    return view;
  }

  async #compare(table: DataView): Promise<{ errors: number; leaks: number }> {
    const bits = this.#header.refcountBits;
    const perBlock = (this.#size * 8) / bits;
    const found = { errors: 0, leaks: 0 };
    const block = new Uint8Array(this.#size);
    for (let first = 0; first < this.#clusters; first += perBlock) {
      this.#options.onProgress?.(0.9 + (first / this.#clusters) * 0.1);
      const index = first / perBlock;
      const offset = index * 8 < table.byteLength ? offsetOf(table, index) : 0;
      if (offset === 0 && !this.#references.hasAny(first, perBlock)) continue;
      if (offset === 0) block.fill(0);
      else block.fill(0, await this.#store.read(offset, block));
      // What lies beyond the file's end is looked at as far as its last block goes.
      for (let i = 0; i < perBlock; i++) {
        const counted = readCount(block, i, bits);
        const used = this.#references.count(first + i);
        if (counted === used) continue;
        const isLeak = counted > used;
        if (isLeak) found.leaks++;
        else found.errors++;
        this.#say(
          `${isLeak ? 'leaked:' : 'error:'} cluster ${first + i} is counted ${counted} times, and used ${used} times`,
        );
      }
    }
    this.#report.errors += found.errors;
    this.#report.leaks += found.leaks;
    return found;
  }

  /** An entry says that it is the only user of a cluster if it is, and only then. */
  async #compareFlags(): Promise<number> {
    let wrong = 0;
    const look = (view: DataView, index: number, what: string): void => {
      const high = view.getUint32(index * 8);
      const offset = offsetOf(view, index);
      if ((high & 0x4000_0000) !== 0 || offset === 0 || offset % this.#size !== 0) return;
      const used = this.#references.count(offset / this.#size);
      if ((high >>> 31 !== 0) === (used === 1)) return;
      wrong++;
      this.#error(
        `${what} is marked ${high >>> 31 !== 0 ? '' : 'not '}to be the only user of cluster ${offset / this.#size}, which has ${used}`,
      );
    };
    const l1 = new Uint8Array(this.#header.l1Size * 8);
    await this.#store.read(this.#header.l1Offset, l1);
    for (let index = 0; index < this.#header.l1Size; index++) look(viewOf(l1), index, `entry ${index} of the L1 table`);
    const table = new Uint8Array(this.#size);
    for (const l2 of this.#tables) {
      table.fill(0, await this.#store.read(l2, table));
      for (let index = 0; index < this.#size / 8; index++)
        look(viewOf(table), index, `an entry of the L2 table at ${l2}`);
    }
    return wrong;
  }
}

/** Bits 9 to 55 of an entry. */
export function offsetOf(view: DataView, index: number): number {
  return (view.getUint32(index * 8) & 0x00ff_ffff) * 2 ** 32 + ((view.getUint32(index * 8 + 4) & ~511) >>> 0);
}
