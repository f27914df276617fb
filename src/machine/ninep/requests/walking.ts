/** Attach, walk and clunk: how a guest comes to its fids. */
import { FolderError } from '../../outside/folders.ts';
import { type Call, checkName } from '../call.ts';
import { MAX_WALK_NAMES, NO_FID, NO_UID, type Qid } from '../protocol.ts';
import type { Steps } from '../steps.ts';
import type { Entry } from '../tree.ts';

interface Place {
  readonly entry: Entry;
  readonly qid: Qid;
}

/** Where a name leads from an entry, held. ".." of the root is the root. @throws FolderError ENOENT: nowhere. */
export function* step(call: Call, from: Entry, name: string): Steps<Place> {
  checkName(name);
  call.session.checkDirectory(from);
  if (name === '.' || name === '..') {
    const entry = (name === '..' && from.parent) || from;
    return { entry: call.hold(entry), qid: call.session.qid(yield* call.status(entry)) };
  }
  const directory = yield* call.directory(from);
  const status = yield* call.look(directory, name);
  return { entry: call.child(from, name, status), qid: call.session.qid(status) };
}

export function* attach(call: Call): Steps<void> {
  const { request, session } = call;
  const [number, authentication] = [request.u32(), request.u32()];
  request.string(); // The user's name: numbers decide.
  const path = request.string();
  const uid = request.u32();
  call.checkRead();
  if (session.messageBytes === 0) throw new FolderError('EPROTO');
  if (authentication !== NO_FID) throw new FolderError('EOPNOTSUPP');
  session.checkFree(number);
  let entry = call.hold(session.tree.root);
  let qid = session.qid(yield* call.status(entry));
  for (const name of path.split('/')) {
    if (name === '') continue;
    ({ entry, qid } = yield* step(call, entry, name));
  }
  session.checkFree(number);
  call.setFid(number, entry, uid === NO_UID ? 0 : uid);
  call.answer.qid(qid);
}

export function* walk(call: Call): Steps<void> {
  const { request, session, answer } = call;
  const [number, newNumber, count] = [request.u32(), request.u32(), request.u16()];
  if (count > MAX_WALK_NAMES) throw new FolderError('EINVAL');
  const names = Array.from({ length: count }, () => request.string());
  call.checkRead();
  const fid = call.fid(number);
  if (newNumber !== number) session.checkFree(newNumber);
  else if (fid.isOpen) throw new FolderError('EBADF');
  let entry = fid.entry;
  const qids: Qid[] = [];
  for (const name of names) {
    try {
      const place = yield* step(call, entry, name);
      entry = place.entry;
      qids.push(place.qid);
    } catch (error) {
      // Walks that get somewhere tell how far.
      if (qids.length === 0 || !(error instanceof FolderError)) throw error;
      break;
    }
  }
  if (qids.length === count) {
    if (newNumber !== number) session.checkFree(newNumber);
    else if (!session.isCurrent(number, fid)) throw new FolderError('EBADF');
    call.setFid(newNumber, entry, fid.uid);
  }
  answer.u16(qids.length);
  for (const qid of qids) answer.qid(qid);
}

// biome-ignore lint/correctness/useYield: a handler like the others
export function* clunk(call: Call): Steps<void> {
  const number = call.request.u32();
  call.checkRead();
  call.session.clunk(number);
}
