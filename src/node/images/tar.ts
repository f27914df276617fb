/**
 * What is in a tar archive and where: the formats of POSIX (ustar, and pax with its records for long names, sizes and times) and
 * GNU's long names (tar(5), "The Tar Archive Format" of GNU tar). Contents are not read.
 */
import { fstatSync, readSync } from 'node:fs';
import { MachineError } from '../../machine/index.ts';

export interface TarEntry {
  /** Components, without '.', of bytes as characters; empty: the root itself. */
  readonly path: readonly string[];
  readonly type: 'file' | 'directory' | 'symlink' | 'link' | 'character' | 'block' | 'fifo';
  /** Permissions, of twelve bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Of a file: bytes, and where they begin in the archive. */
  readonly size: number;
  readonly offset: number;
  /** Of a symbolic link: where it leads; of a hard link: the other name's path. */
  readonly target: string;
  readonly major: number;
  readonly minor: number;
}

const BLOCK = 512;
/** Bytes of a long name or of pax records; more is damage. */
const MOST_EXTRA = 2 ** 20;
/** Entries of one archive. */
const MOST_ENTRIES = 2 ** 20;

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};

const damaged = (why: string): MachineError => new MachineError(`the archive is damaged: ${why}`);

/** A field's text, up to a zero byte. */
function text(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString('latin1', at, end < 0 || end > at + length ? at + length : end);
}

/** A field's number: octal digits, or GNU's big-endian binary with the first bit set. */
function number(block: Buffer, at: number, length: number): number {
  if ((block[at] as number) & 0x80) {
    let value = (block[at] as number) & 0x7f;
    for (let i = 1; i < length; i++) value = value * 256 + (block[at + i] as number);
    return value;
  }
  const digits = text(block, at, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw damaged('a number has other digits than octal ones');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

/** pax records: "LENGTH NAME=VALUE\n", where the length counts all of it. */
function records(bytes: Buffer): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = space < 0 ? 0 : Number(bytes.toString('latin1', at, space));
    if (!(length > space - at + 2) || at + length > bytes.length) throw damaged('a pax record has a wrong length');
    const record = bytes.toString('latin1', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    if (equals < 1) throw damaged('a pax record has no name');
    found.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return found;
}

/** A path's components, without '.'. */
export const split = (path: string): string[] => path.split('/').filter((one) => one !== '' && one !== '.');

/** As `split`. @throws MachineError when one of them leads upwards. */
export function components(path: string): string[] {
  const found = split(path);
  if (found.includes('..')) throw damaged(`the path ${path} leads upwards`);
  return found;
}

const isZero = (block: Buffer): boolean => block.every((byte) => byte === 0);

/** Seconds with a fraction, as pax has them, in nanoseconds. */
function nanoseconds(seconds: string): bigint {
  const match = /^(-?\d{1,12})(?:\.(\d*))?$/.exec(seconds);
  if (match === null) throw damaged('a time is not a number');
  const [, whole = '0', fraction = ''] = match;
  return BigInt(whole) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
}

/**
 * The entries of an archive, in its order. `file`: a descriptor, of a plain (decompressed) archive.
 * @throws MachineError where it is damaged
 */
export function* readTar(file: number): Generator<TarEntry> {
  const { size: end } = fstatSync(file);
  const block = Buffer.alloc(BLOCK);
  const fill = (into: Buffer, at: number): void => {
    if (at + into.length > end || readSync(file, into, 0, into.length, at) !== into.length)
      throw damaged('it ends in the midst of an entry');
  };
  const extra = (size: number, at: number): Buffer => {
    if (size > MOST_EXTRA) throw damaged('a name is too long');
    const bytes = Buffer.alloc(size);
    fill(bytes, at);
    return bytes;
  };
  let pax = new Map<string, string>();
  let global = new Map<string, string>();
  let count = 0;
  // Some leave out the two empty blocks behind the last entry.
  for (let at = 0; at !== end; ) {
    fill(block, at);
    if (isZero(block)) return;
    let sum = 256;
    for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block[i] as number;
    if (number(block, 148, 8) !== sum) throw damaged('a header has a wrong check sum');
    if (++count > MOST_ENTRIES) throw damaged('it has more than a million entries');
    const kind = String.fromCharCode(block[156] as number);
    const value = (name: string): string | undefined => pax.get(name) ?? global.get(name);
    const written = kind === 'x' || kind === 'g' ? undefined : value('size');
    const size = written === undefined ? number(block, 124, 12) : Number(written);
    if (!Number.isSafeInteger(size) || size < 0) throw damaged('a size is not a number');
    const offset = at + BLOCK;
    const next = offset + Math.ceil(size / BLOCK) * BLOCK;
    switch (kind) {
      case 'x':
        pax = new Map([...pax, ...records(extra(size, offset))]);
        at = next;
        continue;
      case 'g':
        global = new Map([...global, ...records(extra(size, offset))]);
        at = next;
        continue;
      case 'L':
      case 'K': {
        const long = extra(size, offset);
        pax.set(kind === 'L' ? 'path' : 'linkpath', text(long, 0, long.length));
        at = next;
        continue;
      }
    }
    const type = TYPES[kind];
    const hasContents = type === 'file' || type === undefined;
    if (hasContents && offset + size > end) throw damaged('it ends in the midst of a file');
    const isUstar = block.toString('latin1', 257, 263) === 'ustar\0';
    const prefix = isUstar ? text(block, 345, 155) : '';
    const short = text(block, 0, 100);
    const path = value('path') ?? (prefix === '' ? short : `${prefix}/${short}`);
    // A directory of the oldest format is a file whose name ends so.
    const isDirectory = type === 'file' && path.endsWith('/');
    if (type !== undefined)
      yield {
        path: components(path),
        type: isDirectory ? 'directory' : type,
        mode: number(block, 100, 8) & 0o7777,
        uid: Number(value('uid') ?? number(block, 108, 8)),
        gid: Number(value('gid') ?? number(block, 116, 8)),
        mtimeNs: nanoseconds(value('mtime') ?? String(number(block, 136, 12))),
        size: type === 'file' ? size : 0,
        offset,
        target: value('linkpath') ?? text(block, 157, 100),
        major: number(block, 329, 8),
        minor: number(block, 337, 8),
      };
    pax = new Map();
    // Some write a size for what has no contents; GNU tar and others then have none either.
    at = hasContents ? next : offset;
  }
}
