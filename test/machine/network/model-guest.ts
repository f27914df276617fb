/**
 * A guest for tests of the user network: a card, ARP, IPv4, UDP, ICMP and a small TCP of its own, written from the RFCs and
 * sharing no code with what it tests. It takes frames whenever the event loop turns, as a guest does.
 */
import assert from 'node:assert/strict';
import type { PacketLink, PacketReceiver } from '../../../src/machine/index.ts';

export const GATEWAY = '10.0.2.2';
export const RESOLVER = '10.0.2.3';
const BROADCAST_MAC = Buffer.alloc(6, 0xff);
const SMALLEST_TIMEOUT_MS = 300;

export const ip = (text: string): number => Buffer.from(text.split('.').map(Number)).readUInt32BE();
const dotted = (bytes: Buffer): string => [...bytes].join('.');

export function sum16(...parts: readonly Buffer[]): number {
  let sum = 0;
  for (const part of parts) for (let i = 0; i < part.length; i++) sum += (part[i] as number) << (i % 2 === 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

export interface Datagram {
  readonly source: string;
  readonly port: number;
  readonly payload: Buffer;
}

interface GuestOptions {
  readonly address?: string;
  readonly mac?: string;
  /** Frames that its card holds before it has no room. */
  readonly room?: number;
  readonly takesSegments?: boolean;
  /** Whether a frame gets lost, either way. */
  readonly loses?: (frame: Buffer, way: 'in' | 'out') => boolean;
}

export class ModelGuest implements PacketReceiver {
  link: PacketLink;
  readonly mac: Buffer;
  address: string;
  takesSegments: boolean;
  readonly #room: number;
  readonly #loses: (frame: Buffer, way: 'in' | 'out') => boolean;
  readonly #inbox: { frame: Buffer; segmentBytes: number | undefined }[] = [];
  #refused = false;
  #scheduled = false;
  readonly macs = new Map<string, Buffer>();
  /** Frames that came, whole, for tests that look at them. */
  readonly seen: Buffer[] = [];
  keepFrames = false;
  longest = 0;
  #udp = new Map<number, (datagram: Datagram) => void>();
  readonly icmp: { type: number; code: number; source: string; body: Buffer }[] = [];
  #icmpWaiting: ((value: undefined) => void)[] = [];
  readonly connections = new Map<string, GuestConnection>();
  readonly listeners = new Map<number, (connection: GuestConnection) => void>();
  readonly #fragments = new Map<string, Buffer[]>();
  nextPort = 40_000;

  constructor(link: PacketLink, options: GuestOptions = {}) {
    this.link = link;
    this.address = options.address ?? '10.0.2.15';
    this.mac = Buffer.from((options.mac ?? '525400123456').replaceAll(':', ''), 'hex');
    this.#room = options.room ?? 256;
    this.takesSegments = options.takesSegments ?? false;
    this.#loses = options.loses ?? (() => false);
    link.receiver = this;
  }

  /** Pulls the plug, and puts it into another network. */
  moveTo(link: PacketLink): this {
    this.link.receiver = undefined;
    this.link = link;
    link.receiver = this;
    return this;
  }

  receive(frame: Uint8Array, segmentBytes?: number): boolean {
    if (this.#inbox.length >= this.#room) {
      this.#refused = true;
      return false;
    }
    assert.ok(segmentBytes === undefined || this.takesSegments, 'a long segment to a card that takes none');
    this.#inbox.push({ frame: Buffer.from(frame), segmentBytes });
    this.#schedule();
    return true;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const frames = this.#inbox.splice(0);
      for (const { frame, segmentBytes } of frames) {
        this.longest = Math.max(this.longest, frame.length);
        if (this.keepFrames) this.seen.push(frame);
        if (!this.#loses(frame, 'in')) this.#take(frame, segmentBytes);
      }
      if (this.#refused) {
        this.#refused = false;
        this.link.roomAgain();
      }
    });
  }

  sendFrame(frame: Buffer, isPartial = false): void {
    if (this.#loses(frame, 'out')) return;
    // The buffer is used again by whoever sends: what the link keeps of it must be a copy.
    const borrowed = Buffer.from(frame);
    this.link.send(borrowed, isPartial);
    borrowed.fill(0xee);
  }

  #take(frame: Buffer, segmentBytes: number | undefined): void {
    assert.ok(segmentBytes !== undefined || frame.length <= 1514, 'a frame that is longer than the MTU');
    assert.ok(frame.subarray(0, 6).equals(this.mac) || frame.subarray(0, 6).equals(BROADCAST_MAC), 'not for this card');
    const type = frame.readUInt16BE(12);
    if (type === 0x0806) this.#takeArp(frame);
    else if (type === 0x0800) this.#takeIp(frame.subarray(14), segmentBytes);
    else assert.fail(`a frame of type ${type}`);
  }

  #takeArp(frame: Buffer): void {
    const operation = frame.readUInt16BE(20);
    const sender = dotted(frame.subarray(28, 32));
    if (operation === 2) this.macs.set(sender, Buffer.from(frame.subarray(22, 28)));
    if (operation === 1 && dotted(frame.subarray(38, 42)) === this.address) this.arp(2, sender, frame.subarray(22, 28));
  }

  /** Sends ARP: a request (1) or an answer (2). */
  arp(operation: number, target: string, targetMac: Buffer = Buffer.alloc(6), sender = this.address): void {
    const frame = Buffer.alloc(42);
    (operation === 1 ? BROADCAST_MAC : targetMac).copy(frame, 0);
    this.mac.copy(frame, 6);
    Buffer.from('08060001080006040000', 'hex').copy(frame, 12);
    frame.writeUInt16BE(operation, 20);
    this.mac.copy(frame, 22);
    frame.writeUInt32BE(ip(sender), 28);
    targetMac.copy(frame, 32);
    frame.writeUInt32BE(ip(target), 38);
    this.sendFrame(frame);
  }

  #takeIp(packet: Buffer, segmentBytes: number | undefined): void {
    assert.equal(packet[0], 0x45);
    assert.equal(sum16(packet.subarray(0, 20)), 0xffff, 'the IPv4 header has a wrong checksum');
    const length = packet.readUInt16BE(2);
    assert.ok(length <= packet.length);
    const fragment = packet.readUInt16BE(6);
    const source = dotted(packet.subarray(12, 16));
    const protocol = packet[9] as number;
    let payload = packet.subarray(20, length);
    if ((fragment & 0x3fff) !== 0) {
      const key = `${source} ${protocol} ${packet.readUInt16BE(4)}`;
      const parts = this.#fragments.get(key) ?? [];
      this.#fragments.set(key, parts);
      assert.equal(Buffer.concat(parts).length, (fragment & 0x1fff) * 8, 'fragments come in their order');
      parts.push(payload);
      if ((fragment & 0x2000) !== 0) return;
      this.#fragments.delete(key);
      payload = Buffer.concat(parts);
    }
    const pseudo = Buffer.concat([
      packet.subarray(12, 20),
      Buffer.of(0, protocol, payload.length >> 8, payload.length & 255),
    ]);
    if (protocol === 6) {
      if (segmentBytes === undefined) assert.equal(sum16(pseudo, payload), 0xffff, 'a TCP checksum is wrong');
      else assert.equal(payload.readUInt16BE(16), sum16(pseudo), 'not the sum of the pseudo header');
      this.#takeTcp(source, payload);
    } else if (protocol === 17) {
      assert.equal(sum16(pseudo, payload), 0xffff, 'a UDP checksum is wrong');
      assert.equal(payload.readUInt16BE(4), payload.length);
      const datagram = { source, port: payload.readUInt16BE(0), payload: payload.subarray(8) };
      this.#udp.get(payload.readUInt16BE(2))?.(datagram);
    } else if (protocol === 1) {
      assert.equal(sum16(payload), 0xffff, 'an ICMP checksum is wrong');
      this.icmp.push({ type: payload[0] as number, code: payload[1] as number, source, body: payload.subarray(4) });
      for (const one of this.#icmpWaiting.splice(0)) one(undefined);
    }
  }

  /** Sends an IPv4 packet. */
  sendIp(
    protocol: number,
    destination: string,
    payload: Buffer,
    { source = this.address, timeToLive = 64, fragment = 0, identification = 0, isPartial = false } = {},
  ): void {
    const frame = Buffer.alloc(34 + payload.length);
    (this.macs.get(destination) ?? Buffer.from('52550a000202', 'hex')).copy(frame, 0);
    this.mac.copy(frame, 6);
    frame.writeUInt16BE(0x0800, 12);
    frame[14] = 0x45;
    frame.writeUInt16BE(20 + payload.length, 16);
    frame.writeUInt16BE(identification, 18);
    frame.writeUInt16BE(fragment, 20);
    frame[22] = timeToLive;
    frame[23] = protocol;
    frame.writeUInt32BE(ip(source), 26);
    frame.writeUInt32BE(ip(destination), 30);
    frame.writeUInt16BE(~sum16(frame.subarray(14, 34)) & 0xffff, 24);
    payload.copy(frame, 34);
    this.sendFrame(frame, isPartial);
  }

  /** The transport's payload with its checksum. */
  checksummed(protocol: number, destination: string, payload: Buffer, at: number, source = this.address): Buffer {
    const pseudo = Buffer.alloc(12);
    pseudo.writeUInt32BE(ip(source), 0);
    pseudo.writeUInt32BE(ip(destination), 4);
    pseudo.writeUInt16BE(protocol, 8);
    pseudo.writeUInt16BE(payload.length, 10);
    payload.writeUInt16BE(0, at);
    payload.writeUInt16BE(~sum16(pseudo, payload) & 0xffff, at);
    return payload;
  }

  datagram(destination: string, sourcePort: number, port: number, bytes: Buffer, source = this.address): Buffer {
    const payload = Buffer.alloc(8 + bytes.length);
    payload.writeUInt16BE(sourcePort, 0);
    payload.writeUInt16BE(port, 2);
    payload.writeUInt16BE(payload.length, 4);
    bytes.copy(payload, 8);
    return this.checksummed(17, destination, payload, 6, source);
  }

  sendUdp(destination: string, sourcePort: number, port: number, bytes: Buffer, source = this.address): void {
    this.sendIp(17, destination, this.datagram(destination, sourcePort, port, bytes, source), { source });
  }

  onUdp(port: number, listener: (datagram: Datagram) => void): void {
    this.#udp.set(port, listener);
  }

  /** The next datagram at a port. */
  nextUdp(port: number): Promise<Datagram> {
    return new Promise((resolve) => this.#udp.set(port, resolve));
  }

  sendEcho(destination: string, bytes: Buffer, timeToLive = 64): void {
    const payload = Buffer.concat([Buffer.of(8, 0, 0, 0, 0x12, 0x34, 0, 1), bytes]);
    payload.writeUInt16BE(~sum16(payload) & 0xffff, 2);
    this.sendIp(1, destination, payload, { timeToLive });
  }

  /** The next ICMP message. */
  async nextIcmp(): Promise<{ type: number; code: number; source: string; body: Buffer }> {
    while (this.icmp.length === 0) await new Promise((resolve) => this.#icmpWaiting.push(resolve));
    return this.icmp.shift() as { type: number; code: number; source: string; body: Buffer };
  }

  #takeTcp(source: string, segment: Buffer): void {
    const port = segment.readUInt16BE(0);
    const own = segment.readUInt16BE(2);
    const key = `${own} ${source} ${port}`;
    const connection = this.connections.get(key);
    if (connection !== undefined) {
      connection.take(segment);
      return;
    }
    const flags = segment[13] as number;
    const listener = this.listeners.get(own);
    if (listener !== undefined && (flags & 0x12) === 2) {
      const accepted = new GuestConnection(this, own, source, port);
      this.connections.set(key, accepted);
      accepted.answer(segment);
      listener(accepted);
    } else if ((flags & 4) === 0) {
      const reset = new GuestConnection(this, own, source, port);
      reset.refuse(segment);
    }
  }

  connect(destination: string, port: number, options: ConnectOptions = {}): GuestConnection {
    const own = this.nextPort++;
    const connection = new GuestConnection(this, own, destination, port, options);
    this.connections.set(`${own} ${destination} ${port}`, connection);
    connection.open();
    return connection;
  }
}

export interface ConnectOptions {
  /** What it takes before its reader has read. */
  readonly receiveBuffer?: number;
  /** Whether it scales windows. */
  readonly scale?: number | undefined;
  readonly segmentBytes?: number;
  /** Bytes that one frame of its carries: more than a segment where the link takes such. */
  readonly sendBytes?: number;
}

const after = (one: number, other: number): boolean => ((one - other) | 0) > 0;

/** A TCP connection of the model's. */
export class GuestConnection {
  readonly guest: ModelGuest;
  readonly own: number;
  readonly remote: string;
  readonly port: number;
  readonly #options: ConnectOptions;
  /** "closed" at the end, with a reason in `error` if it was broken off. */
  state: 'opening' | 'open' | 'closed' = 'opening';
  error: 'refused' | 'reset' | 'unreachable' | undefined;
  #sendBase = 0x1000;
  #sendNext = 0x1000;
  #sendEnd = 0x1000;
  #outgoing: Buffer[] = [];
  #outgoingBytes = 0;
  #window = 0;
  #windowScale = 0;
  #remoteSegment = 536;
  #finQueued = false;
  #finSent = false;
  finAcknowledged = false;
  #receiveNext = 0;
  #incoming: Buffer[] = [];
  #incomingBytes = 0;
  ended = false;
  #waiters: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** What the last segment said of the window's place. */
  #told = 0;
  #duplicates = 0;
  retransmissions = 0;
  zeroWindows = 0;

  constructor(guest: ModelGuest, own: number, remote: string, port: number, options: ConnectOptions = {}) {
    this.guest = guest;
    this.own = own;
    this.remote = remote;
    this.port = port;
    this.#options = options;
  }

  get #bufferBytes(): number {
    return this.#options.receiveBuffer ?? 2 ** 18;
  }

  get #scale(): number | undefined {
    return 'scale' in this.#options ? this.#options.scale : 7;
  }

  get isFull(): boolean {
    return this.#incomingBytes >= this.#bufferBytes;
  }

  #wake(): void {
    for (const one of this.#waiters.splice(0)) one();
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  #segment(flags: number, sequence: number, payload: Buffer, options: Buffer = Buffer.alloc(0)): void {
    const segment = Buffer.alloc(20 + options.length + payload.length);
    segment.writeUInt16BE(this.own, 0);
    segment.writeUInt16BE(this.port, 2);
    segment.writeUInt32BE(sequence >>> 0, 4);
    segment.writeUInt32BE(this.#receiveNext >>> 0, 8);
    segment[12] = ((20 + options.length) / 4) << 4;
    segment[13] = flags;
    const room = Math.max(0, this.#bufferBytes - this.#incomingBytes);
    const scale = (flags & 2) !== 0 || this.#remoteScale === undefined ? 0 : (this.#scale ?? 0);
    const window = Math.min(room >> scale, 0xffff);
    this.#told = this.#receiveNext + (window << scale);
    segment.writeUInt16BE(window, 14);
    options.copy(segment, 20);
    payload.copy(segment, 20 + options.length);
    const isPartial = payload.length > 1460;
    if (!isPartial) this.guest.checksummed(6, this.remote, segment, 16);
    this.guest.sendIp(6, this.remote, segment, { isPartial });
  }

  #remoteScale: number | undefined;

  #synOptions(): Buffer {
    const size = Buffer.of(2, 4, 0, 0);
    size.writeUInt16BE(this.#options.segmentBytes ?? 1460, 2);
    return this.#scale === undefined ? size : Buffer.concat([size, Buffer.of(1, 3, 3, this.#scale)]);
  }

  open(): void {
    this.#sendNext = this.#sendEnd = this.#sendBase + 1;
    this.#segment(2, this.#sendBase, Buffer.alloc(0), this.#synOptions());
    this.#arm();
  }

  /** Answers a SYN. */
  answer(syn: Buffer): void {
    this.#takeSyn(syn);
    this.#sendNext = this.#sendEnd = this.#sendBase + 1;
    this.#segment(0x12, this.#sendBase, Buffer.alloc(0), this.#synOptions());
    this.#arm();
  }

  refuse(segment: Buffer): void {
    this.#receiveNext = segment.readUInt32BE(4) + 1;
    this.#segment(0x14, segment.readUInt32BE(8), Buffer.alloc(0));
  }

  #takeSyn(segment: Buffer): void {
    this.#receiveNext = (segment.readUInt32BE(4) + 1) >>> 0;
    this.#window = segment.readUInt16BE(14);
    const end = ((segment[12] as number) >> 4) * 4;
    for (let at = 20; at < end; ) {
      if (segment[at] === 1) at++;
      else if (segment[at] === 0) break;
      else {
        if (segment[at] === 2) this.#remoteSegment = segment.readUInt16BE(at + 2);
        if (segment[at] === 3) this.#remoteScale = segment[at + 2] as number;
        at += segment[at + 1] as number;
      }
    }
    if (this.#scale === undefined) this.#remoteScale = undefined;
    this.#windowScale = this.#remoteScale ?? 0;
  }

  take(segment: Buffer): void {
    const flags = segment[13] as number;
    const sequence = segment.readUInt32BE(4);
    const acknowledgement = segment.readUInt32BE(8);
    if ((flags & 4) !== 0) {
      // A reset counts only in its place (RFC 5961).
      if (this.state === 'opening' ? acknowledgement === this.#sendNext >>> 0 : sequence === this.#receiveNext)
        this.#close(this.state === 'opening' ? 'refused' : 'reset');
      else if (this.state === 'open') this.#segment(0x10, this.#sendNext, Buffer.alloc(0));
      return;
    }
    if (this.state === 'closed') {
      this.#segment(4, acknowledgement, Buffer.alloc(0));
      return;
    }
    if (this.state === 'opening') {
      if ((flags & 2) !== 0) this.#takeSyn(segment);
      if ((flags & 0x10) === 0 || acknowledgement !== this.#sendNext) return;
      this.#sendBase = this.#sendNext;
      this.state = 'open';
      clearTimeout(this.#timer);
      this.#timer = undefined;
      if ((flags & 2) !== 0) this.#segment(0x10, this.#sendNext, Buffer.alloc(0));
      else this.#window = segment.readUInt16BE(14) << this.#windowScale;
      this.#wake();
      if ((flags & 2) !== 0) {
        this.#push();
        return;
      }
    }
    this.#window = segment.readUInt16BE(14) << this.#windowScale;
    if (this.#window === 0) this.zeroWindows++;
    if (after(acknowledgement, this.#sendBase)) this.#acknowledged(acknowledgement);
    else if (segment.length === 20 && acknowledgement === this.#sendBase && ++this.#duplicates % 3 === 0) this.#again();
    const payload = segment.subarray(((segment[12] as number) >> 4) * 4);
    const isEnd = (flags & 1) !== 0;
    if (payload.length > 0 || isEnd) {
      const old = (this.#receiveNext - sequence) | 0;
      const room = this.#bufferBytes - this.#incomingBytes;
      if (old >= 0 && old <= payload.length && room > 0) {
        const fresh = payload.subarray(old, old + room);
        if (fresh.length > 0) {
          this.#incoming.push(Buffer.from(fresh));
          this.#incomingBytes += fresh.length;
          this.#receiveNext = (this.#receiveNext + fresh.length) >>> 0;
        }
        if (isEnd && !this.ended && fresh.length === payload.length - old) {
          this.ended = true;
          this.#receiveNext = (this.#receiveNext + 1) >>> 0;
        }
      }
      this.#segment(0x10, this.#sendNext, Buffer.alloc(0));
      this.#wake();
    }
    this.#push();
    this.#maybeDone();
  }

  /** Sends the first segment that was not heard of once more. */
  #again(): void {
    const length = Math.min(this.#outgoingBytes, this.#remoteSegment);
    if (length > 0 && after(this.#sendNext, this.#sendBase))
      this.#segment(0x10, this.#sendBase, this.#slice(0, length));
  }

  #acknowledged(acknowledgement: number): void {
    this.#duplicates = 0;
    let bytes = (acknowledgement - this.#sendBase) | 0;
    this.#sendBase = acknowledgement;
    if (after(acknowledgement, this.#sendNext)) this.#sendNext = acknowledgement;
    while (bytes > 0 && this.#outgoing.length > 0) {
      const first = this.#outgoing[0] as Buffer;
      const count = Math.min(bytes, first.length);
      bytes -= count;
      this.#outgoingBytes -= count;
      if (count === first.length) this.#outgoing.shift();
      else this.#outgoing[0] = first.subarray(count);
    }
    if (bytes > 0) this.finAcknowledged = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (after(this.#sendNext, this.#sendBase)) this.#arm();
    this.#wake();
  }

  /** Sends what the window lets it. */
  #push(): void {
    if (this.state !== 'open') return;
    const most = this.#options.sendBytes ?? this.#remoteSegment;
    for (;;) {
      const underWay = (this.#sendNext - this.#sendBase) | 0;
      const waiting = this.#outgoingBytes - underWay;
      const length = Math.min(waiting, this.#window - underWay, most);
      if (length > 0) {
        const payload = this.#slice(underWay, length);
        this.#segment(length === waiting ? 0x18 : 0x10, this.#sendNext, payload);
        this.#sendNext = (this.#sendNext + length) >>> 0;
      } else if (waiting === 0 && this.#finQueued && !this.#finSent) {
        this.#finSent = true;
        this.#segment(0x11, this.#sendNext, Buffer.alloc(0));
        this.#sendNext = (this.#sendNext + 1) >>> 0;
      } else break;
      if (after(this.#sendNext, this.#sendEnd)) this.#sendEnd = this.#sendNext;
    }
    if (this.#timer === undefined && (after(this.#sendNext, this.#sendBase) || this.#outgoingBytes > 0)) this.#arm();
  }

  #slice(offset: number, length: number): Buffer {
    const parts: Buffer[] = [];
    let at = offset;
    let left = length;
    for (const part of this.#outgoing) {
      if (left === 0) break;
      if (at >= part.length) {
        at -= part.length;
        continue;
      }
      const piece = part.subarray(at, at + left);
      parts.push(piece);
      left -= piece.length;
      at = 0;
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  /** Sends again what was not heard of. */
  #arm(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.state === 'closed') return;
      this.retransmissions++;
      if (this.state === 'opening') {
        const isAnswer = this.#receiveNext !== 0;
        this.#segment(isAnswer ? 0x12 : 2, this.#sendBase, Buffer.alloc(0), this.#synOptions());
        this.#arm();
        return;
      }
      if (this.#window === 0 && this.#outgoingBytes > 0) this.#segment(0x10, this.#sendBase, this.#slice(0, 1));
      else {
        this.#sendNext = this.#sendBase;
        this.#finSent = this.finAcknowledged;
      }
      this.#push();
      if (this.#timer === undefined) this.#arm();
    }, SMALLEST_TIMEOUT_MS);
  }

  #maybeDone(): void {
    if (this.ended && this.finAcknowledged) this.#close(undefined);
  }

  #close(error: GuestConnection['error']): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.error = error;
    clearTimeout(this.#timer);
    this.#wake();
  }

  /** For tests that play a guest whose connection is answered by ICMP. */
  unreachable(): void {
    this.#close('unreachable');
  }

  /** Resolves when it is open, or has failed. */
  async opened(): Promise<this> {
    await this.#until(() => this.state !== 'opening');
    return this;
  }

  /** Resolves when all of it was acknowledged. */
  async write(bytes: Buffer): Promise<void> {
    this.#outgoing.push(bytes);
    this.#outgoingBytes += bytes.length;
    this.#push();
    await this.#until(() => this.#outgoingBytes === 0 || this.state === 'closed');
  }

  end(): void {
    this.#finQueued = true;
    this.#push();
  }

  abort(): void {
    this.#segment(0x14, this.#sendNext, Buffer.alloc(0));
    this.#close('reset');
  }

  /** What has come since, at least one byte; undefined at the end. */
  async read(): Promise<Buffer | undefined> {
    await this.#until(() => this.#incomingBytes > 0 || this.ended || this.state === 'closed');
    if (this.#incomingBytes === 0) return undefined;
    const all = Buffer.concat(this.#incoming.splice(0));
    this.#incomingBytes = 0;
    // Whoever waits for room hears of it.
    if (this.state === 'open' && this.#told - this.#receiveNext < this.#bufferBytes / 2)
      this.#segment(0x10, this.#sendNext, Buffer.alloc(0));
    return all;
  }

  async readAll(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let part = await this.read(); part !== undefined; part = await this.read()) parts.push(part);
    return Buffer.concat(parts);
  }

  async closed(): Promise<this> {
    await this.#until(() => this.state === 'closed');
    return this;
  }
}
