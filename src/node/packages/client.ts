/**
 * A small client of Debian's archives: finds packages of any architecture by name and fetches them. Release files are
 * checked by signature, the indexes by the sums in there, the packages by the sums in the indexes.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HttpClient } from '../http-client.ts';
import { type AptOptions, proxyEnvironment, readAptOptions, readAptSources, type Source } from './apt.ts';
import { decompress, readBytes } from './archive.ts';
import { type Paragraph, parseParagraphs, words } from './control.ts';
import { download, fetchText } from './download.ts';
import { PackageError } from './error.ts';
import type { Reporter } from './progress.ts';
import { checkSignature } from './signature.ts';
import { compareVersions } from './version.ts';

export interface ClientOptions {
  readonly architecture: string;
  /** "URL" or "URL SUITE", in place of what apt has. */
  readonly mirror?: string | undefined;
  /** The folder of the cache. */
  readonly cache: string;
  readonly reporter: Reporter;
  /** apt's options; those of the system, if left out. */
  readonly apt?: AptOptions;
  readonly environment?: NodeJS.ProcessEnv;
}

/** One version of a package. */
export interface Package {
  readonly name: string;
  readonly version: string;
  readonly fields: Paragraph;
  readonly source: Source;
}

interface Index {
  readonly source: Source;
  readonly text: Buffer;
}

/** As good as any: xz is the smallest, and each archive has gz. */
const endings = ['.xz', '.gz', ''];
/** The suite of a mirror that is named without one. */
const DEFAULT_SUITE = 'stable';
const HOW_TO_NAME_ONE =
  "name a mirror of Debian with --mirror 'URL [SUITE]', or in the environment as POWERVISOR_MIRROR";

export class PackageClient {
  readonly #options: ClientOptions;
  readonly #http: HttpClient;
  readonly #indexes: Index[] = [];
  #providers: ReadonlyMap<string, readonly string[]> | undefined;

  private constructor(options: ClientOptions, http: HttpClient) {
    this.#options = options;
    this.#http = http;
  }

  /** Fetches the indexes. @throws PackageError */
  static async open(options: ClientOptions): Promise<PackageClient> {
    const apt = options.apt ?? readAptOptions();
    const sources = options.mirror === undefined ? readAptSources(apt) : [mirrorSource(options.mirror)];
    if (sources.length === 0) throw new PackageError(`apt has no mirror here; ${HOW_TO_NAME_ONE}`);
    const http = new HttpClient({
      proxies: proxyEnvironment(apt, options.environment ?? process.env),
      fail: (message) => new PackageError(message),
    });
    const client = new PackageClient(options, http);
    const problems: string[] = [];
    for (const source of sources) {
      try {
        await client.#openSource(source, apt);
      } catch (error) {
        if (!(error instanceof PackageError)) throw error;
        problems.push(error.message);
      }
    }
    if (client.#indexes.length > 0) {
      for (const problem of problems) options.reporter.say(`leaving out a source: ${problem}`);
      return client;
    }
    client.close();
    throw new PackageError(
      problems[0] ?? `no source of apt has packages for ${options.architecture}; ${HOW_TO_NAME_ONE}`,
    );
  }

