import { type DeviceState, savedNumbers } from '../device.ts';
import { MAX_FRAME_BYTES, type PacketLink, type PacketReceiver } from '../outside/packets.ts';
import type { Listener, Sockets } from '../outside/sockets.ts';
import { isGuestAddress, isOurs, isOutside, parseAddress } from './addresses.ts';
import { fold, read16, read32, sumBytes } from './bytes.ts';
import { Dhcp } from './dhcp.ts';
import { Dns } from './dns.ts';
import { Fragments } from './fragments.ts';
import { ICMP_ERROR, Icmp } from './icmp.ts';
import { checkUserNetworkOptions, type Forward, type UserNetworkOptions } from './options.ts';
import { MOST_SAVED_WORDS, Tcp } from './tcp.ts';
import { ARP_BYTES, Transmitter } from './transmitter.ts';
import { FLOW_IDLE_MS, Udp } from './udp.ts';
import {
  ETHERNET_BYTES,
  ETHERTYPE,
  FRAGMENT_OFFSET,
  IP,
  IP_BYTES,
  MORE_FRAGMENTS,
  type Packet,
  PROTOCOL,
} from './wire.ts';

const ARP_REQUEST = 1;
/** Hardware addresses in a saved state: one for each address of the network, of seven words. */
const NEIGHBOUR_WORDS = 256 * 7;
const LEASE_WORDS = 256 * 3;

/** What was asked for of forwards, and where they listen. */
export interface OpenForward extends Forward {
  readonly hostAddress: string;
}

/**
 * A network for one guest, made of the sockets of the outside: 10.0.2.0/24 with a gateway (10.0.2.2) that has DHCP and stands
 * for the host, and a resolver (10.0.2.3). TCP ends here, and goes on as a stream of the outside.
 */
export class UserNetwork implements PacketLink {
  readonly takesSegments = true;
  readonly #sockets: Sockets;
  readonly #transmitter = new Transmitter();
  readonly #fragments = new Fragments();
  readonly #icmp: Icmp;
  readonly #dhcp: Dhcp;
  readonly #udp: Udp;
  readonly #tcp: Tcp;
  readonly #packet: { -readonly [Name in keyof Packet]: Packet[Name] };
  #forwards: OpenForward[] = [];
  /** When the one timer rings. */
  #timerAt = Number.POSITIVE_INFINITY;
  #received = 0;
  #isClosed = false;

  /** Makes the network and its forwards. Rejects with a MachineError: a wrong option, or a port that is not free. */
  static async create(sockets: Sockets, options: UserNetworkOptions = {}): Promise<UserNetwork> {
    checkUserNetworkOptions(options);
    const network = new UserNetwork(sockets, options);
    try {
      for (const forward of options.forward ?? []) await network.#forward(forward);
    } catch (error) {
      network.close();
      throw error;
    }
    return network;
  }

  private constructor(sockets: Sockets, options: UserNetworkOptions) {
    this.#sockets = sockets;
    const { restrict = false, hostLoopback = false, hostname, domain } = options;
    const mayReach = (address: number): boolean =>
      !restrict && isOutside(address) && (hostLoopback || !sockets.isOwn(address));
    const rules = { mayReach, hostLoopback: hostLoopback && !restrict, guest: () => this.#dhcp.guest };
    const transmitter = this.#transmitter;
    const icmp = new Icmp(transmitter, sockets, mayReach);
    const dhcp = new Dhcp(transmitter, { restrict, hostname, domain });
    const dns = new Dns(sockets, !restrict);
    this.#icmp = icmp;
    this.#dhcp = dhcp;
    this.#udp = new Udp(transmitter, sockets, { icmp, dhcp, dns }, rules);
    this.#tcp = new Tcp(transmitter, sockets, { icmp, dns }, rules, (time) => this.#wakeAt(time));
    this.#packet = {
      frame: transmitter.frame,
      source: 0,
      destination: 0,
      protocol: 0,
      timeToLive: 0,
      header: IP,
      start: 0,
      end: 0,
      isPartial: false,
    };
  }

