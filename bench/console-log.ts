/** Reads the console of a benchmark run: which line came when, and what it says. */
import { INT_CRC16, type Metric } from './guests.ts';

export interface TimedLine {
  /** Seconds since the process was started, on the host's clock. */
  readonly at: number;
  readonly text: string;
}

/** A moment on both clocks, in seconds. */
export interface Moment {
  readonly host: number;
  readonly guest: number;
}

export interface Figure {
  readonly value: number;
  readonly unit: 's' | 'ns/op';
  readonly sum?: string;
}

export interface ConsoleLog {
  linuxVersion?: number;
  /** The guest's clock here is /proc/uptime. */
  ready?: Moment;
  benchBegin?: number;
  benchEnd?: Moment;
  /** The first time stamp of the kernel that is not 0, and the last. */
  firstStamp?: Moment;
  lastStamp?: Moment;
  crc16?: string;
  errors?: number;
  /** By "program name", such as "bench-mem chase1M". */
  readonly figures: Map<string, Figure>;
}

/** Cuts a stream into lines, each timed when its end arrives. */
export class LineClock {
  readonly lines: TimedLine[] = [];
  #rest = '';

  add(text: string, at: number): void {
    const pieces = (this.#rest + text).split('\n');
    this.#rest = pieces.pop() ?? '';
    for (const piece of pieces) this.lines.push({ at, text: piece.replace(/\r+$/, '') });
  }

  /** The stream is over: what has no line end is a line too. */
  end(at: number): void {
    if (this.#rest !== '') this.add('\n', at);
  }
}

const stampPattern = /^\[ *(\d+\.\d+)\] /;
const secondsPattern = /^(bench-\w+) +(\S+) +(\d+\.\d+) s +sum=([0-9a-f]{8})$/;
const perOperationPattern = /^(bench-\w+) +(\S+) +n=\d+ +\d+\.\d+ s +(\d+\.\d+) ns\/op$/;

export function parseConsole(lines: readonly TimedLine[]): ConsoleLog {
  const log: ConsoleLog = { figures: new Map() };
  for (const { at, text } of lines) {
    const stamp = Number(stampPattern.exec(text)?.[1] ?? 0);
    if (stamp > 0) {
      log.firstStamp ??= { host: at, guest: stamp };
      log.lastStamp = { host: at, guest: stamp };
    }
    const timed = secondsPattern.exec(text);
    if (timed) log.figures.set(`${timed[1]} ${timed[2]}`, { value: Number(timed[3]), unit: 's', sum: timed[4] ?? '' });
    const counted = perOperationPattern.exec(text);
    if (counted) log.figures.set(`${counted[1]} ${counted[2]}`, { value: Number(counted[3]), unit: 'ns/op' });
    parseMark(log, at, text);
  }
  return log;
}

/** The lines that mark the run's progress. */
function parseMark(log: ConsoleLog, at: number, text: string): void {
  if (log.linuxVersion === undefined && text.includes('Linux version ')) log.linuxVersion = at;
  else if (text.startsWith('BENCH-BEGIN ')) log.benchBegin = at;
  const ready = /^GUEST-READY \S+ (\d+\.\d+)$/.exec(text);
  if (ready) log.ready = { host: at, guest: Number(ready[1]) };
  const end = /^BENCH-END (\d+\.\d+)$/.exec(text);
  if (end) log.benchEnd = { host: at, guest: Number(end[1]) };
  const crc16 = /^bench-int iterations=\d+ crc16=(\S+)$/.exec(text)?.[1];
  if (crc16 !== undefined) log.crc16 = crc16;
  const errors = /^bench-sys errors=(\d+)$/.exec(text)?.[1];
  if (errors !== undefined) log.errors = Number(errors);
}

/** What a complete run of these programs does not have, or has wrong; empty when it is as it must be. */
export function findProblems(log: ConsoleLog, metrics: readonly Metric[], programs: readonly string[]): string[] {
  const problems: string[] = [];
  if (log.linuxVersion === undefined) problems.push("the kernel's first line is missing");
  if (log.ready === undefined) problems.push('GUEST-READY is missing');
  if (programs.length === 0) return problems;
  if (log.benchBegin === undefined) problems.push('BENCH-BEGIN is missing');
  if (log.benchEnd === undefined) problems.push('BENCH-END is missing');
  for (const { name, unit, program, sum } of metrics) {
    if (program === undefined || !programs.includes(program)) continue;
    const figure = log.figures.get(name);
    if (figure === undefined) problems.push(`${name} is missing`);
    else if (figure.unit !== unit) problems.push(`${name} is in ${figure.unit}, not ${unit}`);
    else if (figure.sum !== sum) problems.push(`${name}: the checksum is ${figure.sum}, not ${sum}`);
  }
  if (programs.includes('bench-int') && log.crc16 !== INT_CRC16)
    problems.push(`bench-int: the crc16 is ${log.crc16 ?? 'missing'}, not ${INT_CRC16}`);
  if (programs.includes('bench-sys') && log.errors !== 0)
    problems.push(`bench-sys: errors is ${log.errors ?? 'missing'}, not 0`);
  return problems;
}

/** How fast the guest's clock runs: guest seconds in one host second. */
export interface ClockRate {
  /** By /proc/uptime (steps of 10 ms), from GUEST-READY to BENCH-END. */
  readonly uptime?: number;
  /** By the kernel's time stamps, from the first to the last. */
  readonly printk?: number;
}

export function clockRate(log: ConsoleLog): ClockRate {
  const uptime = rate(log.ready, log.benchEnd);
  const printk = rate(log.firstStamp, log.lastStamp);
  return { ...(uptime !== undefined && { uptime }), ...(printk !== undefined && { printk }) };
}

function rate(from: Moment | undefined, to: Moment | undefined): number | undefined {
  if (from === undefined || to === undefined || to.host <= from.host) return undefined;
  return (to.guest - from.guest) / (to.host - from.host);
}
