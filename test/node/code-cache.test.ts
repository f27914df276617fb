import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CodeCacheFile } from '../../src/node/code-cache.ts';

const folder = mkdtempSync(join(tmpdir(), 'code-cache-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const region = { entry: 1, blocks: [1, 2] };

/** One run's life with the cache in a folder. */
function run(name: string, body: (cache: CodeCacheFile) => void): void {
  const cache = new CodeCacheFile(join(folder, name));
  body(cache);
  cache.close();
}

test('what a run found, the next one has', () => {
  run('plain', ({ profile }) => profile.note(5, region));
  run('plain', ({ profile }) => assert.deepEqual(profile.find(5), [region]));
  assert.deepEqual(readdirSync(join(folder, 'plain')), ['hot-2.bin']);
  assert.equal(statSync(join(folder, 'plain', 'hot-2.bin')).mode & 0o777, 0o600);
});

test('runs beside each other keep what each found', () => {
  run('both', (one) => {
    one.profile.note(1, region);
    run('both', (other) => other.profile.note(2, region));
  });
  run('both', ({ profile }) => assert.deepEqual([profile.find(1), profile.find(2)], [[region], [region]]));
});

test('a file that is cut, changed, foreign or too large is none, and is replaced', () => {
  run('damaged', ({ profile }) => profile.note(5, region));
  const file = join(folder, 'damaged', 'hot-2.bin');
  const good = readFileSync(file);
  const flipped = Buffer.from(good);
  (flipped[good.length - 1] as number) ^= 1;
  for (const bad of [
    good.subarray(0, 3),
    good.subarray(0, -1),
    flipped,
    Buffer.from('#!/bin/sh'),
    Buffer.alloc(5 * 2 ** 20),
  ]) {
    writeFileSync(file, bad);
    run('damaged', ({ profile }) => {
      assert.equal(profile.pageCount, 0);
      profile.note(5, region);
    });
    run('damaged', ({ profile }) => assert.deepEqual(profile.find(5), [region]));
  }
});

test('a folder that cannot be written, or is none, costs nothing but the memory', () => {
  writeFileSync(join(folder, 'file'), '');
  run('file', ({ profile }) => profile.note(1, region));
  assert.equal(readFileSync(join(folder, 'file')).length, 0);
  run('closed', ({ profile }) => profile.note(1, region));
  chmodSync(join(folder, 'closed'), 0o500);
  run('closed', ({ profile }) => profile.note(2, region));
  chmodSync(join(folder, 'closed'), 0o700);
  assert.ok(readdirSync(join(folder, 'closed')).includes('hot-2.bin'));
});
