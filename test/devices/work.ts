/**
 * One boot of a real guest with everything plugged in: a file goes over disks (qcow2 and raw), a shared folder, an overlay of
 * both and the network, and must be the same wherever it arrives. What the guest says of it is compared with what the host has.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { virtio9p } from '../../src/machine/devices/virtio-9p.ts';
import { virtioBlk } from '../../src/machine/devices/virtio-blk.ts';
import { virtioConsole } from '../../src/machine/devices/virtio-console.ts';
import { virtioNet } from '../../src/machine/devices/virtio-net.ts';
import { virtioRng } from '../../src/machine/devices/virtio-rng.ts';
import { createMachine, createUserNetwork, openDiskFile, shareFolder } from '../../src/node/index.ts';
import { directory, file, packCpio } from '../../src/node/run/cpio.ts';
import { kernelModules } from '../guests/kernel-modules.ts';

const root = join(import.meta.dirname, '../..');

/** Guests that know the devices, and the buses of their boards. */
export const GUESTS = {
  '440-devices': { board: 'bamboo', kernel: 'uImage', console: 'ttyS0', buses: ['mmio', 'pci'], slots: 4, modules: [] },
  'e500-devices': {
    board: 'ppce500',
    kernel: 'uImage',
    console: 'ttyS0',
    buses: ['pci', 'mmio'],
    slots: 31,
    modules: [],
  },
  'book3s64-devices': { board: 'pseries', kernel: 'vmlinux', console: 'hvc0', buses: ['pci'], slots: 8, modules: [] },
  ppc64el: {
    board: 'pseries',
    kernel: 'vmlinux',
    console: 'hvc0',
    buses: ['pci'],
    slots: 8,
    modules: ['virtio_pci', 'virtio_blk', 'virtio_net', 'virtio_console', 'virtio_rng', '9pnet_virtio', '9p'].concat([
      'crc32c_generic',
      'ext4',
      'overlay',
    ]),
  },
} as const;
export type GuestName = keyof typeof GUESTS;

const MEGABYTE = 2 ** 20;
const BLOCK = 4096;
const TIMEOUT_NS = 600e9;

const script = (
  modules: readonly string[],
  ports: { source: number; sink: number },
  blocks: number,
): string => `#!/bin/sh
export PATH=/bin:/sbin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
exec </dev/console >/dev/console 2>&1
${modules.map((one) => `insmod /checks/${one}`).join('\n')}
mkdir -p /share /disk /both
say() { echo "DEVICES $*"; }
sum() { say "$1 $(md5sum | cut -d' ' -f1)"; }
disk() { for one in /sys/block/vd*; do [ "$(cat $one/serial)" = $1 ] && echo /dev/\${one##*/}; done; }
cold() { sync; echo 3 >/proc/sys/vm/drop_caches; }
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 share /share || say no share
sum 9p-read </share/in
cp /share/in /share/out
mke2fs -F $(disk files) >/dev/null
mount -t ext4 $(disk files) /disk || say no file system
cp /share/in /disk/file || say no room; umount /disk; cold; mount -t ext4 $(disk files) /disk
sum disk-file </disk/file
mkdir /disk/upper /disk/work
mount -t overlay -o lowerdir=/share,upperdir=/disk/upper,workdir=/disk/work overlay /both || say no overlay
echo changed >>/both/in
sum overlay-lower </share/in
sum overlay-upper </both/in
dd if=/share/in of=$(disk raw) bs=64k 2>/dev/null; cold
dd if=$(disk raw) bs=4096 count=${blocks} 2>/dev/null | sum disk-raw
echo x 2>/dev/null >$(disk fixed); sync
sum disk-read-only <$(disk fixed)
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
ping -c 2 10.0.2.2 | grep -q ' 0% packet loss' && say ping
wget -q -O - http://10.0.2.2:${ports.source}/in | sum net-down
nc 10.0.2.2 ${ports.sink} </share/in
dd if=/dev/hwrng bs=16 count=1 2>/dev/null | wc -c | (read n; say random $n)
echo hello >/dev/$(ls /sys/class/virtio-ports | head -n 1)
umount /both; umount /disk; umount /share
say irqs $(grep -c virtio /proc/interrupts)
say end
$(cat /etc/off)
sleep 100
`;

/** A server on the loopback, with its port. */
async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

export interface Outcome {
  /** What was wrong; empty: nothing. */
  readonly problems: readonly string[];
  /** What each step says, as it must. */
  readonly lines: readonly string[];
  readonly console: string;
  readonly seconds: number;
}

