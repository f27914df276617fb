/** Every instruction of the 64-bit processors against what was recorded from `qemu-ppc64` and `qemu-ppc64le`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wideDigests } from './record.ts';

for (const { configuration, expected, actual } of wideDigests()) {
  test(`${configuration}: every form comes out as it was recorded`, () => {
    const different = Object.keys(actual).filter((name) => actual[name] !== expected[name]);
    assert.deepEqual(
      different,
      [],
      'npm run campaign -- wide says what differs, npm run campaign -- record records anew',
    );
  });
}
