/** Images that qemu-img makes are read byte for byte, and what is written to them qemu-img finds right. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, test } from 'node:test';
import { checkQcow2 } from '../../src/machine/disks/index.ts';
import type { BlockStore } from '../../src/machine/index.ts';
import { FileStore, openDiskFile } from '../../src/node/index.ts';
import { randomBytes, randomNumbers, same } from './memory-store.ts';
import { hasQemuImg, inFolder, qemuImg, qemuIo } from './qemu-img.ts';

const SIZE = 3 * 2 ** 20 + 512;

/** Bytes with stretches of zeroes, of text and of noise. */
function contents(seed: number, size = SIZE): Uint8Array {
  const random = randomNumbers(seed);
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; ) {
    const length = Math.min(size - at, 512 + random(100_000));
    const kind = random(3);
    if (kind === 1) bytes.fill(random(255) + 1, at, at + length);
    else if (kind === 2) bytes.set(randomBytes(random, length), at);
    at += length;
  }
  return bytes;
}

async function readWhole(disk: BlockStore): Promise<Uint8Array> {
  const bytes = new Uint8Array(disk.size);
  // In odd pieces.
  for (let at = 0; at < bytes.length; at += 149 * 512) await disk.read(at, bytes.subarray(at, at + 149 * 512));
  return bytes;
}

/** Writes, zeroes and discards here; then qemu-img checks and compares. */
async function writeAndCompare(file: string, expected: Uint8Array, path: (name: string) => string): Promise<void> {
  const random = randomNumbers(5);
  const disk = await openDiskFile(file, { format: 'qcow2' });
  for (let i = 0; i < 60; i++) {
    const from = random(expected.length / 512) * 512;
    const length = Math.min(expected.length - from, 512 * (1 + random(300)));
    if (i % 3 === 0) {
      await disk.writeZeroes(from, length, i % 2 === 0);
      expected.fill(0, from, from + length);
    } else {
      const bytes = randomBytes(random, length);
      await disk.write(from, bytes);
      expected.set(bytes, from);
    }
  }
  same(await readWhole(disk), expected);
  await disk.close();
  qemuImg('check', '-f', 'qcow2', file);
  writeFileSync(path('expected'), expected);
  qemuImg('compare', '-f', 'qcow2', '-F', 'raw', file, path('expected'));
}

const variants: Record<string, { create?: string; convert?: string[]; after?: (file: string) => void }> = {
  'as it comes': {},
  'version 2': { create: 'compat=0.10' },
  'clusters of 512 bytes': { create: 'cluster_size=512' },
  'clusters of 4 KiB': { create: 'cluster_size=4k' },
  'clusters of 2 MiB': { create: 'cluster_size=2M' },
  'counts of 1 bit': { create: 'refcount_bits=1' },
  'counts of 2 bits': { create: 'refcount_bits=2' },
  'counts of 4 bits': { create: 'refcount_bits=4,cluster_size=512' },
  'counts of 8 bits': { create: 'refcount_bits=8' },
  'counts of 32 bits': { create: 'refcount_bits=32' },
  'counts of 64 bits': { create: 'refcount_bits=64,cluster_size=512' },
  'lazy counts': { create: 'lazy_refcounts=on' },
  'tables made before': { create: 'preallocation=metadata' },
  'all made before': { create: 'preallocation=full' },
  'all reserved before': { create: 'preallocation=falloc' },
  'compressed by deflate': { convert: ['-c'] },
  'compressed by deflate, clusters of 4 KiB': { create: 'cluster_size=4k', convert: ['-c'] },
  'compressed by deflate, clusters of 2 MiB': { create: 'cluster_size=2M', convert: ['-c'] },
  'compressed by deflate, version 2': { create: 'compat=0.10', convert: ['-c'] },
  'compressed by zstd': { create: 'compression_type=zstd', convert: ['-c'] },
  'compressed by zstd, clusters of 8 KiB': { create: 'compression_type=zstd,cluster_size=8k', convert: ['-c'] },
  'with a snapshot': { after: (file) => qemuImg('snapshot', '-c', 'one', file) },
  'with a snapshot, version 2': { create: 'compat=0.10', after: (file) => qemuImg('snapshot', '-c', 'one', file) },
};

