/** Packets of gdb's remote serial protocol (gdb's manual, appendix "Remote Protocol", "Overview"): framing, escapes, checksums. */

export const INTERRUPT = 0x03;
const DOLLAR = 0x24;
const HASH = 0x23;
const STAR = 0x2a;
const PLUS = 0x2b;
const MINUS = 0x2d;
const ESCAPE = 0x7d;
const ESCAPED = 0x20;

/** What a packet's contents may have, bytes as they come: what `PacketSize` tells clients, and room for escapes. */
export const PACKET_BYTES = 0x2_0000;
const MAX_RAW_BYTES = 2 * PACKET_BYTES + 16;

/** A run of equal characters is at least so long to be worth a count, and at most so long that the count is printable. */
const LEAST_REPEATS = 3;
const MOST_REPEATS = 97;
const REPEAT_BASE = 29;

const HEX = '0123456789abcdef';

/** The value of a hexadecimal digit's code; -1: it is none. */
export function digit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Bytes as hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += (HEX[byte >> 4] as string) + (HEX[byte & 15] as string);
  return text;
}

/** The bytes of hexadecimal digits; undefined: that is not what they are. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const value = (digit(text.charCodeAt(2 * i)) << 4) | digit(text.charCodeAt(2 * i + 1));
    if (value < 0) return undefined;
    bytes[i] = value;
  }
  return bytes;
}

/** A number of hexadecimal digits, of at most 64 bits; undefined: it is none. */
export function parseNumber(text: string): bigint | undefined {
  return /^[0-9a-fA-F]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
}

/** The same for what counts bytes. */
export function parseCount(text: string): number | undefined {
  return /^[0-9a-fA-F]{1,8}$/.test(text) ? Number.parseInt(text, 16) : undefined;
}

/** Characters one to one: the protocol's are of one byte. */
export function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export function textOf(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return text;
}

/** A reply's frame: escapes what would end it, and shortens runs of equal characters. */
export function framePacket(contents: string | Uint8Array): Uint8Array {
  const bytes = typeof contents === 'string' ? bytesOf(contents) : contents;
  const frame = new Uint8Array(2 * bytes.length + 4);
  let length = 1;
  frame[0] = DOLLAR;
  for (let i = 0; i < bytes.length; ) {
    const byte = bytes[i] as number;
    if (byte === DOLLAR || byte === HASH || byte === STAR || byte === ESCAPE) {
      frame[length++] = ESCAPE;
      frame[length++] = byte ^ ESCAPED;
      i++;
      continue;
    }
    frame[length++] = byte;
    let repeats = 0;
    while (repeats < MOST_REPEATS && bytes[i + 1 + repeats] === byte) repeats++;
    // Counts that would be "#" and "$" are not allowed.
    if (repeats === 6 || repeats === 7) repeats = 5;
    if (repeats >= LEAST_REPEATS) {
      frame[length++] = STAR;
      frame[length++] = REPEAT_BASE + repeats;
      i += 1 + repeats;
    } else i++;
  }
  let sum = 0;
  for (let i = 1; i < length; i++) sum += frame[i] as number;
  frame[length++] = HASH;
  frame[length++] = HEX.charCodeAt((sum >> 4) & 15);
  frame[length++] = HEX.charCodeAt(sum & 15);
  return frame.subarray(0, length);
}

export interface PacketUser {
  /** A packet's contents, without escapes. The bytes are the callee's to keep. */
  packet(contents: Uint8Array): void;
  /** A packet whose sum is wrong. */
  broken(): void;
  interrupt(): void;
  acknowledged(isGood: boolean): void;
}

/** Finds packets in a stream of bytes, however they are cut. What is between packets and means nothing is passed over. */
export class PacketReader {
  readonly #user: PacketUser;
  readonly #raw = new Uint8Array(MAX_RAW_BYTES);
  #length = 0;
  #state: 'outside' | 'inside' | 'sum' = 'outside';
  #sum = 0;
  #told = -1;
  #isTooLong = false;

  constructor(user: PacketUser) {
    this.#user = user;
  }

  push(bytes: Uint8Array): void {
    for (const byte of bytes) this.#next(byte);
  }

  #next(byte: number): void {
    switch (this.#state) {
      case 'outside':
        if (byte === DOLLAR) this.#begin();
        else if (byte === INTERRUPT) this.#user.interrupt();
        else if (byte === PLUS || byte === MINUS) this.#user.acknowledged(byte === PLUS);
        break;
      case 'inside':
        if (byte === DOLLAR) this.#begin();
        else if (byte === HASH) this.#state = 'sum';
        else {
          this.#sum += byte;
          if (this.#length === MAX_RAW_BYTES) this.#isTooLong = true;
          else this.#raw[this.#length++] = byte;
        }
        break;
      case 'sum':
        if (this.#told < 0) this.#told = Math.max(0, digit(byte)) << 4;
        else this.#end(this.#told | Math.max(0, digit(byte)));
    }
  }

  #begin(): void {
    this.#state = 'inside';
    this.#length = 0;
    this.#sum = 0;
    this.#told = -1;
    this.#isTooLong = false;
  }

  #end(told: number): void {
    this.#state = 'outside';
    if (told !== (this.#sum & 0xff) || this.#isTooLong) this.#user.broken();
    else this.#user.packet(this.#contents());
  }

  #contents(): Uint8Array {
    const contents = new Uint8Array(this.#length);
    let length = 0;
    for (let i = 0; i < this.#length; i++) {
      const byte = this.#raw[i] as number;
      contents[length++] = byte === ESCAPE && i + 1 < this.#length ? (this.#raw[++i] as number) ^ ESCAPED : byte;
    }
    return contents.subarray(0, length);
  }
}
