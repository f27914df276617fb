/** Requests for files: http, https and file, redirects, proxies, and a time limit on silence. */
import { createReadStream, statSync } from 'node:fs';
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';

const SILENCE_MS = 60_000;
const MAX_REDIRECTS = 8;

export interface Answer {
  /** 200, or 206 when it begins at the offset that was asked for; others are for the caller to tell. */
  readonly status: number;
  /** Empty of a file. */
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

export interface HttpOptions {
  /** Environment variables: http_proxy, https_proxy, no_proxy. */
  readonly proxies: NodeJS.ProcessEnv;
  /** What is thrown. */
  readonly fail: (message: string) => Error;
}

export class HttpClient {
  readonly #agents: { readonly http: http.Agent; readonly https: https.Agent };
  readonly #fail: (message: string) => Error;
  #knowsSystemKeys = false;

  constructor({ proxies, fail }: HttpOptions) {
    this.#fail = fail;
    // Not the global fetch: its proxies must allow tunnels even for http, which those made for packages do not.
    this.#agents = {
      http: new http.Agent({ proxyEnv: proxies }),
      https: new https.Agent({ proxyEnv: proxies }),
    };
  }

  /** The file from `offset` on. What `headers` say of who asks only the first server hears. Fails when no server answers. */
  async get(url: string, offset = 0, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    let at = new URL(url);
    if (at.protocol === 'file:') return readFile(at, offset);
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const { authorization: _, ...others } = headers;
      const response = await this.#request(at, offset, at.origin === new URL(url).origin ? headers : others);
      const { statusCode: status = 0 } = response;
      const { location } = response.headers;
      if (status < 300 || status >= 400 || location === undefined)
        return { status, headers: response.headers, body: response };
      response.destroy();
      const next = new URL(location, at);
      if (!/^https?:$/.test(next.protocol) || (at.protocol === 'https:' && next.protocol === 'http:'))
        throw this.#fail(`${url}: refusing the redirect to ${next.origin}`);
      at = next;
    }
    throw this.#fail(`${url}: too many redirects`);
  }

  #request(url: URL, offset: number, given: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw this.#fail(`${url}: '${url.protocol}' is not supported; http, https and file are`);
    const secure = url.protocol === 'https:';
    if (secure) this.#trustSystem();
    const headers = { 'user-agent': 'powervisor', ...given, ...(offset > 0 && { range: `bytes=${offset}-` }) };
    return new Promise((resolve, reject) => {
      const request = (secure ? https : http).get(url, { agent: this.#agents[secure ? 'https' : 'http'], headers });
      request.setTimeout(SILENCE_MS, () => request.destroy(new Error(`silent for ${SILENCE_MS / 1000} s`)));
      request.on('response', resolve).on('error', reject);
    });
  }

  /** Certificates of the system's administrator count as they do for apt. */
  #trustSystem(): void {
    if (this.#knowsSystemKeys) return;
    this.#knowsSystemKeys = true;
    setDefaultCACertificates([...getCACertificates('default'), ...getCACertificates('system')]);
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }
}

function readFile(url: URL, offset: number): Answer {
  const path = fileURLToPath(url);
  const status = statSync(path, { throwIfNoEntry: false });
  if (!status?.isFile()) return { status: 404, headers: {}, body: createReadStream('/dev/null') };
  const whole = offset === 0 || offset > status.size;
  return { status: whole ? 200 : 206, headers: {}, body: createReadStream(path, { start: whole ? 0 : offset }) };
}
