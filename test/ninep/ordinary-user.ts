/** `ordinary-user.ts FOLDER`: what root in a guest may do in a folder that is an ordinary user's. Run by owner.test.ts as one. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { NodeFolder } from '../../src/node/index.ts';
import { clientOf } from './places.ts';

const path = process.argv[2] as string;
assert.notEqual(process.getuid?.(), 0);
const folder = new NodeFolder(path);
const client = await clientOf(folder);
const mode = (name: string): number => fs.lstatSync(`${path}/${name}`).mode & 0o7777;
const set = async (name: string, permissions: number): Promise<void> => {
  const fid = await client.walk(name);
  await client.setattr(fid, 1, { mode: permissions });
  await client.clunk(fid);
};

assert.equal((await client.stat('/')).uid, 0, 'who owns the folder is root in the guest');

await client.writeFile('/f', 'one');
await set('/f', 0);
assert.equal(mode('f'), 0, 'the host has the mode that the guest has set');
assert.equal(await client.readFile('/f'), 'one');
const fid = await client.open('/f', 2);
await client.write(fid, 0, 'two');
await client.clunk(fid);
assert.equal(await client.readFile('/f'), 'two');
const truncated = await client.walk('/f');
await client.setattr(truncated, 8, { size: 2 });
assert.equal(mode('f'), 0, 'and has it still');

await client.mkdir('/d');
await client.mkdir('/d/e');
await client.writeFile('/d/g', '');
await set('/d', 0o555);
await client.writeFile('/d/f', 'x');
await client.mkdir('/d/made');
await client.symlink('/d/l', 'x');
await client.link('/f', '/d/h');
await client.rename('/d/f', '/d/moved');
await client.rename('/d/moved', '/d/e/moved');
await client.rename('/f', '/d/f');
await client.unlink('/d/g');
await client.unlink('/d/made', 0x200);
assert.deepEqual(await client.list('/d'), ['e', 'f', 'h', 'l']);
assert.equal(mode('d'), 0o555);
await set('/d', 0o333);
assert.deepEqual(await client.list('/d'), ['e', 'f', 'h', 'l']);

await client.mknod('/null', 0o020666, 1, 3);
await set('/d', 0o4755);
assert.deepEqual([(await client.stat('/d')).mode, mode('d')], [0o044755, 0o755]);
const owned = await client.walk('/d');
await client.setattr(owned, 2 | 4, { uid: 33, gid: 44 });
const status = await client.attributes(owned);
assert.deepEqual([status.uid, status.gid], [33, 44]);

await assert.rejects(client.writeFile('/of-root/f', ''), { message: 'EACCES' });
await assert.rejects(client.readFile('/of-root/secret'), { message: 'EACCES' });
folder.close();
console.log('done');
