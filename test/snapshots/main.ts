/**
 * `npm run snapshots -- [STOPS [SEED [GUEST]]]`: real guests, under each accel, saved so many times at moments that a seed
 * chooses and gone on with in a process of its own each time. With counted time the whole run is to be what it is without;
 * with the host's, the benchmark's programs are to find their check sums. STOPS: 6 if absent; GUEST: all.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { argv, env, exit, stdout } from 'node:process';
import { metrics } from '../../bench/guests.ts';
import type { Accel } from '../../src/kvm/index.ts';
import { Random } from '../truth/random.ts';
import { type Arrival, type Journey, travel } from './journey.ts';

const GUESTS = [
  { name: '440', board: 'bamboo', kernel: 'uImage', console: 'ttyS0', icount: 8, accels: ['assist', 'trap'] },
  {
    name: 'e500',
    board: 'ppce500',
    kernel: 'uImage',
    console: 'ttyS0',
    icount: 8,
    accels: ['assist', 'pv', 'trap'],
  },
  {
    name: 'book3s64',
    board: 'pseries',
    kernel: 'vmlinux',
    console: 'hvc0',
    icount: 2,
    accels: ['assist', 'pv', 'trap'],
  },
  {
    name: 'ppc64el',
    board: 'pseries',
    kernel: 'vmlinux',
    console: 'hvc0',
    icount: 2,
    accels: ['assist', 'pv', 'trap'],
  },
] as const;
const SUMS = metrics.flatMap(({ sum }) => (sum === undefined ? [] : [sum]));
const COMPRESSIONS = ['none', 'deflate', 'zstd'] as const;
/** A benchmark takes about so long, nanoseconds; stops behind its end are none. */
const BENCH_NS = 12e9;

const folder = env['POWERVISOR_GUESTS'] ?? '';
const stopCount = Number(argv[2] ?? 6);
const seed = Number(argv[3] ?? 1);
const random = new Random(seed);
let failures = 0;
let runs = 0;

function say(name: string, problem: string | undefined, { stops, time }: Arrival, began: number): void {
  runs++;
  if (problem !== undefined) failures++;
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  stdout.write(
    `${name}: ${problem ?? 'the same'}, ${stops} stops, ${(time / 1e9).toFixed(3)} s of the guest in ${seconds} s\n`,
  );
}

const moments = (total: number): number[] =>
  Array.from({ length: stopCount }, () => (total * (1 + random.below(999))) / 1000).sort((a, b) => a - b);

for (const { name, board, kernel, console: tty, icount, accels } of GUESTS) {
  if (argv[4] !== undefined && argv[4] !== name) continue;
  const files = { kernel: join(folder, name, kernel), initrd: join(folder, name, 'initramfs.cpio.gz') };
  if (!existsSync(files.kernel)) {
    stdout.write(`${name}: left out, there is no ${files.kernel} (POWERVISOR_GUESTS)\n`);
    continue;
  }
  const boot = (words: string): Journey['boot'] => ({ board, ...files, append: `console=${tty} ${words}` });
  for (const accel of accels) {
    let began = performance.now();
    const common = { accels: [accel] as const, compression: COMPRESSIONS[random.below(COMPRESSIONS.length)] ?? 'none' };
    const whole = await travel({ ...common, boot: boot('poweroff'), icount, stops: [] });
    const saved = await travel({ ...common, boot: boot('poweroff'), icount, stops: moments(whole.time) });
    const differs =
      saved.end !== whole.end
        ? `ended with ${saved.end}, not ${whole.end}`
        : saved.output !== whole.output
          ? 'another console'
          : saved.time !== whole.time
            ? `ended at ${saved.time}, not ${whole.time}`
            : undefined;
    say(`${name} ${accel}, counted time`, differs, saved, began);
    began = performance.now();
    const run = await travel({ ...common, boot: boot('bench poweroff'), stops: moments(BENCH_NS) });
    say(`${name} ${accel}, benchmark`, problemOf(run), run, began);
  }
  // Those that can follow each other whatever the guest does.
  const turns: readonly [Accel, ...Accel[]] = board === 'bamboo' ? ['trap', 'assist'] : ['pv', 'assist'];
  const began = performance.now();
  const run = await travel({
    boot: boot('bench poweroff'),
    accels: turns,
    stops: moments(BENCH_NS),
    compression: 'none',
  });
  say(`${name} ${turns.join(' and ')} by turns, benchmark`, problemOf(run), run, began);
}

/** What is wrong with a benchmark's run. */
function problemOf({ output, end }: Arrival): string | undefined {
  const missing = SUMS.find((sum) => !output.includes(sum));
  if (missing !== undefined) return `the check sum ${missing} is missing (${end})\n${output.slice(-2000)}`;
  return ['Oops', 'BUG:', 'rcu_sched', 'soft lockup', 'panic'].find((word) => output.includes(word));
}

if (runs === 0) failures++;
stdout.write(failures === 0 ? `all the same, seed ${seed}\n` : `${failures} of ${runs} differ, seed ${seed}\n`);
exit(failures === 0 ? 0 : 1);
