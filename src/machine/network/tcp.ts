import type { Listener, Sockets, Stream, StreamUser } from '../outside/sockets.ts';
import { GATEWAY, isGuestAddress, isOutside, LOOPBACK, RESOLVER } from './addresses.ts';
import { BufferPool } from './byte-ring.ts';
import { DNS_PORT, type Dns } from './dns.ts';
import { ICMP_ERROR, type Icmp, quote } from './icmp.ts';
import { PHASE, TcpConnection, type TcpLink } from './tcp-connection.ts';
import { type Ends, refuse, Segment, sendReset } from './tcp-segment.ts';
import type { Transmitter } from './transmitter.ts';
import { type Packet, TCP_FLAG } from './wire.ts';

/** Connections at a time, those that have ended lately among them. */
export const MOST_CONNECTIONS = 2048;
const BUCKETS = 4096;
/** What all windows together may have beyond the least. */
const WINDOW_BYTES = 2 ** 26;
/** Ports that stand for peers of forwards whose own is not free (RFC 6335). */
const FIRST_PORT = 49_152;
const PORTS = 16_384;
/** The words of a connection in a saved state. */
const SAVED_WORDS = 6;

export interface TcpRules {
  /** Whether guests may reach an address of the outside. */
  mayReach(address: number): boolean;
  /** Whether the gateway's ports are the host's own. */
  readonly hostLoopback: boolean;
  /** Where a forward leads when nothing is said. */
  guest(): number;
}

/** Every connection, and who begins new ones. */
export class Tcp implements TcpLink {
  readonly transmitter: Transmitter;
  readonly pool = new BufferPool();
  heard = 0;
  readonly #sockets: Sockets;
  readonly #icmp: Icmp;
  readonly #dns: Dns;
  readonly #rules: TcpRules;
  readonly #wake: (time: number) => void;
  readonly #buckets: (TcpConnection | undefined)[] = new Array(BUCKETS).fill(undefined);
  readonly #segment = new Segment();
  /** Those that wait for room in the card, in the order in which they have their turn. */
  readonly #waiting = new Set<TcpConnection>();
  #listeners: Listener[] = [];
  #reserved = 0;
  #count = 0;
  #port = 0;
  #begun = 0;
  /** Connections of before a restore, of which the guest has still to be told that they have ended. */
  #lost: readonly number[] = [];

  constructor(
    transmitter: Transmitter,
    sockets: Sockets,
    parts: { readonly icmp: Icmp; readonly dns: Dns },
    rules: TcpRules,
    wake: (time: number) => void,
  ) {
    this.transmitter = transmitter;
    this.#sockets = sockets;
    this.#icmp = parts.icmp;
    this.#dns = parts.dns;
    this.#rules = rules;
    this.#wake = wake;
  }

  get connections(): number {
    return this.#count;
  }

  now(): number {
    return this.#sockets.now();
  }

  wakeAt(time: number): void {
    this.#wake(time);
  }

  waitForRoom(connection: TcpConnection): void {
    this.#waiting.add(connection);
  }

  reserve(bytes: number): boolean {
    if (this.#reserved + bytes > WINDOW_BYTES) return false;
    this.#reserved += bytes;
    return true;
  }

  unreachable(syn: Uint8Array): void {
    this.#icmp.errorFor(ICMP_ERROR.HOST_UNREACHABLE, syn);
  }

  receive(packet: Packet): void {
    const segment = this.#segment;
    if (
      !segment.read(packet) ||
      !(isOutside(segment.remote) || segment.remote === GATEWAY || segment.remote === RESOLVER)
    )
      return;
    this.heard++;
    const connection = this.#find(segment.guest, segment.guestPort, segment.remote, segment.remotePort);
    const isSyn = (segment.flags & (TCP_FLAG.SYN | TCP_FLAG.ACK | TCP_FLAG.RST)) === TCP_FLAG.SYN;
    if (connection !== undefined && !(isSyn && connection.phase === PHASE.TIME_WAIT)) connection.receive(segment);
    else if (isSyn) this.#begin(segment, packet);
    else refuse(this.transmitter, segment);
  }

  /** A SYN of the guest's, who begins a connection. */
  #begin(segment: Segment, packet: Packet): void {
    const connect = this.#way(segment.remote, segment.remotePort);
    if (connect === undefined) refuse(this.transmitter, segment);
    else if (connect === 'prohibited') this.#icmp.error(ICMP_ERROR.PROHIBITED, packet);
    else if (!this.#hasRoom()) refuse(this.transmitter, segment);
    else this.#add(segment).begin(segment, quote(packet), connect);
  }

  /** How an end of the outside is reached; undefined: nobody listens there. */
  #way(remote: number, port: number): ((user: StreamUser) => Stream) | 'prohibited' | undefined {
    if (remote === RESOLVER) {
      return port === DNS_PORT && this.#dns.isOpen ? (user) => this.#dns.open(user) : undefined;
    }
    if (port === 0) return undefined;
    if (remote === GATEWAY)
      return this.#rules.hostLoopback ? (user) => this.#sockets.connect(LOOPBACK, port, user) : undefined;
    if (!this.#rules.mayReach(remote)) return 'prohibited';
    return (user) => this.#sockets.connect(remote, port, user);
  }

  /** Whether one more connection fits, if need be in place of one that has ended. */
  #hasRoom(): boolean {
    if (this.#count < MOST_CONNECTIONS) return true;
    for (const first of this.#buckets) {
      for (let at = first; at !== undefined; at = at.next) {
        if (at.phase !== PHASE.TIME_WAIT) continue;
        at.abandon();
        return true;
      }
    }
    return false;
  }

  /** Has a port of the host's lead to one of the guest's. Rejects with a MachineError. */
  async forward(
    hostAddress: string,
    hostPort: number,
    guestAddress: number | undefined,
    guestPort: number,
  ): Promise<Listener> {
    const listener = await this.#sockets.listen(hostAddress, hostPort, (stream, address, port) => {
      const guest = guestAddress ?? this.#rules.guest();
      const ends = this.#freeEnds(guest, guestPort, address, port);
      if (ends === undefined || !this.#hasRoom()) return undefined;
      const connection = this.#add(ends);
      connection.forward(stream);
      return connection;
    });
    this.#listeners.push(listener);
    return listener;
  }

