import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The tests that compare with qemu-img are skipped without it. */
export const hasQemuImg = spawnSync('qemu-img', ['--version']).status === 0;

export function qemuImg(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync('qemu-img', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`qemu-img ${words.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** Requests by qemu-io on an image, a command each. */
export function qemuIo(file: string, format: string, ...commands: string[]): void {
  const words = ['-f', format, ...commands.flatMap((one) => ['-c', one]), file];
  const { status, stdout, stderr } = spawnSync('qemu-io', words, { encoding: 'utf8' });
  if (status !== 0 || /failed|error/i.test(stdout + stderr)) throw new Error(`qemu-io: ${stdout}${stderr}`);
}

/** A folder that is gone after the test. */
export async function inFolder(task: (path: (name: string) => string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-test-'));
  try {
    await task((name) => join(folder, name));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
