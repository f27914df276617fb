/** Images as files for a guest: archives, layers, layouts, registries. */
import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { FolderDirectory, FolderFile } from '../../src/machine/ninep/index.ts';
import { imageOfArchive, imageOfLayout } from '../../src/node/images/archives.ts';
import { LayeredFolder } from '../../src/node/images/layers.ts';
import { parseReference } from '../../src/node/images/reference.ts';
import { fetchImage } from '../../src/node/images/registry.ts';
import { readTar } from '../../src/node/images/tar.ts';
import { archive, digestOf, imageOf, serveImage } from './images.ts';

const folder = mkdtempSync(join(tmpdir(), 'powervisor-images-'));
const { XDG_CACHE_HOME } = process.env;
before(() => {
  process.env['XDG_CACHE_HOME'] = folder;
});
after(() => {
  if (XDG_CACHE_HOME === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = XDG_CACHE_HOME;
  rmSync(folder, { recursive: true });
});
let count = 0;
function fileOf(bytes: Uint8Array): string {
  const path = join(folder, `archive-${count++}`);
  writeFileSync(path, bytes);
  return path;
}

/** All of a tree: what `path` is, by paths. */
async function listing(layered: LayeredFolder): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const visit = async (directory: FolderDirectory, path: string): Promise<void> => {
    for (const name of (await directory.list(1000)).sort()) {
      const status = await directory.look(name);
      assert.ok(status);
      const kind = Number(status.mode) & 0o170000;
      const here = `${path}${name}`;
      if (kind === 0o040000) {
        found[`${here}/`] = (Number(status.mode) & 0o7777).toString(8);
        await visit(await directory.directory(name), `${here}/`);
      } else if (kind === 0o120000) found[here] = `-> ${await directory.readLink(name)}`;
      else if (kind === 0o100000)
        found[here] = await contents(await directory.file(name, { read: true, write: false }), status.size);
      else found[here] = `${kind.toString(8)} ${status.rdev}`;
    }
  };
  await visit(layered.root, '');
  return found;
}

async function contents(file: FolderFile, size: bigint): Promise<string> {
  const bytes = Buffer.alloc(Number(size) + 5);
  const read = await file.read(0, bytes);
  assert.equal(read, Number(size));
  return bytes.toString('utf8', 0, read);
}

async function merged(...layers: Parameters<typeof archive>[0][]): Promise<Record<string, string>> {
  const layered = new LayeredFolder('test', (await Promise.all(layers.map(archive))).map(fileOf));
  try {
    return await listing(layered);
  } finally {
    layered.close();
  }
}

/** The same with other numbers of a device, which modern-tar does not write. */
function asDevice(archived: Buffer, name: string, major: number, minor: number): Buffer {
  const bytes = Buffer.from(archived);
  const header = bytes.subarray(bytes.indexOf(`${name}\0`)).subarray(0, 512);
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;
  header.write(octal(major, 7), 329, 'latin1');
  header.write(octal(minor, 7), 337, 'latin1');
  header.fill(' ', 148, 156);
  header.write(
    octal(
      header.reduce((sum, byte) => sum + byte, 0),
      6,
    ),
    148,
    'latin1',
  );
  return bytes;
}

