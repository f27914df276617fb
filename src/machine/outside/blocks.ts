/**
 * Bytes that stay, as the outside gives them (a host's file, a browser's `File` or OPFS handle, HTTP ranges), and disks made
 * of them. Everything that may wait is a promise: nothing that waits runs on the thread of a processor. Offsets and lengths
 * are bytes. What is known at once may be asked for at once, though (`readNow`, `writeNow`): a thread that is woken for
 * some kilobytes out of the host's page cache takes longer than they do. All fail with a MachineError (one line) when the
 * outside does; callers go on with the next request.
 */

/** Bytes of a file. Reads and writes may be under way together; those that overlap come in any order. */
export interface ByteStore {
  /** Where the bytes come from, for messages. */
  readonly name: string;
  readonly readOnly: boolean;
  /** The file's size now. */
  size(): Promise<number>;
  /** Fills `into` from `offset`. Resolves with the bytes that were there: fewer only at the file's end. */
  read(offset: number, into: Uint8Array): Promise<number>;
  /** `read` if it takes no time worth mentioning; -1: nothing was done, `read` is to be asked. Absent: never. */
  readNow?(offset: number, into: Uint8Array): number;
  /** Writes all of `bytes`, making the file longer where it must; a gap reads as zeroes. `bytes` is the callee's until then. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** `write` if it takes no time worth mentioning; false: `write` is to be asked, for all of it. Absent: never. */
  writeNow?(offset: number, bytes: Uint8Array): boolean;
  /** Resolves when all that was written before is safe from a loss of power. */
  flush(): Promise<void>;
  truncate(size: number): Promise<void>;
  /** Gives the room of a range back; it reads as zeroes. Absent: the outside cannot. */
  punchHole?(offset: number, length: number): Promise<void>;
  close(): Promise<void>;
}

/** A disk, whatever its image's format. Ranges lie inside of `size`; callers see to it. */
export interface BlockStore {
  readonly name: string;
  /** Bytes, a multiple of 512. */
  readonly size: number;
  readonly readOnly: boolean;
  read(offset: number, into: Uint8Array): Promise<void>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** The same at once; false: it would take time, and the other is to be asked for all of it. Absent: always. */
  readNow?(offset: number, into: Uint8Array): boolean;
  writeNow?(offset: number, bytes: Uint8Array): boolean;
  /** The range reads as zeroes afterwards; `mayDiscard` lets go of its room. */
  writeZeroes(offset: number, length: number, mayDiscard: boolean): Promise<void>;
  /** The range's contents are not needed any more; what it reads as afterwards is the store's to choose. */
  discard(offset: number, length: number): Promise<void>;
  /** Resolves when all writes that have resolved are safe from a loss of power. */
  flush(): Promise<void>;
  /** Flushes, and lets go of the files. */
  close(): Promise<void>;
}