  async #openSource(source: Source, apt: AptOptions): Promise<void> {
    const { architecture, cache, reporter } = this.#options;
    const suite = `${source.uri}dists/${source.suite}/`;
    const message = await fetchText(`${suite}InRelease`, this.#http);
    if (message === undefined) throw new PackageError(`${suite}InRelease is not there`);
    const { text, unchecked } = checkSignature(message, source, apt);
    const [release] = parseParagraphs(text);
    if (release === undefined) throw new PackageError(`${suite}InRelease is not a Release file`);
    // Suites such as backports are for who asks for them.
    if (release.get('notautomatic') === 'yes' || !words(release.get('architectures')).includes(architecture)) return;
    if (unchecked !== undefined) reporter.say(`the signature of ${source.suite} was not checked: ${unchecked}`);
    const sums = releaseSums(release);
    const folder = `main/binary-${architecture}/`;
    const ending = endings.find((one) => sums.has(`${folder}Packages${one}`));
    const sum = sums.get(`${folder}Packages${ending}`);
    if (ending === undefined || sum === undefined) return;
    const plain = `${suite}${folder}Packages${ending}`;
    const byHash = `${suite}${folder}by-hash/SHA256/${sum.sha256}`;
    const path = join(cache, `${plain.replace(/^\w+:\/+/, '').replace(/[^\w.+-]+/g, '_')}`);
    const urls = release.get('acquire-by-hash') === 'yes' ? [byHash, plain] : [plain];
    await download(path, { ...sum, urls, title: `index of ${source.suite} for ${architecture}` }, this.#http, reporter);
    const bytes = await readBytes(decompress(path, readFileSync(path)));
    this.#indexes.push({ source, text: Buffer.from(bytes.buffer) });
  }

  /** The newest version of a package, or the one that is named; undefined when there is none. */
  lookUp(name: string, version?: string): Package | undefined {
    return this.#indexes
      .flatMap(({ source, text }) => paragraphsOf(text, name).map((fields) => ({ source, fields })))
      .map((one) => ({ ...one, name, version: one.fields.get('version') ?? '' }))
      .filter((one) => version === undefined || one.version === version)
      .toSorted((a, b) => compareVersions(b.version, a.version))[0];
  }

  /** The names of the packages that provide a virtual one, in the order of the indexes. */
  providersOf(name: string): readonly string[] {
    this.#providers ??= providersIn(this.#indexes.map(({ text }) => text));
    return this.#providers.get(name) ?? [];
  }

  /** As lookUp. @throws PackageError when there is none. */
  find(name: string, version?: string): Package {
    const found = this.lookUp(name, version);
    if (found !== undefined) return found;
    const wanted = version === undefined ? name : `${name} ${version}`;
    const suites = this.#indexes.map(({ source }) => `${source.uri} ${source.suite}`).join(', ');
    throw new PackageError(
      `there is no package ${wanted} for ${this.#options.architecture} in ${suites}; ${HOW_TO_NAME_ONE}`,
    );
  }

  /** The package that `from` depends on whose name matches, in the version that it asks for. @throws PackageError */
  dependency(from: Package, pattern: RegExp): Package {
    for (const one of (from.fields.get('depends') ?? '').split(/[,|]/)) {
      const match = /^\s*([a-z0-9+.-]+)(?::\w+)?\s*(?:\(\s*=\s*(\S+?)\s*\))?/.exec(one);
      const name = match?.[1];
      if (name !== undefined && pattern.test(name)) return this.find(name, match?.[2]);
    }
    throw new PackageError(`the package ${from.name} depends on no ${pattern.source}`);
  }

  /** The path of the package's file, out of the cache or fetched. @throws PackageError */
  async fetch({ name, version, fields, source }: Package): Promise<string> {
    const { architecture, cache, reporter } = this.#options;
    const [file, sha256, size] = ['filename', 'sha256', 'size'].map((field) => fields.get(field) ?? '');
    if (!file || !/^[0-9a-f]{64}$/.test(sha256 ?? '') || !/^\d+$/.test(size ?? ''))
      throw new PackageError(`the index has no file, size or SHA-256 for ${name}`);
    const path = join(cache, `${name}_${architecture}.deb`);
    const urls = [new URL(file.replace(/^\/+/, ''), source.uri).href];
    await download(
      path,
      { urls, size: Number(size), sha256: sha256 ?? '', title: `${name} ${version}` },
      this.#http,
      reporter,
    );
    return path;
  }

  close(): void {
    this.#http.close();
  }
}

function mirrorSource(mirror: string): Source {
  const [uri = '', suite = DEFAULT_SUITE, ...rest] = words(mirror);
  if (rest.length > 0 || !/^(https?|file):\/\/./.test(uri) || !URL.canParse(uri))
    throw new PackageError(
      `'${mirror}' is not a mirror; a URL fits, and after a space the suite, if it is not ${DEFAULT_SUITE}`,
    );
  return { uri: uri.endsWith('/') ? uri : `${uri}/`, suite, signedBy: [], trusted: false };
}

/** Sizes and sums of a Release file by path. */
function releaseSums(release: Paragraph): Map<string, { size: number; sha256: string }> {
  const lines = (release.get('sha256') ?? '').split('\n').map(words);
  return new Map(lines.map(([sha256 = '', size, path = '']) => [path, { size: Number(size), sha256 }]));
}

/** Who provides what: packages by the names of virtual ones. */
function providersIn(indexes: readonly Buffer[]): Map<string, string[]> {
  const providers = new Map<string, string[]>();
  for (const index of indexes)
    for (const { names, provider } of providesLines(index))
      for (const name of names) {
        const known = providers.get(name) ?? [];
        if (!known.includes(provider)) providers.set(name, [...known, provider]);
      }
  return providers;
}

/** The fields "Provides" of an index. */
function* providesLines(index: Buffer): Generator<{ names: string[]; provider: string }> {
  const field = '\nProvides: ';
  for (let at = index.indexOf(field); at >= 0; at = index.indexOf(field, at + 1)) {
    const begin = index.lastIndexOf('\n\n', at);
    const [paragraph] = parseParagraphs(index.toString('utf8', Math.max(begin, 0), index.indexOf('\n', at + 1)));
    const provider = paragraph?.get('package');
    const names = (paragraph?.get('provides') ?? '').split(',').map((one) => words(one)[0] ?? '');
    if (provider !== undefined) yield { names, provider };
  }
}

/** The paragraphs of an index for a package; to parse tens of thousands of others would take seconds. */
function paragraphsOf(index: Buffer, name: string): Paragraph[] {
  const found: Paragraph[] = [];
  const line = `Package: ${name}\n`;
  for (let at = index.indexOf(line); at >= 0; at = index.indexOf(line, at + line.length)) {
    if (at > 0 && index[at - 1] !== 0x0a) continue;
    const before = at === 0 ? -1 : index.lastIndexOf('\n\n', at - 1);
    const end = index.indexOf('\n\n', at);
    const [paragraph] = parseParagraphs(index.toString('utf8', before < 0 ? 0 : before, end < 0 ? index.length : end));
    if (paragraph !== undefined) found.push(paragraph);
  }
  return found;
}
