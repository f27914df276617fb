import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { UserNetwork, type UserNetworkOptions } from '../../../src/machine/index.ts';
import { NodeSockets, type NodeSocketsOptions } from '../../../src/node/index.ts';
import { type Datagram, GATEWAY, ip, ModelGuest, RESOLVER } from './model-guest.ts';

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

async function network(options: UserNetworkOptions = {}, sockets: NodeSocketsOptions = {}): Promise<UserNetwork> {
  const made = await UserNetwork.create(new NodeSockets({ ping: false, ...sockets }), options);
  ends.push(() => made.close());
  return made;
}

/** A UDP socket of the host's. */
async function udp(onMessage: (socket: Socket, bytes: Buffer, address: string, port: number) => void): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, { address, port }) => onMessage(socket, bytes as Buffer, address, port));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  ends.push(() => socket.close());
  return socket.address().port;
}

describe('ARP and ICMP of the user network', () => {
  it('answers ARP for its own addresses only', async () => {
    const guest = new ModelGuest(await network());
    for (const address of [GATEWAY, RESOLVER, '10.0.2.1', '10.0.2.4', '10.0.2.15', '192.0.2.1']) guest.arp(1, address);
    guest.sendEcho(GATEWAY, Buffer.from('barrier'));
    await guest.nextIcmp();
    assert.deepEqual(
      [...guest.macs].map(([address, mac]) => [address, mac.toString('hex')]),
      [
        [GATEWAY, '52550a000202'],
        [RESOLVER, '52550a000203'],
      ],
    );
  });

  it('answers a probe of an address that nobody has', async () => {
    const guest = new ModelGuest(await network());
    guest.arp(1, GATEWAY, undefined, '0.0.0.0');
    guest.arp(1, '10.0.2.15', undefined, '0.0.0.0');
    guest.sendEcho(GATEWAY, Buffer.from('barrier'));
    await guest.nextIcmp();
    assert.deepEqual([...guest.macs.keys()], [GATEWAY]);
  });

  it('answers echoes to the gateway, in fragments too', async () => {
    const guest = new ModelGuest(await network());
    guest.sendEcho(GATEWAY, Buffer.from('are you there?'));
    const { type, source, body } = await guest.nextIcmp();
    assert.deepEqual([type, source, String(body.subarray(4))], [0, GATEWAY, 'are you there?']);

    const long = Buffer.concat([Buffer.of(8, 0, 0, 0, 0x12, 0x34, 0, 1), Buffer.alloc(4000, 'x')]);
    guest.checksummed(1, GATEWAY, long, 2);
    // ICMP's sum has no pseudo header.
    const sum = [...long].reduce((all, byte, i) => all + (i === 2 || i === 3 ? 0 : byte << (i % 2 === 0 ? 8 : 0)), 0);
    long.writeUInt16BE(~((sum & 0xffff) + (sum >>> 16)) & 0xffff, 2);
    const parts = [2, 0, 1].map((part) => [part, long.subarray(part * 1480, (part + 1) * 1480)] as const);
    for (const [part, bytes] of parts)
      guest.sendIp(1, GATEWAY, bytes, { fragment: part * 185 + (part === 2 ? 0 : 0x2000), identification: 77 });
    assert.equal((await guest.nextIcmp()).body.length, 4004);
  });

  it('says at once that it cannot ping others, and that a packet has come too far', async () => {
    const guest = new ModelGuest(await network());
    guest.sendEcho('198.51.100.1', Buffer.from('hello'));
    const { type, code, source, body } = await guest.nextIcmp();
    assert.deepEqual([type, code, source], [3, 13, GATEWAY]);
    // The error has the packet that it is about.
    assert.equal(body.readUInt32BE(4 + 16), ip('198.51.100.1'));
    guest.sendEcho('198.51.100.1', Buffer.from('hello'), 1);
    assert.deepEqual([(await guest.nextIcmp()).type], [11]);
  });

  it("pings others by the system's command", { skip: process.platform === 'win32' }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'powervisor-ping-'));
    ends.push(() => rmSync(folder, { recursive: true }));
    const command = join(folder, 'ping');
    writeFileSync(command, '#!/bin/sh\nfor word; do last=$word; done\ntest "$last" = 198.51.100.1\n');
    chmodSync(command, 0o755);
    const guest = new ModelGuest(await network({}, { ping: command }));
    guest.sendEcho('198.51.100.2', Buffer.from('nobody'));
    guest.sendEcho('198.51.100.1', Buffer.from('somebody'));
    const { type, source, body } = await guest.nextIcmp();
    assert.deepEqual([type, source, String(body.subarray(4))], [0, '198.51.100.1', 'somebody']);
  });
});

