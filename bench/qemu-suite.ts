/** QEMU of another release of Debian than the system's: its packages, unpacked into the cache, run by their own loader. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { readAptOptions, readAptSources } from '../src/node/packages/apt.ts';
import { readEntries } from '../src/node/packages/archive.ts';
import { packageCache } from '../src/node/packages/cache.ts';
import { PackageClient } from '../src/node/packages/client.ts';
import { closure } from '../src/node/packages/dependencies.ts';
import { TerminalReporter } from '../src/node/packages/progress.ts';
import { BenchError } from './errors.ts';

/** Debian's name of the computer's architecture, and its libraries' folder. */
const HOSTS: Readonly<Record<string, { readonly debian: string; readonly triplet: string; readonly loader: string }>> =
  {
    x64: { debian: 'amd64', triplet: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' },
    arm64: { debian: 'arm64', triplet: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' },
  };

/** Where apt's mirror has a suite. @throws BenchError */
function mirrorOf(suite: string): string {
  const source = readAptSources(readAptOptions()).find(({ uri }) => /\/debian\/$/.test(uri));
  const mirror = process.env['POWERVISOR_MIRROR']?.split(' ')[0] ?? source?.uri;
  if (mirror === undefined)
    throw new BenchError(`apt has no mirror with ${suite}; POWERVISOR_MIRROR='URL' names one`, 2);
  return `${mirror} ${suite}`;
}

/** A path of a package below the folder; packages still have files in /lib, which is usr/lib. */
function placeOf(folder: string, path: string): string {
  const place = resolve(folder, path.replace(/^(lib|lib64|bin|sbin)\//, 'usr/$1/'));
  if (!place.startsWith(`${folder}/`)) throw new BenchError(`a package has the path ${path}`);
  return place;
}

/** Unpacks qemu-system-ppc of a suite and all that it needs. Answers the folder. @throws BenchError, PackageError */
async function unpack(suite: string, architecture: string): Promise<string> {
  const folder = join(packageCache(), '..', `qemu-${suite}-${architecture}`);
  if (existsSync(folder)) return folder;
  const made = `${folder}.${process.pid}`;
  mkdirSync(made, { recursive: true });
  const reporter = new TerminalReporter(process.stderr, `QEMU of ${suite}: `);
  const mirror = mirrorOf(suite);
  const client = await PackageClient.open({ architecture, mirror, cache: packageCache(), reporter });
  try {
    for (const one of closure(
      client,
      ['qemu-system-ppc', 'qemu-system-data'],
      new Set(['ipxe-qemu', 'qemu-block-extra']),
    )) {
      const deb = readFileSync(await client.fetch(one));
      for await (const { path, type, data, target, mode } of readEntries(deb)) {
        if (!/^(usr\/)?(lib|lib64|bin|share\/(qemu|seabios|slof|vgabios))(\/|$)/.test(path)) continue;
        const place = placeOf(made, path);
        mkdirSync(type === 'directory' ? place : dirname(place), { recursive: true });
        if (existsSync(place) && type !== 'file') continue;
        if (type === 'file') writeFileSync(place, data, { mode });
        else if (type === 'symlink' && !target.startsWith('/')) symlinkSync(target, place);
        else if (type === 'symlink') symlinkSync(join(made, target), place);
      }
    }
    renameSync(made, folder);
  } finally {
    client.close();
    rmSync(made, { recursive: true, force: true });
  }
  return folder;
}

/**
 * The words in place of QEMU's program that run it out of a Debian suite ("trixie").
 * @throws BenchError where the suite has none for this computer.
 */
export async function qemuOfSuite(suite: string, program: string): Promise<string[]> {
  if (!/^[a-z][a-z-]*$/.test(suite)) throw new BenchError(`'${suite}' is no suite of Debian's; trixie would fit`, 2);
  const host = HOSTS[process.arch];
  if (process.platform !== 'linux' || host === undefined)
    throw new BenchError(`there is no QEMU of Debian's for ${process.platform} ${process.arch}`, 2);
  const folder = await unpack(suite, host.debian);
  const libraries = join(folder, 'usr/lib', host.triplet);
  const folders = [
    libraries,
    ...readdirSync(libraries, { withFileTypes: true })
      .filter((one) => one.isDirectory())
      .map(({ name }) => join(libraries, name)),
  ];
  return [
    join(libraries, host.loader),
    '--library-path',
    folders.join(':'),
    join(folder, 'usr/bin', program),
    '-L',
    join(folder, 'usr/share/qemu'),
  ];
}
