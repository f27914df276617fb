import {
  type FileAccess,
  type FileStatus,
  type Folder,
  type FolderDirectory,
  FolderError,
  type FolderFile,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
} from '../outside/folders.ts';
import { now, type Steps } from './steps.ts';

/** Directories of the host that stay open, the least used first closed. */
const MAX_LEASES = 256;
/** Files that a guest knows by fids, and directories above them: some 400 bytes each. */
const MAX_ENTRIES = 2 ** 19;

/** What lives as long as somebody uses it. */
export interface Counted {
  users: number;
  /** One user less. */
  release(): void;
}

/** An open directory of the host; the tree is one of its users until it is thrown out. */
class Lease implements Counted {
  users = 1;
  readonly directory: FolderDirectory;

  constructor(directory: FolderDirectory) {
    this.directory = directory;
  }

  release(): void {
    if (--this.users === 0) this.directory.close();
  }
}

/** An open file of the host. */
export class OpenFile implements Counted {
  users = 1;
  readonly file: FolderFile;
  readonly entry: Entry;
  readonly access: FileAccess;

  constructor(entry: Entry, file: FolderFile, access: FileAccess) {
    this.entry = entry;
    this.file = file;
    this.access = access;
    entry.tree.openFiles++;
    (entry.open ??= new Set()).add(this);
  }

  release(): void {
    if (--this.users > 0) return;
    this.entry.open?.delete(this);
    this.entry.tree.openFiles--;
    this.file.close();
  }
}

/**
 * A name in the folder that the guest has fids for, or for something below. Its users are fids, entries below it and calls that
 * are under way.
 */
export class Entry implements Counted {
  users = 1;
  readonly tree: Tree;
  /** Undefined: the root. */
  parent: Entry | undefined;
  name: string;
  /** As it was last seen: number of the file, kind. */
  readonly path: bigint;
  readonly kind: number;
  /** The name is another's by now, or nobody's. */
  isGone = false;
  /** What the guest has given the file is forgotten with its last user. */
  isDoomed = false;
  children: Map<string, Entry> | undefined;
  open: Set<OpenFile> | undefined;
  /** Keeps a file that has lost its name. */
  held: OpenFile | undefined;

  constructor(tree: Tree, parent: Entry | undefined, name: string, path: bigint, kind: number) {
    this.tree = tree;
    this.parent = parent;
    this.name = name;
    this.path = path;
    this.kind = kind;
  }

  get isDirectory(): boolean {
    return this.kind === S_IFDIR;
  }

  release(): void {
    let entry: Entry | undefined = this;
    while (entry !== undefined && --entry.users === 0) {
      const parent: Entry | undefined = entry.parent;
      entry.tree.leave(entry);
      entry = parent;
    }
  }

  /** Whether this is `other`, or below it. */
  isWithin(other: Entry): boolean {
    for (let at: Entry | undefined = this; at; at = at.parent) if (at === other) return true;
    return false;
  }
}

/** The entries of a folder, and the host's directories that are open for them. */
export class Tree {
  readonly root: Entry;
  /** Files of the host that are open, those without access too. */
  openFiles = 0;
  readonly maxFiles: number;
  readonly #maxLeases: number;
  readonly #maxEntries: number;
  readonly #onGone: (path: bigint) => void;
  /** The most recently used last; not the root. */
  readonly #leases = new Map<Entry, Lease>();
  readonly #rootLease: Lease;
  #entries = 1;
  #hasEnded = false;

  /** `onGone` is told of files that have no name and no user any more. */
  constructor(folder: Folder, rootPath: bigint, onGone: (path: bigint) => void, maxEntries = MAX_ENTRIES) {
    this.root = new Entry(this, undefined, '', rootPath, S_IFDIR);
    this.#rootLease = new Lease(folder.root);
    this.#onGone = onGone;
    this.#maxEntries = maxEntries;
    this.#maxLeases = Math.max(1, Math.min(MAX_LEASES, Math.floor(folder.maxHandles / 4)));
    this.maxFiles = Math.floor(folder.maxHandles / 2);
  }

  get entries(): number {
    return this.#entries;
  }

  get openDirectories(): number {
    return this.#leases.size;
  }

