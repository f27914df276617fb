/**
 * The user network beside QEMU's `-netdev user` with virtio-net: bytes from the host and to it over TCP, and how long one byte
 * takes through a forward to a program of the guest and back. All is measured on the host's side, against servers of the
 * bench's own on the loopback.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Contender } from './contenders.ts';
import { CPU_TIME, GUEST_READY, type Guest, type Metric } from './guests.ts';
import type { Workload } from './race.ts';

const MEGABYTES = 96;
const BYTES = MEGABYTES * 2 ** 20;
const TURNS = 3000;
/** A guest that does not listen yet is asked again after so long. */
const RETRY_MS = 50;
/** The guest's port that the forward leads to. */
const GUEST_PORT = 7000;

const DOWNLOAD = `${MEGABYTES} MB to the guest`;
const UPLOAD = `${MEGABYTES} MB from the guest`;
const ROUND_TRIP = 'a byte to a program of the guest and back';

export const networkMetrics: readonly Metric[] = [
  { name: GUEST_READY, unit: 's' },
  { name: DOWNLOAD, unit: 's', goal: 1 },
  { name: UPLOAD, unit: 's', goal: 1 },
  { name: ROUND_TRIP, unit: 'ns/op', goal: 1 },
  { name: CPU_TIME, unit: 's' },
];

const secondsSince = (start: number): number => (performance.now() - start) / 1000;

/** What each run does, and the words with which QEMU's and our machine have a network for it. */
export class NetworkBench {
  readonly #guest: Guest;
  /** Of the run that is under way. */
  #figures: Record<string, number> = {};
  readonly #source: Server;
  readonly #sink: Server;
  #forwardPort = 0;

  private constructor(guest: Guest) {
    this.#guest = guest;
    const all = Buffer.alloc(BYTES, 'powervisor');
    // From the request to the end of the connection, which the guest ends when it has all.
    this.#source = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        const start = performance.now();
        socket.on('end', () => {
          this.#figures[DOWNLOAD] = secondsSince(start);
          socket.end();
        });
        socket.write(`HTTP/1.0 200 OK\r\nContent-Length: ${BYTES}\r\n\r\n`);
        socket.write(all);
      });
    });
    this.#sink = createServer((socket) => {
      const start = performance.now();
      let bytes = 0;
      socket.on('error', () => {});
      socket.on('data', (piece) => (bytes += piece.length));
      socket.on('end', () => {
        if (bytes === BYTES) this.#figures[UPLOAD] = secondsSince(start);
        this.#pingPong(true);
      });
    });
  }

  static async create(guest: Guest): Promise<NetworkBench> {
    const bench = new NetworkBench(guest);
    const free = createServer();
    for (const server of [bench.#source, bench.#sink, free]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
    bench.#forwardPort = portOf(free);
    free.close();
    return bench;
  }

  /** One byte after another to the guest's `cat`, each when the one before has come back. */
  #pingPong(isFirst: boolean): void {
    const socket: Socket = connect(this.#forwardPort, '127.0.0.1');
    let left = TURNS;
    let start = 0;
    socket.setNoDelay();
    socket.on('connect', () => socket.write('.'));
    socket.on('data', () => {
      // The first is not counted: the guest starts its program.
      if (left === TURNS) start = performance.now();
      if (left-- > 0) socket.write('.');
      else {
        this.#figures[ROUND_TRIP] = (secondsSince(start) * 1e9) / TURNS;
        socket.end();
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (left === TURNS && (isFirst || this.#figures[UPLOAD] !== undefined))
        setTimeout(() => this.#pingPong(false), RETRY_MS).unref();
    });
  }

  /** A contender with a card on its user network. */
  plugIn(contender: Contender): Contender {
    const port = this.#forwardPort;
    const forward = `hostfwd=tcp:127.0.0.1:${port}-:${GUEST_PORT}`;
    const words = contender.name.startsWith('qemu')
      ? ['-netdev', `user,id=net0,${forward}`, '-device', 'virtio-net-pci,netdev=net0,romfile=']
      : ['--net', `user,host-loopback=on,${forward}`];
    return { name: contender.name, command: (append) => [...contender.command(append), ...words] };
  }

  get workload(): Workload {
    const wanted = [DOWNLOAD, UPLOAD, ROUND_TRIP];
    const commands = [
      'ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up',
      `dd if=/dev/zero of=/tmp/zeroes bs=1M count=${MEGABYTES}`,
      `wget -q -O /dev/null http://10.0.2.2:${portOf(this.#source)}/`,
      // In writes of 128 KB, as iperf's; busybox's nc itself would make them of 1 KB.
      `nc 10.0.2.2 ${portOf(this.#sink)} -e dd if=/tmp/zeroes bs=128k`,
      'mkfifo /tmp/fifo',
      `nc -l -p ${GUEST_PORT} </tmp/fifo | cat >/tmp/fifo`,
      'sync',
      '$(cat /etc/off)',
    ];
    return {
      append: `console=${this.#guest.console} virtio`,
      typing: { ready: 'GUEST-READY', prompt: '# ', text: `${commands.join('; ')}\n` },
      problems: () => wanted.filter((name) => this.#figures[name] === undefined).map((name) => `no figure: ${name}`),
      figures: () => {
        const figures = this.#figures;
        this.#figures = {};
        return figures;
      },
    };
  }

  close(): void {
    this.#source.close();
    this.#sink.close();
  }
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;
