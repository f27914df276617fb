/**
 * The database of dpkg for packages that were unpacked without it: `dpkg --configure -a` goes on from there. Formats: dpkg's
 * own files in /var/lib/dpkg (dpkg(1), deb-control(5), deb-triggers(5)).
 */
import { createHash } from 'node:crypto';
import { readEntries } from '../../src/node/packages/archive.ts';
import { type Entry, file } from '../../src/node/run/cpio.ts';

const FOLDER = 'var/lib/dpkg';
/** What dpkg keeps of a package's control files besides the paragraph itself. */
const KEPT = [
  'preinst',
  'postinst',
  'prerm',
  'postrm',
  'config',
  'templates',
  'conffiles',
  'md5sums',
  'shlibs',
  'symbols',
  'triggers',
];
const PROGRAMS = ['preinst', 'postinst', 'prerm', 'postrm', 'config'];

export class DpkgDatabase {
  readonly #status: string[] = [];
  readonly #entries: Entry[] = [];
  /** Who is interested, by the name of the trigger. */
  readonly #triggers = new Map<string, string[]>();

  /** A package that is unpacked as it is. */
  async add(deb: Uint8Array): Promise<void> {
    const control = new Map<string, Uint8Array>();
    for await (const { path, type, data } of readEntries(deb, 'control.tar'))
      if (type === 'file') control.set(path, data);
    const text = (name: string): string => Buffer.from(control.get(name) ?? []).toString();
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(text('control'))?.[1]?.trim() ?? '';
    const name = field('Package');
    const stem = field('Multi-Arch') === 'same' ? `${name}:${field('Architecture')}` : name;
    const conffiles = text('conffiles')
      .split('\n')
      .filter((line) => line.startsWith('/'));
    const sums = new Map<string, string>();
    const list = ['/.'];
    for await (const { path, type, data } of readEntries(deb)) {
      if (path !== '') list.push(`/${path}`);
      if (type === 'file' && conffiles.includes(`/${path}`))
        sums.set(`/${path}`, createHash('md5').update(data).digest('hex'));
    }
    const lines = text('control').trimEnd().split('\n');
    // Behind the name, where dpkg has it.
    lines.splice(1, 0, 'Status: install ok unpacked');
    if (sums.size > 0) lines.push('Conffiles:', ...[...sums].map(([path, sum]) => ` ${path} ${sum}`));
    this.#status.push(`${lines.join('\n')}\n`);
    this.#put(`info/${stem}.list`, `${list.join('\n')}\n`);
    for (const one of KEPT) {
      const data = control.get(one);
      if (data) this.#entries.push(file(`${FOLDER}/info/${stem}.${one}`, data, PROGRAMS.includes(one) ? 0o755 : 0o644));
    }
    for (const line of text('triggers').split('\n')) {
      const [, noawait, trigger] = /^\s*interest(-noawait|-await)?\s+(\S+)/.exec(line) ?? [];
      if (trigger === undefined) continue;
      const who = noawait === '-noawait' ? `${stem}/noawait` : stem;
      this.#triggers.set(trigger, [...(this.#triggers.get(trigger) ?? []), who]);
    }
  }

  /** All files of the database. */
  entries(): Entry[] {
    this.#put('status', this.#status.join('\n'));
    this.#put('info/format', '1\n');
    for (const name of ['available', 'diversions', 'statoverride', 'triggers/Lock', 'triggers/Unincorp', 'lock'])
      this.#put(name, '');
    const paths: string[] = [];
    for (const [trigger, who] of this.#triggers)
      if (trigger.startsWith('/')) paths.push(...who.map((one) => `${trigger} ${one}\n`));
      else this.#put(`triggers/${trigger}`, who.map((one) => `${one}\n`).join(''));
    this.#put('triggers/File', paths.join(''));
    return this.#entries;
  }

  #put(path: string, text: string): void {
    this.#entries.push(file(`${FOLDER}/${path}`, Buffer.from(text)));
  }
}
