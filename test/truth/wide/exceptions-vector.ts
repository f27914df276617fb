/** Vector instructions: where the oracle is not the architecture's word. */
import { fieldValue } from '../../../src/isa/index.ts';
import { ENDED } from '../outcome.ts';
import type { WideCase } from './batch.ts';
import { OUTCOME, type Outcomes, STATE, vsrPlace } from './state.ts';

/** VSCR[NJ] and VSCR[SAT]. */
const VSCR_BITS = 0x1_0001n;

/** A decimal number's digits, undefined where there is none: digits, then ten or more for the sign. */
function digitsOf(before: BigUint64Array, register: number): string | undefined {
  const hex = ([0, 1] as const).map((half) =>
    (before[vsrPlace(register, half)] as bigint).toString(16).padStart(16, '0'),
  );
  return /^(\d{31})[a-f]$/.exec(hex.join(''))?.[1];
}

/**
 * Decimal sums (6.15). The oracle does not look at the digits of operands that are alike, and takes two zeros for a number
 * that is zero and something else, of either sign.
 */
function correctDecimal(word: number, before: BigUint64Array, expected: Outcomes, at: number): void {
  const digits = (['VRA', 'VRB'] as const).map((name) => digitsOf(before, 32 + fieldValue(word, name)));
  const set = (cr6: bigint, left: bigint, right: bigint): void => {
    expected[at + STATE.cr] = ((before[STATE.cr] as bigint) & ~0xf0n) | (cr6 << 4n);
    expected[at + vsrPlace(32 + fieldValue(word, 'VRT'), 0)] = left;
    expected[at + vsrPlace(32 + fieldValue(word, 'VRT'), 1)] = right;
  };
  const ONES = 0xffff_ffff_ffff_ffffn;
  if (digits.includes(undefined)) set(1n, ONES, ONES);
  else if (digits.every((one) => Number(one) === 0)) set(2n, 0n, fieldValue(word, 'PS') ? 0xfn : 0xcn);
}

/** Rewrites what the oracle said of a vector instruction. */
export function correctVector(
  { word, mnemonic }: WideCase,
  before: BigUint64Array,
  expected: Outcomes,
  at: number,
): void {
  // The oracle keeps reserved bits of VSCR (6.4).
  if (mnemonic === 'mtvscr') expected[at + STATE.vscr] = (expected[at + STATE.vscr] as bigint) & VSCR_BITS;
  if (/^bcd/.test(mnemonic)) correctDecimal(word, before, expected, at);
  // A load that is interrupted by its second doubleword has written the first one there.
  const ended = Number(expected[at - OUTCOME.state + OUTCOME.ended]);
  if (/^lxv/.test(mnemonic) && (ended === ENDED.noTranslation || ended === ENDED.protection))
    for (const half of [0, 1] as const) {
      const place = vsrPlace(fieldValue(word, 'XT'), half);
      expected[at + place] = before[place] as bigint;
    }
}
