/** Files out of a Debian package: an `ar` archive (deb(5)) that holds a compressed tar archive. */

import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { createTarDecoder } from 'modern-tar';
import xz from 'xz-decompress';
import { PackageError } from './error.ts';

const AR_MAGIC = '!<arch>\n';
const AR_HEADER_BYTES = 60;

/** A member of an `ar` archive whose name begins so. */
function arMember(archive: Uint8Array, prefix: string): { name: string; bytes: Uint8Array } {
  const text = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  if (text.toString('latin1', 0, AR_MAGIC.length) !== AR_MAGIC) throw new PackageError('not a Debian package');
  for (let at = AR_MAGIC.length; at + AR_HEADER_BYTES <= text.length; ) {
    const name = text.toString('latin1', at, at + 16).replace(/\/? *$/, '');
    const size = Number(text.toString('latin1', at + 48, at + 58));
    const begin = at + AR_HEADER_BYTES;
    if (!(size >= 0) || begin + size > text.length) break;
    if (name.startsWith(prefix)) return { name, bytes: archive.subarray(begin, begin + size) };
    at = begin + size + (size & 1);
  }
  throw new PackageError(`the package has no whole ${prefix}`);
}

/** Decompresses by the name's ending: .xz, .zst, .gz, or nothing of these. */
export function decompress(name: string, bytes: Uint8Array): ReadableStream<Uint8Array> {
  const source = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
  if (name.endsWith('.xz')) return new xz.XzReadableStream(source);
  if (!name.endsWith('.zst') && !name.endsWith('.gz')) return source;
  const inflate = name.endsWith('.gz') ? createGunzip() : createZstdDecompress();
  pipeline(Readable.fromWeb(source as import('node:stream/web').ReadableStream), inflate, () => {});
  return Readable.toWeb(inflate) as ReadableStream<Uint8Array>;
}

/** All of a stream's bytes. */
export async function readBytes(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}

/** Something that a package puts into the file system. */
export interface PackedEntry {
  /** Begins without '/' or '.'; that of the root itself is empty. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'link';
  /** Permissions, of twelve bits. */
  readonly mode: number;
  /** Of a file; empty otherwise. */
  readonly data: Uint8Array;
  /** Of a symbolic link, as it is in there; of a hard link, the path of the other name. */
  readonly target: string;
}

/** Whether what an archive calls so is one of ours: devices and the like are in no package. */
const isPackedType = (type: string | undefined): type is PackedEntry['type'] =>
  type === 'file' || type === 'directory' || type === 'symlink' || type === 'link';

/**
 * All that a package holds (or says of itself, in `control.tar`), in its order; who ends early spares the rest the unpacking.
 * @throws PackageError
 */
export async function* readEntries(
  deb: Uint8Array,
  part: 'data.tar' | 'control.tar' = 'data.tar',
): AsyncGenerator<PackedEntry> {
  const { name, bytes } = arMember(deb, part);
  const plain = (path: string): string => path.replace(/^\.?\/|^\.$/, '').replace(/\/$/, '');
  const reader = decompress(name, bytes)
    .pipeThrough(createTarDecoder({ strict: true }))
    .getReader();
  try {
    for (;;) {
      const { done, value: entry } = await reader.read();
      if (done) return;
      const { header } = entry;
      // Each body has to be read for the next entry to come; to cancel one stops the decoder.
      const data = await readBytes(entry.body);
      const { type = 'file', mode = 0o644, linkname = '' } = header;
      if (!isPackedType(type)) continue;
      yield {
        path: plain(header.name),
        type,
        mode: mode & 0o7777,
        data,
        target: type === 'link' ? plain(linkname) : linkname,
      };
    }
  } catch (error) {
    throw new PackageError(`the package's ${name} is damaged (${error instanceof Error ? error.message : error})`);
  } finally {
    // Nobody waits for the rest.
    reader.cancel().catch(() => {});
  }
}

/**
 * The first file for each pattern, in the patterns' order. What comes after the last of them is not unpacked.
 * @throws PackageError
 */
export async function readFiles(deb: Uint8Array, patterns: readonly RegExp[]): Promise<Uint8Array[]> {
  const found: (Uint8Array | undefined)[] = patterns.map(() => undefined);
  for await (const { path, type, data } of readEntries(deb)) {
    const index = patterns.findIndex((pattern, one) => found[one] === undefined && pattern.test(path));
    if (index >= 0 && type === 'file') found[index] = data;
    if (!found.includes(undefined)) break;
  }
  return found.map((bytes, index) => {
    if (bytes === undefined) throw new PackageError(`the package has no file ${patterns[index]?.source}`);
    return bytes;
  });
}
