import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { clockRate, findProblems, LineClock, parseConsole, type TimedLine } from '../../bench/console-log.ts';
import { metrics, programs } from '../../bench/guests.ts';

/** The console of a run under QEMU, shortened; each line begins with its time. */
const recorded: readonly TimedLine[] = readFileSync(join(import.meta.dirname, 'data/console-440.txt'), 'latin1')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const space = line.indexOf(' ');
    return { at: Number(line.slice(0, space)), text: line.slice(space + 1) };
  });

const edited = (from: string | RegExp, to: string): TimedLine[] =>
  recorded.map(({ at, text }) => ({ at, text: text.replace(from, to) }));

test('a recorded console gives every figure of the table', () => {
  const log = parseConsole(recorded);
  assert.deepEqual(findProblems(log, metrics, programs), []);
  assert.equal(log.linuxVersion, 0.1472);
  assert.deepEqual(log.ready, { host: 0.4559, guest: 0.23 });
  assert.equal(log.benchBegin, 0.4709);
  assert.deepEqual(log.benchEnd, { host: 22.6627, guest: 22.44 });
  assert.deepEqual(log.figures.get('bench-mem chase1M'), { value: 7.003242, unit: 's', sum: '849f4caf' });
  assert.deepEqual(log.figures.get('bench-sys fork+exec+wait'), { value: 3542517.3, unit: 'ns/op' });
  assert.equal(log.figures.size, metrics.filter(({ program }) => program !== undefined).length);
  assert.equal(log.errors, 0);
});

test("the guest's clock is held against the host's", () => {
  const { uptime = 0, printk = 0 } = clockRate(parseConsole(recorded));
  assert.equal(uptime, (22.44 - 0.23) / (22.6627 - 0.4559));
  assert.equal(printk, (22.48033 - 0.000281) / (22.6749 - 0.1947));
  assert.deepEqual(clockRate(parseConsole([])), {});
});

test('whatever is wrong in a run is named', () => {
  const problemsOf = (lines: readonly TimedLine[]): string[] => findProblems(parseConsole(lines), metrics, programs);
  assert.deepEqual(problemsOf(edited('sum=849f4caf', 'sum=849f4cae')), [
    'bench-mem chase1M: the checksum is 849f4cae, not 849f4caf',
  ]);
  assert.deepEqual(problemsOf(edited('errors=0', 'errors=2')), ['bench-sys: errors is 2, not 0']);
  assert.deepEqual(problemsOf(edited(/crc16=c738/, 'crc16=0000')), ['bench-int: the crc16 is 0000, not c738']);
  assert.deepEqual(problemsOf(edited(/^bench-sys signal.*/, '')), ['bench-sys signal is missing']);
  assert.deepEqual(problemsOf(edited(/^BENCH-END.*/, '')), ['BENCH-END is missing']);
  assert.equal(problemsOf([]).length, metrics.filter(({ program }) => program !== undefined).length + 6);
});

test('only the programs that ran are asked for', () => {
  const boot = recorded.filter(({ text }) => !/^b(ench)/i.test(text));
  assert.deepEqual(findProblems(parseConsole(boot), metrics, []), []);
  const some = recorded.filter(({ text }) => !/^bench-(mem|fp|sys)/.test(text));
  assert.deepEqual(findProblems(parseConsole(some), metrics, ['bench-int']), []);
});

test('a line has the time at which its end arrived', () => {
  const clock = new LineClock();
  clock.add('one\r\ntw', 1);
  clock.add('o', 2);
  clock.add('\r\n\r\nthree', 3);
  clock.end(4);
  assert.deepEqual(clock.lines, [
    { at: 1, text: 'one' },
    { at: 3, text: 'two' },
    { at: 3, text: '' },
    { at: 4, text: 'three' },
  ]);
});
