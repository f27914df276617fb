/** Images with bits that are not as they were: a line for each, or it works; nothing else is thrown, and nothing hangs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { checkQcow2, createQcow2, openDisk, Qcow2Disk, RawDisk, readHeader } from '../../src/machine/disks/index.ts';
import { MachineError } from '../../src/machine/index.ts';
import { nodeCodecs } from '../../src/node/disks/index.ts';
import { MemoryStore, randomBytes, randomNumbers } from './memory-store.ts';

const SIZE = 2 ** 20;
const MOST_FILE_BYTES = 2 ** 26;

async function sound(clusterBytes: number): Promise<Uint8Array> {
  const store = new MemoryStore('image');
  await createQcow2(store, SIZE, { clusterBytes, backing: { name: 'base', format: 'raw' } });
  const random = randomNumbers(clusterBytes);
  const base = await RawDisk.open(new MemoryStore('base', new Uint8Array(SIZE).fill(1)));
  const header = await readHeader(store);
  const disk = await Qcow2Disk.open({ store, header, codecs: nodeCodecs, backing: base, readOnly: false });
  for (let i = 0; i < 20; i++) await disk.write(random(1500) * 512, randomBytes(random, 512 * (1 + random(100))));
  await disk.writeZeroes(2 ** 18, 2 ** 16, true);
  await disk.writeZeroes(2 ** 19, 2 ** 16, false);
  for (let at = SIZE - 8 * clusterBytes; at < SIZE; at += clusterBytes) {
    await disk.discard(at, clusterBytes);
    await disk.flush();
    await disk.writeCompressed(
      at,
      deflateRawSync(new Uint8Array(clusterBytes).fill(at / clusterBytes), { windowBits: 12 }),
    );
  }
  await disk.close();
  return store.contents();
}

/** Runs a part; what is thrown has to be a line for the user. */
async function survives(what: string, task: () => Promise<unknown>): Promise<boolean> {
  try {
    await task();
    return true;
  } catch (error) {
    assert.ok(error instanceof MachineError, `${what}: ${error instanceof Error ? error.stack : error}`);
    assert.ok(!error.message.includes('\n') && error.message.length < 500, `${what}: ${error.message}`);
    return false;
  }
}

for (const [clusterBytes, images] of [
  [512, 400],
  [4096, 400],
  [65_536, 200],
] as const)
  test(`${images} images with bits turned round, clusters of ${clusterBytes} bytes`, async () => {
    const good = await sound(clusterBytes);
    /** Where the tables are: most bits elsewhere are the guest's data. */
    const header = await readHeader(new MemoryStore('image', good));
    const places = [
      [0, 128],
      [header.l1Offset, header.l1Size * 8],
      [header.refcountTableOffset, 64],
      [header.refcountTableOffset + clusterBytes, 512],
      [0, good.length],
    ] as const;
    const outcomes = { opened: 0, refused: 0, read: 0, written: 0, checked: 0 };
    for (let seed = 1; seed <= images; seed++) {
      const random = randomNumbers(seed + clusterBytes);
      const bytes = good.slice();
      const [from, length] = places[seed % places.length] ?? [0, good.length];
      for (let flips = 1 + random(3); flips > 0; flips--) {
        const at = Math.min(good.length - 1, from + random(length));
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
      }
      const what = `image ${seed}`;
      const make = (): MemoryStore => {
        const store = new MemoryStore('image', bytes.slice());
        store.onWrite = (offset, { length }) => {
          if (offset + length > MOST_FILE_BYTES) throw new MachineError('the file would be too large');
        };
        return store;
      };
      const openBacking = () => RawDisk.open(new MemoryStore('base', new Uint8Array(SIZE).fill(1)), true);
      for (const readOnly of [true, false]) {
        const opened = await survives(what, async () => {
          const disk = await openDisk(make(), { format: 'qcow2', readOnly, codecs: nodeCodecs, openBacking });
          outcomes.opened++;
          // A disk may have become larger than its reader has time for.
          const end = Math.min(disk.size, 2 * SIZE) - 65_536;
          for (let at = 0; at < end; at += 65_536)
            if (await survives(what, () => disk.read(at, new Uint8Array(65_536)))) outcomes.read++;
          if (!readOnly)
            for (let at = 0; at < end; at += 32_768) {
              const data = new Uint8Array(512 * (1 + random(60))).fill(7);
              if (await survives(what, () => disk.write(at, data))) outcomes.written++;
              if (at % 4 === 0) await survives(what, () => disk.discard(at, 32_768));
              if (random(4) === 0) await survives(what, () => disk.flush());
            }
          await survives(what, () => disk.close());
        });
        if (!opened) outcomes.refused++;
      }
      if (await survives(what, () => checkQcow2(make()))) outcomes.checked++;
      await survives(what, () => checkQcow2(make(), { repair: 'all' }));
    }
    for (const [name, count] of Object.entries(outcomes)) assert.ok(count > images / 20, `${name}: ${count}`);
  });

test('a file that is cut short anywhere is a line, or a disk', async () => {
  const good = await sound(512);
  for (let length = 0; length < 2000; length += 7)
    await survives(`${length} bytes`, async () => {
      const disk = await openDisk(new MemoryStore('image', good.slice(0, length)), {
        format: 'qcow2',
        openBacking: () => RawDisk.open(new MemoryStore('base', new Uint8Array(SIZE)), true),
      });
      await survives('read', () => disk.read(0, new Uint8Array(65_536)));
      await survives('close', () => disk.close());
    });
});
