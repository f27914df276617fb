import { type DeviceState, savedPart, type Wiring } from '../device.ts';
import type { Outside } from '../outside/events.ts';
import { MAX_FRAME_BYTES, type PacketLink, type PacketReceiver } from '../outside/packets.ts';
import type { Chain } from '../virtio/chain.ts';
import { VIRTIO_ID, type VirtioDevice, type VirtioPort, type VirtioSpec } from '../virtio/device.ts';
import type { VirtQueue } from '../virtio/queue.ts';
import { QueueService } from '../virtio/service.ts';

/** Features (virtio 1.2, section 5.1.3). */
const F = { CSUM: 0, GUEST_CSUM: 1, MTU: 3, MAC: 5, GUEST_TSO4: 7, HOST_TSO4: 11, MRG_RXBUF: 15, STATUS: 16 } as const;
/** What the link makes possible: checksums that are not filled in, and long segments, both ways. */
const OFFLOADS = [F.CSUM, F.GUEST_CSUM, F.GUEST_TSO4, F.HOST_TSO4] as const;
const RX = 0;
const TX = 1;
const QUEUE_SIZE = 256;

/** Configuration (5.1.4): MAC address, status, number of queue pairs, MTU. */
const CONFIG_BYTES = 12;
const C = { status: 6, pairs: 8, mtu: 10 } as const;
const LINK_UP = 1;

/** What stands before each frame (5.1.6), little-endian: flags, kind of segments, and halfwords. */
const HEADER_BYTES = 12;
const H = { FLAGS: 0, GSO_TYPE: 1, HDR_LEN: 2, GSO_SIZE: 4, CSUM_START: 6, CSUM_OFFSET: 8, NUM_BUFFERS: 10 } as const;
const NEEDS_CSUM = 1;
const DATA_VALID = 2;
const GSO_TCPV4 = 1;
/** Where IPv4's header begins in a frame, and TCP's checksum in its header. */
const IP = 14;
const TCP_CHECKSUM = 16;

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

class VirtioNet implements VirtioDevice, PacketReceiver {
  readonly config = new Uint8Array(CONFIG_BYTES);
  readonly #port: VirtioPort;
  readonly #outside: Outside;
  readonly #link: PacketLink;
  readonly #tx: QueueService;
  /** A frame of the guest's on its way, behind its header; and one to the guest, which may come of it while it is looked at. */
  readonly #outgoing = new Uint8Array(HEADER_BYTES + MAX_FRAME_BYTES);
  readonly #incoming = new Uint8Array(HEADER_BYTES + MAX_FRAME_BYTES);
  readonly #header = new DataView(this.#incoming.buffer, 0, HEADER_BYTES);
  /** The guest's rings may be written to: it is between two slices, or the guest has just notified the device. */
  #isOpen = false;
  /** By queue: `#turn` will be called. */
  readonly #isDue = [false, false];
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
    return this.#port.has(F.GUEST_CSUM) && this.#port.has(F.GUEST_TSO4);
  }

  receive(frame: Uint8Array, segmentBytes = 0): boolean {
    if (!this.#port.isRunning || frame.length > MAX_FRAME_BYTES) {
      this.#dropped++;
      return true;
    }
    if (this.#isOpen && this.#put(frame, segmentBytes)) return true;
    this.#wasFull = true;
    // Frames that come while the guest is stopped, or in the midst of something, are asked for again at their time.
    if (!this.#isOpen) this.#turnSoon(RX);
    return false;
  }

  /**
   * Soon, but not at once: a guest that goes on sends more, which then costs it neither further notifications nor an interrupt
   * for each frame, and its TCP makes long segments of what waits.
   */
  notified(queue: number): void {
    this.#turnSoon(queue);
  }

  #turnSoon(queue: number): void {
    if (this.#isDue[queue] !== false) return;
    this.#isDue[queue] = true;
    this.#outside.between(() => {
      this.#isDue[queue] = false;
      this.#turn(queue);
    });
  }

  /** Takes what the guest sends, or gives it what the link has kept; either may bring the other. */
  #turn(queue: number): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    if (queue === TX) this.#tx.run();
    else if (this.#wasFull) {
      this.#wasFull = false;
      this.#link.roomAgain();
    }
    this.#isOpen = false;
    this.#port.queues[RX]?.signal();
  }

  #send(chain: Chain): boolean {
    const length = chain.readableBytes - HEADER_BYTES;
    if (length > 0 && length <= MAX_FRAME_BYTES) {
      const whole = this.#outgoing.subarray(0, HEADER_BYTES + length);
      chain.read(0, whole);
      this.#sent++;
      const isPartial = this.#port.has(F.CSUM) && ((whole[H.FLAGS] as number) & NEEDS_CSUM) !== 0;
      this.#link.send(whole.subarray(HEADER_BYTES), isPartial);
    } else this.#dropped++;
    this.#tx.done(chain, 0);
    return true;
  }

  /** Puts a frame into the guest's buffers. False: there are not enough yet. */
  #put(frame: Uint8Array, segmentBytes: number): boolean {
    const queue = this.#port.queues[RX] as VirtQueue;
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
    const whole = this.#incoming.subarray(0, needed);
    whole.set(frame, HEADER_BYTES);
    this.#describe(frame, segmentBytes, chains.length);
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

  /** Writes the header of a frame for the guest. */
  #describe(frame: Uint8Array, segmentBytes: number, buffers: number): void {
    const header = this.#header;
    this.#incoming.fill(0, 0, HEADER_BYTES);
    header.setUint16(H.NUM_BUFFERS, buffers, true);
    if (!this.#port.has(F.GUEST_CSUM)) return;
    if (segmentBytes === 0) {
      // Nothing between the link and here could have spoilt it.
      if (this.#link.takesSegments === true) header.setUint8(H.FLAGS, DATA_VALID);
      return;
    }
    const start = IP + ((frame[IP] as number) & 15) * 4;
    const headerBytes = start + ((frame[start + 12] as number) >>> 4) * 4;
    header.setUint8(H.FLAGS, NEEDS_CSUM);
    header.setUint16(H.CSUM_START, start, true);
    header.setUint16(H.CSUM_OFFSET, TCP_CHECKSUM, true);
    if (frame.length - headerBytes <= segmentBytes) return;
    header.setUint8(H.GSO_TYPE, GSO_TCPV4);
    header.setUint16(H.HDR_LEN, headerBytes, true);
    header.setUint16(H.GSO_SIZE, segmentBytes, true);
  }

  reset(): void {
    this.#wasFull = false;
    this.#link.reset();
  }

  save(): DeviceState {
    return { link: this.#link.save?.() ?? {} };
  }

  /** What the guest had sent, and not been told of, is sent again; what was on its way to it is lost, as on any network. */
  restore(state: DeviceState): void {
    const link = savedPart(state, 'link');
    this.reset();
    this.#link.restore?.(link);
    const rx = this.#port.queues[RX] as VirtQueue;
    for (const chain of [...rx.held]) rx.done(chain, 0);
    this.#tx.restart();
    this.#turn(TX);
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
    features: [F.MAC, F.MTU, F.STATUS, F.MRG_RXBUF, ...(options.link.takesSegments === true ? OFFLOADS : [])],
    queues: [QUEUE_SIZE, QUEUE_SIZE],
    create: (port, wiring) => new VirtioNet(port, wiring, options),
  };
}