/** A DHCP message of a client. */
function dhcp(kind: number, mac: string, options: number[] = [], client = '0.0.0.0'): Buffer {
  const message = Buffer.alloc(300);
  message.set([1, 1, 6, 0, 0x11, 0x22, 0x33, 0x44, 0, 7, 0, 0]);
  message.writeUInt32BE(ip(client), 12);
  Buffer.from(mac, 'hex').copy(message, 28);
  message.set([0x63, 0x82, 0x53, 0x63, 53, 1, kind, ...options, 255], 236);
  return message;
}

/** What a server said: its kind, the address, and its options by number. */
function parseDhcp({ payload }: Datagram): { kind: number; address: string; options: Map<number, string> } {
  const options = new Map<number, string>();
  for (let at = 240; payload[at] !== 255 && at < payload.length; ) {
    if (payload[at] === 0) at++;
    else {
      const length = payload[at + 1] as number;
      options.set(payload[at] as number, payload.subarray(at + 2, at + 2 + length).toString('hex'));
      at += 2 + length;
    }
  }
  return {
    kind: Number.parseInt(options.get(53) ?? '0', 16),
    address: [...payload.subarray(16, 20)].join('.'),
    options,
  };
}

async function ask(guest: ModelGuest, message: Buffer): Promise<ReturnType<typeof parseDhcp>> {
  const answer = guest.nextUdp(68);
  guest.sendUdp('255.255.255.255', 68, 67, message, '0.0.0.0');
  return parseDhcp(await answer);
}

const MAC = '525400123456';

describe('DHCP of the user network', () => {
  it('gives 10.0.2.15 first, and says where the way out is', async () => {
    const guest = new ModelGuest(await network({ hostname: 'box', domain: 'example.org' }));
    const offer = await ask(guest, dhcp(1, MAC));
    assert.deepEqual([offer.kind, offer.address], [2, '10.0.2.15']);
    const { kind, address, options } = await ask(guest, dhcp(3, MAC, [50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 2]));
    assert.deepEqual([kind, address], [5, '10.0.2.15']);
    assert.deepEqual(Object.fromEntries(options), {
      1: 'ffffff00',
      3: '0a000202',
      6: '0a000203',
      12: Buffer.from('box').toString('hex'),
      15: Buffer.from('example.org').toString('hex'),
      28: '0a0002ff',
      51: '00015180',
      53: '05',
      54: '0a000202',
    });
  });

  it('gives each client its own, and the same again', async () => {
    const guest = new ModelGuest(await network());
    assert.equal((await ask(guest, dhcp(1, MAC))).address, '10.0.2.15');
    assert.equal((await ask(guest, dhcp(1, '525400123457'))).address, '10.0.2.16');
    assert.equal((await ask(guest, dhcp(1, '525400123458', [50, 4, 10, 0, 2, 99]))).address, '10.0.2.99');
    assert.equal((await ask(guest, dhcp(1, MAC))).address, '10.0.2.15');
  });

  it('refuses an address of another network, and another server is not its business', async () => {
    const guest = new ModelGuest(await network());
    assert.equal((await ask(guest, dhcp(3, MAC, [50, 4, 192, 168, 1, 5]))).kind, 6);
    guest.sendUdp('255.255.255.255', 68, 67, dhcp(3, MAC, [54, 4, 192, 168, 1, 1]), '0.0.0.0');
    assert.equal((await ask(guest, dhcp(1, MAC))).kind, 2);
  });

  it('has room for more clients than addresses', async () => {
    const guest = new ModelGuest(await network(), { room: 4096 });
    for (let i = 0; i < 1000; i++)
      assert.match((await ask(guest, dhcp(1, i.toString(16).padStart(12, '0')))).address, /^10\.0\.2\.\d+$/);
  });

  it('keeps its leases over a restore', async () => {
    const first = await network();
    const guest = new ModelGuest(first);
    await ask(guest, dhcp(1, '525400aaaaaa'));
    await ask(guest, dhcp(1, MAC));
    const state = JSON.parse(JSON.stringify(first.save()));
    const second = await network();
    guest.moveTo(second);
    second.restore(state);
    assert.equal((await ask(guest, dhcp(1, MAC))).address, '10.0.2.16');
  });
});

