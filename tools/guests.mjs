/**
 * Finds a guest's files, making them if need be. They are in the folder that POWERVISOR_GUESTS names, if it has this
 * guest, else in the cache ($XDG_CACHE_HOME/powervisor/guests), where the recipe of guests/ puts them.
 *
 * `node tools/guests.mjs [GUEST] [--update] [--mirror MIRROR]` prints the folder; `--update` makes it anew.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { fail, root, setUp } from './setup.mjs';

const recipes = join(root, 'guests');
/** Files of which each guest has one to boot. */
const kernelOf = (name) => (/^(440|e500)\b/.test(name) ? 'uImage' : 'vmlinux');
/** A root file system of packages is so large that the guest's kernel should not have to inflate it. */
const initrdOf = (name) => (packageRecipe(name)?.root && !diskOf(name) ? 'initramfs.cpio.zst' : 'initramfs.cpio.gz');
/** The disk that a guest is installed on, if it is. */
const diskOf = (name) => (packageRecipe(name)?.disk ? 'disk.qcow2' : undefined);
/** A recipe may be for firmware: the files of a package. */
const firmwareOf = (name) => packageRecipe(name)?.firmware?.files.map((file) => basename(file));
/** Whether it is compiled as an image of `powervisor run`, without benchmarks. */
const isCompiledImage = (name) =>
  !packageRecipe(name) && /^userland=run$/m.test(readFileSync(join(recipes, name, 'recipe.sh'), 'latin1'));
/** What an image of `powervisor run` has beside kernel and initial RAM disk. */
const runFilesOf = (name) =>
  isCompiledImage(name) ? ['run.cpio', 'initramfs-32.cpio.gz'] : packageRecipe(name)?.run ? ['run.cpio'] : [];
/** All that the recipe makes. */
const builtOf = (name) =>
  firmwareOf(name) ??
  [...new Set([kernelOf(name), 'vmlinux', initrdOf(name), ...runFilesOf(name), diskOf(name)])].filter(Boolean);

/** The recipe of a guest of Debian's own packages; undefined for one that build.sh compiles. */
function packageRecipe(name) {
  const file = join(recipes, name, 'recipe.json');
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

export const guestNames = readdirSync(recipes).filter((name) =>
  ['recipe.sh', 'recipe.json'].some((file) => existsSync(join(recipes, name, file))),
);

function cacheFolder() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'powervisor');
}

