/**
 * `npm run fuzz -- [GUESTS [SEED]]`: hostile guests (guests.ts), half of them under each kind of acceleration. They run on
 * a thread of their own, so that one that hangs its host is found out; and the host's memory is watched.
 */
import { argv, exit, memoryUsage } from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { Accel } from '../../src/kvm/index.ts';
import { type GuestEnd, HostileGuests } from './guests.ts';

const DEFAULT_GUESTS = 10_000;
/** A guest takes some milliseconds; none may take this long. */
const HANG_MS = 60_000;
/** Guests between two reports. */
const PER_REPORT = 100;
/** What the host may hold on to, bytes, from the end of the first quarter to the end of the last. */
const GROWTH_LIMIT = 48 * 2 ** 20;

interface Job {
  readonly accel: Accel;
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

function work({ accel, first, guests }: Job): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const machine = new HostileGuests(accel);
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
    if (done % PER_REPORT === 0) report(done);
    try {
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
    console.error('usage: npm run fuzz -- [GUESTS [SEED]]');
    return 2;
  }
  let failures = 0;
  for (const [index, accel] of (['trap', 'assist'] as const).entries()) {
    const half = index === 0 ? Math.ceil(guests / 2) : Math.floor(guests / 2);
    if (half === 0) continue;
    const started = performance.now();
    const { last, growth, hung } = await supervise({
      accel,
      first: seed + index * Math.ceil(guests / 2),
      guests: half,
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const ends = Object.entries(last.ends).map(([end, count]) => `${count} ${end}`);
    console.log(`${accel}: ${last.done} guests in ${seconds} s: ${ends.join(', ')}`);
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
