/** 9P2000.L: numbers of its messages, and how their fields lie. All is little-endian; strings are a length of 16 bits and bytes. */

/** Requests; the answer's number is one more. */
export const REQUEST = {
  statfs: 8,
  lopen: 12,
  lcreate: 14,
  symlink: 16,
  mknod: 18,
  rename: 20,
  readlink: 22,
  getattr: 24,
  setattr: 26,
  xattrwalk: 30,
  xattrcreate: 32,
  readdir: 40,
  fsync: 50,
  lock: 52,
  getlock: 54,
  link: 70,
  mkdir: 72,
  renameat: 74,
  unlinkat: 76,
  version: 100,
  auth: 102,
  attach: 104,
  flush: 108,
  walk: 110,
  read: 116,
  write: 118,
  clunk: 120,
  remove: 122,
} as const;
export type RequestName = keyof typeof REQUEST;

export const RLERROR = 7;
/** size[4] type[1] tag[2] */
export const HEADER_BYTES = 7;
/** An Rlerror's size, the least room that an answer must have. */
export const ERROR_BYTES = 11;
/** What an Rread or an Rreaddir has before its data. */
export const DATA_HEADER_BYTES = 11;
export const QID_BYTES = 13;

export const NO_FID = 0xffffffff;
export const NO_UID = 0xffffffff;
export const MAX_WALK_NAMES = 16;
export const MAX_NAME_BYTES = 255;

export const QID_DIRECTORY = 0x80;
export const QID_LINK = 0x02;

/** Flags of Tlopen and Tlcreate: Linux's generic ones, whatever the guest's architecture has. */
export const OPEN = {
  access: 3,
  readOnly: 0,
  writeOnly: 1,
  exclusive: 0o200,
  truncate: 0o1000,
  append: 0o2000,
  directory: 0o200000,
};

export const SETATTR = {
  mode: 1,
  uid: 2,
  gid: 4,
  size: 8,
  atime: 0x10,
  mtime: 0x20,
  ctime: 0x40,
  atimeSet: 0x80,
  mtimeSet: 0x100,
};

/** Bits of Rgetattr's `valid` that are always known: P9_STATS_BASIC. */
export const STATS_BASIC = 0x7ffn;
export const REMOVE_DIRECTORY = 0x200;

/** What names a file: kind, a version that changes with its contents, and a number that nothing else has. */
export interface Qid {
  readonly type: number;
  readonly version: number;
  readonly path: bigint;
}

/** A request's fields, one after the other. What lies behind its end reads as zero, and `isShort` is true. */
export class RequestReader {
  isShort = false;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = HEADER_BYTES;

  /** `bytes`: from `size` on, and no more than that says. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) {
      this.isShort = true;
      this.#at = this.#bytes.length;
      return -1;
    }
    this.#at = at + length;
    return at;
  }

  u8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : (this.#bytes[at] as number);
  }

  u16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : this.#view.getUint16(at, true);
  }

  u32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#view.getUint32(at, true);
  }

  u64(): bigint {
    const at = this.#take(8);
    return at < 0 ? 0n : this.#view.getBigUint64(at, true);
  }

  i64(): bigint {
    return BigInt.asIntN(64, this.u64());
  }

  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return at < 0 ? this.#bytes.subarray(0, 0) : this.#bytes.subarray(at, at + length);
  }

  /** One character a byte. */
  string(): string {
    let text = '';
    for (const byte of this.bytes(this.u16())) text += String.fromCharCode(byte);
    return text;
  }
}

/** An answer's fields, one after the other. What does not fit is left out, and `isFull` is true. */
export class AnswerWriter {
  isFull = false;
  readonly buffer: Uint8Array;
  readonly #view: DataView;
  /** As much of the buffer may be used. */
  readonly room: number;
  #at = HEADER_BYTES;

  constructor(buffer: Uint8Array, room: number) {
    this.buffer = buffer;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.room = Math.min(room, buffer.length);
  }

  get left(): number {
    return this.room - this.#at;
  }

  /** Reserves bytes; -1: there is no room. */
  skip(length: number): number {
    const at = this.#at;
    if (at + length > this.room) {
      this.isFull = true;
      return -1;
    }
    this.#at = at + length;
    return at;
  }

  u8(value: number): void {
    const at = this.skip(1);
    if (at >= 0) this.buffer[at] = value;
  }

  u16(value: number): void {
    const at = this.skip(2);
    if (at >= 0) this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.skip(4);
    if (at >= 0) this.#view.setUint32(at, value, true);
  }

  u64(value: bigint): void {
    const at = this.skip(8);
    if (at >= 0) this.#view.setBigUint64(at, value, true);
  }

  string(text: string): void {
    this.u16(text.length);
    const at = this.skip(text.length);
    if (at < 0) return;
    for (let i = 0; i < text.length; i++) this.buffer[at + i] = text.charCodeAt(i);
  }

  qid({ type, version, path }: Qid): void {
    this.u8(type);
    this.u32(version);
    this.u64(path);
  }

  /** Seconds and nanoseconds of a time in nanoseconds. */
  time(ns: bigint): void {
    const part = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    this.u64(BigInt.asUintN(64, (ns - part) / 1_000_000_000n));
    this.u64(part);
  }

  /** Overwrites a word that `skip(4)` reserved. */
  patch32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** The message, complete. */
  finish(type: number, tag: number): Uint8Array {
    this.#view.setUint32(0, this.#at, true);
    this.buffer[4] = type;
    this.#view.setUint16(5, tag, true);
    return this.buffer.subarray(0, this.#at);
  }

  /** Forgets all fields, and says an error. */
  error(errno: number, tag: number): Uint8Array {
    this.#at = HEADER_BYTES;
    this.u32(errno);
    return this.finish(RLERROR, tag);
  }
}
