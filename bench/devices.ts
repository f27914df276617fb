/**
 * Disks and shared folders beside QEMU's virtio-blk and `-virtfs`: blocks in and out past the guest's page cache, and a part of the
 * kernel's source unpacked, read and removed, on 9p and on ext4. All is timed by the guest's clock, in one boot of each.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directory, file, packCpio } from '../src/node/run/cpio.ts';
import { fetchPackage, kernelModules } from '../test/guests/kernel-modules.ts';
import type { Contender } from './contenders.ts';
import { BenchError } from './errors.ts';
import { CPU_TIME, GUEST_READY, type Guest, type Metric } from './guests.ts';
import type { Workload } from './race.ts';

const DISK_BYTES = 256 * 2 ** 20;
const SHARED_BYTES = 64 * 2 ** 20;
const TREE_BYTES = '512M';
/** A part of the kernel's source: some 300 files of 9 MB, for QEMU's 9p takes its time with them. */
const SOURCES = ['mm', 'net/ipv4'];
const SOURCE_PACKAGE = 'linux-source-6.1';
const MODULES = ['virtio_pci', 'virtio_blk', '9pnet_virtio', '9p', 'crc32c_generic', 'ext4'];
const SECTOR = 512;

/** A line of the table, and what the guest's shell does for it: its last line is the seconds. */
interface Task {
  readonly name: string;
  readonly command: string;
}

const io = (name: string, where: string, words: string): Task => ({ name, command: `/bench/io ${where} ${words}` });
const timed = (name: string, command: string): Task => ({ name, command: `timed '${command}'` });

const disk = (words: string, text: string): Task => io(`disk: ${text}`, '/dev/vda', words);
const share = (words: string, text: string): Task => io(`9p: ${text}`, '/share/data', words);

/** Reads all files of the tree; fails where it is not all of them. */
const sums = (folder: string): string =>
  `[ $(find ${folder}/tree -type f | xargs md5sum | wc -l) = $(tar tf /bench/source.tar | grep -vc /$) ]`;

/** Work on a tree of files in a folder of the guest. */
const tree = (where: string, folder: string): Task[] => [
  timed(`${where}: untar`, `mkdir ${folder}/tree && tar xf /bench/source.tar -C ${folder}/tree && sync`),
  timed(`${where}: find | xargs md5sum`, `echo 3 >/proc/sys/vm/drop_caches; ${sums(folder)}`),
  timed(`${where}: the same again`, sums(folder)),
  timed(`${where}: rm -r`, `rm -r ${folder}/tree && sync`),
];

const TASKS: readonly Task[] = [
  disk('read seq 1048576 256', '256 MB read, 1 MB each'),
  disk('write seq 1048576 256', '256 MB written, 1 MB each'),
  disk('read rand 1048576 128', '128 MB read anywhere, 1 MB each'),
  disk('write rand 1048576 128', '128 MB written anywhere, 1 MB each'),
  disk('read seq 4096 8192', '32 MB read, 4 KB each'),
  disk('write seq 4096 8192', '32 MB written, 4 KB each'),
  disk('read rand 4096 8192', '32 MB read anywhere, 4 KB each'),
  disk('write rand 4096 8192', '32 MB written anywhere, 4 KB each'),
  disk('read rand 4096 2048 8', 'the same by 8 processes, read'),
  disk('write rand 4096 2048 8', 'the same by 8 processes, written'),
  disk('read seq 65536 4096 1 buffered', '256 MB read through the page cache'),
  timed('(mount)', 'mount9p none'),
  share('read seq 1048576 128', '128 MB read, 1 MB each'),
  share('write seq 1048576 128', '128 MB written, 1 MB each'),
  share('read rand 4096 8192', '32 MB read anywhere, 4 KB each'),
  share('write rand 4096 8192', '32 MB written anywhere, 4 KB each'),
  timed('(mount)', 'mount9p loose'),
  share('read seq 65536 1024 1 buffered', '64 MB read, cache=loose'),
  timed('9p: 64 MB written, cache=loose', 'dd if=/dev/zero of=/share/zeroes bs=64k count=1024 && sync'),
  ...tree('9p, cache=loose', '/share'),
  timed('(mount)', 'mount9p mmap'),
  ...tree('9p, cache=mmap', '/share'),
  ...tree('ext4', '/tree'),
];

const isShown = ({ name }: Task): boolean => !name.startsWith('(');

export const deviceMetrics: readonly Metric[] = [
  { name: GUEST_READY, unit: 's' },
  ...TASKS.filter(isShown).map(({ name }): Metric => ({ name, unit: 's', goal: 1 })),
  { name: CPU_TIME, unit: 's' },
];

const init = (modules: readonly string[]): string => `#!/bin/sh
export PATH=/bin:/sbin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
echo "GUEST-READY $(uname -m) $(cut -d' ' -f1 /proc/uptime)"
mount9p() {
  umount /share 2>/dev/null
  mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=$1 share /share
}
timed() {
  read begin rest </proc/uptime
  eval "$1" >/dev/null || return 1
  read end rest </proc/uptime
  echo "$begin $end" | awk '{ printf "%.2f\\n", $2 - $1 }'
}
case " $(cat /proc/cmdline) " in *' devices '*)
for module in ${modules.join(' ')}; do insmod /bench/$module; done
mkdir /share /tree
mount -t ext4 /dev/vdb /tree || echo 'no file system'
${TASKS.map(({ name, command }) => `seconds=$(${command}) && echo "DEVICE ${name}=$seconds"`).join('\n')}
umount /share
umount /tree
;; esac
$(cat /etc/off)
sleep 100
`;

