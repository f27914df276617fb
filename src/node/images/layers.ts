/**
 * A root file system of layers, one above the other, each a tar archive: what a container image is (OCI image specification,
 * "Image Layer Filesystem Changeset"). Names are merged in memory; contents stay in the archives and are read from there. The guest
 * gets it as a folder that nobody writes to, with owners, modes and device nodes as the layers have them.
 */
import { closeSync, openSync, read as readFile, readSync } from 'node:fs';
import { MachineError } from '../../machine/index.ts';
import {
  type FileStatus,
  type Folder,
  type FolderDirectory,
  FolderError,
  type FolderFile,
  type FolderRoom,
  NinePServer,
  type Soon,
} from '../../machine/ninep/index.ts';
import { components, readTar, split, type TarEntry } from './tar.ts';

const KINDS: Readonly<Record<TarEntry['type'], number>> = {
  file: 0o100000,
  link: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  character: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
};
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
const BLOCK_BYTES = 4096n;
/** Names of one image. */
const MOST_NODES = 2 ** 21;
/** Links on one way; what goes in a ring leads nowhere. */
const MOST_LINKS = 40;
/** What is longer is read by Node's threads, so that the guest's own is not kept waiting by a slow disk. */
const LONG_READ_BYTES = 2 ** 20;

/** A file, directory or whatever of the merged tree. */
class Node {
  readonly ino: bigint;
  type: TarEntry['type'];
  mode: number;
  uid = 0;
  gid = 0;
  mtimeNs = 0n;
  size = 0;
  /** Of a file: which archive has its bytes, from where. */
  archive = -1;
  offset = 0;
  target = '';
  rdev = 0n;
  links = 1;
  /** Which layer's it is. */
  layer: number;
  readonly children: Map<string, Node> | undefined;

  constructor(ino: bigint, type: TarEntry['type'], mode: number, layer: number) {
    this.ino = ino;
    this.type = type;
    this.mode = mode;
    this.layer = layer;
    this.children = type === 'directory' ? new Map() : undefined;
  }

  status(): FileStatus {
    const size = BigInt(this.type === 'symlink' ? this.target.length : this.size);
    return {
      dev: 1n,
      ino: this.ino,
      mode: BigInt(KINDS[this.type] | this.mode),
      nlink: BigInt(this.children ? 2 : this.links),
      uid: BigInt(this.uid),
      gid: BigInt(this.gid),
      rdev: this.rdev,
      size,
      blocks: ((size + BLOCK_BYTES - 1n) / BLOCK_BYTES) * 8n,
      atimeNs: this.mtimeNs,
      mtimeNs: this.mtimeNs,
      ctimeNs: this.mtimeNs,
      birthtimeNs: 1n,
    };
  }
}

/** As Linux encodes a device for user programs (linux/kdev_t.h, new_encode_dev). */
const deviceNumber = (major: number, minor: number): bigint =>
  BigInt.asUintN(32, BigInt((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)));

/** Takes archives one above the other. */
export class LayerTree {
  readonly root = new Node(1n, 'directory', 0o755, -1);
  #last = 1n;
  #layer = 0;

  #make(type: TarEntry['type'], mode: number): Node {
    if (++this.#last > MOST_NODES) throw new MachineError('the image has more than two million files');
    return new Node(this.#last, type, mode, this.#layer);
  }

  /**
   * Where a path leads from a directory (the last of `above`, which begins with the root), links followed: the directories down
   * to it, itself last. Undefined: to nothing, or too far. `make`: directories that are missing are made.
   */
  #walk(above: readonly Node[], path: readonly string[], make: boolean, links = MOST_LINKS): Node[] | undefined {
    let at = [...above];
    for (const name of path) {
      if (name === '..') {
        if (at.length > 1) at.pop();
        continue;
      }
      const { children } = at.at(-1) as Node;
      let next = children?.get(name);
      if (next?.type === 'symlink') {
        const { target } = next;
        const from = target.startsWith('/') ? at.slice(0, 1) : at;
        const led: Node[] | undefined = links > 0 ? this.#walk(from, split(target), false, links - 1) : undefined;
        if (led) {
          at = led;
          continue;
        }
      }
      if (make && children && next?.children === undefined) {
        next = this.#make('directory', 0o755);
        children.set(name, next);
      }
      if (next === undefined) return undefined;
      at.push(next);
    }
    return at;
  }

