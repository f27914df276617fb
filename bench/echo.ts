/**
 * The test of the talk "KVM on PowerPC": a shell starts `/bin/echo hello` a thousand times. Nearly all of it is the
 * guest's kernel, so it shows what privileged instructions cost.
 */
import { parseConsole, type TimedLine } from './console-log.ts';
import { CPU_TIME, GUEST_READY, type Guest, type Metric } from './guests.ts';
import type { Sample, Workload } from './race.ts';
import { median } from './statistics.ts';

const TURNS = 1000;
/** What the PV framework was on real hardware: 14.659 s without it, 7.557 s with it. */
export const TALK_RATIO = 14.659 / 7.557;
/** The least ratio of trap to pv that we want. */
const PV_GOAL = 1.9;

/** To the console, as in the talk, and to nowhere, which leaves the console's own cost out. */
const places = [
  { name: 'console', redirect: '' },
  { name: 'null', redirect: ' >/dev/null' },
] as const;

const CONSOLE_TIME = 'echo to the console';
const figureName = { console: CONSOLE_TIME, null: 'echo to /dev/null' } as const;
const onHost = (name: string): string => `${name}, host clock`;

export const echoMetrics: readonly Metric[] = [
  { name: GUEST_READY, unit: 's' },
  ...places.flatMap(({ name }): Metric[] => [
    { name: figureName[name], unit: 's' },
    { name: onHost(figureName[name]), unit: 's' },
  ]),
  { name: CPU_TIME, unit: 's' },
];

const uptime = "$(cut -d' ' -f1 /proc/uptime)";
const loop = ({ name, redirect }: (typeof places)[number]): string =>
  [
    `echo ECHO-BEGIN ${name} ${uptime}`,
    `i=0; while [ $i -lt ${TURNS} ]; do /bin/echo hello${redirect}; i=$((i+1)); done`,
    `echo ECHO-END ${name} ${uptime}`,
  ].join('; ');

interface Mark {
  readonly host: number;
  readonly guest: number;
}

/** "begin console" and the like; what the terminal echoes of the command has no number after it. */
function findMarks(lines: readonly TimedLine[]): Map<string, Mark> {
  const marks = new Map<string, Mark>();
  for (const { at, text } of lines) {
    const match = /^ECHO-(BEGIN|END) (\w+) (\d+\.\d+)$/.exec(text);
    if (match) marks.set(`${match[1]} ${match[2]}`, { host: at, guest: Number(match[3]) });
  }
  return marks;
}

/** The guest boots to its shell, runs the loops that are typed there, and ends. */
export function echoWorkload(guest: Guest): Workload {
  const commands = [...places.map(loop), 'sync; $(cat /etc/off)'];
  return {
    append: `console=${guest.console}`,
    typing: { ready: 'GUEST-READY', prompt: '# ', text: `${commands.join('; ')}\n` },
    problems(lines) {
      const marks = findMarks(lines);
      const problems = places
        .filter(({ name }) => !marks.has(`BEGIN ${name}`) || !marks.has(`END ${name}`))
        .map(({ name }) => `the loop to ${name} has no begin or no end`);
      if (parseConsole(lines).ready === undefined) problems.push('GUEST-READY is missing');
      const count = lines.filter(({ text }) => text === 'hello').length;
      if (count !== TURNS) problems.push(`hello came ${count} times, not ${TURNS}`);
      return problems;
    },
    figures(lines) {
      const marks = findMarks(lines);
      const figures: Record<string, number> = {};
      for (const { name } of places) {
        const [begin, end] = [marks.get(`BEGIN ${name}`), marks.get(`END ${name}`)];
        if (begin === undefined || end === undefined) continue;
        figures[figureName[name]] = end.guest - begin.guest;
        figures[onHost(figureName[name])] = end.host - begin.host;
      }
      return figures;
    },
  };
}

/** How much faster pv is than trap, in a line; undefined without both. */
export function pvGain(samples: readonly Sample[]): string | undefined {
  const time = (accel: string): number =>
    median(
      samples.filter(({ contender }) => contender === accel).map(({ figures }) => figures[CONSOLE_TIME] ?? Number.NaN),
    );
  const ratio = time('trap') / time('pv');
  if (Number.isNaN(ratio)) return undefined;
  const verdict = ratio >= PV_GOAL ? 'met' : 'SHORT';
  return `${CONSOLE_TIME}, trap / pv: ${ratio.toFixed(2)} (goal ${PV_GOAL} ${verdict}; ${TALK_RATIO.toFixed(2)} on real hardware)`;
}
