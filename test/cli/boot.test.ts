/** Boots of the real guest through the command, as a user does them: by a pipe and on a terminal. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { powervisor, run } from './command.ts';

/** Set by `npm test`, which finds or builds the guest. */
const guest = process.env['POWERVISOR_TEST_GUEST_440'];
const skip = guest === undefined ? 'no 440 guest (POWERVISOR_TEST_GUEST_440); npm test says why' : false;

const folder = mkdtempSync(join(tmpdir(), 'powervisor-test-'));
after(() => rmSync(folder, { recursive: true }));

const boot = (append: string, ...more: string[]): string[] => [
  ...['boot', '--machine', 'bamboo', '--kernel', `${guest}/uImage`, '--initrd', `${guest}/initramfs.cpio.gz`],
  ...['--append', `console=ttyS0 ${append}`, '--timeout', '120', ...more],
];
const prompt = '# ';

for (const accel of ['trap', 'assist']) {
  test(`boots, runs and ends by itself under ${accel}; statistics go to a file`, { skip }, async () => {
    const stats = join(folder, `${accel}.json`);
    const result = await run(boot('poweroff', '--no-reboot', '--accel', accel, '--stats', stats));
    assert.equal(result.status, 0, result.stderr);
    assert.equal(result.stderr, '');
    assert.match(result.stdout, /GUEST-READY ppc [\s\S]*GUEST-OFF/);
    const counters = JSON.parse(readFileSync(stats, 'utf8'));
    assert.equal(counters.end, 'reset');
    for (const name of ['seconds', 'sum_exits', 'instructions']) assert.ok(counters[name] > 0, name);
  });
}

test('boots with little memory for translations, and stays within it', { skip }, async () => {
  const stats = join(folder, 'little.json');
  const result = await run(boot('poweroff', '--no-reboot', '--translation-memory', '2M', '--stats', stats));
  assert.equal(result.status, 0, result.stderr);
  assert.match(result.stdout, /GUEST-READY ppc [\s\S]*GUEST-OFF/);
  const counters = JSON.parse(readFileSync(stats, 'utf8'));
  assert.equal(counters.translation_memory_limit, 2 * 2 ** 20);
  assert.ok(counters.translation_memory + counters.code_page_memory < 2.5 * 2 ** 20);
  assert.ok(counters.evicted_code_pages > 0);
});

test('the shell takes commands from a pipe; --stats - is the last line', { skip }, async () => {
  const result = await run(boot('', '--no-reboot', '--stats', '-'), {
    steps: [
      { after: 'GUEST-READY', do: '' },
      { after: prompt, do: 'echo $((6 * 7)) is it\n' },
      { after: '42 is it', do: 'reboot -f\n' },
    ],
  });
  assert.equal(result.status, 0, result.stderr);
  assert.equal(JSON.parse(result.stdout.trimEnd().split('\n').at(-1) ?? '').end, 'reset');
});

test('the end of the input leaves the guest running', { skip }, async () => {
  const result = await run(boot('', '--no-reboot'), { input: 'sleep 1; echo still $((1 + 1)) here; reboot -f\n' });
  assert.equal(result.status, 0, result.stderr);
  assert.match(result.stdout, /still 2 here/);
});

test("a guest's reset resets the machine, and Ctrl-A x ends it", { skip }, async () => {
  const result = await run(boot('poweroff'), {
    steps: [
      { after: 'GUEST-READY', do: '' },
      { after: 'Linux version', do: '' },
      { after: 'GUEST-READY', do: '\x01x' },
    ],
  });
  assert.equal(result.status, 0, result.stderr);
  assert.equal(result.stderr, '');
});

test('a time-out ends with 124 and a line that says so', { skip }, async () => {
  const result = await run([...boot(''), '--timeout', '0.5']);
  assert.equal(result.status, 124);
  assert.equal(result.stderr, 'powervisor: time-out: the guest had not ended itself after 0.5 seconds\n');
});

test('SIGTERM and SIGINT end it cleanly, with the statistics written', { skip }, async () => {
  for (const [signal, status] of [['SIGTERM', 143] as const, ['SIGINT', 130] as const]) {
    const stats = join(folder, `${signal}.json`);
    const result = await run(boot('', '--stats', stats), {
      steps: [{ after: 'GUEST-READY', do: (child) => void child.kill(signal) }],
    });
    assert.equal(result.status, status);
    assert.equal(result.stderr, '');
    assert.equal(JSON.parse(readFileSync(stats, 'utf8')).end, 'quit');
  }
});

