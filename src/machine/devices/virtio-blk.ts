import type { DeviceState, Wiring } from '../device.ts';
import type { BlockStore } from '../outside/blocks.ts';
import type { Outside } from '../outside/events.ts';
import type { Chain } from '../virtio/chain.ts';
import { VIRTIO_ID, type VirtioDevice, type VirtioPort, type VirtioSpec } from '../virtio/device.ts';
import { QueueService } from '../virtio/service.ts';

/** Features (virtio 1.2, section 5.2.3). */
const F = { SEG_MAX: 2, RO: 5, BLK_SIZE: 6, FLUSH: 9, TOPOLOGY: 10, DISCARD: 13, WRITE_ZEROES: 14 } as const;

/** Configuration (5.2.4). */
const CONFIG_BYTES = 60;
const C = {
  capacity: 0,
  segMax: 12,
  blkSize: 20,
  physicalBlockExp: 24,
  minIoSize: 26,
  optIoSize: 28,
  maxDiscardSectors: 36,
  maxDiscardSeg: 40,
  discardSectorAlignment: 44,
  maxWriteZeroesSectors: 48,
  maxWriteZeroesSeg: 52,
  writeZeroesMayUnmap: 56,
} as const;

/** Requests (5.2.6): kind, reserved, sector; then data; then the status. */
const HEADER_BYTES = 16;
const REQUEST = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8, DISCARD: 11, WRITE_ZEROES: 13 } as const;
const OK = 0;
const IOERR = 1;
const UNSUPP = 2;

const SECTOR = 512;
const QUEUE_SIZE = 256;
/** Linux adds a descriptor for the header and one for the status. */
const SEG_MAX = QUEUE_SIZE - 2;
/** Of discard and write zeroes: sector, number of sectors, flags; flag 0 lets go of the room. */
const RANGE_BYTES = 16;
const MAY_UNMAP = 1;
const MOST_RANGES = 16;
const MOST_RANGE_SECTORS = 2 ** 22;
const ID_BYTES = 20;
/** Data goes in pieces of so many bytes at most; so many may be under way in all. */
const PIECE_BYTES = 2 ** 20;
const MOST_BYTES_UNDER_WAY = 8 * 2 ** 20;
/** So many are read and written at once, without the outside's having been waited for. */
const MOST_BYTES_AT_ONCE = 16 * 2 ** 20;
const TWO_32 = 2 ** 32;

/** A disk. */
export interface DiskOptions {
  readonly store: BlockStore;
  /** At most 20 characters of ASCII; guests show it in /dev/disk/by-id. */
  readonly serial?: string | undefined;
  /** The guest may not write, whatever the store says. */
  readonly readOnly?: boolean | undefined;
  /** A CD: boards with IDE have a drive for it, others a disk that is not written. */
  readonly media?: 'disk' | 'cdrom' | undefined;
  /** One of the board's buses; its customary one for disks if absent. */
  readonly bus?: string | undefined;
}

/** Buffers that were used, by their sizes, which are powers of two. No more are kept than may be under way. */
class Buffers {
  readonly #spare = new Map<number, Uint8Array[]>();
  #bytes = 0;

  /** One of so many bytes or more. */
  take(bytes: number): Uint8Array {
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, 4096)));
    const spare = this.#spare.get(size)?.pop();
    if (spare === undefined) return new Uint8Array(size);
    this.#bytes -= size;
    return spare;
  }

  give(buffer: Uint8Array): void {
    const size = buffer.length;
    if (this.#bytes + size > MOST_BYTES_UNDER_WAY) return;
    this.#bytes += size;
    const list = this.#spare.get(size);
    if (list === undefined) this.#spare.set(size, [buffer]);
    else list.push(buffer);
  }
}

class VirtioBlk implements VirtioDevice {
  readonly config = new Uint8Array(CONFIG_BYTES);
  readonly #port: VirtioPort;
  readonly #outside: Outside;
  readonly #store: BlockStore;
  readonly #readOnly: boolean;
  readonly #serial: Uint8Array;
  readonly #service: QueueService;
  readonly #header = new DataView(new ArrayBuffer(HEADER_BYTES));
  readonly #headerBytes = new Uint8Array(this.#header.buffer);
  readonly #status = new Uint8Array(1);
  readonly #buffers = new Buffers();
  /** Requests under way, also those that the driver does not wait for any more: a reset is complete when they have ended. */
  #underWay = 0;
  #stale = 0;
  #bytesUnderWay = 0;
  #bytesAtOnce = 0;
  #epoch = 0;
  #reads = 0;
  #writes = 0;
  #flushes = 0;
  #errors = 0;

