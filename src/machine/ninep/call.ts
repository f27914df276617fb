import { type FileStatus, type FolderDirectory, FolderError } from '../outside/folders.ts';
import { type AnswerWriter, MAX_NAME_BYTES, type RequestReader } from './protocol.ts';
import { Fid, type Session } from './session.ts';
import { now, type Steps } from './steps.ts';
import type { Counted, Entry, OpenFile } from './tree.ts';

/** How a request is served: its fields are read first, the answer's written last. */
export type Handler = (call: Call) => Steps<void>;

/** One request that is being served, and what must not go while it is. */
export class Call {
  readonly session: Session;
  readonly request: RequestReader;
  readonly answer: AnswerWriter;
  readonly #held: Counted[] = [];

  constructor(session: Session, request: RequestReader, answer: AnswerWriter) {
    this.session = session;
    this.request = request;
    this.answer = answer;
  }

  /** Takes over one use, until the request is served. */
  own<T extends Counted>(what: T): T {
    this.#held.push(what);
    return what;
  }

  hold<T extends Counted>(what: T): T {
    what.users++;
    return this.own(what);
  }

  release(): void {
    for (const one of this.#held) one.release();
  }

  /** A fid by its number. @throws FolderError EBADF. */
  fid(number: number): Fid {
    const fid = this.session.fid(number);
    this.hold(fid.entry);
    if (fid.open) this.hold(fid.open);
    return fid;
  }

  /** A directory that names are made or removed in. @throws FolderError EROFS, EBADF, ENOTDIR. */
  writableDirectory(number: number): Fid {
    this.session.checkWritable();
    const fid = this.fid(number);
    this.session.checkDirectory(fid.entry);
    return fid;
  }

  /** All fields have been read. @throws FolderError EPROTO when the request has fewer. */
  checkRead(): void {
    if (this.request.isShort) throw new FolderError('EPROTO');
  }

  /** The host's directory of an entry. */
  *directory(entry: Entry): Steps<FolderDirectory> {
    return this.own(yield* entry.tree.lease(entry)).directory;
  }

  /** The host's directory that an entry's name is in. @throws FolderError ENOENT when the name is not its own any more. */
  *parent(entry: Entry): Steps<FolderDirectory> {
    if (entry.isGone || entry.parent === undefined) throw new FolderError('ENOENT');
    return yield* this.directory(this.hold(entry.parent));
  }

  /** A file that is open for an entry whose name is gone. */
  remaining(entry: Entry): OpenFile | undefined {
    for (const open of entry.open ?? []) return this.hold(open);
    return undefined;
  }

  /** What is known of a file by its entry; `open` is the fid's own. */
  *status(entry: Entry, open?: OpenFile): Steps<FileStatus> {
    const file = open ?? (entry.isGone ? this.remaining(entry) : undefined);
    if (file) return yield* now(file.file.status());
    if (entry.isDirectory) return yield* now((yield* this.directory(entry)).status());
    const status = yield* now((yield* this.parent(entry)).look(entry.name));
    if (status === undefined) throw new FolderError('ENOENT');
    return status;
  }

  /** What has a name in a directory that is held. @throws FolderError ENOENT. */
  *look(directory: FolderDirectory, name: string): Steps<FileStatus> {
    const status = yield* now(directory.look(name));
    if (status === undefined) throw new FolderError('ENOENT');
    return status;
  }

  /** The entry of a name that was just seen, held. */
  child(parent: Entry, name: string, status: FileStatus): Entry {
    return this.own(this.session.tree.child(parent, name, this.session.qids.path(status), status));
  }

  /** Gives a number to what was walked to or attached. @throws FolderError EBADF. */
  setFid(number: number, entry: Entry, uid: number): void {
    this.session.set(number, new Fid(entry, uid));
    entry.users++;
  }
}

/** @throws FolderError when there is no such name: ENOENT, ENAMETOOLONG. */
export function checkName(name: string): void {
  if (name.length > MAX_NAME_BYTES) throw new FolderError('ENAMETOOLONG');
  if (name === '' || name.includes('/') || name.includes('\0')) throw new FolderError('ENOENT');
}

/** @throws FolderError when a name cannot be made or removed: as `checkName`, EEXIST for "." and "..". */
export function checkNewName(name: string): void {
  checkName(name);
  if (name === '.' || name === '..') throw new FolderError('EEXIST');
}
