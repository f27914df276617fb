/** Disks over both transports: what they do, what they refuse, and their state in the midst of requests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { virtioBlk } from '../../../src/machine/devices/virtio-blk.ts';
import { MemoryDisk } from './memory-disk.ts';
import { INDIRECT_DESC, type Request, Rig, TRANSPORTS } from './rig.ts';

const [IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES] = [0, 1, 4, 8, 11, 13];
const [OK, IOERR, UNSUPP] = [0, 1, 2];

function header(kind: number | undefined, sector = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, kind ?? 0, true);
  view.setUint32(8, sector, true);
  return new Uint8Array(view.buffer);
}

function range(sector: number, count: number, flags = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, sector, true);
  view.setUint32(8, count, true);
  view.setUint32(12, flags, true);
  return new Uint8Array(view.buffer);
}

const statusOf = (rig: Rig, request: Request): number | undefined => rig.bytes(request, request.buffers.length - 1)[0];

for (const transport of TRANSPORTS)
  test(`${transport}: reads, writes, flushes, tells its serial number`, async () => {
    const disk = new MemoryDisk();
    const rig = new Rig(virtioBlk('disk0', { store: disk, serial: 'ABC-1' }), transport);
    rig.start([INDIRECT_DESC]);
    assert.equal(rig.registers.config(0, 4), 64, 'sectors');
    const read = rig.ask(0, [header(IN, 3), 512, 1024, 1]);
    assert.deepEqual(rig.used(0), [], 'nothing that waits is done at once');
    await rig.settle();
    assert.deepEqual(rig.used(0), [{ head: read.head, length: 1537 }]);
    assert.equal(statusOf(rig, read), OK);
    assert.deepEqual(rig.bytes(read, 1), disk.bytes.slice(1536, 2048));
    assert.deepEqual(rig.bytes(read, 2), disk.bytes.slice(2048, 3072));
    assert.equal(rig.registers.interrupted(), true);
    assert.equal(rig.registers.interrupted(), false, 'acknowledged');

    const data = new Uint8Array(1024).fill(0xa5);
    const write = rig.ask(0, [header(OUT, 10), data, 1], true);
    const flush = rig.ask(0, [header(FLUSH), 1]);
    await rig.settle();
    assert.deepEqual(
      rig
        .used(0)
        .map(({ head }) => head)
        .sort(),
      [write.head, flush.head].sort(),
    );
    assert.equal(statusOf(rig, write), OK);
    assert.equal(statusOf(rig, flush), OK);
    assert.deepEqual(disk.bytes.slice(5120, 6144), data);
    assert.equal(disk.calls.at(-1), 'flush');

    const id = rig.ask(0, [header(GET_ID), 20, 1]);
    assert.equal(Buffer.from(rig.bytes(id, 1)).toString('latin1').replace(/\0+$/, ''), 'ABC-1');
    assert.deepEqual(rig.used(0), [{ head: id.head, length: 21 }]);
  });

test('what the store answers at once the guest finds answered when it has asked', async () => {
  const disk = new MemoryDisk();
  disk.isPrompt = true;
  const rig = new Rig(virtioBlk('disk0', { store: disk }));
  rig.start([INDIRECT_DESC]);
  const read = rig.ask(0, [header(IN, 3), 512, 1024, 1]);
  assert.deepEqual(rig.used(0), [{ head: read.head, length: 1537 }]);
  assert.deepEqual(rig.bytes(read, 2), disk.bytes.slice(2048, 3072));
  const data = new Uint8Array(1024).fill(0xa5);
  const write = rig.ask(0, [header(OUT, 10), data, 1]);
  assert.equal(statusOf(rig, write), OK);
  assert.deepEqual(disk.bytes.slice(5120, 6144), data);
  disk.isFailing = true;
  assert.equal(statusOf(rig, rig.ask(0, [header(IN, 3), 512, 1])), IOERR);
  assert.equal(statusOf(rig, rig.ask(0, [header(OUT, 3), new Uint8Array(512), 1])), IOERR);
});

test('a guest that asks at once for more and more gives the outside its turn', async () => {
  const disk = new MemoryDisk();
  let [now, later] = [0, 0];
  const store = Object.assign(disk, {
    size: 2 ** 30,
    read: async () => void later++,
    readNow: () => ++now > 0,
  });
  const rig = new Rig(virtioBlk('disk0', { store }));
  rig.start();
  const most = rig.size(0);
  rig.vm.bytes.set(header(IN), 0x80000);
  rig.descriptor(0, 0, 0x80000, 16, 1, 1);
  // The same memory again and again.
  for (let i = 1; i < most - 1; i++) rig.descriptor(0, i, 0x90000, 0x60000, 3, i + 1);
  rig.descriptor(0, most - 1, 0x80100, 1, 2, 0);
  for (let i = 0; i < 8; i++) {
    rig.offer(0, 0);
    rig.registers.notify(0);
    assert.ok(now <= 16, `${now} pieces of a megabyte without a turn`);
    await rig.settle();
    assert.deepEqual(rig.used(0), [{ head: 0, length: (most - 2) * 0x60000 + 1 }]);
    now = 0;
  }
  assert.ok(later > 0);
});

test('where time is counted nothing is answered at once', async () => {
  const disk = new MemoryDisk();
  disk.isPrompt = true;
  const rig = new Rig(virtioBlk('disk0', { store: disk }), 'pci', true);
  rig.start();
  const read = rig.ask(0, [header(IN, 3), 512, 1]);
  assert.deepEqual(rig.used(0), []);
  await rig.settle();
  assert.deepEqual(rig.used(0), [{ head: read.head, length: 513 }]);
  assert.deepEqual(disk.calls, ['read 1536 512']);
});

test('discards and zeroes', async () => {
  const disk = new MemoryDisk();
  const rig = new Rig(virtioBlk('disk0', { store: disk }));
  rig.start();
  const requests = [
    rig.ask(0, [header(DISCARD), range(8, 8), 1]),
    rig.ask(0, [header(WRITE_ZEROES), range(0, 2), 1]),
    rig.ask(0, [header(WRITE_ZEROES), range(4, 1, 1), range(6, 1, 0), 1]),
  ];
  await rig.settle();
  assert.deepEqual(
    requests.map((one) => statusOf(rig, one)),
    [OK, OK, OK],
  );
  assert.deepEqual(disk.calls, ['discard 4096 4096', 'zero 0 1024 false', 'zero 2048 512 true', 'zero 3072 512 false']);
});

test('what does not fit is refused with a status, and nothing reaches the disk', async () => {
  const disk = new MemoryDisk();
  const rig = new Rig(virtioBlk('disk0', { store: disk }));
  rig.start();
  const cases: [Request, number][] = [
    [rig.ask(0, [header(IN, 64), 512, 1]), IOERR as number],
    [rig.ask(0, [header(IN, 0), 100, 1]), IOERR as number],
    [rig.ask(0, [header(IN, 0xffffffff), 512, 1]), IOERR as number],
    [rig.ask(0, [header(77), 1]), UNSUPP as number],
    [rig.ask(0, [Uint8Array.of(1, 2, 3), 1]), IOERR as number],
    [rig.ask(0, [header(DISCARD), range(60, 8), 1]), IOERR as number],
  ];
  await rig.settle();
  for (const [request, status] of cases) assert.equal(statusOf(rig, request), status);
  assert.equal(rig.used(0).length, cases.length);
  const more: [Request, number][] = [
    [rig.ask(0, [header(DISCARD), range(0, 8, 1), 1]), UNSUPP as number],
    [rig.ask(0, [header(WRITE_ZEROES), range(0, 8, 2), 1]), UNSUPP as number],
    [rig.ask(0, [header(GET_ID), 10, 1]), IOERR as number],
  ];
  await rig.settle();
  for (const [request, status] of more) assert.equal(statusOf(rig, request), status);
  assert.deepEqual(disk.calls, []);
  assert.equal(rig.isBroken, false);
});

test('a disk that may only be read refuses writes, whoever says so', async () => {
  for (const options of [{ store: new MemoryDisk(), readOnly: true }, { store: new MemoryDisk(1024, true) }]) {
    const rig = new Rig(virtioBlk('disk0', options));
    assert.notEqual(rig.registers.offered(0) & (1 << 5), 0, 'RO is offered');
    rig.start();
    const requests = [
      rig.ask(0, [header(OUT), new Uint8Array(512), 1]),
      rig.ask(0, [header(WRITE_ZEROES), range(0, 1), 1]),
      rig.ask(0, [header(FLUSH), 1]),
    ];
    await rig.settle();
    assert.deepEqual(
      requests.map((one) => statusOf(rig, one)),
      [IOERR, IOERR, OK],
    );
    assert.deepEqual(options.store.calls, []);
  }
});

test('a store that fails ends the request, and the next is served', async () => {
  const disk = new MemoryDisk();
  const rig = new Rig(virtioBlk('disk0', { store: disk }));
  rig.start();
  disk.isFailing = true;
  const failed = rig.ask(0, [header(IN), 512, 1]);
  await rig.settle();
  disk.isFailing = false;
  const good = rig.ask(0, [header(IN), 512, 1]);
  await rig.settle();
  assert.deepEqual([statusOf(rig, failed), statusOf(rig, good)], [IOERR, OK]);
});

test('a request of several megabytes goes in pieces', async () => {
  const disk = new MemoryDisk(8 * 2 ** 20);
  const rig = new Rig(virtioBlk('disk0', { store: disk }));
  rig.start();
  // The same room many times over: it is the guest's.
  const room = 256 * 1024;
  const at = 0xa0000;
  rig.vm.bytes.set(header(IN, 0), 0x90000);
  rig.descriptor(0, 0, 0x90000, 16, 1, 1);
  for (let i = 1; i <= 12; i++) rig.descriptor(0, i, at, room, 3, i + 1);
  rig.descriptor(0, 13, 0x90100, 1, 2, 0);
  rig.offer(0, 0);
  rig.registers.notify(0);
  await rig.settle();
  assert.deepEqual(rig.used(0), [{ head: 0, length: 12 * room + 1 }]);
  assert.deepEqual(
    disk.calls,
    [0, 1, 2].map((i) => `read ${i * 2 ** 20} ${2 ** 20}`),
  );
  assert.deepEqual(rig.vm.bytes.slice(at, at + room), disk.bytes.slice(11 * room, 12 * room));
});

test('what a reset leaves under way touches the guest no more, and is over before the next request begins', async () => {
  const disk = new MemoryDisk();
  const rig = new Rig(virtioBlk('disk0', { store: disk }));
  rig.start();
  disk.isHeld = true;
  rig.ask(0, [header(IN), 512, 1]);
  rig.start();
  disk.isHeld = false;
  const next = rig.ask(0, [header(IN, 1), 512, 1]);
  await rig.settle();
  assert.deepEqual(disk.calls, ['read 0 512'], 'the next waits');
  disk.release();
  await rig.settle();
  assert.deepEqual(disk.calls, ['read 0 512', 'read 512 512']);
  assert.deepEqual(rig.used(0), [{ head: next.head, length: 513 }]);
  assert.deepEqual(rig.bytes(next, 1), disk.bytes.slice(512, 1024));
});

for (const transport of TRANSPORTS)
  test(`${transport}: a state that was saved in the midst of requests goes on elsewhere`, async () => {
    const disk = new MemoryDisk();
    const one = new Rig(virtioBlk('disk0', { store: disk }), transport);
    one.start();
    disk.isHeld = true;
    const read = one.ask(0, [header(IN, 2), 1024, 1]);
    const write = one.ask(0, [header(OUT, 5), new Uint8Array(512).fill(9), 1]);
    await one.settle();
    assert.deepEqual(one.used(0), []);
    const other = new MemoryDisk();
    const two = one.moveTo(new Rig(virtioBlk('disk0', { store: other }), transport));
    assert.deepEqual(two.save(), one.save());
    await two.settle();
    assert.deepEqual(
      two
        .used(0)
        .map(({ head }) => head)
        .sort(),
      [read.head, write.head].sort(),
    );
    assert.deepEqual(two.bytes(read, 1), other.bytes.slice(1024, 2048));
    assert.deepEqual([statusOf(two, read), statusOf(two, write)], [OK, OK]);
    assert.equal(other.bytes[2560], 9);
    assert.equal(two.registers.interrupted(), true);
    const more = two.ask(0, [header(IN, 0), 512, 1]);
    await two.settle();
    assert.equal(statusOf(two, more), OK);
  });
