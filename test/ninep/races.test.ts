import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { RemoteError, ROOT, text, u16, u32 } from './client.ts';
import { clientOf, hostFolder } from './places.ts';

const ROUNDS = 60;
const SECRET = 'what the guest must not see, nor change';

/** Everything of a folder that something could have changed. */
function contents(path: string): unknown {
  return fs
    .readdirSync(path, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { mode, mtimeMs, size, nlink, uid } = fs.lstatSync(`${path}/${name}`);
      return { name, mode, mtimeMs, size, nlink, uid };
    });
}

for (const slow of [false, true]) {
  test(`whoever exchanges directories and files for links leads nothing out of a folder${slow ? ', with calls that wait' : ''}`, {
    skip: process.platform !== 'linux',
  }, async (t) => {
    const { folder, path } = hostFolder(t);
    if (slow) folder.makeSlow();
    const base = fs.mkdtempSync(`${path}-outside-`);
    t.after(() => fs.rmSync(base, { recursive: true, force: true }));
    const outside = `${base}/outside`;
    fs.mkdirSync(`${outside}/e`, { recursive: true });
    for (const file of ['secret', 'f', 'victim', 'e/f', 'e/victim']) fs.writeFileSync(`${outside}/${file}`, SECRET);
    fs.mkdirSync(`${path}/d/e`, { recursive: true });
    for (const file of ['f', 'g', 'd/f', 'd/e/f']) fs.writeFileSync(`${path}/${file}`, 'inside');
    fs.linkSync(`${path}/g`, `${path}/g.kept`);
    execFileSync('mkfifo', [`${path}/pipe`]);
    const before = contents(outside);

    const [stop, turns] = [new Int32Array(new SharedArrayBuffer(4)), new Int32Array(new SharedArrayBuffer(4))];
    const racer = new Worker(new URL('./racer.ts', import.meta.url), {
      workerData: { share: path, outside, stop, turns },
    });
    const client = await clientOf(folder);
    /** What the guest got by an attempt; what it may be refused by is an error of Linux's. */
    const attempt = async <T>(body: () => Promise<T>): Promise<T | undefined> => {
      try {
        return await body();
      } catch (error) {
        if (error instanceof RemoteError) return undefined;
        throw error;
      }
    };
    let successes = 0;
    const readAll = async (name: string): Promise<void> => {
      const got = await attempt(() => client.readFile(name));
      if (got === undefined) return;
      successes++;
      assert.notEqual(got, SECRET);
    };
    while (Atomics.load(turns, 0) === 0) await new Promise((resolve) => setImmediate(resolve));
    // A directory that the guest knows already, whose name is exchanged.
    const known = await attempt(() => client.walk('/d/e'));
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of ['/f', '/g', '/d/f', '/d/secret', '/d/e/f', '/d/e/secret', '/d/e/../secret'])
        await readAll(name);
      await attempt(() => client.writeFile(`/d/new${round % 3}`, 'guest'));
      await attempt(() => client.writeFile('/d/e/new', 'guest'));
      await attempt(async () => client.clunk(await client.open('/g', 0o1001)));
      await attempt(async () => client.clunk(await client.open('/d/victim', 2)));
      await attempt(() => client.mkdir('/d/made'));
      await attempt(() => client.unlink('/d/made', 0x200));
      await attempt(() => client.symlink('/d/e/link', 'x'));
      await attempt(() => client.unlink('/d/victim'));
      await attempt(() => client.unlink('/d/e/victim'));
      await attempt(() => client.rename('/d/victim', '/stolen'));
      await attempt(() => client.rename('/d/secret', '/d/e/stolen'));
      await attempt(() => client.link('/d/secret', '/stolen'));
      for (const name of ['/f', '/g', '/d', '/d/f', '/d/secret', '/d/e', '/d/e/f'])
        await attempt(async () => {
          const fid = await client.walk(name);
          await attempt(() => client.setattr(fid, 1 | 0x20 | 0x100, { mode: 0o700, mtime: 1_000_000_000n }));
          await attempt(() => client.setattr(fid, 8, { size: 3 }));
          await client.clunk(fid);
        });
      if (known !== undefined) {
        const walked = await attempt(async () => {
          const fid = client.fid();
          const names = ['..', '..', '..', 'secret'];
          const answer = await client.ask('walk', u32(known), u32(fid), u16(names.length), ...names.map(text));
          return answer.u16() === names.length;
        });
        assert.ok(walked !== true);
        await attempt(() => client.ask('unlinkat', u32(known), text('victim'), u32(0)));
      }
      assert.ok(!(await client.list('/').catch((): string[] => [])).includes('secret'));
    }
    Atomics.store(stop, 0, 1);
    await once(racer, 'message');
    await racer.terminate();
    assert.ok(successes > 0, 'the guest got at some files');
    assert.deepEqual(contents(outside), before);
    for (const file of ['secret', 'f', 'victim', 'e/f', 'e/victim'])
      assert.equal(fs.readFileSync(`${outside}/${file}`, 'utf8'), SECRET);
    const { openFiles } = client.server.usage;
    client.server.reset();
    assert.ok(openFiles < 10);
    assert.deepEqual(client.server.usage, { fids: 0, entries: 1, openFiles: 0, openDirectories: 0 });
    assert.ok(ROOT);
  });
}

test('pipes, sockets and devices of the host are told of and not opened', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const { folder, path } = hostFolder(t);
  execFileSync('mkfifo', [`${path}/pipe`]);
  const client = await clientOf(folder);
  assert.equal((await client.stat('/pipe')).mode & 0o170000, 0o010000);
  for (const flags of [0, 1, 2, 0o4000]) await assert.rejects(client.open('/pipe', flags), { message: 'ENXIO' });
  await assert.rejects(client.create('/pipe', 0o644, 0o102), { message: 'ENXIO' });
  await assert.rejects(client.setattr(await client.walk('/pipe'), 8, { size: 0 }), { message: 'EINVAL' });
  await assert.rejects(client.setattr(await client.walk('/pipe'), 1, { mode: 0o777 }), { message: 'EOPNOTSUPP' });
  await client.unlink('/pipe');
});

test('descriptors are bounded, whatever a guest opens', { skip: process.platform !== 'linux' }, async (t) => {
  const { folder, path } = hostFolder(t);
  Object.defineProperty(folder, 'maxHandles', { value: 40 });
  const client = await clientOf(folder);
  for (let i = 0; i < 30; i++) fs.mkdirSync(`${path}/${i}/a`, { recursive: true });
  fs.writeFileSync(`${path}/f`, 'x');
  /** Descriptors of what is in the folder. */
  const open = (): number =>
    fs.readdirSync('/proc/self/fd').filter((descriptor) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(path);
      } catch {
        return false;
      }
    }).length;
  const before = open();
  for (let i = 0; i < 30; i++) assert.deepEqual(await client.list(`/${i}`), ['a']);
  const fids = [];
  for (let i = 0; i < 20; i++) fids.push(await client.open('/f'));
  await assert.rejects(client.open('/f'), { message: 'EMFILE' });
  await assert.rejects(client.create('/g'), { message: 'EMFILE' });
  const known = [];
  for (let i = 0; i < 30; i++) known.push(await client.walk(`/${i}/a`));
  for (const fid of known) await client.ask('mkdir', u32(fid), text('b'), u32(0o755), u32(0));
  assert.ok(open() - before <= 32, `${open() - before} more`);
  for (const fid of fids) await client.clunk(fid);
  await client.clunk(await client.open('/f'));
  client.server.reset();
  assert.equal(open(), before);
});
