/** Disks in files of the host: locks, names of backing files, formats, and what is thrown away. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { createQcow2 } from '../../src/machine/index.ts';
import { FileStore, openDiskFile } from '../../src/node/index.ts';
import { inFolder } from './qemu-img.ts';

/** Makes an image; `backing` is the name in its header. */
async function image(file: string, size: number, backing?: string, format = 'raw'): Promise<void> {
  const store = FileStore.open(file, { create: 'new' });
  await createQcow2(store, size, { backing: backing === undefined ? undefined : { name: backing, format } });
  await store.close();
}

const byteAt = async (file: string, options = {}): Promise<number | undefined> => {
  const disk = await openDiskFile(file, { readOnly: true, ...options });
  const sector = new Uint8Array(512);
  await disk.read(0, sector);
  await disk.close();
  return sector[0];
};

test('an image that is written has one user; those who read share it', () =>
  inFolder(async (path) => {
    await image(path('a.qcow2'), 2 ** 20);
    const disk = await openDiskFile(path('a.qcow2'));
    await assert.rejects(openDiskFile(path('a.qcow2')), /another machine or program has it open/);
    await assert.rejects(openDiskFile(path('a.qcow2'), { readOnly: true }), /has it open/);
    await (await openDiskFile(path('a.qcow2'), { lock: false })).close();
    if (process.platform === 'linux')
      assert.equal(spawnSync('flock', ['-n', path('a.qcow2'), 'true']).status, 1, 'other programs see it');
    await disk.close();
    const readers = [
      await openDiskFile(path('a.qcow2'), { readOnly: true }),
      await openDiskFile(path('a.qcow2'), { readOnly: true }),
    ];
    await assert.rejects(openDiskFile(path('a.qcow2')), /has it open/);
    for (const one of readers) await one.close();
    await (await openDiskFile(path('a.qcow2'))).close();
  }));

test('a backing file is written by nobody while images above it are open', () =>
  inFolder(async (path) => {
    writeFileSync(path('base.raw'), new Uint8Array(4096).fill(7));
    await image(path('top.qcow2'), 4096, 'base.raw');
    const disk = await openDiskFile(path('top.qcow2'));
    await assert.rejects(openDiskFile(path('base.raw')), /has it open/);
    assert.equal(await byteAt(path('base.raw')), 7);
    await disk.close();
  }));

test('contents never decide on the format', () =>
  inFolder(async (path) => {
    await image(path('image'), 2 ** 20);
    await image(path('image.img'), 2 ** 20);
    await image(path('named.qcow2'), 2 ** 20);
    await image(path('named.raw'), 2 ** 20);
    for (const name of ['image', 'image.img'])
      await assert.rejects(openDiskFile(path(name)), /looks like qcow2: format=qcow2 or format=raw says what it is/);
    assert.equal(await byteAt(path('image'), { format: 'qcow2' }), 0);
    assert.equal(await byteAt(path('image'), { format: 'raw' }), 'Q'.charCodeAt(0));
    assert.equal(await byteAt(path('named.qcow2')), 0);
    assert.equal(await byteAt(path('named.raw')), 'Q'.charCodeAt(0));
    writeFileSync(path('wrong.qcow2'), 'no image');
    await assert.rejects(openDiskFile(path('wrong.qcow2')), /is no qcow2 image/);
  }));

