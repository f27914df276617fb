import { readFileSync } from 'node:fs';

/** The package's version, out of package.json, which lies two folders up from the sources and one from the bundle. */
export function version(): string {
  for (const path of ['../package.json', '../../package.json', '../../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (name === 'powervisor') return version;
    } catch {}
  }
  return 'unknown';
}
