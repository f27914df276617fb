import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Folder } from '../../src/machine/ninep/index.ts';
import { type Client, Fields, fails, message, ROOT, text, u8, u16, u32, u64 } from './client.ts';
import { clientOf, PLACES } from './places.ts';

const SETATTR = { mode: 1, uid: 2, gid: 4, size: 8, atime: 0x10, mtime: 0x20, atimeSet: 0x80, mtimeSet: 0x100 };
const BASE = { fids: 1, entries: 1, openFiles: 0, openDirectories: 0 };

interface Share {
  readonly folder: Folder;
  /** Where the host sees it. */
  readonly path: string | undefined;
  readonly client: Client;
}

for (const place of PLACES) {
  const on = (what: string, body: (share: Share) => Promise<void>): void => {
    test(`${place.name}: ${what}`, async (t) => {
      const { folder, path } = place.make(t);
      await body({ folder, path, client: await clientOf(folder) });
    });
  };

  on('files are made, written, read, listed and removed', async ({ client }) => {
    await client.mkdir('/a');
    await client.writeFile('/a/one', 'first');
    await client.writeFile('/a/two', 'second');
    assert.equal(await client.readFile('/a/one'), 'first');
    assert.deepEqual(await client.list('/a'), ['one', 'two']);
    assert.deepEqual(await client.list('/'), ['a']);
    const status = await client.stat('/a/two');
    assert.deepEqual([status.size, status.mode, status.uid, status.nlink], [6, 0o100644, 0, 1]);
    await fails(client.unlink('/a', 0x200), 'ENOTEMPTY');
    await fails(client.unlink('/a'), 'EISDIR');
    await fails(client.unlink('/a/one', 0x200), 'ENOTDIR');
    await client.unlink('/a/one');
    await client.unlink('/a/two');
    await client.unlink('/a', 0x200);
    assert.deepEqual(await client.list('/'), []);
    const { openDirectories, ...usage } = client.server.usage;
    assert.deepEqual({ ...usage, openDirectories: 0 }, BASE);
    assert.equal(openDirectories, 0);
  });

  on('a walk goes as far as it can, and leaves the new fid alone if that is not the end', async ({ client }) => {
    await client.mkdir('/a');
    await client.mkdir('/a/b');
    const fields = await client.ask('walk', u32(ROOT), u32(50), u16(3), text('a'), text('b'), text('c'));
    assert.equal(fields.u16(), 2);
    await fails(client.attributes(50), 'EBADF');
    await fails(client.walk('/x'), 'ENOENT');
    const up = await client.walk('/a/b/../..');
    assert.deepEqual((await client.attributes(up)).qid, (await client.attributes(ROOT)).qid);
    const above = await client.walk('/../../..');
    assert.deepEqual((await client.attributes(above)).qid, (await client.attributes(ROOT)).qid);
    await client.writeFile('/file', '');
    await fails(client.walk('/file/..'), 'ENOENT');
  });

  on('names that are none are refused', async ({ client }) => {
    for (const name of ['a/b', '/', 'a\0b', '']) {
      await fails(client.ask('walk', u32(ROOT), u32(60), u16(1), text(name)), 'ENOENT');
      await fails(client.ask('mkdir', u32(ROOT), text(name), u32(0o755), u32(0)), 'ENOENT');
      await fails(client.ask('symlink', u32(ROOT), text(name), text('x'), u32(0)), 'ENOENT');
      await fails(client.ask('unlinkat', u32(ROOT), text(name), u32(0)), 'ENOENT');
    }
    for (const name of ['.', '..']) {
      await fails(client.ask('mkdir', u32(ROOT), text(name), u32(0o755), u32(0)), 'EEXIST');
      await fails(client.ask('renameat', u32(ROOT), text(name), u32(ROOT), text('x')), 'EBUSY');
    }
    await fails(client.ask('unlinkat', u32(ROOT), text('..'), u32(0x200)), 'ENOTEMPTY');
    await fails(client.ask('mkdir', u32(ROOT), text('n'.repeat(256)), u32(0o755), u32(0)), 'ENAMETOOLONG');
    await client.mkdir(`/${'n'.repeat(255)}`);
  });

  on('names are bytes', async ({ client }) => {
    await client.writeFile('/\xff\xfe\x80', 'bytes');
    assert.deepEqual(await client.list('/'), ['\xff\xfe\x80']);
    assert.equal(await client.readFile('/\xff\xfe\x80'), 'bytes');
    await client.symlink('/l', '\xe9');
    assert.equal(await client.readlink('/l'), '\xe9');
  });

  on('symbolic links are told, and followed by nobody', async ({ client }) => {
    await client.mkdir('/d');
    await client.writeFile('/d/f', 'x');
    await client.symlink('/l', 'd');
    await client.symlink('/out', '/etc/passwd');
    assert.equal(await client.readlink('/l'), 'd');
    assert.equal((await client.stat('/l')).mode & 0o170000, 0o120000);
    assert.equal((await client.stat('/l')).size, 1);
    await fails(client.walk('/l/f'), 'ENOENT');
    await fails(client.ask('walk', u32(await client.walk('/l')), u32(70), u16(1), text('f')), 'ENOTDIR');
    await fails(client.open('/out'), 'ELOOP');
    await fails(
      client.ask('lcreate', u32(await client.walk('')), text('out'), u32(0o102), u32(0o644), u32(0)),
      'ELOOP',
    );
    const fid = await client.walk('/out');
    await fails(client.setattr(fid, SETATTR.size, { size: 0 }), 'EINVAL');
  });

  on('a file that was unlinked while it is open goes on', async ({ client }) => {
    await client.writeFile('/f', 'contents');
    const known = await client.walk('/f');
    const open = await client.open('/f', 2);
    await client.unlink('/f');
    assert.equal(Buffer.from(await client.read(open, 0, 100)).toString(), 'contents');
    await client.write(open, 8, ' more');
    assert.equal((await client.attributes(open)).size, 13);
    assert.equal((await client.attributes(known)).size, 13, 'a fid that is not open, of the same file');
    assert.equal((await client.attributes(known)).nlink, 0);
    await client.setattr(open, SETATTR.size, { size: 4 });
    await client.setattr(known, SETATTR.mode, { mode: 0o600 });
    assert.equal((await client.attributes(known)).mode, 0o100600);
    assert.equal(Buffer.from(await client.read(open, 0, 100)).toString(), 'cont');
    await client.clunk(open);
    await client.openFid(known, 0).catch((error: Error) => assert.equal(error.message, 'ENOENT'));
    await client.clunk(known);
    assert.deepEqual(client.server.usage, BASE);
  });

  on('a file that was unlinked before it is opened goes on', async ({ client }) => {
    await client.writeFile('/f', 'contents');
    const known = await client.walk('/f');
    await client.unlink('/f');
    await client.writeFile('/f', 'another');
    assert.equal((await client.attributes(known)).size, 8);
    await client.openFid(known, 2);
    assert.equal(Buffer.from(await client.read(known, 0, 100)).toString(), 'contents');
    await client.clunk(known);
    assert.deepEqual(client.server.usage, BASE);
  });

  on('a file that another was renamed over goes on', async ({ client }) => {
    await client.writeFile('/old', 'old');
    await client.writeFile('/new', 'new');
    const open = await client.open('/old');
    await client.rename('/new', '/old');
    assert.equal(Buffer.from(await client.read(open, 0, 100)).toString(), 'old');
    assert.equal(await client.readFile('/old'), 'new');
    await fails(client.walk('/new'), 'ENOENT');
  });

  on('fids follow what is renamed', async ({ client }) => {
    await client.mkdir('/a');
    await client.mkdir('/a/b');
    await client.writeFile('/a/b/f', 'x');
    const file = await client.walk('/a/b/f');
    const directory = await client.walk('/a/b');
    await client.rename('/a', '/z');
    assert.equal((await client.attributes(file)).size, 1);
    await client.openFid(file);
    await client.ask('lcreate', u32(directory), text('g'), u32(0o302), u32(0o644), u32(0));
    assert.deepEqual(await client.list('/z/b'), ['f', 'g']);
    await fails(client.rename('/z', '/z/b/c'), 'EINVAL');
    await client.mkdir('/full');
    await client.mkdir('/full/x');
    await fails(client.rename('/z', '/full'), 'ENOTEMPTY');
    const moving = await client.walk('/z');
    await client.ask('rename', u32(moving), u32(ROOT), text('y'));
    assert.deepEqual(await client.list('/'), ['full', 'y']);
  });

  on('hard links are one file', async ({ client }) => {
    await client.writeFile('/f', 'x');
    await client.link('/f', '/g');
    const [one, other] = [await client.stat('/f'), await client.stat('/g')];
    assert.equal(one.qid.path, other.qid.path);
    assert.equal(other.nlink, 2);
    await fails(client.link('/f', '/g'), 'EEXIST');
    await client.rename('/f', '/g');
    assert.deepEqual(await client.list('/'), ['f', 'g'], 'a rename of one name over another does nothing');
    await client.mkdir('/d');
    await fails(client.link('/d', '/e'), 'EPERM');
    await client.unlink('/f');
    assert.equal((await client.stat('/g')).nlink, 1);
  });

  on('a listing is of the time when it was begun, and its places stay', async ({ client }) => {
    await client.mkdir('/d');
    for (let i = 0; i < 60; i++) await client.writeFile(`/d/f${String(i).padStart(2, '0')}`, '');
    const fid = await client.open('/d', 0o200000);
    const first = await client.entries(fid, 0n, 300);
    const seen = first.map(({ name }) => name);
    for (let i = 0; i < 30; i++) await client.unlink(`/d/f${String(i).padStart(2, '0')}`);
    for (let i = 0; i < 30; i++) await client.writeFile(`/d/a${i}`, '');
    let offset = first.at(-1)?.offset as bigint;
    for (;;) {
      const piece = await client.entries(fid, offset, 300);
      if (piece.length === 0) break;
      seen.push(...piece.map(({ name }) => name));
      offset = piece.at(-1)?.offset as bigint;
    }
    assert.equal(new Set(seen).size, seen.length, 'nothing comes twice');
    for (let i = 30; i < 60; i++) assert.ok(seen.includes(`f${i}`), 'what stays comes once');
    assert.equal((await client.entries(fid, first[5]?.offset as bigint, 300))[0]?.name.startsWith('f'), true);
    assert.equal((await client.names(fid)).length, 62, 'from the beginning, as it is by then');
  });

  on('a listing that is forgotten goes on at its place', async ({ folder }) => {
    const client = await clientOf(folder, { maxListingBytes: 1 });
    await client.mkdir('/d');
    await client.mkdir('/e');
    for (let i = 0; i < 40; i++) await client.writeFile(`/d/f${String(i).padStart(2, '0')}`, '');
    const fid = await client.open('/d', 0o200000);
    const other = await client.open('/e', 0o200000);
    const seen: string[] = [];
    for (let offset = 0n, i = 0; ; i++) {
      const piece = await client.entries(fid, offset, 300);
      if (piece.length === 0) break;
      seen.push(...piece.map(({ name }) => name));
      offset = piece.at(-1)?.offset as bigint;
      assert.deepEqual(await client.names(other), ['.', '..']);
      await client.writeFile(`/d/a${i}`, '');
    }
    assert.equal(new Set(seen).size, seen.length);
    assert.equal(seen.filter((name) => name.startsWith('f')).length, 40);
  });

  on('owners, special modes and devices are kept beside the files', async ({ client, path }) => {
    await client.writeFile('/f', 'x');
    const fid = await client.walk('/f');
    await client.setattr(fid, SETATTR.uid | SETATTR.gid, { uid: 1234, gid: 55 });
    await client.setattr(fid, SETATTR.mode, { mode: 0o6751 });
    let status = await client.attributes(fid);
    assert.deepEqual([status.uid, status.gid, status.mode], [1234, 55, 0o106751]);
    await client.mknod('/null', 0o020666, 1, 3);
    await client.mknod('/pipe', 0o010644, 0, 0);
    status = await client.stat('/null');
    assert.deepEqual([status.mode, status.rdev, status.size], [0o020666, 0x103, 0]);
    assert.equal((await client.stat('/pipe')).mode, 0o010644);
    await fails(client.open('/null'), 'ENXIO');
    await client.rename('/f', '/moved');
    assert.equal((await client.stat('/moved')).uid, 1234);
    await client.unlink('/null');
    await client.writeFile('/null', '');
    assert.equal((await client.stat('/null')).mode, 0o100644);
    const list = await client.open('/', 0o200000);
    assert.deepEqual(
      (await client.entries(list, 0n, 4096)).map(({ name, type }) => [name, type]),
      [
        ['.', 4],
        ['..', 4],
        ['moved', 8],
        ['null', 8],
        ['pipe', 1],
      ],
    );
    if (path === undefined) return;
    const { lstatSync } = await import('node:fs');
    const host = lstatSync(`${path}/moved`);
    assert.deepEqual([host.uid, host.mode], [process.getuid?.(), 0o100751]);
    assert.ok(lstatSync(`${path}/pipe`).isFile());
  });

  on('files belong to who makes them, and lose setuid when somebody else writes', async ({ folder }) => {
    const client = await clientOf(folder, {}, 1000);
    const fid = await client.create('/f', 0o4755, 0o302, 1001);
    assert.deepEqual(
      await client.attributes(fid).then(({ uid, gid, mode }) => [uid, gid, mode]),
      [1000, 1001, 0o104755],
    );
    await client.write(fid, 0, 'x');
    assert.equal((await client.attributes(fid)).mode, 0o100755);
    await client.mkdir('/d', 0o1777, 1001);
    assert.deepEqual(await client.stat('/d').then(({ uid, gid, mode }) => [uid, gid, mode]), [1000, 1001, 0o041777]);
  });

  on('sizes and times are set', async ({ client }) => {
    await client.writeFile('/f', 'contents');
    const fid = await client.walk('/f');
    await client.setattr(fid, SETATTR.size, { size: 100_000 });
    assert.equal((await client.attributes(fid)).size, 100_000);
    const mtime = 1_700_000_000_250_000_000n;
    await client.setattr(fid, SETATTR.mtime | SETATTR.mtimeSet, { mtime });
    assert.equal((await client.attributes(fid)).mtimeNs, mtime);
    const before = (await client.attributes(fid)).atimeNs;
    await client.setattr(fid, SETATTR.mtime, {});
    const after = await client.attributes(fid);
    assert.ok(after.mtimeNs > mtime, 'now');
    assert.ok(after.atimeNs - before < 1000n && before - after.atimeNs < 1000n, 'the other time stays');
    await client.symlink('/l', 'f');
    const link = await client.walk('/l');
    await client.setattr(link, SETATTR.mtime | SETATTR.mtimeSet, { mtime });
    assert.equal((await client.attributes(link)).mtimeNs, mtime);
    assert.notEqual((await client.attributes(fid)).mtimeNs, mtime);
  });

  on('a folder that is not writable stays as it is', async ({ folder, client: writer }) => {
    await writer.writeFile('/f', 'contents');
    await writer.mkdir('/d');
    const client = await clientOf(folder, { writable: false });
    await fails(client.create('/g'), 'EROFS');
    await fails(client.open('/f', 1), 'EROFS');
    await fails(client.open('/f', 2), 'EROFS');
    await fails(client.open('/f', 0o1000), 'EROFS');
    await fails(client.mkdir('/e'), 'EROFS');
    await fails(client.symlink('/e', 'f'), 'EROFS');
    await fails(client.mknod('/e', 0o100644, 0, 0), 'EROFS');
    await fails(client.unlink('/f'), 'EROFS');
    await fails(client.unlink('/d', 0x200), 'EROFS');
    await fails(client.rename('/f', '/g'), 'EROFS');
    await fails(client.link('/f', '/g'), 'EROFS');
    const fid = await client.walk('/f');
    await fails(client.setattr(fid, SETATTR.mode, { mode: 0 }), 'EROFS');
    await fails(client.setattr(fid, SETATTR.uid, { uid: 3 }), 'EROFS');
    await fails(client.ask('rename', u32(fid), u32(ROOT), text('x')), 'EROFS');
    await fails(client.ask('remove', u32(fid)), 'EROFS');
    assert.equal(await client.readFile('/f'), 'contents');
    assert.deepEqual(await client.list('/'), ['d', 'f']);
  });

  on('requests that do not fit are answered by their errors', async ({ client }) => {
    await client.writeFile('/f', 'x');
    const open = await client.open('/f');
    await fails(client.openFid(open), 'EBADF');
    await fails(client.write(open, 0, 'y'), 'EBADF');
    await fails(client.entries(open, 0n, 100), 'ENOTDIR');
    await fails(client.open('/f', 0o200000), 'ENOTDIR');
    await fails(client.open('/', 2), 'EISDIR');
    const list = await client.open('/', 0o200000);
    await fails(client.read(list, 0, 100), 'EISDIR');
    await fails(client.entries(list, 0n, 3), 'EINVAL');
    await fails(client.clunk(9999), 'EBADF');
    await fails(client.attach(ROOT, 0), 'EBADF');
    await fails(client.ask('walk', u32(ROOT), u32(open), u16(0)), 'EBADF');
    await fails(client.ask('walk', u32(ROOT), u32(61), u16(17), ...Array(17).fill(text('a'))), 'EINVAL');
    await fails(client.ask('mkdir', u32(ROOT), text('short')), 'EPROTO');
    await fails(client.ask('xattrwalk', u32(ROOT), u32(62), text('security.capability')), 'EOPNOTSUPP');
    await fails(client.ask('xattrcreate', u32(ROOT), text('user.x'), u64(1), u32(0)), 'EOPNOTSUPP');
    await fails(client.ask('auth', u32(1), text(''), text(''), u32(0)), 'EOPNOTSUPP');
    await fails(client.ask('readlink', u32(ROOT)), 'EINVAL');
    await fails(client.ask('remove', u32(await client.walk('/'))), 'EBUSY');
    await fails(client.read(open, Number.MAX_SAFE_INTEGER + 1, 1), 'EINVAL');
    assert.equal((await client.read(open, 2 ** 40, 10)).length, 0);
    await fails(client.mknod('/x', 0o040755, 0, 0), 'EINVAL');
    assert.equal(await client.raw(Uint8Array.of(1, 2, 3)), undefined);
    assert.equal(await client.raw(message(116, 1, u32(open)), 10), undefined);
  });

  on('locks are granted, syncs and room answered', async ({ client }) => {
    const fid = await client.create('/f');
    const lock = [u8(1), u32(0), u64(0), u64(0), u32(77), text('host')];
    assert.equal((await client.ask('lock', u32(fid), ...lock)).u8(), 0);
    const free = await client.ask('getlock', u32(fid), u8(1), u64(5), u64(6), u32(77), text('host'));
    assert.deepEqual([free.u8(), free.u64(), free.u64(), free.u32(), free.string()], [2, 5n, 6n, 77, 'host']);
    await client.ask('fsync', u32(fid), u32(1));
    await client.ask('fsync', u32(await client.open('/', 0o200000)), u32(0));
    const room = await client.ask('statfs', u32(ROOT));
    assert.equal(room.u32(), 0x01021997);
    assert.ok(room.u32() >= 512);
    const [blocks, left] = [room.u64(), room.u64()];
    assert.ok(blocks >= left);
  });

  on('a server that is closed lets the folder go when nothing is under way', async ({ client, folder }) => {
    let closed = 0;
    const close = folder.close.bind(folder);
    folder.close = () => void closed++;
    const fid = await client.create('/f');
    const synced = client.server.answer(message(50, 3, u32(fid), u32(0)), 100);
    client.server.close();
    assert.equal(closed, synced instanceof Promise ? 0 : 1);
    await synced;
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(closed, 1);
    folder.close = close;
  });

  on('a new version begins anew', async ({ client }) => {
    await client.writeFile('/f', 'x');
    await client.open('/f');
    await client.start();
    assert.deepEqual(client.server.usage, BASE);
    const unknown = await client.ask('version', u32(8192), text('9P2000'));
    assert.deepEqual([unknown.u32(), unknown.string()], [8192, 'unknown']);
    await fails(client.attach(5, 0), 'EPROTO');
    await fails(client.ask('version', u32(100), text('9P2000.L')), 'EMSGSIZE');
  });

  on('a flush is answered behind the request that it is for', async ({ client }) => {
    const fid = await client.create('/f');
    const order: string[] = [];
    const answer = async (name: string, request: Uint8Array): Promise<Uint8Array | undefined> => {
      const copy = await client.raw(request);
      order.push(name);
      return copy;
    };
    const [synced, flushed] = await Promise.all([
      answer('sync', message(50, 3, u32(fid), u32(0))),
      answer('flush', message(108, 4, u16(3))),
    ]);
    assert.deepEqual(order, ['sync', 'flush']);
    assert.equal(synced?.[4], 51);
    assert.equal(flushed?.[4], 109);
    assert.equal(new Fields(flushed as Uint8Array).view.getUint16(5, true), 4);
  });

  on('what is under way at a reset leaves nothing open', async ({ client }) => {
    await client.mkdir('/d');
    await client.writeFile('/d/f', 'x');
    const walked = await client.walk('/d/f');
    await client.start();
    const fid = await client.walk('/d/f');
    const under = [
      client.server.answer(message(12, 1, u32(fid), u32(0)), 1000),
      client.server.answer(message(110, 2, u32(ROOT), u32(90), u16(1), text('d')), 1000),
      client.server.answer(message(14, 3, u32(ROOT), text('new'), u32(0o102), u32(0o644), u32(0)), 1000),
    ];
    client.server.reset();
    await Promise.all(under);
    assert.deepEqual(client.server.usage, { ...BASE, fids: 0 });
    assert.ok(walked);
  });

  on('what is open goes on in another server, by its saved state', async ({ client, folder }) => {
    await client.mkdir('/d');
    for (const name of ['a', 'b', 'c', 'x', 'y']) await client.writeFile(`/d/${name}`, name);
    const known = await client.walk('/d/a');
    await client.setattr(known, SETATTR.uid, { uid: 7 });
    const open = await client.open('/d/b', 2);
    const gone = await client.open('/d/c');
    const list = await client.open('/d', 0o200000);
    const first = await client.entries(list, 0n, 140);
    await client.unlink('/d/c');
    const { qid } = await client.attributes(known);
    const state = client.server.save();

    const other = await clientOf(folder);
    other.server.restore(JSON.parse(JSON.stringify(state)));
    await other.unlink('/d/x');
    assert.deepEqual(await other.attributes(known).then((status) => [status.uid, status.qid]), [7, qid]);
    await other.write(open, 1, 'more');
    assert.equal(Buffer.from(await other.read(open, 0, 10)).toString(), 'bmore');
    await fails(other.read(gone, 0, 10), 'EBADF');
    await fails(other.attributes(gone), 'ENOENT');
    const rest = await other.entries(list, first.at(-1)?.offset as bigint, 4096);
    assert.deepEqual(
      [...first, ...rest].map(({ name }) => name),
      ['.', '..', 'a', 'b', 'c', 'y'],
    );
    assert.deepEqual(Object.keys(other.server.save()), Object.keys(state));
    other.server.reset();
    assert.deepEqual(other.server.usage, { ...BASE, fids: 0 });
  });

  on('a state that is none is refused, and what is open stays', async ({ client }) => {
    await client.writeFile('/f', 'x');
    const open = await client.open('/f');
    const state = JSON.stringify(client.server.save());
    for (const [from, to] of [
      ['"path":"f"', '"path":"../f"'],
      ['"path":"f"', '"path":"a//f"'],
      ['"path":"f"', '"path":"\u0100"'],
      ['"path":"f"', '"path":5'],
      ['"uid":0', '"uid":-1'],
      ['"messageBytes":65536', '"messageBytes":1e9'],
      ['"read":true', '"read":1'],
      ['"systems":{', '"systems":{"x":1,'],
      ['"owners":{}', '"owners":{"1":{"special":0}}'],
      ['"fids":{', '"fids":{"-1":{},'],
      ['"fids"', '"other"'],
    ] as const) {
      assert.ok(state.includes(from), from);
      assert.throws(() => client.server.restore(JSON.parse(state.replace(from, to))), /the saved state/, to);
    }
    assert.equal(JSON.stringify(client.server.save()), state);
    assert.equal((await client.read(open, 0, 1)).length, 1);
  });

  on('answers are no longer than there is room for', async ({ client }) => {
    const fid = await client.create('/f');
    await client.write(fid, 0, 'x'.repeat(1000));
    const piece = await client.raw(message(116, 1, u32(fid), u64(0), u32(1000)), 111);
    assert.equal(piece?.length, 111);
    const attributes = await client.raw(message(24, 1, u32(fid), u64(0)), 50);
    assert.equal(attributes?.[4], 7);
  });
}

test('what a guest can know is bounded', async () => {
  const { folder } = PLACES[0]?.make(undefined as never) as ReturnType<(typeof PLACES)[0]['make']>;
  const client = await clientOf(folder, { maxEntries: 10 });
  let depth = 0;
  let fid = ROOT;
  await assert.rejects(
    async () => {
      for (; ; depth++) {
        await client.ask('mkdir', u32(fid), text('d'), u32(0o755), u32(0));
        fid = await client.walk('d', fid);
      }
    },
    { message: 'ENFILE' },
  );
  assert.equal(depth, 9);
  assert.equal(client.server.usage.entries, 10);
});
