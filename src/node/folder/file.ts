import * as fs from 'node:fs';
import {
  type FileAccess,
  type FileChanges,
  type FileStatus,
  FolderError,
  type FolderFile,
  run,
  type Soon,
  type Steps,
} from '../../machine/ninep/index.ts';
import { type Host, O_NOCTTY, O_NONBLOCK, OWNER_FILE, plainFlags } from './host.ts';

const { O_TRUNC } = fs.constants;

/** A file of a folder of the host, as a descriptor. */
export class NodeFile implements FolderFile {
  readonly #host: Host;
  readonly #descriptor: number;
  /** Undefined: only held on to. */
  readonly #access: FileAccess | undefined;

  constructor(host: Host, descriptor: number, access: FileAccess | undefined) {
    this.#host = host;
    this.#descriptor = descriptor;
    this.#access = access;
  }

  status(): Soon<FileStatus> {
    return this.#host.calls.fstat(this.#descriptor);
  }

  open(access: FileAccess): Soon<FolderFile> {
    return run(this.#open(access));
  }

  *#open(access: FileAccess): Steps<FolderFile> {
    const host = this.#host;
    if (!host.byDescriptor) throw new FolderError('ESTALE');
    const flags = plainFlags(access) | (access.truncate ? O_TRUNC : 0) | O_NONBLOCK | O_NOCTTY;
    const path = host.self(this.#descriptor);
    const open = (): Soon<number> => host.calls.open(path, flags);
    return new NodeFile(host, yield* host.asOwner(this.#descriptor, OWNER_FILE, open), access);
  }

  read(offset: number, into: Uint8Array): Soon<number> {
    return this.#host.calls.read(this.#descriptor, into, offset);
  }

  write(offset: number, bytes: Uint8Array): Soon<number> {
    return this.#host.calls.write(this.#descriptor, bytes, offset);
  }

  change(changes: FileChanges): Soon<void> {
    return run(this.#host.change(this.#descriptor, changes, this.#access?.write === true));
  }

  sync(dataOnly: boolean): Soon<void> {
    return this.#host.calls.fsync(this.#descriptor, dataOnly);
  }

  close(): void {
    this.#host.calls.close(this.#descriptor);
  }
}