describe('layers', () => {
  it('what is above replaces, removes and adds', async () => {
    const found = await merged(
      { 'a/': { mode: 0o700 }, 'a/one': '1', 'a/two': '2', 'b/x': 'x', 'c/y/z': 'z', plain: 'p' },
      { 'a/one': 'other', 'a/.wh.two': '', 'b/.wh..wh..opq': '', 'b/new': 'n', '.wh.plain': '', 'c/y': 'a file now' },
    );
    assert.deepEqual(found, {
      'a/': '700',
      'a/one': 'other',
      'b/': '755',
      'b/new': 'n',
      'c/': '755',
      'c/y': 'a file now',
    });
  });

  it('links to directories lead there, other links are replaced, names of one file stay so', async () => {
    const found = await merged(
      {
        'usr/lib/': {},
        lib: { type: 'symlink', linkname: 'usr/lib' },
        'var/run': { type: 'symlink', linkname: '../run' },
        'run/': {},
        ring: { type: 'symlink', linkname: 'ring' },
        'usr/lib/real': 'shared',
        'usr/lib/same': { type: 'link', linkname: 'usr/lib/real' },
      },
      {
        'lib/': {},
        'lib/one.so': 'so',
        'var/run/pid': '1',
        ring: 'no ring',
        'new': { type: 'link', linkname: 'lib/real' },
      },
    );
    assert.deepEqual(found, {
      lib: '-> usr/lib',
      new: 'shared',
      ring: 'no ring',
      'run/': '644',
      'run/pid': '1',
      'usr/': '755',
      'usr/lib/': '644',
      'usr/lib/one.so': 'so',
      'usr/lib/real': 'shared',
      'usr/lib/same': 'shared',
      'var/': '755',
      'var/run': '-> ../run',
    });
  });

  it('owners, set-user-ID, devices, long names', async () => {
    const long = `${'directory/'.repeat(20)}${'n'.repeat(150)}`;
    const bytes = await archive({
      su: { mode: 0o4755, uid: 0, gid: 42, body: 'x' },
      null: { type: 'character-device' },
      [long]: 'deep',
    });
    const layered = new LayeredFolder('test', [fileOf(asDevice(bytes, 'null', 1, 3))]);
    const su = await layered.root.look('su');
    assert.deepEqual([su?.mode, su?.uid, su?.gid], [0o104755n, 0n, 42n]);
    const found = await listing(layered);
    assert.deepEqual([found['null'], found[long]], ['20000 259', 'deep']);
    layered.close();
  });

  it('an archive that is damaged, leads upwards or is cut off is refused in one line, whatever it is', async () => {
    const good = await archive({
      'a/b': 'text',
      c: { type: 'symlink', linkname: 'a' },
      [`${'x'.repeat(200)}`]: 'long',
    });
    const read = (bytes: Uint8Array): number => {
      const path = fileOf(bytes);
      const file = openSync(path, 'r');
      try {
        return [...readTar(file)].length;
      } finally {
        closeSync(file);
        rmSync(path);
      }
    };
    assert.equal(read(good), 3);
    assert.throws(() => read(good.subarray(0, 700)), /^MachineError: the archive is damaged: .*ends in the midst/);
    const upwards = await archive({ '../x': 'x' });
    assert.throws(() => read(upwards), /leads upwards$/);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, value, end) => {
        const bytes = Buffer.from(good.subarray(0, end));
        if (at < end) bytes[at] = value;
        try {
          read(bytes);
        } catch (error) {
          assert.match(String(error), /^MachineError: the archive is damaged: [^\n]+$/);
        }
      }),
      { numRuns: 300 },
    );
  });
});

const LAYERS: readonly Parameters<typeof archive>[0][] = [
  { 'bin/': {}, 'bin/sh': { mode: 0o755, body: 'first' }, gone: 'x' },
  { 'bin/sh': { mode: 0o755, body: 'second' }, '.wh.gone': '' },
  { 'etc/os': 'third' },
];
const CONFIG = {
  Env: ['PATH=/bin', 'A=b=c'],
  Entrypoint: ['/bin/sh'],
  Cmd: ['-c', 'x'],
  WorkingDir: '/etc',
  User: '5',
};
const EXPECTED = { 'bin/': '644', 'bin/sh': 'second', 'etc/': '755', 'etc/os': 'third' };

async function check(image: Awaited<ReturnType<typeof imageOfArchive>>): Promise<void> {
  const layered = new LayeredFolder('test', image.layers);
  assert.deepEqual(await listing(layered), EXPECTED);
  layered.close();
}

