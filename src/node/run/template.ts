/** Templates: machines that were saved when all was ready but the command. Each run goes on from one. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../../machine/index.ts';
import { codeCacheFolder } from '../code-cache.ts';
import { writeSnapshotFile } from '../snapshot-file.ts';

const ENDING = '.snap';
/** Templates that are kept, those that were used last. */
const MOST_KEPT = 6;

const folderOf = (): string => join(codeCacheFolder(), 'templates');

/** Where the template is that all of `parts` belong to. */
export const templatePath = (parts: readonly (string | Uint8Array)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length} `).update(part);
  return join(folderOf(), `${hash.digest('hex').slice(0, 32)}${ENDING}`);
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

/** Saves a machine as a template. Where that cannot be written there is none, and the next run boots again. */
export async function saveTemplate(path: string, machine: Machine): Promise<void> {
  try {
    mkdirSync(folderOf(), { recursive: true, mode: 0o700 });
    await writeSnapshotFile(path, (write) => machine.saveTo(write, { compression: 'none' }));
    const age = (name: string): number => statSync(join(folderOf(), name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const names = readdirSync(folderOf()).filter((name) => name.endsWith(ENDING));
    for (const name of names.toSorted((a, b) => age(b) - age(a)).slice(MOST_KEPT))
      rmSync(join(folderOf(), name), { force: true });
  } catch {}
}
