import { type DeviceState, savedNumber, savedNumbers, savedPart, type Wiring } from '../device.ts';
import type { Outside } from '../outside/events.ts';
import type { GuestPort, PortEnd } from '../outside/ports.ts';
import type { Chain } from '../virtio/chain.ts';
import { VIRTIO_ID, type VirtioDevice, type VirtioPort, type VirtioSpec } from '../virtio/device.ts';
import type { VirtQueue } from '../virtio/queue.ts';
import { QueueService } from '../virtio/service.ts';
import { ByteQueue } from './byte-queue.ts';

/** Features and configuration (virtio 1.2, sections 5.3.3 and 5.3.4): columns 16, rows 16, number of ports 32. */
const MULTIPORT = 1;
const CONFIG_BYTES = 12;
const MAX_NR_PORTS = 4;
const QUEUE_SIZE = 64;

/** Queues: port 0's, those of control, and then two for each further port (5.3.2). Port 0 is a console, which nobody has here. */
const CONTROL_RX = 2;
const CONTROL_TX = 3;
const rxQueue = (port: number): number => 2 + 2 * port;

/** Control messages (5.3.6.2): port 32, event 16, value 16. */
const MESSAGE_BYTES = 8;
const EVENT = { DEVICE_READY: 0, DEVICE_ADD: 1, PORT_READY: 3, PORT_OPEN: 6, PORT_NAME: 7 } as const;
/** Control messages for a driver that puts up no buffers for them. */
const MOST_MESSAGES = 64;

/** Bytes for the guest that a port keeps, and bytes that it takes from it at once. */
const PORT_BYTES = 0x10000;

/** A console port. */
export interface ConsolePortOptions {
  /** Guests find it in /dev/virtio-ports. */
  readonly name: string;
  readonly end: PortEnd;
}

/** A named port: a stream of bytes in both directions. */
class NamedPort implements GuestPort {
  readonly end: PortEnd;
  readonly name: Uint8Array;
  readonly input = new ByteQueue(PORT_BYTES);
  readonly output: QueueService;
  /** A program in the guest has it open. */
  isOpen = false;
  isConnected = true;
  /** The outside hung up with bytes of its under way. */
  #hangsUp = false;
  /** The end was told that there is no room. */
  #wasFull = false;
  readonly #device: VirtioPort;
  readonly #outside: Outside;
  readonly #rx: number;
  readonly #connectionChanged: () => void;
  readonly #buffer = new Uint8Array(PORT_BYTES);
  #isDue = false;
  received = 0;
  sent = 0;

  constructor(
    device: VirtioPort,
    outside: Outside,
    number: number,
    { name, end }: ConsolePortOptions,
    connectionChanged: () => void,
  ) {
    this.end = end;
    this.name = Uint8Array.from(name, (character) => character.charCodeAt(0));
    this.#device = device;
    this.#outside = outside;
    this.#rx = rxQueue(number);
    this.#connectionChanged = connectionChanged;
    this.output = new QueueService(device, outside, rxQueue(number) + 1, (chain) => this.#write(chain));
    end.port = this;
  }

  receive(bytes: Uint8Array): number {
    // As with a pipe that nobody reads, what comes before the guest's program waits.
    let taken = 0;
    while (taken < bytes.length && this.input.push(bytes[taken] as number)) taken++;
    if (taken < bytes.length) this.#wasFull = true;
    if (taken > 0) this.#soon(() => this.deliver());
    return taken;
  }

  roomAgain(): void {
    this.#outside.between(() => this.output.run());
  }

  connected(isConnected: boolean): void {
    this.#outside.between(() => {
      // Whoever hangs up has said something before: the guest gets that first, as from a pipe.
      this.#hangsUp = !isConnected && this.input.length > 0;
      if (this.isConnected === isConnected || this.#hangsUp) return;
      this.isConnected = isConnected;
      this.#connectionChanged();
      this.output.run();
    });
  }

