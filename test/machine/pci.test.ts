import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Bus } from '../../src/machine/bus.ts';
import type { MmioRegion } from '../../src/machine/device.ts';
import { Ppc4xxPci } from '../../src/machine/devices/ppc4xx-pci.ts';

const CONFIG = 0xeec00000;
const REGISTERS = 0xef400000;
const IO = 0xe8000000;

function make() {
  const pci = new Ppc4xxPci([], 0xa0000000, 0);
  const bus = new Bus();
  const [config, registers, io] = pci.mmio as readonly [MmioRegion, MmioRegion, MmioRegion];
  bus.mapMmio(CONFIG, 8, config, true);
  bus.mapMmio(REGISTERS, 0x40, registers, true);
  bus.mapMmio(IO, 0x10000, io, true);
  return { pci, bus };
}

/** As a big-endian processor's stwbrx and lwbrx see it. */
const reversed = (value: number): number => {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value);
  return view.getUint32(0, true);
};

function readConfig(bus: Bus, devfn: number, register: number, length: number): number {
  bus.writeMmio(CONFIG, 4, reversed((0x80000000 | (devfn << 8) | (register & 0xfc)) >>> 0));
  const value = bus.readMmio(CONFIG + 4 + (register & 3), length);
  return length === 4 ? reversed(value) : length === 2 ? ((value & 0xff) << 8) | (value >>> 8) : value;
}

test('the bus has the host bridge and nothing else', () => {
  const { bus } = make();
  assert.equal(readConfig(bus, 0, 0, 4), 0x027f1014);
  assert.equal(readConfig(bus, 0, 0, 2), 0x1014);
  assert.equal(readConfig(bus, 0, 2, 2), 0x027f);
  assert.equal(readConfig(bus, 0, 8, 4), 0x06800000, 'class 0680, interface 0, revision 0');
  assert.equal(readConfig(bus, 0, 0x0e, 1), 0, 'one function, ordinary header');
  for (let devfn = 1; devfn < 256; devfn++) assert.equal(readConfig(bus, devfn, 0, 4), 0xffffffff);
  bus.writeMmio(CONFIG, 4, reversed(0x80010000));
  assert.equal(bus.readMmio(CONFIG + 4, 4), 0xffffffff, 'bus 1 does not exist');
  bus.writeMmio(CONFIG, 4, 0);
  assert.equal(bus.readMmio(CONFIG + 4, 4), 0xffffffff, 'the enable bit is off');
});

test('identification cannot be written, base addresses stay zero, the command register can be set', () => {
  const { bus } = make();
  const write = (register: number, value: number): void => {
    bus.writeMmio(CONFIG, 4, reversed((0x80000000 | register) >>> 0));
    bus.writeMmio(CONFIG + 4, 4, reversed(value));
  };
  write(0, 0xffffffff);
  assert.equal(readConfig(bus, 0, 0, 4), 0x027f1014);
  write(0x10, 0xffffffff);
  assert.equal(readConfig(bus, 0, 0x10, 4), 0);
  write(4, 0x00000006);
  assert.equal(readConfig(bus, 0, 4, 2), 6);
});

test('the maps read back what was written; I/O space floats high', () => {
  const { bus, pci } = make();
  for (let offset = 0; offset < 0x40; offset += 4) bus.writeMmio(REGISTERS + offset, 4, 0x01020300 + offset);
  for (let offset = 0; offset < 0x40; offset += 4)
    assert.equal(bus.readMmio(REGISTERS + offset, 4), 0x01020300 + offset);
  assert.equal(bus.readMmio(IO + 0x3f8, 1), 0xff);
  assert.equal(bus.readMmio(IO + 0x3f8, 4), 0xffffffff);
  pci.reset();
  assert.equal(bus.readMmio(REGISTERS + 4, 4), 0);
});

test('no accesses make it throw, and a saved state is complete', () => {
  const access = fc.record({
    base: fc.constantFrom(CONFIG, REGISTERS, IO),
    offset: fc.nat(0x44),
    length: fc.constantFrom(1, 2, 4),
    value: fc.option(fc.integer({ min: 0, max: 0xffffffff })),
  });
  fc.assert(
    fc.property(fc.array(access, { maxLength: 60 }), (accesses) => {
      const one = make();
      for (const { base, offset, length, value } of accesses) {
        if (value !== null) one.bus.writeMmio(base + offset, length, value);
        else {
          const read = one.bus.readMmio(base + offset, length);
          assert.ok(Number.isInteger(read) && read >= 0 && read <= 2 ** (8 * length) - 1);
        }
      }
      const two = make();
      two.pci.restore(JSON.parse(JSON.stringify(one.pci.save())));
      assert.deepEqual(two.pci.save(), one.pci.save());
      for (let register = 0; register < 256; register++)
        assert.equal(readConfig(two.bus, 0, register, 1), readConfig(one.bus, 0, register, 1));
    }),
    { numRuns: 100 },
  );
});
