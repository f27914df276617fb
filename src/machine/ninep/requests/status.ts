/** What is known of files: attributes, links, room, and extended attributes, of which there are none. */
import { type FileChanges, FolderError, type NewTime, S_IFLNK } from '../../outside/folders.ts';
import type { Call } from '../call.ts';
import { DATA_HEADER_BYTES, MAX_NAME_BYTES, SETATTR, STATS_BASIC } from '../protocol.ts';
import { now, type Steps } from '../steps.ts';

/** C libraries read in pieces of `st_blksize`: a few pages at least, so that a guest asks seldom. */
const MIN_BLOCK_BYTES = 4096;
const MAX_BLOCK_BYTES = 2 ** 17;

function blockBytes(messageBytes: number): number {
  let bytes = MAX_BLOCK_BYTES;
  while (bytes > MIN_BLOCK_BYTES && bytes > messageBytes - DATA_HEADER_BYTES) bytes /= 2;
  return bytes;
}

export function* getattr(call: Call): Steps<void> {
  const { request, session, answer } = call;
  const number = request.u32();
  request.u64(); // What is asked for: all that there is costs no more.
  call.checkRead();
  const fid = call.fid(number);
  const status = yield* call.status(fid.entry, fid.open);
  const qid = session.qid(status);
  const shown = session.ownership.show(qid.path, status);
  answer.u64(STATS_BASIC);
  answer.qid(qid);
  answer.u32(shown.mode);
  answer.u32(shown.uid);
  answer.u32(shown.gid);
  answer.u64(status.nlink);
  answer.u64(shown.rdev);
  answer.u64(status.size);
  answer.u64(BigInt(blockBytes(session.messageBytes)));
  answer.u64(status.blocks);
  answer.time(status.atimeNs);
  answer.time(status.mtimeNs);
  answer.time(status.ctimeNs);
  answer.time(status.birthtimeNs);
  answer.u64(0n); // Generation
  answer.u64(0n); // Version of the data
}

/** A time as it is set: `isNow` without a value. */
function newTime(isSet: boolean, isGiven: boolean, seconds: bigint, nanoseconds: bigint): NewTime | undefined {
  if (!isSet) return undefined;
  if (!isGiven) return 'now';
  if (nanoseconds > 999_999_999n || seconds > 2n ** 40n || seconds < -(2n ** 40n)) throw new FolderError('EINVAL');
  return seconds * 1_000_000_000n + nanoseconds;
}

export function* setattr(call: Call): Steps<void> {
  const { request, session } = call;
  const [number, valid, mode, uid, gid] = [request.u32(), request.u32(), request.u32(), request.u32(), request.u32()];
  const size = Number(request.u64());
  const has = (bit: number): boolean => (valid & bit) !== 0;
  const atime = newTime(has(SETATTR.atime), has(SETATTR.atimeSet), request.i64(), request.u64());
  const mtime = newTime(has(SETATTR.mtime), has(SETATTR.mtimeSet), request.i64(), request.u64());
  call.checkRead();
  session.checkWritable();
  if (has(SETATTR.size) && !Number.isSafeInteger(size)) throw new FolderError('EFBIG');
  const fid = call.fid(number);
  const { entry } = fid;
  const status = yield* call.status(entry, fid.open);
  const { path } = session.qid(status);
  const hasOwner = has(SETATTR.uid) || has(SETATTR.gid);
  // A new owner is not the host's to know, but its time of change is: the mode that there was is set again.
  const permissions = has(SETATTR.mode) ? mode : hasOwner && entry.kind !== S_IFLNK ? Number(status.mode) : undefined;
  const changes: FileChanges = {
    permissions: permissions === undefined ? undefined : permissions & 0o777,
    size: has(SETATTR.size) ? size : undefined,
    atime,
    mtime,
  };
  if (Object.values(changes).some((value) => value !== undefined)) {
    const open = fid.open ?? (entry.isGone ? call.remaining(entry) : undefined);
    if (open) yield* now(open.file.change(changes));
    else if (entry.isDirectory) yield* now((yield* call.directory(entry)).change(changes));
    else yield* now((yield* call.parent(entry)).changeEntry(entry.name, changes));
  }
  if (hasOwner)
    session.ownership.chown(path, status, has(SETATTR.uid) ? uid : undefined, has(SETATTR.gid) ? gid : undefined);
  if (has(SETATTR.mode)) session.ownership.chmod(path, status, mode);
}

export function* readlink(call: Call): Steps<void> {
  const number = call.request.u32();
  call.checkRead();
  const { entry } = call.fid(number);
  if (entry.kind !== S_IFLNK) throw new FolderError('EINVAL');
  call.answer.string(yield* now((yield* call.parent(entry)).readLink(entry.name)));
}

/** V9FS_MAGIC */
const FILE_SYSTEM_TYPE = 0x01021997;

export function* statfs(call: Call): Steps<void> {
  const { request, session, answer } = call;
  const number = request.u32();
  call.checkRead();
  call.fid(number);
  const room = yield* now(session.folder.room());
  answer.u32(FILE_SYSTEM_TYPE);
  answer.u32(Number(room.bsize));
  for (const count of [room.blocks, room.bfree, room.bavail, room.files, room.ffree]) answer.u64(count);
  answer.u64(0n); // Identifier
  answer.u32(MAX_NAME_BYTES);
}

/** Linux asks for security.capability at each write and exec: this is all that it costs. */
// biome-ignore lint/correctness/useYield: a handler like the others
export function* noExtendedAttributes(): Steps<void> {
  throw new FolderError('EOPNOTSUPP');
}
