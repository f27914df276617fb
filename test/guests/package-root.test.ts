import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { packTar } from 'modern-tar';
import { type PackedEntry, readEntries } from '../../src/node/packages/archive.ts';
import { file, packCpio } from '../../src/node/run/cpio.ts';
import { packageRoot, type RootRecipe } from '../../tools/guests/package-root.ts';
import { packAr } from '../packages/mirror.ts';
import { readCpio } from './cpio.ts';

type Made = readonly [name: string, mode: number, what?: string | { readonly to: string; readonly hard?: boolean }];

/** A package of directories (names that end with '/'), files and links. */
async function made(...entries: Made[]): Promise<Buffer> {
  const tar = await packTar(
    entries.map(([name, mode, what = '']) => {
      const header = { name: `./${name}`, mode, size: 0 };
      if (name.endsWith('/')) return { header: { ...header, type: 'directory' as const } };
      if (typeof what === 'string') return { header: { ...header, size: what.length }, body: what };
      return { header: { ...header, type: what.hard ? ('link' as const) : ('symlink' as const), linkname: what.to } };
    }),
  );
  return packAr([['data.tar.gz', gzipSync(tar)]]);
}

async function rootOf(recipe: Omit<RootRecipe, 'packages'>, ...debs: Buffer[]): Promise<ReturnType<typeof readCpio>> {
  async function* contents(): AsyncGenerator<AsyncIterable<PackedEntry>> {
    for (const deb of debs) yield readEntries(deb);
  }
  const overlay = [file('init', Buffer.from('own'), 0o755), file('etc/hosts', Buffer.from('own'))];
  const entries = await Array.fromAsync(packageRoot({ packages: [], ...recipe }, overlay, contents()));
  return readCpio(packCpio(entries));
}

test('packages are unpacked with their modes, below a merged /usr, each folder before what is in it', async () => {
  const one = await made(
    ...([
      ['./', 0o755],
      ['bin/', 0o755],
      ['bin/su', 0o4755, 'su'],
      ['bin/sh', 0o777, { to: 'su' }],
    ] as Made[]),
    ...([
      ['usr/share/a/b/c', 0o640, 'c'],
      ['secret/', 0o700],
      ['secret/x', 0o600, 'x'],
    ] as Made[]),
  );
  const root = await rootOf({}, one);
  assert.equal(root.get('bin')?.data.toString(), 'usr/bin');
  assert.deepEqual([root.get('usr/bin/su')?.mode, root.get('usr/bin/su')?.data.toString()], [0o104755, 'su']);
  assert.equal(root.get('usr/bin/sh')?.data.toString(), 'su');
  assert.equal(root.get('usr/share/a/b/c')?.mode, 0o100640);
  assert.equal(root.get('secret')?.mode, 0o040700);
  assert.equal(root.get('tmp')?.mode, 0o041777);
  const paths = [...root.keys()];
  for (const [index, path] of paths.entries()) {
    const parent = path.slice(0, Math.max(path.lastIndexOf('/'), 0));
    if (parent !== '') assert.ok(paths.indexOf(parent) >= 0 && paths.indexOf(parent) < index, path);
  }
});

test('the guest and the recipe come before packages, and packages before later ones', async () => {
  const one = await made(['etc/hosts', 0o644, 'theirs'], ['usr/bin/awk', 0o755, 'theirs'], ['etc/x', 0o644, 'first']);
  const two = await made(['etc/x', 0o644, 'second']);
  const root = await rootOf({ links: { 'usr/bin/awk': 'mawk' } }, one, two);
  assert.equal(root.get('etc/hosts')?.data.toString(), 'own');
  assert.equal(root.get('usr/bin/awk')?.data.toString(), 'mawk');
  assert.equal(root.get('etc/x')?.data.toString(), 'first');
});

test('masters are copied, and what the recipe excludes is left out with its folder', async () => {
  const one = await made(
    ...([
      ['usr/share/base/passwd.master', 0o644, 'root'],
      ['usr/share/doc/', 0o755],
    ] as Made[]),
    ...([
      ['usr/share/doc/a', 0o644, 'a'],
      ['usr/share/documents', 0o644, 'b'],
    ] as Made[]),
  );
  const recipe = { exclude: ['usr/share/doc/'], copies: { 'etc/passwd': 'usr/share/base/passwd.master' } };
  const root = await rootOf(recipe, one);
  assert.equal(root.get('etc/passwd')?.data.toString(), 'root');
  assert.ok(root.has('usr/share/base/passwd.master') && root.has('usr/share/documents'));
  assert.ok(!root.has('usr/share/doc') && !root.has('usr/share/doc/a'));
});

test('a file with more names than one is packed once', async () => {
  const one = await made(
    ...([
      ['bin/perl', 0o755, 'perl'],
      ['bin/perl5', 0o755, { to: './bin/perl', hard: true }],
    ] as Made[]),
    ...([
      ['not/this', 0o644, 'data'],
      ['usr/kept', 0o644, { to: './not/this', hard: true }],
    ] as Made[]),
  );
  const root = await rootOf({ exclude: ['not/'] }, one);
  const [first, second] = [root.get('usr/bin/perl'), root.get('usr/bin/perl5')];
  assert.deepEqual([first?.links, second?.links, first?.inode === second?.inode], [2, 2, true]);
  assert.deepEqual([first?.data.toString(), second?.data.toString()], ['perl', '']);
  // Its first name is not wanted: the data is where the other is.
  assert.deepEqual([root.get('usr/kept')?.data.toString(), root.get('usr/kept')?.links], ['data', 1]);
  await assert.rejects(rootOf({}, await made(['a', 0o644, { to: 'b', hard: true }])), /a is another name of b/);
});
