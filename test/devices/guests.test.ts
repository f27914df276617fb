import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GUESTS, type GuestName, tryDevices } from './work.ts';

const folders: Readonly<Partial<Record<GuestName, string | undefined>>> = {
  '440-devices': process.env['POWERVISOR_TEST_GUEST_440_DEVICES'],
  'e500-devices': process.env['POWERVISOR_TEST_GUEST_E500_DEVICES'],
  'book3s64-devices': process.env['POWERVISOR_TEST_GUEST_BOOK3S64_DEVICES'],
};

for (const [name, folder] of Object.entries(folders) as [GuestName, string | undefined][])
  for (const bus of GUESTS[name].buses)
    test(`${name}, ${bus}: a file is the same over disks, folder, overlay and network`, {
      skip: folder === undefined && 'the guest is not there',
    }, async () => {
      const { problems, console } = await tryDevices(name, folder as string, bus, 2 ** 20);
      assert.deepEqual(problems, [], console);
    });
