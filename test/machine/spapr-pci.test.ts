/** The PCI host bridge of a partition: configuration by RTAS, ranges, interrupts, what devices see of memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SpaprTce, TCE_READ, TCE_WRITE } from '../../src/machine/devices/spapr-tce.ts';
import { spaprRig } from './spapr-rig.ts';

const BUID = [0x08000000, 0x20000000] as const;
const SLOT1 = 1 << 11;
const [SUCCESS, HARDWARE_ERROR, PARAMETER_ERROR] = [0, -1, -3];
const MEMORY_WINDOW = 32 * 2 ** 40 + 2 ** 31;
const MEMORY64_WINDOW = 33 * 2 ** 40;
const swapped = (value: number): number => {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value);
  return view.getUint32(0, true);
};

function make() {
  const rig = spaprRig();
  const read = (register: number, size: number, slot = SLOT1): number[] =>
    rig.rtas('ibm,read-pci-config', [slot | register, ...BUID, size], 2);
  const write = (register: number, size: number, value: number): number =>
    rig.rtas('ibm,write-pci-config', [SLOT1 | register, ...BUID, size, value], 1)[0] as number;
  return { rig, read, write };
}

test('configuration space: identity, sizes of ranges, what is refused', () => {
  const { rig, read, write } = make();
  assert.deepEqual(read(0, 4), [SUCCESS, 0x10441af4]);
  assert.deepEqual(read(2, 2), [SUCCESS, 0x1044]);
  assert.deepEqual(rig.rtas('read-pci-config', [SLOT1 | 8, 1], 2), [SUCCESS, 1]);
  assert.equal(write(0, 4, 0), SUCCESS);
  assert.deepEqual(read(0, 4), [SUCCESS, 0x10441af4], 'identity stays');
  for (const [bar, mask] of [
    [0x14, 0xfffff000],
    [0x20, 0xffffc00c],
    [0x24, 0xffffffff],
    [0x10, 0],
  ] as const) {
    write(bar, 4, 0xffffffff);
    assert.equal((read(bar, 4)[1] as number) >>> 0, mask);
  }
  assert.deepEqual(read(0, 4, 9 << 11), [SUCCESS, -1], 'an empty slot');
  assert.deepEqual(read(0, 4, SLOT1 | 0x100), [SUCCESS, -1], 'a second function');
  assert.deepEqual(read(1, 2), [HARDWARE_ERROR, 0]);
  assert.deepEqual(read(0, 3), [HARDWARE_ERROR, 0]);
  assert.deepEqual(rig.rtas('ibm,read-pci-config', [SLOT1, 1, 2, 4], 2), [PARAMETER_ERROR, 0]);
});

test('capabilities: MSI-X and the structures of virtio, each inside of its range', () => {
  const { read } = make();
  const kinds: number[] = [];
  let at = read(0x34, 1)[1] as number;
  assert.notEqual((read(6, 2)[1] as number) & 0x10, 0);
  for (let count = 0; at !== 0; count++) {
    assert.ok(count < 10);
    const id = read(at, 1)[1];
    if (id === 0x09) {
      kinds.push(read(at + 3, 1)[1] as number);
      const [offset, length] = [read(at + 8, 4)[1] as number, read(at + 12, 4)[1] as number];
      assert.ok(offset + length <= 0x4000);
    } else assert.equal(id, 0x11);
    at = read(at + 1, 1)[1] as number;
  }
  // A generator has no configuration of its own (4).
  assert.deepEqual(kinds, [1, 3, 2, 5]);
});

test('ranges answer where they were put, and only while they are switched on', () => {
  const { rig, write, read } = make();
  const { bus } = rig.board;
  write(0x20, 4, 0);
  write(0x24, 4, 0x2100);
  assert.equal(bus.readMmio(MEMORY64_WINDOW + 16, 4), 0xffffffff, 'off');
  write(4, 2, 2);
  assert.equal(swapped(bus.readMmio(MEMORY64_WINDOW + 16, 4)), 0x0001ffff, 'no vector, one queue');
  write(0x14, 4, 0x80004000);
  assert.equal(swapped(bus.readMmio(MEMORY_WINDOW + 0x400c, 4)), 1, 'vectors begin masked');
  write(0x24, 4, 0x2101);
  assert.equal(bus.readMmio(MEMORY64_WINDOW + 16, 4), 0xffffffff, 'moved');
  // The capability for access through the configuration space.
  let at = read(0x34, 1)[1] as number;
  while (read(at, 1)[1] !== 9 || read(at + 3, 1)[1] !== 5) at = read(at + 1, 1)[1] as number;
  write(at + 4, 1, 4);
  write(at + 8, 4, 18);
  write(at + 12, 4, 2);
  assert.equal(read(at + 16, 2)[1], 1);
});

test('message-signalled interrupts: allocated, told, masked, delivered to XICS', () => {
  const { rig, write, read } = make();
  const change = (kind: number, count: number): number[] =>
    rig.rtas('ibm,change-msi', [SLOT1, ...BUID, kind, count, 1], 4);
  const query = (n: number): number[] => rig.rtas('ibm,query-interrupt-source-number', [SLOT1, ...BUID, n], 3);
  assert.equal(query(0)[0], PARAMETER_ERROR);
  assert.equal(change(3, 1)[0], PARAMETER_ERROR, 'there is no MSI');
  assert.deepEqual(change(4, 9), [SUCCESS, 2, 2, 2], 'as many as it has');
  assert.deepEqual(query(1), [SUCCESS, 0x1301, 1]);
  assert.equal(query(2)[0], PARAMETER_ERROR);
  const { bus } = rig.board;
  write(0x14, 4, 0x80000000);
  write(4, 2, 2);
  let at = read(0x34, 1)[1] as number;
  while (read(at, 1)[1] !== 0x11) at = read(at + 1, 1)[1] as number;
  write(at + 2, 2, 0x8000);
  assert.equal(swapped(bus.readMmio(MEMORY_WINDOW + 0x18, 4)), 0x1301, 'firmware has written the message');
  assert.deepEqual(change(1, 0), [SUCCESS, 0, 2, 2]);
  assert.equal(query(0)[0], PARAMETER_ERROR, 'given back');
});

test('TCEs: put, stuffed, read back, and nothing beyond the window', () => {
  const { rig } = make();
  const LIOBN = 0x80000000;
  assert.equal(rig.call(0x20, LIOBN, 0x3000, 0x12345003)[0], 0n);
  assert.deepEqual(rig.call(0x1c, LIOBN, 0x3000).slice(0, 2), [0n, 0x12345003n]);
  assert.equal(rig.call(0x138, LIOBN, 0x10000, 0x7003, 16)[0], 0n);
  assert.deepEqual(rig.call(0x1c, LIOBN, 0x1f000).slice(0, 2), [0n, 0x7003n]);
  assert.deepEqual(rig.call(0x1c, LIOBN, 0x20000).slice(0, 2), [0n, 0n]);
  const view = new DataView(rig.vm.bytes.buffer);
  view.setBigUint64(0x4008, 0xabc003n);
  assert.equal(rig.call(0x13c, LIOBN, 0x40000, 0x4000, 2)[0], 0n);
  assert.deepEqual(rig.call(0x1c, LIOBN, 0x41000).slice(0, 2), [0n, 0xabc003n]);
  const { table } = rig.board.device('tce0') as SpaprTce;
  assert.equal(table.translate(0x3456, TCE_READ | TCE_WRITE), 0x12345456);
  assert.equal(table.translate(0x2000, TCE_READ), -1, 'nothing is mapped there');
  assert.equal(rig.call(0x20, LIOBN, 0x2000, 0x9001)[0], 0n);
  assert.equal(table.translate(0x2abc, TCE_READ), 0x9abc);
  assert.equal(table.translate(0x2abc, TCE_WRITE), -1, 'read only');
  assert.equal(table.translate(2 ** 30, TCE_READ), -1);
  for (const args of [
    [LIOBN, 2 ** 30, 0],
    [LIOBN + 1, 0, 0],
    [LIOBN, -1, 0],
  ])
    assert.equal(rig.call(0x20, ...args)[0], -4n);
  assert.equal(rig.call(0x138, LIOBN, 2 ** 30 - 4096, 0, 2)[0], -4n);
  assert.equal(rig.call(0x13c, LIOBN, 0, 0x4001, 1)[0], -4n);
  assert.equal(rig.call(0x13c, LIOBN, 0, 0x4000, 513)[0], -4n);
  const saved = JSON.parse(JSON.stringify(rig.board.save()));
  rig.board.reset();
  assert.deepEqual(rig.call(0x1c, LIOBN, 0x3000).slice(0, 2), [0n, 0n]);
  rig.board.restore(saved);
  assert.deepEqual(rig.call(0x1c, LIOBN, 0x3000).slice(0, 2), [0n, 0x12345003n]);
});
