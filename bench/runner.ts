/** Starts one machine and watches it to its end. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { LineClock, type TimedLine } from './console-log.ts';
import { ThreadClock, TICKS_PER_SECOND } from './threads.ts';

export interface Run {
  readonly lines: readonly TimedLine[];
  readonly stderr: string;
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timedOut: boolean;
  /** From the start of the process to its end. */
  readonly seconds: number;
  /** User and system seconds of the process, where the system tells them (Linux). */
  readonly cpuSeconds?: number;
  /** The same by the threads' names, sampled. */
  readonly threads: Readonly<Record<string, number>>;
}

/** What is typed at the machine's console, once its output has `prompt` in it after a line that begins with `ready`. */
export interface Typing {
  readonly ready: string;
  readonly prompt: string;
  readonly text: string;
}

/** User and system seconds of our children that have ended; undefined where there is no /proc. */
function childrenCpuSeconds(): number | undefined {
  try {
    const fields = readFileSync('/proc/self/stat', 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
  } catch {
    return undefined;
  }
}

/** Calls `type` when the time to type has come. */
function typist({ ready, prompt }: Typing, type: () => void): (text: string) => void {
  let tail = '';
  let done = false;
  return (text) => {
    if (done) return;
    tail += text;
    const at = `\n${tail}`.indexOf(`\n${ready}`);
    if (at < 0) tail = tail.slice(-ready.length);
    else if (tail.includes(prompt, at)) {
      done = true;
      type();
    }
  };
}

/** Runs a command, without input or with what is to be typed, until it ends or the time is up. @throws what `spawn` says when it cannot start. */
export function runMachine(command: readonly string[], timeoutSeconds: number, typing?: Typing): Promise<Run> {
  const [program = '', ...words] = command;
  const cpuBefore = childrenCpuSeconds();
  const start = performance.now();
  const elapsed = (): number => (performance.now() - start) / 1000;
  const child = typing ? spawn(program, words) : spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const clock = new LineClock();
  const threads = new ThreadClock(child.pid ?? 0);
  let stderr = '';
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, timeoutSeconds * 1000);
  const interrupted = (signal: NodeJS.Signals): void => {
    child.kill('SIGKILL');
    process.exit(128 + constants.signals[signal]);
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted).once('SIGHUP', interrupted);
  child.stdout.setEncoding('latin1').on('data', (text: string) => clock.add(text, elapsed()));
  // A machine that ended has no use for more; its end is what the caller is told.
  child.stdin?.on('error', () => {});
  if (typing)
    child.stdout.on(
      'data',
      typist(typing, () => child.stdin?.write(typing.text)),
    );
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    const done = (): void => {
      clearTimeout(timer);
      process.off('SIGINT', interrupted).off('SIGTERM', interrupted).off('SIGHUP', interrupted);
    };
    let seconds = 0;
    child.on('exit', () => (seconds = elapsed()));
    child.on('error', (error) => {
      done();
      threads.end();
      reject(error);
    });
    child.on('close', (status, signal) => {
      done();
      clock.end(elapsed());
      const ofThreads = threads.end();
      const cpuAfter = childrenCpuSeconds();
      const cpu = cpuBefore === undefined || cpuAfter === undefined ? {} : { cpuSeconds: cpuAfter - cpuBefore };
      resolve({ lines: clock.lines, stderr, status, signal, timedOut, seconds, threads: ofThreads, ...cpu });
    });
  });
}
