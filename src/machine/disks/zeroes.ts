/** Zeroes to write from; nobody writes into them. */
export const ZEROES: Uint8Array = new Uint8Array(64 * 1024);

/** Whether all bytes are zero. */
export function isZero(bytes: Uint8Array): boolean {
  const ragged = bytes.byteOffset & 3;
  let at = ragged === 0 ? 0 : Math.min(4 - ragged, bytes.length);
  for (let i = 0; i < at; i++) if (bytes[i] !== 0) return false;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + at, (bytes.length - at) >> 2);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  for (at += words.length * 4; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}
