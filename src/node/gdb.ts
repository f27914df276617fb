/** A machine's gdb server on a socket. */
import { createServer, type Server, type Socket } from 'node:net';
import { GdbConnection, type GdbTarget, type Machine, MachineError, Monitor } from '../machine/index.ts';
import { problemOf } from './problems.ts';

export interface GdbServerOptions {
  /** 0: one that is free. */
  readonly port: number;
  /** The interface that is listened on. Default: the loopback's, which only this computer reaches. */
  readonly host?: string | undefined;
  /** Serves `monitor` lines in place of a `Monitor` without symbols. */
  readonly monitor?: ((line: string) => Promise<string>) | undefined;
}

/** A server that waits for gdb, one client at a time. */
export interface GdbServer {
  readonly host: string;
  readonly port: number;
  /** Lets the client go, and waits for no other. */
  close(): void;
}

const LOOPBACK = '127.0.0.1';
/** A client that does not read has its connection ended when so much waits for it. */
const MOST_WAITING_BYTES = 2 ** 24;

function serve(target: GdbTarget, socket: Socket, onEnd: () => void): GdbConnection {
  socket.setNoDelay(true);
  const connection: GdbConnection = new GdbConnection(target, {
    write: (bytes) => {
      if (!socket.writable) return;
      socket.write(bytes);
      if (socket.writableLength > MOST_WAITING_BYTES) socket.destroy();
    },
    close: () => {
      // What was said last is still to arrive.
      if (!socket.destroyed) socket.end(() => socket.destroy());
    },
  });
  socket.on('data', (bytes: Buffer) => connection.receive(bytes));
  socket.on('error', () => {});
  socket.on('close', () => {
    connection.close();
    onEnd();
  });
  return connection;
}

/**
 * Serves gdb and lldb on a TCP port: `target remote HOST:PORT`. The guest stands still while a client is connected and has
 * not told it to run. @throws MachineError when the port cannot be had.
 */
export async function serveGdb(machine: Machine, options: GdbServerOptions): Promise<GdbServer> {
  const { port, host = LOOPBACK } = options;
  const monitor = options.monitor ?? ((line: string) => new Monitor(machine).execute(line));
  let current: GdbConnection | undefined;
  const server: Server = createServer((socket) => {
    if (current !== undefined) {
      socket.destroy();
      return;
    }
    current = serve({ debugger: machine.debugger, monitor }, socket, () => {
      current = undefined;
    });
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  } catch (error) {
    throw new MachineError(`cannot serve gdb on ${host}:${port}: ${problemOf(error)}`);
  }
  const address = server.address();
  return {
    host,
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () => {
      server.close();
      current?.close();
    },
  };
}
