/**
 * A session as JSON. Files are named by their paths in the folder and opened anew, which the folder may have lost meanwhile: their
 * fids are then those of files whose names are gone.
 */
import { type DeviceState, savedBoolean, savedNumber, savedPart, savedReal } from '../device.ts';
import { MachineError } from '../error.ts';
import { type FileAccess, FolderError, S_IFDIR } from '../outside/folders.ts';
import { Call, checkName } from './call.ts';
import { AnswerWriter, RequestReader } from './protocol.ts';
import { step } from './requests/walking.ts';
import { Fid, type Listing, type Session } from './session.ts';
import { now, type Steps } from './steps.ts';
import { type Entry, OpenFile } from './tree.ts';

const MAX_PATH = 2 ** 16;
const MAX_PLACE = 2 ** 32;

/** A fid, as it is saved and before it is a file's. */
interface SavedFid {
  readonly number: number;
  readonly uid: number;
  readonly names: readonly string[];
  readonly isGone: boolean;
  readonly access: FileAccess | undefined;
  readonly listing: Listing | undefined;
}

export interface SavedSession {
  readonly messageBytes: number;
  readonly fids: readonly SavedFid[];
}

function pathOf(entry: Entry): string {
  const names: string[] = [];
  for (let at: Entry | undefined = entry; at?.parent; at = at.parent) names.push(at.name);
  return names.reverse().join('/');
}

export function saveSession(session: Session): DeviceState {
  const fids: Record<string, DeviceState> = {};
  for (const [number, { entry, uid, open, listing }] of session.all()) {
    fids[number] = {
      uid,
      path: pathOf(entry),
      isGone: entry.isGone,
      ...(open && { file: { read: open.access.read, write: open.access.write, append: open.access.append === true } }),
      ...(listing && { listing: { place: listing.place, last: listing.last } }),
    };
  }
  return { messageBytes: session.messageBytes, fids };
}

function savedText(state: DeviceState, name: string, most: number): string {
  const value: unknown = Object.hasOwn(state, name) ? state[name] : undefined;
  // One character a byte.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: bytes
  if (typeof value !== 'string' || value.length > most || !/^[\x01-\xff]*$/.test(value))
    throw new MachineError(`the saved state lacks the text "${name}"`);
  return value;
}

/** @throws MachineError when it is no session's. */
export function parseSession(state: DeviceState, maxMessageBytes: number, maxFids: number): SavedSession {
  const messageBytes = savedNumber(state, 'messageBytes');
  if (messageBytes > maxMessageBytes) throw new MachineError(`the saved state has messages of ${messageBytes} bytes`);
  const saved = savedPart(state, 'fids');
  const numbers = Object.keys(saved);
  if (numbers.length > maxFids) throw new MachineError(`the saved state has ${numbers.length} files, too many`);
  const fids = numbers.map((name): SavedFid => {
    const number = Number(name);
    if (String(number >>> 0) !== name) throw new MachineError('the saved state has a file without a number');
    const part = savedPart(saved, name);
    const path = savedText(part, 'path', MAX_PATH);
    const names = path === '' ? [] : path.split('/');
    for (const one of names) checkSavedName(one);
    const has = (what: string): boolean => Object.hasOwn(part, what);
    const file = has('file') ? savedPart(part, 'file') : undefined;
    const listing = has('listing') ? savedPart(part, 'listing') : undefined;
    if (file && listing) throw new MachineError('the saved state has a file that is a directory');
    return {
      number,
      uid: savedNumber(part, 'uid'),
      names,
      isGone: savedBoolean(part, 'isGone') && names.length > 0,
      access: file && {
        read: savedBoolean(file, 'read'),
        write: savedBoolean(file, 'write'),
        append: savedBoolean(file, 'append'),
      },
      listing: listing && {
        names: undefined,
        shift: 0,
        place: Math.abs(Math.trunc(savedReal(listing, 'place', MAX_PLACE))),
        last: savedText(listing, 'last', MAX_PATH),
      },
    };
  });
  return { messageBytes, fids };
}

function checkSavedName(name: string): void {
  try {
    checkName(name);
  } catch {
    throw new MachineError('the saved state has a name that is none');
  }
  if (name === '.' || name === '..') throw new MachineError('the saved state has a name that is none');
}

/** Opens what a saved session had open. */
export function* restoreSession(session: Session, { messageBytes, fids }: SavedSession): Steps<void> {
  session.messageBytes = messageBytes;
  for (const fid of fids) yield* restoreFid(session, fid);
}

function* restoreFid(session: Session, saved: SavedFid): Steps<void> {
  const { number, uid, names, access, listing } = saved;
  const call = new Call(session, new RequestReader(new Uint8Array(0)), new AnswerWriter(new Uint8Array(0), 0));
  const { root } = session.tree;
  try {
    let entry = call.hold(root);
    if (!saved.isGone) for (const name of names) ({ entry } = yield* step(call, entry, name));
    else entry = call.own(session.tree.lost(names.join('/')));
    call.setFid(number, entry, uid);
    const fid = session.fid(number);
    if (listing && entry.kind === S_IFDIR) fid.listing = { ...listing };
    if (access === undefined || (access.write && !session.writable)) return;
    session.checkMayOpen();
    const file = yield* now((yield* call.parent(entry)).file(entry.name, access));
    fid.open = new OpenFile(entry, file, access);
  } catch (error) {
    if (!(error instanceof FolderError)) throw error;
    // A fid there is in any case, of a file that is gone.
    if (session.has(number) || session.hasEnded) return;
    session.set(number, new Fid(session.tree.lost(names.join('/')), uid));
  } finally {
    call.release();
  }
}
