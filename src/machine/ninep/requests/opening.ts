/** Open, create, read and write, and what belongs to an open file. */
import { type FileAccess, type FolderDirectory, FolderError, type FolderFile, S_IFREG } from '../../outside/folders.ts';
import { type Call, checkNewName } from '../call.ts';
import { DATA_HEADER_BYTES, OPEN } from '../protocol.ts';
import type { Fid } from '../session.ts';
import { now, type Steps } from '../steps.ts';
import { OpenFile } from '../tree.ts';

/** @throws FolderError EINVAL, EROFS. */
function accessOf(call: Call, flags: number): FileAccess {
  const access = flags & OPEN.access;
  if (access === OPEN.access) throw new FolderError('EINVAL');
  const write = access !== OPEN.readOnly;
  const truncate = (flags & OPEN.truncate) !== 0;
  if (write || truncate) call.session.checkWritable();
  return { read: access !== OPEN.writeOnly, write, truncate, append: write && (flags & OPEN.append) !== 0 };
}

/** A fid is open from now on. The file is closed when its number has become something else's. */
function setOpen(call: Call, number: number, fid: Fid, file: FolderFile, access: FileAccess): OpenFile {
  const open = new OpenFile(fid.entry, file, access);
  if (!call.session.isCurrent(number, fid) || fid.isOpen) {
    open.release();
    throw new FolderError('EBADF');
  }
  fid.open = open;
  return call.hold(open);
}

export function* lopen(call: Call): Steps<void> {
  const { request, session, answer } = call;
  const [number, flags] = [request.u32(), request.u32()];
  call.checkRead();
  const fid = call.fid(number);
  if (fid.isOpen) throw new FolderError('EBADF');
  const { entry } = fid;
  const access = accessOf(call, flags);
  if (entry.isDirectory) {
    if (access.write || access.truncate) throw new FolderError('EISDIR');
    const status = yield* now((yield* call.directory(entry)).status());
    if (!session.isCurrent(number, fid) || fid.isOpen) throw new FolderError('EBADF');
    fid.listing = { names: undefined, shift: 0, place: 0, last: '' };
    answer.qid(session.qid(status));
  } else {
    if (flags & OPEN.directory) throw new FolderError('ENOTDIR');
    session.checkMayOpen();
    const remaining = entry.isGone ? call.remaining(entry) : undefined;
    const file = yield* now(
      remaining ? remaining.file.open(access) : (yield* call.parent(entry)).file(entry.name, access),
    );
    const open = setOpen(call, number, fid, file, access);
    const status = yield* now(open.file.status());
    const qid = session.qid(status);
    // A file that stands for a device is opened by the guest itself, and by nobody else.
    const isPlain = (session.ownership.show(qid.path, status).mode & ~0o7777) === S_IFREG;
    if (!isPlain) throw new FolderError('ENXIO');
    answer.qid(qid);
  }
  answer.u32(0);
}

/** Makes a file, or opens the one that is there. */
function* createOrOpen(
  directory: FolderDirectory,
  name: string,
  flags: number,
  access: FileAccess,
  permissions: number,
): Steps<{ file: FolderFile; isNew: boolean }> {
  try {
    return { file: yield* now(directory.create(name, access, permissions)), isNew: true };
  } catch (error) {
    if (flags & OPEN.exclusive || !(error instanceof FolderError) || error.code !== 'EEXIST') throw error;
    return { file: yield* now(directory.file(name, access)), isNew: false };
  }
}

