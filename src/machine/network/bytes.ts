/** Big-endian fields of packets, and the Internet's checksum (RFC 1071). */

export function read16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

export function read32(bytes: Uint8Array, at: number): number {
  return ((read16(bytes, at) << 16) | read16(bytes, at + 2)) >>> 0;
}

export function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function write32(bytes: Uint8Array, at: number, value: number): void {
  write16(bytes, at, value >>> 16);
  write16(bytes, at + 2, value & 0xffff);
}

/** Adds a range, as big-endian halfwords, to a sum that has not been folded. */
export function sumBytes(bytes: Uint8Array, start: number, end: number, sum: number): number {
  // High and low bytes apart: neither sum leaves the range of small integers.
  let high = 0;
  let low = 0;
  let at = start;
  for (const last = end - 7; at < last; at += 8) {
    high += (bytes[at] as number) + (bytes[at + 2] as number) + (bytes[at + 4] as number) + (bytes[at + 6] as number);
    low +=
      (bytes[at + 1] as number) + (bytes[at + 3] as number) + (bytes[at + 5] as number) + (bytes[at + 7] as number);
  }
  for (; at + 1 < end; at += 2) {
    high += bytes[at] as number;
    low += bytes[at + 1] as number;
  }
  if (at < end) high += bytes[at] as number;
  return sum + high * 256 + low;
}

/** Folds a sum to 16 bits. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000);
  return folded;
}

/** The checksum field for a sum. */
export function checksum(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/** The sum of the pseudo header of TCP or UDP over IPv4. */
export function pseudoHeader(source: number, destination: number, protocol: number, length: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length;
}

/** A copy of a range. (`slice` of what is a `Buffer` of Node's would be a view of the same bytes.) */
export function copyOf(bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end));
}
