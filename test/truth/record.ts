/** The recorded set: cases, executions and outcomes of the oracle, small enough for the repo. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { Batch } from './batch.ts';
import { addBlock } from './blocks.ts';
import { processorFor } from './exceptions.ts';
import { judge, judgement } from './judge.ts';
import { STATE, seededState } from './machine-state.ts';
import { ENDED, OUTCOME, type Outcomes } from './outcome.ts';
import { Random } from './random.ts';
import { addSingle, formsOf } from './single.ts';
import { Subject } from './subject.ts';

const FILE = fileURLToPath(new URL('data/recorded.json.gz', import.meta.url));
const SEED = 440;
const CASES_PER_FORM = 8;
const BLOCKS = 500;
const PER_CASE = 3;

/** Index and value, by turns. */
type Changes = number[];

/** Seed of the state, window's image, changes of the state to the seeded one, changes of the outcome to the state. */
type RecordedExecution = [seed: number, window: number, aimed: Changes, outcome: Changes];

interface RecordedCase {
  readonly name: string;
  readonly mnemonic?: string;
  readonly before: number;
  readonly behind: number;
  readonly words: readonly number[];
  readonly executions: RecordedExecution[];
}

interface RecordedBatch {
  /** The oracle's processor model. */
  readonly processor: string;
  /** Of the windows' images. */
  readonly seed: number;
  readonly cases: readonly RecordedCase[];
}

function changes(from: ArrayLike<number>, to: ArrayLike<number>): Changes {
  const list: Changes = [];
  for (let i = 0; i < to.length; i++) if (from[i] !== to[i]) list.push(i, to[i] as number);
  return list;
}

function apply(list: Changes, to: Int32Array): void {
  for (let i = 0; i < list.length; i += 2) to[list[i] as number] = list[i + 1] as number;
}

/** An outcome in which nothing has happened yet but the trap behind the code. */
function untouched(batch: Batch, execution: number): Int32Array {
  const { state, window } = batch.executions[execution] as Batch['executions'][number];
  const outcome = new Int32Array(OUTCOME.words);
  outcome[OUTCOME.ended] = ENDED.trap;
  outcome.set(state, OUTCOME.state);
  outcome.set(batch.windows[window] as Uint32Array, OUTCOME.window);
  return outcome;
}

function recordBatch(batch: Batch, processor: string, subject: Subject): RecordedCase[] {
  // Leaves out what does not end, and refuses to record what is not so here.
  const { differences } = judge(subject, batch, processor);
  if (differences.length > 0) throw new Error(`the oracle differs:\n${differences[0]?.text}`);
  const { interpreted } = subject.run(batch);
  const outcomes = judgement(batch, processor, interpreted);
  const cases = batch.cases.map(
    ({ name, mnemonic, before, behind, words }): RecordedCase => ({
      name,
      ...(mnemonic !== undefined && { mnemonic }),
      before,
      behind,
      words: words.map((word) => word | 0),
      executions: [],
    }),
  );
  for (const [i, { seed, state, window, subject: number }] of batch.executions.entries()) {
    const outcome = outcomes.subarray(i * OUTCOME.words, (i + 1) * OUTCOME.words);
    const entry: RecordedExecution = [
      seed,
      window,
      changes(seededState(seed), state),
      changes(untouched(batch, i), outcome),
    ];
    (cases[number] as RecordedCase).executions.push(entry);
  }
  return cases;
}

/** Makes the recorded set anew. */
export function record(): void {
  const random = new Random(SEED);
  const subject = new Subject();
  const batches: RecordedBatch[] = [];
  const recordNow = (processor: string, fill: (batch: Batch) => void): void => {
    const batch = new Batch(new Random(SEED));
    fill(batch);
    batches.push({ processor, seed: SEED, cases: recordBatch(batch, processor, subject) });
  };
  const processors = Map.groupBy(formsOf(), (form) => processorFor(form.instruction.mnemonic));
  for (const [processor, forms] of processors) {
    recordNow(processor, (batch) => {
      for (const form of forms) for (let i = 0; i < CASES_PER_FORM; i++) addSingle(random, batch, form, PER_CASE);
    });
  }
  recordNow(processorFor('block'), (batch) => {
    for (let i = 0; i < BLOCKS; i++) addBlock(random, batch, PER_CASE, true);
  });
  const bytes = gzipSync(JSON.stringify(batches), { level: 9 });
  mkdirSync(dirname(FILE), { recursive: true });
  writeFileSync(FILE, bytes);
  const executions = batches.flatMap(({ cases }) => cases).reduce((n, one) => n + one.executions.length, 0);
  console.log(`recorded ${executions} executions, ${bytes.length} bytes`);
}

/** A recorded batch, with the outcomes that are expected. */
export interface Recorded {
  readonly batch: Batch;
  readonly expected: Outcomes;
}

function restore({ seed, cases }: RecordedBatch): Recorded {
  const batch = new Batch(new Random(seed));
  const executions = cases.reduce((n, one) => n + one.executions.length, 0);
  const expected = new Int32Array(executions * OUTCOME.words);
  for (const { name, mnemonic, before, behind, words, executions: list } of cases) {
    const room = batch.reserve(words.length, before, behind);
    const subject = batch.add(name, room, words, mnemonic);
    for (const [stateSeed, window, aimed, changed] of list) {
      const state = seededState(stateSeed);
      apply(aimed, state);
      if (state[STATE.pc] !== room.address) throw new Error(`${name} was recorded at another address`);
      const at = batch.executions.push({ seed: stateSeed, state, window, subject }) - 1;
      const outcome = expected.subarray(at * OUTCOME.words, (at + 1) * OUTCOME.words);
      outcome.set(untouched(batch, at));
      apply(changed, outcome);
    }
  }
  return { batch, expected };
}

/** The recorded set. */
export function recorded(): Recorded[] {
  const batches = JSON.parse(gunzipSync(readFileSync(FILE)).toString()) as RecordedBatch[];
  return batches.map(restore);
}
