/** Templates: machines that were saved when all was ready but the command. Each run goes on from one. */
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Machine } from '../../machine/index.ts';
import { codeCacheFolder } from '../code-cache.ts';
import { writeSnapshotFile } from '../snapshot-file.ts';

const ENDING = '.snap';
/** Bytes of templates that are kept, of those that were used last; the last one always is. */
const MOST_KEPT = 2 ** 31;

const folderOf = (): string => join(codeCacheFolder(), 'templates');

/** Where the template is that all of `parts` belong to. Told by a check sum: node:crypto takes a start seven milliseconds. */
export const templatePath = (parts: readonly string[]): string => {
  const text = JSON.stringify(parts);
  return join(folderOf(), `${crc32(text).toString(16).padStart(8, '0')}-${text.length}${ENDING}`);
};

/** Whether there is one; it is then one of those that were used last. */
export function hasTemplate(path: string): boolean {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return false;
  try {
    utimesSync(path, new Date(), new Date());
  } catch {}
  return true;
}

/** It is damaged, or another version's. */
export const dropTemplate = (path: string): void => rmSync(path, { force: true });

/** Zeroes for a file that another run has just deleted. */
function sizeAndTime(path: string): { size: number; time: number } {
  const status = statSync(path, { throwIfNoEntry: false });
  return { size: status?.size ?? 0, time: status?.mtimeMs ?? 0 };
}

/** Saves a machine as a template. Where that cannot be written there is none, and the next run boots again. */
export async function saveTemplate(path: string, machine: Machine): Promise<void> {
  try {
    mkdirSync(folderOf(), { recursive: true, mode: 0o700 });
    await writeSnapshotFile(path, (write) => machine.saveTo(write, { compression: 'none' }));
    const files = readdirSync(folderOf())
      .filter((name) => name.endsWith(ENDING))
      .map((name) => ({ name, ...sizeAndTime(join(folderOf(), name)) }))
      .toSorted((one, other) => other.time - one.time);
    let kept = 0;
    for (const { name, size } of files) {
      if (kept > 0 && kept + size > MOST_KEPT) rmSync(join(folderOf(), name), { force: true });
      kept += size;
    }
  } catch {}
}
