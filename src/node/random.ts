import { closeSync, openSync, readSync } from 'node:fs';

/** The system's own source, where it has one as a file. */
const SOURCE = '/dev/urandom';

/** Fills bytes with random numbers that nobody can guess. The Web's source takes a start five milliseconds, and node:crypto seven. */
export function fillRandom(bytes: Uint8Array): void {
  let at = 0;
  try {
    const source = openSync(SOURCE, 'r');
    try {
      for (let got = 1; got > 0 && at < bytes.length; at += got)
        got = readSync(source, bytes, at, bytes.length - at, null);
    } finally {
      closeSync(source);
    }
  } catch {}
  if (at < bytes.length) crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
}

/** So many random numbers that nobody can guess. */
export function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  fillRandom(bytes);
  return bytes;
}
