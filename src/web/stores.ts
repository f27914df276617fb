/** Bytes that a page has, as disks take them: files that its user chose, files of its own (OPFS), files of a server. */
import { type ByteStore, MachineError } from '../machine/index.ts';

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Of what can only be read. */
abstract class ReadStore implements ByteStore {
  abstract readonly name: string;
  readonly readOnly = true;
  abstract size(): Promise<number>;
  abstract read(offset: number, into: Uint8Array): Promise<number>;

  write(): Promise<void> {
    return Promise.reject(new MachineError(`the disk image '${this.name}' is read only`));
  }

  truncate(): Promise<void> {
    return this.write();
  }

  async flush(): Promise<void> {}
  async close(): Promise<void> {}
}

/** A `File` that a user chose, or any Blob. */
export class BlobStore extends ReadStore {
  readonly name: string;
  readonly #blob: Blob;

  constructor(blob: Blob) {
    super();
    this.#blob = blob;
    this.name = blob instanceof File ? blob.name : 'blob';
  }

  async size(): Promise<number> {
    return this.#blob.size;
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    try {
      const bytes = new Uint8Array(await this.#blob.slice(offset, offset + into.length).arrayBuffer());
      into.set(bytes);
      return bytes.length;
    } catch (error) {
      throw new MachineError(`cannot read the disk image '${this.name}': ${messageOf(error)}`);
    }
  }
}

/** Blocks that are asked for, and how many are kept. */
const RANGE_BYTES = 2 ** 17;
const KEPT_RANGES = 256;

/** A file of a server that answers ranges (RFC 9110, section 14). It must not change meanwhile. */
export class RangeStore extends ReadStore {
  readonly name: string;
  readonly #bytes: number;
  /** In the order of their last use. */
  readonly #blocks = new Map<number, Promise<Uint8Array>>();
  readonly #here = new Map<number, Uint8Array>();

  private constructor(url: string, bytes: number) {
    super();
    this.name = url;
    this.#bytes = bytes;
  }

  /** @throws MachineError: it is not there, or its server has no ranges. */
  static async open(url: string): Promise<RangeStore> {
    const { total } = await fetchRange(url, 0, 1);
    return new RangeStore(url, total);
  }

  async size(): Promise<number> {
    return this.#bytes;
  }

  /** What is here already. */
  readNow(offset: number, into: Uint8Array): number {
    const count = Math.max(0, Math.min(into.length, this.#bytes - offset));
    for (let done = 0; done < count; ) {
      const within = (offset + done) % RANGE_BYTES;
      const block = this.#here.get(Math.floor((offset + done) / RANGE_BYTES));
      if (block === undefined) return -1;
      const piece = block.subarray(within, within + count - done);
      into.set(piece, done);
      done += piece.length;
    }
    return count;
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    const count = Math.max(0, Math.min(into.length, this.#bytes - offset));
    const first = Math.floor(offset / RANGE_BYTES);
    const last = Math.floor((offset + count - 1) / RANGE_BYTES);
    const blocks = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => this.#block(first + i));
    let done = 0;
    for (const block of await Promise.all(blocks)) {
      const piece = block.subarray((offset + done) % RANGE_BYTES).subarray(0, count - done);
      into.set(piece, done);
      done += piece.length;
    }
    return count;
  }

  #block(number: number): Promise<Uint8Array> {
    let block = this.#blocks.get(number);
    this.#blocks.delete(number);
    block ??= this.#fetch(number);
    this.#blocks.set(number, block);
    if (this.#blocks.size > KEPT_RANGES) this.#forget(this.#blocks.keys().next().value as number);
    return block;
  }

  #forget(number: number): void {
    this.#blocks.delete(number);
    this.#here.delete(number);
  }

  async #fetch(number: number): Promise<Uint8Array> {
    const from = number * RANGE_BYTES;
    const length = Math.min(RANGE_BYTES, this.#bytes - from);
    try {
      const { bytes, total } = await fetchRange(this.name, from, length);
      if (total !== this.#bytes) throw new MachineError(`the disk image '${this.name}' has changed on its server`);
      if (this.#blocks.has(number)) this.#here.set(number, bytes);
      return bytes;
    } catch (error) {
      this.#forget(number);
      throw error;
    }
  }
}

async function fetchRange(url: string, from: number, length: number): Promise<{ bytes: Uint8Array; total: number }> {
  const refuse = (problem: string): MachineError => new MachineError(`cannot read the disk image '${url}': ${problem}`);
  let response: Response;
  let bytes: Uint8Array;
  try {
    response = await fetch(url, { headers: { Range: `bytes=${from}-${from + length - 1}` } });
    // The whole file is what a server gives that knows no ranges: it is not waited for.
    if (response.status !== 206) await response.body?.cancel();
    bytes = response.status === 206 ? new Uint8Array(await response.arrayBuffer()) : new Uint8Array(0);
  } catch (error) {
    throw refuse(messageOf(error));
  }
  if (response.status === 200) throw refuse('its server does not answer ranges');
  if (response.status !== 206) throw refuse(`its server answers ${response.status}`);
  const total = Number(/\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '')?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(total)) throw refuse('its server does not say how long it is');
  if (bytes.length !== length) throw refuse(`its server gave ${bytes.length} of ${length} bytes`);
  return { bytes, total };
}

/** What workers have of a file of OPFS (File System Standard, section 2.6): the DOM's types for pages lack it. */
interface SyncAccessHandle {
  getSize(): number;
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}
interface SyncFileHandle extends FileSystemFileHandle {
  createSyncAccessHandle?(): Promise<SyncAccessHandle>;
}

/** A file of the page's own (OPFS), which a worker reads and writes at once. It is the machine's alone meanwhile. */
export class OpfsStore implements ByteStore {
  readonly name: string;
  readonly readOnly = false;
  readonly #handle: SyncAccessHandle;

  private constructor(name: string, handle: SyncAccessHandle) {
    this.name = name;
    this.#handle = handle;
  }

  /** @throws MachineError: somebody else has it, it is none of OPFS, or this is no worker. */
  static async open(file: FileSystemFileHandle): Promise<OpfsStore> {
    const { createSyncAccessHandle } = file as SyncFileHandle;
    if (createSyncAccessHandle === undefined)
      throw new MachineError(`the disk image '${file.name}' is a file of the page's own, which only workers can open`);
    try {
      return new OpfsStore(file.name, await createSyncAccessHandle.call(file));
    } catch (error) {
      throw new MachineError(`cannot open the disk image '${file.name}': ${messageOf(error)}`);
    }
  }

  async size(): Promise<number> {
    return this.#do(() => this.#handle.getSize());
  }

  readNow(offset: number, into: Uint8Array): number {
    return this.#do(() => this.#handle.read(into, { at: offset }));
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    return this.readNow(offset, into);
  }

  writeNow(offset: number, bytes: Uint8Array): boolean {
    const count = this.#do(() => this.#handle.write(bytes, { at: offset }));
    if (count !== bytes.length) throw new MachineError(`cannot write the disk image '${this.name}': there is no room`);
    return true;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.writeNow(offset, bytes);
  }

  async flush(): Promise<void> {
    this.#do(() => this.#handle.flush());
  }

  async truncate(size: number): Promise<void> {
    this.#do(() => this.#handle.truncate(size));
  }

  async close(): Promise<void> {
    this.#handle.close();
  }

  #do<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw new MachineError(`cannot use the disk image '${this.name}': ${messageOf(error)}`);
    }
  }
}
