/** gdb itself with real kernels. `npm run gdb-session` has QEMU's server beside ours. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasGdb } from './gdb.ts';
import { runSession, sessionGuest } from './session.ts';

const FOLDERS = {
  440: process.env['POWERVISOR_TEST_GUEST_440'],
  book3s64: process.env['POWERVISOR_TEST_GUEST_BOOK3S64'],
  ppc64el: process.env['POWERVISOR_TEST_GUEST_PPC64EL'],
};
const noGdb = !hasGdb() && 'there is no gdb-multiarch';

for (const [name, folder = ''] of Object.entries(FOLDERS)) {
  const skip = noGdb || (!existsSync(join(folder, 'vmlinux')) && `no ${name} guest with a vmlinux`);
  test(`gdb goes through ${name}'s kernel, and the guest does not notice`, { skip, timeout: 120_000 }, async () => {
    const { seen, connectPackets, console, status } = await runSession('powervisor', sessionGuest(name), folder);
    const { start_kernel: start = '' } = seen;
    assert.match(start, /^0xc0/);
    const addresses = (seen['instructions'] ?? '').split('\n').map((line) => /0x[0-9a-f]+/.exec(line)?.[0]);
    assert.equal(addresses[0], start);
    assert.equal(addresses[1], seen['after the first step']);
    assert.match(seen['called from'] ?? '', /^#1 {2}0xc/);
    assert.match(seen['banner'] ?? '', /^"Linux version 6\./);
    assert.equal(seen['the banner once more'], seen['banner']);
    assert.equal(seen["the first task's name"], '"swapper"');
    assert.equal(seen['what was written'], '0x12345678');
    assert.equal(seen['a register that was written'], '0x1234');
    assert.equal(BigInt(seen['jiffies, after'] ?? '') - BigInt(seen['jiffies, before'] ?? ''), 1n);
    assert.equal(seen['who counted']?.replace(/^\./, ''), 'do_timer');
    assert.ok(connectPackets <= 26, `${connectPackets}`);
    for (const word of ['Oops', 'BUG:', 'WARNING']) assert.ok(!console.includes(word), console);
    assert.equal(status, 0);
  });
}
