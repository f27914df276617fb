/** Compares outcomes, and says where they differ. */
import type { Batch } from './batch.ts';
import { STATE, WINDOW, WINDOW_BYTES } from './machine-state.ts';
import { ENDED_NAMES, OUTCOME, type Outcomes } from './outcome.ts';

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');

const STATE_NAMES = ['ctr', 'lr', 'xer', 'cr', 'pc'];

export function wordName(index: number): string {
  if (index === OUTCOME.ended) return 'ended';
  if (index === OUTCOME.address) return 'address';
  if (index >= OUTCOME.window) return `storage ${hex(WINDOW + 4 * (index - OUTCOME.window))}`;
  const n = index - OUTCOME.state;
  if (n === STATE.fpscr) return 'fpscr';
  if (n >= STATE.fpr) return `f${(n - STATE.fpr) >> 1}.${(n - STATE.fpr) & 1}`;
  return n < STATE.ctr ? `r${n}` : (STATE_NAMES[n - STATE.ctr] as string);
}

export interface Difference {
  readonly execution: number;
  readonly name: string;
  readonly text: string;
}

/** Whether two executions' outcomes are the same word for word. */
export function sameOutcome(a: Outcomes, b: Outcomes, execution: number): boolean {
  const from = execution * OUTCOME.words;
  for (let i = from; i < from + OUTCOME.words; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** One execution that came out otherwise, with what is needed to see why. */
export function describe(batch: Batch, execution: number, expected: Outcomes, actual: Outcomes): Difference {
  const { subject, state } = batch.executions[execution] as Batch['executions'][number];
  const { name, words, address } = batch.cases[subject] as Batch['cases'][number];
  const from = execution * OUTCOME.words;
  const lines = [`${name} at ${hex(address)}: ${words.map((word) => hex(word)).join(' ')}`];
  for (let i = 0; i < OUTCOME.words; i++) {
    const [want, got] = [expected[from + i] as number, actual[from + i] as number];
    if (want === got) continue;
    const show = i === OUTCOME.ended ? (value: number) => ENDED_NAMES[value] : hex;
    lines.push(`  ${wordName(i)}: expected ${show(want)}, got ${show(got)}`);
  }
  const registers = Array.from(state, (value, n) => `${wordName(OUTCOME.state + n)} ${hex(value)}`);
  lines.push(`  from ${registers.join(', ')}`);
  return { execution, name, text: lines.join('\n') };
}

export { WINDOW_BYTES };