  constructor(port: VirtioPort, { outside }: Wiring, { store, serial = '', readOnly = false }: DiskOptions) {
    this.#port = port;
    this.#outside = outside;
    this.#store = store;
    this.#readOnly = readOnly || store.readOnly;
    this.#serial = Uint8Array.from({ length: ID_BYTES }, (_, i) => serial.charCodeAt(i) & 0x7f);
    this.#service = new QueueService(port, outside, 0, (chain) => this.#begin(chain));
    const view = new DataView(this.config.buffer);
    const sectors = Math.floor(store.size / SECTOR);
    view.setUint32(C.capacity, sectors, true);
    view.setUint32(C.capacity + 4, Math.floor(sectors / TWO_32), true);
    view.setUint32(C.segMax, SEG_MAX, true);
    view.setUint32(C.blkSize, SECTOR, true);
    view.setUint8(C.physicalBlockExp, 3);
    view.setUint16(C.minIoSize, 8, true);
    view.setUint32(C.optIoSize, 0, true);
    view.setUint32(C.maxDiscardSectors, MOST_RANGE_SECTORS, true);
    view.setUint32(C.maxDiscardSeg, MOST_RANGES, true);
    view.setUint32(C.discardSectorAlignment, 8, true);
    view.setUint32(C.maxWriteZeroesSectors, MOST_RANGE_SECTORS, true);
    view.setUint32(C.maxWriteZeroesSeg, MOST_RANGES, true);
    view.setUint8(C.writeZeroesMayUnmap, 1);
  }

