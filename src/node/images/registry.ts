/** Images out of registries (OCI distribution specification 1.1, and Docker's tokens, "Token Authentication Specification"). */
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { MachineError } from '../../machine/index.ts';
import { type Answer, HttpClient } from '../http-client.ts';
import { type ImageContents, MANIFEST_TYPES, MOST_JSON, parseJson, resolveImage } from './oci.ts';
import type { Reference } from './reference.ts';
import { keep, keepWhole, rememberDigest, rememberedDigest } from './store.ts';

/** All of a short answer. */
async function bytesOf(body: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MOST_JSON) throw new MachineError('the answer is too long');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** What `WWW-Authenticate: Bearer` asks for. */
function challengeOf(header: string | undefined): Map<string, string> | undefined {
  if (header === undefined || !/^bearer /i.test(header)) return undefined;
  return new Map([...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]));
}

/** Docker's rule too: what is on this computer needs no TLS. */
const schemeOf = (registry: string): string =>
  /^(localhost|127\.\d+\.\d+\.\d+)(:|$)/.test(registry) ? 'http' : 'https';

class Registry {
  readonly #http: HttpClient;
  readonly #base: string;
  readonly name: string;
  #authorization: string | undefined;

  constructor({ registry, repository, version }: Reference, http: HttpClient) {
    this.#http = http;
    this.#base = `${schemeOf(registry)}://${registry}/v2/${repository}`;
    this.name = `${registry}/${repository}${version.includes(':') ? '@' : ':'}${version}`;
  }

  async #get(path: string, accept: string): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#http.get(`${this.#base}/${path}`, 0, {
        accept,
        ...(this.#authorization && { authorization: this.#authorization }),
      });
      if (answer.status === 200) return answer;
      answer.body.destroy();
      if (answer.status === 401 && attempt === 0) {
        await this.#authorize(answer.headers['www-authenticate']);
        continue;
      }
      const why =
        answer.status === 404 || answer.status === 401 || answer.status === 403
          ? 'the registry has no such image, or not for everybody'
          : `the registry answers with status ${answer.status}`;
      throw new MachineError(`${this.name}: ${why}`);
    }
  }

  /** A token as it is given to everybody. */
  async #authorize(header: string | undefined): Promise<void> {
    const challenge = challengeOf(header);
    const realm = challenge?.get('realm') ?? '';
    if (!challenge || !URL.canParse(realm))
      throw new MachineError(`${this.name}: the registry wants to know who asks, in a way that is not known`);
    const url = new URL(realm);
    for (const name of ['service', 'scope']) {
      const value = challenge.get(name);
      if (value !== undefined) url.searchParams.set(name, value);
    }
    const answer = await this.#http.get(url.href);
    const token = answer.status === 200 ? parseJson(await bytesOf(answer.body), 'the token') : {};
    const text = token['token'] ?? token['access_token'];
    if (typeof text !== 'string')
      throw new MachineError(`${this.name}: the registry gives no token (${answer.status})`);
    this.#authorization = `Bearer ${text}`;
  }

  async manifest(version: string): Promise<Buffer> {
    return bytesOf((await this.#get(`manifests/${version}`, MANIFEST_TYPES.join(', '))).body);
  }

  async open(digest: string): Promise<Readable> {
    try {
      return (await this.#get(`blobs/${digest}`, '*/*')).body;
    } catch (error) {
      // A manifest out of an index is a blob of the image, and registries have it in the other place.
      if (!(error instanceof MachineError)) throw error;
      return (await this.#get(`manifests/${digest}`, MANIFEST_TYPES.join(', '))).body;
    }
  }
}

/**
 * Fetches what of an image is not in the cache. What a tag stands for is asked once, and again to `refresh` it.
 * @throws MachineError of one line
 */
export async function fetchImage(
  reference: Reference,
  architecture: string,
  { refresh = false }: { readonly refresh?: boolean | undefined } = {},
): Promise<ImageContents> {
  const http = new HttpClient({ proxies: process.env, fail: (message) => new MachineError(message) });
  try {
    const registry = new Registry(reference, http);
    const { version } = reference;
    const known = version.startsWith('sha256:') ? version : refresh ? undefined : rememberedDigest(registry.name);
    const digest = known ?? (await keepWhole(await registry.manifest(version)));
    const top = await readFile(await keep(digest, MOST_JSON, () => registry.open(digest)));
    const contents = await resolveImage(registry, parseJson(top, `${registry.name}: the manifest`), architecture);
    if (known === undefined) rememberDigest(registry.name, digest);
    return contents;
  } catch (error) {
    if (error instanceof MachineError) throw error;
    throw new MachineError(`${reference.registry}: ${(error as Error).message}`);
  } finally {
    http.close();
  }
}
