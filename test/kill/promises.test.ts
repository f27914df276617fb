import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { contentsOf, Promises } from './promises.ts';

test('what was promised and is not there is told of; what is newer than promised is right', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const promises = new Promises();
  const said = ['FILE 1 5', 'FILE 2 6', 'LOG 32', 'SECTOR 0 7', 'SECTOR 1 7', 'FILE 3 8', 'GOING 3', 'GONE 3 8'];
  assert.ok(said.every((line) => promises.hear(line)));
  assert.equal(promises.hear('[    1.0] FILE 1 5'), false);
  const sector = (n: number, v: number): Buffer => {
    const bytes = Buffer.alloc(512);
    for (let at = 0; at < 512; at += 4) bytes.writeUInt32LE(at === 0 ? n : v, at);
    return bytes;
  };
  const put = (name: string, bytes: Uint8Array): void => writeFileSync(join(folder, name), bytes);
  const log = Buffer.from(Array.from({ length: 48 }, (_, at) => (at % 4 === 0 ? at >>> 4 : 0)));
  put('f1', contentsOf(1, 5));
  put('f2', contentsOf(2, 9));
  put('log', log);
  put('blocks', Buffer.concat([sector(0, 7), sector(1, 8)]));
  assert.deepEqual(promises.broken(folder), []);

  put('f1', contentsOf(1, 4));
  put('f2', contentsOf(2, 9).fill(0, 20, 24));
  put('f3', contentsOf(3, 8));
  put('log', log.subarray(0, 31));
  put('blocks', Buffer.concat([sector(0, 7).fill(0, 100, 104), sector(1, 6)]));
  assert.deepEqual(promises.broken(folder), [
    'f1 is of version 4, not 5',
    'f2, version 9, is damaged',
    'f3 is not gone',
    'the log has 31 bytes, not 32',
    'sector 0 is torn',
    'sector 1 is of version 6, not 7',
  ]);
  rmSync(join(folder, 'f1'));
  assert.match(promises.broken(folder)[0] ?? '', /^f1, of version 5 at least, is not there$/);
  promises.hear('GOING 1');
  assert.match(promises.broken(folder)[0] ?? '', /^f2/);
});
