import { type DeviceState, savedPart } from '../device.ts';
import { ERRNO, type FileStatus, type Folder, FolderError } from '../outside/folders.ts';
import type { MessageServer } from '../outside/messages.ts';
import { Call, type Handler } from './call.ts';
import { Ownership } from './ownership.ts';
import { AnswerWriter, ERROR_BYTES, HEADER_BYTES, REQUEST, type RequestName, RequestReader } from './protocol.ts';
import { Qids } from './qids.ts';
import { link, mkdir, mknod, remove, rename, renameat, symlink, unlinkat } from './requests/names.ts';
import { fsync, getlock, lcreate, lock, lopen, read, write } from './requests/opening.ts';
import { readdir } from './requests/readdir.ts';
import { getattr, noExtendedAttributes, readlink, setattr, statfs } from './requests/status.ts';
import { attach, clunk, walk } from './requests/walking.ts';
import { MAX_FIDS, Session, type SessionOptions } from './session.ts';
import { parseSession, restoreSession, saveSession } from './state.ts';
import { run, type Steps } from './steps.ts';

/** Messages of more than this cost the guest nothing less. */
const MAX_MESSAGE_BYTES = 2 ** 19;
/** Linux asks for 4096 at least. */
const MIN_MESSAGE_BYTES = 4096;
/** Requests under way; a ring of Linux's has 128 descriptors. */
const MAX_CALLS = 128;

const VERSION = '9P2000.L';

/** Version and flush are the server's own. */
const HANDLERS: { readonly [Name in Exclude<RequestName, 'version' | 'flush'>]: Handler } = {
  statfs,
  lopen,
  lcreate,
  symlink,
  mknod,
  rename,
  readlink,
  getattr,
  setattr,
  xattrwalk: noExtendedAttributes,
  xattrcreate: noExtendedAttributes,
  readdir,
  fsync,
  lock,
  getlock,
  link,
  mkdir,
  renameat,
  unlinkat,
  auth: noExtendedAttributes,
  attach,
  walk,
  read,
  write,
  clunk,
  remove,
};
const BY_NUMBER = new Map<number, Handler>(
  Object.entries(HANDLERS).map(([name, handler]) => [REQUEST[name as RequestName], handler]),
);

export interface NinePServerOptions extends SessionOptions {
  /** Is told of what was thrown that no folder may throw: a fault of ours, which the guest sees as EIO. */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

/** A 9P2000.L file server over a folder, for one guest. */
export class NinePServer implements MessageServer {
  readonly #folder: Folder;
  readonly #options: NinePServerOptions;
  #qids = new Qids();
  #ownership: Ownership;
  /** What was open in a saved state is being opened. */
  #restoring: Promise<void> | undefined;
  /** By tag: requests that are under way. */
  readonly #calls = new Map<number, Promise<unknown>>();
  #underWay = 0;
  #isClosing = false;
  #session: Session;
  /** For the next answer, unless the one before is still being made in it. */
  #buffer: Uint8Array | undefined;

  /** `root`: the folder's own status. */
  constructor(folder: Folder, root: FileStatus, options: NinePServerOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#ownership = new Ownership(folder.owner);
    this.#session = this.#newSession(this.#qids.path(root));
  }

  #newSession(rootPath: bigint): Session {
    return new Session(this.#folder, rootPath, this.#options, this.#qids, this.#ownership);
  }

  /** What the guest has open, for tests and for those who ask what it takes. */
  get usage(): { fids: number; entries: number; openFiles: number; openDirectories: number } {
    const { fids, tree } = this.#session;
    return { fids, entries: tree.entries, openFiles: tree.openFiles, openDirectories: tree.openDirectories };
  }

