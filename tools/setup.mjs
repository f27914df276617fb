/**
 * What a fresh clone needs before anything else can run: the npm packages, Node 26 among them. Plain JavaScript without
 * dependencies, because it runs on the system's own Node (20 or newer) when nothing is installed yet.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const node26 = join(modules, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');

const { signals } = constants;

const major = (version) => Number(/^v?(\d+)/.exec(version)?.[1] ?? 0);
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

/** Whether node_modules holds each package at the version that the lock file names. */
function packagesAreCurrent() {
  try {
    const wanted = readJson(join(root, 'package-lock.json')).packages;
    const present = readJson(join(modules, '.package-lock.json')).packages;
    return (
      existsSync(node26) &&
      Object.entries(wanted).every(([path, { version, optional }]) => {
        return path === '' || optional || present[path]?.version === version;
      })
    );
  } catch {
    return false;
  }
}

function npm(args, cwd = root) {
  // npm tells its scripts where it is itself; run by that path it needs no shell on any system.
  const self = process.env.npm_execpath;
  const options = { cwd, stdio: 'inherit', env: { ...process.env, npm_config_loglevel: 'error' } };
  const result = self?.endsWith('.js')
    ? spawnSync(process.execPath, [self, ...args], options)
    : spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
  return result.status === 0;
}

function versionOf(node) {
  const result = spawnSync(node, ['--version'], { encoding: 'utf8', shell: process.platform === 'win32' });
  return result.status === 0 ? major(result.stdout) : 0;
}

/** Installs the npm packages if they are missing or old; answers the path of the Node to run the sources with. */
export function setUp() {
  if (!packagesAreCurrent()) {
    const start = Date.now();
    console.log('set-up: installing npm packages …');
    if (!npm(['ci', '--include=dev']) && !npm(['install', '--include=dev'])) {
      fail('npm could not install the packages (see its message above)');
    }
    // Where npm does not run install scripts, Node 26 has not come yet.
    if (versionOf(node26) < 26 && existsSync(join(modules, 'node'))) {
      spawnSync(process.execPath, ['installArchSpecificPackage.js'], { cwd: join(modules, 'node'), stdio: 'inherit' });
    }
    console.log(`set-up: npm packages are there (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  }
  if (existsSync(node26)) return node26;
  if (major(process.version) >= 24) return process.execPath;
  return fail(`Node 24 or newer is needed (this is ${process.version}), and npm's package 'node' did not install`);
}

/** Runs a command in the clone with our terminal; answers its exit status. */
export function run(command, args, options = {}) {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit', ...options });
  // Signals are the child's to answer: Ctrl-C reaches it by the terminal, the others we pass on.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.on('SIGHUP', () => child.kill('SIGHUP'));
  return new Promise((resolve) => {
    child.on('error', (error) => fail(`cannot run ${command}: ${error.message}`));
    child.on('exit', (status, signal) => resolve(status ?? (signal ? 128 + signals[signal] : 1)));
  });
}

export function fail(message) {
  console.error(`powervisor: ${message}`);
  process.exit(1);
}
