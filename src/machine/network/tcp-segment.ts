import { MTU } from './addresses.ts';
import { checksum, fold, pseudoHeader, read16, read32, sumBytes, write16, write32 } from './bytes.ts';
import type { Transmitter } from './transmitter.ts';
import { IP_BYTES, IP_PAYLOAD, type Packet, PROTOCOL, TCP_BYTES, TCP_FLAG } from './wire.ts';

/** What one segment carries at most on our side of the link. */
export const MAX_SEGMENT_BYTES = MTU - IP_BYTES - TCP_BYTES;
/** What a segment carries when nothing was said (RFC 9293, 3.7.1), and the least that is believed. */
const DEFAULT_SEGMENT_BYTES = 536;
const LEAST_SEGMENT_BYTES = 64;
const MOST_SCALE = 14;
const OPTION = { END: 0, NOTHING: 1, SEGMENT_BYTES: 2, SCALE: 3 } as const;
/** Our SYN's options: the segment's size, padding, the window's scale. */
const SYN_OPTION_BYTES = 8;

/** The two ends of a connection: the guest's, and the one of the outside that we stand for. */
export interface Ends {
  readonly guest: number;
  readonly guestPort: number;
  readonly remote: number;
  readonly remotePort: number;
}

/** A segment of the guest's. One object is used for all. */
export class Segment implements Ends {
  frame: Uint8Array = new Uint8Array(0);
  guest = 0;
  guestPort = 0;
  remote = 0;
  remotePort = 0;
  sequence = 0;
  acknowledgement = 0;
  flags = 0;
  window = 0;
  /** Where its bytes begin and end in the frame. */
  start = 0;
  end = 0;
  /** A SYN's options; `scale` is -1 when it has none. */
  segmentBytes = DEFAULT_SEGMENT_BYTES;
  scale = -1;

  get length(): number {
    return this.end - this.start;
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /** Reads a packet. False: it is none, or has come broken. */
  read(packet: Packet): boolean {
    const { frame, start, end, source, destination } = packet;
    if (end - start < TCP_BYTES) return false;
    const headerBytes = ((frame[start + 12] as number) >> 4) * 4;
    if (headerBytes < TCP_BYTES || start + headerBytes > end) return false;
    if (!packet.isPartial) {
      const sum = pseudoHeader(source, destination, PROTOCOL.TCP, end - start);
      if (fold(sumBytes(frame, start, end, sum)) !== 0xffff) return false;
    }
    this.frame = frame;
    this.guest = source;
    this.remote = destination;
    this.guestPort = read16(frame, start);
    this.remotePort = read16(frame, start + 2);
    this.sequence = read32(frame, start + 4);
    this.acknowledgement = read32(frame, start + 8);
    this.flags = frame[start + 13] as number;
    this.window = read16(frame, start + 14);
    this.start = start + headerBytes;
    this.end = end;
    if (this.has(TCP_FLAG.SYN)) this.#options(start + TCP_BYTES);
    return true;
  }

  #options(from: number): void {
    const { frame, start: end } = this;
    this.segmentBytes = DEFAULT_SEGMENT_BYTES;
    this.scale = -1;
    let at = from;
    while (at < end && frame[at] !== OPTION.END) {
      if (frame[at] === OPTION.NOTHING) {
        at++;
        continue;
      }
      const length = at + 1 < end ? (frame[at + 1] as number) : 0;
      if (length < 2 || at + length > end) return;
      if (frame[at] === OPTION.SEGMENT_BYTES && length === 4)
        this.segmentBytes = Math.min(Math.max(read16(frame, at + 2), LEAST_SEGMENT_BYTES), MAX_SEGMENT_BYTES);
      if (frame[at] === OPTION.SCALE && length === 3) this.scale = Math.min(frame[at + 2] as number, MOST_SCALE);
      at += length;
    }
  }
}

/**
 * Writes a segment's header into the transmitter's frame, for `length` bytes that stand at SEGMENT_DATA already. False: the
 * guest's hardware address is not known.
 */
