/**
 * `npm test`: all set-up, then the type check, the linter, the import check and the tests. `npm test -- FILES` runs only
 * those test files.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildCommand } from './build.mjs';
import { guest } from './guests.mjs';
import { root, run, setUp } from './setup.mjs';

const node = setUp();
const chosen = process.argv.slice(2);
const bin = join(root, 'node_modules', '.bin');

/** Runs a check with its output held back: only what fails is shown. Answers whether it passed. */
function check(name, command, args) {
  const start = Date.now();
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  return new Promise((resolve) => {
    child.on('error', (error) => (output += error.message));
    child.on('close', (status) => {
      console.log(`${name}: ${status === 0 ? 'passed' : 'FAILED'} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
      if (status !== 0) console.log(output);
      resolve(status === 0);
    });
  });
}

const failed = [];
if (chosen.length === 0) {
  const checks = [
    ['type check', join(bin, 'tsc'), []],
    ['type check of the core', join(bin, 'tsc'), ['-p', join(root, 'tools/core')]],
    ['lint', join(bin, 'biome'), ['check', '--error-on-warnings', '.']],
    ['import directions', node, [join(root, 'tools/check-imports.ts')]],
  ];
  for (const one of checks) if (!(await check(...one))) failed.push(one[0]);
}

// The tests that boot take the guest from here; without one they say so and are skipped.
// The servers' are not made for the tests, which would take longer than all of them.
const guests = {
  440: guest('440')?.folder,
  '440_DEVICES': guest('440-devices', { make: false })?.folder,
  E500_DEVICES: guest('e500-devices', { make: false })?.folder,
  BOOK3S64_DEVICES: guest('book3s64-devices', { make: false })?.folder,
  BOOK3S64: guest('book3s64', { make: false })?.folder,
  BOOK3S32: guest('book3s32', { make: false })?.folder,
  E500: guest('e500', { make: false })?.folder,
  DEBIAN: guest('debian', { make: false })?.folder,
  DEBIAN_TOOLS: guest('debian-tools', { make: false })?.folder,
  U_BOOT: guest('u-boot', { make: false })?.folder,
  PPC64EL: (guest('ppc64el', { make: false }) ?? guest('debian', { make: false }))?.folder,
};
await buildCommand();

const tests = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? tests(path) : path.endsWith('.test.ts') ? [path] : [];
  });
const files = chosen.length > 0 ? chosen : tests(join(root, 'test')).sort();
const env = { ...process.env };
for (const [name, folder] of Object.entries(guests)) if (folder) env[`POWERVISOR_TEST_GUEST_${name}`] = folder;
const status = await run(node, ['--test', '--test-concurrency=2', '--test-timeout=900000', ...files], { env });
if (failed.length > 0) console.error(`npm test: FAILED: ${failed.join(', ')} (see above)`);
process.exit(status !== 0 ? status : failed.length > 0 ? 1 : 0);
