/** The exits of one boot by cause, for each way to serve privileged instructions. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ourContender } from './contenders.ts';
import { BenchError } from './errors.ts';
import { commandLine, type Guest } from './guests.ts';
import { runMachine } from './runner.ts';
import { formatTable } from './table.ts';

export type Stats = Readonly<Record<string, number>>;

/** One column of counters. */
export interface ExitCounts {
  readonly accel: string;
  readonly stats: Stats;
}

/** Boots once with each accel, running `programs`, and answers the counters. */
export async function countExits(
  guest: Guest,
  folder: string,
  accels: readonly string[],
  programs: readonly string[],
  timeoutSeconds: number,
): Promise<ExitCounts[]> {
  const scratch = mkdtempSync(join(tmpdir(), 'powervisor-bench-'));
  try {
    const counts: ExitCounts[] = [];
    for (const accel of accels) {
      const file = join(scratch, `${accel}.json`);
      const contender = ourContender(guest, folder, accel, ['--stats', file]);
      const run = await runMachine(contender.command(commandLine(guest, programs)), timeoutSeconds);
      if (run.status !== 0)
        throw new BenchError(`the boot under ${accel} ended with ${run.status ?? run.signal}: ${run.stderr.trim()}`);
      counts.push({ accel, stats: readStats(file) });
    }
    return counts;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function readStats(file: string): Stats {
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
  const numbers = Object.entries(parsed ?? {}).filter(([, value]) => typeof value === 'number');
  return Object.fromEntries(numbers) as Stats;
}

/** Of all exits how many went on without user space, and looks at the clock that are no exits: no causes. */
const notCauses = ['sum_exits', 'light_exits', 'tick_exits'];
/** Page faults of servers, of data and of code: the reference's names do not end like the others'. */
const pageFaults = ['pf_storage', 'pf_instruc'];

const total = (name: string, counts: readonly ExitCounts[]): number =>
  counts.reduce((sum, { stats }) => sum + (stats[name] ?? 0), 0);

/** The names of counters that are not 0 everywhere, the most frequent first. */
function pick(counts: readonly ExitCounts[], wanted: (name: string) => boolean): string[] {
  const names = new Set(counts.flatMap(({ stats }) => Object.keys(stats)));
  return [...names]
    .filter((name) => wanted(name) && total(name, counts) > 0)
    .sort((a, b) => total(b, counts) - total(a, counts) || (a < b ? -1 : 1));
}

/** What is rarer than this in every column stands in one row together. */
const RARE = 5;

function section(
  title: string,
  names: readonly string[],
  label: (name: string) => string,
  counts: readonly ExitCounts[],
): string {
  const row = (text: string, some: readonly string[]): string[] => [
    text,
    ...counts.map(({ stats }) => String(some.reduce((sum, name) => sum + (stats[name] ?? 0), 0))),
  ];
  const rare = names.filter((name) => counts.every(({ stats }) => (stats[name] ?? 0) < RARE));
  const together = rare.length > 1 ? rare : [];
  const rows = names.filter((name) => !together.includes(name)).map((name) => row(label(name), [name]));
  if (together.length > 0) rows.push(row(`${rare.length} others`, rare));
  return formatTable([title, ...counts.map(({ accel }) => accel)], rows, true);
}

/** Tables in Markdown: exits by cause, hypercalls, emulated instructions and special registers, what the vector code served. */
export function formatExits(counts: readonly ExitCounts[]): string {
  const causes = pick(
    counts,
    (name) => (name.endsWith('_exits') && !notCauses.includes(name)) || pageFaults.includes(name),
  );
  const hypercalls = pick(counts, (name) => /^hcall_(?!exits)/.test(name));
  const isRegister = (name: string): boolean => /^emulated_m[ft]spr_/.test(name);
  const instructions = pick(
    counts,
    (name) => name.startsWith('emulated_') && !isRegister(name) && !/_(exits|accesses)$/.test(name),
  );
  const registers = pick(counts, isRegister);
  const served = pick(counts, (name) => name.startsWith('assisted_'));
  const plain = (name: string): string => name.replace('emulated_', '').replace(/^(m[ft]spr)_/, '$1 ');
  return [
    section('exits by cause', ['sum_exits', ...causes, 'instructions'], (name) => name, counts),
    ...(hypercalls.length > 0 ? [section('hypercalls', hypercalls, (name) => name.replace('hcall_', ''), counts)] : []),
    section('emulated instructions', instructions, plain, counts),
    section('emulated moves of special registers', registers, plain, counts),
    section('served without an exit', served, (name) => name.replace('assisted_', ''), counts),
  ].join('\n\n');
}

/** How many times fewer exits each accel has than the first. */
export function exitRatios(counts: readonly ExitCounts[]): { accel: string; ratio: number }[] {
  const [first, ...others] = counts;
  const sum = ({ stats }: ExitCounts): number => stats['sum_exits'] ?? Number.NaN;
  return first === undefined ? [] : others.map((one) => ({ accel: one.accel, ratio: sum(first) / sum(one) }));
}
