/**
 * `npm run hostile`: images that are made to overwhelm their host (images.ts) under the command, the library and Chromium. None
 * may end but by its time, keep the event loop waiting, or take much memory.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exit } from 'node:process';
import { pathToFileURL } from 'node:url';
import { Command, CommanderError } from 'commander';
import { buildCommand, root } from '../../bench/contenders.ts';
import { formatTable } from '../../bench/table.ts';
import { run } from '../npm/children.ts';
import { findBrowser, openPage } from '../web/browser.ts';
import { IMAGES } from './images.ts';
import type { Measured } from './measure.ts';

const MAX_TURN_MS = 250;
const MAX_RESIDENT_BYTES = 600e6;
/** A program may take so much longer than its guest has. */
const PATIENCE_MS = 120_000;
/** What other programs take of the clock is not the guest's: where only the clock tells, the best of so many tries counts. */
const TRIES = 3;
const TIMED_OUT = 124;
const MEMORY_SAMPLE_MS = 200;

const WAYS = [
  'command',
  'command --icount',
  'library',
  'library, no thread',
  'library, icount',
  'page, worker',
  'page, no worker',
] as const;
type Way = (typeof WAYS)[number];

interface Result {
  /** Undefined: it ended by its time. */
  readonly problem?: string;
  readonly turnMs: number;
  readonly residentBytes: number;
}

const here = (name: string): string => join(import.meta.dirname, name);

/** Runs a program that measures itself. */
async function measured(words: readonly string[], status: number, folder: string): Promise<Result> {
  const file = join(folder, 'measured.json');
  rmSync(file, { force: true });
  const { NODE_OPTIONS: _, ...env } = process.env;
  const [program = '', ...rest] = words;
  const ended = await run(program, rest, {
    cwd: folder,
    env: {
      ...env,
      POWERVISOR_MEASURE: file,
      NODE_OPTIONS: `--import ${pathToFileURL(here('measure.ts'))}`,
    },
    timeoutMs: PATIENCE_MS,
  });
  const what = ended.error?.message ?? `status ${ended.status}: ${ended.stdout}${ended.stderr}`.trim().slice(0, 200);
  if (ended.status !== status) return { problem: what, turnMs: Number.NaN, residentBytes: Number.NaN };
  const { cpuMs, residentBytes } = JSON.parse(readFileSync(file, 'utf8')) as Measured;
  return { turnMs: cpuMs, residentBytes };
}

/** The most memory that a renderer among our descendants has. */
async function rendererBytes(): Promise<number> {
  const { stdout } = await run('ps', ['-e', '-o', 'pid=,ppid=,rss=,args='], {
    cwd: root,
    env: process.env,
    timeoutMs: PATIENCE_MS,
  });
  const rows = stdout.split('\n').map((line) => /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line));
  const parents = new Map(rows.map((row) => [Number(row?.[1]), Number(row?.[2])]));
  const isOurs = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at))
      if (at === process.pid) return true;
    return false;
  };
  const bytes = rows.map((row) =>
    row?.[4]?.includes('--type=renderer') && isOurs(Number(row[1])) ? Number(row[3]) * 1024 : 0,
  );
  return Math.max(0, ...bytes);
}

/** What a page does; in a worker, how late it answers tells how long its slices are. */
const pageScript = (worker: boolean, seconds: number): string => `
  const { createMachine } = await import('powervisor/browser');
  const kernel = new Uint8Array(await (await fetch('/image/image.bin')).arrayBuffer());
  const options = { board: 'bare', console: { write() {} }, kernel, noReboot: true, timeoutNs: ${seconds * 1e9} };
  const machine = await createMachine({ ...options, worker: ${worker ? 'undefined' : 'false'} });
  let [longest, last, running] = [0, performance.now(), true];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) port2.postMessage(0);
  };
  port2.postMessage(0);
  const asked = (async () => {
    while (running) {
      const before = performance.now();
      await machine.stats();
      longest = Math.max(longest, performance.now() - before);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  const end = await machine.run();
  running = false;
  result = { end: end.cause, turnMs: longest };
  await asked;
  machine.close();`;

async function inPage(browser: string, worker: boolean, seconds: number, folder: string): Promise<Result> {
  let residentBytes = 0;
  let open = true;
  const sampled = (async () => {
    while (open) {
      residentBytes = Math.max(residentBytes, await rendererBytes());
      await new Promise((resolve) => setTimeout(resolve, MEMORY_SAMPLE_MS));
    }
  })();
  try {
    const answer = (await openPage(browser, {
      isolated: true,
      folders: { app: root, image: folder },
      imports: { 'powervisor/browser': '/app/dist/browser.js' },
      script: pageScript(worker, seconds),
    })) as { end?: string; turnMs?: number; error?: string };
    const { end, turnMs = Number.NaN, error } = answer;
    const problem = error ?? (end === 'timeout' ? undefined : `it ended: ${end}`);
    return { turnMs, residentBytes, ...(problem !== undefined && { problem }) };
  } catch (error) {
    return { problem: String(error).slice(0, 200), turnMs: Number.NaN, residentBytes };
  } finally {
    open = false;
    await sampled;
  }
}

