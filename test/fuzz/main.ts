/**
 * `npm run fuzz -- [GUESTS [SEED [KIND]]]`: hostile guests (guests.ts, servers.ts), so many 440s and as many servers, the
 * same number on each machine of theirs under each kind of acceleration. They run on a thread of their own, so that one
 * that hangs its host is found out; and the host's memory is watched. KIND is a part of a machine's name, as it is
 * printed: only those run.
 */
import { argv, exit, memoryUsage } from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { Accel } from '../../src/kvm/index.ts';
import { HostileGuests } from './guests.ts';
import type { GuestEnd } from './serve.ts';
import { HostileServers, SERVER_KINDS } from './servers.ts';

const DEFAULT_GUESTS = 10_000;
/** Guests take some milliseconds, on a busy computer a second; so many of them between two reports may not take this long. */
const HANG_MS = 60_000;
/** Guests between two reports. */
const PER_REPORT = 20;
/** What the host may hold on to, bytes, from the end of the first quarter to the end of the last. */
const GROWTH_LIMIT = 48 * 2 ** 20;

/** Something that runs guests by their seeds. */
interface Machine {
  run(seed: number): GuestEnd;
  checkAll?(): void;
}
/** A machine's name, and how it is made. */
const MACHINES: readonly { readonly name: string; readonly share: number; readonly make: () => Machine }[] = [
  ...(['trap', 'assist'] as const).map((accel) => ({
    name: `bamboo 440ep ${accel}`,
    share: 1 / 2,
    make: () => new HostileGuests(accel),
  })),
  ...SERVER_KINDS.flatMap((kind) =>
    (['trap', 'pv', 'assist'] satisfies Accel[]).map((accel) => ({
      name: `${kind.board.name} ${kind.cpu} ${kind.littleEndian ? 'little' : 'big'}-endian ${accel}`,
      share: 1 / (3 * SERVER_KINDS.length),
      make: () => new HostileServers(accel, kind),
    })),
  ),
];

interface Job {
  readonly machine: number;
  readonly first: number;
  readonly guests: number;
}
interface Report {
  /** The guest that comes next. */
  readonly seed: number;
  readonly done: number;
  readonly ends: Partial<Record<GuestEnd, number>>;
  readonly memoryBytes: number;
  readonly error?: string;
}

function work({ machine: index, first, guests }: Job): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const machine = MACHINES[index]?.make() as Machine;
  const ends: Partial<Record<GuestEnd, number>> = {};
  const report = (done: number, error?: string): void => {
    collect();
    const { heapUsed, external, rss } = memoryUsage();
    // What V8 has compiled is outside of its heap; guest memory is in the resident set, all of it from the start.
    const memoryBytes = Math.max(heapUsed + external, rss);
    const message: Report = { seed: first + done, done, ends, memoryBytes, ...(error !== undefined && { error }) };
    parentPort?.postMessage(message);
  };
  for (let done = 0; done < guests; done++) {
    try {
      if (done % PER_REPORT === 0) {
        machine.checkAll?.();
        report(done);
      }
      const end = machine.run(first + done);
      ends[end] = (ends[end] ?? 0) + 1;
    } catch (error) {
      report(done, error instanceof Error ? (error.stack ?? error.message) : String(error));
      return;
    }
  }
  report(guests);
}

/** Runs a job on a thread; answers its last report, and how much memory grew. */
function supervise(job: Job): Promise<{ last: Report; growth: number; hung: boolean }> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: job });
    let last: Report = { seed: job.first, done: 0, ends: {}, memoryBytes: 0 };
    let quarter: number | undefined;
    let timer: NodeJS.Timeout;
    const finish = (hung: boolean): void => {
      clearTimeout(timer);
      void worker.terminate();
      resolve({ last, growth: quarter === undefined ? 0 : last.memoryBytes - quarter, hung });
    };
    const watch = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => finish(true), HANG_MS);
    };
    watch();
    worker.on('error', reject);
    worker.on('message', (report: Report) => {
      last = report;
      if (report.done >= job.guests / 4) quarter ??= report.memoryBytes;
      if (report.error !== undefined || report.done === job.guests) finish(false);
      else watch();
    });
  });
}

async function main(): Promise<number> {
  const guests = Number(argv[2] ?? DEFAULT_GUESTS);
  const seed = Number(argv[3] ?? 1);
  if (!(Number.isInteger(guests) && guests > 0 && Number.isInteger(seed))) {
    console.error('usage: npm run fuzz -- [GUESTS [SEED [KIND]]]');
    return 2;
  }
  let failures = 0;
  const wanted = argv[4] ?? '';
  for (const [machine, { name, share }] of MACHINES.entries()) {
    if (!name.includes(wanted)) continue;
    const started = performance.now();
    const { last, growth, hung } = await supervise({ machine, first: seed, guests: Math.ceil(guests * share) });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const ends = Object.entries(last.ends).map(([end, count]) => `${count} ${end}`);
    console.log(`${name}: ${last.done} guests in ${seconds} s: ${ends.join(', ')}`);
    console.log(
      `  host memory ${Math.round(last.memoryBytes / 2 ** 20)} MB, growth ${Math.round(growth / 2 ** 20)} MB`,
    );
    if (last.error !== undefined) console.log(`  guest ${last.seed} threw: ${last.error}`);
    if (hung) console.log(`  one of the guests from ${last.seed} on hung`);
    if (growth > GROWTH_LIMIT) console.log('  the host holds on to memory');
    if (last.error !== undefined || hung || growth > GROWTH_LIMIT) failures++;
  }
  return failures === 0 ? 0 : 1;
}

if (isMainThread) exit(await main());
else work(workerData as Job);
