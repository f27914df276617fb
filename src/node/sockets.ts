import { execFile } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { accessSync, constants } from 'node:fs';
import { connect, createServer, isIPv6, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { delimiter, join } from 'node:path';
import { platform } from 'node:process';
import {
  type Accept,
  type DatagramSocket,
  type DatagramUser,
  formatAddress,
  type Listener,
  MachineError,
  parseAddress,
  type Sockets,
  type Stream,
  type StreamEnd,
  type StreamUser,
} from '../machine/index.ts';

/** What is read of a connection at once. */
const READ_BYTES = 2 ** 16;
/** Bytes that Node holds of what was written before it tells of their end. */
const HIGH_WATER_BYTES = 2 ** 14;
/** How long the host's own addresses and resolvers are taken to stay the same, milliseconds. */
const STEADY_MS = 2000;
const PING_MS = 3000;
const DNS_PORT = 53;
/** How long a resolver may take, and how many are asked one after another. */
const RESOLVE_MS = 2500;
const RESOLVE_STREAM_MS = 6000;
const MOST_TRIES = 4;
/** Where the host's resolver and its ports are: [address, port]. */
type Server = readonly [string, number];

const ENDS: Readonly<Record<string, StreamEnd>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ETIMEDOUT: 'timeout',
};

/** A connection of Node's. */
class NodeStream implements Stream {
  readonly #socket: Socket;
  #user: StreamUser | undefined;
  #isPaused = false;
  #isCorked = false;
  #end: StreamEnd = 'closed';