async function runImage(way: Way, seconds: number, folder: string, browser: string | undefined): Promise<Result> {
  const image = join(folder, 'image.bin');
  const boot = [join(root, 'bin/powervisor'), 'boot', '--machine', 'bare', '--no-reboot', '--code-cache', 'off'];
  const command = [...boot, '--kernel', image, '--timeout', String(seconds)];
  const library = [process.execPath, here('library.ts'), image, String(seconds)];
  switch (way) {
    case 'command':
      return measured(command, TIMED_OUT, folder);
    case 'command --icount':
      return measured([...command, '--icount', '0'], TIMED_OUT, folder);
    case 'library':
      return measured([...library, 'thread'], 0, folder);
    case 'library, no thread':
      return measured([...library, 'none'], 0, folder);
    case 'library, icount':
      return measured([...library, 'icount'], 0, folder);
    default: {
      if (browser === undefined)
        return { problem: 'there is no Chromium', turnMs: Number.NaN, residentBytes: Number.NaN };
      const worker = way === 'page, worker';
      let best = await inPage(browser, worker, seconds, folder);
      for (let tries = 1; tries < TRIES && best.problem === undefined && best.turnMs > MAX_TURN_MS; tries++) {
        const again = await inPage(browser, worker, seconds, folder);
        if (again.problem !== undefined || again.turnMs < best.turnMs) best = again;
      }
      return best;
    }
  }
}

const verdict = ({ problem, turnMs, residentBytes }: Result): string => {
  if (problem !== undefined) return problem;
  if (turnMs > MAX_TURN_MS) return `a turn took ${turnMs.toFixed(0)} ms`;
  return residentBytes > MAX_RESIDENT_BYTES ? `it took ${(residentBytes / 1e6).toFixed(0)} MB` : '';
};

async function main(only: string, ways: readonly Way[], seconds: number): Promise<number> {
  const images = [...IMAGES].filter(([name]) => name.includes(only));
  const browser = findBrowser();
  await buildCommand();
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-hostile-'));
  const rows = new Map(ways.map((way) => [way, { turnMs: 0, residentBytes: 0, failed: 0 }]));
  try {
    for (const [name, make] of images) {
      writeFileSync(join(folder, 'image.bin'), make());
      for (const way of ways) {
        const result = await runImage(way, seconds, folder, browser);
        const problem = verdict(result);
        const row = rows.get(way) as { turnMs: number; residentBytes: number; failed: number };
        row.turnMs = Math.max(row.turnMs, result.turnMs || 0);
        row.residentBytes = Math.max(row.residentBytes, result.residentBytes || 0);
        if (problem) row.failed++;
        const figures = `${result.turnMs.toFixed(0)} ms, ${(result.residentBytes / 1e6).toFixed(0)} MB`;
        console.log(`${problem ? 'FAIL' : 'ok  '} ${name}, ${way}: ${figures}${problem && `: ${problem}`}`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const table = [...rows].map(([way, { turnMs, residentBytes, failed }]) => [
    way,
    turnMs.toFixed(0),
    (residentBytes / 1e6).toFixed(0),
    `${failed} of ${images.length}`,
  ]);
  console.log(`\n${formatTable(['way', 'longest turn, ms', 'most memory, MB', 'failed'], table, true)}`);
  return [...rows.values()].some(({ failed }) => failed > 0) ? 1 : 0;
}

try {
  const program = new Command('hostile')
    .description('runs images that are made to overwhelm their host')
    .option('--only <part>', 'images with this in their names, which are printed', '')
    .option('--ways <ways...>', WAYS.join('; '), [...WAYS])
    .option('--seconds <n>', 'how long each runs', '4')
    .exitOverride()
    .parse();
  const { only, ways, seconds } = program.opts<{ only: string; ways: Way[]; seconds: string }>();
  const unknown = ways.find((way) => !WAYS.includes(way));
  if (unknown !== undefined || !(Number(seconds) > 0)) {
    console.error(unknown === undefined ? `'${seconds}' is not a number of seconds` : `there is no way '${unknown}'`);
    exit(2);
  }
  exit(await main(only, ways, Number(seconds)));
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  exit(error.exitCode === 0 ? 0 : 2);
}