  answer(message: Uint8Array, room: number): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    if (message.length < HEADER_BYTES || room < ERROR_BYTES) return undefined;
    if (this.#restoring) return this.#restoring.then(() => this.answer(message, room));
    const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
    const size = view.getUint32(0, true);
    const type = message[4] as number;
    const tag = view.getUint16(5, true);
    const session = this.#session;
    const bytes = Math.max(MIN_MESSAGE_BYTES, session.messageBytes);
    let buffer = this.#buffer;
    if (buffer === undefined || buffer.length < bytes) buffer = new Uint8Array(bytes);
    this.#buffer = buffer;
    const answer = new AnswerWriter(buffer, room);
    if (size < HEADER_BYTES || size > message.length || size > bytes) return answer.error(ERRNO.EPROTO, tag);
    const request = new RequestReader(message.subarray(0, size));
    if (type === REQUEST.version) return this.#version(request, answer, tag);
    if (type === REQUEST.flush) return this.#flush(request, answer, tag);
    const handler = BY_NUMBER.get(type);
    if (handler === undefined) return answer.error(ERRNO.EOPNOTSUPP, tag);
    if (this.#underWay >= MAX_CALLS) return answer.error(ERRNO.EAGAIN, tag);
    const result = run(this.#serve(handler, new Call(session, request, answer), type + 1, tag));
    if (!(result instanceof Promise)) return result;
    return this.#await(result, session, tag);
  }

  /** A request that waits: the buffer that it answers in is its own. */
  async #await(result: Promise<Uint8Array>, session: Session, tag: number): Promise<Uint8Array | undefined> {
    this.#buffer = undefined;
    this.#calls.set(tag, result);
    this.#underWay++;
    const bytes = await result;
    this.#underWay--;
    this.#closeIfIdle();
    if (this.#calls.get(tag) === result) this.#calls.delete(tag);
    return this.#session === session ? bytes : undefined;
  }

  *#serve(handler: Handler, call: Call, type: number, tag: number): Steps<Uint8Array> {
    const { answer } = call;
    try {
      yield* handler(call);
      return answer.isFull ? answer.error(ERRNO.EMSGSIZE, tag) : answer.finish(type, tag);
    } catch (error) {
      if (error instanceof FolderError) return answer.error(ERRNO[error.code], tag);
      this.#options.onFault?.(error);
      return answer.error(ERRNO.EIO, tag);
    } finally {
      call.release();
    }
  }

  /** Begins a session; the one before ends. */
  #version(request: RequestReader, answer: AnswerWriter, tag: number): Uint8Array {
    const wanted = request.u32();
    const version = request.string();
    if (request.isShort) return answer.error(ERRNO.EPROTO, tag);
    if (wanted < MIN_MESSAGE_BYTES) return answer.error(ERRNO.EMSGSIZE, tag);
    this.reset();
    const isKnown = version === VERSION;
    const bytes = Math.min(wanted, MAX_MESSAGE_BYTES);
    if (isKnown) this.#session.messageBytes = bytes;
    answer.u32(bytes);
    answer.string(isKnown ? VERSION : 'unknown');
    return answer.finish(REQUEST.version + 1, tag);
  }

  /** Requests are not broken off: their flush is answered behind them, with which their tag is free. */
  #flush(request: RequestReader, answer: AnswerWriter, tag: number): Uint8Array | Promise<Uint8Array> {
    const call = this.#calls.get(request.u16());
    if (request.isShort) return answer.error(ERRNO.EPROTO, tag);
    if (call === undefined) return answer.finish(REQUEST.flush + 1, tag);
    const own = new AnswerWriter(new Uint8Array(ERROR_BYTES), ERROR_BYTES);
    return call.then(() => own.finish(REQUEST.flush + 1, tag));
  }

  reset(): void {
    const before = this.#session;
    this.#session = this.#newSession(before.tree.root.path);
    before.end();
    this.#restoring = undefined;
    this.#calls.clear();
  }

  save(): DeviceState {
    return { session: saveSession(this.#session), owners: this.#ownership.save(), systems: this.#qids.save() };
  }

  /** Takes what `save` gave; what was open is opened anew. @throws MachineError, and stays as it is. */
  restore(state: DeviceState): void {
    const saved = parseSession(savedPart(state, 'session'), MAX_MESSAGE_BYTES, MAX_FIDS);
    const ownership = Ownership.restore(this.#folder.owner, savedPart(state, 'owners'));
    const qids = Qids.restore(savedPart(state, 'systems'));
    this.#ownership = ownership;
    this.#qids = qids;
    this.reset();
    const restoring = run(restoreSession(this.#session, saved));
    if (!(restoring instanceof Promise)) return;
    this.#underWay++;
    const ended: Promise<void> = restoring.then(
      () => this.#restored(ended),
      (error) => {
        this.#options.onFault?.(error);
        this.#restored(ended);
      },
    );
    this.#restoring = ended;
  }

  #restored(ended: Promise<void>): void {
    this.#underWay--;
    this.#closeIfIdle();
    if (this.#restoring === ended) this.#restoring = undefined;
  }

  /** The folder is let go as soon as nothing is under way in it. */
  close(): void {
    this.reset();
    this.#isClosing = true;
    this.#closeIfIdle();
  }

  #closeIfIdle(): void {
    if (!this.#isClosing || this.#underWay > 0) return;
    this.#isClosing = false;
    this.#folder.close();
  }
}
