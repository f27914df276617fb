/**
 * `npm run disk-checks -- [--log FILE]`: Debian on a qcow2 disk to a login with systemd, packages from the mirror, `git clone` and curl
 * from servers of the host, a program of 20,000 lines made on a shared folder, ssh through a forward. Takes the host's git, ssh
 * and an archive of Debian's that the guest reaches. Minutes, most of them dpkg's.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildCommand } from '../../bench/contenders.ts';
import { type Answer, GuestConsole, quoted } from '../guest-suite/console.ts';
import { bootCommand, freePort, guestFolder, makeOverlay, powervisor } from './machine.ts';

const BOOT_SECONDS = 900;
const PACKAGES = 'git gcc libc6-dev make curl openssh-server';
const SOURCES = 40;
const LINES = 500;

const { values } = parseArgs({ options: { log: { type: 'string' } } });
const place = mkdtempSync(join(tmpdir(), 'powervisor-disk-'));
const git = (folder: string, ...words: string[]): string =>
  execFileSync('git', ['-C', folder, '-c', 'user.name=x', '-c', 'user.email=x@y', ...words], {
    encoding: 'utf8',
  }).trim();

/** A repository with some history; answers its last commit. */
function makeRepository(folder: string): string {
  mkdirSync(folder);
  git(folder, 'init', '-q', '-b', 'main');
  for (let commit = 1; commit <= 30; commit++) {
    for (let i = 0; i < 20; i++) {
      const text = Array.from({ length: 200 }, (_, line) => `${commit} ${i} ${(line * commit * 7919) % 104_729}\n`);
      writeFileSync(join(folder, `file-${i}`), text.join(''));
    }
    git(folder, 'add', '.');
    git(folder, 'commit', '-q', '-m', `commit ${commit}`);
  }
  writeFileSync(join(folder, '.git/git-daemon-export-ok'), '');
  return git(folder, 'rev-parse', 'HEAD');
}

/** A program of 20,000 lines, and what it prints. */
function makeProgram(folder: string): string {
  mkdirSync(folder);
  let sum = 0n;
  for (let file = 0; file < SOURCES; file++) {
    const lines = ['/* Made to be compiled. */', `unsigned long part${file}(unsigned long x)`, '{'];
    let x = BigInt(file);
    for (let line = lines.length; line < LINES - 2; line++) {
      const by = BigInt(file * LINES + line);
      lines.push(`\tx = x * ${by}ul + (x >> 7) ^ ${line}ul;`);
      x = BigInt.asUintN(64, (x * by + (x >> 7n)) ^ BigInt(line));
    }
    lines.push('\treturn x;', '}');
    sum = BigInt.asUintN(64, sum + x);
    writeFileSync(join(folder, `part${file}.c`), `${lines.join('\n')}\n`);
  }
  const parts = Array.from({ length: SOURCES }, (_, i) => i);
  const main = ['#include <stdio.h>', ...parts.map((i) => `unsigned long part${i}(unsigned long);`)];
  main.push('int main(void)', '{', '\tunsigned long sum = 0;', ...parts.map((i) => `\tsum += part${i}(${i});`));
  main.push('\tprintf("%lx\\n", sum);', '\treturn 0;', '}');
  writeFileSync(join(folder, 'main.c'), `${main.join('\n')}\n`);
  const objects = ['main', ...parts.map((i) => `part${i}`)].map((name) => `${name}.o`).join(' ');
  writeFileSync(join(folder, 'Makefile'), `CFLAGS = -O1\nprogram: ${objects}\n\t$(CC) -o $@ $^\n`);
  return sum.toString(16);
}

let failed = 0;
function report(name: string, problem: string | undefined, seconds: number, output = ''): void {
  if (problem !== undefined) failed++;
  const tail = problem === undefined ? '' : `: ${problem}\n${output.trimEnd().split('\n').slice(-12).join('\n')}`;
  console.log(`${problem === undefined ? 'ok  ' : 'FAIL'} ${name} (${seconds.toFixed(1)} s)${tail}`);
}

