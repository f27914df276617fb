/**
 * Finds a guest's files, building them if need be. They are in the folder that POWERVISOR_GUESTS names, if it has this
 * guest, else in the cache ($XDG_CACHE_HOME/powervisor/guests), where the recipe of guests/ puts them.
 *
 * `node tools/guests.mjs [GUEST]` prints the folder.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { root } from './setup.mjs';

const recipes = join(root, 'guests');
/** What a guest's folder must hold; the recipe makes the kernel as an ELF file too. */
const files = ['uImage', 'initramfs.cpio.gz'];
const built = [...files, 'vmlinux'];

function cacheFolder() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'powervisor');
}

/** A hash of all that the recipe is made of: the cached guest is as old as this. */
function recipeHash(name) {
  const hash = createHash('sha256');
  const add = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.isDirectory()) add(join(folder, entry.name));
      else hash.update(`${entry.name}\0`).update(readFileSync(join(folder, entry.name)));
    }
  };
  for (const folder of ['common', 'userland', 'soft-float', name]) add(join(recipes, folder));
  return hash.update(readFileSync(join(recipes, 'build.sh'))).digest('hex');
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Why a freshly built guest is not fit to boot, or undefined. */
function fault(folder) {
  const kernel = readFileSync(join(folder, 'uImage'));
  if (kernel.length < 1_000_000 || kernel.readUInt32BE(0) !== 0x27051956) return 'uImage is not a U-Boot image';
  if (kernel.readUInt32BE(12) !== kernel.length - 64) return 'uImage has not the length that its header says';
  try {
    const archive = gunzipSync(readFileSync(join(folder, 'initramfs.cpio.gz')));
    const missing = ['init', 'bench.sh', 'bin/busybox', 'bin/sh', 'bin/bench-int', 'bin/bench-sys'].find(
      (name) => !archive.includes(`${name}\0`),
    );
    return missing && `initramfs.cpio.gz has no ${missing}`;
  } catch {
    return 'initramfs.cpio.gz is not a gzip file';
  }
}

/** Whether a cached guest is whole and made by the recipe as it is now. */
function isCurrent(folder, recipe) {
  try {
    const stamp = JSON.parse(readFileSync(join(folder, 'stamp.json'), 'utf8'));
    return stamp.recipe === recipe && built.every((file) => stamp[file] === sha256(readFileSync(join(folder, file))));
  } catch {
    return false;
  }
}

/** Installs the Debian packages that the recipe needs; answers whether they are all there. */
function installPackages(name) {
  const wanted = spawnSync('bash', [join(recipes, 'build.sh'), '--packages', name], { encoding: 'utf8' });
  const packages = wanted.stdout.trim().split(/\s+/);
  const installed = () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
    const query = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...packages], {
      encoding: 'utf8',
    });
    const lines = new Set((query.stdout ?? '').split('\n'));
    return packages.filter((one) => !lines.has(`${one} installed`));
  };
  const missing = installed();
  if (missing.length === 0) return true;
  if (process.getuid?.() === 0) {
    console.log(`guest ${name}: installing ${missing.join(' ')}`);
    const quiet = {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    };
    spawnSync('apt-get', ['-qq', 'update'], quiet);
    spawnSync('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...missing], quiet);
    if (installed().length === 0) return true;
  }
  console.error(`guest ${name}: to build it, run as root: apt-get install ${missing.join(' ')}`);
  return false;
}

/** Builds a guest into the cache. Answers its folder, or undefined after saying what is wrong. */
function build(name, folder, recipe) {
  if (process.platform !== 'linux' || spawnSync('apt-get', ['--version']).status !== 0) {
    console.error(
      `guest ${name}: it can be built on Debian only; elsewhere let POWERVISOR_GUESTS name a folder with ${files
        .map((file) => `${name}/${file}`)
        .join(' and ')}`,
    );
    return undefined;
  }
  console.log(`guest ${name}: building it from Debian's packages, once (some minutes)`);
  if (!installPackages(name)) return undefined;
  const work = join(cacheFolder(), `build-${name}-${process.pid}`);
  const out = join(work, 'out');
  mkdirSync(out, { recursive: true });
  const result = spawnSync('bash', [join(recipes, 'build.sh'), name, out, work], { stdio: 'inherit' });
  if (result.status !== 0) {
    console.error(`guest ${name}: the build failed; its folder is ${work}`);
    return undefined;
  }
  const wrong = fault(out);
  if (wrong) {
    console.error(`guest ${name}: the build's result cannot boot: ${wrong}`);
    return undefined;
  }
  const stamp = Object.fromEntries(built.map((file) => [file, sha256(readFileSync(join(out, file)))]));
  writeFileSync(join(out, 'stamp.json'), `${JSON.stringify({ recipe, ...stamp }, null, 2)}\n`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, '..'), { recursive: true });
  renameSync(out, folder);
  rmSync(work, { recursive: true, force: true });
  return folder;
}

/** The folder of a guest's files, built now if need be; undefined (with a message) where that cannot be done. */
export function guest(name) {
  const ready = process.env.POWERVISOR_GUESTS;
  if (ready) {
    const folder = join(ready, name);
    if (files.every((file) => existsSync(join(folder, file)) && statSync(join(folder, file)).isFile())) return folder;
    console.error(`guest ${name}: POWERVISOR_GUESTS has no ${join(folder, files[0])}; using the cache`);
  }
  const folder = join(cacheFolder(), 'guests', name);
  const recipe = recipeHash(name);
  return isCurrent(folder, recipe) ? folder : build(name, folder, recipe);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const folder = guest(process.argv[2] ?? '440');
  if (folder) console.log(folder);
  process.exit(folder ? 0 : 1);
}
