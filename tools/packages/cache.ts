import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where fetched packages and their indexes are kept. */
export const packageCache = (): string =>
  join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'powervisor', 'packages');
