/** `pack.ts BUSYBOX OFF OUT [PROGRAM...]`: packs a guest's user land; guests/build.sh calls it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { packUserLand } from './user-land.ts';

const [busybox = '', off = '', out = '', ...programs] = process.argv.slice(2);
writeFileSync(
  out,
  packUserLand({
    busybox: readFileSync(busybox),
    off,
    programs: new Map(programs.map((path) => [basename(path), readFileSync(path)])),
  }),
);