export function* lcreate(call: Call): Steps<void> {
  const { request, session, answer } = call;
  const number = request.u32();
  const name = request.string();
  const [flags, mode, gid] = [request.u32(), request.u32(), request.u32()];
  call.checkRead();
  const directoryFid = call.writableDirectory(number);
  if (directoryFid.isOpen) throw new FolderError('EBADF');
  checkNewName(name);
  session.checkMayOpen();
  const access = accessOf(call, flags);
  const directory = yield* call.directory(directoryFid.entry);
  const { file, isNew } = yield* createOrOpen(directory, name, flags, access, mode & 0o777);
  let status: Awaited<ReturnType<FolderFile['status']>>;
  try {
    status = yield* now(file.status());
    const entry = call.child(directoryFid.entry, name, status);
    if (isNew) session.ownership.created(entry.path, status, directoryFid.uid, gid, mode);
    if (!session.isCurrent(number, directoryFid)) throw new FolderError('EBADF');
    call.setFid(number, entry, directoryFid.uid);
  } catch (error) {
    file.close();
    throw error;
  }
  setOpen(call, number, session.fid(number), file, access);
  answer.qid(session.qid(status));
  answer.u32(0);
}

export function* read(call: Call): Steps<void> {
  const { request, session, answer } = call;
  const [number, offset, count] = [request.u32(), Number(request.u64()), request.u32()];
  call.checkRead();
  const fid = call.fid(number);
  if (fid.listing) throw new FolderError('EISDIR');
  if (!fid.open?.access.read) throw new FolderError('EBADF');
  if (!Number.isSafeInteger(offset)) throw new FolderError('EINVAL');
  const length = Math.min(count, answer.left - 4, session.messageBytes - DATA_HEADER_BYTES);
  if (length < 0) throw new FolderError('EMSGSIZE');
  const countAt = answer.skip(4);
  const into = answer.buffer.subarray(DATA_HEADER_BYTES, DATA_HEADER_BYTES + length);
  const got = length === 0 ? 0 : yield* now(fid.open.file.read(offset, into));
  answer.patch32(countAt, got);
  answer.skip(got);
}

export function* write(call: Call): Steps<void> {
  const { request, session, answer } = call;
  const [number, offset, count] = [request.u32(), Number(request.u64()), request.u32()];
  const bytes = request.bytes(count);
  call.checkRead();
  const fid = call.fid(number);
  if (!fid.open?.access.write) throw new FolderError('EBADF');
  if (!Number.isSafeInteger(offset + count)) throw new FolderError('EFBIG');
  const written = count === 0 ? 0 : yield* now(fid.open.file.write(offset, bytes));
  if (fid.uid !== 0) session.ownership.written(fid.entry.path);
  answer.u32(written);
}

export function* fsync(call: Call): Steps<void> {
  const { request } = call;
  const [number, dataOnly] = [request.u32(), request.u32()];
  call.checkRead();
  const fid = call.fid(number);
  if (fid.open) yield* now(fid.open.file.sync(dataOnly !== 0));
  else if (fid.listing) yield* now((yield* call.directory(fid.entry)).sync());
  else throw new FolderError('EBADF');
}

const LOCK_SUCCESS = 0;
const UNLOCKED = 2;

/**
 * Locks between the guest's own processes are its kernel's, which asks here only when it has granted one: a channel has one
 * mount, so there is nobody else.
 */
// biome-ignore lint/correctness/useYield: a handler like the others
export function* lock(call: Call): Steps<void> {
  const { request, answer } = call;
  const number = request.u32();
  request.bytes(1 + 4 + 8 + 8 + 4);
  request.string();
  call.checkRead();
  if (!call.fid(number).isOpen) throw new FolderError('EBADF');
  answer.u8(LOCK_SUCCESS);
}

// biome-ignore lint/correctness/useYield: a handler like the others
export function* getlock(call: Call): Steps<void> {
  const { request, answer } = call;
  const number = request.u32();
  request.u8();
  const [start, length, process] = [request.u64(), request.u64(), request.u32()];
  const client = request.string();
  call.checkRead();
  if (!call.fid(number).isOpen) throw new FolderError('EBADF');
  answer.u8(UNLOCKED);
  answer.u64(start);
  answer.u64(length);
  answer.u32(process);
  answer.string(client);
}
