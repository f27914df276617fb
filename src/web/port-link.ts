import { MAX_FRAME_BYTES, type PacketLink, type PacketReceiver } from '../machine/index.ts';

/** Frames that wait for room in the guest; further ones are lost, as on any network. */
const MOST_WAITING = 256;

/** A link whose other end is a port: each message is one Ethernet frame, a Uint8Array, both ways. */
export class PortLink implements PacketLink {
  receiver: PacketReceiver | undefined;
  readonly #port: MessagePort;
  #waiting: Uint8Array[] = [];

  constructor(port: MessagePort) {
    this.#port = port;
    port.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (!(data instanceof Uint8Array) || data.length > MAX_FRAME_BYTES) return;
      if (this.#waiting.length > 0 || this.receiver?.receive(data) !== true) this.#keep(data);
    };
  }

  #keep(frame: Uint8Array): void {
    if (this.#waiting.length < MOST_WAITING) this.#waiting.push(frame);
  }

  send(frame: Uint8Array): void {
    const copy = frame.slice();
    this.#port.postMessage(copy, [copy.buffer as ArrayBuffer]);
  }

  roomAgain(): void {
    let taken = 0;
    while (taken < this.#waiting.length && this.receiver?.receive(this.#waiting[taken] as Uint8Array) === true) taken++;
    this.#waiting = this.#waiting.slice(taken);
  }

  reset(): void {
    this.#waiting = [];
  }

  close(): void {
    this.#port.close();
  }
}
