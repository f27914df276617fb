/**
 * `npm start [MACHINE] [-- WORDS]`: boots Linux to a shell on this terminal, on the default machine or the one that is
 * named. `--mirror 'URL [SUITE]'` says where its packages come from; other words go to `powervisor boot`.
 */
import { join } from 'node:path';
import { buildCommand } from './build.mjs';
import { guest } from './guests.mjs';
import { fail, root, run, setUp } from './setup.mjs';

const machines = {
  440: {
    title: 'a bamboo board',
    guest: '440',
    words: ['--machine', 'bamboo', '--append', 'console=ttyS0'],
  },
  e500: {
    title: 'an e500 machine',
    guest: 'e500',
    words: ['--machine', 'ppce500', '--append', 'console=ttyS0'],
  },
  g3beige: {
    title: 'a Power Macintosh G3',
    guest: 'book3s32',
    words: ['--machine', 'g3beige', '--append', 'console=ttyPZ0'],
  },
  pseries: {
    title: 'a POWER8 server',
    guest: 'debian',
    words: ['--machine', 'pseries', '--cpu', 'power8', '--memory', '1G', '--append', 'console=hvc0'],
  },
};
const DEFAULT_MACHINE = 'pseries';

/** Takes `--mirror MIRROR` or `--mirror=MIRROR` out of the words. */
function takeMirror(words) {
  const index = words.findIndex((word) => /^--mirror(=|$)/.test(word));
  if (index < 0) return undefined;
  const [word] = words.splice(index, 1);
  if (word.startsWith('--mirror=')) return word.slice('--mirror='.length);
  return words.splice(index, 1)[0] ?? fail("--mirror takes the URL of a mirror of Debian: --mirror 'URL [SUITE]'");
}

const words = process.argv.slice(2);
const mirror = takeMirror(words);
const named = words[0]?.startsWith('-') === false ? words.shift() : DEFAULT_MACHINE;
const machine = Object.hasOwn(machines, named) ? machines[named] : undefined;
if (!machine) fail(`npm start has no machine '${named}'; there is: ${Object.keys(machines).join(', ')}`);

const node = setUp();
const found = guest(machine.guest, { mirror });
if (!found) fail("there is no guest to boot (see above; 'npm start' tries again)");
await buildCommand();
console.log(`powervisor: starting Linux on ${machine.title}; Ctrl-A x ends it, Ctrl-A h tells the other keys`);
const images = ['--kernel', found.kernel, '--initrd', found.initrd];
process.exit(await run(node, [join(root, 'bin', 'powervisor.mjs'), 'boot', ...machine.words, ...images, ...words]));
