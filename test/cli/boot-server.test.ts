/** Boots of a 64-bit server guest through the command, in each way to serve its privileged instructions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from './command.ts';

const guest = process.env['POWERVISOR_TEST_GUEST_BOOK3S64'];
const skip = guest === undefined && 'no book3s64 guest (POWERVISOR_TEST_GUEST_BOOK3S64)';

const boot = (append: string, ...more: string[]): string[] => [
  ...['boot', '--machine', 'pseries', '--kernel', `${guest}/vmlinux`, '--initrd', `${guest}/initramfs.cpio.gz`],
  ...['--append', `console=hvc0 ${append}`, '--timeout', '120', '--no-reboot', ...more],
];

for (const accel of ['trap', 'pv', 'assist']) {
  test(`a POWER7 boots, takes commands and powers off under ${accel}`, { skip }, async () => {
    const result = await run(boot('', '--cpu', 'power7', '--accel', accel, '--stats', '-'), {
      steps: [
        { after: 'GUEST-READY ppc64 ', do: '' },
        { after: '# ', do: 'echo $((6 * 7)) is it\n' },
        { after: '42 is it', do: 'poweroff -f\n' },
      ],
    });
    assert.equal(result.status, 0, result.stderr);
    assert.equal(result.stderr, '');
    const counters = JSON.parse(result.stdout.trimEnd().split('\n').at(-1) ?? '');
    assert.equal(counters.end, 'shutdown');
    for (const name of ['seconds', 'sum_exits', 'instructions']) assert.ok(counters[name] > 0, name);
    assert.equal(result.stdout.includes('hv:linux,kvm'), accel !== 'trap');
  });
}
