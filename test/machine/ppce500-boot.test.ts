/** The board ppce500 with firmware and kernels. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import { ppce500 } from '../../src/machine/boards/ppce500.ts';
import { MachineError, type MachineOptions } from '../../src/machine/index.ts';
import { bootGuest } from './boot-guest.ts';
import { MemoryDisk } from './virtio/memory-disk.ts';

/** U-Boot's folder; `npm test` sets it where it is. */
const uBoot = join(process.env.POWERVISOR_TEST_GUEST_U_BOOT ?? '/usr/lib/u-boot/qemu-ppce500', 'uboot.elf');
const skip = existsSync(uBoot) ? false : "no U-Boot (POWERVISOR_TEST_GUEST_U_BOOT, or Debian's u-boot-qemu)";
/** The folder with the e500's uImage and initramfs.cpio.gz. */
const folder = process.env.POWERVISOR_TEST_GUEST_E500;
const skipGuest = folder === undefined && 'no e500 guest (POWERVISOR_TEST_GUEST_E500)';
const guestFiles = () => ({
  kernel: readFileSync(join(folder ?? '', 'uImage')),
  initrd: readFileSync(join(folder ?? '', 'initramfs.cpio.gz')),
});
const MiB = 2 ** 20;

/** Maps the serial port, says "hi", and switches off by the GPIO pin; entered by the reset vector. */
const PROGRAM = `
    lis r3,0x1001; mtspr 624,r3          # MAS0: TLB1, entry 1
    lis r3,0xc000; ori r3,r3,0x100; mtspr 625,r3
    lis r3,0xe000; ori r3,r3,0x400a; mtspr 626,r3
    lis r3,0xe000; ori r3,r3,0x4015; mtspr 627,r3
    li r3,0xf; mtspr 944,r3              # MAS7: beyond 32 bits
    tlbwe; isync
    lis r4,0xe000; ori r4,r4,0x4500
    li r3,'h'; stb r3,0(r4)
    li r3,'i'; stb r3,0(r4)
    lis r3,0x1002; mtspr 624,r3
    lis r3,0xe00f; ori r3,r3,0xf00a; mtspr 626,r3
    lis r3,0xe00f; ori r3,r3,0xf015; mtspr 627,r3
    tlbwe; isync
    lis r4,0xe00f; ori r4,r4,0xf000
    lis r3,0x8000; stw r3,0(r4); stw r3,8(r4)
    b .
`;

function words(source: string): Uint8Array {
  const list = assembleWords(source);
  const bytes = new Uint8Array(4 * list.length);
  list.forEach((word, i) => {
    new DataView(bytes.buffer).setUint32(4 * i, word);
  });
  return bytes;
}

test('firmware that is no ELF file is a ROM: its last word is the reset vector', async () => {
  const program = words(PROGRAM);
  const rom = new Uint8Array(4096);
  rom.set(program);
  rom.set(words('.org 0xffc\n b .-0xffc').subarray(-4), 0xffc);
  const { end, output } = await bootGuest({ board: 'ppce500', bios: rom });
  assert.equal(output, 'hi');
  assert.equal(end.cause, 'shutdown');
});

test('firmware that does not fit, and a kernel that is none, are refused', async () => {
  const refused = (options: Partial<MachineOptions>): Promise<unknown> =>
    assert.rejects(bootGuest({ board: 'ppce500', ...options }), MachineError);
  await refused({ bios: new Uint8Array(2 * MiB) });
  await refused({ bios: new Uint8Array(0) });
  await refused({});
  await refused({ bios: new Uint8Array(8), kernel: new Uint8Array(64 * MiB), memoryBytes: 64 * MiB });
});

const boot = (options: Partial<MachineOptions>, ...dialogue: Parameters<typeof bootGuest>[1] & object) =>
  bootGuest({ board: 'ppce500', bios: readFileSync(uBoot), noReboot: true, ...options }, dialogue);

