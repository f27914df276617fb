/** The user network through the command: guests of each board with DHCP, ping, downloads, uploads and forwards. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run } from './command.ts';

const MEGABYTE = 2 ** 20;
const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');

const guests = [
  { name: '440', machine: 'bamboo', kernel: 'uImage', words: 'console=ttyS0', megabytes: 4 },
  { name: 'E500', machine: 'ppce500', kernel: 'uImage', words: 'console=ttyS0', megabytes: 4 },
  { name: 'BOOK3S64', machine: 'pseries', kernel: 'vmlinux', words: 'console=hvc0', megabytes: 16 },
  { name: 'PPC64EL', machine: 'pseries', kernel: 'vmlinux', words: 'console=hvc0 virtio', megabytes: 32 },
] as const;

/** Sends bytes to a port that a guest is about to listen at: it refuses until then. */
function send(bytes: Buffer, port: number): void {
  const client = connect(port, '127.0.0.1');
  client.on('error', () => setTimeout(send, 100, bytes, port));
  client.end(bytes);
}

describe('--net', () => {
  const download = randomBytes(32 * MEGABYTE);
  /** What came last. */
  let upload = Promise.withResolvers<string>();
  const web = createHttpServer((request, response) => {
    if (request.url === '/endless') {
      const timer = setInterval(() => response.write(download.subarray(0, 2 ** 16)), 10);
      response.on('close', () => clearInterval(timer));
      return;
    }
    const bytes = download.subarray(0, Number(request.url?.slice(1)) * MEGABYTE);
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  });
  const sink = createServer((socket) => {
    const hash = createHash('md5');
    socket.on('data', (bytes) => hash.update(bytes));
    socket.on('end', () => upload.resolve(hash.digest('hex')));
  });
  const ports = { web: 0, sink: 0, forward: 0 };
  before(async () => {
    for (const [name, server] of [
      ['web', web],
      ['sink', sink],
    ] as const) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      ports[name] = (server.address() as AddressInfo).port;
    }
    // One that is free now.
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    ports.forward = (free.address() as AddressInfo).port;
    free.close();
  });
  after(() => {
    web.close();
    sink.close();
  });

  for (const { name, machine, kernel, words, megabytes } of guests) {
    const folder = process.env[`POWERVISOR_TEST_GUEST_${name}`];
    const skip = folder === undefined && `no guest ${name} (POWERVISOR_TEST_GUEST_${name})`;
    it(`${name}: an address, ping, bytes both ways and a forward`, { skip }, async () => {
      const wanted = md5(download.subarray(0, megabytes * MEGABYTE));
      upload = Promise.withResolvers();
      const forwarded = download.subarray(0, MEGABYTE);
      const result = await run(
        [
          ...['boot', '--machine', machine, '--kernel', `${folder}/${kernel}`],
          ...['--initrd', `${folder}/initramfs.cpio.gz`, '--append', words, '--timeout', '120', '--no-reboot'],
          ...['--net', `user,host-loopback=on,forward=tcp:${ports.forward}:7000`],
        ],
        {
          steps: [
            { after: 'GUEST-READY', do: '' },
            { after: '# ', do: 'ifconfig eth0 up; udhcpc -f -q -n -i eth0 -s /bin/true; echo got=$?\n' },
            { after: 'got=0', do: 'ifconfig eth0 10.0.2.15 netmask 255.255.255.0; route add default gw 10.0.2.2\n' },
            { after: '# ', do: 'ping -c 2 10.0.2.2; echo ping=$?\n' },
            { after: 'ping=0', do: `wget -q -O /tmp/x http://10.0.2.2:${ports.web}/${megabytes}; md5sum /tmp/x\n` },
            { after: wanted, do: `nc 10.0.2.2 ${ports.sink} < /tmp/x; echo sent=$?\n` },
            { after: 'sent=0', do: 'echo on=lis""tening; nc -l -p 7000 > /tmp/y; md5sum /tmp/y\n' },
            {
              after: 'on=listening',
              do: () => send(forwarded, ports.forward),
            },
            { after: md5(forwarded), do: '$(cat /etc/off)\n' },
          ],
        },
      );
      assert.equal(result.status, 0, `${result.stderr}\n${result.stdout.slice(-2000)}`);
      assert.equal(result.stderr, '');
      assert.equal(await upload.promise, wanted);
    });
  }

  const folder = process.env['POWERVISOR_TEST_GUEST_440'];
  const skip = folder === undefined && 'no guest 440 (POWERVISOR_TEST_GUEST_440)';
  it('saved in the midst of a download: the guest hears that it was broken off, and goes on', { skip }, async () => {
    const files = mkdtempSync(join(tmpdir(), 'powervisor-network-'));
    after(() => rmSync(files, { recursive: true }));
    const snapshot = join(files, 'snapshot');
    const net = ['--net', 'user,host-loopback=on', '--timeout', '120', '--no-reboot'];
    const images = ['--kernel', `${folder}/uImage`, '--initrd', `${folder}/initramfs.cpio.gz`];
    const saved = await run(
      ['boot', '--machine', 'bamboo', ...images, '--append', 'console=ttyS0', ...net, '--save', snapshot],
      {
        steps: [
          { after: 'GUEST-READY', do: '' },
          { after: '# ', do: 'ifconfig eth0 10.0.2.15 netmask 255.255.255.0; route add default gw 10.0.2.2\n' },
          { after: '# ', do: `wget -q -O /tmp/x http://10.0.2.2:${ports.web}/endless & X=$!; echo beg""un\n` },
          { after: 'begun', do: 'while ! test -s /tmp/x; do :; done; echo und""er way\n' },
          { after: 'under way', do: '\x01s' },
          { after: 'saved to', do: '\x01x' },
        ],
      },
    );
    assert.equal(saved.status, 0, `${saved.stderr}\n${saved.stdout.slice(-2000)}`);
    const wanted = md5(download.subarray(0, MEGABYTE));
    const restored = await run(['boot', '--restore', snapshot, ...net], {
      steps: [
        // The prompt is in the snapshot.
        { after: '', do: 'wait $X; echo en""ded=$?\n' },
        { after: 'ended=1', do: `wget -q -O - http://10.0.2.2:${ports.web}/1 | md5sum\n` },
        { after: wanted, do: '$(cat /etc/off)\n' },
      ],
    });
    assert.equal(restored.status, 0, `${restored.stderr}\n${restored.stdout.slice(-2000)}`);
    // Which of the two depends on where in a chunk it was.
    assert.match(restored.stdout, /wget: (read error|error getting response: Connection reset by peer)/);
  });

  const wrong: Readonly<Record<string, string>> = {
    bridge: "there is no network 'bridge'; user and none fit",
    'user,mac=53:54:00:12:34:56':
      "'mac=53:54:00:12:34:56' is no card's address; mac=52:54:00:12:34:56 fits, its first byte even",
    'user,forward=22':
      "'22' is no forward; forward=tcp:[HOSTADDRESS:]HOSTPORT:[GUESTADDRESS:]GUESTPORT fits, such as forward=tcp:2222:22",
  };
  for (const [words, message] of Object.entries(wrong)) {
    it(`refuses ${words}`, async () => {
      const { status, stderr } = await run(['boot', '--machine', 'bamboo', '--kernel', '/dev/null', '--net', words]);
      assert.deepEqual([status, stderr], [2, `powervisor: ${message}\n`]);
    });
  }

  it('says which port is in use', async () => {
    const net = `user,forward=tcp:${ports.web}:22`;
    // Anything will do: it does not come to be booted.
    const kernel = import.meta.filename;
    const { status, stderr } = await run(['boot', '--machine', 'bamboo', '--kernel', kernel, '--net', net]);
    assert.equal(status, 1);
    assert.match(stderr, /^powervisor: cannot listen at tcp port \d+ of 127\.0\.0\.1: it is in use; .*\n$/);
  });
});
