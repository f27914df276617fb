import { type FileStatus, type Folder, FolderError, S_IFDIR } from '../outside/folders.ts';
import type { Ownership } from './ownership.ts';
import { NO_FID, type Qid } from './protocol.ts';
import type { Qids } from './qids.ts';

import { type Entry, type OpenFile, Tree } from './tree.ts';

/** More than the files that a guest can have open and the directories that it can know. */
export const MAX_FIDS = 2 ** 19;
/** Listings of directories that are being read; the one begun first is taken anew when its reader goes on. */
const MAX_LISTING_BYTES = 2 ** 26;
const LISTED_NAME_BYTES = 32;

/** A directory as it was when its reader began, so that places in it stay what they are. */
export interface Listing {
  /** In the order of their bytes; undefined: to be taken anew. */
  names: readonly string[] | undefined;
  /** What a place's number is more than its index: not 0 once a listing was taken anew. */
  shift: number;
  /** Where the reader is, and the name before that. */
  place: number;
  last: string;
}

/** What a guest knows a file by. */
export class Fid {
  readonly entry: Entry;
  /** Who attached it: whose its new files are. */
  readonly uid: number;
  /** Set once it is open. */
  open: OpenFile | undefined;
  listing: Listing | undefined;

  /** Takes over one use of `entry`. */
  constructor(entry: Entry, uid: number) {
    this.entry = entry;
    this.uid = uid;
  }

  get isOpen(): boolean {
    return this.open !== undefined || this.listing !== undefined;
  }
}

export interface SessionOptions {
  /** Whether the guest may write. */
  readonly writable: boolean;
  readonly maxEntries?: number | undefined;
  readonly maxListingBytes?: number | undefined;
}

/** What a guest has of a folder: from its Tversion to the next, or to the device's reset. */
export class Session {
  readonly folder: Folder;
  readonly writable: boolean;
  readonly tree: Tree;
  readonly qids: Qids;
  readonly ownership: Ownership;
  /** As agreed; 0: the guest has not said its version. */
  messageBytes = 0;
  readonly #fids = new Map<number, Fid>();
  readonly #listings = new Map<Fid, number>();
  readonly #maxListingBytes: number;
  #listingBytes = 0;
  /** It is another's turn: what is under way leaves nothing open. */
  hasEnded = false;

  constructor(folder: Folder, rootPath: bigint, options: SessionOptions, qids: Qids, ownership: Ownership) {
    this.folder = folder;
    this.writable = options.writable;
    this.qids = qids;
    this.ownership = ownership;
    this.tree = new Tree(folder, rootPath, (path) => ownership.forget(path), options.maxEntries);
    this.#maxListingBytes = options.maxListingBytes ?? MAX_LISTING_BYTES;
  }

  get fids(): number {
    return this.#fids.size;
  }

  /** @throws FolderError EBADF when there is none. */
  fid(number: number): Fid {
    const fid = this.#fids.get(number);
    if (fid === undefined) throw new FolderError('EBADF');
    return fid;
  }

  /** @throws FolderError EBADF when the number is taken, ENFILE when there are too many. */
  checkFree(number: number): void {
    if (number === NO_FID || this.#fids.has(number)) throw new FolderError('EBADF');
    if (this.#fids.size >= MAX_FIDS) throw new FolderError('ENFILE');
  }

  has(number: number): boolean {
    return this.#fids.has(number);
  }

  /** All fids by their numbers. */
  all(): Iterable<[number, Fid]> {
    return this.#fids.entries();
  }

  isCurrent(number: number, fid: Fid): boolean {
    return this.#fids.get(number) === fid;
  }

  /** @throws FolderError EBADF when the session has ended: what is under way then leaves nothing open. */
  set(number: number, fid: Fid): void {
    if (this.hasEnded) throw new FolderError('EBADF');
    const before = this.#fids.get(number);
    this.#fids.set(number, fid);
    if (before) this.#drop(before);
  }

  clunk(number: number): void {
    const fid = this.fid(number);
    this.#fids.delete(number);
    this.#drop(fid);
  }

  #drop(fid: Fid): void {
    this.#forgetListing(fid);
    fid.open?.release();
    fid.entry.release();
  }

  /** Everything that is open is let go. */
  end(): void {
    for (const fid of this.#fids.values()) this.#drop(fid);
    this.#fids.clear();
    this.hasEnded = true;
    this.tree.end();
  }

  #forgetListing(fid: Fid): void {
    this.#listingBytes -= this.#listings.get(fid) ?? 0;
    this.#listings.delete(fid);
    if (fid.listing) fid.listing.names = undefined;
  }

  /** Keeps a listing for a reader, in place of those that were begun first where there are too many. */
  keepListing(fid: Fid, names: readonly string[]): void {
    this.#forgetListing(fid);
    let bytes = 0;
    for (const name of names) bytes += name.length + LISTED_NAME_BYTES;
    for (const oldest of this.#listings.keys()) {
      if (this.#listingBytes + bytes <= this.#maxListingBytes) break;
      this.#forgetListing(oldest);
    }
    this.#listings.set(fid, bytes);
    this.#listingBytes += bytes;
    if (fid.listing) fid.listing.names = names;
  }

  qid(status: FileStatus): Qid {
    return this.qids.of(status);
  }

  /** @throws FolderError EMFILE when as many files are open as may be. */
  checkMayOpen(): void {
    if (this.tree.openFiles >= this.tree.maxFiles) throw new FolderError('EMFILE');
  }

  /** @throws FolderError EROFS. */
  checkWritable(): void {
    if (!this.writable) throw new FolderError('EROFS');
  }

  /** @throws FolderError ENOTDIR. */
  checkDirectory(entry: Entry): void {
    if (entry.kind !== S_IFDIR) throw new FolderError('ENOTDIR');
  }
}
