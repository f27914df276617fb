import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bus, swapBytes } from '../../src/machine/bus.ts';
import { MachineError } from '../../src/machine/error.ts';

function recorder() {
  const log: (readonly number[])[] = [];
  const region = {
    read: (offset: number, length: number) => {
      log.push([offset, length]);
      return 0x1234;
    },
    write: (offset: number, length: number, value: number) => void log.push([offset, length, value]),
  };
  return { log, region };
}

test('accesses reach the device whose range holds all of their bytes', () => {
  const bus = new Bus();
  const a = recorder();
  const b = recorder();
  bus.mapMmio(0x1000, 0x10, a.region);
  bus.mapMmio(0x1010, 0x10, b.region, true);
  assert.equal(bus.readMmio(0x1004, 2), 0x1234);
  assert.equal(bus.readMmio(0x1010, 2), 0x3412, 'a little-endian device');
  bus.writeMmio(0x101c, 4, 0x11223344);
  assert.deepEqual(a.log, [[4, 2]]);
  assert.deepEqual(b.log, [
    [0, 2],
    [12, 4, 0x44332211],
  ]);
  assert.equal(bus.counters().bus_unassigned_mmio, 0);
  assert.equal(bus.readMmio(0x100e, 4), 0, 'across the border of two devices');
  assert.equal(bus.readMmio(0xfff, 1), 0);
  bus.writeMmio(0x1020, 1, 1);
  assert.equal(bus.counters().bus_unassigned_mmio, 3);
  assert.equal(bus.counters().bus_unassigned_mmio_last, 0x1020);
});

test('device control registers reach their device; others read zero and are counted', () => {
  const bus = new Bus();
  const seen: number[][] = [];
  bus.mapDcr(0xc0, 9, {
    readDcr: (offset) => offset + 100,
    writeDcr: (offset, value) => void seen.push([offset, value]),
  });
  assert.equal(bus.readDcr(0xc8), 108);
  bus.writeDcr(0xc2, -1);
  assert.deepEqual(seen, [[2, 0xffffffff]]);
  for (const number of [0xbf, 0xc9, 1024, -1]) assert.equal(bus.readDcr(number), 0);
  bus.writeDcr(5000, 1);
  assert.equal(bus.counters().bus_unassigned_dcr, 5);
});

test('a board on which two devices overlap is refused', () => {
  const bus = new Bus();
  bus.mapMmio(0x1000, 0x10, recorder().region);
  assert.throws(() => bus.mapMmio(0x100f, 1, recorder().region), MachineError);
  bus.mapDcr(4, 2, { readDcr: () => 0, writeDcr: () => {} });
  assert.throws(() => bus.mapDcr(5, 1, { readDcr: () => 0, writeDcr: () => {} }), MachineError);
});

test('bytes are turned round', () => {
  assert.equal(swapBytes(0x80000001, 4), 0x01000080);
  assert.equal(swapBytes(0x8001, 2), 0x0180);
  assert.equal(swapBytes(0x80, 1), 0x80);
});
