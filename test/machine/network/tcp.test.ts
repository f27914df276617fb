import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { UserNetwork, type UserNetworkOptions } from '../../../src/machine/index.ts';
import { NodeSockets } from '../../../src/node/index.ts';
import { type ConnectOptions, GATEWAY, ModelGuest } from './model-guest.ts';

const MEGABYTE = 2 ** 20;

/** Bytes that look like none, and are the same each time. */
function noise(bytes: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer, 0, bytes);
}

const digest = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');

/** The host's own IPv4 addresses, but for its loopback, which no packet of a guest names. */
const ownAddresses = (): string[] =>
  Object.values(networkInterfaces())
    .flatMap((one) => one ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);

/** A server of the host's, whose connections the test is given. */
async function serve(onConnection: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

describe('TCP of the user network', () => {
  const open: UserNetwork[] = [];
  const servers: Server[] = [];
  const network = async (options: UserNetworkOptions = { hostLoopback: true }): Promise<UserNetwork> => {
    const made = await UserNetwork.create(new NodeSockets(), options);
    open.push(made);
    return made;
  };
  const listen = async (onConnection: (socket: Socket) => void): Promise<number> => {
    const { server, port } = await serve(onConnection);
    servers.push(server);
    return port;
  };
  let echo = 0;
  before(async () => {
    echo = await listen((socket) => socket.pipe(socket));
  });
  after(() => {
    for (const one of open) one.close();
    for (const one of servers) one.close();
  });

  it('carries bytes both ways, and ends in order', async () => {
    const guest = new ModelGuest(await network());
    const connection = await guest.connect(GATEWAY, echo).opened();
    assert.equal(connection.state, 'open');
    await connection.write(Buffer.from('hello'));
    assert.equal(String(await connection.read()), 'hello');
    connection.end();
    assert.equal(await connection.read(), undefined);
    await connection.closed();
    assert.equal(connection.error, undefined);
  });

  const ways: readonly (readonly [string, ConnectOptions, { takesSegments?: boolean; room?: number }])[] = [
    ['in segments', {}, {}],
    ['in long segments', { sendBytes: 64_240 }, { takesSegments: true }],
    ['to a card that is often full', {}, { room: 3 }],
    ['without scaled windows', { scale: undefined }, {}],
    ['through a small buffer', { receiveBuffer: 5000, segmentBytes: 400 }, {}],
  ];
  for (const [name, options, card] of ways) {
    const size = (name.startsWith('in ') ? 100 : 8) * MEGABYTE;
    it(`carries ${size / MEGABYTE} MB each way ${name}`, async () => {
      const sent = noise(size);
      let received: Promise<string> | undefined;
      const port = await listen((socket) => {
        const hash = createHash('sha1');
        received = new Promise((resolve) => {
          socket.on('data', (bytes) => hash.update(bytes));
          socket.on('end', () => resolve(hash.digest('hex')));
        });
        socket.end(sent);
      });
      const guest = new ModelGuest(await network(), card);
      const connection = await guest.connect(GATEWAY, port, options).opened();
      const reading = (async () => {
        const hash = createHash('sha1');
        for (let part = await connection.read(); part !== undefined; part = await connection.read()) hash.update(part);
        return hash.digest('hex');
      })();
      await connection.write(sent);
      connection.end();
      assert.equal(await reading, digest(sent));
      assert.equal(await received, digest(sent));
      await connection.closed();
      assert.equal(connection.error, undefined);
      if (card.takesSegments) assert.ok(guest.longest > 30_000, `the longest frame had ${guest.longest} bytes`);
    });
  }

  it('loses nothing when frames are lost', async () => {
    const dice = noise(2 ** 16, 13);
    let count = 0;
    const guest = new ModelGuest(await network(), { loses: () => (dice[count++ % dice.length] as number) < 5 });
    const sent = noise(MEGABYTE / 2, 7);
    const connection = await guest.connect(GATEWAY, echo).opened();
    const reading = connection.readAll();
    await connection.write(sent);
    connection.end();
    assert.equal(digest(await reading), digest(sent));
  });

  it('takes segments in any order', async () => {
    const held: Buffer[] = [];
    let isShuffling = false;
    const guest: ModelGuest = new ModelGuest(await network(), {
      loses: (frame, way) => {
        // Pairs change places.
        if (way !== 'out' || !isShuffling || frame.length < 200) return false;
        isShuffling = false;
        if (held.length === 0) held.push(Buffer.from(frame));
        else {
          guest.sendFrame(frame);
          guest.sendFrame(held.pop() as Buffer);
        }
        isShuffling = true;
        return true;
      },
    });
    const sent = noise(1460 * 200, 9);
    const connection = await guest.connect(GATEWAY, echo).opened();
    isShuffling = true;
    const reading = connection.readAll();
    await connection.write(sent);
    isShuffling = false;
    connection.end();
    assert.equal(digest(await reading), digest(sent));
  });

  it('passes on that one side has ended while the other goes on', async () => {
    const port = await listen((socket) => {
      let text = '';
      socket.on('data', (bytes) => (text += String(bytes)));
      socket.on('end', () => {
        socket.write(`you said: ${text}`);
        setImmediate(() => socket.end('!'));
      });
    });
    const guest = new ModelGuest(await network());
    const connection = await guest.connect(GATEWAY, port).opened();
    await connection.write(Buffer.from('question'));
    connection.end();
    assert.equal(String(await connection.readAll()), 'you said: question!');
    // And the other way round.
    const first = await listen((socket) => {
      socket.end('greeting');
      socket.on('data', (bytes) => heard(String(bytes)));
    });
    const { promise, resolve: heard } = Promise.withResolvers<string>();
    const other = await guest.connect(GATEWAY, first).opened();
    assert.equal(String(await other.readAll()), 'greeting');
    await other.write(Buffer.from('late'));
    assert.equal(await promise, 'late');
    other.end();
    await other.closed();
  });

  it('says that nobody listens', async () => {
    const { server, port } = await serve(() => {});
    server.close();
    await once(server, 'close');
    const guest = new ModelGuest(await network());
    assert.equal((await guest.connect(GATEWAY, port).opened()).error, 'refused');
  });

  it('passes a reset on, both ways', async () => {
    const { promise: reset, resolve } = Promise.withResolvers<string>();
    const port = await listen((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      socket.on('data', (bytes) => {
        if (String(bytes) === 'reset me') socket.resetAndDestroy();
      });
    });
    const guest = new ModelGuest(await network());
    const connection = await guest.connect(GATEWAY, port).opened();
    await connection.write(Buffer.from('reset me'));
    assert.equal((await connection.closed()).error, 'reset');
    const other = await guest.connect(GATEWAY, port).opened();
    await other.write(Buffer.from('hello'));
    other.abort();
    assert.equal(await reset, 'ECONNRESET');
  });

  it('holds a sender back while the host reads nothing', async () => {
    let reader: Socket | undefined;
    const port = await listen((socket) => {
      reader = socket.pause();
    });
    const made = await network();
    const guest = new ModelGuest(made);
    const connection = await guest.connect(GATEWAY, port).opened();
    const sent = noise(24 * MEGABYTE, 3);
    const writing = connection.write(sent);
    connection.end();
    // It has come to a standstill when the window is closed.
    while (connection.zeroWindows === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const hash = createHash('sha1');
    reader?.on('data', (bytes) => hash.update(bytes)).resume();
    await Promise.all([writing, once(reader as Socket, 'end')]);
    assert.equal(hash.digest('hex'), digest(sent));
    reader?.end();
    await connection.closed();
  });

  it('holds the host back while the guest reads nothing', async () => {
    const sent = noise(24 * MEGABYTE, 5);
    let writer: Socket | undefined;
    const port = await listen((socket) => {
      writer = socket;
      socket.end(sent);
    });
    const guest = new ModelGuest(await network());
    const connection = await guest.connect(GATEWAY, port, { receiveBuffer: 2 ** 16 }).opened();
    while (!connection.isFull) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok((writer as Socket).bytesWritten < sent.length || (writer as Socket).writableLength > 0);
    // Longer than it takes to ask whether the window is still closed.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    assert.equal(digest(await connection.readAll()), digest(sent));
    connection.end();
    await connection.closed();
  });

  it('has a thousand connections at once', async () => {
    const made = await network();
    const guest = new ModelGuest(made, { room: 4096 });
    const all = await Promise.all(Array.from({ length: 1000 }, () => guest.connect(GATEWAY, echo).opened()));
    assert.equal(made.counters()['tcp_connections'], 1000);
    await Promise.all(
      all.map(async (connection, i) => {
        await connection.write(Buffer.from(`number ${i}`));
        connection.end();
        assert.equal(String(await connection.readAll()), `number ${i}`);
        await connection.closed();
        assert.equal(connection.error, undefined);
      }),
    );
  });

  it('forwards ports of the host to the guest', async () => {
    const made = await network({ forward: [{ protocol: 'tcp', hostPort: 0, guestPort: 22 }] });
    const guest = new ModelGuest(made);
    guest.listeners.set(22, async (connection) => {
      await connection.opened();
      await connection.write(Buffer.from('SSH-2.0-model\r\n'));
      const bytes = await connection.readAll();
      await connection.write(bytes);
      connection.end();
    });
    const { hostPort, hostAddress } = made.forwards[0] as { hostPort: number; hostAddress: string };
    assert.equal(hostAddress, '127.0.0.1');
    const sent = noise(3 * MEGABYTE, 11);
    const client = connect({ port: hostPort, host: '127.0.0.1', allowHalfOpen: true });
    client.end(sent);
    const parts: Buffer[] = [];
    for await (const part of client) parts.push(part as Buffer);
    const all = Buffer.concat(parts);
    assert.equal(String(all.subarray(0, 15)), 'SSH-2.0-model\r\n');
    assert.equal(digest(all.subarray(15)), digest(sent));
    // Nobody listens in the guest any more.
    guest.listeners.clear();
    const refused = connect({ port: hostPort, host: '127.0.0.1' });
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNRESET');
  });

  it('says which port is in use', async () => {
    await assert.rejects(network({ forward: [{ protocol: 'tcp', hostPort: echo, guestPort: 22 }] }), {
      name: 'MachineError',
      message: `cannot listen at tcp port ${echo} of 127.0.0.1: it is in use; another port would fit, or 0 for a free one`,
    });
  });

  it('has no way to the host unless asked for', async () => {
    const guest = new ModelGuest(await network({}));
    assert.equal((await guest.connect(GATEWAY, echo).opened()).error, 'refused');
    for (const address of ownAddresses()) {
      const connection = guest.connect(address, echo);
      const { type, code } = await guest.nextIcmp();
      assert.deepEqual([type, code], [3, 13], address);
      connection.unreachable();
    }
  });

  it('ends connections towards the guest after a restore, and remembers what it gave', async () => {
    const made = await network();
    const guest = new ModelGuest(made);
    const connection = await guest.connect(GATEWAY, echo).opened();
    await connection.write(Buffer.from('before'));
    assert.equal(String(await connection.read()), 'before');
    const state = JSON.parse(JSON.stringify(made.save()));
    // Another process: the same guest is plugged into another network.
    const later = await network();
    const copy = guest.moveTo(later);
    later.restore(state);
    assert.equal((await connection.closed()).error, 'reset');
    const again = await copy.connect(GATEWAY, echo).opened();
    await again.write(Buffer.from('after'));
    assert.equal(String(await again.read()), 'after');
    assert.throws(() => later.restore({ leases: [], neighbours: [] }), { name: 'MachineError' });
  });
});