test('U-Boot comes to its prompt, answers, and resets the machine', { skip }, async () => {
  const disk = new MemoryDisk(64 * 512);
  disk.bytes.set(Buffer.from('hello from disk!'));
  const { end, output, stats } = await boot(
    { memoryBytes: 128 * MiB, disks: [{ store: disk }] },
    ['autoboot:', ' '],
    ['=> ', 'version\r'],
    ['=> ', 'mw.l 1000 11223344 4; md 1000 4\r'],
    ['=> ', 'bdinfo\r'],
    ['=> ', 'date 032112342024.55; date\r'],
    ['=> ', 'virtio scan; virtio read 2000 0 1; md 2000 4\r'],
    ['=> ', 'reset\r'],
  );
  assert.deepEqual(end, { cause: 'reset', message: 'the guest reset the machine' }, output);
  for (const line of [
    'Core:  e500v2, Version: 3.0, (0x80210030)',
    'DRAM:  128 MiB',
    'GNU ld (GNU Binutils for Debian)',
    '00001000: 11223344 11223344 11223344 11223344  ."3D."3D."3D."3D',
    'relocaddr   = 0x07f90000',
    'devicetree  = board',
    'immr_base   = 0xe0000000',
    'addressing  = 36-bit',
    'Date: 2024-03-21 (Thursday)    Time: 12:34:5',
    '00002000: 68656c6c 6f206672 6f6d2064 69736b21  hello from disk!',
  ])
    assert.ok(output.includes(line), `${line}\n${output}`);
  assert.equal(stats.bus_unassigned_mmio, 0);
});

/** What a kernel says when something is wrong. */
const COMPLAINTS = ['Oops', 'BUG:', 'WARNING', 'panic', 'nobody cared'];

for (const accel of ppce500.accels)
  test(`Linux boots to user space and switches off under ${accel}, with disk, network, randomness and a port`, {
    skip: skipGuest,
  }, async () => {
    const store = new MemoryDisk(64 * 512);
    const { end, output, stats } = await bootGuest({
      board: 'ppce500',
      accel,
      ...guestFiles(),
      append: 'console=ttyS0 virtio poweroff',
      disks: [{ store }],
      rng: true,
      consolePorts: [{ name: 'port', end: { port: undefined, write: () => {} } }],
    });
    assert.deepEqual(end, { cause: 'shutdown', message: 'the guest shut down' }, output);
    for (const line of [
      'Hardware name: QEMU ppce500 e500v2 0x80210030 QEMU e500',
      'mpic: Initializing for 256 sources',
      'timebase mult[2800000] shift[24] registered', // 400 MHz
      'root bus resource [mem 0xc00000000-0xc1fffffff] (bus address [0xe0000000-0xffffffff])',
      'pci 0000:00:00.0: [1957:0030] type 00 class 0x0b2000',
      'ttyS0 at MMIO 0xfe0004500 (irq = 42, base_baud = 25000000) is a 16550A',
      '[vda] 64 512-byte logical blocks',
      'GUEST-READY ppc ',
      'virtio0',
      'GUEST-OFF',
      'reboot: Power down',
    ])
      assert.ok(output.includes(line), `${line}\n${output}`);
    for (const word of COMPLAINTS) assert.ok(!output.includes(word), output);
    assert.equal(stats.bus_unassigned_mmio, 0);
    assert.ok(store.calls.length > 0, 'the disk was read');
  });

test('U-Boot boots Linux, which finds its initial RAM disk and command line', {
  skip: skip === false ? skipGuest : skip,
}, async () => {
  const { end, output } = await boot({ ...guestFiles(), append: 'console=ttyS0 poweroff' });
  assert.equal(end.cause, 'shutdown', output);
  for (const line of ['## Booting kernel from Legacy Image at 02000000', 'Found initrd at 0xc4000000', 'GUEST-OFF'])
    assert.ok(output.includes(line), `${line}\n${output}`);
  for (const word of COMPLAINTS) assert.ok(!output.includes(word), output);
});
