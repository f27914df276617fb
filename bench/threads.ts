/** Processor time of a process by its threads' names, sampled while it runs (Linux). */
import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts processor time for programs in hundredths of a second on every architecture that Node runs on. */
export const TICKS_PER_SECOND = 100;
const SAMPLE_MS = 50;

/** Name and ticks of a `stat` file of /proc: the name, which may have anything in it, stands in brackets. */
export function parseStat(text: string): { readonly name: string; readonly ticks: number } {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ');
  return { name: text.slice(open + 1, close), ticks: Number(fields[11]) + Number(fields[12]) };
}

/** Watches a process. */
export class ThreadClock {
  readonly #folder: string;
  readonly #timer: NodeJS.Timeout;
  readonly #threads = new Map<string, { readonly name: string; readonly ticks: number }>();

  constructor(pid: number) {
    this.#folder = `/proc/${pid}/task`;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  #sample(): void {
    try {
      for (const id of readdirSync(this.#folder))
        this.#threads.set(id, parseStat(readFileSync(`${this.#folder}/${id}/stat`, 'latin1')));
    } catch {
      // It has ended, or a thread of it has; or there is no /proc.
    }
  }

  /** Seconds by name, of threads of one name together; what a thread did since the last look at it is missing. */
  end(): Record<string, number> {
    clearInterval(this.#timer);
    const seconds: Record<string, number> = {};
    for (const { name, ticks } of this.#threads.values())
      seconds[name] = (seconds[name] ?? 0) + ticks / TICKS_PER_SECOND;
    return seconds;
  }
}
