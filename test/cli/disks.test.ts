import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDisk } from '../../src/cli/disks.ts';

test('--disk takes a file and options, and comes as often as there are disks', () => {
  assert.deepEqual(parseDisk('a.img'), [{ file: 'a.img' }]);
  assert.deepEqual(parseDisk('file=a,,b.img,format=raw,ro', [{ file: 'x' }]), [
    { file: 'x' },
    { file: 'a,b.img', format: 'raw', readOnly: true },
  ]);
  assert.deepEqual(parseDisk('a,snapshot=on,serial=disk-1,backing=b=c,backing-format=qcow2,lock=off,readonly=off'), [
    {
      file: 'a',
      snapshot: true,
      serial: 'disk-1',
      backing: 'b=c',
      backingFormat: 'qcow2',
      lock: false,
      readOnly: false,
    },
  ]);
  for (const wrong of [
    '',
    ',ro',
    'a,format=vmdk',
    'a,size=3',
    'a,ro=yes',
    'a,serial=',
    'a,serial=123456789012345678901',
  ])
    assert.throws(() => parseDisk(wrong), { name: 'UsageError' }, wrong);
});