describe('images', () => {
  it('the layout as a folder and as archives, compressed too', async () => {
    const { blobs, index } = imageOf(await Promise.all(LAYERS.map(archive)), { config: CONFIG });
    const layout = join(folder, 'layout');
    mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
    writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    writeFileSync(join(layout, 'index.json'), index);
    for (const [digest, bytes] of blobs) writeFileSync(join(layout, 'blobs', digest.replace(':', '/')), bytes);
    const image = await imageOfLayout(layout, 'ppc64le');
    await check(image);
    assert.deepEqual(image.config, {
      env: { PATH: '/bin', A: 'b=c' },
      command: ['/bin/sh', '-c', 'x'],
      directory: '/etc',
      user: '5',
    });
    await assert.rejects(
      imageOfLayout(layout, 'ppc64'),
      /has nothing for linux\/ppc64; it has linux\/amd64, linux\/ppc64le$/,
    );
  });

  it('docker save, and an archive that is the root itself', async () => {
    const layers = await Promise.all(LAYERS.map(archive));
    const config = JSON.stringify({
      architecture: 'ppc64le',
      config: CONFIG,
      rootfs: { diff_ids: layers.map(digestOf) },
    });
    // Layers hold ASCII only, so they may stand as text.
    const saved = await archive({
      'manifest.json': JSON.stringify([{ Config: 'c.json', Layers: ['0/layer.tar', '1/layer.tar', '2/layer.tar'] }]),
      'c.json': config,
      ...Object.fromEntries(layers.map((layer, i) => [`${i}/layer.tar`, layer.toString('latin1')])),
    });
    await check(await imageOfArchive(fileOf(saved), 'ppc64le'));
    await check(await imageOfArchive(fileOf(gzipSync(saved)), 'ppc64le'));
    await assert.rejects(imageOfArchive(fileOf(saved), 'ppc64'), /is for ppc64le, not for linux\/ppc64$/);
    const root = await archive({ 'bin/': {}, 'bin/sh': 'second', 'etc/os': 'third' });
    const path = fileOf(gzipSync(root));
    for (let i = 0; i < 2; i++) await check(await imageOfArchive(path, 'ppc64'));
  });

  it('a registry: token, redirects without it, what is cached is not asked for again', async () => {
    // Of another time than those of the other tests, so that they are not in the cache.
    const layers = LAYERS.map((layer) => ({ 'bin/': { mtime: new Date(5000) }, ...layer }));
    const image = imageOf(await Promise.all(layers.map(archive)), { config: CONFIG });
    const registry = await serveImage('some/thing', image);
    try {
      const reference = parseReference(`${registry.host}/some/thing:1.0`);
      await check(await fetchImage(reference, 'ppc64le'));
      const blobs = registry.asked.filter((one) => one.startsWith('/sha256:'));
      assert.ok(registry.asked.some((one) => one.startsWith('/token?service=s&scope=repository')));
      assert.ok(blobs.length > 0 && blobs.every((one) => !one.endsWith('!')), blobs.join(' '));
      registry.asked.length = 0;
      await check(await fetchImage(reference, 'ppc64le'));
      assert.deepEqual(registry.asked, []);
      await fetchImage(reference, 'ppc64le', { refresh: true });
      assert.ok(registry.asked.length > 0);
      await assert.rejects(
        fetchImage(parseReference(`${registry.host}/some/other`), 'ppc64le'),
        /some\/other:latest: the registry has no such image, or not for everybody$/,
      );
    } finally {
      registry.close();
    }
  });

  it('a blob that is another than its digest says is refused, and not kept', async () => {
    const layers = [await archive({ wrong: 'right' })];
    const { blobs, index } = imageOf(layers);
    const changed = new Map(
      [...blobs].map(([digest, bytes]) => [digest, bytes.includes('right') ? Buffer.from('wrong') : bytes]),
    );
    const registry = await serveImage('bad', { blobs: changed, index });
    try {
      await assert.rejects(
        fetchImage(parseReference(`${registry.host}/bad:1.0`), 'ppc64le'),
        /its bytes are others than its digest says$/,
      );
      assert.deepEqual(
        readdirSync(join(folder, 'powervisor/images')).filter((name) => name.endsWith('.part')),
        [],
      );
    } finally {
      registry.close();
    }
  });
});

it('names of images', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const expected: Record<string, [string, string, string]> = {
    debian: ['registry-1.docker.io', 'library/debian', 'latest'],
    'debian:12': ['registry-1.docker.io', 'library/debian', '12'],
    'user/name': ['registry-1.docker.io', 'user/name', 'latest'],
    'ghcr.io/a/b/c:v1': ['ghcr.io', 'a/b/c', 'v1'],
    'localhost:5000/x': ['localhost:5000', 'x', 'latest'],
    [`quay.io/x/y@${digest}`]: ['quay.io', 'x/y', digest],
  };
  for (const [text, [registry, repository, version]] of Object.entries(expected))
    assert.deepEqual(parseReference(text), { registry, repository, version });
  for (const wrong of ['', 'A', 'a:', 'x/../y', 'a@sha256:1', 'http://x/y', 'a b'])
    assert.throws(() => parseReference(wrong), { name: 'MachineError' }, wrong);
});
