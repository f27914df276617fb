/** A client of 9P2000.L that builds requests and takes answers apart. */
import assert from 'node:assert/strict';
import { REQUEST, type RequestName } from '../../src/machine/ninep/protocol.ts';
import type { NinePServer } from '../../src/machine/ninep/server.ts';
import { ERRNO, type ErrorName } from '../../src/machine/outside/folders.ts';

export const u8 = (value: number): Uint8Array => Uint8Array.of(value);
export const u16 = (value: number): Uint8Array => Uint8Array.of(value, value >> 8);
export const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
export const u64 = (value: number | bigint): Uint8Array =>
  new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, BigInt(value))).buffer);
/** One character a byte. */
export const text = (value: string): Uint8Array => Buffer.concat([u16(value.length), Buffer.from(value, 'latin1')]);

export const ROOT = 1;
const ROOM = 2 ** 20;

/** The fields of an answer. */
export class Fields {
  readonly view: DataView;
  at = 7;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.view.getUint8(this.at++);
  }

  u16(): number {
    return this.view.getUint16((this.at += 2) - 2, true);
  }

  u32(): number {
    return this.view.getUint32((this.at += 4) - 4, true);
  }

  u64(): bigint {
    return this.view.getBigUint64((this.at += 8) - 8, true);
  }

  qid(): { type: number; version: number; path: bigint } {
    return { type: this.u8(), version: this.u32(), path: this.u64() };
  }

  data(length: number): Uint8Array {
    return this.bytes.subarray(this.at, (this.at += length));
  }

  string(): string {
    return Buffer.from(this.data(this.u16())).toString('latin1');
  }

  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }
}

export interface Attributes {
  qid: { type: number; version: number; path: bigint };
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  rdev: number;
  size: number;
  blksize: number;
  mtimeNs: bigint;
  atimeNs: bigint;
  ctimeNs: bigint;
}

export function message(type: number, tag: number, ...fields: Uint8Array[]): Uint8Array {
  const body = Buffer.concat(fields);
  return Buffer.concat([u32(7 + body.length), u8(type), u16(tag), body]);
}

export class RemoteError extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(Object.entries(ERRNO).find(([, number]) => number === errno)?.[0] ?? String(errno));
    this.errno = errno;
  }
}

/** Expects an error by its name. */
export const fails = (promise: Promise<unknown>, name: ErrorName): Promise<void> =>
  assert.rejects(promise, { message: name });

export class Client {
  readonly server: NinePServer;
  #nextFid = 100;

  constructor(server: NinePServer) {
    this.server = server;
  }

  async raw(request: Uint8Array, room = ROOM): Promise<Uint8Array | undefined> {
    const answer = this.server.answer(request, room);
    // What is answered at once is copied at once.
    return (answer instanceof Promise ? await answer : answer)?.slice();
  }

  async ask(name: RequestName, ...fields: Uint8Array[]): Promise<Fields> {
    const answer = await this.raw(message(REQUEST[name], 7, ...fields));
    assert.ok(answer);
    const read = new Fields(answer);
    assert.equal(read.view.getUint32(0, true), answer.length);
    assert.equal(read.view.getUint16(5, true), 7);
    if (answer[4] === 7) throw new RemoteError(read.u32());
    assert.equal(answer[4], REQUEST[name] + 1);
    return read;
  }

  /** Version and attach, as root. */
  async start(messageBytes = 65536, uid = 0): Promise<this> {
    const version = await this.ask('version', u32(messageBytes), text('9P2000.L'));
    assert.ok(version.u32() <= messageBytes);
    assert.equal(version.string(), '9P2000.L');
    await this.attach(ROOT, uid);
    return this;
  }

  async attach(fid: number, uid: number): Promise<void> {
    await this.ask('attach', u32(fid), u32(0xffffffff), text('root'), text(''), u32(uid));
  }

  fid(): number {
    return this.#nextFid++;
  }

  /** Walks a path from the root to a new fid. */
  async walk(path: string, from = ROOT): Promise<number> {
    const fid = this.fid();
    const names = path.split('/').filter((name) => name !== '');
    const answer = await this.ask('walk', u32(from), u32(fid), u16(names.length), ...names.map(text));
    if (answer.u16() < names.length) throw new RemoteError(ERRNO.ENOENT);
    return fid;
  }

  async clunk(fid: number): Promise<void> {
    await this.ask('clunk', u32(fid));
  }

  async open(path: string, flags = 0): Promise<number> {
    const fid = await this.walk(path);
    await this.openFid(fid, flags);
    return fid;
  }

  async openFid(fid: number, flags = 0): Promise<void> {
    await this.ask('lopen', u32(fid), u32(flags));
  }

  /** Creates a file, open to be read and written. */
  async create(path: string, mode = 0o644, flags = 0o302, gid = 0): Promise<number> {
    const at = path.lastIndexOf('/');
    const fid = await this.walk(path.slice(0, Math.max(0, at)));
    await this.ask('lcreate', u32(fid), text(path.slice(at + 1)), u32(flags), u32(mode), u32(gid));
    return fid;
  }

  async read(fid: number, offset: number, count: number): Promise<Uint8Array> {
    const answer = await this.ask('read', u32(fid), u64(offset), u32(count));
    return answer.data(answer.u32());
  }

