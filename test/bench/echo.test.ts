import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TimedLine } from '../../bench/console-log.ts';
import { echoWorkload, pvGain } from '../../bench/echo.ts';
import { guests } from '../../bench/guests.ts';
import { runMachine } from '../../bench/runner.ts';

const [guest] = guests;
const { problems, figures, typing } = echoWorkload(guest);

const line = (at: number, text: string): TimedLine => ({ at, text });
const good: TimedLine[] = [
  line(1, 'GUEST-READY ppc64 0.80'),
  line(1.5, "/ # echo ECHO-BEGIN console $(cut -d' ' -f1 /proc/uptime); i=0"),
  line(2, 'ECHO-BEGIN console 1.50'),
  ...Array.from({ length: 1000 }, () => line(3, 'hello')),
  line(9, 'ECHO-END console 8.25'),
  line(9, 'ECHO-BEGIN null 8.25'),
  line(12, 'ECHO-END null 11.50'),
];

test('both loops are timed on both clocks', () => {
  assert.deepEqual(problems(good), []);
  assert.deepEqual(figures(good), {
    'echo to the console': 6.75,
    'echo to the console, host clock': 7,
    'echo to /dev/null': 3.25,
    'echo to /dev/null, host clock': 3,
  });
});

test('a loop that did not end, or a hello too few, is a problem', () => {
  assert.deepEqual(problems(good.slice(0, -1)), ['the loop to null has no begin or no end']);
  assert.deepEqual(problems(good.toSpliced(10, 1)), ['hello came 999 times, not 1000']);
});

test('what pv gains over trap is told where both ran', () => {
  const sample = (contender: string, seconds: number) => ({
    ...{ round: 1, contender, seconds, clock: {} },
    figures: { 'echo to the console': seconds },
  });
  assert.match(pvGain([sample('trap', 4), sample('pv', 2)]) ?? '', /trap \/ pv: 2\.00 \(goal 1\.9 met/);
  assert.match(pvGain([sample('trap', 3), sample('pv', 2)]) ?? '', /1\.50 \(goal 1\.9 SHORT/);
  assert.equal(pvGain([sample('trap', 3)]), undefined);
});

test('the shell is typed at when its prompt has come, and not before', async () => {
  assert.ok(typing);
  const program = `
    process.stdin.once('data', (data) => { console.log('got ' + prompted + ' ' + data); process.exit(); });
    let prompted = false;
    process.stdout.write('root # \\nGUEST-');
    setTimeout(() => process.stdout.write('READY x 1.00\\n'), 100);
    setTimeout(() => { prompted = true; process.stdout.write('/ # '); }, 300);
  `;
  const run = await runMachine([process.execPath, '-e', program], 60, { ...typing, text: 'ls\n' });
  assert.deepEqual(
    run.lines.map(({ text }) => text),
    ['root # ', 'GUEST-READY x 1.00', '/ # got true ls', ''],
  );
});
