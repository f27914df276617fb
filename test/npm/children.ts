/** Programs that tests run: none of theirs outlives its test, whatever becomes of either. */
import { spawn } from 'node:child_process';

export interface Ended {
  /** Null: a signal ended it, or it did not begin. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly error?: Error;
}

export interface RunOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
}

/** The process groups that there are: each program is the first of its own. */
const groups = new Set<number>();

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

function killAll(): void {
  for (const leader of groups) killGroup(leader);
}
process.on('exit', killAll);
// A test runner ends the processes of its files by these; its own end is then as it would be without us.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
  process.once(signal, () => {
    killAll();
    process.kill(process.pid, signal);
  });

/** Runs a program to its end, or to that of its time; with it goes what it has started itself. */
export function run(program: string, words: readonly string[], { cwd, env, timeoutMs }: RunOptions): Promise<Ended> {
  const child = spawn(program, words, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const { pid } = child;
  if (pid !== undefined) groups.add(pid);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve) => {
    let error: Error | undefined;
    const end = (): void => {
      if (pid !== undefined) killGroup(pid);
    };
    const timer = setTimeout(() => {
      error = new Error(`${program} did not end in ${timeoutMs / 1000} s`);
      end();
    }, timeoutMs);
    child.on('error', (problem) => {
      error = problem;
    });
    // Others of its group may hold its streams open.
    child.on('exit', end);
    child.on('close', (status) => {
      clearTimeout(timer);
      if (pid !== undefined) groups.delete(pid);
      resolve({ status: error === undefined ? status : null, stdout, stderr, ...(error && { error }) });
    });
  });
}
