import { join } from 'node:path';
import { codeCacheFolder } from './code-cache.ts';

/** Folders of guests: the one that POWERVISOR_GUESTS names, and the cache's. */
export function guestFolders(): string[] {
  const ready = process.env['POWERVISOR_GUESTS'];
  return [...(ready ? [ready] : []), join(codeCacheFolder(), 'guests')];
}