export function writeSegment(
  transmitter: Transmitter,
  { guest, guestPort, remote, remotePort }: Ends,
  sequence: number,
  acknowledgement: number,
  flags: number,
  window: number,
  length: number,
  isPartial: boolean,
): boolean {
  const { frame } = transmitter;
  const total = TCP_BYTES + length;
  if (!transmitter.ipv4(PROTOCOL.TCP, remote, guest, total)) return false;
  writeHeader(frame, guestPort, remotePort, sequence, acknowledgement, flags, window, TCP_BYTES);
  const sum = pseudoHeader(remote, guest, PROTOCOL.TCP, total);
  const field = isPartial ? fold(sum) : checksum(sumBytes(frame, IP_PAYLOAD, IP_PAYLOAD + total, sum));
  write16(frame, IP_PAYLOAD + 16, field);
  return true;
}

/** Where a segment's bytes stand in the transmitter's frame. */
export const SEGMENT_DATA = IP_PAYLOAD + TCP_BYTES;

/** Sends a SYN, or with an acknowledgement a SYN's answer. `scale` -1: without that option. */
export function sendSyn(
  transmitter: Transmitter,
  { guest, guestPort, remote, remotePort }: Ends,
  sequence: number,
  acknowledgement: number | undefined,
  window: number,
  scale: number,
): void {
  const { frame } = transmitter;
  const length = TCP_BYTES + SYN_OPTION_BYTES;
  if (!transmitter.ipv4(PROTOCOL.TCP, remote, guest, length)) return;
  const flags = TCP_FLAG.SYN | (acknowledgement === undefined ? 0 : TCP_FLAG.ACK);
  writeHeader(frame, guestPort, remotePort, sequence, acknowledgement ?? 0, flags, window, length);
  write32(frame, SEGMENT_DATA, (OPTION.SEGMENT_BYTES << 24) | (4 << 16) | MAX_SEGMENT_BYTES);
  const scaling = (OPTION.NOTHING << 24) | (OPTION.SCALE << 16) | (3 << 8) | scale;
  write32(frame, SEGMENT_DATA + 4, scale < 0 ? OPTION.NOTHING * 0x0101_0101 : scaling);
  const sum = pseudoHeader(remote, guest, PROTOCOL.TCP, length);
  write16(frame, IP_PAYLOAD + 16, checksum(sumBytes(frame, IP_PAYLOAD, IP_PAYLOAD + length, sum)));
  transmitter.send(IP_PAYLOAD + length);
}

/** Sends a reset. */
export function sendReset(transmitter: Transmitter, ends: Ends, sequence: number, acknowledgement?: number): void {
  const flags = TCP_FLAG.RST | (acknowledgement === undefined ? 0 : TCP_FLAG.ACK);
  if (writeSegment(transmitter, ends, sequence, acknowledgement ?? 0, flags, 0, 0, false))
    transmitter.send(SEGMENT_DATA);
}

/** Answers a segment that belongs to no connection (RFC 9293, 3.5.2). */
export function refuse(transmitter: Transmitter, segment: Segment): void {
  if (segment.has(TCP_FLAG.RST)) return;
  if (segment.has(TCP_FLAG.ACK)) {
    sendReset(transmitter, segment, segment.acknowledgement);
    return;
  }
  const length = segment.length + (segment.has(TCP_FLAG.SYN) ? 1 : 0) + (segment.has(TCP_FLAG.FIN) ? 1 : 0);
  sendReset(transmitter, segment, 0, (segment.sequence + length) >>> 0);
}

function writeHeader(
  frame: Uint8Array,
  guestPort: number,
  remotePort: number,
  sequence: number,
  acknowledgement: number,
  flags: number,
  window: number,
  headerBytes: number,
): void {
  write16(frame, IP_PAYLOAD, remotePort);
  write16(frame, IP_PAYLOAD + 2, guestPort);
  write32(frame, IP_PAYLOAD + 4, sequence);
  write32(frame, IP_PAYLOAD + 8, acknowledgement);
  write16(frame, IP_PAYLOAD + 12, ((headerBytes / 4) << 12) | flags);
  write16(frame, IP_PAYLOAD + 14, window);
  write32(frame, IP_PAYLOAD + 16, 0);
}
