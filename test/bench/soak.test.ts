import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, type Sample, slopeOf, tableOf } from '../../bench/soak/samples.ts';

const sample = (minute: number, residentMb: number, more: Partial<Sample> = {}): Sample => ({
  minute,
  residentMb,
  done: minute * 3,
  wrong: 0,
  stats: { instructions: 5, translated_regions: minute * 10, translation_memory: 2.5e6 },
  ...more,
});
const samples = (memory: (minute: number) => number): Sample[] =>
  Array.from({ length: 121 }, (_, minute) => sample(minute, memory(minute)));

test('the slope is that of the least-squares line', () => {
  assert.equal(
    slopeOf([
      [0, 1],
      [1, 3],
      [2, 5],
    ]),
    2,
  );
  assert.equal(
    slopeOf([
      [0, 0],
      [1, 3],
      [2, 0],
    ]),
    0,
  );
  assert.equal(slopeOf([[1, 4]]), 0);
});

test('memory that grew in the first half only is flat, what grows on is not', () => {
  const flat = judge(samples((minute) => 1000 + 8 * Math.min(minute, 55) + (minute % 3)));
  assert.ok(flat.flat, flat.text);
  assert.match(flat.text, /^flat: -?0[.]0\d MB a minute over the last 60 minutes, at 1441 MB$/);
  const growing = judge(samples((minute) => 1000 + minute));
  assert.deepEqual([growing.flat, growing.slope.toFixed(3)], [false, '1.000']);
  assert.ok(judge(samples((minute) => 2000 - minute)).flat);
  assert.ok(!judge([sample(0, 1), sample(1, 1)]).flat);
});

test('work that went wrong is in the verdict', () => {
  const wrong = [...samples(() => 1000), sample(121, 1000, { wrong: 2 })];
  assert.match(judge(wrong).text, /; 2 pieces of work went wrong$/);
});

test('the table has the counters of translations, memory in MB', () => {
  const lines = tableOf([sample(0, 900.4), sample(1, 901)]).split('\n');
  assert.equal(lines[0], '| minute | resident MB | done | translated_regions | translation_memory MB |');
  assert.equal(lines[3], '| 1 | 901 | 3 | 10 | 2.5 |');
});
