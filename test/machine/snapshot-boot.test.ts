/** Real kernels that are saved on their way: the run that is restored is the run that was not saved, to the instruction. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runSaved } from './saved-runs.ts';

const GUESTS = [
  { name: '440', board: 'bamboo', kernel: 'uImage', console: 'ttyS0', icount: 400, accel: 'assist' },
  { name: 'E500', board: 'ppce500', kernel: 'uImage', console: 'ttyS0', icount: 400, accel: 'assist' },
  { name: 'BOOK3S64', board: 'pseries', kernel: 'vmlinux', console: 'hvc0', icount: 100, accel: 'assist' },
  { name: 'BOOK3S64', board: 'pseries', kernel: 'vmlinux', console: 'hvc0', icount: 100, accel: 'pv' },
] as const;

for (const { name, board, kernel, console: tty, icount, accel } of GUESTS) {
  const folder = process.env[`POWERVISOR_TEST_GUEST_${name}`];
  const skip = folder === undefined ? `no ${name} guest (POWERVISOR_TEST_GUEST_${name})` : false;
  test(`a boot that is saved three times is what it is without: ${name}, ${accel}`, { skip }, async () => {
    const options = {
      board,
      accel,
      icount,
      kernel: readFileSync(join(folder ?? '', kernel)),
      initrd: readFileSync(join(folder ?? '', 'initramfs.cpio.gz')),
      append: `console=${tty} poweroff`,
    };
    let turns = 0;
    const whole = await runSaved(options, () => turns++ < 0);
    assert.ok(whole.output.includes('GUEST-OFF'), whole.output);
    const saved = await runSaved(options, (turn) => turn % Math.ceil(turns / 4) === Math.ceil(turns / 8));
    assert.ok(saved.saves >= 2, String(saved.saves));
    assert.deepEqual({ ...saved, saves: 0 }, whole);
  });
}
