/**
 * The user network between a hostile guest and a fickle outside: frames of noise, frames that are nearly right, and TCP by a
 * guest that knows where its connections are and does what it likes there; streams that open, refuse, end, stall and break
 * off at any time; a card that is often full. Time is counted, and nothing comes from the host.
 */

import type {
  Accept,
  DatagramSocket,
  DatagramUser,
  Listener,
  PacketReceiver,
  Sockets,
  Stream,
  StreamEnd,
  StreamUser,
} from '../../src/machine/index.ts';
import { UserNetwork } from '../../src/machine/index.ts';
import { Random } from '../truth/random.ts';
import { checkRefusal } from './judge.ts';

const STEPS = 300;
const GUEST = 0x0a00_020f;
const GATEWAY = 0x0a00_0202;
const RESOLVER = 0x0a00_0203;
const PLACES = [
  GATEWAY,
  RESOLVER,
  0xc633_6401,
  0xc633_6402,
  0x7f00_0001,
  0,
  0xffff_ffff,
  0x0a00_02ff,
  0xe000_0001,
  GUEST,
];
const PORTS = [0, 22, 53, 67, 68, 80, 65_535];
const STATE_NAMES = ['leases', 'neighbours', 'connections'];
/** What one connection may hold of the guest's bytes for a stream that takes none. */
const MOST_PENDING = 2 ** 20 + 2 ** 17;
const MOST_FRAME = 65_549;

function sum16(bytes: Uint8Array, start: number, end: number, first: number): number {
  let sum = first;
  for (let i = start; i < end; i++) sum += (bytes[i] as number) << ((i - start) % 2 === 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return sum;
}

/** A stream of the outside's. */
class FickleStream implements Stream {
  user: StreamUser | undefined;
  pending = 0;
  isOpen = false;
  isPaused = false;
  hasEnded = false;
  readonly #sockets: FickleSockets;

  constructor(sockets: FickleSockets) {
    this.#sockets = sockets;
  }

  write(bytes: Uint8Array): void {
    if (!this.isOpen) throw new Error('bytes for a stream that is not open');
    this.pending += bytes.length;
    if (this.pending > MOST_PENDING) throw new Error(`${this.pending} bytes wait for a stream`);
    this.#sockets.written += bytes.length;
  }

  end(): void {}

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  abort(): void {
    this.user = undefined;
  }

  /** Something happens. */
  step(random: Random): void {
    const { user } = this;
    if (user === undefined) return;
    if (!this.isOpen) {
      if (random.chance(0.7)) {
        this.isOpen = true;
        user.opened();
      } else this.#close(random.pick<StreamEnd>(['refused', 'unreachable', 'timeout', 'reset']));
      return;
    }
    switch (random.below(6)) {
      case 0:
      case 1: {
        if (this.isPaused || this.hasEnded) return;
        const bytes = new Uint8Array(random.pick([1, 100, 1460, 5000, 65_536]));
        this.#sockets.given += bytes.length;
        user.data(bytes.fill(random.below(256)));
        return;
      }
      case 2:
        if (this.pending === 0) return;
        this.pending = random.chance(0.7) ? 0 : random.below(this.pending);
        if (this.pending === 0) user.drained();
        return;
      case 3:
        if (this.hasEnded || random.chance(0.7)) return;
        this.hasEnded = true;
        user.ended();
        return;
      case 4:
        if (random.chance(0.8)) return;
        this.#close(this.hasEnded && random.chance(0.5) ? 'closed' : 'reset');
    }
  }

  #close(end: StreamEnd): void {
    const { user } = this;
    this.user = undefined;
    user?.closed(end);
  }
}

