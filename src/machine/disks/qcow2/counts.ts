/** Reference counts of 1 to 64 bits in a block: those of less than a byte from the lowest bits up, others big-endian. */
import { readNumber64, viewOf, writeNumber64 } from './words.ts';

export function readCount(bytes: Uint8Array, index: number, bits: number): number {
  if (bits === 16) return ((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0);
  if (bits <= 8) {
    const at = index * bits;
    return ((bytes[at >>> 3] ?? 0) >>> (at & 7)) & (2 ** bits - 1);
  }
  const view = viewOf(bytes);
  return bits === 32 ? view.getUint32(index * 4) : readNumber64(view, index * 8);
}

export function writeCount(bytes: Uint8Array, index: number, bits: number, count: number): void {
  if (bits === 16) {
    bytes[index * 2] = count >>> 8;
    bytes[index * 2 + 1] = count;
  } else if (bits <= 8) {
    const at = index * bits;
    const mask = (2 ** bits - 1) << (at & 7);
    bytes[at >>> 3] = ((bytes[at >>> 3] ?? 0) & ~mask) | (count << (at & 7));
  } else if (bits === 32) viewOf(bytes).setUint32(index * 4, count);
  else writeNumber64(viewOf(bytes), index * 8, count);
}
