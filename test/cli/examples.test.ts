import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from './command.ts';

const guest = process.env['POWERVISOR_TEST_GUEST_440'];
const skip = guest === undefined ? 'no 440 guest (POWERVISOR_TEST_GUEST_440); npm test says why' : false;

test('examples/run-command.ts prints what the guest said', { skip, timeout: 120_000 }, async () => {
  const example = fileURLToPath(new URL('../../examples/run-command.ts', import.meta.url));
  const result = await run([example, guest ?? '', 'echo $((6 * 7)); uname -m'], { command: process.execPath });
  assert.equal(result.stderr, '');
  assert.equal(result.stdout, '42\nppc\n');
});

test('examples/own-device.ts has its guest use a device of its own', { timeout: 60_000 }, async () => {
  const example = fileURLToPath(new URL('../../examples/own-device.ts', import.meta.url));
  const result = await run([example], { command: process.execPath });
  assert.equal(result.stderr, '');
  assert.match(result.stdout, /^shutdown; 6 \* 7 is 42; saved: .*"multiplier":\{"last":7,"product":42\}/);
});