  notified(): void {
    // What the driver gave up with its reset may still be on its way to the disk.
    if (this.#stale === 0) this.#service.run();
  }

  /** Begins a request. False: not now. */
  #begin(chain: Chain): boolean {
    if (chain.writableBytes === 0) {
      this.#port.needsReset('a request has no room for its status');
      return true;
    }
    if (chain.read(0, this.#headerBytes) < HEADER_BYTES) return this.#end(chain, IOERR, 0);
    const kind = this.#header.getUint32(0, true);
    const sector = this.#header.getUint32(8, true) + this.#header.getUint32(12, true) * TWO_32;
    switch (kind) {
      case REQUEST.IN:
        return this.#transfer(chain, sector, chain.writableBytes - 1, false);
      case REQUEST.OUT:
        if (this.#readOnly) return this.#end(chain, IOERR, 0);
        return this.#transfer(chain, sector, chain.readableBytes - HEADER_BYTES, true);
      case REQUEST.FLUSH:
        this.#flushes++;
        return this.#wait(chain, this.#readOnly ? Promise.resolve() : this.#store.flush(), 0);
      case REQUEST.GET_ID:
        if (chain.writableBytes - 1 < ID_BYTES) return this.#end(chain, IOERR, 0);
        chain.write(0, this.#serial);
        return this.#end(chain, OK, ID_BYTES);
      case REQUEST.DISCARD:
      case REQUEST.WRITE_ZEROES:
        return this.#ranges(chain, kind);
      default:
        return this.#end(chain, UNSUPP, 0);
    }
  }

  #transfer(chain: Chain, sector: number, length: number, isWrite: boolean): boolean {
    const offset = sector * SECTOR;
    if (length % SECTOR !== 0 || length < 0 || offset + length > this.#store.size) return this.#end(chain, IOERR, 0);
    if (length === 0) return this.#end(chain, OK, 0);
    const piece = Math.min(length, PIECE_BYTES);
    if (this.#bytesUnderWay > 0 && this.#bytesUnderWay + piece > MOST_BYTES_UNDER_WAY) return false;
    if (isWrite) this.#writes++;
    else this.#reads++;
    const buffer = this.#buffers.take(piece);
    const done = this.#outside.isPrompt ? this.#now(chain, offset, length, buffer, isWrite) : 0;
    if (done < 0 || done === length) {
      this.#buffers.give(buffer);
      return this.#end(chain, done < 0 ? IOERR : OK, done < 0 || isWrite ? 0 : length);
    }
    this.#bytesUnderWay += piece;
    this.#underWay++;
    this.#piece(chain, offset, done, length, buffer, isWrite);
    return true;
  }

  /**
   * Transfers what the store has or takes at once: the guest finds its answer as soon as it has asked. Answers how many bytes
   * that were; -1: the store has failed.
   */
  #now(chain: Chain, offset: number, length: number, buffer: Uint8Array, isWrite: boolean): number {
    const store = this.#store;
    let at = 0;
    try {
      while (at < length && this.#bytesAtOnce < MOST_BYTES_AT_ONCE) {
        const count = Math.min(length - at, PIECE_BYTES);
        const bytes = count === buffer.length ? buffer : buffer.subarray(0, count);
        if (isWrite) chain.read(HEADER_BYTES + at, bytes);
        const isDone = isWrite ? store.writeNow?.(offset + at, bytes) : store.readNow?.(offset + at, bytes);
        if (isDone !== true) return at;
        if (!isWrite) chain.write(at, bytes);
        at += count;
        this.#bytesAtOnce += count;
      }
      return at;
    } catch {
      return -1;
    }
  }

  /** Transfers the bytes of a request from `at` on, a piece at a time. */
  #piece(chain: Chain, offset: number, at: number, length: number, buffer: Uint8Array, isWrite: boolean): void {
    const epoch = this.#epoch;
    const count = Math.min(length - at, PIECE_BYTES);
    const bytes = buffer.subarray(0, count);
    if (isWrite) chain.read(HEADER_BYTES + at, bytes);
    const finish = (status: number): void => {
      this.#bytesUnderWay -= Math.min(length, PIECE_BYTES);
      this.#buffers.give(buffer);
      this.#finish(chain, epoch, status, isWrite ? 0 : length);
    };
    const promise = isWrite ? this.#store.write(offset + at, bytes) : this.#store.read(offset + at, bytes);
    this.#outside.wait(
      promise,
      () => {
        if (epoch !== this.#epoch || !chain.alive) return finish(IOERR);
        if (!isWrite) chain.write(at, bytes);
        if (at + count < length) this.#piece(chain, offset, at + count, length, buffer, isWrite);
        else finish(OK);
      },
      () => finish(IOERR),
    );
  }

  /** Discards, or writes zeroes to, ranges of sectors. */
  #ranges(chain: Chain, kind: number): boolean {
    const count = (chain.readableBytes - HEADER_BYTES) / RANGE_BYTES;
    if (this.#readOnly || !Number.isInteger(count) || count < 1 || count > MOST_RANGES)
      return this.#end(chain, IOERR, 0);
    const view = new DataView(new ArrayBuffer(count * RANGE_BYTES));
    chain.read(HEADER_BYTES, new Uint8Array(view.buffer));
    const ranges: [offset: number, length: number, mayDiscard: boolean][] = [];
    for (let at = 0; at < view.byteLength; at += RANGE_BYTES) {
      const sector = view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
      const length = view.getUint32(at + 8, true);
      const flags = view.getUint32(at + 12, true);
      // A flag that nobody knows, or one that discards do not have (5.2.6.2).
      if ((flags & ~MAY_UNMAP) !== 0 || (kind === REQUEST.DISCARD && flags !== 0)) return this.#end(chain, UNSUPP, 0);
      if (length > MOST_RANGE_SECTORS || (sector + length) * SECTOR > this.#store.size)
        return this.#end(chain, IOERR, 0);
      if (length > 0) ranges.push([sector * SECTOR, length * SECTOR, (flags & MAY_UNMAP) !== 0]);
    }
    const store = this.#store;
    const done = ranges.map(([offset, length, mayDiscard]) =>
      kind === REQUEST.DISCARD ? store.discard(offset, length) : store.writeZeroes(offset, length, mayDiscard),
    );
    return this.#wait(chain, Promise.all(done), 0);
  }

  #wait(chain: Chain, promise: Promise<unknown>, written: number): boolean {
    const epoch = this.#epoch;
    this.#underWay++;
    this.#outside.wait(
      promise,
      () => this.#finish(chain, epoch, OK, written),
      () => this.#finish(chain, epoch, IOERR, written),
    );
    return true;
  }

  /** What was handed out has ended. */
  #finish(chain: Chain, epoch: number, status: number, written: number): void {
    this.#underWay--;
    this.#bytesAtOnce = 0;
    if (epoch !== this.#epoch) {
      if (--this.#stale === 0) this.#service.run();
      return;
    }
    this.#end(chain, status, written);
    this.#service.run();
  }

  /** Answers a request. `written`: bytes of data before the status, which is the last byte that the driver gave. */
  #end(chain: Chain, status: number, written: number): true {
    if (status !== OK) this.#errors++;
    if (!chain.alive) return true;
    this.#status[0] = status;
    chain.write(chain.writableBytes - 1, this.#status);
    const isWhole = written === chain.writableBytes - 1;
    this.#service.done(chain, isWhole ? chain.writableBytes : written);
    return true;
  }

  reset(): void {
    this.#epoch++;
    this.#stale = this.#underWay;
  }

  save(): DeviceState {
    return {};
  }

  /** Requests that were under way begin again: none of them does harm twice. */
  restore(): void {
    this.reset();
    this.#service.restart();
    if (this.#stale === 0) this.#service.run();
  }

  counters(): Record<string, number> {
    return {
      reads: this.#reads,
      writes: this.#writes,
      flushes: this.#flushes,
      errors: this.#errors,
      under_way: this.#underWay,
    };
  }
}

/** A disk on a machine. */
export function virtioBlk(name: string, options: DiskOptions): VirtioSpec {
  const { store, readOnly = false } = options;
  return {
    name,
    id: VIRTIO_ID.block,
    features: [
      F.SEG_MAX,
      F.BLK_SIZE,
      F.FLUSH,
      F.TOPOLOGY,
      ...(readOnly || store.readOnly ? [F.RO] : [F.DISCARD, F.WRITE_ZEROES]),
    ],
    queues: [QUEUE_SIZE],
    create: (port, wiring) => new VirtioBlk(port, wiring, options),
  };
}
