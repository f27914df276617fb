/** `powervisor run` and `powervisor/run` with the guest `debian`: `npm run guests -- debian` makes it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../../src/node/run/index.ts';
import { run as command, powervisor } from '../cli/command.ts';
import { archive, imageOf } from '../images/images.ts';

const skip =
  process.env['POWERVISOR_TEST_GUEST_DEBIAN'] === undefined && "no guest debian: 'npm run guests -- debian' makes it";
const folder = mkdtempSync(join(tmpdir(), 'powervisor-run '));
after(() => rmSync(folder, { recursive: true }));
const LIMIT_MS = 300_000;
/** What each run of the command begins with. */
const words = ['run', '--folder', folder, '--timeout', '300'];
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe('run', { skip }, () => {
  it('bytes through all streams; files of the folder, and what is written over them; a signal', async () => {
    const bytes = randomBytes(4_000_003);
    writeFileSync(join(folder, 'there'), 'there\n');
    const script = 'tee /dev/stderr; cat there; echo new > there; cat there; pwd; id -u; kill -SEGV $$';
    const result = await run(['sh', '-c', script], { folder, stdin: bytes, timeoutMs: LIMIT_MS });
    assert.equal(result.status, 139, result.message + result.console);
    assert.ok(bytes.equals(result.stdout.subarray(0, bytes.length)));
    assert.equal(text(result.stdout.subarray(bytes.length)), `there\nnew\n${folder}\n0\n`);
    assert.ok(bytes.equals(result.stderr));
    assert.equal(readFileSync(join(folder, 'there'), 'utf8'), 'there\n');
  });

  it('ten thousand arguments, odd ones, an environment, output and error in order, no input, a daemon left behind', async () => {
    const odd = ["a'b", '', 'new\nline', '$HOME', '\u00e9\u{1f600}', '-n', '*'];
    const many = Array.from({ length: 10_000 }, (_, i) => String(i));
    const script =
      'for i in 1 2 3; do echo out; echo error >&2; done; cat; printf "%s|" "$A" "$@" | head -c 60; echo; echo $#; setsid sleep 1000 & exit 7';
    const result = await run(['sh', '-c', script, 'name', ...odd, ...many], {
      ...{ folder: false, env: { A: 'b  c' }, stderr: 'stdout', timeoutMs: LIMIT_MS },
    });
    assert.equal(result.status, 7, result.message + result.console);
    const lines = text(result.stdout).split('\n');
    assert.deepEqual(lines.slice(0, 6), ['out', 'error', 'out', 'error', 'out', 'error']);
    assert.ok(
      lines
        .slice(6)
        .join('\n')
        .startsWith(`b  c|${odd.join('|')}|0|1|2`),
    );
    assert.equal(lines.at(-2), String(odd.length + many.length));
  });

  it('twenty megabytes through each stream (a hundred: npm run run-checks)', async () => {
    const block = randomBytes(1_000_003);
    const bytes = Buffer.concat(Array.from({ length: 20 }, () => block));
    const { stdout, stderr, ...result } = await run(['tee', '/dev/stderr'], { folder: false, stdin: bytes });
    assert.equal(result.status, 0, result.message + result.console);
    assert.ok(bytes.equals(stdout));
    assert.ok(bytes.equals(stderr));
  });

  it('a disk that is full is an error of the program, and memory that is not there its end', async () => {
    const full =
      'dd if=/dev/zero of=/tmp/file bs=1000000; echo $?; rm /tmp/file; echo there is room again > /tmp/file; cat /tmp/file';
    const script = `${full}; dd if=/dev/zero of=/dev/null bs=200000000 count=1; echo $?`;
    const { stdout, stderr, status } = await run(['sh', '-c', script], { folder: false, memoryBytes: 2 ** 28 });
    assert.equal(status, 0);
    assert.equal(text(stdout), '1\nthere is room again\n137\n');
    assert.match(text(stderr), /No space left on device/);
  });

  it('two machines of one template have other random numbers, and the clock of now', async () => {
    const seen = new Set<string>();
    for (let i = 0; i < 2; i++) {
      const before = Math.floor(Date.now() / 1000);
      const { stdout, message } = await run(['sh', '-c', 'date +%s; head -c 16 /dev/urandom | md5sum'], {
        folder: false,
      });
      const [seconds = '', random = ''] = text(stdout).split('\n');
      assert.ok(Number(seconds) >= before && Number(seconds) <= Date.now() / 1000, `${seconds} ${message}`);
      seen.add(random);
    }
    assert.equal(seen.size, 2);
  });

  it("a container image: its files, environment, folder and user; what is written is the guest's alone", async () => {
    const { stdout: busybox } = await run(['cat', '/bin/busybox'], { folder: false });
    assert.ok(busybox.length > 100_000);
    const lower = await archive({
      'bin/': { mode: 0o755 },
      'bin/busybox': { mode: 0o755, body: busybox },
      'bin/sh': { type: 'symlink', linkname: 'busybox' },
      'etc/passwd': 'me:x:7:8::/home/me:/bin/sh\n',
      'data/private': { mode: 0o600, uid: 7, body: 'mine' },
      'data/gone': '',
    });
    const upper = await archive({ 'data/.wh.gone': '', 'data/': { mode: 0o777 } });
    const config = { Env: ['PATH=/bin', 'A=from image'], WorkingDir: '/data', User: 'me', Entrypoint: ['sh'] };
    const { blobs, index } = imageOf([lower, upper], { config });
    const path = join(folder, 'image.tar');
    writeFileSync(
      path,
      await archive({
        'oci-layout': '{}',
        'index.json': { body: index },
        ...Object.fromEntries([...blobs].map(([digest, body]) => [`blobs/${digest.replace(':', '/')}`, { body }])),
      }),
    );
    const script =
      'busybox ls; cat private; echo; echo $A $B $HOME; busybox id -u; echo new > new; cat new /proc/1/comm';
    for (let i = 0; i < 2; i++) {
      const result = await run([], {
        ...{ image: path, folder: false, env: { B: 'given' }, timeoutMs: LIMIT_MS },
        stdin: script.replaceAll('cat', 'busybox cat'),
      });
      assert.equal(
        text(result.stdout),
        'private\nmine\nfrom image given /home/me\n7\nnew\nagent\n',
        text(result.stderr),
      );
    }
  });

  it('a folder as the image, a user by number, and a folder shared into it', async () => {
    const root = join(folder, 'root');
    mkdirSync(join(root, 'bin'), { recursive: true });
    const { stdout: busybox } = await run(['cat', '/bin/busybox'], { folder: false });
    writeFileSync(join(root, 'bin', 'sh'), busybox, { mode: 0o755 });
    writeFileSync(join(folder, 'there'), 'there\n');
    const result = await run(['sh', '-c', 'while read -r line; do echo $line; done < there; echo $0 > made; pwd'], {
      ...{ image: root, folder, user: '5:6', env: { PATH: '/bin' }, timeoutMs: LIMIT_MS },
    });
    assert.equal(text(result.stderr), "sh: can't create made: Permission denied\n");
    assert.equal(text(result.stdout), `there\n${folder}\n`);
  });

  it('the command: status, and what --rw writes', async () => {
    const result = await command([...words, '--rw', '--', 'sh', '-c', 'mkdir d; echo kept > d/kept; cat; exit 42'], {
      input: 'in',
    });
    assert.deepEqual(result, { status: 42, signal: null, stdout: 'in', stderr: '' });
    assert.equal(readFileSync(join(folder, 'd', 'kept'), 'utf8'), 'kept\n');
  });

  it('the command: not found, and not startable', async () => {
    writeFileSync(join(folder, 'plain'), '');
    const [missing, plain] = await Promise.all([
      command([...words, '--', 'no-such-program']),
      command([...words, '--', './plain']),
    ]);
    assert.deepEqual([missing.status, plain.status], [127, 126]);
    assert.equal(missing.stderr, 'powervisor: no-such-program: not found in the guest\n');
    assert.equal(plain.stderr, 'powervisor: ./plain: cannot be started\n');
  });

  it('the command: SIGINT is for the command', async () => {
    const script = 'trap "echo caught; exit 3" INT; echo ready; while :; do sleep 1; done';
    const result = await command([...words, '--', 'sh', '-c', script], {
      steps: [{ after: 'ready', do: (child) => child.kill('SIGINT') }],
    });
    assert.deepEqual([result.status, result.stdout], [3, 'ready\ncaught\n']);
  });

  it('the command: a panic is a lost guest, with its last words', async () => {
    const result = await command([...words, '--', 'sh', '-c', 'echo before; echo c > /proc/sysrq-trigger']);
    assert.equal(result.status, 255);
    assert.match(result.stderr, /powervisor: guest: .*sysrq triggered crash/);
    assert.match(result.stderr, /powervisor: the guest was lost: .*\n$/);
  });

  it('the command: nobody reads any more', async () => {
    const child = spawn(powervisor, [...words, '--', 'yes'], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.once('data', () => child.stdout.destroy());
    const status = await new Promise((resolve) => child.on('close', resolve));
    assert.equal(status, 141);
  });

  it('the command: output and error in one file are in order', async () => {
    const file = join(folder, 'both');
    const descriptor = openSync(file, 'w');
    const script = 'for i in 1 2 3; do echo $i; echo error >&2; done';
    const child = spawn(powervisor, [...words, '--', 'sh', '-c', script], {
      stdio: ['ignore', descriptor, descriptor],
    });
    const status = await new Promise((resolve) => child.on('close', resolve));
    closeSync(descriptor);
    assert.equal(status, 0);
    assert.equal(readFileSync(file, 'utf8'), '1\nerror\n2\nerror\n3\nerror\n');
  });

  it('the command: a time-out', async () => {
    const result = await command(['run', '--timeout', '1.5', '--', 'sleep', '1000']);
    assert.deepEqual(result, {
      ...{ status: 124, signal: null, stdout: '' },
      stderr: 'powervisor: the command had not ended after 1.5 seconds\n',
    });
  });

  it('a run that is aborted rejects, and leaves no file open', {
    skip: skip || process.platform !== 'linux',
  }, async () => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    const end = new AbortController();
    const running = run(['sleep', '1000'], { folder, signal: end.signal });
    setTimeout(() => end.abort(new Error('enough')), 1000);
    await assert.rejects(running, /enough/);
    // The thread that translated ends by itself.
    for (let tries = 0; open() !== before && tries < 100; tries++) await delay(100);
    assert.equal(open(), before);
  });
});

