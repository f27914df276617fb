/** Every instruction against what was recorded from `qemu-ppc`, through both tiers (docs/instruction-truth.md). */
import assert from 'node:assert/strict';
import { describe as group, test } from 'node:test';
import { describe, sameOutcome } from './compare.ts';
import { OUTCOME } from './outcome.ts';
import { recorded } from './record.ts';
import { formsOf } from './single.ts';
import { Subject } from './subject.ts';

const batches = recorded();
const subject = new Subject();
const runs = batches.map(({ batch }) => subject.run(batch));

group('recorded instruction truth', () => {
  test('covers every form of every instruction', () => {
    const names = new Set(batches.flatMap(({ batch }) => batch.cases.map(({ name }) => name)));
    const missing = formsOf().filter(({ name }) => !names.has(name));
    assert.deepEqual(
      missing.map(({ name }) => name),
      [],
      'npm run campaign -- record',
    );
  });

  for (const tier of ['interpreted', 'translated'] as const) {
    test(`is what comes out ${tier}`, () => {
      for (const [number, { batch, expected }] of batches.entries()) {
        const actual = runs[number]?.[tier] as Int32Array;
        assert.equal(actual.length, batch.executions.length * OUTCOME.words);
        for (let i = 0; i < batch.executions.length; i++)
          if (!sameOutcome(expected, actual, i)) assert.fail(describe(batch, i, expected, actual).text);
      }
    });
  }

  test('has as many instructions retired by both tiers', () => {
    for (const [number, { batch }] of batches.entries()) {
      const { retired } = runs[number] as (typeof runs)[number];
      assert.deepEqual(
        batch.executions.filter((_, i) => retired[0][i] !== retired[1][i]),
        [],
      );
    }
  });

  test('runs translated where it is said to', () => {
    const executions = batches.reduce((n, { batch }) => n + batch.executions.length, 0);
    // What the translator leaves to the interpreter begins there: string instructions, words that are none, what is cold.
    assert.ok(subject.inRegions > 0.9 * executions, `${subject.inRegions} of ${executions}`);
  });
});
