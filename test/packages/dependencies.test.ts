import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PackageClient } from '../../src/node/packages/client.ts';
import { closure } from '../../src/node/packages/dependencies.ts';
import { type MadePackage, Mirror, makeArchive, packDeb } from './mirror.ts';

const deb = await packDeb({ 'a/b': 'c' });
const made = (name: string, more: Partial<MadePackage> = {}): MadePackage => ({ name, version: '1', deb, ...more });
const packages = [
  made('editor', { depends: 'libc (>= 2), spell-a | spell-b, awk:any' }),
  made('libc', { depends: 'libgcc' }),
  made('libgcc', { depends: 'libc' }),
  made('gawk', { provides: 'awk, gawk-abi (= 3)' }),
  made('mawk', { provides: 'awk' }),
  made('spell-b', { depends: 'libc' }),
  made('lost', { depends: 'libc, nowhere | no-more' }),
  made('alone', { depends: 'nowhere' }),
];

let mirror: Mirror;
let folder: string;
let client: PackageClient | undefined;
before(async () => {
  mirror = await Mirror.start(makeArchive(packages));
  folder = mkdtempSync(join(tmpdir(), 'powervisor-test-'));
  mkdirSync(join(folder, 'etc/apt'), { recursive: true });
  writeFileSync(join(folder, 'etc/apt/sources.list'), `deb [trusted=yes] ${mirror.url} stable main\n`);
  const reporter = { say: () => {}, progress: () => {} };
  const apt = new Map([['Dir', folder]]);
  client = await PackageClient.open({ architecture: 'ppc64el', cache: folder, reporter, apt, environment: {} });
});
after(() => {
  client?.close();
  mirror.stop();
  rmSync(folder, { recursive: true });
});

const names = (wanted: string[], without: string[] = []): string[] => {
  assert.ok(client);
  return closure(client, wanted, new Set(without)).map(({ name }) => name);
};

test('what a package depends on comes with it, rings too, and the first that there is of alternatives and providers', () => {
  assert.deepEqual(names(['editor']), ['editor', 'gawk', 'libc', 'libgcc', 'spell-b']);
  assert.deepEqual(names(['libc, libgcc', 'spell-c | spell-b']), ['libc', 'libgcc', 'spell-b']);
});

test('what is asked for satisfies what has alternatives; what is left out counts as there', () => {
  assert.deepEqual(names(['editor', 'mawk']), ['editor', 'libc', 'libgcc', 'mawk', 'spell-b']);
  assert.deepEqual(names(['editor'], ['spell-a', 'awk', 'libgcc']), ['editor', 'libc']);
  assert.deepEqual(names(['lost'], ['no-more', 'libc']), ['lost']);
});

test('what is nowhere is one line that says who asks', () => {
  assert.throws(
    () => names(['lost']),
    /^PackageError: the package lost depends on nowhere or no-more, and there is none/,
  );
  assert.throws(() => names(['alone']), /^PackageError: there is no package nowhere for ppc64el in .*; name a mirror/);
  assert.throws(() => names(['x | y']), /^PackageError: what is wanted is x or y, and there is none of them$/);
});
