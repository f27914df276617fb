/** What a soak measures by the minute, and what that says about its memory. */

export interface Sample {
  /** Since the work began. */
  readonly minute: number;
  /** Resident memory of the host process, MB (10^6 bytes). */
  readonly residentMb: number;
  /** Pieces of work that the guest has done, and that went wrong. */
  readonly done: number;
  readonly wrong: number;
  /** Counters of the machine (`--stats`). */
  readonly stats: Readonly<Record<string, number>>;
}

export interface Verdict {
  readonly flat: boolean;
  /** Of the straight line through the last half, MB a minute. */
  readonly slope: number;
  /** One line for the reader. */
  readonly text: string;
}

/** Growth over the last half that counts as none, of the memory that there is. */
const FLAT = 0.02;

/** The slope of the least-squares line. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (index: 0 | 1): number => points.reduce((sum, point) => sum + point[index], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const spread = points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
  return spread === 0 ? 0 : points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) / spread;
}

/** Whether memory still grew in the last half. */
export function judge(samples: readonly Sample[]): Verdict {
  const last = samples.slice(Math.floor(samples.length / 2));
  const [first, end] = [last[0], last.at(-1)];
  if (first === undefined || end === undefined || last.length < 3)
    return { flat: false, slope: 0, text: 'too short to say anything' };
  const slope = slopeOf(last.map(({ minute, residentMb }) => [minute, residentMb]));
  const minutes = end.minute - first.minute;
  const mean = last.reduce((sum, { residentMb }) => sum + residentMb, 0) / last.length;
  const flat = slope * minutes < FLAT * mean;
  const wrong = end.wrong > 0 ? `; ${end.wrong} pieces of work went wrong` : '';
  const text =
    `${flat ? 'flat' : 'GROWING'}: ${slope.toFixed(2)} MB a minute over the last ${minutes.toFixed(0)} minutes, ` +
    `at ${mean.toFixed(0)} MB${wrong}`;
  return { flat, slope, text };
}

/** Counters that tell what translations and what they come from take. */
const isOfTranslation = (name: string): boolean =>
  /^(translat|evicted|dropped|code_page|link_cells|decoded|shadow_pages)/.test(name);

/** A table in Markdown, a row for each sample. */
export function tableOf(samples: readonly Sample[]): string {
  const last = samples.at(-1)?.stats ?? {};
  const names = Object.keys(last).filter(isOfTranslation);
  const large = (name: string): boolean => /memory|bytes/.test(name);
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const cell = (name: string, value: number | undefined): string =>
    value === undefined ? '' : large(name) ? (value / 1e6).toFixed(1) : String(value);
  return [
    row(['minute', 'resident MB', 'done', ...names.map((one) => (large(one) ? `${one} MB` : one))]),
    row(Array(3 + names.length).fill('---:')),
    ...samples.map(({ minute, residentMb, done, stats }) =>
      row([minute.toFixed(0), residentMb.toFixed(0), String(done), ...names.map((one) => cell(one, stats[one]))]),
    ),
    '',
  ].join('\n');
}
