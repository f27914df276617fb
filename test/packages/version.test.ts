import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareVersions } from '../../src/node/packages/version.ts';

/** Each is older than the next. */
const ascending = [
  ['1.0~beta1~svn1245', '1.0~beta1', '1.0', '1.0-1', '1.0-1+b1', '1.0-1.1', '1.0a', '1.0+dfsg', '1.1', '1.10', '1:0.1'],
  ['6.1.0-9', '6.1.0-50', '6.1.176-1', '6.1.190-1', '6.12~rc1-1', '6.12-1', '6.12-1+deb13u1'],
  ['1:1.35.0-4', '1:1.35.0-4+b5', '1:1.35.0-4+deb12u1', '1:1.35.0-4+deb12u1+b1'],
  ['2-a-1', '2-a-2', '2-b-1'],
];

test('versions are in Debian order', () => {
  for (const versions of ascending) {
    for (const [i, a] of versions.entries()) {
      for (const [j, b] of versions.entries()) {
        assert.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j), `${a} against ${b}`);
      }
    }
  }
});

test('the same version in other digits is the same', () => {
  assert.equal(compareVersions('1.02-1', '1.2-1'), 0);
  assert.equal(compareVersions('0:3', '3'), 0);
});
