import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IndirectDcrs, PlainDcrs } from '../../src/machine/devices/dcr-registers.ts';
import { Ppc4xxSdram, sdramBanks } from '../../src/machine/devices/ppc4xx-sdram.ts';

const MiB = 2 ** 20;

/** What a boot loader does: adds up the enabled banks. */
function memoryBehind(sdram: Ppc4xxSdram): number {
  let bytes = 0;
  for (let bank = 0; bank < 4; bank++) {
    sdram.writeDcr(0, 0x40 + 4 * bank);
    const value = sdram.readDcr(1);
    if ((value & 1) !== 0) {
      assert.equal(value & 0xff800000, bytes & 0xff800000, 'banks follow each other');
      bytes += (4 * MiB) << ((value >>> 17) & 7);
    }
  }
  return bytes;
}

test('the bank registers add up to RAM', () => {
  for (const mebibytes of [8, 16, 64, 128, 144, 256, 384, 512, 1000, 1024]) {
    if (mebibytes === 1000) assert.equal(sdramBanks(mebibytes * MiB), undefined);
    else assert.equal(memoryBehind(new Ppc4xxSdram(mebibytes * MiB)), mebibytes * MiB);
  }
  for (const bytes of [0, 4 * MiB, 256 * MiB + 4096, 2048 * MiB, -1]) assert.equal(sdramBanks(bytes), undefined);
});

test('the memory controller is on and ready, as firmware leaves it', () => {
  const sdram = new Ppc4xxSdram(64 * MiB);
  sdram.writeDcr(0, 0x20);
  assert.equal(sdram.readDcr(1), 0x80000000);
  sdram.writeDcr(0, 0x24);
  assert.equal(sdram.readDcr(1), 0x80000000);
});

test('a self-clearing bit reads as zero', () => {
  const mal = new PlainDcrs(4, 0x80000000);
  mal.writeDcr(0, 0x80000001);
  assert.equal(mal.readDcr(0), 1);
  mal.writeDcr(1, 0x80000001);
  assert.equal(mal.readDcr(1), 0x80000001);
});

test('registers behind an address keep what was written until reset', () => {
  const cpr = new IndirectDcrs([[0x60, 0x1234]]);
  cpr.writeDcr(0, 0x60);
  assert.equal(cpr.readDcr(1), 0x1234);
  cpr.writeDcr(1, 5);
  assert.equal(cpr.readDcr(1), 5);
  cpr.reset();
  cpr.writeDcr(0, 0x60);
  assert.equal(cpr.readDcr(1), 0x1234);
});

test('no accesses make them throw, and a saved state is complete', () => {
  const access = fc.record({
    offset: fc.constantFrom(0, 1, 2, 40),
    value: fc.option(fc.oneof(fc.integer({ min: 0, max: 0x200 }), fc.integer({ min: 0, max: 0xffffffff }))),
  });
  const makers = [() => new Ppc4xxSdram(64 * MiB), () => new IndirectDcrs([[3, 4]]), () => new PlainDcrs(7, 1)];
  for (const make of makers) {
    fc.assert(
      fc.property(fc.array(access, { maxLength: 60 }), (accesses) => {
        const one = make();
        for (const { offset, value } of accesses) {
          if (value !== null) one.writeDcr(offset, value);
          else assert.ok(Number.isInteger(one.readDcr(offset)));
        }
        const two = make();
        two.restore(JSON.parse(JSON.stringify(one.save())));
        assert.deepEqual(two.save(), one.save());
        one.reset();
        assert.deepEqual(one.save(), make().save());
      }),
      { numRuns: 40 },
    );
  }
});
