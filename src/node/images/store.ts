/** Blobs of images in the cache, each a file by its digest; it comes to that name only when it has been checked. */
import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { MachineError } from '../../machine/index.ts';
import { codeCacheFolder } from '../code-cache.ts';

/** What a blob may hold, and a layer of it: no bomb fills the disk. */
const MOST_BYTES = 2 ** 36;
let count = 0;

const folderOf = (): string => join(codeCacheFolder(), 'images');

/** @throws MachineError when it is none that is known */
export function checkDigest(digest: unknown): string {
  if (typeof digest !== 'string' || !/^sha256:[0-9a-f]{64}$/.test(digest))
    throw new MachineError(`the image has a digest of a kind that is not known: ${String(digest).slice(0, 80)}`);
  return digest;
}

const pathOf = (digest: string, ending: string): string =>
  join(folderOf(), `${checkDigest(digest).replace(':', '-')}${ending}`);

/** The file of a blob, or of a layer without its compression; undefined where it is not in the cache. */
export function stored(digest: string, ending: '' | '.tar' = ''): string | undefined {
  const path = pathOf(digest, ending);
  return statSync(path, { throwIfNoEntry: false })?.isFile() ? path : undefined;
}

/** Passes all bytes on, and sums them up. */
function summing(most: number): { readonly stream: Transform; digest(): string } {
  const hash = createHash('sha256');
  let bytes = 0;
  const stream = new Transform({
    transform(piece: Buffer, _encoding, done) {
      bytes += piece.length;
      if (bytes > most) done(new MachineError('it is longer than it is said to be'));
      else {
        hash.update(piece);
        done(null, piece);
      }
    },
  });
  return { stream, digest: () => `sha256:${hash.digest('hex')}` };
}

interface Write {
  readonly source: Readable;
  readonly inflater?: Transform | undefined;
  readonly expected: string;
  /** For messages. */
  readonly what: string;
  readonly most: number;
}

async function write(path: string, { source, inflater, expected, what, most }: Write): Promise<void> {
  mkdirSync(folderOf(), { recursive: true, mode: 0o700 });
  const part = `${path}.${process.pid}.${count++}.part`;
  const sum = summing(most);
  try {
    const file = createWriteStream(part, { mode: 0o600 });
    if (inflater) await pipeline(source, inflater, sum.stream, file);
    else await pipeline(source, sum.stream, file);
    if (sum.digest() !== expected) throw new MachineError('its bytes are others than its digest says');
    renameSync(part, path);
  } catch (error) {
    rmSync(part, { force: true });
    throw new MachineError(`${what}: ${(error as Error).message}`);
  }
}

/**
 * Takes a blob into the cache, if it is not there. `open` is asked for its bytes then.
 * @throws MachineError when they are not what the digest says, or more than `size`
 */
export async function keep(digest: string, size: number | undefined, open: () => Promise<Readable>): Promise<string> {
  const path = pathOf(digest, '');
  if (stored(digest) === undefined)
    await write(path, {
      source: await open(),
      expected: digest,
      what: `the blob ${digest}`,
      most: size ?? MOST_BYTES,
    });
  return path;
}

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

/** Takes bytes into the cache; their digest. */
export async function keepWhole(bytes: Uint8Array): Promise<string> {
  const digest = `sha256:${sha256(bytes)}`;
  await keep(digest, bytes.length, async () => Readable.from([bytes]));
  return digest;
}

const nameFile = (name: string): string => join(folderOf(), `name-${sha256(name)}`);

/** What a name stood for when it was last asked. */
export function rememberedDigest(name: string): string | undefined {
  try {
    const digest = checkDigest(readFileSync(nameFile(name), 'latin1').trim());
    return stored(digest) && digest;
  } catch {
    return undefined;
  }
}

export function rememberDigest(name: string, digest: string): void {
  const part = `${nameFile(name)}.${process.pid}.${count++}.part`;
  writeFileSync(part, `${digest}\n`, { mode: 0o600 });
  renameSync(part, nameFile(name));
}

const GZIP = 0x1f8b;
const ZSTD = 0x28b52ffd;

/** How a file is compressed, by its first bytes: media types are not always right. */
async function inflaterOf(path: string): Promise<Transform | undefined> {
  let first = Buffer.alloc(0);
  for await (const piece of createReadStream(path, { end: 3 })) first = Buffer.concat([first, piece as Buffer]);
  if (first.length >= 2 && first.readUInt16BE(0) === GZIP) return createGunzip();
  if (first.length >= 4 && first.readUInt32BE(0) === ZSTD) return createZstdDecompress();
  return undefined;
}

/**
 * An archive without compression: the file itself, or what is in it, in the cache. It is known again by path, size and time.
 * @throws MachineError
 */
export async function plainArchive(path: string): Promise<string> {
  const inflater = await inflaterOf(path);
  if (inflater === undefined) return path;
  const { size, mtimeMs } = statSync(path);
  const name = JSON.stringify([path, size, mtimeMs]);
  try {
    const found = stored(checkDigest(readFileSync(nameFile(name), 'latin1').trim()), '.tar');
    if (found !== undefined) return found;
  } catch {}
  const digest = await sumOf(createReadStream(path), inflater);
  const plain = await plainLayer(path, digest);
  rememberDigest(name, digest);
  return plain;
}

async function sumOf(source: Readable, inflater: Transform): Promise<string> {
  const sum = summing(MOST_BYTES);
  sum.stream.resume();
  await pipeline(source, inflater, sum.stream);
  return sum.digest();
}

/**
 * A layer's plain archive in the cache. `path`: as it came. `digest`: of what is in it, without compression ("diff_id").
 * @throws MachineError
 */
export async function plainLayer(path: string, digest: string): Promise<string> {
  const found = stored(digest, '.tar');
  if (found !== undefined) return found;
  const target = pathOf(digest, '.tar');
  await write(target, {
    source: createReadStream(path),
    inflater: await inflaterOf(path),
    expected: digest,
    what: `the layer ${digest}`,
    most: MOST_BYTES,
  });
  return target;
}
