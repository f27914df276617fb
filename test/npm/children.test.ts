import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from './children.ts';

const options = { cwd: import.meta.dirname, env: process.env, timeoutMs: 60_000 };
/** Starts a program that never ends, says its number, and does `then`. */
const parentOf = (then: string): string[] => [
  '-e',
  `const { pid } = require('node:child_process').spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'inherit' });
   console.log(pid); ${then}`,
];

/** Resolves when there is no such process. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('a program ends, and with it what it has started', { timeout: 60_000 }, async () => {
  const { status, stdout } = await run(process.execPath, parentOf('process.exit(3);'), options);
  assert.equal(status, 3);
  await gone(Number(stdout));
});

test('a program that does not end', { timeout: 60_000 }, async () => {
  const { status, stdout, error } = await run(process.execPath, parentOf('for (;;);'), { ...options, timeoutMs: 3000 });
  assert.equal(status, null);
  assert.match(String(error), /did not end in 3 s$/);
  if (stdout !== '') await gone(Number(stdout));
});

test('a program that is not there', async () => {
  const { status, error } = await run('/nowhere/program', [], options);
  assert.equal(status, null);
  assert.match(String(error), /ENOENT/);
});

test('a test that is ended takes its programs along', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-children-'));
  const file = join(folder, 'pid');
  // The name is there when the number is in it.
  const program = `const fs = require('node:fs'); fs.writeFileSync('new', String(process.pid)); fs.renameSync('new', 'pid'); for (;;);`;
  const source = `import { run } from ${JSON.stringify(import.meta.resolve('./children.ts'))};
    await run(process.execPath, ['-e', ${JSON.stringify(program)}], { cwd: process.cwd(), env: process.env, timeoutMs: 60_000 });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { cwd: folder, stdio: 'inherit' });
  while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill('SIGTERM');
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  assert.equal(signal, 'SIGTERM');
  await gone(Number(readFileSync(file, 'utf8')));
  rmSync(folder, { recursive: true });
});
