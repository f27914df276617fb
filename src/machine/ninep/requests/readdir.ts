import { FolderError } from '../../outside/folders.ts';
import type { Call } from '../call.ts';
import { DATA_HEADER_BYTES, QID_BYTES } from '../protocol.ts';
import type { Fid, Listing } from '../session.ts';
import { now, type Steps } from '../steps.ts';

/** A directory with more names is not read: their listing would take some 100 MB. */
const MAX_NAMES = 2 ** 20;
/** An answer has no more entries: each is looked up, and a call is short. */
const MAX_ENTRIES = 128;
/** "." and ".." */
const OWN_NAMES = 2;
/** qid[13] offset[8] type[1] name[s] */
const ENTRY_BYTES = QID_BYTES + 8 + 1 + 2;

/** The first of sorted names behind `last`. */
function indexBehind(names: readonly string[], last: string): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((names[middle] as string) > last) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The names of a directory for its reader: as they were when it began, or where that is forgotten, from where it is. */
function* namesOf(call: Call, fid: Fid, listing: Listing, place: number): Steps<readonly string[]> {
  if (place > 0 && listing.names) return listing.names;
  const names = yield* now((yield* call.directory(fid.entry)).list(MAX_NAMES));
  names.sort();
  listing.shift = 0;
  if (place > OWN_NAMES && place === listing.place)
    listing.shift = place - OWN_NAMES - indexBehind(names, listing.last);
  call.session.keepListing(fid, names);
  return names;
}

export function* readdir(call: Call): Steps<void> {
  const { request, session, answer } = call;
  const [number, offset, count] = [request.u32(), request.u64(), request.u32()];
  call.checkRead();
  const fid = call.fid(number);
  const { listing, entry } = fid;
  if (listing === undefined) throw new FolderError(fid.open ? 'ENOTDIR' : 'EBADF');
  let place = offset > BigInt(MAX_NAMES) ? MAX_NAMES + OWN_NAMES : Number(offset);
  let left = Math.min(count, answer.left - 4, session.messageBytes - DATA_HEADER_BYTES);
  const names = yield* namesOf(call, fid, listing, place);
  const { shift } = listing;
  const directory = yield* call.directory(entry);
  const countAt = answer.skip(4);
  let [used, entries] = [0, 0];
  while (entries < MAX_ENTRIES) {
    const isOwn = place < OWN_NAMES;
    const name = place === 0 ? '.' : place === 1 ? '..' : names[place - OWN_NAMES - shift];
    if (name === undefined) break;
    const bytes = ENTRY_BYTES + name.length;
    if (bytes > left) {
      if (entries === 0) throw new FolderError('EINVAL');
      break;
    }
    // What has gone since is left out, and its place with it.
    const status = isOwn
      ? yield* call.status(place === 1 ? (entry.parent ?? entry) : entry)
      : yield* now(directory.look(name));
    place++;
    if (status === undefined) continue;
    const qid = session.qid(status);
    answer.qid(qid);
    answer.u64(BigInt(place));
    // A directory entry's type is the kind in its mode (DT_DIR and so on).
    answer.u8((session.ownership.show(qid.path, status).mode >> 12) & 0xf);
    answer.string(name);
    [used, left, entries] = [used + bytes, left - bytes, entries + 1];
    listing.place = place;
    listing.last = isOwn ? '' : name;
  }
  answer.patch32(countAt, used);
}
