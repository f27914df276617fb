import { type DeviceState, savedNumber, savedNumbers } from '../../device.ts';
import type { BlockStore } from '../../outside/blocks.ts';
import { aborted, MOST_BLOCK_BYTES } from './channel.ts';
import { ERROR, type IdeDrive, type IdePort, type MakeDrive } from './drive.ts';

export const SECTOR_BYTES = 512;
/** Data goes in pieces of so many sectors at most. */
const PIECE_SECTORS = MOST_BLOCK_BYTES / SECTOR_BYTES;
/** As many sectors as a multiple command moves at once. */
const MOST_MULTIPLE = 16;
/** Device register: addresses are of sectors, not of cylinder, head and sector. */
const LBA = 0x40;

/** What a disk of cylinders shows (ATA-6, 6.2): no more than 16383 of them. */
const HEADS = 16;
const SECTORS_PER_TRACK = 63;
const MOST_CYLINDERS = 16383;
const MOST_LBA28 = 2 ** 28 - 1;

/** A command that moves data: which way, by DMA, with addresses of 48 bits, several sectors a block. */
interface Transfer {
  readonly writes: boolean;
  readonly dma: boolean;
  readonly wide: boolean;
  readonly multiple: boolean;
}
const transfer = (writes: boolean, dma: boolean, wide: boolean, multiple = false): Transfer => ({
  writes,
  dma,
  wide,
  multiple,
});

/** Commands (ATA/ATAPI-6, chapter 8). */
const TRANSFERS: ReadonlyMap<number, Transfer> = new Map([
  [0x20, transfer(false, false, false)],
  [0x21, transfer(false, false, false)],
  [0x24, transfer(false, false, true)],
  [0x25, transfer(false, true, true)],
  [0x29, transfer(false, false, true, true)],
  [0x30, transfer(true, false, false)],
  [0x31, transfer(true, false, false)],
  [0x34, transfer(true, false, true)],
  [0x35, transfer(true, true, true)],
  [0x39, transfer(true, false, true, true)],
  [0xc4, transfer(false, false, false, true)],
  [0xc5, transfer(true, false, false, true)],
  [0xc8, transfer(false, true, false)],
  [0xc9, transfer(false, true, false)],
  [0xca, transfer(true, true, false)],
  [0xcb, transfer(true, true, false)],
]);
const IDENTIFY = 0xec;
const SET_FEATURES = 0xef;
const SET_MULTIPLE = 0xc6;
const FLUSHES: readonly number[] = [0xe7, 0xea];
const CHECK_POWER: readonly number[] = [0xe5, 0x98];
const READ_NATIVE_MAX = 0xf8;
const READ_NATIVE_MAX_EXT = 0x27;
/** Recalibrate, verify, seek, set parameters, power: nothing moves. */
const NOTHING: readonly number[] = [
  0x10, 0x40, 0x41, 0x42, 0x70, 0x91, 0xe0, 0xe1, 0xe2, 0xe3, 0xe6, 0x94, 0x95, 0x96, 0x97, 0x99,
];
/** Transfer modes, caches, read-ahead, power-on defaults: nothing here depends on them. */
const FEATURES: readonly number[] = [0x02, 0x03, 0x05, 0x42, 0x55, 0x66, 0x82, 0x85, 0xaa, 0xc2, 0xcc];
const ACTIVE = 0xff;

/** Text as identification has it: pairs of characters with the first in the upper byte. */
export function putText(words: Uint16Array, at: number, length: number, text: string): void {
  const padded = text.padEnd(2 * length).slice(0, 2 * length);
  for (let i = 0; i < length; i++) words[at + i] = (padded.charCodeAt(2 * i) << 8) | padded.charCodeAt(2 * i + 1);
}

/** Little-endian bytes of words. */
export function bytesOf(words: Uint16Array): Uint8Array {
  const bytes = new Uint8Array(2 * words.length);
  words.forEach((word, i) => {
    bytes[2 * i] = word;
    bytes[2 * i + 1] = word >>> 8;
  });
  return bytes;
}

