/** Real kernels on Power Macs, through OpenBIOS. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFirmware } from '../../../src/node/firmware.ts';
import { bootGuest } from '../boot-guest.ts';

const bios = readFirmware('mac99');
const noFirmware = bios === undefined && "no OpenBIOS (Debian's package qemu-system-data)";
const big32 = process.env['POWERVISOR_TEST_GUEST_BOOK3S32'];
const big64 = process.env['POWERVISOR_TEST_GUEST_BOOK3S64'];

test('OpenBIOS reaches its prompt, and shows the device tree', { skip: noFirmware }, async () => {
  const { output, stats } = await bootGuest({ board: 'mac99', cpu: '970fx', bios, memoryBytes: 2 ** 28 }, [
    ['0 > ', 'dev /pci/mac-io ls\r'],
    ['\n0 > '],
  ]);
  for (const text of [
    'Configuration device id QEMU version 1 machine id 3',
    'Memory: 256M',
    'CPU type PowerPC,970FX',
    'escc-legacy@12000',
    'escc@13000',
    'via-pmu@16000',
    'interrupt-controller@40000',
    ' ok',
  ])
    assert.ok(output.includes(text), `${text}\n${output}`);
  assert.equal(stats.bus_unassigned_mmio, 0);
});

/** Boots a guest's Linux by firmware; it powers the machine off. */
async function bootLinux(
  board: string,
  cpu: string,
  folder: string | undefined,
  lines: readonly string[],
): Promise<void> {
  const { end, output } = await bootGuest({
    board,
    cpu,
    bios,
    kernel: readFileSync(join(folder ?? '', 'vmlinux')),
    initrd: readFileSync(join(folder ?? '', 'initramfs.cpio.gz')),
    append: 'console=ttyPZ0 poweroff',
    noReboot: true,
  });
  assert.deepEqual(end, { cause: 'shutdown', message: 'the guest shut down' }, output);
  const all = ['Kernel command line: console=ttyPZ0 poweroff', 'GUEST-OFF', 'reboot: Power down', ...lines];
  for (const line of all) assert.ok(output.includes(line), `${line}\n${output}`);
  for (const word of ['Oops', 'BUG:', 'WARNING', 'panic', 'nobody cared']) assert.ok(!output.includes(word), output);
}

const no32 = noFirmware || (big32 === undefined && 'no book3s32 guest (POWERVISOR_TEST_GUEST_BOOK3S32)');
const no64 = noFirmware || (big64 === undefined && 'no book3s64 guest (POWERVISOR_TEST_GUEST_BOOK3S64)');

test('a 32-bit Linux boots on a beige G3, and CUDA switches it off', { skip: no32 }, () =>
  bootLinux('g3beige', '750', big32, [
    'Found a Heathrow mac-io controller',
    'Found primary Apple PIC',
    'Macintosh Cuda and Egret driver',
    'ttyPZ0 at MMIO 0x80013020',
    'rtc-generic: registered as rtc0',
    'GUEST-READY ppc ',
  ]),
);

test('a 32-bit Linux boots on a G4', { skip: no32 }, () =>
  bootLinux('mac99', '7400', big32, [
    'Found UniNorth memory controller & host bridge @ 0xf8000000 revision: 0x07',
    'Hardware name: PowerMac3,1 7400',
    'mpic: Initializing for 64 sources',
    'Macintosh Cuda and Egret driver',
    'GUEST-READY ppc ',
  ]),
);

test('a 64-bit Linux boots on a G5, and its PMU switches it off', { skip: no64 }, () =>
  bootLinux('mac99', '970fx', big64, [
    'Found U3-AGP PCI host bridge',
    'PMU driver v2 initialized for Core99',
    'rtc-generic: registered as rtc0',
    'GUEST-READY ppc64 ',
  ]),
);
