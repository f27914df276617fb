import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { packTar } from 'modern-tar';
import { modulesOf } from '../../src/node/run/run-archive.ts';
import { DpkgDatabase } from '../../tools/guests/dpkg-database.ts';
import { packAr } from '../packages/mirror.ts';

const tar = async (files: Record<string, string>): Promise<Buffer> =>
  Buffer.from(
    gzipSync(
      await packTar(
        Object.entries(files).map(([name, body]) => ({
          header: { name: `./${name}`, size: Buffer.byteLength(body, 'latin1') },
          body: Buffer.from(body, 'latin1'),
        })),
      ),
    ),
  );

const deb = async (control: Record<string, string>, data: Record<string, string>): Promise<Buffer> =>
  packAr([
    ['control.tar.gz', await tar(control)],
    ['data.tar.gz', await tar(data)],
  ]);

test("dpkg's database has packages that are unpacked, their lists, programs, conffiles and triggers", async () => {
  const database = new DpkgDatabase();
  await database.add(
    await deb(
      {
        control: 'Package: one\nVersion: 1-1\nArchitecture: ppc64el\nMulti-Arch: same\nDescription: first\n of two\n',
        postinst: '#!/bin/sh\n',
        conffiles: '/etc/one\n',
        triggers: 'interest-noawait ldconfig\ninterest /usr/share/one\nactivate other\n',
      },
      { 'etc/one': 'hello\n', 'usr/bin/one': 'program' },
    ),
  );
  await database.add(await deb({ control: 'Package: two\nArchitecture: all\n' }, {}));
  const files = new Map(database.entries().map((entry) => [entry.path.replace('var/lib/dpkg/', ''), entry]));
  const text = (name: string): string => Buffer.from(files.get(name)?.data ?? []).toString();
  assert.equal(
    text('status'),
    'Package: one\nStatus: install ok unpacked\nVersion: 1-1\nArchitecture: ppc64el\nMulti-Arch: same\n' +
      'Description: first\n of two\nConffiles:\n /etc/one b1946ac92492d2347c6235b4d2611184\n' +
      '\nPackage: two\nStatus: install ok unpacked\nArchitecture: all\n',
  );
  assert.equal(text('info/one:ppc64el.list'), '/.\n/etc/one\n/usr/bin/one\n');
  assert.equal((files.get('info/one:ppc64el.postinst')?.mode ?? 0) & 0o777, 0o755);
  assert.equal(text('triggers/ldconfig'), 'one:ppc64el/noawait\n');
  assert.equal(text('triggers/File'), '/usr/share/one one:ppc64el\n');
  assert.equal(text('info/two.list'), '/.\n');
});

test('modules come after those that they depend on', async () => {
  const ko = (depends: string): string => `ELF\0license=GPL\0depends=${depends}\0name=x\0`;
  const image = await deb(
    { control: 'Package: linux-image\n' },
    {
      'lib/modules/6.1/kernel/fs/ext4/ext4.ko': ko('mbcache,jbd2,crc-16'),
      'lib/modules/6.1/kernel/fs/jbd2/jbd2.ko': ko(''),
      'lib/modules/6.1/kernel/fs/mbcache.ko': ko(''),
      'lib/modules/6.1/kernel/lib/crc-16.ko': ko(''),
      'lib/modules/6.1/kernel/sound/sound.ko': ko(''),
    },
  );
  const files = [...(await modulesOf(image, ['ext4', 'jbd2'])).keys()];
  assert.deepEqual(files, ['mbcache', 'jbd2', 'crc_16', 'ext4']);
  await assert.rejects(modulesOf(image, ['nothing']), /has no module nothing/);
});
