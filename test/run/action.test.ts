/** What the action (action/run.sh) does with its inputs, with a command in the place of `powervisor`, and with the guest `debian`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { powervisor } from '../cli/command.ts';

const script = fileURLToPath(new URL('../../action/run.sh', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'powervisor-action-'));
after(() => rmSync(folder, { recursive: true }));
const hasBash = spawnSync('bash', ['-c', 'true']).status === 0;
const noGuest = process.env['POWERVISOR_TEST_GUEST_DEBIAN'] === undefined && 'no guest debian';

function act(inputs: Record<string, string>): { status: number | null; stdout: string; stderr: string } {
  const { PATH, POWERVISOR_GUESTS, XDG_CACHE_HOME, HOME } = process.env;
  const env = { PATH, POWERVISOR_GUESTS, XDG_CACHE_HOME, HOME, ...inputs };
  return spawnSync('bash', [script], { cwd: folder, encoding: 'utf8', env });
}

it('inputs become options, word by word, and nothing stays in the folder', { skip: !hasBash }, () => {
  const stand = join(folder, 'stand-in');
  writeFileSync(stand, '#!/bin/sh\nprintf "%s\\n" "$@"\ncat .powervisor-job/script\nexit 9\n');
  chmodSync(stand, 0o755);
  const { status, stdout } = act({
    ...{
      POWERVISOR: stand,
      INPUT_RUN: 'echo "a  b"',
      INPUT_ARCH: 'ppc64',
      INPUT_ENV: 'A=b c\n\nD',
      INPUT_TIMEOUT: '5',
    },
    ...{ INPUT_OPTIONS: '--pull --shell', INPUT_SHELL: 'bash -x' },
  });
  const options = ['--rw', '--folder', folder, '--arch', 'ppc64', '--timeout', '5', '--env', 'A=b c', '--env', 'D'];
  const words = ['run', ...options, '--pull', '--shell', '--', 'bash', '-x', `${folder}/.powervisor-job/script`];
  assert.deepEqual([status, stdout], [9, `${words.join('\n')}\necho "a  b"\n`]);
  assert.deepEqual(readdirSync(folder), ['stand-in']);
});

it("a script in a guest: its status, its files, and the job's outputs", { skip: !hasBash || noGuest }, () => {
  const output = join(folder, 'output');
  writeFileSync(output, 'before=1\n');
  const { status, stdout, stderr } = act({
    ...{ POWERVISOR: powervisor, GITHUB_OUTPUT: output, INPUT_ENV: 'WHO=me' },
    INPUT_RUN: 'uname -m\necho "who=$WHO" >> "$GITHUB_OUTPUT"\necho made > made\nfalse\necho never',
  });
  assert.deepEqual([status, stdout], [1, 'ppc64le\n'], stderr);
  assert.equal(readFileSync(output, 'utf8'), 'before=1\nwho=me\n');
  assert.equal(readFileSync(join(folder, 'made'), 'utf8'), 'made\n');
});
