/**
 * Loads and stores that KVM carries out itself, as MMIO or because the host cannot map them: what all families need. What
 * the instruction does is read off its `access` in the instruction table.
 */
import { INSTRUCTIONS } from '../isa/table.ts';

/** Cache instructions that a device's page lets pass without an effect. */
const CACHE_HINTS: ReadonlySet<string> = new Set(['dcba', 'dcbf', 'dcbi', 'dcbst', 'dcbt', 'dcbtst', 'icbi', 'icbt']);

/** The ioKind word: what user space was asked for; whether it is to give something, and whether its bytes are turned round. */
export const IO = { NONE: 0, MMIO: 1, DCR: 2, KIND: 0xf, READING: 0x100, REVERSED: 0x200 } as const;

/** What a cache instruction is to a page without memory. */
export const CACHE = { HINT: 1, ZERO: 2 } as const;

let cacheKinds: Uint8Array | null = null;

/** By instruction id: CACHE.HINT, CACHE.ZERO (dcbz), or 0. */
export function cacheKindById(): Uint8Array {
  if (cacheKinds === null) {
    cacheKinds = new Uint8Array(INSTRUCTIONS.length);
    for (const { id, mnemonic } of INSTRUCTIONS) {
      if (CACHE_HINTS.has(mnemonic)) cacheKinds[id] = CACHE.HINT;
      else if (mnemonic === 'dcbz') cacheKinds[id] = CACHE.ZERO;
    }
  }
  return cacheKinds;
}

/** Turns the low `bytes` bytes of a value round. */
export function reverse(value: number, bytes: number): number {
  if (bytes === 4) return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
  return bytes === 2 ? ((value & 0xff) << 8) | ((value >>> 8) & 0xff) : value;
}

/** A value of `bytes` bytes, zero- or sign-extended to a word. */
export function extend(value: number, bytes: number, signed: boolean): number {
  const shift = 32 - bytes * 8;
  return signed ? (value << shift) >> shift : (value << shift) >>> shift;
}
