import type { Sockets } from '../outside/sockets.ts';
import { GATEWAY, isOurs, isOutside } from './addresses.ts';
import { checksum, copyOf, fold, read32, sumBytes, write16, write32 } from './bytes.ts';
import type { Transmitter } from './transmitter.ts';
import { IP_PAYLOAD, type Packet, PROTOCOL } from './wire.ts';

const ECHO_REPLY = 0;
const ECHO = 8;
const HEADER_BYTES = 8;
/** What an error quotes of the packet at most: it stays within 576 bytes (RFC 1812). */
const QUOTE_BYTES = 548;
/** Echoes that the outside is asked for at a time. */
const MOST_PINGS = 16;

/** Kinds of errors: type and code. */
export const ICMP_ERROR = {
  HOST_UNREACHABLE: 0x0301,
  PORT_UNREACHABLE: 0x0303,
  PROHIBITED: 0x030d,
  TIME_EXCEEDED: 0x0b00,
} as const;

/** Echoes, and errors towards the guest. */
export class Icmp {
  readonly #transmitter: Transmitter;
  readonly #sockets: Sockets;
  readonly #mayReach: (address: number) => boolean;
  #pings = 0;

  constructor(transmitter: Transmitter, sockets: Sockets, mayReach: (address: number) => boolean) {
    this.#transmitter = transmitter;
    this.#sockets = sockets;
    this.#mayReach = mayReach;
  }

  receive(packet: Packet): void {
    const { frame, start, end, source, destination } = packet;
    if (end - start < HEADER_BYTES || frame[start] !== ECHO) return;
    if (!packet.isPartial && fold(sumBytes(frame, start, end, 0)) !== 0xffff) return;
    if (isOurs(destination)) {
      this.#reply(destination, source, frame.subarray(start, end));
      return;
    }
    if (!isOutside(destination)) return;
    if (!this.#mayReach(destination) || this.#pings >= MOST_PINGS) {
      this.error(ICMP_ERROR.PROHIBITED, packet);
      return;
    }
    const echo = copyOf(frame, start, end);
    const quoted = quote(packet);
    const answered = (isThere: boolean): void => {
      this.#pings--;
      if (isThere) this.#reply(destination, source, echo);
    };
    this.#pings++;
    if (this.#sockets.ping?.(destination, answered) === true) return;
    this.#pings--;
    this.#error(ICMP_ERROR.PROHIBITED, source, quoted);
  }

  #reply(source: number, destination: number, echo: Uint8Array): void {
    const { frame } = this.#transmitter;
    if (!this.#transmitter.ipv4(PROTOCOL.ICMP, source, destination, echo.length)) return;
    frame.set(echo, IP_PAYLOAD);
    frame[IP_PAYLOAD] = ECHO_REPLY;
    this.#finish(echo.length);
  }

  /** Tells a packet's sender why it goes nowhere. */
  error(error: number, packet: Packet): void {
    this.#error(error, packet.source, quote(packet));
  }

  /** The same for a packet whose head was kept. */
  errorFor(error: number, quoted: Uint8Array): void {
    this.#error(error, read32(quoted, 12), quoted);
  }

  #error(error: number, destination: number, quoted: Uint8Array): void {
    const { frame } = this.#transmitter;
    const length = HEADER_BYTES + quoted.length;
    if (!this.#transmitter.ipv4(PROTOCOL.ICMP, GATEWAY, destination, length)) return;
    write16(frame, IP_PAYLOAD, error);
    write32(frame, IP_PAYLOAD + 4, 0);
    frame.set(quoted, IP_PAYLOAD + HEADER_BYTES);
    this.#finish(length);
  }

  #finish(length: number): void {
    const { frame } = this.#transmitter;
    write16(frame, IP_PAYLOAD + 2, 0);
    write16(frame, IP_PAYLOAD + 2, checksum(sumBytes(frame, IP_PAYLOAD, IP_PAYLOAD + length, 0)));
    this.#transmitter.sendPacket(length);
  }
}

/** As much of a packet as an error about it quotes. */
export function quote({ frame, header, end }: Packet): Uint8Array {
  return copyOf(frame, header, Math.min(end, header + QUOTE_BYTES));
}