  /**
   * The entry of a name that was just seen, with one user more.
   * @throws FolderError ENFILE when the guest has too many.
   */
  child(parent: Entry, name: string, path: bigint, status: FileStatus): Entry {
    const kind = Number(status.mode) & S_IFMT;
    const known = parent.children?.get(name);
    if (known) {
      if (known.path === path && known.kind === kind) {
        known.users++;
        return known;
      }
      this.detach(known);
    }
    if (this.#entries >= this.#maxEntries) throw new FolderError('ENFILE');
    this.#entries++;
    const entry = new Entry(this, parent, name, path, kind);
    parent.users++;
    (parent.children ??= new Map()).set(name, entry);
    return entry;
  }

  /** The entry of a file of a saved session, whose name is gone; with one user. */
  lost(name: string): Entry {
    this.#entries++;
    this.root.users++;
    const entry = new Entry(this, this.root, name, 0n, S_IFREG);
    entry.isGone = true;
    return entry;
  }

  /** What is known under a name. */
  find(parent: Entry, name: string): Entry | undefined {
    return parent.children?.get(name);
  }

  /** A name is not this entry's any more. */
  detach(entry: Entry): void {
    if (entry.parent?.children?.get(entry.name) === entry) entry.parent.children.delete(entry.name);
    entry.isGone = true;
  }

  /** An entry has been renamed; what had the new name is gone already. */
  move(entry: Entry, parent: Entry, name: string): void {
    this.detach(entry);
    // The host's folder may have been rearranged behind the tree's back: the tree stays one.
    if (parent.isWithin(entry)) return;
    const before = entry.parent;
    entry.parent = parent;
    entry.name = name;
    entry.isGone = false;
    parent.users++;
    (parent.children ??= new Map()).set(name, entry);
    before?.release();
  }

  /** The last user has let go of an entry. */
  leave(entry: Entry): void {
    this.detach(entry);
    this.#entries--;
    entry.held?.release();
    entry.held = undefined;
    if (entry.isDoomed) this.#onGone(entry.path);
    const lease = this.#leases.get(entry);
    if (lease === undefined) return;
    this.#leases.delete(entry);
    lease.release();
  }

  /**
   * The host's directory of an entry, with one user more.
   * @throws FolderError ENOENT, ENOTDIR when it is not there any more.
   */
  *lease(entry: Entry): Steps<Lease> {
    const known = this.#known(entry);
    if (known) return known;
    // From the nearest directory that is open downwards.
    const missing: Entry[] = [];
    let at = entry;
    let lease: Lease | undefined;
    while ((lease = this.#known(at)) === undefined) {
      if (at.isGone || at.parent === undefined) throw new FolderError('ENOENT');
      missing.push(at);
      at = at.parent;
    }
    for (const next of missing.reverse()) {
      try {
        const directory: FolderDirectory = yield* now(lease.directory.directory(next.name));
        lease.release();
        lease = this.#keep(next, directory);
      } catch (error) {
        lease.release();
        throw error;
      }
    }
    return lease;
  }

  #known(entry: Entry): Lease | undefined {
    if (entry === this.root) {
      this.#rootLease.users++;
      return this.#rootLease;
    }
    const lease = this.#leases.get(entry);
    if (lease === undefined) return undefined;
    this.#leases.delete(entry);
    this.#leases.set(entry, lease);
    lease.users++;
    return lease;
  }

  #keep(entry: Entry, directory: FolderDirectory): Lease {
    const other = this.#known(entry);
    if (other) {
      directory.close();
      return other;
    }
    const lease = new Lease(directory);
    // An entry that was given up meanwhile has nobody who would close its directory.
    if (entry.users === 0 || this.#hasEnded) return lease;
    lease.users++;
    this.#leases.set(entry, lease);
    for (const [oldest, { users }] of this.#leases) {
      if (this.#leases.size <= this.#maxLeases) break;
      if (users > 1) continue;
      this.#leases.get(oldest)?.release();
      this.#leases.delete(oldest);
    }
    return lease;
  }

  /** The host's directories other than the root are let go, and none stays open from now on. */
  end(): void {
    this.#hasEnded = true;
    for (const lease of this.#leases.values()) lease.release();
    this.#leases.clear();
  }
}