/** An outside without a world. */
class FickleSockets implements Sockets {
  time = 1;
  /** Bytes that went through streams, each way. */
  written = 0;
  given = 0;
  readonly random: Random;
  #streams: FickleStream[] = [];
  #timer: { at: number; callback: () => void } | undefined;
  #datagrams: DatagramUser[] = [];
  #accept: Accept | undefined;
  #later: (() => void)[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  now(): number {
    return this.time;
  }

  startTimer(milliseconds: number, callback: () => void): void {
    if (!(milliseconds >= 0)) throw new Error(`a timer of ${milliseconds} ms`);
    this.#timer = { at: this.time + milliseconds, callback };
  }

  isOwn(address: number): boolean {
    return address === 0xc633_6402;
  }

  connect(_address: number, _port: number, user: StreamUser): Stream {
    const stream = new FickleStream(this);
    stream.user = user;
    this.#streams.push(stream);
    return stream;
  }

  listen(_address: string, port: number, accept: Accept): Promise<Listener> {
    this.#accept = accept;
    return Promise.resolve({ port, close: () => {} });
  }

  datagrams(user: DatagramUser): DatagramSocket | undefined {
    if (this.random.chance(0.1)) return undefined;
    this.#datagrams.push(user);
    return { send: () => {}, close: () => void this.#datagrams.splice(this.#datagrams.indexOf(user), 1) };
  }

  bindDatagrams(_address: string, port: number, user: DatagramUser): Promise<DatagramSocket & Listener> {
    this.#datagrams.push(user);
    return Promise.resolve({ port, send: () => {}, close: () => {} });
  }

  resolve(message: Uint8Array, _isLong: boolean, answered: (answer: Uint8Array | undefined) => void): void {
    this.#later.push(() =>
      answered(
        this.random.chance(0.3) ? undefined : new Uint8Array(this.random.pick([12, message.length, 600, 65_535])),
      ),
    );
  }

  ping(_address: number, answered: (isThere: boolean) => void): boolean {
    if (this.random.chance(0.3)) return false;
    this.#later.push(() => answered(this.random.chance(0.5)));
    return true;
  }

  close(): void {}

  step(): void {
    const { random } = this;
    this.#streams = this.#streams.filter(({ user }) => user !== undefined);
    if (this.#datagrams.length > 300) throw new Error('more sockets for datagrams than there may be');
    if (this.#streams.length > 0) random.pick(this.#streams).step(random);
    if (this.#later.length > 0 && random.chance(0.3)) this.#later.shift()?.();
    if (this.#datagrams.length > 0 && random.chance(0.2))
      random
        .pick(this.#datagrams)
        .message(random.pick(PLACES), random.below(65_536), new Uint8Array(random.pick([0, 1, 600, 9000, 65_507])));
    if (this.#accept !== undefined && random.chance(0.05)) {
      const stream = new FickleStream(this);
      stream.isOpen = true;
      stream.user = this.#accept(stream, random.chance(0.2) ? undefined : random.pick(PLACES), random.below(65_536));
      this.#streams.push(stream);
    }
    this.time += random.chance(0.1) ? random.pick([100, 1000, 20_000, 300_000]) : random.below(3);
    if (this.#timer !== undefined && this.#timer.at <= this.time) {
      const { callback } = this.#timer;
      this.#timer = undefined;
      callback();
    }
  }
}

/** What the guest knows of a connection. */
interface Known {
  readonly place: number;
  readonly port: number;
  readonly own: number;
  /** Its own next, and the other side's next. */
  sequence: number;
  acknowledgement: number;
}

/** The guest's card, and what the guest learns from what comes. */
class HostileCard implements PacketReceiver {
  takesSegments = false;
  isFull = false;
  readonly known: Known[] = [];
  frames = 0;

  receive(frame: Uint8Array, segmentBytes?: number): boolean {
    if (segmentBytes === undefined ? frame.length > 1514 : !this.takesSegments || frame.length > MOST_FRAME)
      throw new Error(`a frame of ${frame.length} bytes`);
    if (this.isFull) return false;
    this.frames++;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    if (view.getUint16(12) === 0x0800) this.#packet(frame, view, segmentBytes !== undefined);
    else if (view.getUint16(12) !== 0x0806) throw new Error('a frame that is neither ARP nor IPv4');
    return true;
  }

  #packet(frame: Uint8Array, view: DataView, isPartial: boolean): void {
    const end = 14 + view.getUint16(16);
    if (frame[14] !== 0x45 || end !== frame.length || sum16(frame, 14, 34, 0) !== 0xffff)
      throw new Error('a packet with a wrong header');
    if ((view.getUint16(20) & 0x3fff) !== 0) return;
    const protocol = frame[23] as number;
    const pseudo = protocol === 1 ? 0 : sum16(frame, 26, 34, protocol + end - 34);
    if (!isPartial && sum16(frame, 34, end, pseudo) !== 0xffff) throw new Error('a packet with a wrong checksum');
    if (protocol !== 6) return;
    const known = this.known.find(
      ({ place, port, own }) =>
        place === view.getUint32(26) && port === view.getUint16(34) && own === view.getUint16(36),
    );
    if (known === undefined) {
      // A forward's SYN.
      if ((frame[47] as number) === 2)
        this.known.push({
          place: view.getUint32(26),
          port: view.getUint16(34),
          own: view.getUint16(36),
          sequence: 1,
          acknowledgement: (view.getUint32(38) + 1) >>> 0,
        });
      return;
    }
    const flags = frame[47] as number;
    const length = end - 34 - ((frame[46] as number) >> 4) * 4 + (flags & 1) + ((flags >> 1) & 1);
    known.acknowledgement = (view.getUint32(38) + length) >>> 0;
    if ((flags & 16) !== 0) known.sequence = view.getUint32(42);
  }
}

/** Makes frames. */
class HostileGuest {
  readonly #random: Random;
  readonly #card: HostileCard;

  constructor(random: Random, card: HostileCard) {
    this.#random = random;
    this.#card = card;
  }

  frame(): Uint8Array {
    const random = this.#random;
    const frame = this.#make();
    // Nearly right.
    if (random.chance(0.25))
      for (let i = random.below(6); i >= 0; i--) frame[random.below(frame.length)] = random.below(256);
    return random.chance(0.1) ? frame.subarray(0, random.below(frame.length + 1)) : frame;
  }

  #make(): Uint8Array {
    const random = this.#random;
    switch (random.below(12)) {
      case 0: {
        const noise = new Uint8Array(random.pick([0, 13, 14, 60, 1514, 65_534]));
        for (let i = 0; i < Math.min(noise.length, 64); i++) noise[i] = random.below(256);
        return noise;
      }
      case 1:
        return this.#arp();
      case 2:
        return this.#dhcp();
      case 3:
        return this.#udp(random.pick(PLACES), random.pick(PORTS), new Uint8Array(random.pick([0, 12, 30, 1400])));
      case 4:
        return this.#ip(1, random.pick(PLACES), Uint8Array.of(8, 0, 0, 0, ...new Uint8Array(random.below(80))), -1);
      case 5:
        return this.#fragment();
      default:
        return this.#tcp();
    }
  }

  #ethernet(type: number, length: number): DataView<ArrayBuffer> {
    const view = new DataView(new ArrayBuffer(14 + length));
    view.setUint32(0, 0x5255_0a00);
    view.setUint16(4, 0x0202);
    view.setUint32(6, 0x5254_0012);
    view.setUint16(10, 0x3456);
    view.setUint16(12, type);
    return view;
  }

  #arp(): Uint8Array {
    const random = this.#random;
    const view = this.#ethernet(0x0806, 28);
    view.setUint32(14, 0x0001_0800);
    view.setUint32(18, 0x0604_0000 + random.below(3));
    view.setUint32(28, random.chance(0.7) ? GUEST : GATEWAY + random.below(256));
    view.setUint32(38, random.pick(PLACES));
    return new Uint8Array(view.buffer);
  }

  /** An IPv4 packet; `sumAt` is where in what it carries its checksum is, with the pseudo header's (-1: of ICMP). */
  #ip(protocol: number, place: number, payload: Uint8Array, sumAt: number, fragment = 0, source = GUEST): Uint8Array {
    const view = this.#ethernet(0x0800, 20 + payload.length);
    const bytes = new Uint8Array(view.buffer);
    view.setUint16(14, 0x4500);
    view.setUint16(16, 20 + payload.length);
    view.setUint16(18, this.#random.below(3));
    view.setUint16(20, fragment);
    view.setUint16(22, ((this.#random.chance(0.05) ? 1 : 64) << 8) | protocol);
    view.setUint32(26, source);
    view.setUint32(30, place);
    bytes.set(payload, 34);
    const at = sumAt < 0 ? 2 : sumAt;
    if (payload.length > at + 1) {
      view.setUint16(34 + at, 0);
      const pseudo = sumAt < 0 ? 0 : sum16(bytes, 26, 34, protocol + payload.length);
      view.setUint16(34 + at, ~sum16(bytes, 34, bytes.length, pseudo));
    }
    view.setUint16(24, ~sum16(bytes, 14, 34, 0));
    return bytes;
  }

  #udp(place: number, port: number, payload: Uint8Array, source = GUEST): Uint8Array {
    const view = new DataView(new ArrayBuffer(8 + payload.length));
    view.setUint16(0, this.#random.chance(0.5) ? this.#random.below(65_536) : 68);
    view.setUint16(2, port);
    view.setUint16(4, 8 + payload.length);
    const bytes = new Uint8Array(view.buffer);
    bytes.set(payload, 8);
    return this.#ip(17, place, bytes, 6, 0, source);
  }

  #dhcp(): Uint8Array {
    const random = this.#random;
    const message = new Uint8Array(random.pick([236, 240, 300, 548]));
    message.set([1, 1, 6, 0]);
    message.set([0x52, 0x54, 0, random.below(256), random.below(256), 1], 28);
    if (message.length > 240) {
      message.set(
        [0x63, 0x82, 0x53, 0x63, 53, 1, 1 + random.below(9), random.pick([50, 54, 12]), 4, 10, 0, 2, 15],
        236,
      );
      if (random.chance(0.5)) message[random.pick([244, 249, 254])] = random.below(256);
    }
    return this.#udp(random.pick([0xffff_ffff, GATEWAY]), 67, message, random.chance(0.8) ? 0 : GUEST);
  }

  #fragment(): Uint8Array {
    const random = this.#random;
    const part = new Uint8Array(random.pick([8, 64, 1480, 1477]));
    part.set([0, 53, 0, 53, part.length >> 8, part.length & 255]);
    const offset = random.chance(0.8) ? random.below(4) * 185 : random.below(0x2000);
    return this.#ip(
      random.pick([1, 6, 17]),
      random.pick(PLACES),
      part,
      60_000,
      offset | (random.chance(0.7) ? 0x2000 : 0),
    );
  }

  #tcp(): Uint8Array {
    const random = this.#random;
    const { known } = this.#card;
    const isNew = known.length === 0 || random.chance(0.15);
    if (isNew) {
      known.push({
        place: random.pick([GATEWAY, RESOLVER, 0xc633_6401, random.pick(PLACES)]),
        port: random.pick(PORTS),
        own: 1000 + random.below(40),
        sequence: random.word() >>> 0,
        acknowledgement: 0,
      });
      if (known.length > 30) known.shift();
    }
    const one = isNew ? (known.at(-1) as Known) : random.pick(known);
    let flags = isNew ? 2 : 16;
    if (!isNew) {
      if (random.chance(0.1)) flags |= 1;
      if (random.chance(0.05)) flags |= 2;
      if (random.chance(0.05)) flags |= 4;
      if (random.chance(0.3)) flags |= 8;
      if (random.chance(0.05)) flags ^= 16;
      if (random.chance(0.02)) flags = random.below(256);
    }
    const options = (flags & 2) !== 0 ? this.#options() : new Uint8Array(0);
    const length = (flags & 2) !== 0 ? 0 : random.pick([0, 0, 1, 100, 1460, 1460, 30_000]);
    const view = new DataView(new ArrayBuffer(20 + options.length + length));
    const off = (): number =>
      random.chance(0.2) ? random.pick([-1, 1, 1460, -1460, 5000, 0x7fff_ffff, random.word()]) : 0;
    view.setUint16(0, one.own);
    view.setUint16(2, one.port);
    view.setUint32(4, (one.sequence + off()) >>> 0);
    view.setUint32(8, (one.acknowledgement + off()) >>> 0);
    view.setUint16(12, (((20 + options.length) / 4) << 12) | flags);
    view.setUint16(14, random.pick([0, 1, 100, 2000, 65_535]));
    const bytes = new Uint8Array(view.buffer);
    bytes.set(options, 20);
    if (isNew) one.sequence = (one.sequence + 1) >>> 0;
    return this.#ip(6, one.place, bytes, 16);
  }

  #options(): Uint8Array {
    const random = this.#random;
    const options = Uint8Array.of(2, 4, random.below(8), random.below(256), 1, 3, 3, random.below(16));
    if (random.chance(0.2)) options[random.below(8)] = random.below(256);
    return random.chance(0.2) ? options.subarray(0, 4) : options;
  }
}

