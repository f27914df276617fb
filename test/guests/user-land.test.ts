import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { appletsOf } from '../../src/node/run/busybox.ts';
import { characterDevice, directory, file, link, packCpio } from '../../src/node/run/cpio.ts';
import { packUserLand } from '../../tools/guests/user-land.ts';
import { readCpio } from './cpio.ts';

test('an archive holds what went in', () => {
  const data = Buffer.from('hello');
  const entries = [
    directory('bin'),
    characterDevice('dev/console', 5, 1, 0o600),
    file('bin/a', data, 0o755),
    link('bin/b', 'a'),
    file('bin/empty', new Uint8Array()),
  ];
  const archive = packCpio(entries);
  assert.equal(archive.length % 4, 0);
  assert.equal(archive.toString('latin1', 0, 6), '070701');
  const read = readCpio(archive);
  assert.deepEqual([...read.keys()], ['bin', 'dev/console', 'bin/a', 'bin/b', 'bin/empty']);
  const plain = { device: [0, 0], links: 1 };
  assert.deepEqual(read.get('bin/a'), { ...plain, inode: 3, mode: 0o100755, data });
  assert.deepEqual(read.get('bin/b'), { ...plain, inode: 4, mode: 0o120777, data: Buffer.from('a') });
  assert.deepEqual(read.get('dev/console'), {
    inode: 2,
    links: 1,
    mode: 0o020600,
    device: [5, 1],
    data: Buffer.alloc(0),
  });
  assert.deepEqual(packCpio(entries), archive);
});

const busybox = Buffer.from('\x7fELF\0[\0no list\0\0code\0[\0[[\0awk\0busybox\0cat\0sh\0zcat\0\0more', 'latin1');

test("busybox's own list of names is found", () => {
  assert.deepEqual(appletsOf(busybox), ['[', '[[', 'awk', 'busybox', 'cat', 'sh', 'zcat']);
  assert.throws(() => appletsOf(Buffer.from('\0[\0awk\0\0')), /busybox has no list/);
});

test('a user land has /init, busybox, a link for each name, and benchmarks where there are any', () => {
  const shell = readCpio(gunzipSync(packUserLand({ busybox, off: 'poweroff -f', programs: new Map() })));
  assert.match(shell.get('init')?.data.toString() ?? '', /^#!\/bin\/sh\n[\s\S]*GUEST-READY/);
  assert.equal(shell.get('bin/sh')?.data.toString(), 'busybox');
  assert.deepEqual(shell.get('bin/busybox')?.data, busybox);
  assert.equal(shell.get('etc/off')?.data.toString(), 'poweroff -f\n');
  assert.ok(!shell.has('bench.sh'));
  const programs = new Map([['bench-int', Buffer.from('int')]]);
  const whole = readCpio(gunzipSync(packUserLand({ busybox, off: 'reboot -f', programs })));
  assert.deepEqual(
    [...whole.keys()].filter((name) => !shell.has(name)),
    ['bench.sh', 'bin/bench-int'],
  );
  assert.equal(whole.get('bin/bench-int')?.mode, 0o100755);
});
