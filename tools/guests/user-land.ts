/** A guest's root file system: busybox, its links, /init, and the benchmarks where there are any. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { appletsOf } from '../../src/node/run/busybox.ts';
import { characterDevice, directory, type Entry, file, link, packCpio } from '../../src/node/run/cpio.ts';

const recipes = join(import.meta.dirname, '../../guests');

export interface UserLand {
  readonly busybox: Uint8Array;
  /** The command that ends the machine. */
  readonly off: string;
  /** Programs by name. */
  readonly programs: ReadonlyMap<string, Uint8Array>;
  /** Shared libraries by name, the dynamic linker among them. */
  readonly libraries?: ReadonlyMap<string, Uint8Array> | undefined;
  /** Those of architectures beside each other: Debian's name of one (`powerpc64-linux-gnu`) has libraries by name. */
  readonly multiarch?: ReadonlyMap<string, ReadonlyMap<string, Uint8Array>> | undefined;
}

/** Where programs look for their dynamic linker. */
const linkerPath = (name: string): string => (name.startsWith('ld64') ? `lib64/${name}` : `lib/${name}`);

/** The initial RAM disk, compressed. */
export function packUserLand({
  busybox,
  off,
  programs,
  libraries = new Map(),
  multiarch = new Map(),
}: UserLand): Buffer {
  const text = (path: string, lines: string): Entry => file(path, Buffer.from(lines));
  const program = (path: string, data: Uint8Array): Entry => file(path, data, 0o755);
  const own = (name: string): Entry => program(name, readFileSync(join(recipes, 'userland', name)));
  const folders = ['bin', 'dev', 'etc', 'proc', 'root', 'sbin', 'sys', 'tmp', 'usr', 'usr/bin'];
  const entries = [
    ...folders.map((path) => directory(path)),
    characterDevice('dev/console', 5, 1, 0o600),
    characterDevice('dev/null', 1, 3, 0o666),
    own('init'),
    ...(programs.size > 0 ? [own('bench.sh')] : []),
    text('etc/off', `${off}\n`),
    text('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n'),
    program('bin/busybox', busybox),
    ...[...programs].map(([name, data]) => program(`bin/${name}`, data)),
    // 64-bit programs look in /lib64, for their dynamic linker at least.
    ...(libraries.size > 0 ? [directory('lib'), link('lib64', 'lib')] : []),
    ...[...libraries].map(([name, data]) => program(`lib/${name}`, data)),
    ...(multiarch.size > 0 ? [directory('lib'), directory('lib64')] : []),
    ...[...multiarch].flatMap(([name, held]) => [
      directory(`lib/${name}`),
      ...[...held].flatMap(([library, data]) => [
        program(`lib/${name}/${library}`, data),
        ...(library.startsWith('ld') ? [link(linkerPath(library), `/lib/${name}/${library}`)] : []),
      ]),
    ]),
    ...appletsOf(busybox)
      .filter((name) => name !== 'busybox')
      .map((name) => link(`bin/${name}`, 'busybox')),
  ];
  return gzipSync(packCpio(entries), { level: 9 });
}
