/**
 * `from-packages.ts GUEST OUT`: makes a guest whose kernel is Debian's own, with Debian's busybox or a root file system of
 * many packages (guests/GUEST/recipe.json). They come from apt's mirror, or from the one that POWERVISOR_MIRROR names.
 */
import { spawnSync } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { type PackedEntry, readEntries, readFiles } from '../../src/node/packages/archive.ts';
import { packageCache } from '../../src/node/packages/cache.ts';
import { PackageClient } from '../../src/node/packages/client.ts';
import { closure } from '../../src/node/packages/dependencies.ts';
import { oneLine } from '../../src/node/packages/error.ts';
import { TerminalReporter } from '../../src/node/packages/progress.ts';
import { CpioPacker, file } from '../../src/node/run/cpio.ts';
import { packRunArchive } from '../../src/node/run/run-archive.ts';
import { type DiskRecipe, makeDisk } from './disk.ts';
import { overlayOf, packageRoot, type RootRecipe } from './package-root.ts';
import { packUserLand } from './user-land.ts';

interface Recipe {
  readonly architecture: string;
  /** A package whose dependency holds the kernel. */
  readonly kernel: string;
  /** A package: the user land is busybox and the benchmarks. */
  readonly busybox?: string;
  /** In its place: the user land is of packages. */
  readonly root?: RootRecipe;
  /** It is installed on a disk, of `root` and configured; `busybox` finds it there. */
  readonly disk?: DiskRecipe;
  /** The guest is an image of `powervisor run`. */
  readonly run?: boolean;
  /** The guest's command to end the machine. */
  readonly off: string;
  readonly benchmarks?: { readonly compiler: string; readonly flags: readonly string[] };
}

const recipes = join(import.meta.dirname, '../../guests');
const benchmarkNames = ['int', 'mem', 'fp', 'sys'];

/** Compiles the benchmarks for the guest. */
function compile({ compiler, flags }: NonNullable<Recipe['benchmarks']>): Map<string, Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-bench-'));
  try {
    return new Map(
      benchmarkNames.map((one) => {
        const name = `bench-${one}`;
        const source = join(recipes, 'userland', `${name}.c`);
        // As guests/build.sh compiles them: nothing fused, so that sums are the same everywhere.
        const words = ['-O2', '-Wall', '-ffp-contract=off', '-s', ...flags, '-o', join(folder, name), source];
        const result = spawnSync(compiler, words, { encoding: 'utf8' });
        if (result.status !== 0) throw new Error(`${compiler}: ${result.stderr || result.error?.message}`);
        return [name, readFileSync(join(folder, name))];
      }),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function readBusybox(client: PackageClient, name: string): Promise<Uint8Array> {
  const path = await client.fetch(client.find(name));
  const [program = new Uint8Array()] = await readFiles(readFileSync(path), [/^(usr\/)?bin\/busybox$/]);
  return program;
}

/** Good for a file of a gigabyte, and a window that the kernel has memory for. */
const ZSTD_LEVEL = 9;

/** The initial RAM disk of packages, as pieces: there is more of it than should be in memory at once. */
async function* packedRoot(
  client: PackageClient,
  guest: string,
  off: string,
  root: RootRecipe,
): AsyncGenerator<Uint8Array> {
  const packages = closure(client, root.packages, new Set(root.without));
  async function* contents(): AsyncGenerator<AsyncIterable<PackedEntry>> {
    for (const one of packages) yield readEntries(readFileSync(await client.fetch(one)));
  }
  const folder = join(recipes, guest, 'root');
  const overlay = [...(existsSync(folder) ? overlayOf(folder) : []), file('etc/off', Buffer.from(`${off}\n`))];
  const packer = new CpioPacker();
  for await (const entry of packageRoot(root, overlay, contents())) yield* packer.add(entry);
  // The kernel goes on booting when an archive does not fit: by this, /init knows.
  yield* packer.add(file('etc/whole', new Uint8Array()));
  yield* packer.end();
}

async function make(guest: string, out: string): Promise<void> {
  const recipe: Recipe = JSON.parse(readFileSync(join(recipes, guest, 'recipe.json'), 'utf8'));
  const { architecture, root, off, busybox = '', benchmarks } = recipe;
  const reporter = new TerminalReporter(process.stderr, `guest ${guest}: `);
  const mirror = process.env['POWERVISOR_MIRROR'];
  const client = await PackageClient.open({ architecture, mirror, cache: packageCache(), reporter });
  try {
    const image = client.dependency(client.find(recipe.kernel), /^linux-image-/);
    const imagePackage = readFileSync(await client.fetch(image));
    const [kernel = new Uint8Array()] = await readFiles(imagePackage, [/^boot\/vmlinux-/]);
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, 'vmlinux'), kernel);
    if (root && recipe.disk)
      await makeDisk({
        folder: join(recipes, guest),
        out,
        client,
        image: imagePackage,
        busybox: await readBusybox(client, busybox),
        root,
        disk: recipe.disk,
        say: (text) => reporter.say(text),
      });
    else if (root === undefined) {
      const program = await readBusybox(client, busybox);
      const programs = benchmarks ? compile(benchmarks) : new Map<string, Uint8Array>();
      writeFileSync(join(out, 'initramfs.cpio.gz'), packUserLand({ busybox: program, off, programs }));
      if (recipe.run) writeFileSync(join(out, 'run.cpio'), await packRunArchive(imagePackage, program));
    } else {
      const params = { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL };
      await pipeline(
        Readable.from(packedRoot(client, guest, off, root), { objectMode: false }),
        createZstdCompress({ params }),
        createWriteStream(join(out, 'initramfs.cpio.zst')),
      );
    }
  } finally {
    client.close();
  }
}

const [guest = '', out = ''] = process.argv.slice(2);
try {
  await make(guest, out);
} catch (error) {
  console.error(`guest ${guest}: ${oneLine(error)}`);
  process.exitCode = 1;
}
