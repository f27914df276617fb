import { type DeviceState, savedPart, type Wiring } from '../device.ts';
import type { Outside } from '../outside/events.ts';
import { MAX_FRAME_BYTES, type PacketLink, type PacketReceiver } from '../outside/packets.ts';
import type { Chain } from '../virtio/chain.ts';
import { VIRTIO_ID, type VirtioDevice, type VirtioPort, type VirtioSpec } from '../virtio/device.ts';
import type { VirtQueue } from '../virtio/queue.ts';
import { QueueService } from '../virtio/service.ts';

/** Features (virtio 1.2, section 5.1.3). */
const F = { CSUM: 0, GUEST_CSUM: 1, MTU: 3, MAC: 5, GUEST_TSO4: 7, HOST_TSO4: 11, MRG_RXBUF: 15, STATUS: 16 } as const;
const RX = 0;
const TX = 1;
const QUEUE_SIZE = 256;

/** Configuration (5.1.4): MAC address, status, number of queue pairs, MTU. */
const CONFIG_BYTES = 12;
const C = { status: 6, pairs: 8, mtu: 10 } as const;
const LINK_UP = 1;

/** What stands before each frame (5.1.6). */
const HEADER_BYTES = 12;
const H = { flags: 0, gsoType: 1, hdrLen: 2, gsoSize: 4, csumStart: 6, csumOffset: 8, numBuffers: 10 } as const;
const NEEDS_CSUM = 1;
const GSO_TCPV4 = 1;
/** Where a frame's headers have what that needs: IP behind Ethernet, the checksum in TCP's header, the lengths of both. */
const IP_AT = 14;
const TCP_CHECKSUM_AT = 16;
const TCP_LENGTH_AT = 12;
/** Frames that wait for the guest at most; the link keeps what is beyond. */
const MOST_WAITING_FRAMES = 256;
const MOST_WAITING_BYTES = 2 ** 20;

const DEFAULT_MAC = '52:54:00:12:34:56';
const DEFAULT_MTU = 1500;

/** A network card. */
export interface NetworkOptions {
  readonly link: PacketLink;
  /** Six bytes, such as "52:54:00:12:34:56", which is also what there is when absent. */
  readonly mac?: string | undefined;
  /** Longest packet, bytes without the Ethernet header. Default: 1500. */
  readonly mtu?: number | undefined;
}

interface Waiting {
  readonly frame: Uint8Array;
  /** Bytes of the segments that it stands for; 0: it is as on a wire. */
  readonly segmentBytes: number;
}

class VirtioNet implements VirtioDevice, PacketReceiver {
  readonly config = new Uint8Array(CONFIG_BYTES);
  readonly #port: VirtioPort;
  readonly #outside: Outside;
  readonly #link: PacketLink;
  readonly #tx: QueueService;
  /** One frame on its way in either direction, with room for its header. */
  readonly #buffer = new Uint8Array(HEADER_BYTES + MAX_FRAME_BYTES);
  readonly #header = new DataView(this.#buffer.buffer, 0, HEADER_BYTES);
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** `#deliver` will be called. */
  #isDue = false;
  /** The link was told that there is no room. */
  #wasFull = false;
  readonly #chains: Chain[] = [];
  #received = 0;
  #sent = 0;
  #dropped = 0;

  constructor(port: VirtioPort, { outside }: Wiring, options: NetworkOptions) {
    const { link, mac = DEFAULT_MAC, mtu = DEFAULT_MTU } = options;
    this.#port = port;
    this.#outside = outside;
    this.#link = link;
    this.#tx = new QueueService(port, outside, TX, (chain) => this.#send(chain));
    mac.split(':').forEach((byte, i) => {
      this.config[i] = Number.parseInt(byte, 16);
    });
    const view = new DataView(this.config.buffer);
    view.setUint16(C.status, LINK_UP, true);
    view.setUint16(C.pairs, 1, true);
    view.setUint16(C.mtu, mtu, true);
    link.receiver = this;
  }

  get takesSegments(): boolean {
    return this.#port.isRunning && this.#port.has(F.GUEST_CSUM) && this.#port.has(F.GUEST_TSO4);
  }

