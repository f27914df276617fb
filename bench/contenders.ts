/** Who runs: QEMU, and ours once for each way to serve privileged instructions. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseMemory } from '../src/cli/values.ts';
import { BenchError } from './errors.ts';
import type { Guest } from './guests.ts';

export const root = resolve(import.meta.dirname, '..');
const command = join(root, 'bin', 'powervisor');

export interface Contender {
  readonly name: string;
  /** It remembers runs: one that does not count comes first. */
  readonly fills?: boolean;
  /** The command that boots the guest with `append` as its kernel's command line. */
  command(append: string): string[];
}

export function qemuContender(guest: Guest, folder: string, name = 'qemu'): Contender {
  const images = ['-kernel', join(folder, guest.kernel), '-initrd', join(folder, guest.initrd)];
  return { name, command: (append) => [...guest.qemu, ...images, '-append', append] };
}

/** Ours, starting cold; `more` are further words for `powervisor boot`. */
export function ourContender(guest: Guest, folder: string, accel: string, more: readonly string[] = []): Contender {
  const images = ['--kernel', join(folder, guest.kernel), '--initrd', join(folder, guest.initrd)];
  const words = ['boot', ...guest.ours, ...images, '--accel', accel, '--no-reboot', '--code-cache', 'off', ...more];
  return { name: accel, command: (append) => [command, ...words, '--append', append] };
}

/** Ours with a memory of what was hot, which one run has filled; in a folder of its own that goes with this process. */
export function filledContender(guest: Guest, folder: string, accel: string): Contender {
  const cache = mkdtempSync(join(tmpdir(), 'powervisor-bench-'));
  process.on('exit', () => rmSync(cache, { recursive: true, force: true }));
  // The last of an option counts.
  return { ...ourContender(guest, folder, accel, ['--code-cache', cache]), name: 'filled', fills: true };
}

/** Ours as of another commit, built in a folder that goes with this process. @throws BenchError */
export function commitContender(guest: Guest, folder: string, accel: string, commit: string): Contender {
  const place = join(mkdtempSync(join(tmpdir(), 'powervisor-bench-')), 'tree');
  const git = (...words: string[]): void => {
    const { status, stderr } = spawnSync('git', words, { cwd: root, encoding: 'utf8' });
    if (status !== 0) throw new BenchError(`git ${words[0]}: ${stderr.trim().split('\n').at(-1)}`, 2);
  };
  git('clone', '--quiet', '--no-checkout', '--', root, place);
  git('-C', place, 'checkout', '--quiet', '--detach', commit);
  process.on('exit', () => rmSync(join(place, '..'), { recursive: true, force: true }));
  symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
  const built = spawnSync(process.execPath, ['tools/build.mjs'], { cwd: place, stdio: 'inherit' });
  if (built.status !== 0) throw new BenchError(`the commit ${commit} cannot be built`);
  const images = ['--kernel', join(folder, guest.kernel), '--initrd', join(folder, guest.initrd)];
  const words = ['boot', ...guest.ours, ...images, '--accel', accel, '--no-reboot'];
  // Older ones know no code cache, and have none.
  const help = spawnSync(join(place, 'bin/powervisor'), ['boot', '--help'], { encoding: 'utf8' }).stdout ?? '';
  if (help.includes('--code-cache')) words.push('--code-cache', 'off');
  return { name: commit, command: (append) => [join(place, 'bin/powervisor'), ...words, '--append', append] };
}

/** The library in a program of the user's, under Node as it is; and the command beside it. Both start cold. */
export function libraryContenders(guest: Guest, folder: string): Contender[] {
  const option = (name: string): string => guest.ours[guest.ours.indexOf(name) + 1] ?? '';
  const cpu = guest.ours.includes('--cpu') ? option('--cpu') : '';
  const megabytes = String(parseMemory(option('--memory')) / 2 ** 20);
  const images = [join(folder, guest.kernel), join(folder, guest.initrd)];
  const words = [join(root, 'bench/library.mjs'), option('--machine'), cpu, megabytes, 'assist', ...images];
  return [
    { ...ourContender(guest, folder, 'assist'), name: 'command' },
    { name: 'library', command: (append) => [process.execPath, ...words, append] },
  ];
}

/** QEMU's version. @throws BenchError with status 2 when it is not there. */
export function qemuVersion(guest: Guest): string {
  // Up to the machine, whatever runs it.
  const [program = '', ...words] = guest.qemu.slice(0, guest.qemu.indexOf('-M'));
  const result = spawnSync(program, [...words, '--version'], { encoding: 'utf8' });
  if (result.status !== 0)
    throw new BenchError(`${program} is not installed (Debian: package qemu-system-ppc); there is nothing to race`, 2);
  return result.stdout.split('\n')[0]?.replace(/^QEMU emulator version /, '') ?? '';
}

/** Runs a tool of the repo; its last line of output is the answer, the others are for the user. */
async function runTool(name: string, words: readonly string[]): Promise<string | undefined> {
  const child = spawn(process.execPath, [join(root, 'tools', name), ...words], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((done) => child.once('exit', done));
  let answer: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    if (answer !== undefined) console.error(answer);
    answer = line;
  }
  return (await ended) === 0 ? (answer ?? '') : undefined;
}

/** The folder of a guest's images: POWERVISOR_GUESTS, the cache, or built now. */
export async function guestFolder(guest: Guest): Promise<string> {
  const folder = await runTool('guests.mjs', [guest.name]);
  if (folder === undefined) throw new BenchError(`there is no guest ${guest.name} to measure (see above)`);
  return folder;
}

/** Compiles the command, as `npm start` does. */
export async function buildCommand(): Promise<void> {
  await runTool('build.mjs', []);
}

/** Whether a source is newer than `time` (milliseconds): what ran was then not always the same. */
export function sourcesChangedSince(time: number): boolean {
  const source = join(root, 'src');
  return readdirSync(source, { recursive: true, encoding: 'utf8' }).some(
    (name) => (statSync(join(source, name), { throwIfNoEntry: false })?.mtimeMs ?? 0) > time,
  );
}