/** A compiled guest's own folder, and those that its recipe builds on. */
function partsOf(name) {
  const recipe = readFileSync(join(recipes, name, 'recipe.sh'), 'latin1');
  return [name, ...[...recipe.matchAll(/^(?:base|with)=(\S+)$/gm)].map((match) => match[1])];
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
  const folders = packageRecipe(name) ? ['userland', name] : ['common', 'userland', 'soft-float', ...partsOf(name)];
  for (const folder of folders) add(join(recipes, folder));
  add(join(root, 'tools', 'guests'));
  for (const file of ['busybox', 'cpio', 'run-archive'])
    hash.update(readFileSync(join(root, 'src', 'node', 'run', `${file}.ts`)));
  if (!packageRecipe(name)) hash.update(readFileSync(join(recipes, 'build.sh')));
  return hash.digest('hex');
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

function firstBytes(file, count) {
  const bytes = Buffer.alloc(count);
  const descriptor = openSync(file, 'r');
  readSync(descriptor, bytes, 0, count, 0);
  closeSync(descriptor);
  return bytes;
}

const ZSTD_MAGIC = 0xfd2fb528;
const ELF_MAGIC = 0x7f454c46;

/** Why a freshly built guest is not fit to boot, or undefined. */
function fault(name, folder) {
  const firmware = firmwareOf(name);
  if (firmware) {
    const wrong = firmware.find((file) => firstBytes(join(folder, file), 4).readUInt32BE(0) !== ELF_MAGIC);
    return wrong && `${wrong} is not an ELF file`;
  }
  const kernel = join(folder, kernelOf(name));
  const { size } = statSync(kernel);
  const head = firstBytes(kernel, 64);
  if (size < 1_000_000) return `${kernelOf(name)} is too small`;
  if (kernelOf(name) === 'uImage') {
    if (head.readUInt32BE(0) !== 0x27051956) return 'uImage is not a U-Boot image';
    if (head.readUInt32BE(12) !== size - 64) return 'uImage has not the length that its header says';
  } else if (head.readUInt32BE(0) !== ELF_MAGIC) return 'vmlinux is not an ELF file';
  const recipe = packageRecipe(name);
  const initrd = join(folder, initrdOf(name));
  if (recipe?.root && !recipe.disk) {
    const whole = statSync(initrd).size > 1_000_000 && firstBytes(initrd, 4).readUInt32LE(0) === ZSTD_MAGIC;
    return whole ? undefined : `${initrdOf(name)} is not a zstd file, or too small`;
  }
  const hasBenchmarks = recipe ? recipe.benchmarks : !isCompiledImage(name);
  const programs = !hasBenchmarks ? [] : ['bench.sh', 'bin/bench-int', 'bin/bench-sys'];
  try {
    const archive = gunzipSync(readFileSync(initrd));
    const missing = ['init', 'bin/busybox', 'bin/sh', ...programs].find((one) => !archive.includes(`${one}\0`));
    return missing && `${initrdOf(name)} has no ${missing}`;
  } catch {
    return `${initrdOf(name)} is not a gzip file`;
  }
}

/** What is remembered of a file: while size and time are the same, it is not read again to be compared. */
function stampOf(file, sum) {
  const { size, mtimeMs } = statSync(file);
  return { size, mtimeMs, sha256: sum ?? sha256(readFileSync(file)) };
}

/** Whether a cached guest is whole and made by the recipe as it is now. */
function isCurrent(name, folder, recipe) {
  try {
    const stampFile = join(folder, 'stamp.json');
    const stamp = JSON.parse(readFileSync(stampFile, 'utf8'));
    if (stamp.recipe !== recipe) return false;
    let changed = false;
    for (const file of builtOf(name)) {
      const known = stamp.files[file];
      const path = join(folder, file);
      const { size, mtimeMs } = statSync(path);
      if (size !== known.size) return false;
      if (mtimeMs === known.mtimeMs) continue;
      if (sha256(readFileSync(path)) !== known.sha256) return false;
      stamp.files[file] = stampOf(path, known.sha256);
      changed = true;
    }
    if (changed) writeFileSync(stampFile, `${JSON.stringify(stamp, null, 2)}\n`);
    return true;
  } catch {
    return false;
  }
}

/** Debian packages that have to be installed to make a guest. */
function packagesFor(name) {
  const recipe = packageRecipe(name);
  if (recipe) return recipe.benchmarks?.packages ?? [];
  const wanted = spawnSync('bash', [join(recipes, 'build.sh'), '--packages', name], { encoding: 'utf8' });
  return wanted.stdout.trim().split(/\s+/);
}

/** Installs the Debian packages that the recipe needs; answers whether they are all there. */
function installPackages(name) {
  const packages = packagesFor(name);
  if (packages.length === 0) return true;
  if (process.platform !== 'linux' || spawnSync('apt-get', ['--version']).status !== 0) {
    const files = [kernelOf(name), initrdOf(name)].map((file) => `${name}/${file}`).join(' and ');
    console.error(
      `guest ${name}: it can be built on Debian only; elsewhere let POWERVISOR_GUESTS name a folder with ${files}`,
    );
    return false;
  }
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

/** About as much is downloaded for a guest of packages. */
const megabytesOf = (recipe) => (recipe.firmware ? 8 : recipe.root ? 200 : 60);

/** Makes a guest in the cache. Answers its folder, or undefined after saying what is wrong. */
function build(name, folder, recipeStamp, mirror) {
  const node = setUp();
  const recipe = packageRecipe(name);
  console.log(
    recipe
      ? `guest ${name}: making it of Debian's packages, once (a download of some ${megabytesOf(recipe)} MB)`
      : `guest ${name}: building it from Debian's packages, once (some minutes)`,
  );
  if (!installPackages(name)) return undefined;
  const work = join(cacheFolder(), `build-${name}-${process.pid}`);
  const out = join(work, 'out');
  mkdirSync(out, { recursive: true });
  const maker = recipe?.firmware ? ['firmware.ts'] : ['guests', 'from-packages.ts'];
  const [command, ...words] = recipe
    ? [node, join(root, 'tools', ...maker), name, out]
    : ['bash', join(recipes, 'build.sh'), name, out, work];
  const env = { ...process.env, POWERVISOR_NODE: node, ...(mirror && { POWERVISOR_MIRROR: mirror }) };
  const result = spawnSync(command, words, { stdio: ['ignore', 'inherit', 'inherit'], env });
  if (result.status !== 0) {
    // What the packages' client could not do it has said itself, and it leaves nothing to look at.
    if (recipe) rmSync(work, { recursive: true, force: true });
    else console.error(`guest ${name}: the build failed; its folder is ${work}`);
    return undefined;
  }
  const wrong = fault(name, out);
  if (wrong) {
    console.error(`guest ${name}: the build's result cannot boot: ${wrong}`);
    return undefined;
  }
  const files = Object.fromEntries(builtOf(name).map((file) => [file, stampOf(join(out, file))]));
  writeFileSync(join(out, 'stamp.json'), `${JSON.stringify({ recipe: recipeStamp, files }, null, 2)}\n`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, '..'), { recursive: true });
  renameSync(out, folder);
  rmSync(work, { recursive: true, force: true });
  return folder;
}

/**
 * The paths of a guest's kernel and initial RAM disk and their folder, made now if need be; undefined (with a message)
 * where that cannot be done. Firmware is a guest of its folder alone. `make: false`: undefined, and no message, when it is not there already.
 */
export function guest(name, { update = false, make = true, mirror } = {}) {
  if (!guestNames.includes(name)) {
    console.error(`guest ${name}: there is no such guest; there is: ${guestNames.join(', ')}`);
    return undefined;
  }
  const ready = process.env.POWERVISOR_GUESTS;
  const files = firmwareOf(name) ?? [kernelOf(name), initrdOf(name)];
  const answer = (folder) => ({ folder, kernel: join(folder, files[0]), initrd: join(folder, files[1] ?? '') });
  if (ready && !update) {
    const folder = join(ready, name);
    if (files.every((file) => statSync(join(folder, file), { throwIfNoEntry: false })?.isFile())) return answer(folder);
    // A folder of ready guests need not have what takes no compiler to make.
    if (make && (!packageRecipe(name) || existsSync(folder)))
      console.error(`guest ${name}: POWERVISOR_GUESTS has no ${join(folder, files[0])}; using the cache`);
  }
  const folder = join(cacheFolder(), 'guests', name);
  const recipe = recipeHash(name);
  if (!update && isCurrent(name, folder, recipe)) return answer(folder);
  const made = make && build(name, folder, recipe, mirror);
  return made ? answer(made) : undefined;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  let parsed;
  try {
    parsed = parseArgs({
      options: { update: { type: 'boolean' }, mirror: { type: 'string' } },
      allowPositionals: true,
    });
  } catch (error) {
    fail(error.message);
  }
  const found = guest(parsed.positionals[0] ?? '440', parsed.values);
  if (found) console.log(found.folder);
  process.exit(found ? 0 : 1);
}
