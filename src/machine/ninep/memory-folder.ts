/** A folder that is nowhere but in memory: for guests in pages, and for tests. */
import {
  type FileAccess,
  type FileChanges,
  type FileStatus,
  type Folder,
  type FolderDirectory,
  FolderError,
  type FolderFile,
  type FolderRoom,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from '../outside/folders.ts';

const BLOCK_BYTES = 4096n;

/** A file, directory or link. */
class Inode {
  readonly ino: bigint;
  readonly folder: MemoryFolder;
  readonly children: Map<string, Inode> | undefined;
  readonly born: bigint;
  mode: number;
  links = 1;
  openers = 0;
  bytes = new Uint8Array(0);
  length = 0;
  target = '';
  atime: bigint;
  mtime: bigint;
  ctime: bigint;

  constructor(folder: MemoryFolder, ino: bigint, mode: number) {
    this.folder = folder;
    this.ino = ino;
    this.mode = mode;
    this.children = (mode & S_IFMT) === S_IFDIR ? new Map() : undefined;
    this.born = this.atime = this.mtime = this.ctime = folder.time();
  }

  status(): FileStatus {
    const size = BigInt(this.target.length || this.length);
    return {
      dev: 1n,
      ino: this.ino,
      mode: BigInt(this.mode),
      nlink: BigInt(this.links),
      uid: 0n,
      gid: 0n,
      rdev: 0n,
      size,
      blocks: ((size + BLOCK_BYTES - 1n) / BLOCK_BYTES) * 8n,
      atimeNs: this.atime,
      mtimeNs: this.mtime,
      ctimeNs: this.ctime,
      birthtimeNs: this.born,
    };
  }

  /** Gives its room back, once it has no name and nobody has it open. */
  dropIfUnused(): void {
    if (this.links === 0 && this.openers === 0) this.folder.drop(this);
  }

  touch(): void {
    this.mtime = this.ctime = this.folder.time();
  }

  resize(length: number): void {
    this.folder.take(length - this.length);
    if (length > this.bytes.length) {
      const bytes = new Uint8Array(Math.max(length, Math.min(2 * this.bytes.length, length + 2 ** 24)));
      bytes.set(this.bytes.subarray(0, this.length));
      this.bytes = bytes;
    }
    this.bytes.fill(0, Math.min(length, this.length), this.length);
    this.length = length;
    this.touch();
  }

  change({ permissions, size, atime, mtime }: FileChanges): void {
    if (size !== undefined && (this.mode & S_IFMT) !== S_IFREG) throw new FolderError('EINVAL');
    if (size !== undefined) this.resize(size);
    if (permissions !== undefined) this.mode = (this.mode & S_IFMT) | permissions;
    const time = this.folder.time();
    if (atime !== undefined) this.atime = atime === 'now' ? time : atime;
    if (mtime !== undefined) this.mtime = mtime === 'now' ? time : mtime;
    this.ctime = time;
  }
}

class MemoryFile implements FolderFile {
  readonly #inode: Inode;
  readonly #access: FileAccess | undefined;

  constructor(inode: Inode, access: FileAccess | undefined) {
    this.#inode = inode;
    this.#access = access;
    inode.openers++;
    if (access?.truncate) inode.resize(0);
  }

  status(): FileStatus {
    return this.#inode.status();
  }

  open(access: FileAccess): FolderFile {
    return new MemoryFile(this.#inode, access);
  }

  read(offset: number, into: Uint8Array): number {
    if (!this.#access?.read) throw new FolderError('EBADF');
    const { bytes, length } = this.#inode;
    const count = Math.max(0, Math.min(into.length, length - offset));
    if (count > 0) into.set(bytes.subarray(offset, offset + count));
    return count;
  }

  write(offset: number, bytes: Uint8Array): number {
    if (!this.#access?.write) throw new FolderError('EBADF');
    const inode = this.#inode;
    const at = this.#access.append ? inode.length : offset;
    if (at + bytes.length > inode.length) inode.resize(at + bytes.length);
    inode.bytes.set(bytes, at);
    inode.touch();
    return bytes.length;
  }

  change(changes: FileChanges): void {
    this.#inode.change(changes);
  }

  sync(): void {}

  close(): void {
    this.#inode.openers--;
    this.#inode.dropIfUnused();
  }
}

class MemoryDirectory implements FolderDirectory {
  readonly inode: Inode;
  readonly #children: Map<string, Inode>;

  constructor(inode: Inode, children: Map<string, Inode>) {
    this.inode = inode;
    this.#children = children;
  }

  #get(name: string): Inode {
    const inode = this.#children.get(name);
    if (inode === undefined) throw new FolderError('ENOENT');
    return inode;
  }

  #add(name: string, inode: Inode): void {
    this.#children.set(name, inode);
    this.inode.touch();
  }

  #make(name: string, mode: number): Inode {
    if (this.#children.has(name)) throw new FolderError('EEXIST');
    if (this.inode.links === 0) throw new FolderError('ENOENT');
    const inode = this.inode.folder.make(mode);
    this.#add(name, inode);
    return inode;
  }

  #drop(name: string, inode: Inode): void {
    this.#children.delete(name);
    inode.links -= inode.children ? inode.links : 1;
    inode.ctime = this.inode.folder.time();
    this.inode.touch();
    inode.dropIfUnused();
  }

  status(): FileStatus {
    return this.inode.status();
  }

  change(changes: FileChanges): void {
    this.inode.change(changes);
  }

  look(name: string): FileStatus | undefined {
    return this.#children.get(name)?.status();
  }

  list(most: number): string[] {
    if (this.#children.size > most) throw new FolderError('ENOMEM');
    return [...this.#children.keys()];
  }

  directory(name: string): FolderDirectory {
    const inode = this.#get(name);
    if (inode.children === undefined) throw new FolderError('ENOTDIR');
    return new MemoryDirectory(inode, inode.children);
  }

  file(name: string, access: FileAccess | undefined): FolderFile {
    const inode = this.#get(name);
    if (inode.children) throw new FolderError('EISDIR');
    if ((inode.mode & S_IFMT) === S_IFLNK) throw new FolderError('ELOOP');
    return new MemoryFile(inode, access);
  }

  create(name: string, access: FileAccess, permissions: number): FolderFile {
    return new MemoryFile(this.#make(name, S_IFREG | permissions), access);
  }

  makeDirectory(name: string, permissions: number): void {
    this.#make(name, S_IFDIR | permissions);
  }

  makeLink(name: string, target: string): void {
    this.#make(name, S_IFLNK | 0o777).target = target;
  }

  readLink(name: string): string {
    const inode = this.#get(name);
    if ((inode.mode & S_IFMT) !== S_IFLNK) throw new FolderError('EINVAL');
    return inode.target;
  }

  link(name: string, from: FolderDirectory, oldName: string): void {
    const inode = directoryOf(from).#get(oldName);
    if (inode.children) throw new FolderError('EPERM');
    if (this.#children.has(name)) throw new FolderError('EEXIST');
    inode.links++;
    inode.ctime = this.inode.folder.time();
    this.#add(name, inode);
  }

  rename(name: string, to: FolderDirectory, newName: string): void {
    const target = directoryOf(to);
    const inode = this.#get(name);
    const victim = target.#children.get(newName);
    if (victim === inode) return;
    if (inode.children && contains(inode, target.inode)) throw new FolderError('EINVAL');
    if (victim) {
      if (victim.children && !inode.children) throw new FolderError('EISDIR');
      if (!victim.children && inode.children) throw new FolderError('ENOTDIR');
      if (victim.children && victim.children.size > 0) throw new FolderError('ENOTEMPTY');
      target.#drop(newName, victim);
    }
    this.#children.delete(name);
    this.inode.touch();
    target.#add(newName, inode);
    inode.ctime = this.inode.folder.time();
  }

  removeFile(name: string): void {
    const inode = this.#get(name);
    if (inode.children) throw new FolderError('EISDIR');
    this.#drop(name, inode);
  }

  removeDirectory(name: string): void {
    const inode = this.#get(name);
    if (inode.children === undefined) throw new FolderError('ENOTDIR');
    if (inode.children.size > 0) throw new FolderError('ENOTEMPTY');
    this.#drop(name, inode);
  }

  changeEntry(name: string, changes: FileChanges): void {
    this.#get(name).change(changes);
  }

  sync(): void {}

  close(): void {}
}

function directoryOf(directory: FolderDirectory): MemoryDirectory {
  if (!(directory instanceof MemoryDirectory)) throw new FolderError('EXDEV');
  return directory;
}

/** Whether `inode` is in the tree of `top`. */
function contains(top: Inode, inode: Inode): boolean {
  const open = [top];
  for (let next = open.pop(); next; next = open.pop()) {
    if (next === inode) return true;
    for (const child of next.children?.values() ?? []) if (child.children) open.push(child);
  }
  return false;
}

const MAX_FILES = 2 ** 18;

export class MemoryFolder implements Folder {
  readonly name: string;
  readonly owner = { uid: 0, gid: 0 };
  readonly maxHandles = 2 ** 14;
  readonly root: FolderDirectory;
  readonly #now: () => number;
  readonly #maxBytes: number;
  #bytes = 0;
  #files = 0;
  #nextInode = 1n;

  /** `now`: milliseconds since 1970. `maxBytes`: what all files together may hold. */
  constructor(name: string, now: () => number, maxBytes = 2 ** 28) {
    this.name = name;
    this.#now = now;
    this.#maxBytes = maxBytes;
    const inode = this.make(S_IFDIR | 0o755);
    this.root = new MemoryDirectory(inode, inode.children as Map<string, Inode>);
  }

  /** Nanoseconds since 1970. */
  time(): bigint {
    return BigInt(Math.floor(this.#now() * 1000)) * 1000n;
  }

  make(mode: number): Inode {
    if (this.#files >= MAX_FILES) throw new FolderError('ENOSPC');
    this.#files++;
    return new Inode(this, this.#nextInode++, mode);
  }

  /** Takes room. @throws FolderError ENOSPC. */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#maxBytes) throw new FolderError('ENOSPC');
    this.#bytes += bytes;
  }

  /** A file's last name is gone. */
  drop(inode: Inode): void {
    this.#files--;
    this.#bytes -= inode.length;
  }

  room(): FolderRoom {
    const free = BigInt(Math.max(0, this.#maxBytes - this.#bytes)) / BLOCK_BYTES;
    return {
      bsize: BLOCK_BYTES,
      blocks: BigInt(this.#maxBytes) / BLOCK_BYTES,
      bfree: free,
      bavail: free,
      files: BigInt(MAX_FILES),
      ffree: BigInt(MAX_FILES - this.#files),
    };
  }

  close(): void {}
}
