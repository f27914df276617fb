/** The command saves a machine that runs, and goes on from what it saved. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import { run } from './command.ts';

const folder = mkdtempSync(join(tmpdir(), 'snapshot-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Prints the letters from A on, over and over, slowly enough to be read. */
const words = assembleWords(
  `lis r3,0xf000; clrldi r3,r3,32; li r5,65
  next: stb r5,0(r3); addi r5,r5,1; cmpdi r5,91; blt slowly; li r5,65
  slowly: lis r6,40; mtctr r6
  wait: bdnz wait
  b next`,
  0,
);
const image = new DataView(new ArrayBuffer(words.length * 4));
words.forEach((word, i) => {
  image.setUint32(4 * i, word);
});
const kernel = join(folder, 'letters');
writeFileSync(kernel, new Uint8Array(image.buffer));

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const boot = ['boot', '--machine', 'bare', '--memory', '4M', '--code-cache', 'off', '--timeout', '60'];

for (const way of ['key', 'signal'] as const)
  test(`a machine that is saved by ${way} goes on where it was`, async () => {
    const file = join(folder, `by-${way}`);
    const save = way === 'key' ? '\x01s' : (child: { kill(signal: 'SIGUSR1'): boolean }) => void child.kill('SIGUSR1');
    const first = await run([...boot, '--kernel', kernel, '--save', file], {
      steps: [
        { after: 'C', do: save },
        { after: 'saved to', do: '\x01x' },
      ],
    });
    assert.equal(first.status, 0, first.stderr);
    assert.match(first.stdout, /powervisor: saved to '.*', [\d.]+ KiB/);
    const second = await run(['boot', '--restore', file, '--code-cache', 'off', '--timeout', '60'], {
      steps: [{ after: 'Z', do: '\x01x' }],
    });
    assert.equal(second.status, 0, second.stderr);
    // What was on its way to the console may be said again, and nothing is left out.
    const letters = second.stdout.replace(/[^A-Z]/g, '');
    assert.ok(LETTERS.slice(2, 26).endsWith(letters.slice(0, letters.indexOf('Z') + 1)), second.stdout);
    assert.ok(letters.length > 5, second.stdout);
  });

test('what cannot be restored or saved is one line', async () => {
  const saved = join(folder, 'by-key');
  const damaged = join(folder, 'damaged');
  writeFileSync(damaged, readFileSync(saved).subarray(0, 5000));
  for (const [restore, more, message] of [
    [join(folder, 'nothing'), [], /cannot read the snapshot '.*nothing': /],
    [folder, [], /cannot read the snapshot/],
    [kernel, [], /this is no snapshot of a machine/],
    [damaged, [], /the snapshot is incomplete/],
    [saved, ['--memory', '8M'], /--memory does not go with --restore/],
    [saved, ['--machine', 'bare'], /--machine does not go with --restore/],
    [saved, ['--rng'], /the snapshot has no device "rng0"|takes no devices/],
  ] as const) {
    const { status, stderr } = await run(['boot', '--restore', restore, '--code-cache', 'off', ...more]);
    assert.notEqual(status, 0);
    assert.match(stderr, message);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  }
  const nowhere = join(folder, 'no', 'folder');
  const { stdout } = await run([...boot, '--kernel', kernel, '--save', nowhere], {
    steps: [
      { after: 'B', do: '\x01s' },
      { after: 'cannot write the snapshot', do: '\x01x' },
    ],
  });
  assert.ok(stdout.includes('cannot write the snapshot'));
  const unnamed = await run([...boot, '--kernel', kernel], {
    steps: [
      { after: 'B', do: '\x01s' },
      { after: '--save FILE names one', do: '\x01x' },
    ],
  });
  assert.equal(unnamed.status, 0);
  // Nothing half-written is left.
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.part')),
    [],
  );
});
