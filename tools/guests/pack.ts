/** `pack.ts BUSYBOX OFF OUT [PROGRAM...] [--libraries LIBRARY...]`: packs a guest's user land; guests/build.sh calls it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { packUserLand } from './user-land.ts';

const [busybox = '', off = '', out = '', ...files] = process.argv.slice(2);
const split = files.includes('--libraries') ? files.indexOf('--libraries') : files.length;
const byName = (paths: string[]): Map<string, Uint8Array> =>
  new Map(paths.map((path) => [basename(path), readFileSync(path)]));
writeFileSync(
  out,
  packUserLand({
    busybox: readFileSync(busybox),
    off,
    programs: byName(files.slice(0, split)),
    libraries: byName(files.slice(split + 1)),
  }),
);