export interface IdeDiskOptions {
  readonly store: BlockStore;
  readonly serial?: string | undefined;
  readonly readOnly?: boolean | undefined;
}

/** A hard disk. What it has been asked and not answered is asked again after a restoration. */
class IdeDisk implements IdeDrive {
  readonly signature = { middle: 0, high: 0 };
  readonly #port: IdePort;
  readonly #store: BlockStore;
  readonly #readOnly: boolean;
  readonly #serial: string;
  readonly #sectors: number;
  #multiple = MOST_MULTIPLE;
  /** The command that moves data: its code, where it is, how many sectors are left. 0: none. */
  #code = 0;
  #lba = 0;
  #left = 0;
  /** The piece under way, and how many of its bytes have gone to or come from the guest. */
  #piece: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** The outside is asked for the piece, or to flush. */
  #isWaiting = false;
  #isFlushing = false;
  /** Answers of before a reset are not heard. */
  #epoch = 0;
  #reads = 0;
  #writes = 0;
  #errors = 0;

  constructor(port: IdePort, { store, serial = '', readOnly = false }: IdeDiskOptions) {
    this.#port = port;
    this.#store = store;
    this.#readOnly = readOnly || store.readOnly;
    this.#serial = serial;
    this.#sectors = Math.floor(store.size / SECTOR_BYTES);
  }

  command(code: number): void {
    const port = this.#port;
    const { task } = port;
    const kind = TRANSFERS.get(code);
    if (kind !== undefined) {
      this.#transfer(code, kind);
      return;
    }
    if (code === IDENTIFY) {
      port.give(this.#identity(), false);
      return;
    }
    if (FLUSHES.includes(code)) {
      this.#flush();
      return;
    }
    if (NOTHING.includes(code)) {
      port.end(0);
      return;
    }
    if (CHECK_POWER.includes(code)) {
      task.count = ACTIVE;
      port.end(0);
      return;
    }
    switch (code) {
      case SET_FEATURES:
        port.end(FEATURES.includes(task.features) ? 0 : ERROR.ABRT);
        return;
      case SET_MULTIPLE:
        if (task.count > MOST_MULTIPLE || (task.count & (task.count - 1)) !== 0) {
          aborted(port);
          return;
        }
        this.#multiple = task.count;
        port.end(0);
        return;
      case READ_NATIVE_MAX:
      case READ_NATIVE_MAX_EXT:
        this.#setAddress(this.#sectors - 1, code === READ_NATIVE_MAX_EXT);
        port.end(0);
        return;
      default:
        aborted(port);
        return;
    }
  }

  #setAddress(lba: number, isWide: boolean): void {
    const { task } = this.#port;
    const within = isWide ? lba : Math.min(lba, MOST_LBA28);
    task.low = within & 0xff;
    task.middle = (within >>> 8) & 0xff;
    task.high = (within >>> 16) & 0xff;
    const upper = Math.floor(within / 2 ** 24);
    if (isWide) {
      task.lowBefore = upper & 0xff;
      task.middleBefore = (upper >>> 8) & 0xff;
      task.highBefore = (upper >>> 16) & 0xff;
    } else task.device = (task.device & 0xf0) | (upper & 15);
  }

