/** One batch through everything: the oracle, the interpreter, the translator. */
import type { Batch } from './batch.ts';
import { type Difference, describe, sameOutcome } from './compare.ts';
import { correct } from './exceptions.ts';
import { runOracle } from './oracle.ts';
import { ENDED, OUTCOME, type Outcomes } from './outcome.ts';
import type { Runs, Subject } from './subject.ts';

export interface Verdict {
  /** Executions that were compared; those that did not end are left out. */
  readonly executions: number;
  readonly endless: number;
  readonly differences: readonly (Difference & { readonly tier: Tier })[];
}

export type Tier = 'interpreter' | 'translator' | 'translator against interpreter';

const MOST_DIFFERENCES = 200;

function select(outcomes: Outcomes, kept: readonly number[]): Outcomes {
  const selected = new Int32Array(kept.length * OUTCOME.words);
  for (const [to, from] of kept.entries())
    selected.set(outcomes.subarray(from * OUTCOME.words, (from + 1) * OUTCOME.words), to * OUTCOME.words);
  return selected;
}

/** Leaves out what did not end within its budget: the oracle would run it for ever. */
function dropEndless(batch: Batch, runs: Runs): Runs {
  const kept = batch.executions.map((_, i) => i).filter((i) => runs.interpreted[i * OUTCOME.words] !== ENDED.budget);
  batch.executions = kept.map((i) => batch.executions[i] as Batch['executions'][number]);
  const [first, second] = runs.retired;
  return {
    interpreted: select(runs.interpreted, kept),
    translated: select(runs.translated, kept),
    retired: [Int32Array.from(kept, (i) => first[i] as number), Int32Array.from(kept, (i) => second[i] as number)],
  };
}

/** The oracle's outcomes, with the exceptions to what it says. */
export function judgement(batch: Batch, processor: string, interpreted: Outcomes): Outcomes {
  const expected = runOracle(batch, processor);
  for (let i = 0; i < batch.executions.length; i++) correct(batch, i, expected, interpreted);
  return expected;
}

/**
 * Runs a batch and compares.
 * @param processor the oracle's processor model; null: only the translator against the interpreter.
 */
export function judge(subject: Subject, batch: Batch, processor: string | null): Verdict {
  const all = batch.executions.length;
  const { interpreted, translated, retired } = dropEndless(batch, subject.run(batch));
  const differences: (Difference & { tier: Tier })[] = [];
  const compare = (tier: Tier, expected: Outcomes, actual: Outcomes): void => {
    for (let i = 0; i < batch.executions.length && differences.length < MOST_DIFFERENCES; i++)
      if (!sameOutcome(expected, actual, i)) differences.push({ ...describe(batch, i, expected, actual), tier });
  };
  if (processor === null) compare('translator against interpreter', interpreted, translated);
  else {
    const expected = judgement(batch, processor, interpreted);
    compare('interpreter', expected, interpreted);
    compare('translator', expected, translated);
  }
  const [first, second] = retired;
  for (let i = 0; i < batch.executions.length && differences.length < MOST_DIFFERENCES; i++) {
    if (first[i] === second[i]) continue;
    const { name, text } = describe(batch, i, interpreted, translated);
    const counts = `  retired: ${first[i]} interpreted, ${second[i]} translated`;
    differences.push({ execution: i, name, text: `${text}\n${counts}`, tier: 'translator against interpreter' });
  }
  return { executions: batch.executions.length, endless: all - batch.executions.length, differences };
}