test('an image names backing files in its own folder only', () =>
  inFolder(async (path) => {
    mkdirSync(path('images'));
    mkdirSync(path('images/below'));
    writeFileSync(path('secret'), new Uint8Array(4096).fill(9));
    writeFileSync(path('images/base'), new Uint8Array(4096).fill(8));
    writeFileSync(path('images/below/base'), new Uint8Array(4096).fill(6));
    symlinkSync(path('secret'), path('images/link'));
    for (const name of ['../secret', path('secret'), 'link', 'below/../../secret', '.', '..', '/']) {
      const file = path(`images/${Buffer.from(name).toString('hex')}.qcow2`);
      await image(file, 4096, name);
      await assert.rejects(openDiskFile(file), /outside of the image's folder; backing=FILE names it$/, name);
      assert.equal(await byteAt(file, { backing: path('secret') }), 9, 'the user may name it');
    }
    for (const name of ['nbd:localhost:10809', 'json:{"driver":"raw"}', 'file:base']) {
      const file = path(`images/${name.replaceAll(/\W/g, '_')}.qcow2`);
      await image(file, 4096, name);
      await assert.rejects(openDiskFile(file), /which is no file/);
    }
    await image(path('images/gone.qcow2'), 4096, 'nothing');
    await assert.rejects(openDiskFile(path('images/gone.qcow2')), /which is not there/);
    await image(path('images/near.qcow2'), 4096, 'base');
    assert.equal(await byteAt(path('images/near.qcow2')), 8);
    await image(path('images/absolute.qcow2'), 4096, path('images/below/base'));
    assert.equal(await byteAt(path('images/absolute.qcow2')), 6);
    await image(path('images/other.qcow2'), 4096, 'base', 'vmdk');
    await assert.rejects(openDiskFile(path('images/other.qcow2')), /has the format 'vmdk'; raw and qcow2 are read/);
    // An image through a link is where it is, not where the link is.
    symlinkSync(path('images/near.qcow2'), path('near.qcow2'));
    assert.equal(await byteAt(path('near.qcow2')), 8);
  }));

test('images in a ring are refused', () =>
  inFolder(async (path) => {
    await image(path('a.qcow2'), 4096, 'b.qcow2', 'qcow2');
    await image(path('b.qcow2'), 4096, 'a.qcow2', 'qcow2');
    await assert.rejects(openDiskFile(path('a.qcow2'), { readOnly: true }), /they are a ring/);
  }));

test('snapshot: what is written is thrown away, and the file may be read only', () =>
  inFolder(async (path) => {
    writeFileSync(path('a.raw'), new Uint8Array(2 ** 20).fill(3), { mode: 0o444 });
    mkdirSync(path('temporary'));
    const kept = process.env['TMPDIR'];
    process.env['TMPDIR'] = path('temporary');
    try {
      const disk = await openDiskFile(path('a.raw'), { snapshot: true });
      assert.equal(disk.readOnly, false);
      await disk.write(4096, new Uint8Array(8192).fill(5));
      await disk.flush();
      const found = new Uint8Array(2 ** 20);
      await disk.read(0, found);
      assert.deepEqual([found[4095], found[4096], found[12_287], found[12_288]], [3, 5, 5, 3]);
      assert.deepEqual(readdirSync(path('temporary')), []);
      await disk.close();
    } finally {
      if (kept === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = kept;
    }
    assert.ok(readFileSync(path('a.raw')).every((byte) => byte === 3));
  }));

test('what is no image is refused with a line', () =>
  inFolder(async (path) => {
    spawnSync('mkfifo', [path('fifo')]);
    mkdirSync(path('folder'));
    writeFileSync(path('empty'), '');
    for (const [file, problem] of [
      [path('fifo'), /it is no file, but a device or a pipe/],
      [path('folder'), /it is a folder/],
      [path('nothing'), /there is no such file/],
      [path('empty'), /is empty/],
      ['/dev/null', /it is no file, but a device or a pipe/],
    ] as const) {
      const error = await openDiskFile(file).catch((one: unknown) => one);
      assert.ok(error instanceof Error && error.name === 'MachineError', `${file}: ${error}`);
      assert.match(error.message, problem);
    }
  }));

test('zeroes in a raw image take no room where there was none', () =>
  inFolder(async (path) => {
    const store = FileStore.open(path('a.raw'), { create: 'new' });
    await store.truncate(2 ** 26);
    await store.write(2 ** 20, new Uint8Array(4096).fill(1));
    await store.close();
    const disk = await openDiskFile(path('a.raw'));
    await disk.writeZeroes(0, 2 ** 26, true);
    await disk.close();
    assert.equal(await byteAt(path('a.raw')), 0);
    assert.ok(statSync(path('a.raw')).blocks * 512 < 2 ** 20);
    assert.ok(readFileSync(path('a.raw')).every((byte) => byte === 0));
  }));
