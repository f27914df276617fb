/**
 * `npm run run-checks -- [IMAGE]`: what `powervisor run` promises, each promise with a command in a guest of its own. It takes minutes,
 * so `npm test` has only a part of it (test/run/run.test.ts).
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { run } from '../../../src/node/run/index.ts';
import { powervisor } from '../../cli/command.ts';

const image = process.argv[2] ?? 'debian';
const folder = mkdtempSync(join(tmpdir(), 'powervisor contracts '));
const MEGABYTE = 2 ** 20;
const STREAM_BYTES = 100 * MEGABYTE;

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const sh = (script: string, options: Parameters<typeof run>[1] = {}): ReturnType<typeof run> =>
  run(['sh', '-c', script], { image, folder: false, timeoutMs: 600_000, ...options });

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command itself. `during`: what happens to it while it runs, when its first output has come. */
function command(words: readonly string[], during?: (child: ChildProcess) => void): Promise<Ended> {
  const child = spawn(powervisor, ['run', '--image', image, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: folder,
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (piece) => {
    if (stdout === '') during?.(child);
    stdout += piece;
  });
  child.stderr.on('data', (piece) => (stderr += piece));
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, stdout, stderr })));
}

/** Bytes that no two places have the same of. */
function* pieces(): Generator<Buffer> {
  for (let at = 0; at < STREAM_BYTES; at += MEGABYTE) {
    const piece = Buffer.alloc(MEGABYTE);
    for (let i = 0; i < MEGABYTE; i += 4) piece.writeUInt32LE(((at + i) * 2654435761) >>> 0, i);
    yield piece;
  }
}

/** Sums up what comes. */
function sink(): { readonly stream: Writable; sum(): string; bytes(): number } {
  const hash = createHash('md5');
  let bytes = 0;
  const stream = new Writable({
    write(piece: Buffer, _encoding, done) {
      bytes += piece.length;
      hash.update(piece);
      done();
    },
  });
  return { stream, sum: () => hash.digest('hex'), bytes: () => bytes };
}

