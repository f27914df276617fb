import type { DatagramSocket, Listener, Sockets } from '../outside/sockets.ts';
import { GATEWAY, isInNetwork, isOutside, LOOPBACK, RESOLVER } from './addresses.ts';
import { fold, pseudoHeader, read16, sumBytes } from './bytes.ts';
import { DHCP_SERVER_PORT, type Dhcp } from './dhcp.ts';
import { DNS_PORT, type Dns } from './dns.ts';
import { ICMP_ERROR, type Icmp } from './icmp.ts';
import type { Transmitter } from './transmitter.ts';
import { type Packet, PROTOCOL, UDP_BYTES } from './wire.ts';

/** Ports of the guest that have a socket at a time; the one that was used longest ago makes room. */
const MOST_FLOWS = 256;
const MOST_PEERS = 256;
/** What has been silent for so long is forgotten, milliseconds (RFC 4787: two minutes at least). */
export const FLOW_IDLE_MS = 240_000;

/** A port of the guest's, with a socket of the outside. */
interface Flow {
  readonly socket: DatagramSocket;
  /** Addresses that the guest has sent to, as it knows them: others are not let in. */
  readonly peers: Set<number>;
  usedAt: number;
}

/** A port of the host's that leads to one of the guest's. */
interface Forward {
  readonly socket: DatagramSocket & Listener;
  readonly guestAddress: number | undefined;
  readonly guestPort: number;
  /** Who has sent, as the guest knows it (address times 2^16, and port), and its true address. */
  readonly peers: Map<number, number>;
}

export interface UdpRules {
  /** Whether guests may reach an address of the outside. */
  mayReach(address: number): boolean;
  /** Whether the gateway's ports are the host's own. */
  readonly hostLoopback: boolean;
}

const keyOf = (address: number, port: number): number => address * 2 ** 16 + port;

/** Datagrams between the guest and the outside. */
export class Udp {
  readonly #transmitter: Transmitter;
  readonly #sockets: Sockets;
  readonly #icmp: Icmp;
  readonly #dhcp: Dhcp;
  readonly #dns: Dns;
  readonly #rules: UdpRules;
  /** By the guest's address and port. The one that was made or renewed last stands last. */
  readonly #flows = new Map<number, Flow>();
  #forwards: Forward[] = [];

  constructor(
    transmitter: Transmitter,
    sockets: Sockets,
    parts: { readonly icmp: Icmp; readonly dhcp: Dhcp; readonly dns: Dns },
    rules: UdpRules,
  ) {
    this.#transmitter = transmitter;
    this.#sockets = sockets;
    this.#icmp = parts.icmp;
    this.#dhcp = parts.dhcp;
    this.#dns = parts.dns;
    this.#rules = rules;
  }

  get flows(): number {
    return this.#flows.size;
  }

