import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { run } from './command.ts';

const folder = mkdtempSync(join(tmpdir(), 'powervisor-test-'));
after(() => rmSync(folder, { recursive: true }));

// li r3,42; zeros; bl back to the start.
const code = new Uint8Array(64);
code.set([0x38, 0x60, 0x00, 0x2a]);
code.set([0x4b, 0xff, 0xff, 0xc5], 60);
const raw = join(folder, 'raw');
writeFileSync(raw, code);

test('a raw file, with the zeros left out', async () => {
  const result = await run(['disassemble', raw]);
  assert.equal(result.stderr, '');
  assert.equal(result.stdout, '00000000:\t38 60 00 2a\tli      r3,42\n\t...\n0000003c:\t4b ff ff c5\tbl      0x0\n');
});

test('addresses can be moved, and a part chosen', async () => {
  const options = ['--offset', '0xc0000000', '--start', '0xc000003c', '--length', '4'];
  const result = await run(['disassemble', raw, ...options]);
  assert.equal(result.stdout, 'c000003c:\t4b ff ff c5\tbl      0xc0000000\n');
});

test('a gzipped file', async () => {
  const packed = join(folder, 'packed');
  writeFileSync(packed, gzipSync(code));
  assert.match((await run(['disassemble', packed])).stdout, /^00000000:\t38 60 00 2a\tli {6}r3,42\n/);
});

test('bad input gets one line', async () => {
  const cases: [string[], number][] = [
    [['disassemble'], 2],
    [['disassemble', raw, '--offset', 'top'], 2],
    [['disassemble', join(folder, 'missing')], 1],
    [['disassemble', folder], 1],
    [['disassemble', raw, '--start', '0x1000'], 1],
  ];
  for (const [words, status] of cases) {
    const result = await run(words);
    assert.equal(result.status, status, words.join(' '));
    assert.match(result.stderr, /^powervisor: [^\n]+\n$/);
  }
});
