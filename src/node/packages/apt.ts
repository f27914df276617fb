/** What the system's apt is set up with: sources of packages, keys and proxies. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseParagraphs, words } from './control.ts';

/** One suite of one archive. */
export interface Source {
  /** Ends with '/'. */
  readonly uri: string;
  readonly suite: string;
  /** Files with keys, or keys in ASCII armour; empty: whatever keys the system trusts. */
  readonly signedBy: readonly string[];
  /** The configuration says that it need not be signed. */
  readonly trusted: boolean;
}

/** apt's options by name, such as "Acquire::http::Proxy"; empty where there is no apt. */
export type AptOptions = ReadonlyMap<string, string>;

export function readAptOptions(): AptOptions {
  const result = spawnSync('apt-config', ['dump'], { encoding: 'utf8' });
  const options = new Map<string, string>();
  for (const match of (result.stdout ?? '').matchAll(/^(\S+) "(.*)";$/gm)) options.set(match[1] ?? '', match[2] ?? '');
  return options;
}

/** A folder or file of apt's ("Dir::Etc::sourceparts"), where its options put it. */
export function aptPath(options: AptOptions, name: string, standard: string): string {
  const at = (key: string, other: string): string => options.get(key) ?? other;
  return resolve(at('Dir', '/'), at('Dir::Etc', 'etc/apt'), at(name, standard));
}

/** The sources of binary packages that apt has, in its order. */
export function readAptSources(options: AptOptions): Source[] {
  const texts: { name: string; text: string }[] = [];
  const add = (path: string): void => {
    try {
      texts.push({ name: path, text: readFileSync(path, 'utf8') });
    } catch {}
  };
  add(aptPath(options, 'Dir::Etc::sourcelist', 'sources.list'));
  const parts = aptPath(options, 'Dir::Etc::sourceparts', 'sources.list.d');
  for (const name of listFolder(parts)) if (/\.(list|sources)$/.test(name)) add(join(parts, name));
  return texts.flatMap(({ name, text }) => (name.endsWith('.sources') ? parseSources(text) : parseSourcesList(text)));
}

export function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

const withSlash = (uri: string): string => (uri.endsWith('/') ? uri : `${uri}/`);
const isYes = (text: string | undefined): boolean => /^(yes|true|1|on|enable|with)$/i.test(text ?? '');

/** The deb822 form: a paragraph a group of sources. What has no suites of ours (a flat one ends with '/') is left out. */
export function parseSources(text: string): Source[] {
  return parseParagraphs(text).flatMap((fields) => {
    if (!words(fields.get('types')).includes('deb') || /^(no|false|0|off)$/i.test(fields.get('enabled') ?? ''))
      return [];
    const key = fields.get('signed-by') ?? '';
    // A key in place has its lines indented, with '.' for an empty one.
    const signedBy = key.includes('BEGIN PGP') ? [key.replace(/^\.$/gm, '')] : key.split(/[\s,]+/).filter(Boolean);
    return words(fields.get('uris')).flatMap((uri) =>
      words(fields.get('suites'))
        .filter((suite) => !suite.endsWith('/') && words(fields.get('components')).includes('main'))
        .map((suite) => ({ uri: withSlash(uri), suite, signedBy, trusted: isYes(fields.get('trusted')) })),
    );
  });
}

/** The one-line form: "deb [options] URI SUITE COMPONENT...". */
export function parseSourcesList(text: string): Source[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (match === null) return [];
    const [, bracket = '', uri = '', suite = '', components = ''] = match;
    if (suite.endsWith('/') || !words(components).includes('main')) return [];
    const options = new Map(words(bracket).map((word) => word.split(/[+-]?=/, 2) as [string, string]));
    const signedBy = (options.get('signed-by') ?? '').split(',').filter(Boolean);
    return [{ uri: withSlash(uri), suite, signedBy, trusted: isYes(options.get('trusted')) }];
  });
}

/** apt's proxies as the environment variables that other programs take them from; apt's own come first. */
export function proxyEnvironment(options: AptOptions, environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const result: NodeJS.ProcessEnv = {};
  for (const scheme of ['http', 'https'] as const) {
    const own = options.get(`Acquire::${scheme}::Proxy`);
    const general = environment[`${scheme}_proxy`] ?? environment[`${scheme.toUpperCase()}_PROXY`];
    // For https apt falls back to what it has for http.
    const proxy = own || (scheme === 'https' && options.get('Acquire::http::Proxy')) || general;
    if (proxy && proxy !== 'DIRECT') result[`${scheme}_proxy`] = proxy;
  }
  const none = environment['no_proxy'] ?? environment['NO_PROXY'];
  if (none) result['no_proxy'] = none;
  return result;
}
