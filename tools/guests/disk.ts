/**
 * A guest that is installed on a disk: its packages are unpacked here, into an initial RAM disk that puts them on an image
 * and configures them, on a machine of ours.
 */
import { spawn } from 'node:child_process';
import { chmodSync, createWriteStream, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, gzipSync } from 'node:zlib';
import { readEntries } from '../../src/node/packages/archive.ts';
import type { PackageClient } from '../../src/node/packages/client.ts';
import { closure } from '../../src/node/packages/dependencies.ts';
import { appletsOf } from '../../src/node/run/busybox.ts';
import { CpioPacker, characterDevice, directory, file, link, packCpio } from '../../src/node/run/cpio.ts';
import { modulesOf } from '../../src/node/run/run-archive.ts';
import { DpkgDatabase } from './dpkg-database.ts';
import { overlayOf, packageRoot, type RootRecipe } from './package-root.ts';

export interface DiskRecipe {
  readonly size: string;
  /** Of the machine that installs. */
  readonly memory: string;
  /** Modules of the kernel by which the guest finds its disk, and what else is not on it. */
  readonly modules: readonly string[];
}

export interface DiskGuest {
  /** The recipe's folder. */
  readonly folder: string;
  readonly out: string;
  readonly client: PackageClient;
  /** The package of the kernel's image. */
  readonly image: Uint8Array;
  readonly busybox: Uint8Array;
  readonly root: RootRecipe;
  readonly disk: DiskRecipe;
  readonly say: (text: string) => void;
}

const powervisor = join(import.meta.dirname, '../../bin/powervisor');
/** An hour on a slow computer. */
const TIMEOUT_SECONDS = '7200';

/** Writes `initramfs.cpio.gz`, by which the guest finds its disk, and `disk.qcow2`. The kernel is there already. */
export async function makeDisk(guest: DiskGuest): Promise<void> {
  const { busybox, folder, out, say } = guest;
  const modules = await modulesOf(guest.image, guest.disk.modules);
  writeFileSync(join(out, 'initramfs.cpio.gz'), bootDisk(busybox, modules, readFileSync(join(folder, 'boot-init'))));
  const installer = join(out, 'installer.cpio.zst');
  const params = { [constants.ZSTD_c_compressionLevel]: 3 };
  await pipeline(
    Readable.from(installerDisk(guest, modules), { objectMode: false }),
    createZstdCompress({ params }),
    createWriteStream(installer),
  );
  const disk = join(out, 'disk.qcow2');
  await run(['image', 'create', '-f', 'qcow2', disk, guest.disk.size], () => {});
  say('installing; this takes some minutes');
  let result = '';
  await run(
    ['boot', '--machine', 'pseries', '--memory', guest.disk.memory, '--kernel', join(out, 'vmlinux')].concat(
      ['--initrd', installer, '--disk', `${disk.replaceAll(',', ',,')},format=qcow2`, '--timeout', TIMEOUT_SECONDS],
      ['--append', 'console=hvc0 quiet'],
    ),
    (line) => {
      const [, step, text = ''] = /^(INSTALL(?:-\w+)?)(?: (.*))?$/.exec(line) ?? [];
      if (step) result = `${step} ${text}`;
      if (step === 'INSTALL') say(text);
      else if (process.env['POWERVISOR_DEBUG']) say(line);
    },
  );
  if (!result.startsWith('INSTALL-DONE')) throw new Error(`the installation ended with ${result || 'nothing'}`);
  rmSync(installer);
  // What users write goes into images of their own, above it.
  chmodSync(disk, 0o444);
}

/** The initial RAM disk that mounts the root file system and goes on there. */
function bootDisk(busybox: Uint8Array, modules: ReadonlyMap<string, Uint8Array>, init: Uint8Array): Buffer {
  const entries = [
    ...['bin', 'dev', 'etc', 'mnt', 'modules', 'proc', 'sys'].map((path) => directory(path)),
    characterDevice('dev/console', 5, 1, 0o600),
    characterDevice('dev/null', 1, 3, 0o666),
    file('init', init, 0o755),
    file('etc/modules', Buffer.from([...modules.keys()].map((name) => `${name}.ko\n`).join(''))),
    ...[...modules].map(([name, data]) => file(`modules/${name}.ko`, data)),
    file('bin/busybox', busybox, 0o755),
    ...appletsOf(busybox)
      .filter((name) => name !== 'busybox')
      .map((name) => link(`bin/${name}`, 'busybox')),
  ];
  return gzipSync(packCpio(entries));
}

/** All packages, dpkg's database of them, and what installs them, as pieces. */
async function* installerDisk(guest: DiskGuest, modules: ReadonlyMap<string, Uint8Array>): AsyncGenerator<Uint8Array> {
  const { client, root, folder, say } = guest;
  const packages = closure(client, root.packages, new Set(root.without));
  say(`${packages.length} packages`);
  const database = new DpkgDatabase();
  for (const one of packages) await database.add(readFileSync(await client.fetch(one)));
  const sources = new Set(packages.map(({ source }) => `deb ${source.uri} ${source.suite} main\n`));
  const overlay = [
    ...overlayOf(join(folder, 'root')),
    ...database.entries(),
    directory('var/lib/dpkg/updates'),
    directory('modules'),
    ...[...modules].map(([name, data]) => file(`modules/${name}.ko`, data)),
    file('etc/modules-boot', Buffer.from([...modules.keys()].map((name) => `${name}.ko\n`).join(''))),
    file('etc/apt/sources.list', Buffer.from([...sources].join(''))),
  ];
  const packer = new CpioPacker();
  async function* contents() {
    for (const one of packages) yield readEntries(readFileSync(await client.fetch(one)));
  }
  for await (const entry of packageRoot(root, overlay, contents())) yield* packer.add(entry);
  yield* packer.add(file('etc/whole', new Uint8Array()));
  yield* packer.end();
}

/** Runs our command, and hears its lines. */
function run(words: readonly string[], hear: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(powervisor, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split(/\r?\n/);
      rest = lines.pop() ?? '';
      for (const line of lines) hear(line);
    });
    child.on('error', reject);
    child.on('close', (status) =>
      status === 0 ? resolve() : reject(new Error(`powervisor ${words[0]} ended with status ${status}`)),
    );
  });
}