/** Disks and folders of each contender's own, and the initial RAM disk that does the work. */
export class DevicesBench {
  readonly #guest: Guest;
  readonly #folder: string;
  readonly #initrd: string;

  private constructor(guest: Guest, folder: string) {
    this.#guest = guest;
    this.#folder = folder;
    this.#initrd = join(folder, 'initramfs');
  }

  /** @throws BenchError where the guest is another one than Debian's, or a tool is not there. */
  static async create(guest: Guest, images: string): Promise<DevicesBench> {
    if (guest.name !== 'ppc64el') throw new BenchError('the devices are measured in the guest ppc64el', 2);
    const folder = mkdtempSync(join(tmpdir(), 'powervisor-bench-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    const bench = new DevicesBench(guest, folder);
    const program = join(folder, 'io');
    run('powerpc64le-linux-gnu-gcc', ['-O2', '-static', '-o', program, join(import.meta.dirname, 'devices/io.c')]);
    const modules = await kernelModules(readFileSync(join(images, guest.kernel)), MODULES);
    const initrd = readFileSync(join(images, guest.initrd));
    const entries = [
      directory('bench'),
      file('init', Buffer.from(init(modules.map((one) => one.file))), 0o755),
      file('bench/io', readFileSync(program), 0o755),
      file('bench/source.tar', unpackSources(await fetchPackage(SOURCE_PACKAGE), folder)),
      ...modules.map((one) => file(`bench/${one.file}`, one.data)),
    ];
    // Linux takes one archive behind another, from a multiple of four bytes on.
    writeFileSync(bench.#initrd, Buffer.concat([initrd, Buffer.alloc(-initrd.length & 3), packCpio(entries)]));
    return bench;
  }

  /** A contender with two disks and a folder. */
  plugIn(contender: Contender): Contender {
    const place = join(this.#folder, contender.name);
    const shared = join(place, 'share');
    const [data, files] = [join(place, 'data.raw'), join(place, 'tree.raw')];
    mkdirSync(shared, { recursive: true });
    writeOffsets(data, DISK_BYTES);
    writeOffsets(join(shared, 'data'), SHARED_BYTES);
    run('mkfs.ext4', ['-q', '-F', files, TREE_BYTES]);
    const words = contender.name.startsWith('qemu')
      ? [data, files].flatMap((one, i) => [
          ...['-drive', `file=${one},format=raw,if=none,id=disk${i},cache=writeback,discard=unmap`],
          ...['-device', `virtio-blk-pci,drive=disk${i}`],
        ])
      : [data, files].flatMap((one) => ['--disk', `${one},format=raw`]);
    const folder = contender.name.startsWith('qemu')
      ? ['-virtfs', `local,path=${shared},mount_tag=share,security_model=none`]
      : ['--share', `share=${shared},rw`];
    const initrd = contender.name.startsWith('qemu') ? '-initrd' : '--initrd';
    return {
      name: contender.name,
      command: (append) => {
        const command = contender.command(append);
        command[command.indexOf(initrd) + 1] = this.#initrd;
        return [...command, ...words, ...folder];
      },
    };
  }

  get workload(): Workload {
    return {
      append: `console=${this.#guest.console} devices`,
      problems: (lines) => {
        const said = lines.map(({ text }) => text);
        const without = TASKS.filter(({ name }) => !said.some((line) => line.startsWith(`DEVICE ${name}=`)));
        return without.map(({ name }) => `no figure: ${name}`);
      },
      figures: (lines) => {
        const found = lines.flatMap(({ text }) => {
          const [, name = '', seconds] = /^DEVICE (.*)=([0-9.]+)$/.exec(text) ?? [];
          return seconds === undefined ? [] : [[name, Number(seconds)] as const];
        });
        return Object.fromEntries(found.filter(([name]) => !name.startsWith('(')));
      },
    };
  }
}

/** Runs a program of the host. @throws BenchError */
function run(program: string, words: readonly string[]): void {
  try {
    execFileSync(program, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    throw new BenchError(`${program} is needed, and did not do its work: ${String(error).split('\n')[0]}`, 2);
  }
}

/** A file in which every sector holds its own offset, as `io` has it. */
function writeOffsets(path: string, bytes: number): void {
  const piece = Buffer.alloc(2 ** 20);
  const descriptor = openSync(path, 'w');
  for (let at = 0; at < bytes; at += piece.length) {
    for (let i = 0; i < piece.length; i += SECTOR) piece.writeBigUInt64LE(BigInt(at + i), i);
    writeSync(descriptor, piece);
  }
  closeSync(descriptor);
}

/** A tar archive of some folders of the kernel's source. */
function unpackSources(deb: string, folder: string): Buffer {
  const place = join(folder, 'sources');
  mkdirSync(place);
  const members = SOURCES.map((one) => `'linux-source-*/${one}'`).join(' ');
  const script = [
    'set -eo pipefail',
    `dpkg-deb --fsys-tarfile '${deb}' | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' | xz -dc |`,
    `  tar -x -C '${place}' --wildcards ${members}`,
    `tar -c -f '${place}.tar' -C '${place}' .`,
  ];
  run('bash', ['-c', script.join('\n')]);
  return readFileSync(`${place}.tar`);
}
