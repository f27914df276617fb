/** Chromium without a screen, and a server for its page: what the page posts to /result is the answer. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];
const FLAGS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};
/** What isolates a page: it may then send shared memory to workers. */
const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** The browser's program; undefined: there is none. */
export function findBrowser(): string | undefined {
  return PROGRAMS.find((program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0);
}

export interface PageOptions {
  readonly isolated: boolean;
  /** Folders by the first part of an address; '' is where all other addresses lead. */
  readonly folders: Readonly<Record<string, string>>;
  /** Bare module names to addresses. */
  readonly imports: Readonly<Record<string, string>>;
  /** The page's script, a module. It leaves its result in `result`. */
  readonly script: string;
  /** Where the names of the files that were asked for are put. */
  readonly asked?: Set<string>;
}

const page = ({ imports, script }: PageOptions): string => `<!doctype html>
<meta charset="utf-8"><title>test</title><body>
<script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module">
let result;
try {
  ${script}
} catch (error) {
  result = { error: String(error), stack: error?.stack };
}
await fetch('/result', { method: 'POST', body: JSON.stringify(result ?? null) });
</script>`;

async function answer(options: PageOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, first = '', ...rest] = normalize(new URL(request.url ?? '/', 'http://host').pathname).split('/');
  options.asked?.add(rest.at(-1) ?? first);
  const headers = options.isolated ? ISOLATION : {};
  const folder = options.folders[first];
  const path = folder === undefined ? [options.folders[''] ?? '/nowhere', first, ...rest] : [folder, ...rest];
  try {
    const body = first === '' ? page(options) : await readFile(join(...path));
    const type = TYPES[first === '' ? '.html' : extname(path.at(-1) ?? '')] ?? 'application/octet-stream';
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (from !== undefined && typeof body !== 'string') {
      const part = body.subarray(Number(from), Number(to) + 1);
      const range = `bytes ${from}-${Number(from) + part.length - 1}/${body.length}`;
      response.writeHead(206, { ...headers, 'Content-Type': type, 'Content-Range': range }).end(part);
    } else response.writeHead(200, { ...headers, 'Content-Type': type }).end(body);
  } catch {
    response.writeHead(404, headers).end();
  }
}

/** Opens a page and answers what it posts. @throws when the browser ends without a result. */
export async function openPage(browser: string, options: PageOptions): Promise<unknown> {
  const profile = mkdtempSync(join(tmpdir(), 'powervisor-browser-'));
  let posted = (_result: string): void => {};
  const result = new Promise<string>((resolve) => {
    posted = resolve;
  });
  const server = createServer((request, response) => {
    if (request.method !== 'POST') return void answer(options, request, response);
    let body = '';
    request.setEncoding('utf8').on('data', (text) => (body += text));
    request.on('end', () => {
      response.end();
      posted(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const child = spawn(browser, [...FLAGS, `--user-data-dir=${profile}`, address], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (errors = (errors + text).slice(-4000)));
  const ended = new Promise<never>((_, reject) => {
    child.on('error', reject);
    child.on('close', (status) => reject(new Error(`${browser} ended with ${status}: ${errors}`)));
  });
  try {
    return JSON.parse(await Promise.race([result, ended])) as unknown;
  } finally {
    ended.catch(() => {});
    try {
      // Its helpers are in its process group.
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {}
    await ended.catch(() => {});
    server.closeAllConnections();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
