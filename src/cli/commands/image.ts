/** `powervisor image`: disk images are made, converted, described and checked, in qemu-img's words. */
import { existsSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import {
  type CheckReport,
  type Compression,
  checkQcow2,
  copyToQcow2,
  copyToRaw,
  createQcow2,
  DISK_FORMATS,
  type DiskFormat,
  diskFormat,
  type Header,
  isQcow2,
  Qcow2Disk,
  readHeader,
} from '../../machine/disks/index.ts';
import { formatBytes } from '../../machine/error.ts';
import type { BlockStore, ByteStore } from '../../machine/index.ts';
import { FileStore, nodeCodecs, openDiskFile } from '../../node/disks/index.ts';
import { splitAtCommas } from '../disks.ts';
import { CommandError, UsageError } from '../errors.ts';
import { print } from '../print.ts';
import { parseChoice, parseSize } from '../values.ts';

/** What a check answers besides 0: it found errors, or leaks alone; the format has nothing to check. As qemu-img does. */
const STATUS = { errors: 2, leaks: 3, notSupported: 63 } as const;

const COMPRESSIONS = ['zlib', 'zstd'] as const satisfies readonly Compression[];

const formatOf = (text: string): DiskFormat => parseChoice(text, DISK_FORMATS, 'format');
const outputOf = (text: string): 'human' | 'json' => parseChoice(text, ['human', 'json'], 'output');

export function addImage(program: Command): void {
  const image = program.command('image').description('make, convert, describe and check disk images');
  image
    .command('create <file> [size]')
    .description('make an empty disk: a size such as 10G, or that of its backing file')
    .option('-f, --format <format>', `${DISK_FORMATS.join(' or ')}`, formatOf)
    .option('-b, --backing <file>', 'an image that it shows where it has nothing')
    .option('-F, --backing-format <format>', "the backing file's format", formatOf)
    .option('-o, --options <options>', 'cluster_size=64k, refcount_bits=16, compression_type=zlib|zstd, compat=1.1')
    .action(create);
  image
    .command('convert <source> <target>')
    .description('copy a disk into a new image; its zeroes take no room')
    .option('-f, --format <format>', "the source's format", formatOf)
    .option('-O, --target-format <format>', "the target's format", formatOf)
    .option('-o, --options <options>', 'as for create')
    .option('-c, --compress', 'compress what is copied (qcow2)')
    .option('-p, --progress', 'say how much is done')
    .option('--backing <file>', "the source's backing file, in place of the one that it names")
    .action(convert);
  image
    .command('info <file>')
    .description('say what an image is')
    .option('-f, --format <format>', 'its format', formatOf)
    .option('--output <kind>', 'human or json', outputOf, 'human')
    .action(info);
  image
    .command('check <file>')
    .description(
      `compare the tables of an image; exit status 0: nothing is wrong, 1: it cannot be checked, ${STATUS.errors}: errors, ${STATUS.leaks}: leaked clusters`,
    )
    .option('-f, --format <format>', 'its format', formatOf)
    .option('--output <kind>', 'human or json', outputOf, 'human')
    .option('-r, --repair <what>', 'repair leaks, or all that reference counts have wrong', (text) =>
      parseChoice(text, ['leaks', 'all'], 'repair'),
    )
    .option('-p, --progress', 'say how much is done')
    .action(check);
}

interface CreateArguments {
  format?: DiskFormat;
  backing?: string;
  backingFormat?: DiskFormat;
  options?: string;
}

/** What `-o` holds. */
interface ImageOptions {
  clusterBytes?: number;
  refcountBits?: number;
  compression?: Compression;
  backing?: string;
  backingFormat?: DiskFormat;
}

function parseOptions(text: string | undefined): ImageOptions {
  const options: ImageOptions = {};
  for (const word of text === undefined ? [] : splitAtCommas(text)) {
    const [, name = word, value = ''] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
    switch (name) {
      case 'cluster_size':
        options.clusterBytes = parseSize(value);
        break;
      case 'refcount_bits':
        options.refcountBits = Number(value);
        break;
      case 'compression_type':
        options.compression = parseChoice(value, COMPRESSIONS, 'compression');
        break;
      case 'backing_file':
        options.backing = value;
        break;
      case 'backing_fmt':
        options.backingFormat = formatOf(value);
        break;
      case 'compat':
        parseChoice(value, ['1.1', 'v3'], 'version that is written');
        break;
      case 'preallocation':
      case 'lazy_refcounts':
      case 'extended_l2':
        parseChoice(value, ['off'], name);
        break;
      default:
        throw new UsageError(
          `an image has no option '${name}'; cluster_size, refcount_bits, compression_type and compat fit`,
        );
    }
  }
  return options;
}

/** The format of a new file: what was said, or what its name ends with. */
const newFormat = (file: string, format: DiskFormat | undefined): DiskFormat =>
  format ?? DISK_FORMATS.find((one) => file.toLowerCase().endsWith(`.${one}`)) ?? 'raw';

/** An empty file; one that is there is emptied, if nobody has it open. */
async function emptyFile(path: string): Promise<FileStore> {
  const store = FileStore.open(path, { create: 'overwrite' });
  await store.truncate(0);
  return store;
}

async function create(file: string, sizeText: string | undefined, typed: CreateArguments): Promise<void> {
  const options = parseOptions(typed.options);
  const format = newFormat(file, typed.format);
  const backing = typed.backing ?? options.backing;
  if (format === 'raw' && (backing !== undefined || typed.options !== undefined))
    throw new UsageError('raw images have no backing file and no options; -f qcow2 has both');
  let size = sizeText === undefined ? undefined : parseSize(sizeText);
  let backingName: { name: string; format: DiskFormat } | undefined;
  if (backing !== undefined) {
    // As the image will name it: seen from its own folder.
    const path = isAbsolute(backing) ? backing : join(dirname(file), backing);
    const backingFormat = typed.backingFormat ?? options.backingFormat;
    const disk = await openDiskFile(path, { format: backingFormat, readOnly: true, lock: false });
    size ??= disk.size;
    const known = disk instanceof Qcow2Disk ? 'qcow2' : 'raw';
    await disk.close();
    backingName = { name: backing, format: backingFormat ?? known };
    const inFolder = relative(resolve(dirname(file)), resolve(path));
    if (inFolder.startsWith('..') || isAbsolute(inFolder))
      console.error(`powervisor: '${backing}' is outside of the image's folder: --disk needs backing=FILE to open it`);
  }
  if (size === undefined) throw new UsageError('the size is missing, such as 10G; only with -b it may be');
  const store = await emptyFile(file);
  try {
    if (format === 'raw') await store.truncate(size);
    else await createQcow2(store, size, { ...options, backing: backingName });
  } finally {
    await store.close();
  }
}

interface ConvertArguments {
  format?: DiskFormat;
  targetFormat?: DiskFormat;
  options?: string;
  compress?: boolean;
  progress?: boolean;
  backing?: string;
}

async function convert(source: string, target: string, typed: ConvertArguments): Promise<void> {
  const options = parseOptions(typed.options);
  const format = newFormat(target, typed.targetFormat);
  if (format === 'raw' && (typed.compress || typed.options !== undefined))
    throw new UsageError('raw images are not compressed, and have no options; -O qcow2 has both');
  if (isSameFile(source, target)) throw new UsageError('source and target are one file; a new one fits');
  const disk = await openDiskFile(source, { format: typed.format, readOnly: true, backing: typed.backing });
  const progress = new Progress(typed.progress);
  try {
    const store = await emptyFile(target);
    try {
      await copy(disk, store, format, typed.compress ? (options.compression ?? 'zlib') : undefined, options, progress);
    } finally {
      await store.close();
    }
  } finally {
    progress.end();
    await disk.close();
  }
}

async function copy(
  disk: BlockStore,
  store: ByteStore,
  format: DiskFormat,
  compression: Compression | undefined,
  options: ImageOptions,
  progress: Progress,
): Promise<void> {
  const onProgress = (done: number): void => progress.show(done);
  if (format === 'raw') return copyToRaw(disk, store, { onProgress });
  const { clusterBytes, refcountBits, compression: kind } = options;
  await createQcow2(store, disk.size, { clusterBytes, refcountBits, compression: kind });
  const header = await readHeader(store);
  const image = await Qcow2Disk.open({ store, header, codecs: nodeCodecs, backing: undefined, readOnly: false });
  try {
    await copyToQcow2(disk, image, nodeCodecs, compression, { onProgress });
  } finally {
    await image.close();
  }
}

function isSameFile(one: string, other: string): boolean {
  if (!existsSync(one) || !existsSync(other)) return false;
  const [a, b] = [statSync(one), statSync(other)];
  return a.dev === b.dev && a.ino === b.ino;
}

/** Per cent on a line of standard error that is written over. */
class Progress {
  readonly #isWanted: boolean;
  #shown = '';

  constructor(isWanted = false) {
    this.#isWanted = isWanted;
  }

  show(done: number): void {
    const text = `    (${(done * 100).toFixed(1)}/100%)\r`;
    if (!this.#isWanted || text === this.#shown) return;
    process.stderr.write((this.#shown = text));
  }

  end(): void {
    if (this.#shown !== '') process.stderr.write('\n');
  }
}

interface InfoArguments {
  format?: DiskFormat;
  output: 'human' | 'json';
}

/** Here contents may decide: nothing is opened besides the file itself. */
async function foundFormat(store: ByteStore, format: DiskFormat | undefined): Promise<DiskFormat> {
  const start = new Uint8Array(4);
  await store.read(0, start);
  return format ?? (isQcow2(start) ? 'qcow2' : await diskFormat(store));
}

async function info(file: string, { format, output }: InfoArguments): Promise<void> {
  const store = FileStore.open(file, { readOnly: true, lock: false });
  try {
    const header = (await foundFormat(store, format)) === 'qcow2' ? await readHeader(store) : undefined;
    const size = header?.size ?? Math.ceil((await store.size()) / 512) * 512;
    const onDisk = statSync(file).blocks * 512;
    print(output === 'json' ? infoJson(file, size, onDisk, header) : infoText(file, size, onDisk, header));
  } finally {
    await store.close();
  }
}

function infoJson(file: string, size: number, onDisk: number, header: Header | undefined): string {
  const description = {
    'virtual-size': size,
    filename: file,
    ...(header && { 'cluster-size': 2 ** header.clusterBits }),
    format: header ? 'qcow2' : 'raw',
    'actual-size': onDisk,
    ...(header && { 'format-specific': { type: 'qcow2', data: specifics(header) } }),
    ...(header?.backing && {
      'backing-filename': header.backing.name,
      'backing-filename-format': header.backing.format,
    }),
    'dirty-flag': header?.isDirty ?? false,
  };
  return `${JSON.stringify(description, null, 4)}\n`;
}

function specifics(header: Header): Record<string, unknown> {
  if (header.version === 2) return { compat: '0.10', 'compression-type': 'zlib', 'refcount-bits': 16 };
  return {
    compat: '1.1',
    'compression-type': header.compression,
    'lazy-refcounts': header.lazyRefcounts,
    'refcount-bits': header.refcountBits,
    corrupt: header.isCorrupt,
    'extended-l2': false,
  };
}

function infoText(file: string, size: number, onDisk: number, header: Header | undefined): string {
  const lines = [
    `image: ${file}`,
    `file format: ${header ? 'qcow2' : 'raw'}`,
    `virtual size: ${formatBytes(size)} (${size} bytes)`,
    `disk size: ${formatBytes(onDisk)}`,
  ];
  if (header) {
    lines.push(`cluster_size: ${2 ** header.clusterBits}`);
    // Names come out of the file: what a terminal would obey is written as its number.
    const { backing } = header;
    if (backing) lines.push(`backing file: ${JSON.stringify(backing.name).slice(1, -1)}`);
    if (backing?.format) lines.push(`backing file format: ${JSON.stringify(backing.format).slice(1, -1)}`);
    if (header.isDirty) lines.push('it was not closed: its reference counts may be wrong');
    lines.push('Format specific information:');
    for (const [name, value] of Object.entries(specifics(header)))
      lines.push(`    ${name.replaceAll('-', ' ')}: ${value}`);
  }
  return `${lines.join('\n')}\n`;
}

interface CheckArguments extends InfoArguments {
  repair?: 'leaks' | 'all';
  progress?: boolean;
}

async function check(file: string, { format, output, repair, progress }: CheckArguments): Promise<void> {
  const store = FileStore.open(file, { readOnly: repair === undefined });
  const bar = new Progress(progress);
  try {
    if ((await foundFormat(store, format)) === 'raw') {
      throw new CommandError(`'${file}' is a raw image, which has nothing that could be checked`, STATUS.notSupported);
    }
    const say = output === 'human' ? (line: string): void => print(`${line}\n`) : undefined;
    const report = await checkQcow2(store, { say, repair, onProgress: (done) => bar.show(done) });
    bar.end();
    print(output === 'json' ? checkJson(file, report) : checkText(report));
    process.exitCode = report.errors > 0 ? STATUS.errors : report.leaks > 0 ? STATUS.leaks : 0;
  } finally {
    await store.close();
  }
}

function checkJson(file: string, report: CheckReport): string {
  const description = {
    'image-end-offset': report.imageEnd,
    'total-clusters': report.totalClusters,
    'check-errors': 0,
    ...(report.errors > 0 && { corruptions: report.errors }),
    ...(report.leaks > 0 && { leaks: report.leaks }),
    ...(report.errorsFixed > 0 && { 'corruptions-fixed': report.errorsFixed }),
    ...(report.leaksFixed > 0 && { 'leaks-fixed': report.leaksFixed }),
    ...(report.allocatedClusters > 0 && { 'allocated-clusters': report.allocatedClusters }),
    ...(report.fragmentedClusters > 0 && { 'fragmented-clusters': report.fragmentedClusters }),
    ...(report.compressedClusters > 0 && { 'compressed-clusters': report.compressedClusters }),
    filename: file,
    format: 'qcow2',
  };
  return `${JSON.stringify(description, null, 4)}\n`;
}

function checkText(report: CheckReport): string {
  const share = (part: number, whole: number): string => `${(whole === 0 ? 0 : (part / whole) * 100).toFixed(2)}%`;
  const { allocatedClusters: allocated, totalClusters: total } = report;
  const lines: string[] = [];
  if (report.errorsFixed + report.leaksFixed > 0)
    lines.push(`Repaired: ${report.errorsFixed} errors, ${report.leaksFixed} leaked clusters.`);
  if (report.errors > 0) lines.push(`${report.errors} errors: data may be lost, or be lost by more writes.`);
  if (report.leaks > 0) lines.push(`${report.leaks} leaked clusters: room that nobody uses; no data are lost.`);
  if (report.errors + report.leaks === 0) lines.push('No errors were found on the image.');
  if (total > 0)
    lines.push(
      `${allocated}/${total} = ${share(allocated, total)} allocated, ${share(report.fragmentedClusters, allocated)} fragmented, ${share(report.compressedClusters, allocated)} compressed clusters`,
    );
  lines.push(`Image end offset: ${report.imageEnd}`);
  return `${lines.join('\n')}\n`;
}
