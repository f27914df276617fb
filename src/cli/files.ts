import { closeSync, fstatSync, lstatSync, openSync, readSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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

/** Puts a file in the place of the one that is there, so that who reads it meanwhile gets the old or the new one. */
function replaceFile(path: string, text: string | Uint8Array): boolean {
  // Not of a terminal, a pipe or a link.
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === false) return false;
  const made = `${path}.${process.pid}`;
  try {
    writeFileSync(made, text, { flag: 'wx' });
    renameSync(made, path);
    return true;
  } catch {
    // The folder may be one in which nothing can be made.
    rmSync(made, { force: true });
    return false;
  }
}

/** Writes a file that the user named. */
export function writeOutput(path: string, text: string | Uint8Array, what: string): void {
  try {
    if (!replaceFile(path, text)) writeFileSync(path, text);
  } catch (error) {
    throw new CommandError(`cannot write the ${what} '${path}': ${fileProblem(error)}`);
  }
}
