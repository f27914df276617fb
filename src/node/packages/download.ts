/**
 * Downloads into a folder, by name, size and SHA-256. A file there is whole: it comes to its name only when it has been
 * checked. What came before a run was ended stays beside it, and the next run goes on from there.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { HttpClient } from '../http-client.ts';
import { oneLine, PackageError } from './error.ts';
import type { Reporter } from './progress.ts';

const ATTEMPTS = 3;

export interface Wanted {
  /** Where it may be had, tried in this order when a server has not got it. */
  readonly urls: readonly string[];
  readonly size: number;
  /** In hexadecimal. */
  readonly sha256: string;
  /** What it is called for the user. */
  readonly title: string;
}

export function sha256Of(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256');
    createReadStream(path, { highWaterMark: 1 << 20 })
      .on('data', (data) => hash.update(data))
      .on('error', reject)
      .on('end', () => resolve(hash.digest('hex')));
  });
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Our own unfinished file; one that an ended run left is taken over by whoever renames it first. */
function takePart(path: string, sha256: string): string {
  const stem = `${basename(path)}.${sha256.slice(0, 16)}.`;
  const own = join(dirname(path), `${stem}${process.pid}.part`);
  for (const name of readdirSync(dirname(path))) {
    const pid = Number(/^(\d+)\.part$/.exec(name.slice(stem.length))?.[1]);
    if (!name.startsWith(stem) || pid === process.pid || !(pid > 0) || isAlive(pid)) continue;
    try {
      renameSync(join(dirname(path), name), own);
      break;
    } catch {}
  }
  return own;
}

/** Unfinished files of the same name whose run has ended, of whatever version. */
function removeLeftovers(path: string): void {
  for (const name of readdirSync(dirname(path))) {
    const pid = Number(/\.(\d+)\.part$/.exec(name)?.[1]);
    if (name.startsWith(`${basename(path)}.`) && pid > 0 && (pid === process.pid || !isAlive(pid)))
      rmSync(join(dirname(path), name), { force: true });
  }
}

/** Sees to it that `path` is what is wanted, out of the cache or fetched. @throws PackageError */
export async function download(path: string, wanted: Wanted, http: HttpClient, reporter: Reporter): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  if (existsSync(path)) {
    if (sizeOf(path) === wanted.size && (await sha256Of(path)) === wanted.sha256) return;
    rmSync(path);
  }
  const part = takePart(path, wanted.sha256);
  let problem = '';
  let asked = wanted.urls[0];
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      await fetchRest(part, wanted, http, reporter, (url) => (asked = url));
    } catch (error) {
      if (error instanceof PackageError) throw error;
      problem = oneLine(error);
      continue;
    }
    if ((await sha256Of(part)) === wanted.sha256) {
      renameSync(part, path);
      removeLeftovers(path);
      return;
    }
    problem = 'the SHA-256 is not what the index says';
    rmSync(part);
  }
  throw new PackageError(`${asked}: ${problem}`);
}

/** Adds to `part` what it lacks. */
async function fetchRest(
  part: string,
  wanted: Wanted,
  http: HttpClient,
  reporter: Reporter,
  onAsk: (url: string) => void,
): Promise<void> {
  let offset = sizeOf(part);
  if (offset > wanted.size) {
    rmSync(part);
    offset = 0;
  }
  if (offset === wanted.size) return;
  let status = 0;
  for (const url of wanted.urls) {
    onAsk(url);
    const answer = await http.get(url, offset);
    status = answer.status;
    if (status !== 200 && status !== 206) {
      answer.body.destroy();
      if (status === 404) continue;
      if (status !== 416 || offset === 0) break;
      rmSync(part);
      throw new Error('there is less than an earlier run has got');
    }
    let bytes = status === 206 ? offset : 0;
    const file = openSync(part, status === 206 ? 'a' : 'w');
    try {
      for await (const piece of answer.body as AsyncIterable<Buffer>) {
        bytes += piece.length;
        // A file of another size is another file: what is too long is not written to the end.
        if (bytes > wanted.size) throw new Error(`it is longer than the ${wanted.size} bytes that the index says`);
        for (let done = 0; done < piece.length; ) done += writeSync(file, piece, done);
        reporter.progress(wanted.title, bytes, wanted.size);
      }
    } finally {
      closeSync(file);
    }
    if (bytes < wanted.size) throw new Error(`it ends after ${bytes} of the ${wanted.size} bytes that the index says`);
    return;
  }
  throw new PackageError(`${wanted.urls[0]}: the server's answer is ${status}${status === 404 ? ' (not there)' : ''}`);
}

/** A small file whose size and sum nobody knows beforehand; undefined where it is not there. */
export async function fetchText(url: string, http: HttpClient, limit = 1 << 24): Promise<string | undefined> {
  let problem = '';
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      const { status, body } = await http.get(url, 0);
      if (status === 404) {
        body.destroy();
        return undefined;
      }
      if (status !== 200) {
        body.destroy();
        throw new PackageError(`${url}: the server's answer is ${status}`);
      }
      const pieces: Buffer[] = [];
      let length = 0;
      for await (const piece of body as AsyncIterable<Buffer>) {
        pieces.push(piece);
        length += piece.length;
        if (length > limit) throw new PackageError(`${url}: it is longer than ${limit} bytes`);
      }
      return Buffer.concat(pieces).toString('utf8');
    } catch (error) {
      if (error instanceof PackageError) throw error;
      problem = oneLine(error);
    }
  }
  throw new PackageError(`${url}: ${problem}`);
}
