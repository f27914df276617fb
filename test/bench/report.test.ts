import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ExitCounts, exitRatios, formatExits } from '../../bench/exits.ts';
import { commandLine, guests, metricsOf, onCpu, programs } from '../../bench/guests.ts';
import type { Sample } from '../../bench/race.ts';
import { formatClocks, formatReport, makeReport, verdict } from '../../bench/report.ts';
import { median, summarize } from '../../bench/statistics.ts';
import { figure, formatTable } from '../../bench/table.ts';

const sample = (round: number, contender: string, seconds: number): Sample => ({
  round,
  contender,
  seconds,
  figures: { 'bench-int mix': seconds },
  clock: { uptime: 1 },
});
const samples = [
  ...[sample(1, 'qemu', 2), sample(1, 'assist', 1), sample(2, 'qemu', 4), sample(2, 'assist', 8)],
  ...[sample(3, 'qemu', 3), sample(3, 'assist', 2)],
];

const [guest] = guests;
const metrics = metricsOf(guest);

test('median and summary', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([10, 9, 1, 2]), 5.5);
  assert.ok(Number.isNaN(median([])));
  assert.deepEqual(summarize([5, 1, 3]), { median: 3, min: 1, max: 5, count: 3 });
  assert.equal(summarize([]), undefined);
});

test('a ratio is the median of the first by the median of ours', () => {
  const report = makeReport(['qemu', 'assist'], metrics, samples);
  assert.equal(report.metrics.length, 1);
  assert.deepEqual(report.metrics[0], {
    name: 'bench-int mix',
    unit: 's',
    goal: 1.2,
    reference: { median: 3, min: 2, max: 4, count: 3 },
    ours: { assist: { median: 2, min: 1, max: 8, count: 3, ratio: 1.5 } },
  });
  const table = formatReport(['qemu', 'assist'], report, 'assist');
  assert.match(table, /^bench-int mix +s +3\.00 \(2\.00–4\.00\) +2\.00 \(1\.00–8\.00\) +1\.50 +1\.2 met$/m);
  assert.match(formatClocks(report), /^assist .* 1\.0000 \(1\.0000–1\.0000\) +-$/m);
});

test('what only one of them has is no comparison', () => {
  const report = makeReport(['qemu', 'assist'], metrics, [sample(1, 'qemu', 2)]);
  assert.deepEqual(report.metrics[0]?.ours, {});
  assert.match(formatReport(['qemu', 'assist'], report), /2\.00 +- +-$/m);
  assert.deepEqual(makeReport(['qemu', 'assist'], metrics, [sample(1, 'assist', 2)]).metrics, []);
});

test('goals', () => {
  assert.equal(verdict(1.2, 1.2), '1.2 met');
  assert.equal(verdict(1.19, 1.2), '1.2 SHORT');
  assert.equal(verdict(1, undefined), '');
  assert.equal(verdict(undefined, 1), '');
});

test('figures have three digits, tables have columns', () => {
  assert.deepEqual([0, 0.0123456, 0.5, 1.234, 12.34, 123.4, 123456.7, Number.NaN].map(figure), [
    ...['0', '0.0123', '0.500', '1.23', '12.3', '123', '123457', '-'],
  ]);
  assert.equal(formatTable(['a', 'bb'], [['ccc', '1']]), 'a    bb\n---  --\nccc   1');
  assert.equal(formatTable(['a', 'bb'], [['ccc', '1']], true), '| a   | bb |\n| --- | -: |\n| ccc |  1 |');
});

test("the guest's command line runs what is wanted", () => {
  assert.equal(commandLine(guest, programs), 'console=ttyS0 bench poweroff');
  assert.equal(commandLine(guest, []), 'console=ttyS0 poweroff');
  assert.equal(
    commandLine(guest, ['bench-int', 'bench-sys']),
    'console=ttyS0 bench poweroff rdinit=/bin/sh -- -c "/bin/sed -i -e /bench-mem/d -e /bench-fp/d /bench.sh; exec /init"',
  );
});

test('exits by cause, the rare ones together', () => {
  const counts: ExitCounts[] = [
    {
      accel: 'trap',
      stats: {
        sum_exits: 100,
        dsi_exits: 9,
        mmio_exits: 20,
        emulated_rfi: 7,
        emulated_mfspr_pvr: 2,
        emulated_mfspr_pir: 1,
      },
    },
    {
      accel: 'assist',
      stats: { sum_exits: 20, mmio_exits: 30, light_exits: 5, emulated_rfi: 7, emulated_accesses: 8 },
    },
  ];
  const text = formatExits(counts);
  assert.match(
    text,
    /^\| sum_exits +\| +100 \| +20 \|\n\| mmio_exits +\| +20 \| +30 \|\n\| dsi_exits +\| +9 \| +0 \|$/m,
  );
  assert.match(text, /^\| rfi +\| +7 \| +7 \|$/m);
  assert.match(text, /^\| 2 others +\| +3 \| +0 \|$/m);
  assert.doesNotMatch(text, /light|accesses/);
  assert.deepEqual(exitRatios(counts), [{ accel: 'assist', ratio: 5 }]);
});

test('a goal is that of the figure, else that of its program', () => {
  const goalOf = (name: string): number | undefined => metrics.find((one) => one.name === name)?.goal;
  assert.deepEqual(
    ['bench-mem chase1M', 'bench-mem memcpy4K', 'bench-sys fork+exec+wait', 'bench-sys signal', 'bench-fp nbody'].map(
      goalOf,
    ),
    [5, 1, 1, 0.8, undefined],
  );
  // A misspelt one would be no goal at all.
  for (const { goals } of guests) {
    const known = metrics.flatMap(({ name, program }) => [name, program]);
    for (const name of Object.keys(goals)) assert.ok(known.includes(name), name);
  }
});

test('a processor is named to both', () => {
  const server = guests.find(({ name }) => name === 'book3s64');
  assert.ok(server);
  assert.deepEqual(onCpu(server, 'power7').qemu.slice(-2), ['-cpu', 'POWER7']);
  assert.deepEqual(onCpu(server).ours.slice(-2), ['--cpu', 'power8']);
  assert.equal(onCpu(guest), guest);
});
