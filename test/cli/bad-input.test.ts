/** A user's mistake gets one clear line on standard error, and a status that is not zero. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { run } from './command.ts';

const folder = mkdtempSync(join(tmpdir(), 'powervisor-test-'));
after(() => rmSync(folder, { recursive: true }));
const file = (name: string, contents: string | Uint8Array): string => {
  writeFileSync(join(folder, name), contents);
  return join(folder, name);
};

const empty = file('empty', '');
const text = file('text', 'This is no kernel.\n'.repeat(100));
const raw = file('raw', new Uint8Array(4096));
const elf = Uint8Array.from({ length: 256 }, () => 0);
elf.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
elf[18] = 3;
const foreign = file('i386.elf', elf);
const truncatedElf = file('truncated.elf', elf.subarray(0, 20));
const uImage = new Uint8Array(64);
uImage.set([0x27, 0x05, 0x19, 0x56]);
const badUImage = file('uImage', uImage);
const badGzip = file('bad.gz', Uint8Array.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff]));
mkdirSync(join(folder, 'folder'));
const directory = join(folder, 'folder');
const missing = join(folder, 'missing');

const boot = (kernel: string, ...more: string[]): string[] => [
  'boot',
  '--machine',
  'bamboo',
  '--kernel',
  kernel,
  ...more,
];

/** What is typed, the status, and what the line must say. */
const cases: readonly [words: string[], status: number, says: RegExp][] = [
  [['bood'], 2, /unknown command 'bood'/],
  [['boot'], 2, /--machine/],
  [['boot', '--machine', 'bamboo'], 2, /--kernel/],
  // What users of QEMU type, and slips.
  [['boot', '-M', 'bamboo', '-kernel', raw], 2, /unknown option '-M'; --machine NAME is meant/],
  [boot(raw, '-m', '256'), 2, /unknown option '-m'; --memory SIZE/],
  [boot(raw, '-m256'), 2, /--memory SIZE/],
  [['boot', '--machine', 'bamboo', '-kernel', raw], 2, /unknown option '-kernel'; --kernel FILE/],
  [boot(raw, '-append', 'quiet'), 2, /--append WORDS/],
  [boot(raw, '-smp', '2'), 2, /unknown option '-smp'; every machine has one processor/],
  [boot(raw, '-nographic'), 2, /the console is this terminal/],
  [boot(raw, '-no-reboot'), 2, /--no-reboot is meant/],
  [boot(raw, '-drive', 'file=x'), 2, /--disk FILE is meant/],
  [boot(raw, '-s'), 2, /--gdb 1234 is meant/],
  [boot(raw, '-bios', 'x'), 2, /--bios FILE is meant/],
  [['-M', 'bamboo'], 2, /--machine NAME is meant/],
  [['boot', '--machin', 'bamboo', '--kernel', raw], 2, /unknown option '--machin'.*--machine/],
  [['boot', '--machine', 'bamboo', '--kernl', raw], 2, /unknown option '--kernl'.*--kernel/],
  [['machines', 'all'], 2, /too many arguments/],
  [boot(raw, '--colour'), 2, /unknown option '--colour'/],
  [boot(raw, '--append'), 2, /--append.*argument missing/],
  [boot(raw, 'word'), 2, /too many arguments/],
  [boot(raw, '--memory', 'lots'), 2, /'lots' is not a memory size.*256M/],
  [boot(raw, '--memory', '0'), 2, /'0' is not a memory size/],
  [boot(raw, '--memory', '4096G'), 2, /4096G is more than/],
  [boot(raw, '--translation-memory', '1K'), 1, /translations need 1048576 bytes or more, not 1024/],
  [boot(raw, '--timeout', '-1'), 2, /'-1' is not a time-out/],
  [boot(raw, '--accel', 'kvm'), 2, /no way 'kvm'.*trap, pv, assist/],
  [boot(raw, '--accel', 'pv'), 2, /bamboo cannot run with accel "pv"; assist, trap would fit/],
  [boot(raw, '--cpu', 'power8'), 2, /bamboo has no processor "power8"; 440ep would fit/],
  [
    ['boot', '--machine', 'pseries', '--kernel', raw, '--cpu', '970'],
    2,
    /no processor "970"; power8, power7 would fit/,
  ],
  [boot(raw, '--icount', '99'), 2, /'99'.*0 to 10/],
  [['boot', '--machine', 'toaster', '--kernel', raw], 2, /toaster.*bamboo/],
  [boot(raw, '--memory', '3M'), 2, /3 MiB.*would fit/],
  [boot(raw, '--memory', '64G'), 2, /64 GiB.*would fit/],
  [boot(missing), 1, /kernel '.*missing'.*no such file/],
  [boot(directory), 1, /kernel '.*folder'.*is a folder/],
  [boot('/dev/zero'), 1, /kernel '\/dev\/zero'.*not a file/],
  [boot(`${raw}/x`), 1, /kernel.*not a folder/],
  [boot(empty), 1, /kernel/],
  [boot(text), 1, /./],
  [boot(foreign), 1, /kernel|ELF/],
  [boot(truncatedElf), 1, /kernel|ELF/],
  [boot(badUImage), 1, /kernel|uImage/],
  [boot(badGzip), 1, /kernel|gzip/],
  [boot(raw, '--initrd', missing), 1, /initrd '.*missing'.*no such file/],
  [boot(raw, '--dtb', missing), 1, /device tree '.*missing'.*no such file/],
  [boot(raw, '--dtb', directory), 1, /device tree.*folder/],
  [boot(raw, '--dtb', text), 1, /device tree/],
  [boot(raw, '--append', 'x'.repeat(5000)), 1, /command line.*5000/],
];

for (const [words, status, says] of cases) {
  const shown = words.map((word) => word.replace(`${folder}/`, '').slice(0, 20)).join(' ');
  test(`powervisor ${shown}`, async () => {
    const result = await run([...words, ...(words[0] === 'boot' && status === 1 ? ['--timeout', '20'] : [])]);
    assert.equal(result.status, status, result.stderr);
    assert.match(result.stderr, /^powervisor: [^\n]+\n$/);
    assert.match(result.stderr, says);
    assert.doesNotMatch(result.stderr, /undefined|NaN|\[object|at .*:\d+:\d+|ENOENT|errno/);
  });
}

test('powervisor without a command prints its help and fails', async () => {
  const result = await run([]);
  assert.equal(result.status, 2);
  assert.match(result.stdout + result.stderr, /Usage: powervisor/);
});

test('--help and --version succeed', async () => {
  assert.match((await run(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  const help = await run(['help', 'boot']);
  assert.equal(help.status, 0);
  assert.match(help.stdout, /--kernel <file>[\s\S]*Ctrl-A x/);
});

test('machines lists the bamboo board', async () => {
  const result = await run(['machines']);
  assert.equal(result.status, 0);
  assert.match(result.stdout, /^bamboo {2}/m);
});
