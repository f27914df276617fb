import type { DeviceState, Wiring } from '../device.ts';
import type { Outside } from '../outside/events.ts';
import { MAX_FRAME_BYTES, type PacketLink, type PacketReceiver } from '../outside/packets.ts';
import type { Chain } from '../virtio/chain.ts';
import { VIRTIO_ID, type VirtioDevice, type VirtioPort, type VirtioSpec } from '../virtio/device.ts';
import type { VirtQueue } from '../virtio/queue.ts';
import { QueueService } from '../virtio/service.ts';

/** Features (virtio 1.2, section 5.1.3). */
const F = { MTU: 3, MAC: 5, MRG_RXBUF: 15, STATUS: 16 } as const;
const RX = 0;
const TX = 1;
const QUEUE_SIZE = 256;

/** Configuration (5.1.4): MAC address, status, number of queue pairs, MTU. */
const CONFIG_BYTES = 12;
const C = { status: 6, pairs: 8, mtu: 10 } as const;
const LINK_UP = 1;

/** What stands before each frame (5.1.6): only the number of buffers is not zero. */
const HEADER_BYTES = 12;
const NUM_BUFFERS = 10;
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

class VirtioNet implements VirtioDevice, PacketReceiver {
  readonly config = new Uint8Array(CONFIG_BYTES);
  readonly #port: VirtioPort;
  readonly #outside: Outside;
  readonly #link: PacketLink;
  readonly #tx: QueueService;
  /** One frame on its way in either direction, with room for its header. */
  readonly #buffer = new Uint8Array(HEADER_BYTES + MAX_FRAME_BYTES);
  #waiting: Uint8Array[] = [];
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

  receive(frame: Uint8Array): boolean {
    if (!this.#port.isRunning || frame.length > MAX_FRAME_BYTES) {
      this.#dropped++;
      return true;
    }
    if (this.#waiting.length >= MOST_WAITING_FRAMES || this.#waitingBytes + frame.length > MOST_WAITING_BYTES) {
      this.#wasFull = true;
      return false;
    }
    this.#waiting.push(frame.slice());
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
      this.#link.send(whole.subarray(HEADER_BYTES));
    } else this.#dropped++;
    this.#tx.done(chain, 0);
    return true;
  }

  /** Gives the guest what waits, as far as it has put up buffers. */
  #deliver(): void {
    const queue = this.#port.queues[RX] as VirtQueue;
    let count = 0;
    while (count < this.#waiting.length && this.#port.isRunning) {
      const frame = this.#waiting[count] as Uint8Array;
      if (!this.#put(queue, frame)) break;
      this.#waitingBytes -= frame.length;
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
  #put(queue: VirtQueue, frame: Uint8Array): boolean {
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
    whole[NUM_BUFFERS] = chains.length & 0xff;
    whole[NUM_BUFFERS + 1] = chains.length >>> 8;
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

  reset(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#wasFull = false;
    this.#link.reset();
  }

  save(): DeviceState {
    return {};
  }

  /** Frames that were on their way are lost, as on any network, and connections have ended: the link is another one. */
  restore(): void {
    this.reset();
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
    features: [F.MAC, F.MTU, F.STATUS, F.MRG_RXBUF],
    queues: [QUEUE_SIZE, QUEUE_SIZE],
    create: (port, wiring) => new VirtioNet(port, wiring, options),
  };
}
