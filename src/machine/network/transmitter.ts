import type { PacketReceiver } from '../outside/packets.ts';
import { BROADCAST, GATEWAY, isGuestAddress, LIMITED_BROADCAST, MAC_PREFIX, MTU, RESOLVER } from './addresses.ts';
import { checksum, pseudoHeader, read32, sumBytes, write16, write32 } from './bytes.ts';
import {
  DONT_FRAGMENT,
  ETHERNET_BYTES,
  ETHERTYPE,
  IP,
  IP_BYTES,
  IP_PAYLOAD,
  MORE_FRAGMENTS,
  PROTOCOL,
  UDP_BYTES,
} from './wire.ts';

/** Frames that wait for room in the card; what is more is dropped, as on any network. */
const QUEUE_FRAMES = 512;
const QUEUE_BYTES = 2 ** 20;
/** Bytes of a fragment's payload: a multiple of 8. */
const FRAGMENT_BYTES = (MTU - IP_BYTES) & ~7;
const MAC_BYTES = 6;

/** Makes frames for the guest, in a buffer that is used again and again, and hands them to the card. */
export class Transmitter {
  #receiver: PacketReceiver | undefined;
  /** The card has said that it has no room. */
  isFull = false;
  /** The frame that is being made. */
  readonly frame = new Uint8Array(ETHERNET_BYTES + 2 ** 16);
  /** The guest's hardware addresses by the last byte of the IPv4 address, and which of them are known. */
  readonly #macs = new Uint8Array(256 * MAC_BYTES);
  readonly #known = new Uint8Array(256);
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #identification = 0;
  /** The views of the frame that were handed out last: a long run of frames has few lengths. */
  #short: Uint8Array = this.frame.subarray(0, IP_PAYLOAD);
  #long: Uint8Array = this.frame.subarray(0, ETHERNET_BYTES + MTU);
  sent = 0;
  dropped = 0;

  get receiver(): PacketReceiver | undefined {
    return this.#receiver;
  }

  set receiver(receiver: PacketReceiver | undefined) {
    this.#receiver = receiver;
    this.isFull = false;
  }

  /** Takes note of the hardware address at `at` of a frame. True: it was not known. */
  learn(address: number, frame: Uint8Array, at: number): boolean {
    // A group's address is no card's.
    if (!isGuestAddress(address) || ((frame[at] as number) & 1) !== 0) return false;
    const index = address & 0xff;
    const isNew = this.#known[index] === 0;
    for (let i = 0; i < MAC_BYTES; i++) this.#macs[index * MAC_BYTES + i] = frame[at + i] as number;
    this.#known[index] = 1;
    return isNew;
  }

  forget(): void {
    this.#known.fill(0);
    this.#queue = [];
    this.#queuedBytes = 0;
    this.isFull = false;
  }

