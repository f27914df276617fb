/** Real kernels on Power Macs, through OpenBIOS. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFirmware } from '../../../src/node/firmware.ts';
import { bootGuest } from '../boot-guest.ts';

const bios = readFirmware('mac99');
const noFirmware = bios === undefined && "no OpenBIOS (Debian's package qemu-system-data)";
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

test('a 64-bit Linux boots on a G5 by its firmware, and its PMU switches it off', {
  skip: noFirmware || (big64 === undefined && 'no book3s64 guest (POWERVISOR_TEST_GUEST_BOOK3S64)'),
}, async () => {
  const { end, output } = await bootGuest({
    board: 'mac99',
    cpu: '970fx',
    bios,
    kernel: readFileSync(join(big64 ?? '', 'vmlinux')),
    initrd: readFileSync(join(big64 ?? '', 'initramfs.cpio.gz')),
    append: 'console=ttyPZ0 poweroff',
    noReboot: true,
  });
  assert.deepEqual(end, { cause: 'shutdown', message: 'the guest shut down' }, output);
  for (const line of [
    'Found U3-AGP PCI host bridge',
    'Kernel command line: console=ttyPZ0 poweroff',
    'PMU driver v2 initialized for Core99',
    'rtc-generic: registered as rtc0',
    'GUEST-READY ppc64 ',
    'GUEST-OFF',
    'reboot: Power down',
  ])
    assert.ok(output.includes(line), `${line}\n${output}`);
  for (const word of ['Oops', 'BUG:', 'WARNING', 'panic', 'nobody cared']) assert.ok(!output.includes(word), output);
});
