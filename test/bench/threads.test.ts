import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatThreads } from '../../bench/report.ts';
import { parseStat } from '../../bench/threads.ts';

test("a thread's name may have brackets and spaces", () => {
  const numbers = Array.from({ length: 40 }, (_, i) => i).join(' ');
  assert.deepEqual(parseStat(`17 (a) b (c) S ${numbers}\n`), { name: 'a) b (c', ticks: 10 + 11 });
});

test('processor time is told by contender and thread', () => {
  const sample = (contender: string, threads: Record<string, number>) => ({
    ...{ round: 1, contender, seconds: 1, figures: {}, clock: {}, threads },
  });
  const samples = [
    sample('qemu', { 'CPU 0': 2 }),
    sample('assist', { main: 1, worker: 0.5, idle: 0 }),
    sample('assist', { main: 3 }),
    sample('assist', { main: 2, worker: 0.25 }),
  ];
  const lines = formatThreads(['qemu', 'assist'], samples, true).split('\n');
  assert.deepEqual(
    lines.slice(2).map((line) =>
      line
        .split('|')
        .map((cell) => cell.trim())
        .filter(Boolean),
    ),
    [
      ['qemu', 'CPU 0', '2.00'],
      ['assist', 'main', '2.00'],
      ['assist', 'worker', '0.250'],
    ],
  );
});