/** A saved state, as somebody else might have written it. */
function spoil(state: Record<string, unknown>, random: Random): void {
  const name = random.pick(STATE_NAMES);
  const list = state[name];
  switch (random.below(4)) {
    case 0:
      delete state[name];
      return;
    case 1:
      state[name] = random.pick<unknown>([null, 'x', {}, [1, -1], [1.5], new Array(1e5).fill(0)]);
      return;
    default:
      if (!Array.isArray(list)) return;
      for (let i = random.below(9); i > 0; i--) list[random.below(list.length + 1)] = random.word() >>> 0;
  }
}

export class HostilePackets {
  /** Runs the frames of a seed. @throws whatever must not be thrown. */
  async run(seed: number): Promise<string> {
    const random = new Random(seed);
    const sockets = new FickleSockets(random);
    const network = await UserNetwork.create(sockets, {
      restrict: random.chance(0.1),
      hostLoopback: random.chance(0.5),
      ...(random.chance(0.5) && {
        forward: [
          { protocol: 'tcp', hostPort: 1, guestPort: 22 },
          { protocol: 'udp', hostPort: 1, guestPort: 53 },
        ],
      }),
    });
    const card = new HostileCard();
    const guest = new HostileGuest(random, card);
    network.receiver = card;
    for (let step = 0; step < STEPS; step++) {
      const frame = guest.frame();
      // A card's buffer is its own again afterwards; and in Node it may be a Buffer.
      const borrowed = random.chance(0.5) ? Buffer.from(frame) : Uint8Array.from(frame);
      network.send(borrowed, random.chance(0.2));
      borrowed.fill(0xee);
      sockets.step();
      if (random.chance(0.1)) card.isFull = !card.isFull;
      if (!card.isFull && random.chance(0.3)) network.roomAgain();
      if (random.chance(0.02)) card.takesSegments = !card.takesSegments;
      if (random.chance(0.003)) network.reset();
      if (random.chance(0.01)) this.#saveAndRestore(network, random);
      await undefined;
    }
    const { tcp_connections = 0, udp_flows = 0 } = network.counters();
    if (tcp_connections > 2048 || udp_flows > 256) throw new Error('more connections than there may be');
    network.close();
    const left = network.counters();
    if (left['tcp_connections'] !== 0 || left['udp_flows'] !== 0) throw new Error('connections are left at the end');
    return sockets.written > 0 && sockets.given > 0 ? 'carried' : 'answered';
  }

  #saveAndRestore(network: UserNetwork, random: Random): void {
    const state = JSON.parse(JSON.stringify(network.save()));
    if (random.chance(0.7)) spoil(state, random);
    try {
      network.restore(state);
    } catch (error) {
      checkRefusal(error);
    }
  }
}
