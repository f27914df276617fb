/** Random blocks of code through both tiers: same registers, same storage, same number of instructions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Batch } from './batch.ts';
import { addBlock } from './blocks.ts';
import { judge } from './judge.ts';
import { Random } from './random.ts';
import { Subject } from './subject.ts';

const BLOCKS = 3000;
const PER_BLOCK = 4;

test('interpreter and translator agree on random blocks', () => {
  const random = new Random(440);
  const batch = new Batch(random);
  for (let i = 0; i < BLOCKS; i++) addBlock(random, batch, PER_BLOCK, false);
  const subject = new Subject();
  const { executions, differences } = judge(subject, batch, null);
  assert.equal(differences[0]?.text, undefined);
  assert.ok(executions > 0.9 * BLOCKS * PER_BLOCK, `only ${executions} came to an end`);
  assert.ok(subject.inRegions > 0.9 * BLOCKS * PER_BLOCK, `only ${subject.inRegions} were translated`);
});
