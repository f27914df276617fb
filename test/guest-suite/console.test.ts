import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks } from './checks.ts';
import { type ConsoleError, GuestConsole } from './console.ts';
import { bootCommand } from './machines.ts';

/** A machine whose console is a shell of this computer, without a terminal. */
const machine = (first: string): string[] => ['bash', '-c', `${first}; exec bash --norc`];
const ready = "echo boots; echo 'GUEST-READY here 1.0'; printf '# '";

const isError = (pattern: RegExp) => (error: unknown) => {
  assert.equal((error as ConsoleError).name, 'ConsoleError');
  assert.match((error as ConsoleError).message, pattern);
  return true;
};

test('commands are run one after another, each with its output and status', async (t) => {
  let heard = '';
  const guest = await GuestConsole.boot(machine(ready), 60, (text) => (heard += text));
  t.after(() => guest.kill());
  assert.match(heard, /^boots\n/);
  const { output, status } = await guest.run('echo \'it is\' "done"; echo wrong >&2; cat; exit 3', 60);
  assert.deepEqual([output, status], ['it is done\nwrong\n', 3]);
  await guest.writeFile('/dev/null', "it's\nnothing");
  assert.equal((await guest.run('if', 60)).status, 2);
  assert.equal(
    (await guest.run(`cat <<'X'\n${'long '.repeat(500)}\nX\necho $((6 * 7))`, 60)).output.slice(-4),
    '\n42\n',
  );
  await assert.rejects(guest.run(`: ${'x'.repeat(4096)}`, 60), isError(/a terminal takes no line of \d+ characters/));
});

test('a machine that ends or is not there is told of', async () => {
  await assert.rejects(
    GuestConsole.boot(['bash', '-c', 'echo one; echo last >&2; exit 7'], 60),
    isError(/no GUEST-READY: it ended with status 7; last: one last/),
  );
  await assert.rejects(GuestConsole.boot(['/not/there'], 60), isError(/no GUEST-READY: .*ENOENT/));
  const guest = await GuestConsole.boot(machine(ready), 60);
  await assert.rejects(guest.run('kill -9 $PPID', 60), isError(/no answer: it ended with SIGKILL/));
});

test('every check can be typed at a terminal', () => {
  for (const { name, command } of checks)
    for (const line of command.split('\n')) assert.ok(line.length < 4000, `${name}: ${line.length}`);
  assert.equal(new Set(checks.map(({ name }) => name)).size, checks.length);
});

test('each machine is booted with the same images and words', () => {
  assert.match(
    bootCommand('qemu', '/x').join(' '),
    /^qemu-system-ppc64 .* -m 2048 .*vmlinux .*cpio.zst -append console=hvc0/,
  );
  assert.match(
    bootCommand('trap', '/x').join(' '),
    /boot .*--memory 2G .*vmlinux .*cpio.zst --accel trap .*console=hvc0/,
  );
});
