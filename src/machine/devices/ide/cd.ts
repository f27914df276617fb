import { type DeviceState, savedNumber, savedNumbers } from '../../device.ts';
import type { BlockStore } from '../../outside/blocks.ts';
import { aborted, MOST_BLOCK_BYTES } from './channel.ts';
import { bytesOf, putText } from './disk.ts';
import { ERROR, type IdeDrive, type IdePort, type MakeDrive } from './drive.ts';

const BLOCK_BYTES = 2048;
const PACKET_BYTES = 12;
/** Data goes in pieces of so many blocks at most. */
const PIECE_BLOCKS = MOST_BLOCK_BYTES / BLOCK_BYTES;

/** Commands of ATA for packet devices (ATA/ATAPI-6, chapter 8). */
const DEVICE_RESET = 0x08;
const PACKET = 0xa0;
const IDENTIFY_PACKET = 0xa1;
const SET_FEATURES = 0xef;
const POWER: readonly number[] = [0xe0, 0xe1, 0xe2, 0xe3, 0xe6];
/** Features of PACKET: data by DMA. */
const DMA = 0x01;
/** Why there is an interrupt, in the count register (SFF-8020i, 5.2): for the packet, for data to the guest, for the end. */
const REASON = { PACKET: 1, DATA: 2, END: 3 } as const;

/** Commands in packets (MMC-3, SPC-2). */
const OP = {
  TEST_UNIT_READY: 0x00,
  REQUEST_SENSE: 0x03,
  INQUIRY: 0x12,
  MODE_SENSE_6: 0x1a,
  START_STOP: 0x1b,
  PREVENT: 0x1e,
  READ_CAPACITY: 0x25,
  READ_10: 0x28,
  SEEK: 0x2b,
  READ_TOC: 0x43,
  GET_CONFIGURATION: 0x46,
  GET_EVENT: 0x4a,
  READ_DISC: 0x51,
  MODE_SENSE_10: 0x5a,
  READ_12: 0xa8,
  MECHANISM: 0xbd,
} as const;

/** Sense keys, and additional codes with their qualifiers. */
const SENSE = { NONE: 0, MEDIUM: 3, ILLEGAL: 5 } as const;
const ASC = { NONE: 0x0000, READ_ERROR: 0x1100, UNKNOWN: 0x2000, RANGE: 0x2100, FIELD: 0x2400 } as const;

/** The lead-out's number in a table of contents. */
const LEAD_OUT = 0xaa;
const DATA_TRACK = 0x14;
/** Frames a second; a disc's first block is two seconds in. */
const FRAMES = 75;
const PREGAP = 150;

/** A CD-ROM drive with a disc in it. Images of more than a CD's size are DVDs' to a guest, and read alike. */
class IdeCd implements IdeDrive {
  readonly signature = { middle: 0x14, high: 0xeb };
  readonly #port: IdePort;
  readonly #store: BlockStore;
  readonly #blocks: number;
  readonly #packet = new Uint8Array(PACKET_BYTES);
  #key: number = SENSE.NONE;
  #asc: number = ASC.NONE;
  /** The packet is awaited. */
  #isPacket = false;
  #isDma = false;
  /** Most bytes of a block of programmed I/O. */
  #limit = 0;
  /** Bytes for the guest, and how many have gone; what is to be read behind them. */
  #data: Uint8Array = new Uint8Array(0);
  #at = 0;
  #hasData = false;
  #lba = 0;
  #left = 0;
  #isWaiting = false;
  #epoch = 0;
  #reads = 0;
  #errors = 0;

  constructor(port: IdePort, store: BlockStore) {
    this.#port = port;
    this.#store = store;
    this.#blocks = Math.floor(store.size / BLOCK_BYTES);
  }