  /** Every address that is known: its last byte, and the hardware address' bytes, one after another. */
  saveNeighbours(): number[] {
    const all: number[] = [];
    for (let index = 0; index < 256; index++) {
      if (this.#known[index] === 0) continue;
      all.push(index, ...this.#macs.subarray(index * MAC_BYTES, (index + 1) * MAC_BYTES));
    }
    return all;
  }

  restoreNeighbours(all: readonly number[]): void {
    this.forget();
    for (let at = 0; at + MAC_BYTES < all.length; at += 1 + MAC_BYTES) {
      const entry = Uint8Array.from(all.slice(at, at + 1 + MAC_BYTES));
      this.learn((GATEWAY & ~0xff) | (entry[0] as number), entry, 1);
    }
  }

  /** Begins a frame from one of our addresses to the hardware address at `at` of `macs`. */
  ethernet(type: number, from: number, macs: Uint8Array, at: number): void {
    const { frame } = this;
    for (let i = 0; i < MAC_BYTES; i++) frame[i] = macs[at + i] as number;
    writeOwnMac(frame, MAC_BYTES, from);
    write16(frame, 2 * MAC_BYTES, type);
  }

  /**
   * Writes the headers of a packet with so many bytes behind its IPv4 header. False: nobody knows the guest's hardware
   * address; the guest is asked, and the packet has to come again.
   */
  ipv4(protocol: number, source: number, destination: number, length: number): boolean {
    const { frame } = this;
    if (destination === LIMITED_BROADCAST || destination === BROADCAST) {
      frame.fill(0xff, 0, MAC_BYTES);
      writeOwnMac(frame, MAC_BYTES, GATEWAY);
      write16(frame, 2 * MAC_BYTES, ETHERTYPE.IPV4);
    } else {
      const index = destination & 0xff;
      if (this.#known[index] === 0) {
        this.#ask(destination);
        return false;
      }
      this.ethernet(ETHERTYPE.IPV4, source === RESOLVER ? RESOLVER : GATEWAY, this.#macs, index * MAC_BYTES);
    }
    this.#ipHeader(protocol, source, destination, length, protocol === PROTOCOL.TCP ? DONT_FRAGMENT : 0);
    return true;
  }

  #ipHeader(protocol: number, source: number, destination: number, length: number, fragment: number): void {
    const { frame } = this;
    write16(frame, IP, 0x4500);
    write16(frame, IP + 2, IP_BYTES + length);
    write16(frame, IP + 4, fragment === DONT_FRAGMENT ? 0 : this.#identification);
    write16(frame, IP + 6, fragment);
    frame[IP + 8] = 64;
    frame[IP + 9] = protocol;
    write16(frame, IP + 10, 0);
    write32(frame, IP + 12, source);
    write32(frame, IP + 16, destination);
    write16(frame, IP + 10, checksum(sumBytes(frame, IP, IP_PAYLOAD, 0)));
  }

  /** Sends a datagram, in fragments where it must be. */
  udp(source: number, sourcePort: number, destination: number, port: number, payload: Uint8Array): void {
    const { frame } = this;
    const length = UDP_BYTES + payload.length;
    if (length > 0xffff - IP_BYTES || !this.ipv4(PROTOCOL.UDP, source, destination, length)) return;
    write16(frame, IP_PAYLOAD, sourcePort);
    write16(frame, IP_PAYLOAD + 2, port);
    write16(frame, IP_PAYLOAD + 4, length);
    write16(frame, IP_PAYLOAD + 6, 0);
    frame.set(payload, IP_PAYLOAD + UDP_BYTES);
    const sum = pseudoHeader(source, destination, PROTOCOL.UDP, length);
    // A sum of zero is written as its other form: zero stands for "none".
    write16(frame, IP_PAYLOAD + 6, checksum(sumBytes(frame, IP_PAYLOAD, IP_PAYLOAD + length, sum)) || 0xffff);
    this.sendPacket(length);
  }

  /** Sends the packet in the frame, which may be longer than the MTU, or keeps it until there is room. */
  sendPacket(length: number): void {
    if (length <= MTU - IP_BYTES) {
      this.send(IP_PAYLOAD + length);
      return;
    }
    const { frame } = this;
    const whole = frame.slice(IP_PAYLOAD, IP_PAYLOAD + length);
    const protocol = frame[IP + 9] as number;
    const source = read32(frame, IP + 12);
    const destination = read32(frame, IP + 16);
    this.#identification = (this.#identification + 1) & 0xffff;
    for (let at = 0; at < length; at += FRAGMENT_BYTES) {
      const part = whole.subarray(at, at + FRAGMENT_BYTES);
      const more = at + part.length < length ? MORE_FRAGMENTS : 0;
      this.#ipHeader(protocol, source, destination, part.length, (at / 8) | more);
      frame.set(part, IP_PAYLOAD);
      this.send(IP_PAYLOAD + part.length);
    }
  }

  /** Sends the first `length` bytes of the frame, or keeps them until there is room. */
  send(length: number): void {
    if (this.#queue.length === 0 && this.offer(length)) return;
    if (this.receiver === undefined || this.#queue.length >= QUEUE_FRAMES || this.#queuedBytes + length > QUEUE_BYTES) {
      this.dropped++;
      return;
    }
    this.#queue.push(this.frame.slice(0, length));
    this.#queuedBytes += length;
  }

  /** Offers the first `length` bytes of the frame to the card. False: it has no room. */
  offer(length: number, segmentBytes?: number): boolean {
    const receiver = this.#receiver;
    if (receiver === undefined || this.isFull) return false;
    let view: Uint8Array;
    if (length < 128) {
      if (this.#short.length !== length) this.#short = this.frame.subarray(0, length);
      view = this.#short;
    } else {
      if (this.#long.length !== length) this.#long = this.frame.subarray(0, length);
      view = this.#long;
    }
    const taken = segmentBytes === undefined ? receiver.receive(view) : receiver.receive(view, segmentBytes);
    if (taken) this.sent++;
    else this.isFull = true;
    return taken;
  }

  /** Hands over what waits. True: nothing waits any more. */
  roomAgain(): boolean {
    const receiver = this.#receiver;
    if (receiver === undefined) return false;
    this.isFull = false;
    let done = 0;
    for (; done < this.#queue.length; done++) {
      const frame = this.#queue[done] as Uint8Array;
      if (!receiver.receive(frame)) {
        this.isFull = true;
        break;
      }
      this.sent++;
      this.#queuedBytes -= frame.length;
    }
    this.#queue.splice(0, done);
    return this.#queue.length === 0;
  }

  /** Asks who has an address. */
  #ask(address: number): void {
    const { frame } = this;
    frame.fill(0xff, 0, MAC_BYTES);
    writeOwnMac(frame, MAC_BYTES, GATEWAY);
    write16(frame, 2 * MAC_BYTES, ETHERTYPE.ARP);
    writeArp(frame, 1, GATEWAY);
    frame.fill(0, ETHERNET_BYTES + 18, ETHERNET_BYTES + 24);
    write32(frame, ETHERNET_BYTES + 24, address);
    this.send(ETHERNET_BYTES + ARP_BYTES);
  }

  /** Answers an ARP request for one of our addresses. */
  answerArp(request: Uint8Array): void {
    const asked = read32(request, ETHERNET_BYTES + 24);
    this.ethernet(ETHERTYPE.ARP, asked, request, ETHERNET_BYTES + 8);
    writeArp(this.frame, 2, asked);
    for (let i = 0; i < 10; i++) this.frame[ETHERNET_BYTES + 18 + i] = request[ETHERNET_BYTES + 8 + i] as number;
    this.send(ETHERNET_BYTES + ARP_BYTES);
  }
}

export const ARP_BYTES = 28;

/** An ARP packet's head, and one of our addresses as its sender. */
function writeArp(frame: Uint8Array, operation: number, sender: number): void {
  write16(frame, ETHERNET_BYTES, 1);
  write16(frame, ETHERNET_BYTES + 2, ETHERTYPE.IPV4);
  write16(frame, ETHERNET_BYTES + 4, (MAC_BYTES << 8) | 4);
  write16(frame, ETHERNET_BYTES + 6, operation);
  writeOwnMac(frame, ETHERNET_BYTES + 8, sender);
  write32(frame, ETHERNET_BYTES + 14, sender);
}

function writeOwnMac(frame: Uint8Array, at: number, address: number): void {
  for (let i = 0; i < 5; i++) frame[at + i] = MAC_PREFIX[i] as number;
  frame[at + 5] = address & 0xff;
}
