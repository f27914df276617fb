/**
 * Sockets of the outside, as a user network needs them: streams, datagrams, names and a clock. Node brings the host's; a page
 * may bring a relay's. IPv4 addresses are unsigned words, the first byte on top; times are milliseconds. Nothing here throws
 * or waits; what fails says so by an event or a rejected promise.
 */

/** How a stream ended: by both ends in order; nobody listens; no way there; broken off; no answer. */
export type StreamEnd = 'closed' | 'refused' | 'unreachable' | 'reset' | 'timeout';

/** Who is told of a stream's events. */
export interface StreamUser {
  /** The connection stands. Streams that were accepted are open from the start, and do not say so. */
  opened(): void;
  /** Bytes from the other end, which are the stream's again afterwards: all are taken, whether or not it was paused. */
  data(bytes: Uint8Array): void;
  /** The other end sends no more; it may still listen. */
  ended(): void;
  /** Everything that was written has left. */
  drained(): void;
  /** Nothing follows. Not called after `abort`. */
  closed(end: StreamEnd): void;
}

/** A TCP connection, or something that behaves so. */
export interface Stream {
  /** Bytes that were written and have not left. */
  readonly pending: number;
  /** Sends a copy of the bytes. */
  write(bytes: Uint8Array): void;
  /** Nothing more will be written; the other end may go on. */
  end(): void;
  /** No more `data`, until `resume`: what was under way may still come. */
  pause(): void;
  resume(): void;
  /** Breaks the connection off, so that the other end hears of it. */
  abort(): void;
}

export interface DatagramUser {
  message(address: number, port: number, bytes: Uint8Array): void;
}

export interface DatagramSocket {
  /** Sends a copy of the bytes, or drops them. */
  send(address: number, port: number, bytes: Uint8Array): void;
  close(): void;
}

/** Something that listens. */
export interface Listener {
  /** Where it listens: of interest when port 0 was asked for. */
  readonly port: number;
  close(): void;
}

/** Is given a stream that was accepted, and its other end's address (undefined: no IPv4 address) and port. Undefined: refused. */
export type Accept = (stream: Stream, address: number | undefined, port: number) => StreamUser | undefined;

export interface Sockets {
  /** A clock that only goes forward. */
  now(): number;
  /** Calls back once, after so many milliseconds; a later call takes the place of an earlier one. */
  startTimer(milliseconds: number, callback: () => void): void;
  /** Whether an address is one of this computer's own, its loopback among them. */
  isOwn(address: number): boolean;
  connect(address: number, port: number, user: StreamUser): Stream;
  /** Listens for streams at an address of the host's. Rejects with a MachineError. */
  listen(address: string, port: number, accept: Accept): Promise<Listener>;
  /** A socket for datagrams at a port of the system's choice; undefined when there are no more. */
  datagrams(user: DatagramUser): DatagramSocket | undefined;
  /** One at an address of the host's. Rejects with a MachineError. */
  bindDatagrams(address: string, port: number, user: DatagramUser): Promise<DatagramSocket & Listener>;
  /**
   * Has the host's resolver answer a DNS message (RFC 1035); `isLong` when the asker can take more than a datagram. Calls
   * back once, later: undefined when there is no answer.
   */
  resolve(message: Uint8Array, isLong: boolean, answered: (answer: Uint8Array | undefined) => void): void;
  /** Sends an ICMP echo. Calls back once, later: whether there was an answer in time. Absent, or false: it cannot. */
  readonly ping?: ((address: number, answered: (isThere: boolean) => void) => boolean) | undefined;
  /** Ends everything. */
  close(): void;
}
