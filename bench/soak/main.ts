/**
 * `npm run soak`: hours of compiling, Python and shell in the guest debian-tools, with the host's memory and the counters of
 * translations by the minute in a file, and a verdict at the end.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { ConsoleError, GuestConsole } from '../../test/guest-suite/console.ts';
import { bootCommand, debianTools, machineNames } from '../../test/guest-suite/machines.ts';
import { buildCommand, guestFolder, root } from '../contenders.ts';
import { BenchError } from '../errors.ts';
import { judge, type Sample, tableOf } from './samples.ts';

interface Options {
  minutes: string;
  every: string;
  on: string;
  out: string;
}

const BOOT_SECONDS = 900;
/** Without a line from the work for so long, it hangs. */
const SILENCE_MINUTES = 20;

/** Resident memory of a process, MB. */
function residentMb(pid: number): number {
  const kb = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return (Number(kb ?? 0) * 1024) / 1e6;
}

/** The counters as the machine last wrote them; what is half written counts as nothing. */
function readStats(file: string): Record<string, number> {
  try {
    const entries = Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>);
    return Object.fromEntries(entries.filter((entry): entry is [string, number] => typeof entry[1] === 'number'));
  } catch {
    return {};
  }
}

const sleep = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

async function soak(options: Options): Promise<number> {
  const [minutes, every] = [Number(options.minutes), Number(options.every)];
  if (!(minutes > 0) || !(every > 0)) throw new BenchError('--minutes and --every take numbers', 2);
  const folder = await guestFolder(debianTools);
  await buildCommand();
  const scratch = mkdtempSync(join(tmpdir(), 'powervisor-soak-'));
  const stats = join(scratch, 'stats.json');
  const more = options.on === 'qemu' ? [] : ['--stats', stats, '--stats-interval', String(Math.min(every / 2, 30))];
  let log = '';
  const guest = await GuestConsole.boot(bootCommand(options.on, folder, more), BOOT_SECONDS, (text) => (log += text));
  const samples: Sample[] = [];
  const write = (end: string): void => {
    const about = `${options.on}, ${minutes} minutes of work, process ${guest.pid}`;
    writeFileSync(options.out, `${about}\n\n${tableOf(samples)}\n${end}\n`);
    writeFileSync(`${options.out}.log`, log);
  };
  try {
    await guest.writeFile('/root/rounds.sh', readFileSync(join(root, 'bench', 'soak', 'rounds.sh'), 'utf8'));
    let ended: string | undefined;
    // The work ends only with the machine.
    guest.run('exec bash /root/rounds.sh', minutes * 120 + 3600).then(
      ({ status }) => (ended = `the work ended by itself with status ${status}`),
      (error) => (ended = (error as Error).message),
    );
    while (!/TOUCHED \d/.test(log) && ended === undefined) await sleep(1);
    const start = performance.now();
    const lines = (word: string): number => [...log.matchAll(new RegExp(`^ROUND .* ${word} `, 'gm'))].length;
    let silentSince = 0;
    for (let next = 0; ; next += every / 60) {
      await sleep(Math.max(0, next * 60 - (performance.now() - start) / 1000));
      const minute = (performance.now() - start) / 60_000;
      if (ended !== undefined) break;
      const [done, wrong] = [lines('ok'), lines('WRONG')];
      if (done + wrong > (samples.at(-1)?.done ?? 0) + (samples.at(-1)?.wrong ?? 0)) silentSince = minute;
      samples.push({ minute, residentMb: residentMb(guest.pid), done, wrong, stats: readStats(stats) });
      write('(it goes on)');
      if (minute - silentSince > SILENCE_MINUTES) ended = `nothing was done for ${SILENCE_MINUTES} minutes`;
      if (minute >= minutes || ended !== undefined) break;
    }
    const verdict = judge(samples);
    const end = ended === undefined ? verdict.text : `BROKEN: ${ended}; until then ${verdict.text}`;
    write(end);
    console.log(end);
    return ended === undefined && verdict.flat && samples.at(-1)?.wrong === 0 ? 0 : 1;
  } finally {
    await guest.kill();
    rmSync(scratch, { recursive: true });
  }
}

try {
  const options = new Command('soak')
    .description('hours of work in a guest of Debian, and the memory that they take')
    .option('--minutes <n>', 'how long, after the boot', '120')
    .option('--every <seconds>', 'between two samples', '60')
    .option('--on <machine>', machineNames.join(', '), 'assist')
    .option('--out <file>', 'the table; the console goes to the same name with .log', 'soak.md')
    .exitOverride()
    .parse()
    .opts<Options>();
  if (!machineNames.includes(options.on))
    throw new BenchError(`there is no machine '${options.on}'; there is: ${machineNames.join(', ')}`, 2);
  process.exitCode = await soak(options);
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof ConsoleError || error instanceof BenchError) {
    console.error(`soak: ${error.message}`);
    process.exitCode = error instanceof BenchError ? error.status : 1;
  } else throw error;
}
