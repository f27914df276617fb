import { closeSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { MachineError, type SnapshotSource } from '../machine/index.ts';
import { problemOf } from './problems.ts';

/** A snapshot in a file, which is read as it is needed. */
export class SnapshotFile implements SnapshotSource {
  readonly #path: string;
  readonly #descriptor: number;
  #buffer = new Uint8Array(2 ** 20);

  /** @throws MachineError when there is none. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#descriptor = openSync(path, 'r');
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  read(length: number): Uint8Array {
    if (length > this.#buffer.length) this.#buffer = new Uint8Array(length);
    let at = 0;
    try {
      while (at < length) {
        const count = readSync(this.#descriptor, this.#buffer, at, length - at, null);
        if (count === 0) break;
        at += count;
      }
    } catch (error) {
      throw this.#unreadable(error);
    }
    return this.#buffer.subarray(0, at);
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #unreadable(error: unknown): MachineError {
    return new MachineError(`cannot read the snapshot '${this.#path}': ${problemOf(error)}`);
  }
}

/**
 * Writes a snapshot into a file, as `save` hands out its pieces. The file is there when it is complete: until then one of
 * that name stays as it was. Answers the bytes that it has. @throws MachineError when it cannot be written.
 */
export async function writeSnapshotFile(
  path: string,
  save: (write: (bytes: Uint8Array) => void) => Promise<void>,
): Promise<number> {
  const temporary = `${path}.${process.pid}.part`;
  const unwritable = (error: unknown): MachineError =>
    new MachineError(`cannot write the snapshot '${path}': ${problemOf(error)}`);
  const attempt = <Result>(work: () => Result): Result => {
    try {
      return work();
    } catch (error) {
      throw unwritable(error);
    }
  };
  const descriptor = attempt(() => openSync(temporary, 'w', 0o600));
  let length = 0;
  try {
    try {
      await save((bytes) => {
        for (let at = 0; at < bytes.length; ) at += attempt(() => writeSync(descriptor, bytes, at));
        length += bytes.length;
      });
    } finally {
      closeSync(descriptor);
    }
    attempt(() => renameSync(temporary, path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  return length;
}