  #soon(run: () => void): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#outside.between(() => {
      this.#isDue = false;
      run();
    });
  }

  /** Takes what the guest writes, unless the end is full: then the guest's writer waits. Without a reader it is lost. */
  #write(chain: Chain): boolean {
    if (this.isConnected && this.end.full === true) return false;
    for (let at = 0; this.isConnected && at < chain.readableBytes; at += PORT_BYTES) {
      // The end keeps the bytes.
      const bytes = new Uint8Array(Math.min(PORT_BYTES, chain.readableBytes - at));
      chain.read(at, bytes);
      this.received += bytes.length;
      this.end.write(bytes);
    }
    this.output.done(chain, 0);
    return true;
  }

  /** Gives the guest what waits for it, as far as it has put up buffers. */
  deliver(): void {
    const queue = this.#device.queues[this.#rx] as VirtQueue;
    if (!this.isOpen || !this.#device.isRunning || this.input.length === 0) return;
    while (this.input.length > 0) {
      const chain = queue.take();
      if (chain === undefined) break;
      const bytes = this.#buffer.subarray(0, Math.min(chain.writableBytes, this.input.length));
      for (let i = 0; i < bytes.length; i++) bytes[i] = this.input.shift();
      this.sent += bytes.length;
      queue.done(chain, chain.write(0, bytes));
    }
    queue.signal();
    if (this.#hangsUp && this.input.length === 0) this.connected(false);
    if (!this.#wasFull || this.input.length > PORT_BYTES / 2) return;
    this.#wasFull = false;
    this.end.roomAgain?.();
  }

  setOpen(isOpen: boolean): void {
    if (this.isOpen === isOpen) return;
    this.isOpen = isOpen;
    this.end.opened?.(isOpen);
    this.deliver();
  }

  /** What waits for the guest waits on: a driver begins with a reset, and somebody outside may have spoken before. */
  reset(): void {
    this.setOpen(false);
  }

  save(): DeviceState {
    return {
      isOpen: this.isOpen ? 1 : 0,
      isConnected: this.isConnected ? 1 : 0,
      hangsUp: this.#hangsUp ? 1 : 0,
      input: this.input.toArray(),
    };
  }

  restore(state: DeviceState): void {
    this.isOpen = savedNumber(state, 'isOpen') !== 0;
    this.isConnected = savedNumber(state, 'isConnected') !== 0;
    this.#hangsUp = savedNumber(state, 'hangsUp') !== 0;
    this.input.set(savedNumbers(state, 'input', PORT_BYTES).map((byte) => byte & 0xff));
    this.output.restart();
  }
}

/** Named ports between programs in the guest and the outside. */
class VirtioConsole implements VirtioDevice {
  readonly config = new Uint8Array(CONFIG_BYTES);
  readonly #port: VirtioPort;
  readonly #ports: readonly NamedPort[];
  readonly #control: QueueService;
  readonly #message = new DataView(new ArrayBuffer(MESSAGE_BYTES));
  readonly #messageBytes = new Uint8Array(this.#message.buffer);
  /** Messages that wait for the driver's buffers: port, event and value of each. */
  #messages: number[][] = [];

  constructor(port: VirtioPort, { outside }: Wiring, options: readonly ConsolePortOptions[]) {
    this.#port = port;
    new DataView(this.config.buffer).setUint32(MAX_NR_PORTS, options.length + 1, true);
    this.#ports = options.map((one, i) => {
      const number = i + 1;
      const changed = (): void => this.#say(number, EVENT.PORT_OPEN, (this.#ports[i] as NamedPort).isConnected ? 1 : 0);
      return new NamedPort(port, outside, number, one, changed);
    });
    this.#control = new QueueService(port, outside, CONTROL_TX, (chain) => this.#hear(chain));
  }

  notified(queue: number): void {
    if (queue === CONTROL_TX) this.#control.run();
    else if (queue === CONTROL_RX) this.#sendMessages();
    else {
      const port = this.#ports[(queue >> 1) - 2];
      if ((queue & 1) === 0) port?.deliver();
      else port?.output.run();
    }
  }

  /** A message of the driver's. */
  #hear(chain: Chain): boolean {
    const isWhole = chain.read(0, this.#messageBytes) === MESSAGE_BYTES;
    const number = this.#message.getUint32(0, true);
    const event = this.#message.getUint16(4, true);
    const value = this.#message.getUint16(6, true);
    this.#control.done(chain, 0);
    if (!isWhole) return true;
    const port = this.#ports[number - 1];
    if (event === EVENT.DEVICE_READY && value === 1)
      for (let i = 1; i <= this.#ports.length; i++) this.#say(i, EVENT.DEVICE_ADD, 1);
    else if (port === undefined) return true;
    else if (event === EVENT.PORT_READY && value === 1) {
      this.#say(number, EVENT.PORT_NAME, 1);
      this.#say(number, EVENT.PORT_OPEN, port.isConnected ? 1 : 0);
    } else if (event === EVENT.PORT_OPEN) port.setOpen(value !== 0);
    return true;
  }

  #say(port: number, event: number, value: number): void {
    if (!this.#port.isRunning || !this.#port.has(MULTIPORT)) return;
    if (this.#messages.length >= MOST_MESSAGES + 3 * this.#ports.length) {
      this.#port.needsReset('control messages are asked for and not taken');
      return;
    }
    this.#messages.push([port, event, value]);
    this.#sendMessages();
  }

  #sendMessages(): void {
    const queue = this.#port.queues[CONTROL_RX] as VirtQueue;
    while (this.#messages.length > 0) {
      const chain = queue.take();
      if (chain === undefined) break;
      const [number = 0, event = 0, value = 0] = this.#messages.shift() as number[];
      this.#message.setUint32(0, number, true);
      this.#message.setUint16(4, event, true);
      this.#message.setUint16(6, value, true);
      let written = chain.write(0, this.#messageBytes);
      // A name stands behind its message.
      const name = this.#ports[number - 1]?.name;
      if (event === EVENT.PORT_NAME && name !== undefined) written += chain.write(MESSAGE_BYTES, name);
      queue.done(chain, written);
    }
    queue.signal();
  }

  reset(): void {
    this.#messages = [];
    for (const port of this.#ports) port.reset();
  }

  save(): DeviceState {
    return {
      messages: this.#messages.flat(),
      ports: Object.fromEntries(this.#ports.map((port, i) => [String(i), port.save()])),
    };
  }

  restore(state: DeviceState): void {
    const most = MOST_MESSAGES + 3 * this.#ports.length;
    const words = savedNumbers(state, 'messages', 3 * most);
    this.#messages = Array.from({ length: Math.floor(words.length / 3) }, (_, i) => words.slice(3 * i, 3 * i + 3));
    const ports = savedPart(state, 'ports');
    this.#ports.forEach((port, i) => {
      port.restore(savedPart(ports, String(i)));
    });
    this.#control.restart();
    this.#control.run();
    for (const port of this.#ports) port.output.run();
  }

  counters(): Record<string, number> {
    const all: Record<string, number> = {};
    this.#ports.forEach(({ received, sent }, i) => {
      all[`port${i + 1}_received`] = received;
      all[`port${i + 1}_sent`] = sent;
    });
    return all;
  }
}

/** Named ports on a machine. */
export function virtioConsole(name: string, ports: readonly ConsolePortOptions[]): VirtioSpec {
  return {
    name,
    id: VIRTIO_ID.console,
    features: [MULTIPORT],
    queues: new Array(2 * (ports.length + 2)).fill(QUEUE_SIZE),
    create: (port, wiring) => new VirtioConsole(port, wiring, ports),
  };
}
