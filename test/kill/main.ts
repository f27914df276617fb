/**
 * `npm run kill-checks -- [KILLS [SEED [GUEST]]]`: kill -9 of the command at a random moment, while its guest writes to ext4 on a qcow2
 * disk and says after each fsync what it may rely on. After each: the image's own check, e2fsck, and all that was promised since the
 * first. GUEST: 440-devices (big-endian) or ppc64el. Takes e2fsprogs and the guest's cross compiler.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildCommand } from '../../bench/contenders.ts';
import { directory, file, packCpio } from '../../src/node/run/cpio.ts';
import { randomNumbers } from '../disks/memory-store.ts';
import { kernelModules } from '../guests/kernel-modules.ts';
import { Promises } from './promises.ts';

const GUESTS = {
  '440-devices': {
    compiler: 'powerpc-linux-gnu-gcc',
    words: ['--machine', 'bamboo', '--memory', '128M'],
    kernel: 'uImage',
    console: 'ttyS0',
    modules: [],
  },
  ppc64el: {
    compiler: 'powerpc64le-linux-gnu-gcc',
    words: ['--machine', 'pseries', '--memory', '512M'],
    kernel: 'vmlinux',
    console: 'hvc0',
    modules: ['virtio_pci', 'virtio_blk', 'crc32c_generic', 'ext4'],
  },
} as const;
const DISK = '192M';
const BOOT_MS = 600_000;
/** How long the guest writes, at most. */
const MOST_MS = 3000;

const root = join(import.meta.dirname, '../..');
const powervisor = join(root, 'bin/powervisor');
const [kills = '100', seed = '1', name = '440-devices'] = process.argv.slice(2);
const guest = GUESTS[name as keyof typeof GUESTS];
if (guest === undefined || !(Number(kills) > 0) || !Number.isSafeInteger(Number(seed))) {
  console.error(`kill-checks: [KILLS [SEED [GUEST]]] fit, where GUEST is ${Object.keys(GUESTS).join(' or ')}`);
  process.exit(2);
}
const random = randomNumbers(Number(seed));
const tool = join(root, 'tools/guests.mjs');
const images = execFileSync(process.execPath, [tool, name], { encoding: 'utf8' }).trim().split('\n').at(-1) as string;
await buildCommand();
const place = mkdtempSync(join(tmpdir(), 'powervisor-kill-'));
process.on('exit', () => rmSync(place, { recursive: true, force: true }));
const [image, raw, folder] = [join(place, 'disk.qcow2'), join(place, 'raw.raw'), join(place, 'files')];

const run = (program: string, ...words: string[]): { status: number | null; said: string } => {
  const { status, stdout, stderr, error } = spawnSync(program, words, { encoding: 'utf8' });
  if (error) throw error;
  return { status, said: `${stdout}${stderr}`.trim() };
};

/** An initial RAM disk that mounts the disk and keeps making promises. */
async function makeInitrd(): Promise<void> {
  execFileSync(guest.compiler, [
    '-O2',
    '-static',
    '-o',
    join(place, 'promise'),
    join(import.meta.dirname, 'promise.c'),
  ]);
  const modules =
    guest.modules.length > 0 ? await kernelModules(readFileSync(join(images, guest.kernel)), guest.modules) : [];
  const init = `#!/bin/sh
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t devtmpfs dev /dev 2>/dev/null
exec </dev/console >/dev/console 2>&1
# A board without a calendar begins in 1970, and e2fsck takes such times of removal for numbers of inodes.
date -s 2026-01-01 >/dev/null
${modules.map((one) => `insmod /checks/${one.file}`).join('\n')}
mkdir -p /disk
mount -t ext4 -o discard /dev/vda /disk || echo FAILED mount
/checks/promise /disk $(sed -n 's/.*seed=\\([0-9]*\\).*/\\1/p' /proc/cmdline)
sleep 100
`;
  const initrd = readFileSync(join(images, 'initramfs.cpio.gz'));
  const entries = [
    directory('checks'),
    file('init', Buffer.from(init), 0o755),
    file('checks/promise', readFileSync(join(place, 'promise')), 0o755),
    ...modules.map((one) => file(`checks/${one.file}`, one.data)),
  ];
  writeFileSync(join(place, 'initrd'), Buffer.concat([initrd, Buffer.alloc(-initrd.length & 3), packCpio(entries)]));
}

