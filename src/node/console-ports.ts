import { createWriteStream, openSync, type WriteStream } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { type GuestPort, MachineError, type PortEnd } from '../machine/index.ts';
import { problemOf } from './problems.ts';

/** An end of a console port that is to be let go when the machine has ended. */
export interface ClosablePortEnd extends PortEnd {
  /** Resolves when what the guest wrote is where it belongs. */
  close(): Promise<void>;
}

/** A file that takes what the guest writes. */
class FilePort implements ClosablePortEnd {
  port: GuestPort | undefined;
  readonly #stream: WriteStream;

  constructor(path: string, descriptor: number) {
    this.#stream = createWriteStream(path, { fd: descriptor });
    this.#stream.on('drain', () => this.port?.roomAgain());
    // A full disk: what the guest writes from here on is lost, and it is not held up.
    this.#stream.on('error', () => this.port?.roomAgain());
  }

  get full(): boolean {
    return this.#stream.writable && this.#stream.writableNeedDrain;
  }

  write(bytes: Uint8Array): void {
    if (this.#stream.writable) this.#stream.write(bytes);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stream.writable) this.#stream.end(resolve);
      else resolve();
    });
  }
}

/** A Unix socket that one program at a time connects to. */
class SocketPort implements ClosablePortEnd {
  readonly #server: Server;
  #port: GuestPort | undefined;
  #socket: Socket | undefined;
  /** What the guest had no room for. */
  #rest: Uint8Array = new Uint8Array(0);

  constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => this.#connect(socket));
    server.unref();
  }

  get port(): GuestPort | undefined {
    return this.#port;
  }

  set port(port: GuestPort | undefined) {
    this.#port = port;
    port?.connected(this.#socket !== undefined);
  }

  #connect(socket: Socket): void {
    if (this.#socket !== undefined) {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    this.#port?.connected(true);
    socket.on('data', (bytes: Buffer) => this.#offer(bytes));
    socket.on('drain', () => this.#port?.roomAgain());
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#socket = undefined;
      this.#rest = new Uint8Array(0);
      this.#port?.connected(false);
    });
  }

  #offer(bytes: Uint8Array): void {
    const taken = this.#port?.receive(bytes) ?? bytes.length;
    this.#rest = bytes.subarray(taken);
    if (this.#rest.length > 0) this.#socket?.pause();
  }

  roomAgain(): void {
    this.#offer(this.#rest);
    if (this.#rest.length === 0) this.#socket?.resume();
  }

  get full(): boolean {
    return this.#socket?.writable === true && this.#socket.writableNeedDrain;
  }

  write(bytes: Uint8Array): void {
    if (this.#socket?.writable) this.#socket.write(bytes);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      if (this.#socket === undefined) return;
      this.#socket.end(() => this.#socket?.destroy());
    });
  }
}

/** A console port's output in a file, which is emptied first. @throws MachineError when the file cannot be written. */
export function openFilePort(path: string): ClosablePortEnd {
  try {
    return new FilePort(path, openSync(path, 'w'));
  } catch (error) {
    throw new MachineError(`cannot write the console port's file '${path}': ${problemOf(error)}`);
  }
}

/** A console port as a Unix socket, which is made. @throws MachineError when it cannot be. */
export async function openSocketPort(path: string): Promise<ClosablePortEnd> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } catch (error) {
    throw new MachineError(`cannot make the console port's socket '${path}': ${problemOf(error)}`);
  }
  return new SocketPort(server);
}