describe('images of qemu-img', { skip: hasQemuImg ? false : 'qemu-img is not installed' }, () => {
  for (const [name, { create, convert = [], after }] of Object.entries(variants))
    test(name, () =>
      inFolder(async (path) => {
        const expected = contents(name.length);
        writeFileSync(path('raw'), expected);
        const file = path('image.qcow2');
        const options = create ? ['-o', create] : [];
        qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...convert, ...options, path('raw'), file);
        after?.(file);
        const disk = await openDiskFile(file, { readOnly: true });
        same(await readWhole(disk), expected);
        await disk.close();
        const store = FileStore.open(file);
        const report = await checkQcow2(store, { say: (line) => assert.fail(line) });
        await store.close();
        assert.equal(report.errors + report.leaks, 0);
        await writeAndCompare(file, expected, path);
      }),
    );

  test('a snapshot stays as it was', () =>
    inFolder(async (path) => {
      const before = contents(3);
      writeFileSync(path('raw'), before);
      const file = path('image.qcow2');
      qemuImg('convert', '-f', 'raw', '-O', 'qcow2', path('raw'), file);
      qemuImg('snapshot', '-c', 'one', file);
      await writeAndCompare(file, before.slice(), path);
      qemuImg('snapshot', '-a', 'one', file);
      const disk = await openDiskFile(file);
      same(await readWhole(disk), before);
      await disk.close();
      qemuImg('snapshot', '-d', 'one', file);
      qemuImg('check', file);
    }));

  for (const [version, size] of [
    ['1.1', SIZE],
    ['0.10', SIZE],
    ['1.1', SIZE - 2 ** 20],
    ['1.1', SIZE + 2 ** 20],
  ] as const)
    test(`a chain of backing files, version ${version}, base of ${size} bytes`, () =>
      inFolder(async (path) => {
        const base = contents(7, size);
        writeFileSync(path('base.raw'), base);
        qemuImg(
          'create',
          '-f',
          'qcow2',
          '-o',
          `compat=${version}`,
          '-b',
          'base.raw',
          '-F',
          'raw',
          path('middle.qcow2'),
          `${SIZE}`,
        );
        qemuIo(path('middle.qcow2'), 'qcow2', 'write -P 7 100k 300k', 'write -z 1M 70k', 'write -P 9 2600k 5k');
        qemuImg('create', '-f', 'qcow2', '-b', path('middle.qcow2'), '-F', 'qcow2', path('top.qcow2'));
        qemuIo(path('top.qcow2'), 'qcow2', 'write -P 3 10k 1k', 'write -z 500k 64k');
        qemuImg('convert', '-O', 'raw', path('top.qcow2'), path('expected'));
        const expected = new Uint8Array(readFileSync(path('expected')));
        const disk = await openDiskFile(path('top.qcow2'), { readOnly: true });
        same(await readWhole(disk), expected);
        await disk.close();
        for (const name of ['top.qcow2', 'middle.qcow2']) {
          const own = name === 'top.qcow2' ? expected : undefined;
          if (own) await writeAndCompare(path(name), own, path);
        }
        qemuImg('rebase', '-u', '-b', path('base.raw'), '-F', 'raw', path('middle.qcow2'));
        qemuImg('convert', '-O', 'raw', path('middle.qcow2'), path('expected'));
        await writeAndCompare(path('middle.qcow2'), new Uint8Array(readFileSync(path('expected'))), path);
        assert.deepEqual(new Uint8Array(readFileSync(path('base.raw'))), base, 'the base is as it was');
        assert.ok(dirname(path('base.raw')).length > 0);
      }));

  test('an image whose counts were not written is repaired by a check, and then written', () =>
    inFolder(async (path) => {
      const file = path('image.qcow2');
      qemuImg('create', '-f', 'qcow2', '-o', 'lazy_refcounts=on', file, `${SIZE}`);
      // Ended before it can close the image.
      assert.throws(() => qemuIo(file, 'qcow2', 'write -P 5 0 1M', 'flush', 'sigraise 9'));
      await assert.rejects(openDiskFile(file), /was not closed.*check -r all/);
      const store = FileStore.open(file);
      const report = await checkQcow2(store, { repair: 'all' });
      assert.ok(report.errorsFixed > 0);
      assert.equal(report.errors, 0);
      await store.close();
      qemuImg('check', file);
      const expected = new Uint8Array(SIZE);
      expected.fill(5, 0, 2 ** 20);
      await writeAndCompare(file, expected, path);
    }));
});
