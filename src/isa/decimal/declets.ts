/** Declets, three decimal digits in ten bits, and BCD: Power ISA 2.07 Book I, 5.8. */
import type { Expr, Semantics } from '../semantics.ts';

/** A boolean function of some named bits, each an i64 whose lowest bit counts. */
type Bits = Readonly<Record<string, Expr>>;

/** Bits of a value from the left, named by letters; the last letter is the bit at `at`. */
function named(s: Semantics, value: Expr, letters: string, at: number): Bits {
  const bits: Record<string, Expr> = {};
  [...letters].forEach((letter, i) => {
    bits[letter] = s.let(s.and(s.shrUnsigned(value, at + letters.length - 1 - i), s.i64(1)));
  });
  return bits;
}

/** A sum of products: `av!e fh` is a ∧ v ∧ ¬e ∨ f ∧ h. */
function sumOfProducts(s: Semantics, bits: Bits, terms: string): Expr {
  const products = terms.split(' ').map((term) =>
    [...term.matchAll(/(!?)(\w)/g)]
      .map(([, inverted, letter]) => {
        const bit = bits[letter as string] as Expr;
        return inverted ? s.xor(bit, s.i64(1)) : bit;
      })
      .reduce((all, bit) => s.and(all, bit)),
  );
  return products.reduce((all, product) => s.or(all, product));
}

/** The bits that the rows of a table give, the first one leftmost. */
function table(s: Semantics, bits: Bits, rows: readonly string[]): Expr {
  let value: Expr = s.i64(0);
  rows.forEach((terms, i) => {
    value = s.let(s.or(value, s.shl(sumOfProducts(s, bits, terms), rows.length - 1 - i)));
  });
  return value;
}

/** Twelve bits of BCD, of a declet with the bits p q r s t u v w x y (5.8, "DPD to BCD"). */
const TO_BCD: readonly string[] = [
  '!svw tvws vw!x',
  'psx!t p!w p!v',
  'qsx!t q!w q!v',
  'r',
  'v!wx svwx !tvxw',
  'ptvwx!s s!xv s!v',
  'qtwvx!s t!xv t!v',
  'u',
  'tvwx svwx v!w!x',
  'p!s!twv sv!wx pw!xv w!v',
  'q!s!tvw tv!wx qvw!x x!v',
  'y',
];

/** Ten bits of a declet, of three digits with the bits a b c d, e f g h, i j k m (5.8, "BCD to DPD"). */
const TO_DECLET: readonly string[] = [
  'fai!e ja!i b!a',
  'gai!e ka!i c!a',
  'd',
  'j!ae!i f!i!e f!a!e ei',
  'k!ae!i g!i!e g!a!e ai',
  'h',
  'a e i',
  '!ej!i ei a',
  '!ak!i ai e',
  'm',
];

/** A group of bits, named from the left, and what each bit of the other form is. */
export interface Group {
  readonly letters: string;
  readonly rows: readonly string[];
}
export const BCD_OF_DECLET: Group = { letters: 'pqrstuvwxy', rows: TO_BCD };
export const DECLET_OF_BCD: Group = { letters: 'abcdefghijkm', rows: TO_DECLET };

/** The other form of the group of bits whose lowest one stands at `at` of a pinned value. */
export function convertGroup(s: Semantics, { letters, rows }: Group, value: Expr, at: number): Expr {
  return table(s, named(s, value, letters, at), rows);
}
