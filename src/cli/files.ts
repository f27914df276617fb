import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs';
import { CommandError, fileProblem } from './errors.ts';

/** More than any guest image: a bound for pipes and for what was named by mistake. */
const maxBytes = 1 << 30;
const pieceBytes = 1 << 20;

/** Reads a file or a pipe that the user named. `what` is its part in the message, such as "kernel". */
export function readInput(path: string, what: string): Uint8Array {
  try {
    const descriptor = openSync(path, 'r');
    try {
      return readAll(descriptor, path, what);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`cannot read the ${what} '${path}': ${fileProblem(error)}`);
  }
}

function readAll(descriptor: number, path: string, what: string): Uint8Array {
  const status = fstatSync(descriptor);
  const refuse = (reason: string): CommandError => new CommandError(`cannot read the ${what} '${path}': ${reason}`);
  if (status.isDirectory()) throw refuse('it is a folder');
  if (!status.isFile() && !status.isFIFO()) throw refuse('it is not a file');
  if (status.size > maxBytes) throw refuse('it is larger than 1 GiB');
  let bytes = new Uint8Array(status.isFile() ? status.size + 1 : pieceBytes);
  let length = 0;
  for (;;) {
    const count = readSync(descriptor, bytes, length, bytes.length - length, null);
    if (count === 0) return bytes.subarray(0, length);
    length += count;
    if (length > maxBytes) throw refuse('it is larger than 1 GiB');
    if (length === bytes.length) {
      const larger = new Uint8Array(length * 2);
      larger.set(bytes);
      bytes = larger;
    }
  }
}

/** Writes a file that the user named. */
export function writeOutput(path: string, text: string, what: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new CommandError(`cannot write the ${what} '${path}': ${fileProblem(error)}`);
  }
}
