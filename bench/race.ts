/** The race: each round runs every contender once, one after the other, on the same guest and programs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ClockRate, clockRate, findProblems, parseConsole, type TimedLine } from './console-log.ts';
import type { Contender } from './contenders.ts';
import { CPU_TIME, commandLine, GUEST_READY, type Guest, LINUX_VERSION, metrics } from './guests.ts';
import { type Run, runMachine, type Typing } from './runner.ts';

/** One contender's run in one round. */
export interface Sample {
  readonly round: number;
  readonly contender: string;
  /** From the start of the process to its end. */
  readonly seconds: number;
  /** By the metrics' names. */
  readonly figures: Readonly<Record<string, number>>;
  readonly clock: ClockRate;
  /** Processor seconds by the threads' names. */
  readonly threads?: Readonly<Record<string, number>>;
}

/** What the guest does in each round. */
export interface Workload {
  /** The kernel's command line. */
  readonly append: string;
  readonly typing?: Typing;
  /** What is wrong with a run's output. */
  problems(lines: readonly TimedLine[]): string[];
  /** By the metrics' names. */
  figures(lines: readonly TimedLine[]): Record<string, number>;
}

/** The guest runs these programs and ends; none: it only boots. */
export function programsWorkload(guest: Guest, programs: readonly string[]): Workload {
  return {
    append: commandLine(guest, programs),
    problems: (lines) => findProblems(parseConsole(lines), metrics, programs),
    figures: (lines) =>
      Object.fromEntries([...parseConsole(lines).figures].map(([name, { value }]) => [name, value] as const)),
  };
}

export interface RaceOptions {
  readonly guest: Guest;
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  readonly workload: Workload;
  readonly timeoutSeconds: number;
  /** A folder for every run's console log. */
  readonly logs?: string | undefined;
}

export interface RaceResult {
  readonly samples: readonly Sample[];
  /** What went wrong, for the user; the race ended with it. */
  readonly failure?: string;
}

export async function race(options: RaceOptions): Promise<RaceResult> {
  const { guest, contenders, rounds, workload, timeoutSeconds, logs } = options;
  const samples: Sample[] = [];
  const boot = programsWorkload(guest, []);
  const start = (contender: Contender, { append, typing }: Workload): Promise<Run> =>
    runMachine(contender.command(append), timeoutSeconds, typing);
  // A boot of each that nobody counts: files into memory, compile caches filled.
  for (const contender of contenders) {
    const first = contender.fills ? workload : boot;
    const run = await start(contender, first);
    const failure = examine(run, first);
    if (failure !== undefined) return { samples, failure: describe('warm-up', contender, run, failure) };
  }
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      const run = await start(contender, workload);
      if (logs !== undefined) saveLog(logs, `${guest.name}-${contender.name}-${round}.log`, run);
      const failure = examine(run, workload);
      if (failure !== undefined) return { samples, failure: describe(`round ${round}`, contender, run, failure) };
      const sample = takeSample(round, contender.name, run, workload);
      samples.push(sample);
      const ready = sample.figures[GUEST_READY]?.toFixed(2);
      console.error(
        `round ${round}/${rounds} ${contender.name}: ready ${ready} s, whole run ${run.seconds.toFixed(1)} s`,
      );
    }
  }
  return { samples };
}

/** Why a run does not count, or undefined. */
function examine(run: Run, workload: Workload): string | undefined {
  if (run.timedOut) return `it had not ended after ${run.seconds.toFixed(0)} s and was killed`;
  const problems = workload.problems(run.lines);
  if (run.status !== 0) problems.unshift(`the exit status is ${run.status ?? run.signal}, not 0`);
  return problems.length > 0 ? problems.join('; ') : undefined;
}

function describe(when: string, contender: Contender, run: Run, failure: string): string {
  const tail = run.lines.slice(-15).map(({ text }) => `  | ${text}`);
  const errors = run.stderr.trimEnd().split('\n').slice(-5);
  return [
    `${when}, ${contender.name}: ${failure}`,
    ...tail,
    ...errors.filter(Boolean).map((line) => `  ! ${line}`),
  ].join('\n');
}

function takeSample(round: number, contender: string, run: Run, workload: Workload): Sample {
  const log = parseConsole(run.lines);
  const figures = workload.figures(run.lines);
  if (log.linuxVersion !== undefined) figures[LINUX_VERSION] = log.linuxVersion;
  if (log.ready !== undefined) figures[GUEST_READY] = log.ready.host;
  if (run.cpuSeconds !== undefined) figures[CPU_TIME] = run.cpuSeconds;
  return { round, contender, seconds: run.seconds, figures, clock: clockRate(log), threads: run.threads };
}

function saveLog(folder: string, name: string, run: Run): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), run.lines.map(({ at, text }) => `${at.toFixed(4)} ${text}\n`).join(''));
}
