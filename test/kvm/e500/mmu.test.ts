/** An e500's TLBs as its kernel has them, against the manual (EREF, "Storage Model" and "MMU Assist Registers"). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CODE, DEVICE, E500Guest, li32, VECTORS } from './e500-guest.ts';

const MAS0 = 624;
const MAS1 = 625;
const MAS2 = 626;
const MAS3 = 627;
const MAS4 = 628;
const MAS6 = 630;
const MAS7 = 944;
const END = `${li32(31, DEVICE)} stw 3,0(31);`;
const put = (spr: number, value: number): string => `${li32(9, value)} mtspr ${spr},9;`;
const entry = (mas0: number, mas1: number, mas2: number, mas3: number, mas7 = 0): string =>
  put(MAS0, mas0) + put(MAS1, mas1) + put(MAS2, mas2) + put(MAS3, mas3) + put(MAS7, mas7);

test('what a reset leaves', () => {
  const guest = new E500Guest();
  guest.write(`mfpvr 3; mfspr 4,688; mfspr 5,689; mfspr 6,1015; mfspr 7,515; mfspr 8,1023; ${END}`);
  assert.equal(guest.run(), 0x8021_0030);
  assert.deepEqual(
    [4, 5, 6, 7, 8].map((n) => guest.gpr(n)),
    [0x0211_0100, 0x101c_c010, 0x19c4, 0x3820, 0],
  );
});

test('tlbwe, tlbre and tlbsx of both TLBs, and what they find at 36-bit addresses', () => {
  const guest = new E500Guest();
  guest.vm.memory.write32(0x5004, 0x1234_5678);
  guest.write(
    `${entry(0x0001_0000, 0x8005_0000, 0x4000_5000, 0x0000_5000 | 0x3f)} tlbwe;
     li 9,5; mtspr 48,9; ${li32(10, 0x4000_5004)} lwz 20,0(10);
     ${entry(0x1003_0000, 0x8000_0500, 0x5010_0000, 0x0020_0000 | 0x15, 1)} tlbwe;
     ${put(MAS6, 5 << 16)} tlbsx 0,10; mfspr 21,${MAS0}; mfspr 22,${MAS1}; mfspr 23,${MAS3};
     ${li32(10, 0x501f_ffff)} tlbsx 0,10; mfspr 24,${MAS0}; mfspr 25,${MAS1}; mfspr 26,${MAS7}; mfspr 27,${MAS2};
     ${put(MAS4, 0x0000_0102)} ${li32(10, 0x6000_0000)} tlbsx 0,10; mfspr 28,${MAS1}; mfspr 29,${MAS2};
     ${put(MAS0, 0x1003_0000)} tlbre; mfspr 30,${MAS3}; ${END}`,
  );
  guest.run();
  assert.equal(guest.gpr(20), 0x1234_5678);
  assert.deepEqual(
    [21, 22, 23].map((n) => guest.gpr(n)),
    [0x0001_0000, 0x8005_0100, 0x0000_503f],
  );
  assert.deepEqual(
    [24, 25, 26, 27].map((n) => guest.gpr(n)),
    [0x1003_0000, 0x8000_0500, 1, 0x5010_0000],
  );
  assert.equal(guest.gpr(28), 0x0005_0100);
  assert.equal(guest.gpr(29), 0x5010_0002);
  assert.equal(guest.gpr(30), 0x0020_0015);
});

test('a miss loads the MAS registers, and the entry that its handler writes is used at once', () => {
  const guest = new E500Guest();
  guest.vm.memory.write32(0x7010, 77);
  guest.write(
    `mfspr 20,${MAS0}; mfspr 21,${MAS1}; mfspr 22,${MAS2}; mfspr 23,${MAS6}; mfdear 24; mfesr 25;
     ${put(MAS3, 0x7015)} tlbwe; rfi`,
    VECTORS + 0xd00,
  );
  guest.write(`${put(MAS4, 0x0000_0104)} li 9,9; mtspr 48,9; ${li32(10, 0x7654_3010)} lwz 3,0(10); addi 3,3,1; ${END}`);
  assert.equal(guest.run(), 78);
  assert.deepEqual(
    [20, 21, 22, 23, 24, 25].map((n) => guest.gpr(n)),
    [0x0000_0001, 0x8009_0100, 0x7654_3004, 0x0009_0000, 0x7654_3010, 0],
  );
  assert.equal(guest.vcpu.translate(0x7654_3000).physicalAddress, 0x7000);
});

test('permissions, and instruction misses', () => {
  const guest = new E500Guest();
  guest.write(`li 3,2; ${END}`, VECTORS + 0x200);
  guest.write(`mfspr 3,${MAS2}; ${END}`, VECTORS + 0xe00);
  guest.map(3, 0x4000_1000, 0x5000, { permissions: 0x02 });
  guest.write(`${li32(10, 0x4000_1000)} stw 3,0(10)`);
  assert.equal(guest.run(), 2, 'a store to a page that problem state alone may read');
  assert.equal(guest.sreg('esr'), 0x0080_0000);
  guest.write(`${li32(10, 0x4444_0008)} mtctr 10; bctr`);
  guest.set({ pc: CODE, msr: 0 });
  assert.equal(guest.run(), 0x4444_0000);
});

test('tlbivax and MMUCSR0 leave what is protected, and all else of the page or the TLB goes', () => {
  const guest = new E500Guest();
  const isMapped = (address: number) => guest.vcpu.translate(address).valid;
  const reset = () => {
    guest.map(4, 0x4000_2000, 0x5000);
    guest.map(5, 0x4000_2000, 0x5000, { tid: 7 });
    guest.map(6, 0x4000_3000, 0x5000);
    guest.vcpu.setTlbEntry(TLB1_FREE, { mas1: 0xc000_0100, mas2: 0x5000_0000, mas3: 0x503f, mas7: 0 });
    guest.vcpu.setTlbEntry(TLB1_FREE + 1, { mas1: 0x8000_0100, mas2: 0x5000_1000, mas3: 0x503f, mas7: 0 });
    // The code and the device of this test are to stay.
    guest.vcpu.setTlbEntry(256, { mas1: 0xc000_0700, mas2: 0, mas3: 0x3f, mas7: 0 });
    guest.vcpu.setTlbEntry(257, { mas1: 0xc000_0100, mas2: DEVICE, mas3: (DEVICE | 0x3f) >>> 0, mas7: 0 });
    guest.set({ pc: CODE, msr: 0 });
  };
  const after = (source: string) => {
    reset();
    guest.write(source + END);
    guest.run();
    guest.set({ msr: 0 });
    return [0x4000_2000, 0x4000_3000, 0x5000_0000, 0x5000_1000].map(isMapped);
  };
  assert.deepEqual(after(`${li32(10, 0x4000_2000)} tlbivax 0,10;`), [false, true, true, true]);
  assert.deepEqual(after(`${li32(10, 0x4)} tlbivax 0,10;`), [false, false, true, true]);
  assert.deepEqual(after(`${li32(10, 0xc)} tlbivax 0,10;`), [true, true, true, false]);
  assert.deepEqual(after(`${li32(10, 0x5000_1008)} tlbivax 0,10;`), [true, true, true, false]);
  assert.deepEqual(after('li 9,4; mtspr 1012,9;'), [false, false, true, true]);
  assert.deepEqual(after('li 9,2; mtspr 1012,9;'), [true, true, true, false]);
});

const TLB1_FREE = 258;

test('who looks inside sees both TLBs beside their shadows', () => {
  const guest = new E500Guest();
  guest.map(0, 0x4000_0000, 0x5000, { tid: 3 });
  guest.write(`li 9,3; mtspr 48,9; ${li32(10, 0x4000_0000)} lwz 3,0(10); ${END}`);
  guest.run();
  const [entries, shadows] = guest.vcpu.tables(100);
  assert.deepEqual(entries?.rows[0], ['TLB0 0', 0x4000_0000n, '4K', 0x5000n, 3, 0, 'rwx', 'rwx', '']);
  assert.ok(shadows?.rows.some((row) => row[1] === 'TLB0 0' && row[4] === 'kernel'));
  assert.ok(shadows?.rows.some((row) => row[1] === 'TLB1 0' && row[3] === '16M'));
  assert.equal(guest.vcpu.chain(0x4000_0004n)[1]?.address, 0x5004n);
});
