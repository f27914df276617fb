/** Real guests with virtio devices: a disk is read and written, a port spoken to, random numbers come. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CardOptions } from '../../../src/machine/cards.ts';
import { virtioBlk } from '../../../src/machine/devices/virtio-blk.ts';
import type { MachineOptions } from '../../../src/machine/index.ts';
import type { GuestPort, PortEnd } from '../../../src/machine/outside/ports.ts';
import { bootGuest, type Dialogue } from '../boot-guest.ts';
import { MemoryDisk } from './memory-disk.ts';

const guests = {
  bamboo: process.env['POWERVISOR_TEST_GUEST_440'],
  big: process.env['POWERVISOR_TEST_GUEST_BOOK3S64'],
  little: process.env['POWERVISOR_TEST_GUEST_PPC64EL'],
} as const;
type Guest = keyof typeof guests;

const skip = (guest: Guest): string | false => (guests[guest] === undefined ? 'the guest is not there' : false);
const DISK_BYTES = 4 * 2 ** 20;

function optionsOf(guest: Guest): Omit<MachineOptions, 'host'> {
  const folder = guests[guest] as string;
  const isServer = guest !== 'bamboo';
  return {
    board: isServer ? 'pseries' : 'bamboo',
    kernel: readFileSync(join(folder, isServer ? 'vmlinux' : 'uImage')),
    initrd: readFileSync(join(folder, 'initramfs.cpio.gz')),
    append: `console=${isServer ? 'hvc0' : 'ttyS0'} virtio`,
    noReboot: true,
    ...(guest === 'little' && { memoryBytes: 2 ** 30 }),
  };
}

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

/** Boots with a disk, reads all of it, writes half a megabyte in its midst, and reads it again. */
async function tryDisk(guest: Guest, cards: (disk: MemoryDisk) => CardOptions, dialogue: Dialogue = []) {
  const disk = new MemoryDisk(DISK_BYTES);
  const before = md5(disk.bytes);
  const result = await bootGuest({ ...optionsOf(guest), ...cards(disk) }, [
    ['GUEST-READY', 'md5sum /dev/vda; echo first $((1+1))\n'],
    ['first 2', 'dd if=/dev/zero of=/dev/vda bs=64k seek=16 count=8; sync; echo second $((1+1))\n'],
    ['second 2', 'echo 3 > /proc/sys/vm/drop_caches; md5sum /dev/vda; cat /proc/interrupts; echo third $((1+1))\n'],
    ['third 2', ...(dialogue.length > 0 ? [(dialogue[0] as [string, string])[1]] : [])] as [string, string?],
    ...dialogue.slice(1),
  ]);
  const { output } = result;
  assert.ok(output.includes(before), `read\n${output}`);
  assert.ok(disk.bytes.subarray(2 ** 20, 1.5 * 2 ** 20).every((byte) => byte === 0));
  assert.ok(output.includes(md5(disk.bytes)), `written and read\n${output}`);
  assert.equal(result.stats['disk0_errors'], 0);
  return result;
}

/** Answers with a word. */
class Answering implements PortEnd {
  port: GuestPort | undefined;
  heard = '';
  write(bytes: Uint8Array): void {
    this.heard += Buffer.from(bytes).toString();
    this.port?.receive(Buffer.from('from outside\n'));
  }
}

test('big-endian server: a disk over PCI with MSI-X, a named port, random numbers', { skip: skip('big') }, async () => {
  const end = new Answering();
  const { output, stats } = await tryDisk(
    'big',
    (disk) => ({ disks: [{ store: disk }], consolePorts: [{ name: 'org.test', end }], rng: true, balloon: true }),
    [
      ['', 'P=/dev/$(ls /sys/class/virtio-ports); (echo to outside; read x; echo "heard $x" >/dev/hvc0) <>$P >&0\n'],
      ['heard from outside'],
    ],
  );
  assert.equal(end.heard, 'to outside\n');
  assert.match(output, /: +[1-9]\d* +pSeries-PCI-MSI \d+ Edge +virtio\d-req/);
  assert.ok((stats['rng0_bytes'] ?? 0) > 0, "the kernel's own generator has asked");
});

test("Debian's little-endian kernel: a disk over PCI", { skip: skip('little') }, async () => {
  const { output } = await tryDisk('little', (disk) => ({ disks: [{ store: disk, serial: 'POWER' }] }));
  assert.match(output, /: +[1-9]\d* +pSeries-PCI-MSI \d+ Edge +virtio\d-req/);
});

test('big-endian server: 3.5 GB of memory', { skip: skip('big') }, async () => {
  const { output } = await bootGuest({ ...optionsOf('big'), memoryBytes: 3.5 * 2 ** 30 }, [
    ['GUEST-READY', 'mkdir /t; mount -t tmpfs none /t; free\n'],
    ['Swap', 'md5sum /bin/busybox > /t/a; cp /bin/busybox /t/b; md5sum /t/b >> /t/a; cat /t/a; echo done $((1+1))\n'],
    ['done 2'],
  ]);
  assert.match(output, /Mem: +36\d{5}/);
  const [, first, second] = /([\da-f]{32}) {2}\/bin\/busybox\r\n([\da-f]{32}) {2}\/t\/b/.exec(output) ?? [];
  assert.ok(first !== undefined && first === second, output);
});

for (const bus of ['mmio', 'pci'])
  test(`bamboo: a disk over ${bus}`, { skip: skip('bamboo') }, async () => {
    const { output } = await tryDisk('bamboo', (disk) => ({
      devices: [{ device: virtioBlk('disk0', { store: disk }), bus }],
    }));
    assert.match(output, /: +[1-9]\d* +UIC +\d+ Level +virtio0/);
  });

test('counted time with a disk: a run repeats exactly, however long the disk takes', {
  skip: skip('bamboo'),
}, async () => {
  const runs = [];
  for (const delay of [0, 3]) {
    const disk = new MemoryDisk(DISK_BYTES);
    const read = disk.read.bind(disk);
    disk.read = async (offset, into) => {
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, (offset / 4096) % delay));
      return read(offset, into);
    };
    const typed = Buffer.from('md5sum /dev/vda; reboot -f\n');
    const options = { ...optionsOf('bamboo'), append: 'console=ttyS0 quiet', icount: 256, disks: [{ store: disk }] };
    const { output, stats } = await bootGuest(options, [], typed);
    assert.ok(output.includes(md5(disk.bytes)), output);
    runs.push({ output, instructions: stats['instructions'], exits: stats['sum_exits'] });
  }
  assert.deepEqual(runs[0], runs[1]);
});