  command(code: number): void {
    const port = this.#port;
    const { task } = port;
    switch (code) {
      case PACKET:
        this.#isDma = (task.features & DMA) !== 0;
        // An odd limit is one less; none is the largest.
        this.#limit = (task.middle | (task.high << 8)) & ~1 || 0xfffe;
        this.#isPacket = true;
        task.count = REASON.PACKET;
        port.take(this.#packet, false, false);
        return;
      case IDENTIFY_PACKET:
        port.give(this.#identity(), false);
        return;
      case DEVICE_RESET:
        this.reset();
        Object.assign(task, { count: 1, low: 1, ...this.signature });
        return;
      case SET_FEATURES:
        port.end(0);
        return;
      default:
        if (POWER.includes(code)) port.end(0);
        else {
          // Whoever asks for a disk's identity learns what this is.
          Object.assign(task, { count: 1, low: 1, ...this.signature });
          aborted(port);
        }
    }
  }

  transferred(): void {
    if (this.#isPacket) {
      this.#isPacket = false;
      this.#run();
      return;
    }
    if (!this.#hasData) return;
    this.#at += this.#isDma ? this.#data.length : Math.min(this.#limit, this.#data.length - this.#at);
    this.#go();
  }

  #run(): void {
    const packet = this.#packet;
    const view = new DataView(packet.buffer);
    const op = packet[0] as number;
    if (op !== OP.REQUEST_SENSE) {
      this.#key = SENSE.NONE;
      this.#asc = ASC.NONE;
    }
    switch (op) {
      case OP.TEST_UNIT_READY:
      case OP.START_STOP:
      case OP.PREVENT:
      case OP.SEEK:
        this.#end();
        return;
      case OP.REQUEST_SENSE: {
        const answer = new Uint8Array(18);
        answer.set([0x70, 0, this.#key, 0, 0, 0, 0, 10, 0, 0, 0, 0, this.#asc >>> 8, this.#asc]);
        this.#answer(answer, packet[4] as number);
        return;
      }
      case OP.INQUIRY: {
        const answer = new Uint8Array(36);
        // A CD-ROM, removable, of SPC-2's format.
        answer.set([0x05, 0x80, 0x00, 0x21, 31]);
        const text = 'POWERV. CD-ROM          1   ';
        for (let i = 0; i < text.length; i++) answer[8 + i] = text.charCodeAt(i);
        this.#answer(answer, packet[4] as number);
        return;
      }
      case OP.READ_CAPACITY: {
        const answer = new DataView(new ArrayBuffer(8));
        answer.setUint32(0, Math.max(0, this.#blocks - 1));
        answer.setUint32(4, BLOCK_BYTES);
        this.#answer(new Uint8Array(answer.buffer), 8);
        return;
      }
      case OP.READ_10:
        this.#read(view.getUint32(2), view.getUint16(7));
        return;
      case OP.READ_12:
        this.#read(view.getUint32(2), view.getUint32(6));
        return;
      case OP.READ_TOC:
        this.#contents((packet[1] as number) & 2, packet[2] as number, packet[6] as number, view.getUint16(7));
        return;
      case OP.GET_CONFIGURATION:
        // Profile: CD-ROM; no features are listed.
        this.#answer(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 8), view.getUint16(7));
        return;
      case OP.GET_EVENT:
        // Nothing has happened: the classes of events that are served are the media's.
        this.#answer(Uint8Array.of(0, 6, 4, 0x10, 0, 2, 0, 0), view.getUint16(7));
        return;
      case OP.READ_DISC: {
        const answer = new Uint8Array(34);
        // Complete, last session complete; first track, sessions, tracks: one each.
        answer.set([0, 32, 0x0e, 1, 1, 1, 1]);
        this.#answer(answer, view.getUint16(7));
        return;
      }
      case OP.MODE_SENSE_6:
        this.#modes(packet[2] as number, 4, packet[4] as number);
        return;
      case OP.MODE_SENSE_10:
        this.#modes(packet[2] as number, 8, view.getUint16(7));
        return;
      case OP.MECHANISM:
        this.#answer(Uint8Array.of(0, 0, 0, 0, 0, 1, 0, 0), view.getUint16(8));
        return;
      default:
        this.#fail(SENSE.ILLEGAL, ASC.UNKNOWN);
        return;
    }
  }

  /** Mode pages: error recovery, and what the drive can. `header`: bytes of the list's own. */
  #modes(page: number, header: number, room: number): void {
    const recovery = [0x01, 6, 0, 5, 0, 0, 0, 0];
    const abilities = [0x2a, 18, 0, 0, 0x71, 0x60, 0x29, 0, 0x02, 0xc2, 0, 2, 0x02, 0, 0x02, 0xc2, 0, 0, 0, 0];
    const pages = [0x01, 0x2a, 0x3f].includes(page & 0x3f)
      ? [...((page & 0x3f) === 0x2a ? [] : recovery), ...((page & 0x3f) === 0x01 ? [] : abilities)]
      : undefined;
    if (pages === undefined) {
      this.#fail(SENSE.ILLEGAL, ASC.FIELD);
      return;
    }
    const answer = new Uint8Array(header + pages.length);
    answer.set(pages, header);
    // The length does not count itself; the medium: a data disc.
    if (header === 4) answer.set([answer.length - 1, 0x01]);
    else answer.set([0, answer.length - 2, 0x01]);
    this.#answer(answer, room);
  }

  /** The table of contents: one track of data. */
  #contents(inFrames: number, format: number, first: number, room: number): void {
    const address = (block: number): number[] => {
      if (inFrames === 0) return [block >>> 24, (block >>> 16) & 0xff, (block >>> 8) & 0xff, block & 0xff];
      const frames = block + PREGAP;
      return [0, Math.floor(frames / (60 * FRAMES)) & 0xff, Math.floor(frames / FRAMES) % 60, frames % FRAMES];
    };
    const kind = (format & 0x0f) === 0 ? (this.#packet[9] as number) >>> 6 : format & 0x0f;
    let body: number[];
    if (kind === 0) {
      if (first > 1 && first !== LEAD_OUT) {
        this.#fail(SENSE.ILLEGAL, ASC.FIELD);
        return;
      }
      body = [
        ...(first === LEAD_OUT ? [] : [0, DATA_TRACK, 1, 0, ...address(0)]),
        ...[0, DATA_TRACK, LEAD_OUT, 0, ...address(this.#blocks)],
      ];
    } else if (kind === 1) body = [0, DATA_TRACK, 1, 0, ...address(0)];
    else {
      this.#fail(SENSE.ILLEGAL, ASC.FIELD);
      return;
    }
    this.#answer(Uint8Array.of(0, body.length + 2, 1, 1, ...body), room);
  }

  #read(lba: number, count: number): void {
    if (lba + count > this.#blocks) {
      this.#fail(SENSE.ILLEGAL, ASC.RANGE);
      return;
    }
    if (count === 0) {
      this.#end();
      return;
    }
    this.#reads++;
    this.#lba = lba;
    this.#left = count;
    this.#fetch();
  }

  /** Has the outside read the next piece. */
  #fetch(): void {
    const epoch = this.#epoch;
    const bytes = Math.min(this.#left, PIECE_BLOCKS) * BLOCK_BYTES;
    if (this.#data.length !== bytes) this.#data = new Uint8Array(bytes);
    this.#isWaiting = true;
    this.#port.busy();
    this.#port.outside.wait(
      this.#store.read(this.#lba * BLOCK_BYTES, this.#data),
      () => {
        if (epoch !== this.#epoch) return;
        this.#isWaiting = false;
        this.#lba += bytes / BLOCK_BYTES;
        this.#left -= bytes / BLOCK_BYTES;
        this.#at = 0;
        this.#hasData = true;
        this.#go();
      },
      () => {
        if (epoch !== this.#epoch) return;
        this.#isWaiting = false;
        this.#fail(SENSE.MEDIUM, ASC.READ_ERROR);
      },
    );
  }

  #answer(bytes: Uint8Array, room: number): void {
    this.#left = 0;
    this.#data = bytes.slice(0, room);
    this.#at = 0;
    this.#hasData = true;
    this.#go();
  }

  /** Gives the next block of what is there, fetches more, or ends. */
  #go(): void {
    const { task } = this.#port;
    const rest = this.#data.length - this.#at;
    if (rest === 0) {
      this.#hasData = false;
      if (this.#left > 0) this.#fetch();
      else this.#end();
      return;
    }
    const count = this.#isDma ? rest : Math.min(this.#limit, rest);
    task.count = REASON.DATA;
    if (!this.#isDma) {
      task.middle = count & 0xff;
      task.high = count >>> 8;
    }
    this.#port.give(this.#data.subarray(this.#at, this.#at + count), this.#isDma);
  }

  #end(): void {
    this.#port.task.count = REASON.END;
    this.#port.end(0);
  }

  #fail(key: number, asc: number): void {
    this.#errors++;
    this.#key = key;
    this.#asc = asc;
    this.#hasData = false;
    this.#left = 0;
    this.#port.task.count = REASON.END;
    this.#port.end((key << 4) | ERROR.ABRT);
  }

  #identity(): Uint8Array {
    const words = new Uint16Array(256);
    words[0] = 0x85c0; // packet device, CD-ROM, removable, DRQ within 50 µs, packets of 12 bytes
    putText(words, 10, 10, 'PV00003');
    putText(words, 23, 4, '1');
    putText(words, 27, 20, 'POWERVISOR CD-ROM');
    words[48] = 1;
    words[49] = 0x0b00; // IORDY, LBA, DMA
    words[53] = 7;
    words[63] = 0x07;
    words[64] = 0x03;
    words[65] = words[66] = 180;
    words[67] = words[68] = 300;
    words[80] = 0x1e;
    words[88] = 0x203f;
    return bytesOf(words);
  }

  reset(): void {
    this.#epoch++;
    this.#isPacket = this.#hasData = this.#isWaiting = false;
    this.#left = 0;
    this.#key = SENSE.NONE;
    this.#asc = ASC.NONE;
  }

  save(): DeviceState {
    return {
      packet: Array.from(this.#packet),
      sense: [this.#key, this.#asc],
      awaited: this.#isPacket ? 1 : 0,
      dma: this.#isDma ? 1 : 0,
      limit: this.#limit,
      data: this.#hasData ? Array.from(this.#data) : [],
      at: this.#at,
      lba: this.#lba,
      left: this.#left,
      waiting: this.#isWaiting ? 1 : 0,
    };
  }

  restore(state: DeviceState): void {
    this.reset();
    this.#packet.set(savedNumbers(state, 'packet', PACKET_BYTES));
    const [key = 0, asc = 0] = savedNumbers(state, 'sense', 2);
    this.#key = key & 15;
    this.#asc = asc & 0xffff;
    this.#isPacket = savedNumber(state, 'awaited') !== 0;
    this.#isDma = savedNumber(state, 'dma') !== 0;
    this.#limit = Math.max(2, savedNumber(state, 'limit') & 0xfffe);
    this.#data = Uint8Array.from(savedNumbers(state, 'data', MOST_BLOCK_BYTES));
    this.#at = Math.min(savedNumber(state, 'at'), this.#data.length);
    this.#hasData = this.#data.length > 0;
    this.#lba = savedNumber(state, 'lba');
    this.#left = savedNumber(state, 'left');
    if (this.#lba + this.#left > this.#blocks) this.#left = 0;
    if (savedNumber(state, 'waiting') !== 0 && this.#left > 0) this.#fetch();
  }

  counters(): Record<string, number> {
    return { reads: this.#reads, errors: this.#errors };
  }
}

/** A CD-ROM drive for a channel. */
export const ideCd =
  (store: BlockStore): MakeDrive =>
  (port) =>
    new IdeCd(port, store);