  /** The first sector of a command; -1: there is no such one. */
  #address(isWide: boolean): number {
    const { task } = this.#port;
    if (isWide)
      return (
        (task.lowBefore + 256 * task.middleBefore + 65536 * task.highBefore) * 2 ** 24 +
        (task.low + 256 * task.middle + 65536 * task.high)
      );
    if ((task.device & LBA) !== 0)
      return (task.device & 15) * 2 ** 24 + task.low + 256 * task.middle + 65536 * task.high;
    if (task.low === 0) return -1;
    return ((task.middle + 256 * task.high) * HEADS + (task.device & 15)) * SECTORS_PER_TRACK + task.low - 1;
  }

  #transfer(code: number, kind: Transfer): void {
    const { task } = this.#port;
    const count = kind.wide ? task.count + 256 * task.countBefore || 65536 : task.count || 256;
    const lba = this.#address(kind.wide);
    if (kind.multiple && this.#multiple === 0) {
      aborted(this.#port);
      return;
    }
    if (lba < 0 || lba + count > this.#sectors) {
      this.#fail(ERROR.IDNF);
      return;
    }
    if (kind.writes && this.#readOnly) {
      this.#fail(ERROR.ABRT);
      return;
    }
    this.#code = code;
    this.#lba = lba;
    this.#left = count;
    if (kind.writes) this.#writes++;
    else this.#reads++;
    this.#next(true);
  }

  #fail(error: number): void {
    this.#errors++;
    this.#code = 0;
    this.#port.end(error);
  }

  /** Begins the next piece of the command under way, or ends it. */
  #next(isFirst: boolean): void {
    if (this.#left === 0) {
      this.#code = 0;
      this.#port.end(0);
      return;
    }
    const kind = TRANSFERS.get(this.#code) as Transfer;
    const bytes = Math.min(this.#left, PIECE_SECTORS) * SECTOR_BYTES;
    if (this.#piece.length !== bytes) this.#piece = new Uint8Array(bytes);
    this.#at = 0;
    if (kind.writes) this.#takeBlock(kind, !isFirst);
    else this.#access();
  }

  #blockBytes(kind: Transfer): number {
    const whole = this.#piece.length - this.#at;
    if (kind.dma) return whole;
    return Math.min(whole, (kind.multiple ? this.#multiple : 1) * SECTOR_BYTES);
  }

  #takeBlock(kind: Transfer, interrupts: boolean): void {
    this.#port.take(this.#piece.subarray(this.#at, this.#at + this.#blockBytes(kind)), kind.dma, interrupts);
  }

  #giveBlock(kind: Transfer): void {
    this.#port.give(this.#piece.subarray(this.#at, this.#at + this.#blockBytes(kind)), kind.dma);
  }

  /** Has the outside read or write the piece. */
  #access(): void {
    const kind = TRANSFERS.get(this.#code) as Transfer;
    const offset = this.#lba * SECTOR_BYTES;
    this.#ask(kind.writes ? this.#store.write(offset, this.#piece) : this.#store.read(offset, this.#piece), () => {
      if (!kind.writes) {
        this.#giveBlock(kind);
        return;
      }
      this.#pieceDone();
    });
  }

  #ask(answer: Promise<unknown>, then: () => void): void {
    const epoch = this.#epoch;
    this.#isWaiting = true;
    this.#port.busy();
    this.#port.outside.wait(
      answer,
      () => {
        if (epoch !== this.#epoch) return;
        this.#isWaiting = false;
        then();
      },
      () => {
        if (epoch !== this.#epoch) return;
        this.#isWaiting = this.#isFlushing = false;
        this.#fail(ERROR.UNC);
      },
    );
  }

  #pieceDone(): void {
    const sectors = this.#piece.length / SECTOR_BYTES;
    this.#lba += sectors;
    this.#left -= sectors;
    this.#next(false);
  }

  transferred(): void {
    const kind = TRANSFERS.get(this.#code);
    if (kind === undefined) return;
    this.#at += this.#blockBytes(kind);
    if (this.#at < this.#piece.length) {
      if (kind.writes) this.#takeBlock(kind, true);
      else this.#giveBlock(kind);
    } else if (kind.writes) this.#access();
    else if (this.#left > this.#piece.length / SECTOR_BYTES || kind.dma) this.#pieceDone();
    // By programmed I/O the last block's interrupt was the last.
    else this.#code = 0;
  }

  #flush(): void {
    this.#isFlushing = true;
    this.#ask(this.#readOnly ? Promise.resolve() : this.#store.flush(), () => {
      this.#isFlushing = false;
      this.#port.end(0);
    });
  }

  #identity(): Uint8Array {
    const words = new Uint16Array(256);
    const sectors = this.#sectors;
    const cylinders = Math.min(MOST_CYLINDERS, Math.floor(sectors / (HEADS * SECTORS_PER_TRACK)));
    const put32 = (at: number, value: number): void => {
      words[at] = value & 0xffff;
      words[at + 1] = value >>> 16;
    };
    words[0] = 0x0040; // fixed
    words[1] = cylinders;
    words[3] = HEADS;
    words[6] = SECTORS_PER_TRACK;
    putText(words, 10, 10, this.#serial || 'PV00001');
    putText(words, 23, 4, '1');
    putText(words, 27, 20, 'POWERVISOR HARDDISK');
    words[47] = 0x8000 | MOST_MULTIPLE;
    words[48] = 1; // data by 32 bits
    words[49] = 0x0b00; // IORDY, LBA, DMA
    words[51] = 0x0200;
    words[52] = 0x0200;
    words[53] = 7; // words 54-58, 64-70 and 88 are valid
    words[54] = cylinders;
    words[55] = HEADS;
    words[56] = SECTORS_PER_TRACK;
    put32(57, cylinders * HEADS * SECTORS_PER_TRACK);
    if (this.#multiple > 0) words[59] = 0x0100 | this.#multiple;
    put32(60, Math.min(sectors, MOST_LBA28));
    words[63] = 0x07; // multiword DMA 0-2
    words[64] = 0x03; // PIO 3 and 4
    words[65] = words[66] = words[67] = words[68] = 120;
    words[80] = 0xf0; // ATA-4 to ATA-7
    words[82] = 0x4020; // NOP, write cache
    words[83] = 0x7400; // flushes, 48 bits
    words[84] = 0x4000;
    words[85] = 0x4020;
    words[86] = 0x3400;
    words[87] = 0x4000;
    words[88] = 0x203f; // ultra DMA 0-5, 5 is on
    words[93] = 0x6001;
    put32(100, sectors % 2 ** 32);
    put32(102, Math.floor(sectors / 2 ** 32));
    return bytesOf(words);
  }

  reset(): void {
    this.#epoch++;
    this.#code = 0;
    this.#isWaiting = this.#isFlushing = false;
    this.#multiple = MOST_MULTIPLE;
  }

  save(): DeviceState {
    return {
      multiple: this.#multiple,
      code: this.#code,
      lba: [this.#lba % 2 ** 32, Math.floor(this.#lba / 2 ** 32)],
      left: this.#left,
      piece: this.#code === 0 ? [] : Array.from(this.#piece),
      at: this.#at,
      waiting: this.#isWaiting ? 1 : 0,
      flushing: this.#isFlushing ? 1 : 0,
    };
  }

  restore(state: DeviceState): void {
    this.reset();
    this.#multiple = Math.min(savedNumber(state, 'multiple'), MOST_MULTIPLE);
    const [low = 0, high = 0] = savedNumbers(state, 'lba', 2);
    this.#lba = high * 2 ** 32 + low;
    this.#left = savedNumber(state, 'left');
    this.#piece = Uint8Array.from(savedNumbers(state, 'piece', MOST_BLOCK_BYTES));
    this.#at = savedNumber(state, 'at');
    const code = savedNumber(state, 'code');
    const isSound =
      TRANSFERS.has(code) &&
      this.#piece.length > 0 &&
      this.#piece.length % SECTOR_BYTES === 0 &&
      this.#at <= this.#piece.length &&
      this.#at % SECTOR_BYTES === 0 &&
      this.#piece.length / SECTOR_BYTES <= this.#left &&
      this.#left <= 65536 &&
      this.#lba + this.#left <= this.#sectors &&
      !(this.#readOnly && TRANSFERS.get(code)?.writes === true);
    this.#code = isSound ? code : 0;
    if (savedNumber(state, 'flushing') !== 0) this.#flush();
    else if (savedNumber(state, 'waiting') !== 0 && isSound) this.#access();
  }

  counters(): Record<string, number> {
    return { reads: this.#reads, writes: this.#writes, errors: this.#errors };
  }
}

/** A hard disk for a channel. */
export const ideDisk =
  (options: IdeDiskOptions): MakeDrive =>
  (port) =>
    new IdeDisk(port, options);