const folder = guestFolder();
await buildCommand();
const image = join(place, 'disk.qcow2');
makeOverlay(folder, image);
const commit = makeRepository(join(place, 'repository'));
const sum = makeProgram(join(place, 'share'));
const download = Buffer.alloc(5_000_001, 'powervisor');
const [forward, gitPort] = [await freePort(), await freePort()];
const web = createServer((_request, response) => response.end(download)).listen(0, '127.0.0.1');
await new Promise((resolve) => web.once('listening', resolve));
const webPort = (web.address() as { port: number }).port;
const daemon = spawn(
  'git',
  ['daemon', '--reuseaddr', `--base-path=${place}`, '--listen=127.0.0.1', `--port=${gitPort}`, place],
  { stdio: 'ignore' },
);
const key = join(place, 'key');
execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
process.on('exit', () => {
  daemon.kill();
  rmSync(place, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
const log = values.log === undefined ? undefined : createWriteStream(values.log);
const start = performance.now();
const more = [
  ...['--net', `user,host-loopback=on,forward=tcp:${forward}:22`],
  ...['--share', `src=${join(place, 'share')},rw`, '--rng'],
];
try {
  const guest = await GuestConsole.boot(
    bootCommand(folder, image, more),
    BOOT_SECONDS,
    (text) => log?.write(text),
    'root',
  );
  process.on('exit', () => guest.killNow());
  report('systemd to a login', undefined, (performance.now() - start) / 1000);
  const check = async (name: string, command: string, expect: RegExp, timeout = 300): Promise<Answer> => {
    const answer = await guest.run(command, timeout);
    const { status, output, seconds } = answer;
    const wrong = status !== 0 ? `status ${status}` : expect.test(output) ? undefined : 'a wrong answer';
    report(name, wrong, seconds, output);
    return answer;
  };
  const host = 'http://10.0.2.2';
  await check('systemd has nothing that failed', 'systemctl is-system-running --wait', /^running$/m);
  await check('an address by DHCP', 'networkctl status --no-pager', /10\.0\.2\.15/);
  await check('ping of the gateway', 'ping -c 3 10.0.2.2', / 0% packet loss/);
  await check('apt-get update', 'apt-get update', /Reading package lists/, 900);
  const install = `DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${PACKAGES}`;
  await check('apt-get install', install, /Setting up git /, 3000);
  await check('dpkg --audit', 'dpkg --audit && echo sound', /^sound$/m);
  await check('dpkg --verify', 'dpkg --verify git make curl && echo sound', /^sound$/m);
  const md5 = createHash('md5').update(download).digest('hex');
  await check('curl', `curl -s ${host}:${webPort}/ | md5sum`, new RegExp(md5));
  await check(
    'git clone',
    `cd /root && git clone -q git://10.0.2.2:${gitPort}/repository && cd repository && git fsck && git rev-parse HEAD`,
    new RegExp(`^${commit}$`, 'm'),
    900,
  );
  await check(
    'make of 20,000 lines on a shared folder',
    'mkdir -p /src && mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap src /src && make -s -C /src && /src/program',
    new RegExp(`^${sum}$`, 'm'),
    1200,
  );
  report('the program is on the host', existsSync(join(place, 'share/program')) ? undefined : 'it is not', 0);
  const line = quoted(readFileSync(`${key}.pub`, 'utf8').trim());
  await check(
    'the server of ssh',
    `mkdir -p -m 700 /root/.ssh && echo ${line} >/root/.ssh/authorized_keys && systemctl start ssh && systemctl is-active ssh`,
    /^active$/m,
  );
  const before = performance.now();
  // Not spawnSync: the machine's console is heard meanwhile.
  const said = await new Promise<string>((resolve) => {
    const options = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'ConnectTimeout=60'];
    const ssh = spawn('ssh', ['-i', key, '-p', String(forward), ...options, 'root@127.0.0.1', 'uname -m']);
    let text = '';
    ssh.stdout.on('data', (piece) => (text += piece));
    ssh.on('error', (error) => resolve(error.message)).on('close', () => resolve(text));
  });
  report(
    'ssh through a forward',
    said === 'ppc64le\n' ? undefined : `it said ${JSON.stringify(said)}`,
    (performance.now() - before) / 1000,
  );
  const last = performance.now();
  const how = await guest.leave('systemctl poweroff', 300);
  report(
    'systemctl poweroff',
    how === 'it ended with status 0' ? undefined : how,
    (performance.now() - last) / 1000,
    guest.text,
  );
  const { status, stdout } = spawnSync(powervisor, ['image', 'check', image], { encoding: 'utf8' });
  report('powervisor image check', status === 0 ? undefined : stdout, 0);
} finally {
  daemon.kill();
  web.close();
  log?.end();
}
console.log(failed === 0 ? 'all passed' : `${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
