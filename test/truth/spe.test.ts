import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareSpe } from './spe.ts';

test('each SPE instruction does what its model says, interpreted and translated', () => {
  const { executions, failures, translatedRegions, ends } = compareSpe(20_000, 7);
  assert.deepEqual(failures, []);
  assert.ok(executions >= 20_000 && translatedRegions > 800);
  assert.ok((ends['data'] ?? 0) > 50 && (ends['round'] ?? 0) > 50, JSON.stringify(ends));
});