/** A DNS question for an address, with the number 0x1234. */
const question = Buffer.concat([
  Buffer.from('123401000001000000000000', 'hex'),
  Buffer.from('\x07example\x03org\0\0\x01\0\x01', 'latin1'),
]);

describe('UDP and DNS of the user network', () => {
  it("passes questions on to the host's resolver, and to the next where one is silent", async () => {
    let asked = 0;
    const silent = await udp(() => asked++);
    const server = await udp((socket, bytes, address, port) => {
      // One with a wrong number first.
      socket.send(Buffer.concat([Buffer.of(0, 0), bytes.subarray(2)]), port, address);
      socket.send(Buffer.concat([bytes.subarray(0, 2), Buffer.of(0x81, 0x80), bytes.subarray(4)]), port, address);
    });
    const guest = new ModelGuest(await network({}, { resolvers: [`127.0.0.1:${silent}`, `127.0.0.1:${server}`] }));
    const answer = guest.nextUdp(5353);
    guest.sendUdp(RESOLVER, 5353, 53, question);
    const { source, port, payload } = await answer;
    assert.deepEqual([source, port, payload.subarray(0, 4).toString('hex')], [RESOLVER, 53, '12348180']);
    assert.equal(asked, 1);
  });

  it('says that there is no resolver', async () => {
    const guest = new ModelGuest(await network({}, { resolvers: [] }));
    const answer = guest.nextUdp(5353);
    guest.sendUdp(RESOLVER, 5353, 53, question);
    assert.equal((await answer).payload.readUInt16BE(2), 0x8102);
  });

  it('passes questions on by TCP too', async () => {
    const server = createServer((socket) => {
      socket.on('data', (bytes: Buffer) => {
        const answer = Buffer.concat([bytes, Buffer.alloc(3000)]);
        answer.writeUInt16BE(answer.length - 2, 0);
        // In two pieces.
        socket.write(answer.subarray(0, 1));
        setImmediate(() => socket.write(answer.subarray(1)));
      });
      socket.on('error', () => {});
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ends.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const guest = new ModelGuest(await network({}, { resolvers: [`127.0.0.1:${port}`] }));
    const connection = await guest.connect(RESOLVER, 53).opened();
    const framed = Buffer.concat([Buffer.of(0, question.length), question]);
    // Two questions; the second comes in pieces.
    await connection.write(Buffer.concat([framed, framed.subarray(0, 5)]));
    await connection.write(framed.subarray(5));
    connection.end();
    assert.equal((await connection.readAll()).length, 2 * (framed.length + 3000));
    await connection.closed();
    assert.equal(connection.error, undefined);
  });

  it('carries datagrams, also such as are longer than the MTU, and lets nobody else in', async () => {
    let flow = 0;
    const port = await udp((socket, bytes, address, from) => {
      flow = from;
      socket.send(bytes, from, address);
    });
    const guest = new ModelGuest(await network({ hostLoopback: true }));
    for (const length of [0, 1, 1472, 9000]) {
      const bytes = Buffer.alloc(length, 'u');
      const answer = guest.nextUdp(7000);
      if (length <= 1472) guest.sendUdp(GATEWAY, 7000, port, bytes);
      else {
        const datagram = guest.datagram(GATEWAY, 7000, port, bytes);
        for (let at = 0; at < datagram.length; at += 1480)
          guest.sendIp(17, GATEWAY, datagram.subarray(at, at + 1480), {
            fragment: at / 8 + (at + 1480 < datagram.length ? 0x2000 : 0),
            identification: length,
          });
      }
      const { source, port: from, payload } = await answer;
      assert.deepEqual([source, from, payload.length], [GATEWAY, port, length]);
    }
    // Somebody whom the guest has not spoken to, at an address of the loopback's that is not the gateway's.
    guest.onUdp(7000, ({ payload }) => assert.equal(String(payload), 'barrier'));
    const stranger = createSocket('udp4');
    stranger.bind(0, '127.0.0.2');
    await once(stranger, 'listening');
    stranger.send('let me in', flow, '127.0.0.1', () => stranger.close());
    await once(stranger, 'close');
    const answer = guest.nextUdp(7000);
    guest.sendUdp(GATEWAY, 7000, port, Buffer.from('barrier'));
    assert.equal(String((await answer).payload), 'barrier');
  });

  it('forwards ports of the host to the guest', async () => {
    const made = await network({ forward: [{ protocol: 'udp', hostPort: 0, guestPort: 5000 }] });
    const guest = new ModelGuest(made);
    guest.arp(1, GATEWAY);
    guest.onUdp(5000, ({ source, port, payload }) =>
      guest.sendUdp(source, 5000, port, Buffer.concat([Buffer.from('echo '), payload])),
    );
    const client = createSocket('udp4');
    ends.push(() => client.close());
    client.send('hello', made.forwards[0]?.hostPort ?? 0, '127.0.0.1');
    const [bytes] = await once(client, 'message');
    assert.equal(String(bytes), 'echo hello');
  });

  it('says that a way is not open', async () => {
    const port = await udp(() => assert.fail('a datagram came through'));
    const guest = new ModelGuest(await network());
    guest.sendUdp(GATEWAY, 7000, port, Buffer.from('x'));
    assert.deepEqual([(await guest.nextIcmp()).code], [3]);
  });
});

describe('a restricted user network', () => {
  it('has DHCP and the gateway, and nothing else', async () => {
    const server = createServer(() => assert.fail('a connection came through'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ends.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const resolver = await udp(() => assert.fail('a question came through'));
    const guest = new ModelGuest(
      await network({ restrict: true, hostLoopback: true }, { resolvers: [`127.0.0.1:${resolver}`] }),
    );
    const { address, options } = await ask(guest, dhcp(1, MAC));
    assert.equal(address, '10.0.2.15');
    assert.deepEqual([options.has(3), options.has(6)], [false, false]);
    guest.sendEcho(GATEWAY, Buffer.from('x'));
    assert.equal((await guest.nextIcmp()).type, 0);
    assert.equal((await guest.connect(GATEWAY, port).opened()).error, 'refused');
    assert.equal((await guest.connect(RESOLVER, 53).opened()).error, 'refused');
    guest.sendUdp(RESOLVER, 7000, 53, question);
    assert.deepEqual([(await guest.nextIcmp()).code], [3]);
    guest.sendUdp('198.51.100.1', 7000, 53, question);
    assert.deepEqual([(await guest.nextIcmp()).code], [13]);
    guest.sendEcho('198.51.100.1', Buffer.from('x'));
    assert.deepEqual([(await guest.nextIcmp()).code], [13]);
    const connection = guest.connect('198.51.100.1', 80);
    assert.deepEqual([(await guest.nextIcmp()).code], [13]);
    connection.unreachable();
  });
});