  receive(packet: Packet): void {
    const { frame, start, source, destination } = packet;
    if (packet.end - start < UDP_BYTES) return;
    const sourcePort = read16(frame, start);
    const port = read16(frame, start + 2);
    const length = read16(frame, start + 4);
    if (length < UDP_BYTES || length > packet.end - start) return;
    const end = start + length;
    if (!packet.isPartial && read16(frame, start + 6) !== 0) {
      const sum = pseudoHeader(source, destination, PROTOCOL.UDP, length);
      if (fold(sumBytes(frame, start, end, sum)) !== 0xffff) return;
    }
    const payload = frame.subarray(start + UDP_BYTES, end);
    const isForAll = !isOutside(destination) && destination !== GATEWAY && destination !== RESOLVER;
    if (port === DHCP_SERVER_PORT && (isForAll || destination === GATEWAY)) this.#dhcp.receive(payload);
    else if (isForAll) return;
    else if (this.#answerForward(sourcePort, destination, port, payload)) return;
    else if (destination === RESOLVER && port === DNS_PORT && this.#dns.isOpen)
      this.#dns.query(payload, (answer) => this.#transmitter.udp(RESOLVER, DNS_PORT, source, sourcePort, answer));
    else this.#send(packet, sourcePort, port, payload);
  }

  #send(packet: Packet, sourcePort: number, port: number, payload: Uint8Array): void {
    const { source, destination } = packet;
    const isGateway = destination === GATEWAY && this.#rules.hostLoopback;
    if (!isGateway && !isOutside(destination)) {
      this.#icmp.error(ICMP_ERROR.PORT_UNREACHABLE, packet);
      return;
    }
    if (port === 0 || !(isGateway || this.#rules.mayReach(destination))) {
      this.#icmp.error(ICMP_ERROR.PROHIBITED, packet);
      return;
    }
    const flow = this.#flow(source, sourcePort);
    if (flow === undefined) return;
    if (!flow.peers.has(destination)) {
      flow.peers.add(destination);
      if (flow.peers.size > MOST_PEERS) flow.peers.delete(flow.peers.values().next().value as number);
    }
    flow.socket.send(isGateway ? LOOPBACK : destination, port, payload);
  }

  #flow(source: number, sourcePort: number): Flow | undefined {
    const key = keyOf(source, sourcePort);
    let flow = this.#flows.get(key);
    const now = this.#sockets.now();
    if (flow !== undefined) {
      flow.usedAt = now;
      return flow;
    }
    this.expire(now);
    if (this.#flows.size >= MOST_FLOWS) this.#end(leastUsed(this.#flows));
    const peers = new Set<number>();
    const socket = this.#sockets.datagrams({
      message: (address, port, bytes) => {
        const seen = this.#rules.hostLoopback && address === LOOPBACK ? GATEWAY : address;
        if (!peers.has(seen)) return;
        this.#transmitter.udp(seen, port, source, sourcePort, bytes);
        const own = this.#flows.get(key);
        if (own !== undefined) own.usedAt = this.#sockets.now();
      },
    });
    if (socket === undefined) return undefined;
    flow = { socket, peers, usedAt: now };
    this.#flows.set(key, flow);
    return flow;
  }

  #end(key: number): void {
    this.#flows.get(key)?.socket.close();
    this.#flows.delete(key);
  }

  /** Ends what has been silent for too long. */
  expire(now: number): void {
    for (const [key, { usedAt }] of this.#flows) if (now - usedAt >= FLOW_IDLE_MS) this.#end(key);
  }

  /** Has a port of the host's lead to one of the guest's. Rejects with a MachineError. */
  async forward(
    hostAddress: string,
    hostPort: number,
    guestAddress: number | undefined,
    guestPort: number,
  ): Promise<Listener> {
    const peers = new Map<number, number>();
    const socket = await this.#sockets.bindDatagrams(hostAddress, hostPort, {
      message: (address, port, bytes) => {
        // Addresses that the guest cannot answer to stand behind the gateway.
        const isBehindGateway = !isOutside(address) || isInNetwork(address) || this.#sockets.isOwn(address);
        const seen = isBehindGateway ? GATEWAY : address;
        const peer = keyOf(seen, port);
        peers.delete(peer);
        peers.set(peer, address);
        if (peers.size > MOST_PEERS) peers.delete(peers.keys().next().value as number);
        this.#transmitter.udp(seen, port, guestAddress ?? this.#dhcp.guest, guestPort, bytes);
      },
    });
    this.#forwards.push({ socket, guestAddress, guestPort, peers });
    return socket;
  }

  /** Whether a datagram of the guest's answers one that a forward brought; then it goes there. */
  #answerForward(sourcePort: number, destination: number, port: number, payload: Uint8Array): boolean {
    if (this.#forwards.length === 0) return false;
    const key = keyOf(destination, port);
    for (const { socket, guestPort, peers } of this.#forwards) {
      const address = guestPort === sourcePort ? peers.get(key) : undefined;
      if (address === undefined) continue;
      socket.send(address, port, payload);
      return true;
    }
    return false;
  }

  /** Ends every flow; forwards stay. */
  reset(): void {
    for (const key of [...this.#flows.keys()]) this.#end(key);
    for (const { peers } of this.#forwards) peers.clear();
  }

  close(): void {
    this.reset();
    for (const { socket } of this.#forwards) socket.close();
    this.#forwards = [];
  }
}

function leastUsed(flows: ReadonlyMap<number, Flow>): number {
  let least = 0;
  let first = Number.POSITIVE_INFINITY;
  for (const [key, { usedAt }] of flows) {
    if (usedAt >= first) continue;
    first = usedAt;
    least = key;
  }
  return least;
}