  receive(frame: Uint8Array, segmentBytes = 0): boolean {
    if (!this.#port.isRunning || frame.length > MAX_FRAME_BYTES) {
      this.#dropped++;
      return true;
    }
    if (this.#waiting.length >= MOST_WAITING_FRAMES || this.#waitingBytes + frame.length > MOST_WAITING_BYTES) {
      this.#wasFull = true;
      return false;
    }
    this.#waiting.push({ frame: frame.slice(), segmentBytes });
    this.#waitingBytes += frame.length;
    if (!this.#isDue) {
      this.#isDue = true;
      this.#outside.between(() => {
        this.#isDue = false;
        this.#deliver();
      });
    }
    return true;
  }

  notified(queue: number): void {
    if (queue === TX) this.#tx.run();
    else if (!this.#isDue) this.#deliver();
  }

  #send(chain: Chain): boolean {
    const length = chain.readableBytes - HEADER_BYTES;
    if (length > 0 && length <= MAX_FRAME_BYTES) {
      const whole = this.#buffer.subarray(0, HEADER_BYTES + length);
      chain.read(0, whole);
      this.#sent++;
      const isPartial = ((whole[H.flags] as number) & NEEDS_CSUM) !== 0;
      this.#link.send(whole.subarray(HEADER_BYTES), isPartial);
    } else this.#dropped++;
    this.#tx.done(chain, 0);
    return true;
  }

  /** Gives the guest what waits, as far as it has put up buffers. */
  #deliver(): void {
    const queue = this.#port.queues[RX] as VirtQueue;
    let count = 0;
    while (count < this.#waiting.length && this.#port.isRunning) {
      const one = this.#waiting[count] as Waiting;
      if (!this.#put(queue, one)) break;
      this.#waitingBytes -= one.frame.length;
      count++;
    }
    if (count === 0) return;
    this.#waiting.splice(0, count);
    queue.signal();
    if (!this.#wasFull) return;
    this.#wasFull = false;
    this.#link.roomAgain();
  }

  /** Puts a frame into the guest's buffers. False: there are not enough yet. */
  #put(queue: VirtQueue, { frame, segmentBytes }: Waiting): boolean {
    const chains = this.#chains;
    const needed = HEADER_BYTES + frame.length;
    const isMerged = this.#port.has(F.MRG_RXBUF);
    chains.length = 0;
    let room = 0;
    while (room < needed && (isMerged || chains.length === 0)) {
      const chain = queue.take();
      if (chain === undefined) {
        while (chains.length > 0) queue.untake(chains.pop() as Chain);
        return false;
      }
      chains.push(chain);
      room += chain.writableBytes;
    }
    const whole = this.#buffer.subarray(0, needed);
    whole.fill(0, 0, HEADER_BYTES);
    this.#header.setUint16(H.numBuffers, chains.length, true);
    if (segmentBytes > 0) this.#describe(frame, segmentBytes);
    whole.set(frame, HEADER_BYTES);
    const fits = room >= needed;
    if (fits) this.#received++;
    else this.#dropped++;
    let at = 0;
    for (let i = 0; i < chains.length; i++) {
      const chain = chains[i] as Chain;
      const written = fits ? chain.write(0, whole.subarray(at)) : 0;
      queue.done(chain, written);
      at += written;
    }
    return true;
  }

  /** Says in the header of a frame that its checksum is to be filled in, and that it stands for several segments. */
  #describe(frame: Uint8Array, segmentBytes: number): void {
    const header = this.#header;
    const tcpAt = IP_AT + 4 * ((frame[IP_AT] ?? 0) & 0xf);
    const dataAt = tcpAt + 4 * ((frame[tcpAt + TCP_LENGTH_AT] ?? 0) >>> 4);
    header.setUint8(H.flags, NEEDS_CSUM);
    header.setUint16(H.csumStart, tcpAt, true);
    header.setUint16(H.csumOffset, TCP_CHECKSUM_AT, true);
    if (frame.length - dataAt <= segmentBytes) return;
    header.setUint8(H.gsoType, GSO_TCPV4);
    header.setUint16(H.hdrLen, dataAt, true);
    header.setUint16(H.gsoSize, segmentBytes, true);
  }

  #forget(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#wasFull = false;
  }

  reset(): void {
    this.#forget();
    this.#link.reset();
  }

  save(): DeviceState {
    return { link: this.#link.save?.() ?? {} };
  }

  /** Frames that were on their way are lost, as on any network. */
  restore(state: DeviceState): void {
    this.#forget();
    const link = savedPart(state, 'link');
    if (this.#link.restore === undefined) this.#link.reset();
    else this.#link.restore(link);
    const rx = this.#port.queues[RX] as VirtQueue;
    for (const chain of [...rx.held]) rx.done(chain, 0);
    this.#tx.restart();
    this.#tx.run();
  }

  counters(): Record<string, number> {
    return { received: this.#received, sent: this.#sent, dropped: this.#dropped };
  }
}

/** A network card on a machine. */
export function virtioNet(name: string, options: NetworkOptions): VirtioSpec {
  return {
    name,
    id: VIRTIO_ID.net,
    features: [
      ...[F.MAC, F.MTU, F.STATUS, F.MRG_RXBUF],
      ...(options.link.takesSegments === true ? [F.CSUM, F.HOST_TSO4, F.GUEST_CSUM, F.GUEST_TSO4] : []),
    ],
    queues: [QUEUE_SIZE, QUEUE_SIZE],
    create: (port, wiring) => new VirtioNet(port, wiring, options),
  };
}
