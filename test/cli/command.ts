import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const powervisor = fileURLToPath(new URL('../../bin/powervisor', import.meta.url));

export interface Result {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** When the command has printed `after`, `do` is done: a text is typed, or a function called. Once each, in order. */
export interface Step {
  readonly after: string;
  readonly do: string | ((child: ChildProcess) => void);
}

export interface RunOptions {
  /** All of standard input. */
  readonly input?: string;
  /** In place of `input`: a conversation, with standard input left open. */
  readonly steps?: readonly Step[];
  /** What to run in place of the command itself. */
  readonly command?: string;
}

/** Runs the command as a user does, and waits for its end. */
export function run(words: readonly string[], options: RunOptions = {}): Promise<Result> {
  const child = spawn(options.command ?? powervisor, words, { stdio: 'pipe' });
  const result: Result = { status: null, signal: null, stdout: '', stderr: '' };
  const steps = [...(options.steps ?? [])];
  let heard = 0;
  child.stdout.setEncoding('latin1').on('data', (text) => {
    result.stdout += text;
    for (let step = steps[0]; step !== undefined; step = steps[0]) {
      const at = result.stdout.indexOf(step.after, heard);
      if (at < 0) return;
      heard = at + step.after.length;
      steps.shift();
      if (typeof step.do === 'string') child.stdin.write(step.do);
      else step.do(child);
    }
  });
  child.stderr.setEncoding('utf8').on('data', (text) => (result.stderr += text));
  child.stdin.on('error', () => {});
  if (options.steps === undefined) child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ ...result, status, signal }));
  });
}
