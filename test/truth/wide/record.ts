/**
 * What is recorded of the oracle for 64-bit processors: of each form a digest of what goes in and what comes out. A digest
 * that is not met is looked into with the campaign, which says what differs.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Random } from '../random.ts';
import { addWideCase, WideBatch } from './batch.ts';
import { CONFIGURATIONS, type Configuration, configurationForms, nameOf } from './configurations.ts';
import { correctWide } from './exceptions.ts';
import { difference } from './judge.ts';
import { runWideOracle } from './oracle.ts';
import { OUTCOME, type Outcomes } from './state.ts';
import { WideSubject } from './subject.ts';

const FILE = fileURLToPath(new URL('../data/wide.json', import.meta.url));
const CASES_PER_FORM = 8;
const PER_CASE = 3;
const WINDOW_SEED = 64;

/** Digests by form. */
export type Digests = Readonly<Record<string, string>>;

/** The same cases in every run, whatever other forms there are. */
function batchOf(configuration: Configuration): WideBatch {
  const batch = new WideBatch(new Random(WINDOW_SEED));
  for (const form of configurationForms(configuration)) {
    const seed = createHash('sha256').update(form.name).digest().readInt32LE();
    const random = new Random(seed);
    for (let i = 0; i < CASES_PER_FORM; i++) addWideCase(random, batch, form, PER_CASE);
  }
  return batch;
}

/** Addresses are relative to the case: they move when forms are added. */
function digestsOf(batch: WideBatch, outcomes: Outcomes): Digests {
  const hashes = new Map<string, ReturnType<typeof createHash>>();
  for (const [i, { state, subject }] of batch.executions.entries()) {
    const { name, address } = batch.cases[subject] as WideBatch['cases'][number];
    let hash = hashes.get(name);
    if (!hash) hashes.set(name, (hash = createHash('sha256')));
    const words = [...state, ...outcomes.subarray(i * OUTCOME.words, (i + 1) * OUTCOME.words)];
    const near = (value: bigint): boolean => value >= BigInt(address - 4096) && value <= BigInt(address + 4096);
    hash.update(words.map((value) => (near(value) ? `@${value - BigInt(address)}` : value.toString(36))).join());
  }
  return Object.fromEntries([...hashes].map(([name, hash]) => [name, hash.digest('hex').slice(0, 12)]));
}

/** Makes the recorded set anew. @throws Error where our outcome is not the oracle's. */
export function recordWide(): void {
  const recorded: Record<string, Digests> = {};
  let executions = 0;
  for (const configuration of CONFIGURATIONS) {
    const batch = batchOf(configuration);
    const expected = runWideOracle(batch, configuration.processor, configuration.order);
    const actual = new WideSubject(configuration.processor, configuration.order).run(batch);
    for (let i = 0; i < batch.executions.length; i++) {
      correctWide(batch, i, expected, actual);
      const found = difference(batch, i, expected, actual);
      if (found) throw new Error(`the oracle differs:\n${found.text}`);
    }
    recorded[nameOf(configuration)] = digestsOf(batch, expected);
    executions += batch.executions.length;
  }
  mkdirSync(dirname(FILE), { recursive: true });
  writeFileSync(FILE, `${JSON.stringify(recorded, null, 1)}\n`);
  console.log(`recorded ${executions} executions of 64-bit processors`);
}

/** What was recorded, and what our interpreter makes of the same cases. */
export function wideDigests(): { configuration: string; expected: Digests; actual: Digests }[] {
  const recorded = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, Digests>;
  return CONFIGURATIONS.map((configuration) => {
    const batch = batchOf(configuration);
    const actual = digestsOf(batch, new WideSubject(configuration.processor, configuration.order).run(batch));
    return { configuration: nameOf(configuration), expected: recorded[nameOf(configuration)] ?? {}, actual };
  });
}