  /** `read` has the stream's bytes read into one buffer that all share; without it the socket is one that was accepted. */
  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.unref();
    socket.on('connect', () => this.#user?.opened());
    socket.on('end', () => this.#user?.ended());
    socket.on('drain', () => this.#user?.drained());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#end = ENDS[error.code ?? ''] ?? 'unreachable';
    });
    socket.on('close', () => {
      const user = this.#user;
      this.#user = undefined;
      user?.closed(this.#end);
    });
  }

  static connect(address: number, port: number, user: StreamUser, buffer: Uint8Array): NodeStream {
    const socket = connect({
      host: formatAddress(address),
      port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      autoSelectFamily: false,
      // Not in the types of all versions: Duplex takes it.
      ...({ writableHighWaterMark: HIGH_WATER_BYTES } as object),
      onread: { buffer, callback: (length) => stream.#read(buffer.subarray(0, length)) },
    });
    const stream = new NodeStream(socket);
    stream.#user = user;
    return stream;
  }

  /** `accept` may refuse it. */
  static accepted(socket: Socket, accept: Accept): void {
    const stream = new NodeStream(socket);
    socket.on('data', (bytes: Buffer) => stream.#read(bytes));
    stream.#user = accept(stream, parseAddress(socket.remoteAddress ?? ''), socket.remotePort ?? 0);
    if (stream.#user === undefined) stream.abort();
  }

  #read(bytes: Uint8Array): boolean {
    this.#user?.data(bytes);
    return !this.#isPaused;
  }

  get pending(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    if (!this.#socket.writable) return;
    if (!this.#isCorked) {
      // What a guest sends in one go, which is many small pieces, leaves in one call of the system.
      this.#isCorked = true;
      this.#socket.cork();
      queueMicrotask(() => this.#uncork());
    }
    this.#socket.write(Buffer.from(bytes));
  }

  #uncork(): void {
    this.#isCorked = false;
    this.#socket.uncork();
  }

  end(): void {
    this.#socket.end();
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  abort(): void {
    this.#user = undefined;
    if (this.#socket.connecting) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }
}

/** A socket for datagrams. */
class NodeDatagrams implements DatagramSocket, Listener {
  readonly #socket: UdpSocket;
  #isClosed = false;

  constructor(socket: UdpSocket, user: DatagramUser) {
    this.#socket = socket;
    socket.unref();
    // What cannot be sent is lost, as on any network.
    socket.on('error', () => {});
    socket.on('message', (bytes, { address, port }) => {
      const from = parseAddress(address);
      if (from !== undefined && !this.#isClosed) user.message(from, port, bytes);
    });
  }

  get port(): number {
    return this.#socket.address().port;
  }

  send(address: number, port: number, bytes: Uint8Array): void {
    if (this.#isClosed) return;
    this.#socket.send(Buffer.from(bytes), port, formatAddress(address), () => {});
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }
}

/** Addresses that are numbers already. */
const asTheyAre = (
  address: string,
  _options: unknown,
  found: (error: null, address: string, family: number) => void,
): void => found(null, address, isIPv6(address) ? 6 : 4);

const udpSocket = (family: 'udp4' | 'udp6'): UdpSocket => createSocket({ type: family, lookup: asTheyAre as never });

/** What can be given to those who make `NodeSockets`, for tests. */
export interface NodeSocketsOptions {
  /** The host's resolvers, in place of those that its system has: "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:53". */
  readonly resolvers?: readonly string[] | undefined;
  /** The path of the command `ping`, in place of the one in PATH; false: none. */
  readonly ping?: string | false | undefined;
}

/** The host's sockets, by Node. They keep no process alive. */
export class NodeSockets implements Sockets {
  readonly ping: Sockets['ping'];
  readonly #options: NodeSocketsOptions;
  /** Windows keeps a buffer from the time at which it begins to wait for bytes; elsewhere it is used only while they come. */
  readonly #buffer = platform === 'win32' ? undefined : new Uint8Array(READ_BYTES);
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #own = new Set<number>();
  #ownAt = Number.NEGATIVE_INFINITY;
  #servers: readonly Server[] = [];
  #serversAt = Number.NEGATIVE_INFINITY;

  constructor(options: NodeSocketsOptions = {}) {
    this.#options = options;
    const command = options.ping ?? findPing();
    if (command !== false && command !== undefined)
      this.ping = (address, answered) => {
        ping(command, address, answered);
        return true;
      };
  }

  now(): number {
    return performance.now();
  }

  startTimer(milliseconds: number, callback: () => void): void {
    clearTimeout(this.#timer);
    if (!this.#isClosed) this.#timer = setTimeout(callback, milliseconds).unref();
  }

  isOwn(address: number): boolean {
    const first = address >>> 24;
    if (first === 127 || first === 0) return true;
    const now = performance.now();
    if (now - this.#ownAt > STEADY_MS) {
      this.#ownAt = now;
      const all = Object.values(networkInterfaces()).flatMap((one) => one ?? []);
      this.#own = new Set(all.map((one) => parseAddress(one.address) ?? 0));
    }
    return this.#own.has(address);
  }

  connect(address: number, port: number, user: StreamUser): Stream {
    return NodeStream.connect(address, port, user, this.#buffer ?? new Uint8Array(READ_BYTES));
  }

  listen(address: string, port: number, accept: Accept): Promise<Listener> {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) =>
        NodeStream.accepted(socket, accept),
      );
      server.once('error', (error) => reject(listenProblem('tcp', address, port, error)));
      server.listen({ host: address, port }, () => {
        // Later it is only that one connection could not be accepted.
        server.on('error', () => {});
        server.unref();
        const bound = server.address();
        resolve({
          port: typeof bound === 'object' && bound !== null ? bound.port : port,
          close: () => void server.close(),
        });
      });
    });
  }

  datagrams(user: DatagramUser): DatagramSocket | undefined {
    try {
      return new NodeDatagrams(udpSocket('udp4'), user);
    } catch {
      return undefined;
    }
  }

  bindDatagrams(address: string, port: number, user: DatagramUser): Promise<DatagramSocket & Listener> {
    return new Promise((resolve, reject) => {
      const socket = udpSocket('udp4');
      socket.once('error', (error) => reject(listenProblem('udp', address, port, error)));
      socket.bind({ address, port, exclusive: true }, () => resolve(new NodeDatagrams(socket, user)));
    });
  }

  resolve(message: Uint8Array, isLong: boolean, answered: (answer: Uint8Array | undefined) => void): void {
    const servers = this.#resolvers();
    let tries = 0;
    const next = (): void => {
      const server = servers[tries % Math.max(servers.length, 1)];
      if (server === undefined || tries++ >= Math.min(MOST_TRIES, 2 * servers.length) || this.#isClosed) {
        setImmediate(answered, undefined);
        return;
      }
      const ask = isLong ? askByStream : askByDatagram;
      ask(server, message, (answer) => (answer === undefined ? next() : answered(answer)));
    };
    next();
  }

  #resolvers(): readonly Server[] {
    const now = performance.now();
    if (now - this.#serversAt > STEADY_MS) {
      this.#serversAt = now;
      this.#servers = (this.#options.resolvers ?? getServers()).map(parseServer);
    }
    return this.#servers;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }
}

/** "192.0.2.1", "192.0.2.1:5353", "2001:db8::1" or "[2001:db8::1]:5353". */
function parseServer(text: string): Server {
  const match = /^\[(.*)\]:(\d+)$/.exec(text) ?? /^([^:]*):(\d+)$/.exec(text);
  return match ? [match[1] as string, Number(match[2])] : [text, DNS_PORT];
}

type Answered = (answer: Uint8Array | undefined) => void;

/** Has `answered` called once, and `done` before it. */
function once(milliseconds: number, done: () => void, answered: Answered): Answered {
  let isOver = false;
  const end: Answered = (answer) => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    done();
    answered(answer);
  };
  const timer = setTimeout(end, milliseconds, undefined).unref();
  return end;
}

function askByDatagram([address, port]: Server, message: Uint8Array, answered: Answered): void {
  const socket = udpSocket(isIPv6(address) ? 'udp6' : 'udp4');
  const end = once(RESOLVE_MS, () => socket.close(), answered);
  socket.unref();
  socket.on('error', () => end(undefined));
  socket.on('message', (bytes) => {
    // Under the number that the asker gave it.
    if (bytes.length >= 2 && bytes[0] === message[0] && bytes[1] === message[1]) end(bytes);
  });
  socket.connect(port, address, () => socket.send(message));
}

function askByStream([host, port]: Server, message: Uint8Array, answered: Answered): void {
  const socket = connect({ host, port, autoSelectFamily: false });
  const end = once(RESOLVE_STREAM_MS, () => socket.destroy(), answered);
  let all = Buffer.alloc(0);
  socket.unref();
  socket.on('error', () => end(undefined));
  socket.on('close', () => end(undefined));
  socket.on('data', (bytes: Buffer) => {
    all = Buffer.concat([all, bytes]);
    if (all.length < 2) return;
    const length = all.readUInt16BE(0);
    if (all.length >= 2 + length) end(all.subarray(2, 2 + length));
  });
  socket.write(Buffer.concat([Buffer.of(message.length >>> 8, message.length & 0xff), message]));
}

function listenProblem(protocol: string, address: string, port: number, error: NodeJS.ErrnoException): MachineError {
  const where = `cannot listen at ${protocol} port ${port} of ${address}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return new MachineError(`${where}: it is in use; another port would fit, or 0 for a free one`);
    case 'EACCES':
    case 'EPERM':
      return new MachineError(`${where}: permission denied; a port from 1024 on would fit`);
    case 'EADDRNOTAVAIL':
      return new MachineError(`${where}: the host has no such address; 127.0.0.1 or 0.0.0.0 would fit`);
    default:
      return new MachineError(`${where}: ${error.message}`);
  }
}

/** The path of the command `ping`. */
function findPing(): string | undefined {
  const name = platform === 'win32' ? 'ping.exe' : 'ping';
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not there.
    }
  }
  return undefined;
}

/** One echo, by the system's command: sockets for ICMP are not for everybody, and Node has none. */
function ping(command: string, address: number, answered: (isThere: boolean) => void): void {
  const count = platform === 'win32' ? ['-n', '1'] : ['-n', '-c', '1'];
  execFile(command, [...count, formatAddress(address)], { timeout: PING_MS, windowsHide: true }, (error) =>
    answered(error === null),
  );
}