  async write(fid: number, offset: number, bytes: Uint8Array | string): Promise<number> {
    const data = Buffer.from(bytes as string);
    return (await this.ask('write', u32(fid), u64(offset), u32(data.length), data)).u32();
  }

  async readFile(path: string): Promise<string> {
    const fid = await this.open(path);
    const bytes = await this.read(fid, 0, 60000);
    await this.clunk(fid);
    return Buffer.from(bytes).toString();
  }

  async writeFile(path: string, contents: string): Promise<void> {
    const fid = await this.create(path);
    await this.write(fid, 0, contents);
    await this.clunk(fid);
  }

  async attributes(fid: number): Promise<Attributes> {
    const read = await this.ask('getattr', u32(fid), u64(0x7ff));
    read.u64();
    const qid = read.qid();
    const [mode, uid, gid] = [read.u32(), read.u32(), read.u32()];
    const [nlink, rdev, size, blksize] = [read.u64(), read.u64(), read.u64(), read.u64()].map(Number);
    read.u64();
    const time = (): bigint => read.u64() * 1_000_000_000n + read.u64();
    const [atimeNs, mtimeNs, ctimeNs] = [time(), time(), time()];
    read.data(32);
    assert.ok(read.isAtEnd);
    return { qid, mode, uid, gid, nlink, rdev, size, blksize, atimeNs, mtimeNs, ctimeNs } as Attributes;
  }

  async stat(path: string): Promise<Attributes> {
    const fid = await this.walk(path);
    try {
      return await this.attributes(fid);
    } finally {
      await this.clunk(fid);
    }
  }

  async setattr(
    fid: number,
    valid: number,
    {
      mode = 0,
      uid = 0,
      gid = 0,
      size = 0,
      atime = 0n,
      mtime = 0n,
    }: Partial<Record<'mode' | 'uid' | 'gid' | 'size', number>> & {
      atime?: bigint;
      mtime?: bigint;
    },
  ): Promise<void> {
    const times = [atime, mtime].flatMap((ns) => [u64(ns / 1_000_000_000n), u64(ns % 1_000_000_000n)]);
    await this.ask('setattr', u32(fid), u32(valid), u32(mode), u32(uid), u32(gid), u64(size), ...times);
  }

  mkdir(path: string, mode = 0o755, gid = 0): Promise<void> {
    return this.#inParent(path, async (fid, name) => {
      await this.ask('mkdir', u32(fid), text(name), u32(mode), u32(gid));
    });
  }

  symlink(path: string, target: string): Promise<void> {
    return this.#inParent(path, async (fid, name) => {
      await this.ask('symlink', u32(fid), text(name), text(target), u32(0));
    });
  }

  mknod(path: string, mode: number, major: number, minor: number): Promise<void> {
    return this.#inParent(path, async (fid, name) => {
      await this.ask('mknod', u32(fid), text(name), u32(mode), u32(major), u32(minor), u32(0));
    });
  }

  unlink(path: string, flags = 0): Promise<void> {
    return this.#inParent(path, async (fid, name) => {
      await this.ask('unlinkat', u32(fid), text(name), u32(flags));
    });
  }

  rename(path: string, newPath: string): Promise<void> {
    return this.#inParent(path, (fid, name) =>
      this.#inParent(newPath, async (newFid, newName) => {
        await this.ask('renameat', u32(fid), text(name), u32(newFid), text(newName));
      }),
    );
  }

  async link(path: string, newPath: string): Promise<void> {
    const fid = await this.walk(path);
    try {
      await this.#inParent(newPath, async (directory, name) => {
        await this.ask('link', u32(directory), u32(fid), text(name));
      });
    } finally {
      await this.clunk(fid);
    }
  }

  async readlink(path: string): Promise<string> {
    const fid = await this.walk(path);
    try {
      return (await this.ask('readlink', u32(fid))).string();
    } finally {
      await this.clunk(fid);
    }
  }

  async #inParent(path: string, then: (fid: number, name: string) => Promise<void>): Promise<void> {
    const at = path.lastIndexOf('/');
    const fid = await this.walk(path.slice(0, Math.max(0, at)));
    try {
      await then(fid, path.slice(at + 1));
    } finally {
      await this.clunk(fid);
    }
  }

  /** One piece of a listing. */
  async entries(
    fid: number,
    offset: bigint,
    count: number,
  ): Promise<{ name: string; offset: bigint; type: number; path: bigint }[]> {
    const read = await this.ask('readdir', u32(fid), u64(offset), u32(count));
    const length = read.u32();
    assert.ok(length <= count);
    const found = [];
    while (!read.isAtEnd) {
      const { path } = read.qid();
      found.push({ path, offset: read.u64(), type: read.u8(), name: read.string() });
    }
    return found;
  }

  /** All names of an open directory. */
  async names(fid: number, count = 512): Promise<string[]> {
    const names: string[] = [];
    for (let offset = 0n; ; ) {
      const piece = await this.entries(fid, offset, count);
      const last = piece.at(-1);
      if (last === undefined) return names;
      names.push(...piece.map(({ name }) => name));
      offset = last.offset;
    }
  }

  async list(path: string): Promise<string[]> {
    const fid = await this.open(path, 0o200000);
    try {
      return (await this.names(fid)).filter((name) => name !== '.' && name !== '..');
    } finally {
      await this.clunk(fid);
    }
  }
}
