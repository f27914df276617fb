import { join } from 'node:path';
import { codeCacheFolder } from '../code-cache.ts';

/** Where fetched packages and their indexes are kept. */
export const packageCache = (): string => join(codeCacheFolder(), 'packages');