  /** The directory at a path, made where it is not there. Layers name files by /lib where an older one has made that a link. */
  #directory(path: readonly string[]): Node[] {
    return this.#walk([this.root], path, true) as Node[];
  }

  #look(path: readonly string[]): Node | undefined {
    return this.#walk([this.root], path, false)?.at(-1);
  }

  /** Lays the entries of an archive over what is there. `archive`: which one, for reading. */
  add(entries: Iterable<TarEntry>, archive: number): void {
    const opaque: Node[] = [];
    for (const entry of entries) {
      const name = entry.path.at(-1);
      if (name === undefined) {
        this.#give(this.root, entry);
        continue;
      }
      const above = this.#directory(entry.path.slice(0, -1));
      const parent = above.at(-1) as Node;
      const children = parent.children as Map<string, Node>;
      if (name === OPAQUE) opaque.push(parent);
      else if (name.startsWith(WHITEOUT)) {
        // What this layer itself has made there stays.
        const hidden = name.slice(WHITEOUT.length);
        if (children.get(hidden)?.layer !== this.#layer) children.delete(hidden);
      } else if (entry.type === 'link') {
        const other = this.#look(components(entry.target));
        if (other === undefined || other.children)
          throw new MachineError(`the archive is damaged: ${entry.path.join('/')} is another name of nothing`);
        other.links++;
        children.set(name, other);
      } else {
        const there = children.get(name);
        // A directory over a directory is another mode for what is there; over a link to one it takes nothing away.
        if (
          entry.type === 'directory' &&
          there?.type === 'symlink' &&
          this.#walk(above, [name], false)?.at(-1)?.children
        )
          continue;
        const node = entry.type === 'directory' && there?.children ? there : this.#make(entry.type, entry.mode);
        this.#give(node, entry);
        node.archive = archive;
        node.layer = this.#layer;
        children.set(name, node);
      }
    }
    for (const one of opaque)
      for (const [name, child] of one.children as Map<string, Node>)
        if (child.layer !== this.#layer && !this.#hasOwn(child)) one.children?.delete(name);
    this.#layer++;
  }

  /** Whether this layer has made something in it. */
  #hasOwn(node: Node): boolean {
    const open = [node];
    for (let next = open.pop(); next; next = open.pop()) {
      if (next.layer === this.#layer) return true;
      for (const child of next.children?.values() ?? []) open.push(child);
    }
    return false;
  }

  #give(node: Node, { mode, uid, gid, mtimeNs, size, offset, target, major, minor, type }: TarEntry): void {
    Object.assign(node, { mode, uid, gid, mtimeNs, size, offset, target: type === 'symlink' ? target : '' });
    if (type === 'character' || type === 'block') node.rdev = deviceNumber(major, minor);
  }
}

class LayerFile implements FolderFile {
  readonly #node: Node;
  readonly #archives: readonly number[];

  constructor(node: Node, archives: readonly number[]) {
    this.#node = node;
    this.#archives = archives;
  }

  status(): FileStatus {
    return this.#node.status();
  }

  open(): FolderFile {
    return new LayerFile(this.#node, this.#archives);
  }

  read(offset: number, into: Uint8Array): Soon<number> {
    const { size, archive, offset: begin } = this.#node;
    const length = Math.max(0, Math.min(into.length, size - offset));
    if (length === 0) return 0;
    const file = this.#archives[archive] as number;
    if (length < LONG_READ_BYTES) {
      try {
        return readSync(file, into, 0, length, begin + offset);
      } catch {
        throw new FolderError('EIO');
      }
    }
    return new Promise((resolve, reject) =>
      readFile(file, into, 0, length, begin + offset, (error, count) =>
        error ? reject(new FolderError('EIO')) : resolve(count),
      ),
    );
  }

  write(): never {
    throw new FolderError('EROFS');
  }

  change(): never {
    throw new FolderError('EROFS');
  }

  sync(): void {}

  close(): void {}
}

const refuse = (): never => {
  throw new FolderError('EROFS');
};

class LayerDirectory implements FolderDirectory {
  readonly #node: Node;
  readonly #archives: readonly number[];

