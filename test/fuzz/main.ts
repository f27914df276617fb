/**
 * `npm run fuzz -- [CASES [SEED [KIND]]]`: hostile guests, programs, files, saved states and streams (kinds.ts), so many cases of
 * each group, shared out among its kinds. Each kind runs on a thread of its own, whose stack is that of a page in a browser, so
 * that one that hangs its host is found out; and the host's memory is watched. KIND is a part of a kind's name, as it is
 * printed: only those run. A case that fails is run once more alone.
 */
import { argv, cpuUsage, exit, memoryUsage } from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Cases, KINDS } from './kinds.ts';

const DEFAULT_CASES = 10_000;
/**
 * Cases take some milliseconds of the processor's time. None may take this long; nor this long by the clock, where it may be that
 * other programs have the computer.
 */
const HANG_CPU_MS = 60_000;
const HANG_MS = 15 * 60_000;
const WATCH_MS = 1000;
/** Cases between two reports. */
const PER_REPORT = 20;
/** What the host may hold on to, bytes, from the end of the first quarter to the end of the last. */
const GROWTH_LIMIT = 48 * 2 ** 20;
/** What the host may take at any time, bytes. */
const MEMORY_LIMIT = 1.5 * 2 ** 30;
const STACK_MB = 1;

interface Job {
  readonly kind: number;
  readonly first: number;
  readonly cases: number;
  /** The seed at work, for whoever watches. */
  readonly progress: Int32Array;
}
interface Report {
  readonly done: number;
  readonly ends: Readonly<Record<string, number>>;
  /** After a collection, and the most so far. */
  readonly memoryBytes: number;
  readonly mostBytes: number;
  /** The case that took longest. */
  readonly longest: { readonly seed: number; readonly milliseconds: number };
  readonly error?: string;
}

async function work({ kind, first, cases, progress }: Job): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const machine = KINDS[kind]?.make() as Cases;
  const ends: Record<string, number> = {};
  let longest = { seed: first, milliseconds: 0 };
  let mostBytes = 0;
  const used = (): number => {
    const { heapUsed, external, rss } = memoryUsage();
    // What V8 has compiled is outside of its heap; guest memory is in the resident set, all of it from the start.
    return Math.max(heapUsed + external, rss);
  };
  const report = (done: number, error?: string): void => {
    mostBytes = Math.max(mostBytes, used());
    collect();
    const message: Report = {
      done,
      ends,
      memoryBytes: used(),
      mostBytes,
      longest,
      ...(error !== undefined && { error }),
    };
    parentPort?.postMessage(message);
  };
  for (let done = 0; done < cases; done++) {
    const seed = first + done;
    try {
      if (done % PER_REPORT === 0) {
        machine.checkAll?.();
        report(done);
      }
      Atomics.store(progress, 0, seed);
      const started = performance.now();
      const end = await machine.run(seed);
      const milliseconds = performance.now() - started;
      if (milliseconds > longest.milliseconds) longest = { seed, milliseconds };
      ends[end] = (ends[end] ?? 0) + 1;
    } catch (error) {
      report(done, error instanceof Error ? (error.stack ?? error.message) : String(error));
      return;
    }
  }
  report(cases);
}

interface Outcome {
  readonly last: Report;
  readonly growth: number;
  /** The seed of the case that failed, and how. */
  readonly failure?: { readonly seed: number; readonly what: string };
}

/** Runs a job on a thread; answers its last report, how much memory grew, and what failed. */
function supervise(job: Omit<Job, 'progress'>): Promise<Outcome> {
  return new Promise((resolve) => {
    const progress = new Int32Array(new SharedArrayBuffer(4)).fill(job.first);
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { ...job, progress },
      resourceLimits: { stackSizeMb: STACK_MB },
    });
    const longest = { seed: job.first, milliseconds: 0 };
    let last: Report = { done: 0, ends: {}, memoryBytes: 0, mostBytes: 0, longest };
    let quarter: number | undefined;
    const cpu = (): number => {
      const { user, system } = cpuUsage();
      return (user + system) / 1000;
    };
    let [seen, since, sinceCpu] = [job.first, performance.now(), cpu()];
    const finish = (what?: string): void => {
      clearInterval(timer);
      void worker.terminate();
      const growth = quarter === undefined ? 0 : last.memoryBytes - quarter;
      resolve({ last, growth, ...(what !== undefined && { failure: { seed: Atomics.load(progress, 0), what } }) });
    };
    const timer = setInterval(() => {
      const seed = Atomics.load(progress, 0);
      if (seed !== seen) [seen, since, sinceCpu] = [seed, performance.now(), cpu()];
      else if (cpu() - sinceCpu > HANG_CPU_MS || performance.now() - since > HANG_MS) finish('hung');
    }, WATCH_MS);
    worker.on('error', (error) => finish(`ended its thread: ${error instanceof Error ? error.stack : String(error)}`));
    worker.on('message', (report: Report) => {
      last = report;
      if (report.done >= job.cases / 4) quarter ??= report.memoryBytes;
      if (report.error !== undefined) finish(`threw: ${report.error}`);
      else if (report.done === job.cases) finish();
    });
  });
}

const megabytes = (bytes: number): number => Math.round(bytes / 2 ** 20);

/** Runs a kind's share of cases and prints what came of them. Answers whether nothing is wrong. */
async function runKind(index: number, name: string, first: number, cases: number): Promise<boolean> {
  const started = performance.now();
  const { last, growth, failure } = await supervise({ kind: index, first, cases });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const ends = Object.entries(last.ends).map(([end, count]) => `${count} ${end}`);
  const { longest, memoryBytes, mostBytes } = last;
  console.log(`${name}: ${last.done} cases in ${seconds} s: ${ends.join(', ')}`);
  console.log(
    `  host memory ${megabytes(memoryBytes)} MB, growth ${megabytes(growth)} MB, at most ${megabytes(mostBytes)} MB; ` +
      `longest ${Math.round(longest.milliseconds)} ms (${longest.seed})`,
  );
  if (growth > GROWTH_LIMIT) console.log('  FAILED: the host holds on to memory');
  if (mostBytes > MEMORY_LIMIT) console.log('  FAILED: the host takes too much memory');
  if (failure !== undefined) {
    console.log(`  FAILED: case ${failure.seed} ${failure.what}`);
    const alone = await supervise({ kind: index, first: failure.seed, cases: 1 });
    console.log(
      `  case ${failure.seed} alone: ${alone.failure === undefined ? 'does not fail; the cases before it matter' : 'fails as well'}`,
    );
  }
  return failure === undefined && growth <= GROWTH_LIMIT && mostBytes <= MEMORY_LIMIT;
}

async function main(): Promise<number> {
  const cases = Number(argv[2] ?? DEFAULT_CASES);
  const seed = Number(argv[3] ?? 1);
  if (!(Number.isInteger(cases) && cases > 0 && Number.isInteger(seed))) {
    console.error('usage: npm run fuzz -- [CASES [SEED [KIND]]]');
    return 2;
  }
  const wanted = argv[4] ?? '';
  const chosen = [...KINDS.entries()].filter(([, { name }]) => name.includes(wanted));
  if (chosen.length === 0) {
    console.error(`no kind's name has "${wanted}"; there are:\n${KINDS.map(({ name }) => `  ${name}`).join('\n')}`);
    return 2;
  }
  let failures = 0;
  for (const [index, { name, share }] of chosen)
    if (!(await runKind(index, name, seed, Math.ceil(cases * share)))) failures++;
  return failures === 0 ? 0 : 1;
}

if (isMainThread) exit(await main());
else await work(workerData as Job);
