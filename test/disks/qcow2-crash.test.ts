/** A loss of power at any moment: what was flushed is there, and the image is right but for clusters that nobody uses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtInCodecs, checkQcow2, createQcow2, Qcow2Disk, readHeader } from '../../src/machine/disks/index.ts';
import { MemoryStore, randomNumbers, type StoreEvent } from './memory-store.ts';

const SECTOR = 512;
const zeroes = new Uint8Array(SECTOR - 4);
const filled = new Uint8Array(SECTOR - 4).fill(0x55);

/** What the file may hold after a loss of power: what was flushed, and of the rest any sectors. */
function cut(
  start: Uint8Array,
  events: readonly StoreEvent[],
  at: number,
  random: (limit: number) => number,
): MemoryStore {
  const store = new MemoryStore('cut', start.slice());
  const flushed = events.slice(0, at).findLastIndex((event) => event.kind === 'flush');
  // A process that is killed loses nothing that it had written; a computer may lose all of it, or some.
  const kept = random(4);
  for (const [i, event] of events.slice(0, at).entries()) {
    if (event.kind !== 'write') continue;
    for (let from = 0; from < event.bytes.length; ) {
      const length = Math.min(event.bytes.length - from, SECTOR - ((event.offset + from) % SECTOR));
      if (i < flushed || kept === 3 || (kept > 0 && random(2) === 0))
        store.put(event.offset + from, event.bytes.subarray(from, from + length));
      from += length;
    }
  }
  return store;
}

for (const [clusterBytes, refcountBits, sectors] of [
  [512, 16, 900],
  [512, 64, 900],
  [4096, 16, 900],
  [4096, 1, 300],
  [65_536, 16, 2000],
] as const)
  test(`a loss of power at any moment: clusters of ${clusterBytes} bytes, counts of ${refcountBits} bits`, async () => {
    for (let seed = 1; seed <= 3; seed++) {
      const random = randomNumbers(seed * 31 + clusterBytes + refcountBits);
      const store = new MemoryStore('image', undefined, () => random(4));
      await createQcow2(store, sectors * SECTOR, { clusterBytes, refcountBits });
      const open = async (from: MemoryStore) =>
        Qcow2Disk.open({
          store: from,
          header: await readHeader(from),
          codecs: builtInCodecs,
          backing: undefined,
          readOnly: false,
        });
      const start = store.contents();
      const events: StoreEvent[] = [];
      store.events = events;
      const disk = await open(store);
      // Each sector's contents by version: the first four bytes say which, and zero is zeroes.
      const history: { issued: number; version: number }[][] = Array.from({ length: sectors }, () => [
        { issued: 0, version: 0 },
      ]);
      /** Versions that were there when a flush was asked for, by the number of events at its end. */
      const promises: { at: number; versions: number[] }[] = [];
      let version = 0;
      for (let step = 0; step < 40; step++) {
        const running: Promise<void>[] = [];
        const taken: [number, number][] = [];
        for (let i = random(5); i >= 0; i--) {
          const from = random(sectors);
          const to = Math.min(sectors, from + 1 + random(random(3) === 0 ? 200 : 10));
          if (taken.some(([first, last]) => from < last && to > first)) continue;
          taken.push([from, to]);
          const isZero = random(4) === 0;
          const issued = events.length;
          version++;
          for (let sector = from; sector < to; sector++)
            history[sector]?.push({ issued, version: isZero ? 0 : version });
          if (isZero) running.push(disk.writeZeroes(from * SECTOR, (to - from) * SECTOR, random(2) === 0));
          else {
            const bytes = new Uint8Array((to - from) * SECTOR).fill(0x55);
            for (let at = 0; at < bytes.length; at += SECTOR) new DataView(bytes.buffer).setUint32(at, version);
            running.push(disk.write(from * SECTOR, bytes));
          }
        }
        await Promise.all(running);
        if (random(3) > 0) continue;
        const versions = history.map((one) => one.length - 1);
        // Others go on while it is written.
        const flushing = disk.flush().then(() => promises.push({ at: events.length, versions }));
        if (random(2) === 0) await flushing;
        else running.push(flushing.then(() => {}));
        await Promise.all(running);
      }
      await disk.close();
      const flushes = events.flatMap((event, i) => (event.kind === 'flush' ? [i] : []));
      for (let tries = 0; tries < 25; tries++) {
        // Often just before a flush, where most is under way.
        const at = tries % 2 === 0 ? random(events.length + 1) : (flushes[random(flushes.length)] ?? 0);
        const after = cut(start, events, at, random);
        const what = `seed ${seed}, event ${at} of ${events.length}`;
        const report = await checkQcow2(after, {
          say: (line) => line.startsWith('error') && assert.fail(`${what}: ${line}`),
        });
        assert.equal(report.errors, 0, what);
        const again = await open(after);
        const promised = promises.findLast((one) => one.at <= at)?.versions;
        const all = new Uint8Array(sectors * SECTOR);
        await again.read(0, all);
        for (let i = 0; i < sectors; i++) {
          const sector = all.subarray(i * SECTOR, (i + 1) * SECTOR);
          const found = new DataView(all.buffer, i * SECTOR).getUint32(0);
          const allowed = (history[i] ?? []).slice(promised?.[i] ?? 0).filter((one) => one.issued <= at);
          assert.ok(
            allowed.some((one) => one.version === found),
            `${what}: sector ${i} has version ${found}`,
          );
          assert.equal(
            Buffer.compare(sector.subarray(4), found === 0 ? zeroes : filled),
            0,
            `${what}: sector ${i} is torn`,
          );
        }
        // It goes on from there, too.
        await again.write(0, new Uint8Array(sectors * SECTOR).fill(0x77));
        await again.close();
        after.isClosed = false;
        assert.equal((await checkQcow2(after)).errors, 0, `${what}, after more writes`);
      }
    }
  });