  constructor(node: Node, archives: readonly number[]) {
    this.#node = node;
    this.#archives = archives;
  }

  #get(name: string): Node {
    const node = this.#node.children?.get(name);
    if (node === undefined) throw new FolderError('ENOENT');
    return node;
  }

  status(): FileStatus {
    return this.#node.status();
  }

  look(name: string): FileStatus | undefined {
    return this.#node.children?.get(name)?.status();
  }

  list(most: number): string[] {
    const names = [...(this.#node.children?.keys() ?? [])];
    if (names.length > most) throw new FolderError('ENOMEM');
    return names;
  }

  directory(name: string): FolderDirectory {
    const node = this.#get(name);
    if (node.children === undefined) throw new FolderError('ENOTDIR');
    return new LayerDirectory(node, this.#archives);
  }

  file(name: string): FolderFile {
    const node = this.#get(name);
    if (node.children) throw new FolderError('EISDIR');
    if (node.type === 'symlink') throw new FolderError('ELOOP');
    if (KINDS[node.type] !== KINDS.file) throw new FolderError('ENXIO');
    return new LayerFile(node, this.#archives);
  }

  readLink(name: string): string {
    const node = this.#get(name);
    if (node.type !== 'symlink') throw new FolderError('EINVAL');
    return node.target;
  }

  readonly change = refuse;
  readonly create = refuse;
  readonly makeDirectory = refuse;
  readonly makeLink = refuse;
  readonly link = refuse;
  readonly rename = refuse;
  readonly removeFile = refuse;
  readonly removeDirectory = refuse;
  readonly changeEntry = refuse;

  sync(): void {}

  close(): void {}
}

/** An image's files. */
export class LayeredFolder implements Folder {
  readonly name: string;
  /** Numbers of owners are the image's own. */
  readonly owner = { uid: 0, gid: 0 };
  readonly maxHandles = 2 ** 16;
  readonly root: FolderDirectory;
  readonly #archives: number[] = [];

  /**
   * `paths`: plain tar archives, the lowest first.
   * @throws MachineError where one is damaged, or not there
   */
  constructor(name: string, paths: readonly string[]) {
    this.name = name;
    const tree = new LayerTree();
    try {
      for (const path of paths) {
        const archive = openSync(path, 'r');
        this.#archives.push(archive);
        tree.add(readTar(archive), this.#archives.length - 1);
      }
    } catch (error) {
      this.close();
      throw error instanceof MachineError ? error : new MachineError(`the image ${name}: ${(error as Error).message}`);
    }
    this.root = new LayerDirectory(tree.root, this.#archives);
  }

  room(): FolderRoom {
    return { bsize: BLOCK_BYTES, blocks: 0n, bfree: 0n, bavail: 0n, files: 0n, ffree: 0n };
  }

  close(): void {
    for (const archive of this.#archives.splice(0)) closeSync(archive);
  }
}

/** A share of them, for a machine. @throws MachineError */
export function shareLayers(name: string, paths: readonly string[]): NinePServer {
  const folder = new LayeredFolder(name, paths);
  return new NinePServer(folder, folder.root.status() as FileStatus, { writable: false });
}

const MOST_TEXT = 2 ** 20;

/** The text of a file of an image by its path, links not followed; undefined where there is none. @throws MachineError */
export async function readFromLayers(
  name: string,
  paths: readonly string[],
  path: string,
): Promise<string | undefined> {
  const folder = new LayeredFolder(name, paths);
  try {
    const names = split(path);
    let at = folder.root;
    for (const one of names.slice(0, -1)) at = await at.directory(one);
    const file = await at.file(names.at(-1) ?? '', { read: true, write: false });
    const { size } = await file.status();
    const bytes = Buffer.alloc(Math.min(Number(size), MOST_TEXT));
    return bytes.toString('utf8', 0, await file.read(0, bytes));
  } catch (error) {
    if (error instanceof FolderError) return undefined;
    throw error;
  } finally {
    folder.close();
  }
}
