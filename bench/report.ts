/** Sums up a race: medians, ratios and clocks, as data for JSON and as a table for people. */
import type { Metric } from './guests.ts';
import type { Sample } from './race.ts';
import { type Summary, summarize } from './statistics.ts';
import { figure, formatTable } from './table.ts';

export interface Comparison extends Summary {
  /** Median of the reference / median of this one: above 1 is faster. */
  readonly ratio: number;
}

export interface MetricReport {
  readonly name: string;
  readonly unit: string;
  readonly goal?: number;
  readonly reference: Summary;
  /** By contender. */
  readonly ours: Readonly<Record<string, Comparison>>;
}

export interface ClockReport {
  readonly uptime?: Summary;
  readonly printk?: Summary;
}

export interface Report {
  readonly metrics: readonly MetricReport[];
  /** Guest seconds in one host second, by contender. */
  readonly clocks: Readonly<Record<string, ClockReport>>;
}

/** `names` are the contenders; the first is the reference. */
export function makeReport(names: readonly string[], metrics: readonly Metric[], samples: readonly Sample[]): Report {
  const [reference = '', ...ours] = names;
  const of = (name: string): Sample[] => samples.filter(({ contender }) => contender === name);
  const summaryOf = (name: string, metric: string): Summary | undefined =>
    summarize(of(name).flatMap(({ figures }) => figures[metric] ?? []));
  const reports: MetricReport[] = [];
  for (const { name, unit, goal } of metrics) {
    const base = summaryOf(reference, name);
    if (base === undefined) continue;
    const comparisons: Record<string, Comparison> = {};
    for (const contender of ours) {
      const summary = summaryOf(contender, name);
      if (summary !== undefined) comparisons[contender] = { ...summary, ratio: base.median / summary.median };
    }
    reports.push({ name, unit, ...(goal !== undefined && { goal }), reference: base, ours: comparisons });
  }
  const clocks: Record<string, ClockReport> = {};
  for (const name of names) {
    const uptime = summarize(of(name).flatMap(({ clock }) => clock.uptime ?? []));
    const printk = summarize(of(name).flatMap(({ clock }) => clock.printk ?? []));
    clocks[name] = { ...(uptime && { uptime }), ...(printk && { printk }) };
  }
  return { metrics: reports, clocks };
}

/** "median (min–max)", or the one value that there is. */
function spread({ median, min, max, count }: Summary, format: (value: number) => string): string {
  return count === 1 ? format(median) : `${format(median)} (${format(min)}–${format(max)})`;
}

/** How a ratio stands to what we want of it. */
export function verdict(ratio: number | undefined, goal: number | undefined): string {
  if (goal === undefined || ratio === undefined) return '';
  return `${goal} ${ratio >= goal ? 'met' : 'SHORT'}`;
}

/** The table of figures. `judged` is the contender that the goals are for, if any. */
export function formatReport(names: readonly string[], report: Report, judged?: string, markdown = false): string {
  const [reference = '', ...ours] = names;
  const header = ['', 'unit', reference, ...ours.flatMap((name) => [name, 'ratio'])];
  if (judged !== undefined) header.push('goal');
  const rows = report.metrics.map((metric) => {
    const cells = ours.flatMap((name) => {
      const one = metric.ours[name];
      return one === undefined ? ['-', '-'] : [spread(one, figure), one.ratio.toFixed(2)];
    });
    const goal = judged === undefined ? [] : [verdict(metric.ours[judged]?.ratio, metric.goal)];
    return [metric.name, metric.unit, spread(metric.reference, figure), ...cells, ...goal];
  });
  return formatTable(header, rows, markdown);
}

const rate = (summary: Summary | undefined): string =>
  summary === undefined ? '-' : spread(summary, (value) => value.toFixed(4));

export function formatClocks(report: Report, markdown = false): string {
  const rows = Object.entries(report.clocks).map(([name, { uptime, printk }]) => [name, rate(uptime), rate(printk)]);
  return formatTable(['guest seconds per host second', '/proc/uptime', 'printk'], rows, markdown);
}

/** Medians of processor seconds by thread, a line for each contender and thread. */
export function formatThreads(names: readonly string[], samples: readonly Sample[], markdown?: boolean): string {
  const rows = names.flatMap((name) => {
    const runs = samples.filter(({ contender }) => contender === name).map(({ threads = {} }) => threads);
    const threads = [...new Set(runs.flatMap((one) => Object.keys(one)))];
    return threads
      .map((thread) => ({ thread, summary: summarize(runs.map((one) => one[thread] ?? 0)) }))
      .filter(({ summary }) => summary !== undefined && summary.median > 0)
      .map(({ thread, summary }) => [name, thread, figure(summary?.median ?? 0)]);
  });
  return formatTable(['contender', 'thread', 'processor seconds'], rows, markdown);
}
