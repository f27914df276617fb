/**
 * `npm run run-many -- [RUNS [AT_ONCE [IMAGE]]]`: so many commands, each in a machine of its own, in this process and by the command in
 * turn. None may be wrong; each has other random numbers, another boot id and the clock of now; and when all are over no file,
 * process or memory is left.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { codeCacheFolder } from '../../../src/node/code-cache.ts';
import { run } from '../../../src/node/run/index.ts';
import { powervisor } from '../../cli/command.ts';

const [runs = 1000, atOnce = 1] = process.argv.slice(2, 4).map(Number);
const image = process.argv[4] ?? 'debian';
const SCRIPT = 'date +%s; cat /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | md5sum; echo $0; exit 3';

const listed = (folder: string): number => (existsSync(folder) ? readdirSync(folder, { recursive: true }).length : 0);
const openFiles = (): number => listed('/proc/self/fd');
const children = (): number =>
  readdirSync('/proc').filter((one) => /^\d+$/.test(one) && existsSync(`/proc/${one}/exe`)).length;
const cached = (): number =>
  ['templates', 'images'].reduce((sum, name) => sum + listed(join(codeCacheFolder(), name)), 0);
const megabytes = (): number => Math.round(process.memoryUsage().rss / 2 ** 20);

/** Output and status of one run, by the library or by the command. */
async function once(number: number): Promise<{ text: string; status: unknown }> {
  if (number % 2 === 0) {
    const { stdout, status } = await run(['sh', '-c', SCRIPT, String(number)], { image, folder: false });
    return { text: Buffer.from(stdout).toString(), status };
  }
  const words = ['run', '--image', image, '--no-folder', '--', 'sh', '-c', SCRIPT, String(number)];
  const child = spawn(powervisor, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (piece) => (text += piece));
  const status = await new Promise((resolve) => child.on('close', resolve));
  return { text, status };
}

const seen = { boot: new Set<string>(), random: new Set<string>() };
const wrong: string[] = [];
const times: number[] = [];
let next = 0;
async function worker(): Promise<void> {
  for (let number = next++; number < runs; number = next++) {
    const [start, before] = [performance.now(), Math.floor(Date.now() / 1000)];
    const { text, status } = await once(number);
    times.push(performance.now() - start);
    const [clock = '', boot = '', random = '', name = ''] = text.split('\n');
    const isNow = Number(clock) >= before && Number(clock) <= Date.now() / 1000;
    if (status !== 3 || name !== String(number) || !isNow) wrong.push(`run ${number}: status ${status}, ${text}`);
    seen.boot.add(boot);
    seen.random.add(random);
    if ((number + 1) % 100 === 0) console.log(`${number + 1} runs, ${megabytes()} MB`);
  }
}

// What is made once is made first.
await once(0);
await once(1);
const [files, kept, memory, processes] = [openFiles(), cached(), megabytes(), children()];
times.length = 0;
await Promise.all(Array.from({ length: atOnce }, worker));
const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
const more = { files: openFiles() - files, cached: cached() - kept, megabytes: megabytes() - memory };
for (const one of wrong.slice(0, 10)) console.log(one);
console.log(
  `${runs} runs, ${atOnce} at once: ${wrong.length} wrong, ${seen.boot.size} boot ids, ${seen.random.size} random numbers; ` +
    `left: ${more.files} files, ${more.cached} in the cache, ${more.megabytes} MB of ${megabytes()}; ` +
    `processes ${processes} before, ${children()} after (of the whole computer); median ${median.toFixed(0)} ms`,
);
const isGood =
  wrong.length === 0 && seen.boot.size === runs && seen.random.size === runs && more.files <= 0 && more.cached <= 0;
process.exitCode = isGood ? 0 : 1;
