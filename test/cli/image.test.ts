import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { hasQemuImg, inFolder, qemuImg } from '../disks/qemu-img.ts';
import { run } from './command.ts';

test('image create, info and check say what qemu-img says', () =>
  inFolder(async (path) => {
    const image = async (status: number, ...words: string[]) => {
      const result = await run(['image', ...words]);
      assert.equal(result.status, status, `${words.join(' ')}: ${result.stdout}${result.stderr}`);
      return result.stdout;
    };
    await image(0, 'create', path('a.qcow2'), '1.5G');
    await image(0, 'create', '-b', 'a.qcow2', '-F', 'qcow2', '-f', 'qcow2', '-o', 'cluster_size=4k', path('b'));
    const described = JSON.parse(await image(0, 'info', '--output', 'json', path('b')));
    assert.equal(described['virtual-size'], 1.5 * 2 ** 30);
    assert.equal(described['backing-filename'], 'a.qcow2');
    assert.match(
      await image(0, 'check', path('b')),
      /^No errors were found on the image\.\n0\/393216 = 0\.00% allocated/,
    );
    if (hasQemuImg) {
      const theirs = JSON.parse(qemuImg('info', '--output=json', path('b')));
      for (const [name, value] of Object.entries(described))
        if (name !== 'filename') assert.deepEqual(value, theirs[name], name);
      assert.deepEqual(
        JSON.parse(await image(0, 'check', '--output', 'json', path('a.qcow2'))),
        JSON.parse(qemuImg('check', '--output=json', path('a.qcow2'))),
      );
    }
    await image(0, 'create', path('c.raw'), '1M');
    await image(63, 'check', path('c.raw'));
    await image(2, 'create', path('d'));
    await image(2, 'create', path('d'), '12X');
    await image(2, 'create', '-f', 'vmdk', path('d'), '1G');
    await image(1, 'create', '-f', 'qcow2', '-o', 'cluster_size=100', path('d'), '1G');
    await image(1, 'info', path('nothing'));
    // Damage: a count that is too low, and one that is too high.
    const bytes = readFileSync(path('a.qcow2'));
    bytes.writeUInt16BE(0, 2 * 65_536 + 2);
    bytes.writeUInt16BE(1, 2 * 65_536 + 200);
    writeFileSync(path('a.qcow2'), bytes);
    assert.match(await image(2, 'check', path('a.qcow2')), /^error: cluster 1 is counted 0 times, and used 1 times$/m);
    await image(0, 'check', '-r', 'all', path('a.qcow2'));
    await image(0, 'check', path('a.qcow2'));
    if (hasQemuImg) qemuImg('check', path('a.qcow2'));
  }));

test('image convert keeps every byte, and zeroes take no room', () =>
  inFolder(async (path) => {
    const contents = new Uint8Array(5 * 2 ** 20 + 512);
    for (let i = 0; i < 70_000; i++) contents[i * 19 + 2 ** 20] = i;
    writeFileSync(path('a.raw'), contents);
    let from = path('a.raw');
    for (const words of [
      ['b.qcow2'],
      ['-c', 'c.qcow2'],
      ['-c', '-o', 'compression_type=zstd,cluster_size=4k', 'd.qcow2'],
      ['-O', 'qcow2', '-o', 'cluster_size=512,refcount_bits=1', 'e'],
      ['-f', 'qcow2', 'f.raw'],
    ]) {
      const to = path(words.at(-1) ?? '');
      const result = await run(['image', 'convert', ...words.slice(0, -1), from, to]);
      assert.equal(result.status, 0, result.stderr);
      if (hasQemuImg && !to.endsWith('.raw')) qemuImg('check', '-f', 'qcow2', to);
      from = to;
    }
    assert.equal(Buffer.compare(readFileSync(path('f.raw')), contents), 0);
    const result = await run(['image', 'convert', path('e'), path('g.raw')]);
    assert.equal(result.status, 1);
    assert.match(result.stderr, /looks like qcow2/);
  }));
