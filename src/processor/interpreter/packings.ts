/** How operands stand in the interpreter's records, as numbers that decoding reads and a file can hold. */
import { FIELDS, type FieldKind, type FieldName } from '../../isa/fields.ts';

/** Where in the record an operand stands, and how it is made from the instruction word. */
export interface Packing {
  readonly field: FieldName;
  readonly at: number;
  readonly bytes: 1 | 2 | 4;
}

/** Five numbers for each operand: kind, shift, mask, place, bytes. */
export const PACKING_NUMBERS = 5;
export const KIND = {
  plain: 0,
  zero: 1,
  crField: 2,
  crBit: 3,
  signed: 4,
  split: 5,
  branch: 6,
  parted: 7,
  mask6: 8,
} as const;
const KINDS: Partial<Record<FieldKind, number>> = {
  gpr0: KIND.zero,
  zeroGpr: KIND.zero,
  crField: KIND.crField,
  crBit: KIND.crBit,
  signed: KIND.signed,
  signed4: KIND.signed,
  signed16: KIND.signed,
  split: KIND.split,
  branch: KIND.branch,
  shift6: KIND.parted,
  vsr: KIND.parted,
  mask6: KIND.mask6,
};

/** Fields that stand further left than their units do. */
const SCALED: Partial<Record<FieldKind, number>> = { unsigned2: 1, unsigned4: 2, unsigned8: 3 };

function numbersOf({ field, at, bytes }: Packing): number[] {
  const { first, last, kind } = FIELDS[field];
  // A scaled displacement stands where its low bits would be zero.
  const unused = kind === 'signed4' || kind === 'signed16' ? 31 - last : (SCALED[kind] ?? 0);
  const mask = (2 ** (last - first + 1) - 1) << unused;
  return [KINDS[kind] ?? KIND.plain, 31 - last - unused, mask, at, bytes];
}

/** Handler h's operands are the numbers from `packed[h]` to `packed[h + 1]`. */
export function packPackings(packings: readonly (readonly Packing[])[]): Int32Array {
  const starts: number[] = [];
  const numbers: number[] = [];
  for (let handler = 0; handler <= packings.length; handler++) {
    starts.push(packings.length + 1 + numbers.length);
    for (const packing of packings[handler] ?? []) numbers.push(...numbersOf(packing));
  }
  return Int32Array.from([...starts, ...numbers]);
}
