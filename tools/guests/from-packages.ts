/**
 * `from-packages.ts GUEST OUT`: makes a guest whose kernel and busybox are Debian's own (guests/GUEST/recipe.json). Packages
 * come from apt's mirror, or from the one that POWERVISOR_MIRROR names.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFiles } from '../packages/archive.ts';
import { packageCache } from '../packages/cache.ts';
import { PackageClient } from '../packages/client.ts';
import { oneLine } from '../packages/error.ts';
import { TerminalReporter } from '../packages/progress.ts';
import { packUserLand } from './user-land.ts';

interface Recipe {
  readonly architecture: string;
  /** A package whose dependency holds the kernel. */
  readonly kernel: string;
  readonly busybox: string;
  /** The guest's command to end the machine. */
  readonly off: string;
  readonly benchmarks?: { readonly compiler: string; readonly flags: readonly string[] };
}

const recipes = join(import.meta.dirname, '../../guests');
const benchmarks = ['int', 'mem', 'fp', 'sys'];

/** Compiles the benchmarks for the guest. */
function compile({ compiler, flags }: NonNullable<Recipe['benchmarks']>): Map<string, Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-bench-'));
  try {
    return new Map(
      benchmarks.map((one) => {
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

async function make(guest: string, out: string): Promise<void> {
  const recipe: Recipe = JSON.parse(readFileSync(join(recipes, guest, 'recipe.json'), 'utf8'));
  const programs = recipe.benchmarks ? compile(recipe.benchmarks) : new Map<string, Uint8Array>();
  const client = await PackageClient.open({
    architecture: recipe.architecture,
    mirror: process.env['POWERVISOR_MIRROR'],
    cache: packageCache(),
    reporter: new TerminalReporter(process.stderr, `guest ${guest}: `),
  });
  try {
    const image = client.dependency(client.find(recipe.kernel), /^linux-image-/);
    const [kernel] = await readFiles(readFileSync(await client.fetch(image)), [/^boot\/vmlinux-/]);
    const [busybox] = await readFiles(readFileSync(await client.fetch(client.find(recipe.busybox))), [
      /^(usr\/)?bin\/busybox$/,
    ]);
    if (kernel === undefined || busybox === undefined) throw new Error('a package is empty');
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, 'vmlinux'), kernel);
    writeFileSync(join(out, 'initramfs.cpio.gz'), packUserLand({ busybox, off: recipe.off, programs }));
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
