import type { ByteStore } from '../../outside/blocks.ts';
import { Gate } from '../gate.ts';
import { viewOf } from './words.ts';

/** Changes are written in units that a disk writes whole. */
const UNIT = 512;
/** Tables that are read at once, whatever the guest asks for. */
const LOADS = 8;

/** A cluster of the image that holds a table: entries of L2, or reference counts. */
export interface Table {
  /** Where it is in the file, bytes. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Requests that hold it: it is not dropped. */
  users: number;
  /** What the file lacks of it; empty: it is as in the file. */
  dirtyFrom: number;
  dirtyTo: number;
  /** The file has nothing of it, and nothing in the file leads to it. */
  isNew: boolean;
}

/** What a table had to be written at some moment. */
export interface TableChange {
  readonly table: Table;
  readonly from: number;
  readonly bytes: Uint8Array;
  readonly isNew: boolean;
}

/** The tables that were used last, a bounded number of them. What changed is kept until it was written. */
export class TableCache {
  readonly #store: ByteStore;
  readonly #tableBytes: number;
  readonly #limit: number;
  /** In the order of their last use. */
  readonly #tables = new Map<number, Table>();
  readonly #loading = new Map<number, Promise<Table>>();
  readonly #gate = new Gate(LOADS);
  readonly #dirty = new Set<Table>();

  /** `memoryBytes`: what the tables take, but at least four of them. */
  constructor(store: ByteStore, tableBytes: number, memoryBytes: number) {
    this.#store = store;
    this.#tableBytes = tableBytes;
    this.#limit = Math.max(4, Math.floor(memoryBytes / tableBytes));
  }

  /** So many tables changed that they should be written before more do. */
  get isCrowded(): boolean {
    return this.#dirty.size * 2 > this.#limit;
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** The table at `offset` if it is here. */
  get(offset: number): Table | undefined {
    const table = this.#tables.get(offset);
    if (table === undefined) return undefined;
    this.#tables.delete(offset);
    this.#tables.set(offset, table);
    return table;
  }

  /** The table at `offset`, read if it must be. What the file lacks of it is zeroes. */
  async load(offset: number): Promise<Table> {
    const here = this.get(offset);
    if (here) return here;
    const loading = this.#loading.get(offset);
    if (loading) return loading;
    const load = this.#gate.run(async () => {
      const bytes = new Uint8Array(this.#tableBytes);
      await this.#store.read(offset, bytes);
      // Its cluster may have become a new table meanwhile.
      return this.#tables.get(offset) ?? this.#put(offset, bytes);
    });
    this.#loading.set(offset, load);
    try {
      return await load;
    } finally {
      this.#loading.delete(offset);
    }
  }

  /** The same, held by a further user from the moment on at which it is here. */
  async hold(offset: number): Promise<Table> {
    for (;;) {
      const table = this.get(offset);
      if (table) {
        table.users++;
        return table;
      }
      // Others may have crowded it out again before this goes on.
      await this.load(offset);
    }
  }

  /** A table that is not in the file yet. */
  add(offset: number, bytes: Uint8Array = new Uint8Array(this.#tableBytes)): Table {
    const table = this.#put(offset, bytes);
    table.isNew = true;
    this.touch(table, 0, this.#tableBytes);
    return table;
  }

  /** Its cluster holds something else now. */
  forget(offset: number): void {
    const table = this.#tables.get(offset);
    if (table === undefined) return;
    this.#tables.delete(offset);
    this.#dirty.delete(table);
  }

  /** Bytes of it changed. */
  touch(table: Table, from: number, bytes: number): void {
    // It may have been dropped in the moment between its arrival and this change.
    if (!this.#tables.has(table.offset)) this.#tables.set(table.offset, table);
    const start = from - (from % UNIT);
    const end = Math.ceil((from + bytes) / UNIT) * UNIT;
    if (this.#dirty.has(table)) {
      table.dirtyFrom = Math.min(table.dirtyFrom, start);
      table.dirtyTo = Math.max(table.dirtyTo, end);
    } else {
      this.#dirty.add(table);
      table.dirtyFrom = start;
      table.dirtyTo = end;
    }
  }

  /** Copies what the file lacks; from here on it counts as written. */
  takeChanges(): TableChange[] {
    const changes: TableChange[] = [];
    for (const table of this.#dirty) {
      changes.push({
        table,
        from: table.dirtyFrom,
        bytes: table.bytes.slice(table.dirtyFrom, table.dirtyTo),
        isNew: table.isNew,
      });
      table.isNew = false;
      // Until it was written, the file's is not what a reader should see.
      table.users++;
    }
    this.#dirty.clear();
    return changes;
  }

  /** They were written; or not, and have to be another time. */
  settle(changes: readonly TableChange[], areWritten: boolean): void {
    for (const { table, from, bytes, isNew } of changes) {
      table.users--;
      if (areWritten || this.#tables.get(table.offset) !== table) continue;
      if (isNew) table.isNew = true;
      this.touch(table, from, bytes.length);
    }
    this.#trim();
  }

  #put(offset: number, bytes: Uint8Array): Table {
    const table: Table = { offset, bytes, view: viewOf(bytes), users: 0, dirtyFrom: 0, dirtyTo: 0, isNew: false };
    this.#tables.delete(offset);
    this.#tables.set(offset, table);
    this.#trim(table);
    return table;
  }

  #trim(kept?: Table): void {
    if (this.#tables.size <= this.#limit) return;
    for (const [offset, table] of this.#tables) {
      if (table === kept || table.users > 0 || this.#dirty.has(table)) continue;
      this.#tables.delete(offset);
      if (this.#tables.size <= this.#limit) return;
    }
  }
}