/** Boots, hears promises, and kills it. Answers what went wrong with the guest, if anything did. */
function writeAndKill(number: number, promises: Promises): Promise<string | undefined> {
  const words = [...guest.words, '--kernel', join(images, guest.kernel), '--initrd', join(place, 'initrd')];
  const append = `console=${guest.console} quiet seed=${number}`;
  const child = spawn(powervisor, ['boot', ...words, '--append', append, '--disk', `${image},format=qcow2`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let rest = '';
  let last = '';
  const start = performance.now();
  let wrong: string | undefined = 'it made no promises';
  let timer = setTimeout(() => child.kill('SIGKILL'), BOOT_MS);
  const hear = (text: string): void => {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!promises.hear(line)) last = line;
      if (/^FAILED|EXT4-fs error|I\/O error|Kernel panic/.test(line)) wrong = line;
      if (line !== 'PROMISES') continue;
      if (wrong === 'it made no promises') wrong = undefined;
      clearTimeout(timer);
      timer = setTimeout(() => child.kill('SIGKILL'), random(MOST_MS));
    }
  };
  child.stdout.setEncoding('latin1').on('data', hear);
  child.stderr.setEncoding('latin1').on('data', hear);
  return new Promise((resolve) =>
    child.on('close', () => {
      clearTimeout(timer);
      resolve(
        wrong === undefined
          ? undefined
          : `the guest, after ${((performance.now() - start) / 1000).toFixed(0)} s: ${wrong}; last: ${last}${rest}`,
      );
    }),
  );
}

/** What is wrong with the image. */
function check(promises: Promises): string[] {
  const problems: string[] = [];
  const image0 = run(powervisor, 'image', 'check', image);
  // Leaked clusters are what a kill may leave.
  if (image0.status !== 0 && image0.status !== 3) problems.push(`image check: ${image0.said}`);
  const converted = run(powervisor, 'image', 'convert', '-O', 'raw', image, raw);
  if (converted.status !== 0) return [...problems, `image convert: ${converted.said}`];
  // The journal is gone through, as a mount does; what else there were to repair is a failure.
  const journal = run('e2fsck', '-p', raw);
  if ((journal.status ?? 8) > 1) problems.push(`e2fsck -p: ${journal.said}`);
  const whole = run('e2fsck', '-f', '-n', raw);
  if (whole.status !== 0) problems.push(`e2fsck -f: ${whole.said}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  execFileSync('debugfs', ['-R', `rdump / ${folder}`, raw], { stdio: 'ignore' });
  rmSync(raw);
  return [...problems, ...promises.broken(folder)];
}

run('mkfs.ext4', '-q', raw, DISK);
run(powervisor, 'image', 'convert', '-O', 'qcow2', raw, image);
await makeInitrd();
const promises = new Promises();
let failed = 0;
for (let number = 1; number <= Number(kills); number++) {
  const before = promises.count;
  const wrong = await writeAndKill(number, promises);
  const problems = [...(wrong === undefined ? [] : [wrong]), ...check(promises)];
  if (problems.length > 0) failed++;
  console.log(
    `kill ${number} after ${promises.count - before} promises: ${problems.length === 0 ? 'nothing lost' : problems.slice(0, 5).join('; ')}`,
  );
}
console.log(`${kills} kills, ${promises.count} promises, ${failed} times something was wrong`);
process.exitCode = failed === 0 ? 0 : 1;