/** Boots `name`, whose images are in `folder`, with all devices on one of the buses of its board. */
export async function tryDevices(name: GuestName, folder: string, bus: string, bytes = 3 * MEGABYTE): Promise<Outcome> {
  const guest = GUESTS[name];
  const kernel = readFileSync(join(folder, guest.kernel));
  const initrd = readFileSync(join(folder, 'initramfs.cpio.gz'));
  const modules = guest.modules.length > 0 ? await kernelModules(kernel, guest.modules) : [];
  const place = mkdtempSync(join(tmpdir(), 'powervisor-devices-'));
  // The same in each run.
  const contents = Buffer.alloc(bytes + 5 * BLOCK);
  for (let i = 0; i + 4 <= contents.length; i += 4) contents.writeInt32LE(Math.imul(i + 1, 2654435761) | 0, i);
  const received: Buffer[] = [];
  const source = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(`HTTP/1.0 200 OK\r\nContent-Length: ${contents.length}\r\n\r\n`);
      socket.end(contents);
    });
  });
  const sink = createServer((socket) =>
    socket.on('error', () => {}).on('data', (piece: Buffer) => received.push(piece)),
  );
  const start = performance.now();
  try {
    const shared = join(place, 'share');
    execFileSync('mkdir', [shared]);
    writeFileSync(join(shared, 'in'), contents);
    writeFileSync(join(place, 'raw.raw'), Buffer.alloc(contents.length + 65536));
    writeFileSync(join(place, 'fixed.raw'), contents);
    const image = join(place, 'disk.qcow2');
    execFileSync(join(root, 'bin/powervisor'), ['image', 'create', '-f', 'qcow2', image, '128M']);
    const ports = { source: await listen(source), sink: await listen(sink) };
    const network = await createUserNetwork({ hostLoopback: true });
    const stores = [
      await openDiskFile(image),
      await openDiskFile(join(place, 'raw.raw')),
      await openDiskFile(join(place, 'fixed.raw'), { readOnly: true }),
    ] as const;
    let heard = '';
    let said = '';
    const init = script(
      modules.map((one) => one.file),
      ports,
      contents.length / BLOCK,
    );
    const over = packCpio([
      directory('checks'),
      file('init', Buffer.from(init), 0o755),
      ...modules.map((one) => file(`checks/${one.file}`, one.data)),
    ]);
    const end = { port: undefined, write: (piece: Uint8Array) => void (heard += Buffer.from(piece).toString()) };
    const [files, raw, fixed] = stores;
    const devices = [
      virtioBlk('disk0', { store: files, serial: 'files' }),
      virtioBlk('disk1', { store: raw, serial: 'raw' }),
      virtioNet('net0', { link: network }),
      virtio9p('share0', { tag: 'share', server: shareFolder(shared, { writable: true }) }),
      virtioBlk('disk2', { store: fixed, serial: 'fixed' }),
      virtioRng('rng0'),
      virtioConsole('console0', [{ name: 'org.test', end }]),
    ];
    const machine = createMachine({
      board: guest.board,
      console: { write: (piece) => void (said += Buffer.from(piece).toString('latin1')) },
      kernel,
      // Linux takes one archive behind another, from a multiple of four bytes on.
      initrd: Buffer.concat([initrd, Buffer.alloc(-initrd.length & 3), over]),
      append: `console=${guest.console} quiet`,
      timeoutNs: TIMEOUT_NS,
      noReboot: true,
      // What finds no room there goes to the other.
      devices: devices.map((device, i) => ({ device, bus: i < guest.slots ? bus : undefined })),
    });
    const { cause, message } = await machine.run();
    for (const store of stores) await store.close();
    network.close();
    const sum = md5(contents);
    const wanted = [
      `9p-read ${sum}`,
      `disk-file ${sum}`,
      `overlay-lower ${sum}`,
      `overlay-upper ${md5(Buffer.concat([contents, Buffer.from('changed\n')]))}`,
      `disk-raw ${sum}`,
      `disk-read-only ${sum}`,
      'ping',
      `net-down ${sum}`,
      'random 16',
      'end',
    ];
    const lines = said.split(/\r?\n/).flatMap((line) => /^DEVICES (.*)$/.exec(line)?.[1] ?? []);
    const problems = wanted.filter((line) => !lines.includes(line)).map((line) => `the guest did not say: ${line}`);
    if (cause !== 'shutdown' && cause !== 'reset') problems.push(`the run ended with ${cause}: ${message}`);
    const compare = (what: string, found: Uint8Array): void => {
      if (Buffer.compare(found, contents) !== 0) problems.push(`${what} is another on the host`);
    };
    compare('the file written to the share', readFileSync(join(shared, 'out')));
    compare('the disk that was written', readFileSync(join(place, 'raw.raw')).subarray(0, contents.length));
    compare('the disk that is read only', readFileSync(join(place, 'fixed.raw')));
    compare('what came over the network', Buffer.concat(received));
    if (heard !== 'hello\n') problems.push(`the port heard ${JSON.stringify(heard)}`);
    return { problems, lines, console: said, seconds: (performance.now() - start) / 1000 };
  } finally {
    source.close();
    sink.close();
    rmSync(place, { recursive: true, force: true });
  }
}
