/** Compares a batch's outcomes with the oracle's. */
import { ENDED_NAMES } from '../outcome.ts';
import type { WideBatch } from './batch.ts';
import { OUTCOME, type Outcomes, showWord, stateName } from './state.ts';

export interface WideDifference {
  readonly name: string;
  readonly text: string;
}

function wordName(index: number): string {
  if (index === OUTCOME.ended) return 'ended';
  if (index === OUTCOME.address) return 'address';
  if (index >= OUTCOME.window) return `storage +${8 * (index - OUTCOME.window)}`;
  return stateName(index - OUTCOME.state);
}

/** What differs in one execution, undefined when nothing does. */
export function difference(
  batch: WideBatch,
  i: number,
  expected: Outcomes,
  actual: Outcomes,
): WideDifference | undefined {
  const from = i * OUTCOME.words;
  const lines: string[] = [];
  for (let n = 0; n < OUTCOME.words; n++) {
    const [want, got] = [expected[from + n] as bigint, actual[from + n] as bigint];
    if (want === got) continue;
    const show = n === OUTCOME.ended ? (value: bigint) => ENDED_NAMES[Number(value)] : showWord;
    lines.push(`  ${wordName(n)}: expected ${show(want)}, got ${show(got)}`);
  }
  if (lines.length === 0) return undefined;
  const { subject, state } = batch.executions[i] as WideBatch['executions'][number];
  const { name, word, address } = batch.cases[subject] as WideBatch['cases'][number];
  lines.unshift(`${name} at ${address.toString(16)}: ${(word >>> 0).toString(16).padStart(8, '0')}`);
  lines.push(`  from ${Array.from(state, (value, n) => `${stateName(n)} ${showWord(value)}`).join(', ')}`);
  return { name, text: lines.join('\n') };
}
