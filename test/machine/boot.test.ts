import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MachineOptions } from '../../src/machine/index.ts';
import { bootGuest, type Dialogue, type Result } from './boot-guest.ts';
import { floatInitrd } from './float-program.ts';

/** The folder with the 440's uImage, vmlinux, bamboo.dtb and initramfs.cpio.gz; `npm test` sets it. */
const folder = process.env.POWERVISOR_TEST_GUEST_440;
const skip = folder === undefined ? 'no 440 guest (POWERVISOR_TEST_GUEST_440)' : false;
const file = (name: string): Uint8Array => readFileSync(join(folder ?? '', name));
const MiB = 2 ** 20;

const boot = (options: Partial<MachineOptions>, dialogue?: Dialogue, typed?: Uint8Array): Promise<Result> =>
  bootGuest(
    {
      board: 'bamboo',
      kernel: file('uImage'),
      initrd: file('initramfs.cpio.gz'),
      append: 'console=ttyS0 poweroff',
      noReboot: true,
      ...options,
    },
    dialogue,
    typed,
  );

test('Linux boots to user space on the bamboo board and resets it', { skip }, async () => {
  const { end, output, stats } = await boot({});
  assert.deepEqual(end, { cause: 'reset', message: 'the guest reset the machine' }, output);
  for (const line of [
    'phys_mem_size     = 0x10000000',
    'Kernel command line: console=ttyS0 poweroff',
    'UIC0 (32 IRQ sources) at DCR 0xc0',
    'timebase mult[2800000] shift[24] registered', // 400 MHz
    'pci 0000:00:00.0: [1014:027f] type 00 class 0x068000',
    'ttyS0 at MMIO 0xef600300 (irq = 16, base_baud = 691200) is a 16550A',
    'Run /init as init process',
    'GUEST-READY ppc',
    'GUEST-OFF',
    'reboot: Restarting system',
  ])
    assert.ok(output.includes(line), `${line}\n${output}`);
  for (const word of ['Oops', 'BUG:', 'WARNING', 'panic', 'nobody cared']) assert.ok(!output.includes(word), output);
  assert.equal(stats.bus_unassigned_mmio, 0);
  assert.equal(stats.bus_unassigned_dcr, 0);
  assert.equal(stats.serial0_bytes_transmitted, output.length);
});

test('an ELF kernel, a given device tree and little memory do as well', { skip }, async () => {
  const dtb = existsSync(join(folder ?? '', 'bamboo.dtb')) ? file('bamboo.dtb') : undefined;
  const { end, output } = await boot({ kernel: file('vmlinux'), dtb, memoryBytes: 16 * MiB });
  assert.equal(end.cause, 'reset', output);
  assert.ok(
    output.includes('phys_mem_size     = 0x1000000\n') || output.includes('phys_mem_size     = 0x1000000\r'),
    output,
  );
  assert.ok(output.includes('GUEST-READY ppc'), output);
});

test('a shell on the console: input typed early, interrupts, long input, a reboot', { skip }, async () => {
  const long = 'x'.repeat(800);
  const { end, output, stats } = await boot({ append: 'console=ttyS0', noReboot: false }, [
    ['Linux version', 'echo early $((6*7))\n'],
    ['early 42', 'cat /proc/interrupts; echo done $((1+1))\n'],
    ['done 2', `echo ${long} | wc -c\n`],
    ['801', 'reboot -f\n'],
    ['GUEST-READY', 'echo again $((3*3)); sleep 1; echo slept\n'],
    ['\nslept'],
  ]);
  assert.equal(end.cause, 'quit', `${end.message}\n${output}`);
  assert.match(output, /16: +\d+ +UIC +0 Level +ttyS0/);
  assert.match(output, /again 9\r\nslept/);
  assert.equal(output.split('Linux version').length, 3);
  assert.equal(stats.machine_resets, 1);
  assert.equal(stats.bus_unassigned_mmio, 0);
});

for (const accel of ['trap', 'assist'] as const)
  test(`${accel}: two processes with the floating-point unit in turn`, { skip }, async () => {
    const { end, output } = await boot({ accel, initrd: floatInitrd(), append: 'console=ttyS0' });
    assert.equal(end.cause, 'reset', output);
    assert.match(output, /CHILD 375\r?\nPARENT 750\r?\n/);
  });

test('with more input waiting than a boot takes, Linux boots and its shell answers; with counted time always alike', {
  skip,
}, async () => {
  const input = Buffer.from('echo hello\n'.repeat(5000));
  const options = { append: 'console=ttyS0', icount: 4 };
  const dialogue: Dialogue = [['hello\r\n# echo hello\r\nhello']];
  const [one, two] = [await boot(options, dialogue, input), await boot(options, dialogue, input)];
  assert.equal(one.end.cause, 'quit', one.output);
  // They are switched off some time after the answer.
  const length = Math.min(one.output.length, two.output.length);
  assert.ok(one.output.slice(0, length).includes('GUEST-READY'), one.output);
  assert.equal(two.output.slice(0, length), one.output.slice(0, length));
});

test('with counted time a run repeats exactly', { skip }, async () => {
  const [one, two] = [await boot({ icount: 4 }), await boot({ icount: 4 })];
  assert.equal(one.end.cause, 'reset', one.output);
  assert.equal(two.output, one.output);
  for (const name of ['instructions', 'sum_exits', 'bus_mmio_reads', 'bus_mmio_writes', 'bus_dcr_writes'])
    assert.equal(two.stats[name], one.stats[name], name);
});