  async #forward(forward: Forward): Promise<void> {
    const { protocol, hostAddress = '127.0.0.1', hostPort, guestAddress, guestPort } = forward;
    const part: Tcp | Udp = protocol === 'tcp' ? this.#tcp : this.#udp;
    const guest = guestAddress === undefined ? undefined : parseAddress(guestAddress);
    const listener: Listener = await part.forward(hostAddress, hostPort, guest, guestPort);
    this.#forwards.push({ ...forward, hostAddress, hostPort: listener.port });
  }

  /** The forwards, with the ports that the host's system chose. */
  get forwards(): readonly OpenForward[] {
    return this.#forwards;
  }

  get receiver(): PacketReceiver | undefined {
    return this.#transmitter.receiver;
  }

  set receiver(receiver: PacketReceiver | undefined) {
    this.#transmitter.receiver = receiver;
  }

  send(frame: Uint8Array, isPartial = false): void {
    if (this.#isClosed || frame.length < ETHERNET_BYTES || frame.length > MAX_FRAME_BYTES) return;
    this.#received++;
    const type = read16(frame, 12);
    if (type === ETHERTYPE.IPV4) this.#receiveIpv4(frame, isPartial);
    else if (type === ETHERTYPE.ARP) this.#receiveArp(frame);
  }

  #receiveArp(frame: Uint8Array): void {
    // Ethernet and IPv4.
    if (
      frame.length < ETHERNET_BYTES + ARP_BYTES ||
      read16(frame, IP) !== 1 ||
      read16(frame, IP + 2) !== ETHERTYPE.IPV4
    )
      return;
    if (read16(frame, IP + 4) !== 0x0604) return;
    const isRequest = read16(frame, IP + 6) === ARP_REQUEST;
    const isNew = this.#transmitter.learn(read32(frame, IP + 14), frame, IP + 8);
    if (isRequest && isOurs(read32(frame, IP + 24))) this.#transmitter.answerArp(frame);
    if (isNew) this.#tcp.addressKnown();
  }

  #receiveIpv4(frame: Uint8Array, isPartial: boolean): void {
    if (frame.length < IP + IP_BYTES || (frame[IP] as number) >> 4 !== 4) return;
    const headerBytes = ((frame[IP] as number) & 15) * 4;
    const length = read16(frame, IP + 2);
    if (headerBytes < IP_BYTES || length < headerBytes || IP + length > frame.length) return;
    const start = IP + headerBytes;
    if (fold(sumBytes(frame, IP, start, 0)) !== 0xffff) return;
    const source = read32(frame, IP + 12);
    const destination = read32(frame, IP + 16);
    if (isGuestAddress(source)) {
      // Whoever speaks is remembered, so that answers need not ask.
      if (this.#transmitter.learn(source, frame, 6)) this.#tcp.addressKnown();
    } else if (source !== 0) return;

    const fragment = read16(frame, IP + 6);
    if ((fragment & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) !== 0) {
      const whole = this.#fragments.take(frame, start, IP + length, this.#sockets.now());
      if (whole === undefined) return;
      this.#dispatch(whole, source, destination, IP + IP_BYTES, whole.length, false);
    } else this.#dispatch(frame, source, destination, start, IP + length, isPartial);
  }

  #dispatch(
    frame: Uint8Array,
    source: number,
    destination: number,
    start: number,
    end: number,
    isPartial: boolean,
  ): void {
    const packet = this.#packet;
    packet.frame = frame;
    packet.source = source;
    packet.destination = destination;
    packet.protocol = frame[IP + 9] as number;
    packet.timeToLive = frame[IP + 8] as number;
    packet.start = start;
    packet.end = end;
    packet.isPartial = isPartial;
    const { protocol } = packet;
    // Only a client of DHCP has no address.
    if (source === 0 && protocol !== PROTOCOL.UDP) return;
    if (packet.timeToLive <= 1 && isOutside(destination)) {
      if (source !== 0) this.#icmp.error(ICMP_ERROR.TIME_EXCEEDED, packet);
      return;
    }
    if (protocol === PROTOCOL.TCP) this.#tcp.receive(packet);
    else if (protocol === PROTOCOL.UDP) {
      this.#udp.receive(packet);
      if (this.#udp.flows > 0) this.#wakeAt(this.#sockets.now() + FLOW_IDLE_MS);
    } else if (protocol === PROTOCOL.ICMP) this.#icmp.receive(packet);
    else if (isOurs(destination) || isOutside(destination)) this.#icmp.error(ICMP_ERROR.PROHIBITED, packet);
  }

  roomAgain(): void {
    if (this.#transmitter.roomAgain()) this.#tcp.roomAgain();
  }

  /** Has the timer ring no later than at `time`. */
  #wakeAt(time: number): void {
    if (time >= this.#timerAt || this.#isClosed) return;
    this.#timerAt = time;
    this.#sockets.startTimer(Math.max(0, time - this.#sockets.now()), () => this.#turn());
  }

  #turn(): void {
    if (this.#isClosed) return;
    const now = this.#sockets.now();
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#udp.expire(now);
    this.#wakeAt(this.#tcp.turn(now));
    if (this.#udp.flows > 0) this.#wakeAt(now + FLOW_IDLE_MS);
  }

  reset(): void {
    this.#fragments.clear();
    this.#transmitter.forget();
    this.#udp.reset();
    this.#tcp.reset();
  }

  save(): DeviceState {
    return {
      leases: this.#dhcp.save(),
      neighbours: this.#transmitter.saveNeighbours(),
      connections: this.#tcp.save(),
    };
  }

  restore(state: DeviceState): void {
    const leases = savedNumbers(state, 'leases', LEASE_WORDS);
    const neighbours = savedNumbers(state, 'neighbours', NEIGHBOUR_WORDS);
    const connections = savedNumbers(state, 'connections', MOST_SAVED_WORDS);
    this.reset();
    this.#dhcp.restore(leases);
    this.#transmitter.restoreNeighbours(neighbours);
    this.#tcp.restore(connections);
    this.#wakeAt(this.#sockets.now());
  }

  /** For statistics. */
  counters(): Record<string, number> {
    return {
      frames_from_guest: this.#received,
      frames_to_guest: this.#transmitter.sent,
      frames_dropped: this.#transmitter.dropped,
      tcp_connections: this.#tcp.connections,
      udp_flows: this.#udp.flows,
    };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#udp.close();
    this.#tcp.close();
    this.#isClosed = true;
    this.#sockets.close();
  }
}
