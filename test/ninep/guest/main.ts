/**
 * `npm run share-checks -- [GUEST [CACHE]]`: what POSIX says of files (posix.c) and random reads and writes (fsx.c), in a guest with
 * a shared folder, under each of the cache modes of Linux's 9p or under one. GUEST: ppc64el (Debian's own kernel, with the 9p
 * modules of its package), 440-devices or book3s64-devices. It takes Debian's cross compiler for the guest.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMachine, shareFolder } from '../../../src/node/index.ts';
import { directory, type Entry, file, packCpio } from '../../../src/node/run/cpio.ts';
import { kernelModules } from '../../guests/kernel-modules.ts';

const GUESTS = {
  ppc64el: { compiler: 'powerpc64le-linux-gnu-gcc', board: 'pseries', console: 'hvc0', modules: true },
  'book3s64-devices': { compiler: 'powerpc64-linux-gnu-gcc', board: 'pseries', console: 'hvc0', modules: false },
  '440-devices': { compiler: 'powerpc-linux-gnu-gcc', board: 'bamboo', console: 'ttyS0', modules: false },
} as const;
const CACHES = ['none', 'mmap', 'loose', 'fscache'];
const SEEDS = [1, 2, 3];
const STEPS = 1500;
const TIMEOUT_NS = 1800e9;

const [name = 'ppc64el', ...caches] = process.argv.slice(2);
const kind = GUESTS[name as keyof typeof GUESTS];
if (kind === undefined) {
  console.error(`share-checks: there is no guest ${name}; ${Object.keys(GUESTS).join(', ')} fit`);
  process.exit(2);
}
const tool = join(import.meta.dirname, '../../../tools/guests.mjs');
const place = execFileSync(process.execPath, [tool, name], { encoding: 'utf8' }).trim().split('\n').at(-1) as string;
const kernel = readFileSync(join(place, kind.board === 'bamboo' ? 'uImage' : 'vmlinux'));
const initrd = readFileSync(join(place, 'initramfs.cpio.gz'));

const loaded = kind.modules ? await kernelModules(kernel, ['virtio_pci', '9pnet_virtio', '9p']) : [];
const init = `#!/bin/sh
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec < /dev/console > /dev/console 2>&1
${loaded.map((one) => `insmod /checks/${one.file}`).join('\n')}
mkdir -p /mnt
cache=$(sed -n 's/.*cache=\\([a-z]*\\).*/\\1/p' /proc/cmdline)
map=; [ $cache = none ] || map=mmap
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=$cache share /mnt && cd /mnt && {
  ./posix /mnt/p $map
  ${SEEDS.map((seed) => `./fsx /mnt/data ${seed} ${STEPS} $map`).join('\n  ')}
}
cd /; umount /mnt
$(cat /etc/off)
`;
const entries: Entry[] = [
  file('init', Buffer.from(init), 0o755),
  directory('checks'),
  ...loaded.map((one) => file(`checks/${one.file}`, one.data)),
];
// Linux takes one archive behind another, from a multiple of four bytes on.
const archive = Buffer.concat([initrd, Buffer.alloc(-initrd.length & 3), packCpio(entries)]);

const folder = mkdtempSync(join(tmpdir(), 'powervisor-share-'));
let failed = 0;
try {
  for (const program of ['posix', 'fsx']) {
    const source = join(import.meta.dirname, `${program}.c`);
    execFileSync(kind.compiler, ['-O2', '-Wall', '-static', '-o', join(folder, program), source]);
  }
  for (const cache of caches.length > 0 ? caches : CACHES) {
    let said = '';
    const machine = createMachine({
      board: kind.board,
      console: { write: (bytes) => void (said += Buffer.from(bytes).toString('latin1')) },
      kernel,
      initrd: archive,
      append: `console=${kind.console} quiet cache=${cache}`,
      timeoutNs: TIMEOUT_NS,
      noReboot: true,
      shares: [{ tag: 'share', server: shareFolder(folder, { writable: true }) }],
    });
    const { cause, message } = await machine.run();
    const lines = said.split(/\r?\n/).filter((line) => /^(not so|POSIX|FSX)/.test(line));
    const isRight = said.includes('POSIX-OK') && said.split('FSX-OK').length === SEEDS.length + 1;
    if (!isRight) failed++;
    console.log(`${name}, cache=${cache}: ${isRight ? 'passed' : `FAILED (${cause}: ${message})`}`);
    console.log(
      (isRight || lines.length > 0 ? lines : said.split('\n').slice(-20)).map((line) => `  ${line}`).join('\n'),
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed === 0 ? 0 : 1;