test("a panic of the guest's kernel is an error; a log that is shown is none", { skip }, async () => {
  const words = (append: string): string[] => boot(append, '--no-reboot').filter((word) => !/initr/.test(word));
  for (const append of ['', 'panic=1']) {
    const result = await run(words(append));
    assert.equal(result.status, 1, result.stdout);
    assert.match(result.stderr, /^powervisor: the guest's kernel panicked: VFS: Unable to mount root fs[^\n]*\n$/);
  }
  const log = 'Kernel panic - not syncing: no\\n---[ end Kernel panic - not syncing: no ]---\\n';
  const shown = await run(boot('', '--no-reboot'), {
    input: `printf '${log}'; sleep 1; cat /proc/uptime; reboot -f\n`,
  });
  assert.match(shown.stdout, /\n---\[ end Kernel panic/);
  assert.equal(shown.status, 0, shown.stderr);
});

test('signals that were ignored when it was started are ignored', { skip }, async () => {
  for (const name of ['HUP', 'INT'] as const) {
    const signal = `SIG${name}` as const;
    // The shell stands for nohup, or for one that runs this in the background.
    const words = ['-c', `trap '' ${name}; exec "$@"`, 'sh', powervisor, ...boot('')];
    const result = await run(words, {
      command: '/bin/sh',
      steps: [
        { after: 'GUEST-READY', do: (child) => void child.kill(signal) },
        { after: prompt, do: 'echo still $((1 + 1)) here\n' },
        { after: 'still 2 here', do: (child) => void child.kill('SIGTERM') },
      ],
    });
    assert.match(result.stdout, /still 2 here/, signal);
    assert.equal(result.status, 143, signal);
  }
});

test('a console that nobody reads keeps neither a signal nor Ctrl-A x nor a time-out waiting', { skip }, async () => {
  const unread = async (
    name: string,
    act: (child: ChildProcess) => void,
    ...more: string[]
  ): Promise<number | null> => {
    const stats = join(folder, `${name}.json`);
    const words = boot('', '--stats', stats, '--stats-interval', '0.1', ...more);
    const child = spawn(powervisor, words, { stdio: ['pipe', 'pipe', 'ignore'] });
    child.stdin.on('error', () => {});
    child.stdin.write('while :; do dmesg; done\n');
    // More than a pipe holds: the rest waits inside.
    const isFull = (): boolean => {
      try {
        return JSON.parse(readFileSync(stats, 'utf8')).serial0_bytes_transmitted > 200_000;
      } catch {
        return false;
      }
    };
    const ended = new Promise<number | null>((resolve) => child.on('exit', (status) => resolve(status)));
    const timer = setInterval(() => {
      if (!isFull()) return;
      clearInterval(timer);
      act(child);
    }, 50);
    const status = await ended;
    clearInterval(timer);
    return status;
  };
  assert.equal(await unread('signal', (child) => child.kill('SIGTERM')), 143);
  assert.equal(await unread('quit', (child) => child.stdin?.write('\x01x')), 0);
  assert.equal(await unread('timeout', () => {}, '--timeout', '5'), 124);
});

test('--stats-interval writes the file while the guest runs', { skip }, async () => {
  const stats = join(folder, 'running.json');
  let seen: Record<string, unknown> = {};
  const result = await run(boot('', '--stats', stats, '--stats-interval', '0.05'), {
    steps: [
      { after: 'GUEST-READY', do: '' },
      {
        after: prompt,
        do: (child) => {
          seen = JSON.parse(readFileSync(stats, 'utf8'));
          child.kill('SIGTERM');
        },
      },
    ],
  });
  assert.equal(result.status, 143);
  assert.equal(seen['end'], 'running');
  assert.ok(Number(seen['instructions']) > 0);
  assert.equal(JSON.parse(readFileSync(stats, 'utf8')).end, 'quit');
  const refused = await run(boot('', '--stats-interval', '5'));
  assert.equal(refused.status, 2);
  assert.equal(refused.stderr, 'powervisor: --stats-interval writes a file: --stats FILE names it\n');
});

test('a reader that goes away ends it quietly', { skip }, async () => {
  const result = await run(boot('bench'), {
    steps: [{ after: 'Linux version', do: (child) => void child.stdout?.destroy() }],
  });
  assert.equal(result.status, 141);
  assert.equal(result.stderr, '');
});

const noScript = spawnSync('script', ['--version']).status !== 0 && 'there is no script(1) to make a terminal with';
test('on a terminal: raw mode, Ctrl-C goes to the guest, and the terminal is given back', {
  skip: skip || noScript,
}, async () => {
  const quoted = [powervisor, ...boot('')].map((word) => `'${word}'`).join(' ');
  const shell = `stty -a > ${folder}/before; ${quoted}; echo status=$?; stty -a > ${folder}/after`;
  const result = await run(['-q', '-e', '-c', shell, '/dev/null'], {
    command: 'script',
    steps: [
      { after: 'GUEST-READY', do: '' },
      { after: prompt, do: 'cat\r' },
      { after: 'cat', do: (child) => void setTimeout(() => child.stdin?.write('\x03'), 500) },
      { after: prompt, do: 'echo after $((40 + 2))\r' },
      { after: 'after 42', do: '\x01h' },
      { after: 'ends the machine', do: '\x01x' },
      { after: 'status=0', do: '' },
    ],
  });
  assert.match(result.stdout, /status=0/);
  assert.equal(readFileSync(`${folder}/after`, 'utf8'), readFileSync(`${folder}/before`, 'utf8'));
});