  /** The ends of a forwarded connection: the peer's own where the guest can answer to that, else the gateway's. */
  #freeEnds(guest: number, guestPort: number, address: number | undefined, port: number): Ends | undefined {
    const isBehindGateway = address === undefined || !isOutside(address) || this.#sockets.isOwn(address);
    const remote = isBehindGateway ? GATEWAY : address;
    if (this.#find(guest, guestPort, remote, port) === undefined) return { guest, guestPort, remote, remotePort: port };
    for (let tries = 0; tries < PORTS; tries++) {
      this.#port = (this.#port + 1) % PORTS;
      const remotePort = FIRST_PORT + this.#port;
      if (this.#find(guest, guestPort, GATEWAY, remotePort) === undefined)
        return { guest, guestPort, remote: GATEWAY, remotePort };
    }
    return undefined;
  }

  #add(ends: Ends): TcpConnection {
    // The sequence goes on from connection to connection (RFC 9293, 3.4.1), so that old segments are known for what they are.
    const sequence = (this.now() * 250 + this.#begun++ * 64_000) >>> 0;
    const connection = new TcpConnection(this, ends, sequence);
    const bucket = bucketOf(ends.guest, ends.guestPort, ends.remote, ends.remotePort);
    connection.next = this.#buckets[bucket];
    this.#buckets[bucket] = connection;
    this.#count++;
    return connection;
  }

  #find(guest: number, guestPort: number, remote: number, remotePort: number): TcpConnection | undefined {
    let at = this.#buckets[bucketOf(guest, guestPort, remote, remotePort)];
    while (
      at !== undefined &&
      (at.guestPort !== guestPort || at.remotePort !== remotePort || at.remote !== remote || at.guest !== guest)
    )
      at = at.next;
    return at;
  }

  remove(connection: TcpConnection): void {
    const bucket = bucketOf(connection.guest, connection.guestPort, connection.remote, connection.remotePort);
    this.#waiting.delete(connection);
    let before: TcpConnection | undefined;
    for (let at = this.#buckets[bucket]; at !== undefined; before = at, at = at.next) {
      if (at !== connection) continue;
      if (before === undefined) this.#buckets[bucket] = at.next;
      else before.next = at.next;
      this.#count--;
      return;
    }
  }

  *#all(): Generator<TcpConnection> {
    for (const first of this.#buckets) {
      for (let at = first; at !== undefined; ) {
        const { next }: TcpConnection = at;
        yield at;
        at = next;
      }
    }
  }

  /** The guest's hardware address has become known. */
  addressKnown(): void {
    for (const connection of this.#all()) connection.addressKnown();
  }

  roomAgain(): void {
    this.#tellLost();
    // Each has its turn; who has more than fits waits again, at the end.
    for (let left = this.#waiting.size; left > 0; left--) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      this.#waiting.delete(first);
      first.send();
      if (this.#waiting.has(first)) return;
    }
  }

  /** Does what is due; answers when something is due again. */
  turn(now: number): number {
    this.#tellLost();
    let next = Number.POSITIVE_INFINITY;
    for (const connection of this.#all()) {
      if (connection.due <= now) connection.turn(now);
      next = Math.min(next, connection.due);
    }
    return next;
  }

  #tellLost(): void {
    const lost = this.#lost;
    this.#lost = [];
    for (let i = 0; i + SAVED_WORDS <= lost.length; i += SAVED_WORDS) {
      const [guest = 0, guestPort = 0, remote = 0, remotePort = 0, sequence = 0, acknowledgement] = lost.slice(i);
      if (isGuestAddress(guest))
        sendReset(this.transmitter, { guest, guestPort, remote, remotePort }, sequence, acknowledgement);
    }
  }

  /** The ends and the place of every connection that the guest knows. */
  save(): number[] {
    const words: number[] = [...this.#lost];
    for (const connection of this.#all()) {
      const { phase, guest, guestPort, remote, remotePort } = connection;
      if (phase < PHASE.TIME_WAIT) words.push(guest, guestPort, remote, remotePort, ...connection.position);
    }
    return words;
  }

  /** Ends every connection; those of the saved state are told to the guest as ended. */
  restore(words: readonly number[]): void {
    this.reset();
    this.#lost = words;
  }

  /** Ends every connection that the guest knows, without a word to it; whoever waits for a guest that boots goes on waiting. */
  reset(): void {
    for (const connection of this.#all()) if (connection.phase !== PHASE.SYN_SENT) connection.abandon();
    this.#lost = [];
  }

  close(): void {
    for (const connection of this.#all()) connection.abandon();
    for (const listener of this.#listeners) listener.close();
    this.#listeners = [];
  }
}

/** Words of a saved state at most. */
export const MOST_SAVED_WORDS = 2 * MOST_CONNECTIONS * SAVED_WORDS;

function bucketOf(guest: number, guestPort: number, remote: number, remotePort: number): number {
  let hash = Math.imul(remote ^ (guest << 24), 0x9e37_79b1) ^ ((guestPort << 16) | remotePort);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85eb_ca6b);
  return (hash ^ (hash >>> 13)) & (BUCKETS - 1);
}
