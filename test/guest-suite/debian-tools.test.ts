/** A few of the checks of `npm run guest-suite`, where the guest debian-tools is already there: it is too large to be made for this. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks } from './checks.ts';
import { GuestConsole } from './console.ts';
import { bootCommand } from './machines.ts';

const folder = process.env['POWERVISOR_TEST_GUEST_DEBIAN_TOOLS'];
const skip = folder === undefined && 'there is no guest debian-tools (npm run guests -- debian-tools)';
const names = ['perl-atan2', 'awk-sin', 'sqlite-sin', 'openssl', 'make', 'git', 'strace', 'gdb-step'];

test('programs of Debian answer what they must', { skip }, async () => {
  const guest = await GuestConsole.boot(bootCommand('assist', folder ?? ''), 400);
  try {
    for (const { name, command, expect, timeoutSeconds } of checks.filter((one) => names.includes(one.name))) {
      const { output, status } = await guest.run(command, timeoutSeconds);
      assert.equal(status, 0, `${name}: ${output}`);
      assert.match(output, expect ?? /^/, name);
    }
  } finally {
    await guest.kill();
  }
});
