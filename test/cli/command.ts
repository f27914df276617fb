import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const powervisor = fileURLToPath(new URL('../../bin/powervisor', import.meta.url));

export interface Result {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs the command as a user does, and waits for its end. `input` is all of its standard input. */
export function run(words: readonly string[], options: { input?: string; cwd?: string } = {}): Promise<Result> {
  const child = spawn(powervisor, words, { cwd: options.cwd, stdio: 'pipe' });
  const result: Result = { status: null, signal: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('latin1').on('data', (text) => (result.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (result.stderr += text));
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ ...result, status, signal }));
  });
}