it('a mistake is one line, and status 125', async () => {
  const wrong: [RegExp, ...string[]][] = [
    [/there is no image 'x'; there are: debian, debian-tools/, '--image', 'x', '--', 'true'],
    [/there is no image '.\/nowhere'/, '--image', './nowhere', '--', 'true'],
    [/is for ppc64le, not for ppc64/, '--image', 'debian', '--arch', 'ppc64', '--', 'true'],
    [/there is no folder \/nowhere to take libraries from/, '--sysroot', '/nowhere', '--', 'true'],
    [/the image has no user 'x'/, '--user', 'x', '--', 'true'],
    [/cannot share '\/nowhere': there is no such folder/, '--folder', '/nowhere', '--', 'true'],
    [/a command is a list of strings/],
    [/unknown option '--frob'/, '--frob', '--', 'true'],
    [/there is no network 'x'; none, user fit/, '--net', 'x', '--', 'true'],
    [/'=x' is no variable/, '--env', '=x', '--', 'true'],
  ];
  for (const [message, ...options] of wrong) {
    const result = await command(['run', ...options]);
    assert.deepEqual([result.status, result.stdout], [125, '']);
    assert.match(result.stderr, message);
    assert.match(result.stderr, /^powervisor: [^\n]*\n$/);
  }
});
