import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtInCodecs } from '../../src/machine/disks/index.ts';
import { MemoryBytes, openDisk, openOverlay } from '../../src/machine/index.ts';
import { randomBytes, randomNumbers, same } from './memory-store.ts';

test('bytes in memory are as those of a file: gaps, ends, holes', async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const random = randomNumbers(seed);
    const store = new MemoryBytes('memory', random(200_000));
    let model = new Uint8Array(await store.size());
    for (let step = 0; step < 200; step++) {
      const [offset, length] = [random(400_000), 1 + random(random(4) === 0 ? 150_000 : 3000)];
      switch (random(5)) {
        case 0: {
          const found = new Uint8Array(length).fill(0xee);
          const count = await store.read(offset, found);
          same(found.subarray(0, count), model.subarray(offset, offset + length));
          break;
        }
        case 1:
          await store.punchHole(offset, length);
          model.fill(0, offset, offset + length);
          break;
        case 2: {
          const size = random(500_000);
          await store.truncate(size);
          const next = new Uint8Array(size);
          next.set(model.subarray(0, size));
          model = next;
          break;
        }
        default: {
          const bytes = randomBytes(random, length);
          const next = new Uint8Array(Math.max(model.length, offset + length));
          next.set(model);
          next.set(bytes, offset);
          model = next;
          await store.write(offset, bytes);
        }
      }
      assert.equal(await store.size(), model.length);
    }
  }
});

test('a disk in memory, and one above it', async () => {
  const base = await openDisk(new MemoryBytes('base', 2 ** 20), { format: 'raw' });
  assert.equal(base.writeNow?.(512, new Uint8Array(512).fill(1)), true);
  const over = await openOverlay(new MemoryBytes(), base, builtInCodecs);
  await over.write(1024, new Uint8Array(512).fill(2));
  const found = new Uint8Array(2048);
  assert.equal(over.readNow?.(0, found), true);
  assert.deepEqual([found[0], found[512], found[1024], found[1536]], [0, 1, 2, 0]);
  await base.read(0, found);
  assert.deepEqual([found[512], found[1024]], [1, 0]);
  await over.close();
});
