import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { runMachine } from '../../bench/runner.ts';

const main = join(import.meta.dirname, '../../bench/main.ts');

function bench(words: readonly string[], path = process.env['PATH']): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [main, ...words], {
    encoding: 'utf8',
    env: { ...process.env, PATH: path },
  });
  return { status, stderr };
}

test('without QEMU there is one clear line, and status 2', () => {
  const { status, stderr } = bench([], '/nowhere');
  assert.equal(status, 2);
  assert.match(stderr, /^bench: qemu-system-ppc is not installed[^\n]*\n$/);
});

test('a wrong command line is one line, and status 2', () => {
  for (const words of [
    ['--guest', '604'],
    ['--accel', 'magic'],
    ['--rounds', '0'],
    ['--only', 'quake'],
    ['--fast'],
    ['--cpu', 'power8'],
    ['--accel', 'pv'],
    ['--guest', 'ppc64el', '--cpu', 'power7'],
  ]) {
    const { status, stderr } = bench(words);
    assert.equal(status, 2, words.join(' '));
    assert.match(stderr, /^[^\n]+\n$/);
  }
});

test('a run is timed, and its output and status are kept', async () => {
  const run = await runMachine(
    [process.execPath, '-e', 'console.log("a\\nb"); console.error("c"); process.exit(3)'],
    60,
  );
  assert.deepEqual([run.status, run.timedOut, run.stderr], [3, false, 'c\n']);
  assert.deepEqual(
    run.lines.map(({ text }) => text),
    ['a', 'b'],
  );
  assert.ok(run.lines.every(({ at }) => at > 0 && at <= run.seconds + 1));
});

test('a run whose time is up is ended', async () => {
  const run = await runMachine([process.execPath, '-e', 'setInterval(() => {}, 1000)'], 0.5);
  assert.deepEqual([run.status, run.signal, run.timedOut], [null, 'SIGKILL', true]);
});

test('a program that is not there is an error', async () => {
  await assert.rejects(runMachine(['/nowhere/qemu'], 1), /ENOENT/);
});
