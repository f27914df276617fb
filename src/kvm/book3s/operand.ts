/** Where the operand of a load or store is: what KVM needs to know of an instruction that it carries out or reports. */
import { INSTRUCTIONS } from '../../isa/table.ts';
import { W_GPR, W_MSR } from './layout.ts';

/** What an instruction does to storage. */
export const OPERAND = { NONE: 0, LOAD: 1, STORE: 2 } as const;

/** By primary opcode; those of opcode 31 by extended opcode, at 64. */
const KINDS = new Uint8Array(64 + 1024);
/** Cache instructions that count as loads, and those that count as stores. */
const AS_LOADS: ReadonlySet<string> = new Set(['icbi', 'icbt', 'dcbf', 'dcbst', 'dcbt']);
const AS_STORES: ReadonlySet<string> = new Set(['dcba', 'dcbz', 'dcbtst']);
for (const { mnemonic, value } of INSTRUCTIONS) {
  const primary = value >>> 26;
  const isStorage = primary >= 32 && primary !== 59 && primary !== 60 && primary !== 63;
  if (primary !== 31 && !isStorage) continue;
  const kind =
    mnemonic.startsWith('st') || AS_STORES.has(mnemonic)
      ? OPERAND.STORE
      : mnemonic.startsWith('l') || AS_LOADS.has(mnemonic)
        ? OPERAND.LOAD
        : OPERAND.NONE;
  if (kind !== OPERAND.NONE) KINDS[primary === 31 ? 64 + ((value >>> 1) & 1023) : primary] = kind;
}
/** lq and stq stand beside loads and stores of the same opcode. */
const DS_LOADS = 58;
const DS_STORES = 62;
const LSWI = 597;
const STSWI = 725;

/** One of OPERAND. */
export function operandKind(word: number): number {
  const primary = word >>> 26;
  return KINDS[primary === 31 ? 64 + ((word >>> 1) & 1023) : primary] as number;
}

/** Puts the effective address of a word's operand into `out`, low and high word. */
export function operandAddress(words: Int32Array, word: number, out: Int32Array): void {
  const primary = word >>> 26;
  const extended = (word >>> 1) & 1023;
  const ra = (word >>> 16) & 31;
  let low = (word << 16) >> 16;
  if (primary === DS_LOADS || primary === DS_STORES || primary === 57 || primary === 61) low &= ~3;
  else if (primary === 56) low &= ~15;
  let high = low >> 31;
  if (primary === 31) {
    const index = W_GPR + 2 * ((word >>> 11) & 31);
    const isImmediate = extended === LSWI || extended === STSWI;
    low = isImmediate ? 0 : (words[index] as number);
    high = isImmediate ? 0 : (words[index + 1] as number);
  }
  const base = W_GPR + 2 * ra;
  const baseLow = ra === 0 ? 0 : (words[base] as number);
  const sum = (baseLow + low) | 0;
  const carry = sum >>> 0 < baseLow >>> 0 ? 1 : 0;
  out[0] = sum;
  out[1] = (words[W_MSR + 1] as number) === 0 ? 0 : ((ra === 0 ? 0 : (words[base + 1] as number)) + high + carry) | 0;
}
