/** Real 64-bit kernels on the pseries machine. `test/cli/boot-server.test.ts` has the ways of acceleration. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MachineOptions } from '../../src/machine/index.ts';
import { bootGuest, type Dialogue, type Result } from './boot-guest.ts';
import { withoutMagicPageTest } from './magic-page-kernel.ts';

/** Folders with a vmlinux and an initramfs.cpio.gz of each byte order; `npm test` sets them where they are. */
const big = process.env['POWERVISOR_TEST_GUEST_BOOK3S64'];
const little = process.env['POWERVISOR_TEST_GUEST_PPC64EL'];
const skipBig = big === undefined && 'no book3s64 guest (POWERVISOR_TEST_GUEST_BOOK3S64)';
const skipLittle = little === undefined && 'no ppc64el guest (POWERVISOR_TEST_GUEST_PPC64EL)';

/** Debian's kernel asks whether there are such counters. */
const H_GET_PERF_COUNTER_INFO = 0xf080;

const boot = (folder: string | undefined, options: Partial<MachineOptions>, dialogue?: Dialogue): Promise<Result> =>
  bootGuest(
    {
      board: 'pseries',
      kernel: readFileSync(join(folder ?? '', 'vmlinux')),
      initrd: readFileSync(join(folder ?? '', 'initramfs.cpio.gz')),
      append: 'console=hvc0 poweroff',
      noReboot: true,
      ...options,
    },
    dialogue,
  );

function check({ end, output, stats }: Result, lines: readonly string[]): void {
  assert.deepEqual(end, { cause: 'shutdown', message: 'the guest shut down' }, output);
  for (const line of lines) assert.ok(output.includes(line), `${line}\n${output}`);
  for (const word of ['Oops', 'BUG:', 'WARNING', 'panic', 'nobody cared']) assert.ok(!output.includes(word), output);
  assert.ok(
    [0, H_GET_PERF_COUNTER_INFO].includes(stats.hypercall_unknown_last ?? 0),
    `${stats.hypercall_unknown_last}`,
  );
  assert.equal(stats.rtas_unknown, 0);
  assert.equal(stats.bus_unassigned_mmio, 0);
}

test('a big-endian Linux boots to user space on POWER8 and powers it off', { skip: skipBig }, async () => {
  check(await boot(big, { cpu: 'power8' }), [
    'phys_mem_size     = 0x20000000',
    'Using 1TB segments',
    'Kernel command line: console=hvc0 poweroff',
    'Hardware name: IBM pSeries (emulated by Powervisor) POWER8',
    'Run /init as init process',
    'GUEST-READY ppc64 ',
    'GUEST-OFF',
    'reboot: Power down',
  ]);
});

test("Debian's little-endian Linux boots to user space and powers the machine off", { skip: skipLittle }, async () => {
  check(await boot(little, { memoryBytes: 2 ** 30 }), ['GUEST-READY ppc64le ', 'reboot: Power down']);
});

const patched = (folder: string | undefined): Uint8Array =>
  withoutMagicPageTest(readFileSync(join(folder ?? '', 'vmlinux')));

test('a big-endian Linux patches itself under pv, and then leaves the guest less often', {
  skip: skipBig,
}, async () => {
  const kernel = patched(big);
  const pv = await boot(big, { cpu: 'power7', accel: 'pv', kernel });
  check(pv, ['KVM: Live patching for a fast VM worked', 'GUEST-READY ppc64 ']);
  const trap = await boot(big, { cpu: 'power7', accel: 'trap', kernel });
  assert.ok(!trap.output.includes('KVM: '), trap.output);
  for (const name of ['mfmsr', 'mfspr_srr0', 'mfspr_dar', 'mtspr_srr1', 'mtspr_sprg2'].map((one) => `emulated_${one}`))
    assert.ok((pv.stats[name] ?? 0) * 10 < (trap.stats[name] ?? 0), `${name}: ${pv.stats[name]} ${trap.stats[name]}`);
});

test("Debian's little-endian Linux patches itself under pv", { skip: skipLittle }, async () => {
  check(await boot(little, { memoryBytes: 2 ** 30, accel: 'pv', kernel: patched(little) }), [
    'KVM: Live patching for a fast VM worked',
    'GUEST-READY ppc64le ',
  ]);
});

test('a shell on hvc0: input typed early, its interrupt, long input, a reboot', { skip: skipBig }, async () => {
  const long = 'x'.repeat(800);
  const { end, output, stats } = await boot(big, { cpu: 'power7', append: 'console=hvc0', noReboot: false }, [
    ['Linux version', 'echo early $((6*7))\n'],
    ['early 42', 'cat /proc/interrupts; echo done $((1+1))\n'],
    ['done 2', `echo ${long} | wc -c\n`],
    ['801', 'reboot -f\n'],
    ['GUEST-READY', 'echo again $((3*3)); sleep 1; echo slept\n'],
    ['\nslept'],
  ]);
  assert.equal(end.cause, 'quit', `${end.message}\n${output}`);
  assert.match(output, /: +[1-9]\d* +XICS +4352 Edge +hvc_console/);
  assert.match(output, /again 9\r\nslept/);
  assert.equal(output.split('Linux version').length, 3);
  assert.equal(stats.machine_resets, 1);
  assert.equal(stats.hypercall_unknown, 0);
});