const checks: Readonly<Record<string, () => Promise<void>>> = {
  'statuses 0 to 255 are told as they are': async () => {
    for (const status of [0, 1, 2, 124, 125, 126, 127, 128, 200, 255])
      assert.equal((await sh(`exit ${status}`)).status, status);
  },
  'a signal is 128 and its number': async () => {
    for (const [name, number] of [
      ['HUP', 1],
      ['INT', 2],
      ['ABRT', 6],
      ['KILL', 9],
      ['SEGV', 11],
      ['PIPE', 13],
      ['TERM', 15],
    ])
      assert.equal((await sh(`kill -${name} $$; sleep 100`)).status, 128 + Number(number), String(name));
  },
  'not found is 127, not startable 126, no folder 125': async () => {
    writeFileSync(join(folder, 'plain'), 'text');
    assert.equal((await command(['--', 'no-such-program'])).status, 127);
    assert.equal((await command(['--', './plain'])).status, 126);
    assert.equal((await command(['--', './'])).status, 126);
    assert.equal((await command(['--cwd', '/nowhere', '--', 'true'])).status, 125);
  },
  'output and error are apart': async () => {
    const { stdout, stderr } = await sh('for i in 1 2 3; do echo $i; echo error $i >&2; done');
    assert.deepEqual([text(stdout), text(stderr)], ['1\n2\n3\n', 'error 1\nerror 2\nerror 3\n']);
  },
  'output and error together are in order': async () => {
    const { stdout } = await sh('i=0; while [ $i -lt 500 ]; do echo $i; echo -$i >&2; i=$((i+1)); done', {
      stderr: 'stdout',
    });
    assert.equal(text(stdout), Array.from({ length: 500 }, (_, i) => `${i}\n-${i}\n`).join(''));
  },
  '100 MB in, out and to error, with the right sum': async () => {
    const sum = createHash('md5');
    for (const piece of pieces()) sum.update(piece);
    const expected = sum.digest('hex');
    const [out, error] = [sink(), sink()];
    const { status, message } = await sh('tee /dev/stderr', {
      ...{ stdin: Readable.from(pieces()), stdout: out.stream, stderr: error.stream },
    });
    assert.equal(status, 0, message);
    assert.deepEqual([out.bytes(), error.bytes()], [STREAM_BYTES, STREAM_BYTES]);
    assert.deepEqual([out.sum(), error.sum()], [expected, expected]);
  },
  'every byte passes': async () => {
    const all = Buffer.from(Array.from({ length: 65536 }, (_, i) => (i * 7 + (i >> 8)) & 255));
    assert.ok(all.equals((await sh('cat', { stdin: all })).stdout));
  },
  '10,000 arguments, and odd ones': async () => {
    const odd = ['', ' ', "'", '"', '\\', '\n', '$HOME', '`id`', '-n', '--', '*', '\u00e9', '\u{1f600}', '\x01\x7f'];
    const many = [...odd, ...Array.from({ length: 10_000 }, (_, i) => `argument ${i}`)];
    const { stdout } = await run(['sh', '-c', 'for one; do printf "%s|" "$one"; done', 'sh', ...many], {
      ...{ image, folder: false, timeoutMs: 600_000 },
    });
    assert.equal(text(stdout), many.map((one) => `${one}|`).join(''));
  },
  'an environment of odd values, and nothing of this one': async () => {
    process.env['SECRET_OF_THE_HOST'] = 'secret';
    const { stdout } = await sh('printf "%s|" "$A" "$B"; env', { env: { A: "a'b\n$x", B: '' } });
    assert.ok(text(stdout).startsWith("a'b\n$x||"));
    assert.ok(!text(stdout).includes('SECRET'));
  },
  'files of odd names in the folder': async () => {
    const names = ['new\nline', ' ', '-rf', '*', '\u00e9\u{1f600}', "'", '"', '\\', 'x'.repeat(255)];
    for (const name of names) writeFileSync(join(folder, name), name);
    const { stdout } = await sh(
      'for one in new* " " ./-rf "*" \u00e9* "\'" \\" \\\\ xxx*; do cat "$one"; printf "|"; done',
      {
        folder,
      },
    );
    assert.equal(text(stdout), names.map((name) => `${name}|`).join(''));
  },
  'no input is an end at once': async () => {
    assert.equal(text((await sh('cat; echo end')).stdout), 'end\n');
  },
  'nobody reads the output: 141': async () => {
    const child = spawn(powervisor, ['run', '--image', image, '--', 'yes'], { stdio: ['ignore', 'pipe', 'ignore'] });
    child.stdout.once('data', () => child.stdout.destroy());
    assert.equal(await new Promise((resolve) => child.on('close', resolve)), 141);
  },
  'Ctrl-C ends the command, twice the machine': async () => {
    const script = ['--', 'sh', '-c', 'echo ready; while :; do sleep 1; done'];
    assert.equal((await command(script, (child) => child.kill('SIGINT'))).status, 130);
    const deaf = ['--', 'sh', '-c', 'trap "" INT; echo ready; while :; do sleep 1; done'];
    const twice = await command(deaf, (child) => {
      child.kill('SIGINT');
      setTimeout(() => child.kill('SIGINT'), 1000);
    });
    assert.equal(twice.status, 130);
  },
  'a time-out is 124': async () => {
    const { status, stderr } = await command(['--timeout', '2', '--', 'sleep', '1000']);
    assert.equal(status, 124);
    assert.match(stderr, /had not ended after 2 seconds/);
  },
  'a panic is 255, with its last words': async () => {
    const { status, stderr } = await command(['--', 'sh', '-c', 'echo c > /proc/sysrq-trigger']);
    assert.equal(status, 255);
    assert.match(stderr, /sysrq triggered crash/);
  },
  'a program that takes all memory is killed, and the run has its status': async () => {
    const { status } = await sh('x=x; while :; do x=$x$x$x; done', { timeoutMs: 300_000 });
    assert.ok(status === 137 || status === 2 || status === 1, String(status));
  },
  'a full disk is an error of the program that writes': async () => {
    const { stdout, status } = await sh('dd if=/dev/zero of=/big bs=1M 2>&1 | tail -n 3; rm /big; echo still here');
    assert.equal(status, 0);
    assert.match(text(stdout), /No space left on device[\s\S]*still here/);
  },
  'the network is there only when asked for': async () => {
    assert.match(text((await sh('ip link')).stdout), /lo:/);
    assert.doesNotMatch(text((await sh('ip link')).stdout), /eth0/);
    const { stdout } = await sh('ip addr show eth0; cat /etc/resolv.conf', { network: 'user' });
    assert.match(text(stdout), /10\.0\.2\.15[\s\S]*10\.0\.2\.3/);
  },
  'memory is what was asked for': async () => {
    const { stdout } = await sh('grep MemTotal /proc/meminfo', { memoryBytes: 2 ** 30 });
    const kilobytes = Number(/\d+/.exec(text(stdout))?.[0]);
    assert.ok(kilobytes > 900_000 && kilobytes < 1_048_577, text(stdout));
  },
  'a user by name and by number': async () => {
    assert.equal(text((await sh('id -u; id -g', { user: 'nobody' })).stdout), '65534\n65534\n');
    assert.equal(text((await sh('id -u; id -g', { user: '12:34' })).stdout), '12\n34\n');
  },
  'a terminal of a size that changes': async () => {
    const { startCommand } = await import('../../../src/node/run/index.ts');
    let shown = '';
    const stdout = new Writable({
      write(piece, _encoding, done) {
        shown += piece;
        done();
      },
    });
    const running = await startCommand(
      ['sh', '-c', 'trap "stty size; exit 4" WINCH; tty; stty size; while :; do sleep 1; done'],
      { image, folder: false, terminal: { rows: 10, columns: 20 }, stdout, timeoutMs: 120_000 },
    );
    const timer = setInterval(() => {
      if (shown.includes('10 20')) running.resize({ rows: 33, columns: 44 });
    }, 100);
    const { status } = await running.result;
    clearInterval(timer);
    assert.equal(status, 4);
    assert.equal(shown, '/dev/pts/0\r\n10 20\r\n33 44\r\n');
  },
  'what the command leaves running ends with it, and nothing is left here': async () => {
    const open = (): number => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0);
    await sh('true');
    const before = open();
    const { status } = await sh('setsid sleep 1000 & setsid sh -c "while :; do :; done" & exit 7');
    assert.equal(status, 7);
    assert.equal(open(), before);
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const start = performance.now();
  let problem = '';
  try {
    await check();
  } catch (error) {
    failed++;
    problem = `: ${error instanceof Error ? error.message : error}`;
  }
  console.log(`${problem ? 'FAILED' : 'ok'}  ${((performance.now() - start) / 1000).toFixed(1)} s  ${name}${problem}`);
}
rmSync(folder, { recursive: true });
console.log(failed === 0 ? `run-checks: all ${Object.keys(checks).length} hold` : `run-checks: ${failed} FAILED`);
process.exitCode = failed === 0 ? 0 : 1;
