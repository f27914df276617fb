/**
 * A root file system of Debian's packages, without their maintainer scripts: no program of the guest runs while it is
 * made. What the scripts would have done is in the recipe (links, copies) and in the guest's own /init.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PackedEntry } from '../../src/node/packages/archive.ts';
import { characterDevice, directory, type Entry, file, link } from '../../src/node/run/cpio.ts';

export interface RootRecipe {
  /** Each in the form of the field Depends: "bash, mawk | gawk". */
  readonly packages: readonly string[];
  /** Packages that are left out, whatever depends on them. */
  readonly without?: readonly string[];
  /** Regular expressions of paths, from their beginning, that are left out. */
  readonly exclude?: readonly string[];
  /** Symbolic links, by path: those of Debian's alternatives, mostly. */
  readonly links?: Readonly<Record<string, string>>;
  /** Files that packages hold as masters, by the path of the copy. */
  readonly copies?: Readonly<Record<string, string>>;
}

/** Folders that Debian keeps in /usr since bookworm, with a link in the place that packages still name. */
const mergedFolders = ['bin', 'lib', 'lib64', 'sbin'];
const emptyFolders = ['dev', 'etc', 'proc', 'root', 'run', 'sys', 'usr', 'usr/local', 'var', 'var/lib', 'var/log'];
const TMP_MODE = 0o1777;

/** Where a package's path is in a system with a merged /usr. */
const merged = (path: string): string => (mergedFolders.includes(path.split('/')[0] ?? '') ? `usr/${path}` : path);

/** The files below a folder of the recipe, with their permissions. */
export function overlayOf(folder: string): Entry[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
    .map((path) => {
      const mode = statSync(path).mode & 0o111 ? 0o755 : 0o644;
      return file(path.slice(folder.length + 1).replaceAll('\\', '/'), readFileSync(path), mode);
    });
}

/**
 * The entries of the root, in an order that can be packed: what the recipe and `overlay` have, then what each package
 * holds. The first that comes to a path has it.
 */
export async function* packageRoot(
  recipe: RootRecipe,
  overlay: readonly Entry[],
  packages: AsyncIterable<AsyncIterable<PackedEntry>>,
): AsyncGenerator<Entry> {
  const seen = new Set<string>();
  function* place(entry: Entry): Generator<Entry> {
    if (seen.has(entry.path)) return;
    const parent = dirname(entry.path);
    if (parent !== '.') yield* place(directory(parent));
    seen.add(entry.path);
    yield entry;
  }
  for (const path of [...emptyFolders, ...mergedFolders.map((one) => `usr/${one}`)]) yield* place(directory(path));
  for (const path of ['tmp', 'var/tmp']) yield* place(directory(path, TMP_MODE));
  for (const path of mergedFolders) yield* place(link(path, `usr/${path}`));
  yield* place(characterDevice('dev/console', 5, 1, 0o600));
  yield* place(characterDevice('dev/null', 1, 3, 0o666));
  for (const entry of overlay) yield* place(entry);
  for (const [path, target] of Object.entries(recipe.links ?? {})) yield* place(link(path, target));
  const excluded = new RegExp(`^(${(recipe.exclude ?? ['(?!)']).join('|')})`);
  const copies = Object.entries(recipe.copies ?? {});
  for await (const held of packages)
    for (const entry of await packageEntries(held, excluded)) {
      for (const [path, master] of copies)
        if (master === entry.path) yield* place(file(path, entry.data ?? new Uint8Array(), entry.mode & 0o7777));
      yield* place(entry);
    }
}

/** What one package brings. */
async function packageEntries(held: AsyncIterable<PackedEntry>, excluded: RegExp): Promise<Entry[]> {
  const kept: PackedEntry[] = [];
  /** A file's data and how many names it has, by the name that the archive has it under. */
  const files = new Map<string, { data: Uint8Array; mode: number; count: number }>();
  for await (const one of held) {
    const path = merged(one.path);
    const target = one.type === 'link' ? merged(one.target) : one.target;
    if (one.type === 'file') files.set(path, { data: one.data, mode: one.mode, count: 0 });
    if (path === '' || excluded.test(one.type === 'directory' ? `${path}/` : path)) continue;
    kept.push({ ...one, path, target });
    const named = files.get(one.type === 'link' ? target : path);
    if (named && one.type !== 'directory' && one.type !== 'symlink') named.count++;
  }
  const packed = new Set<unknown>();
  return kept.map(({ path, type, mode, target }) => {
    if (type === 'directory') return directory(path, mode);
    if (type === 'symlink') return link(path, target);
    const names = files.get(type === 'link' ? target : path);
    if (names === undefined) throw new Error(`${path} is another name of ${target}, which is not in the package`);
    const entry = file(path, packed.has(names) ? new Uint8Array() : names.data, names.mode);
    packed.add(names);
    return names.count > 1 ? { ...entry, names } : entry;
  });
}
