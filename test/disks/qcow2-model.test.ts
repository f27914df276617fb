/** Images against plain memory: whatever comes in whatever order, the disk reads as the memory does. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { builtInCodecs, createQcow2, openDisk, Qcow2Disk, RawDisk, readHeader } from '../../src/machine/disks/index.ts';
import type { BlockStore } from '../../src/machine/index.ts';
import { MemoryStore, randomBytes, randomNumbers, same } from './memory-store.ts';

const hasQemuImg = spawnSync('qemu-img', ['--version']).status === 0;

/** What qemu-img says of an image's bytes: nothing wrong, and nothing leaked. */
function checkByQemu(bytes: Uint8Array, what: string): void {
  if (!hasQemuImg) return;
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-test-'));
  try {
    const file = join(folder, 'image');
    writeFileSync(file, bytes);
    const { status, stdout, stderr } = spawnSync('qemu-img', ['check', '-f', 'qcow2', file], { encoding: 'utf8' });
    assert.equal(status, 0, `${what}: ${stdout}${stderr}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function readAll(disk: BlockStore): Promise<Uint8Array> {
  const bytes = new Uint8Array(disk.size);
  await disk.read(0, bytes);
  return bytes;
}

/** Random requests, many at once; those that are under way together do not overlap. */
async function drive(disk: BlockStore, model: Uint8Array, random: (limit: number) => number, steps: number) {
  const sectors = disk.size / 512;
  for (let step = 0; step < steps; step++) {
    const running: Promise<void>[] = [];
    const taken: [number, number][] = [];
    for (let i = random(8); i >= 0; i--) {
      const from = random(sectors);
      const to = Math.min(sectors, from + 1 + (random(4) === 0 ? random(sectors) : random(20)));
      if (taken.some(([start, end]) => from < end && to > start)) continue;
      taken.push([from, to]);
      const [start, length] = [from * 512, (to - from) * 512];
      switch (random(8)) {
        case 0: {
          const expected = model.slice(start, start + length);
          const found = new Uint8Array(length).fill(0xee);
          if (disk.readNow?.(start, found)) same(found, expected);
          else running.push(disk.read(start, found).then(() => same(found, expected)));
          break;
        }
        case 1:
          running.push(disk.writeZeroes(start, length, random(2) === 0));
          model.fill(0, start, start + length);
          break;
        case 2:
          // What it reads as is the disk's to choose: it is written again before anybody looks.
          running.push(disk.discard(start, length).then(() => disk.write(start, model.slice(start, start + length))));
          break;
        case 3:
          running.push(disk.flush());
          break;
        default: {
          const bytes = randomBytes(random, length);
          model.set(bytes, start);
          if (!disk.writeNow?.(start, bytes)) running.push(disk.write(start, bytes));
        }
      }
    }
    await Promise.all(running);
  }
}

for (const clusterBytes of [512, 1024, 4096, 65_536])
  for (const refcountBits of [1, 16, 64])
    test(`random requests: clusters of ${clusterBytes} bytes, counts of ${refcountBits} bits`, async () => {
      for (let seed = 1; seed <= 6; seed++) {
        const random = randomNumbers(seed * 7 + clusterBytes + refcountBits);
        const size = 512 * (1 + random(clusterBytes === 512 ? 700 : 2000));
        const store = new MemoryStore('image', undefined, () => random(4));
        const model = new Uint8Array(size);
        if (seed % 3 > 0) store.isPrompt = () => random(8) > 0;
        let base: MemoryStore | undefined;
        if (seed % 2 === 0) {
          const under = randomBytes(random, 512 * random(2 * (size / 512)) + 512);
          model.set(under.subarray(0, size));
          base = new MemoryStore('base', under);
          base.isPrompt = store.isPrompt;
        }
        await createQcow2(store, size, { clusterBytes, refcountBits });
        for (let round = 0; round < 3; round++) {
          store.isClosed = false;
          if (base) base.isClosed = false;
          const disk = await Qcow2Disk.open({
            store,
            header: await readHeader(store),
            codecs: builtInCodecs,
            backing: base && (await RawDisk.open(base, true)),
            readOnly: false,
          });
          same(await readAll(disk), model);
          await drive(disk, model, random, 25);
          same(await readAll(disk), model);
          await disk.close();
          checkByQemu(store.contents(), `seed ${seed} round ${round}`);
        }
        assert.equal(store.promptCalls > 20, seed % 3 > 0, `${store.promptCalls} calls were answered at once`);
      }
    });

test('what is discarded is used again: an image does not grow for what was written and thrown away', async () => {
  const store = new MemoryStore();
  await createQcow2(store, 2 ** 20, { clusterBytes: 4096 });
  const disk = await openDisk(store, { format: 'qcow2' });
  for (let round = 0; round < 20; round++) {
    await disk.write(0, new Uint8Array(512 * 1024).fill(round + 1));
    await disk.flush();
    await disk.discard(0, 512 * 1024);
    await disk.flush();
  }
  await disk.close();
  assert.ok(store.length < 1.3 * 2 ** 20, `${store.length} bytes`);
  checkByQemu(store.contents(), 'after discards');
});
