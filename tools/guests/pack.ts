/**
 * `pack.ts BUSYBOX OFF OUT [PROGRAM...] [--libraries [ARCHITECTURE] LIBRARY...]...`: packs a guest's user land; guests/build.sh
 * calls it. ARCHITECTURE is Debian's name (`powerpc64-linux-gnu`) of a folder for the libraries; without it they are in /lib.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { packUserLand } from './user-land.ts';

const OPTION = '--libraries';
const [busybox = '', off = '', out = '', ...words] = process.argv.slice(2);
const byName = (paths: string[]): Map<string, Uint8Array> =>
  new Map(paths.map((path) => [basename(path), readFileSync(path)]));
/** The words before the option, and those behind each. */
const groups: [string[], ...string[][]] = [[]];
for (const word of words) {
  if (word === OPTION) groups.push([]);
  else groups.at(-1)?.push(word);
}
const [programs, ...libraries] = groups;
const named = libraries.filter(([first]) => first?.includes('/') === false);
writeFileSync(
  out,
  packUserLand({
    busybox: readFileSync(busybox),
    off,
    programs: byName(programs),
    libraries: byName(libraries.filter((group) => !named.includes(group)).flat()),
    multiarch: new Map(named.map(([name = '', ...paths]) => [name, byName(paths)])),
  }),
);
