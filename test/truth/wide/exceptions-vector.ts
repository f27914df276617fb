/** Vector instructions: where the oracle is not the architecture's word. */
import { fieldValue } from '../../../src/isa/index.ts';
import { ENDED } from '../outcome.ts';
import type { WideCase } from './batch.ts';
import { OUTCOME, type Outcomes, STATE, vsrPlace } from './state.ts';

/** VSCR[NJ] and VSCR[SAT]. */
const VSCR_BITS = 0x1_0001n;

/** Rewrites what the oracle said of a vector instruction. */
export function correctVector(
  { word, mnemonic }: WideCase,
  before: BigUint64Array,
  expected: Outcomes,
  at: number,
): void {
  // The oracle keeps reserved bits of VSCR (6.4).
  if (mnemonic === 'mtvscr') expected[at + STATE.vscr] = (expected[at + STATE.vscr] as bigint) & VSCR_BITS;
  // A load that is interrupted by its second doubleword has written the first one there.
  const ended = Number(expected[at - OUTCOME.state + OUTCOME.ended]);
  if (/^lxv/.test(mnemonic) && (ended === ENDED.noTranslation || ended === ENDED.protection))
    for (const half of [0, 1] as const) {
      const place = vsrPlace(fieldValue(word, 'XT'), half);
      expected[at + place] = before[place] as bigint;
    }
}
