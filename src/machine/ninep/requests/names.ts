/** What makes, gives and takes names: directories, links, nodes, rename and remove. */
import { FolderError, S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from '../../outside/folders.ts';
import { type Call, checkName, checkNewName } from '../call.ts';
import { REMOVE_DIRECTORY } from '../protocol.ts';
import type { Fid } from '../session.ts';
import { now, type Steps } from '../steps.ts';
import { type Entry, OpenFile } from '../tree.ts';

/** Something was made under a name: it is its maker's, and answered by its qid. */
function* made(call: Call, fid: Fid, name: string, gid: number, mode: number, kind = 0, rdev = 0n): Steps<void> {
  const { session, answer } = call;
  const status = yield* call.look(yield* call.directory(fid.entry), name);
  const qid = session.qid(status);
  session.ownership.created(qid.path, status, fid.uid, gid, mode);
  if (kind !== 0) session.ownership.mknod(qid.path, status, kind, rdev);
  answer.qid(qid);
}

export function* mkdir(call: Call): Steps<void> {
  const { request } = call;
  const number = request.u32();
  const name = request.string();
  const [mode, gid] = [request.u32(), request.u32()];
  call.checkRead();
  const fid = call.writableDirectory(number);
  checkNewName(name);
  yield* now((yield* call.directory(fid.entry)).makeDirectory(name, mode & 0o777));
  yield* made(call, fid, name, gid, mode);
}

export function* symlink(call: Call): Steps<void> {
  const { request } = call;
  const number = request.u32();
  const [name, target] = [request.string(), request.string()];
  const gid = request.u32();
  call.checkRead();
  const fid = call.writableDirectory(number);
  checkNewName(name);
  if (target === '' || target.includes('\0')) throw new FolderError('ENOENT');
  yield* now((yield* call.directory(fid.entry)).makeLink(name, target));
  yield* made(call, fid, name, gid, 0);
}

const NO_ACCESS = { read: false, write: false } as const;
const WRITE_ONLY = { read: false, write: true } as const;

export function* mknod(call: Call): Steps<void> {
  const { request } = call;
  const number = request.u32();
  const name = request.string();
  const [mode, major, minor, gid] = [request.u32(), request.u32(), request.u32(), request.u32()];
  call.checkRead();
  const fid = call.writableDirectory(number);
  checkNewName(name);
  const kind = mode & S_IFMT || S_IFREG;
  if (![S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK].includes(kind)) throw new FolderError('EINVAL');
  const isPlain = kind === S_IFREG;
  const file = yield* now((yield* call.directory(fid.entry)).create(name, WRITE_ONLY, mode & 0o777));
  file.close();
  // Linux's encoding (new_encode_dev): 12 bits of the major number, 20 of the minor.
  const rdev = BigInt((((minor & 0xff) | ((major & 0xfff) << 8)) >>> 0) + (minor >>> 8) * 2 ** 20);
  yield* made(call, fid, name, gid, mode, isPlain ? 0 : kind, rdev);
}

export function* link(call: Call): Steps<void> {
  const { request } = call;
  const [directoryNumber, number] = [request.u32(), request.u32()];
  const name = request.string();
  call.checkRead();
  const directoryFid = call.writableDirectory(directoryNumber);
  const { entry } = call.fid(number);
  checkNewName(name);
  if (entry.isDirectory) throw new FolderError('EPERM');
  const from = yield* call.parent(entry);
  yield* now((yield* call.directory(directoryFid.entry)).link(name, from, entry.name));
}

/** Before a name goes: keeps the file for the fids that the guest has for it. What it was held by, for `gone`. */
function* keep(call: Call, parent: Entry, name: string): Steps<{ hasLinks: boolean; path: bigint } | undefined> {
  const { session } = call;
  const entry = session.tree.find(parent, name);
  if (entry) call.hold(entry);
  else if (session.ownership.isEmpty) return undefined;
  const directory = yield* call.directory(parent);
  const status = yield* now(directory.look(name));
  if (status === undefined) return undefined;
  const isRegular = (Number(status.mode) & S_IFMT) === S_IFREG;
  if (entry && isRegular && !entry.open?.size && session.tree.openFiles < session.tree.maxFiles) {
    try {
      const file = yield* now(directory.file(name, undefined));
      if (entry.held) file.close();
      else entry.held = new OpenFile(entry, file, NO_ACCESS);
    } catch (error) {
      if (!(error instanceof FolderError)) throw error;
    }
  }
  return { hasLinks: isRegular && status.nlink > 1n, path: session.qids.path(status) };
}

/** A name has gone. */
function gone(call: Call, parent: Entry, name: string, kept: { hasLinks: boolean; path: bigint } | undefined): void {
  const { session } = call;
  const entry = session.tree.find(parent, name);
  if (entry) session.tree.detach(entry);
  if (kept === undefined || kept.hasLinks) return;
  if (entry?.path === kept.path) entry.isDoomed = true;
  else session.ownership.forget(kept.path);
}

function* removeName(call: Call, parent: Entry, name: string, isDirectory: boolean): Steps<void> {
  const directory = yield* call.directory(parent);
  const kept = yield* keep(call, parent, name);
  yield* now(isDirectory ? directory.removeDirectory(name) : directory.removeFile(name));
  gone(call, parent, name, kept);
}

export function* unlinkat(call: Call): Steps<void> {
  const { request } = call;
  const number = request.u32();
  const name = request.string();
  const flags = request.u32();
  call.checkRead();
  const fid = call.writableDirectory(number);
  checkName(name);
  if (name === '.' || name === '..') throw new FolderError(name === '.' ? 'EINVAL' : 'ENOTEMPTY');
  yield* removeName(call, fid.entry, name, (flags & REMOVE_DIRECTORY) !== 0);
}

/** Removes what a fid names; the fid is gone afterwards, whatever came of it. */
export function* remove(call: Call): Steps<void> {
  const number = call.request.u32();
  call.checkRead();
  const { entry } = call.fid(number);
  call.session.clunk(number);
  call.session.checkWritable();
  if (entry.parent === undefined) throw new FolderError('EBUSY');
  if (entry.isGone) throw new FolderError('ENOENT');
  yield* removeName(call, call.hold(entry.parent), entry.name, entry.isDirectory);
}

function* move(call: Call, from: Entry, name: string, to: Entry, newName: string): Steps<void> {
  const { tree } = call.session;
  const source = yield* call.directory(from);
  const target = yield* call.directory(to);
  const moving = tree.find(from, name);
  if (moving) call.hold(moving);
  const isSame = from === to && name === newName;
  const kept = isSame ? undefined : yield* keep(call, to, newName);
  yield* now(source.rename(name, target, newName));
  if (isSame) return;
  // Two names of one file both stay.
  if (kept && moving?.path === kept.path) return;
  gone(call, to, newName, kept);
  if (moving && !moving.isGone) tree.move(moving, to, newName);
}

export function* renameat(call: Call): Steps<void> {
  const { request } = call;
  const number = request.u32();
  const name = request.string();
  const newNumber = request.u32();
  const newName = request.string();
  call.checkRead();
  const from = call.writableDirectory(number);
  const to = call.writableDirectory(newNumber);
  for (const one of [name, newName]) {
    checkName(one);
    if (one === '.' || one === '..') throw new FolderError('EBUSY');
  }
  yield* move(call, from.entry, name, to.entry, newName);
}

export function* rename(call: Call): Steps<void> {
  const { request } = call;
  const [number, directoryNumber] = [request.u32(), request.u32()];
  const name = request.string();
  call.checkRead();
  const to = call.writableDirectory(directoryNumber);
  const { entry } = call.fid(number);
  checkNewName(name);
  if (entry.parent === undefined) throw new FolderError('EBUSY');
  if (entry.isGone) throw new FolderError('ENOENT');
  yield* move(call, call.hold(entry.parent), entry.name, to.entry, name);
}
