/** The hardware TLB and the soft TLB in front of it: what matches, what is refused, what is dropped when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BOOKE_VECTOR, ESR } from '../../src/processor/index.ts';
import { bothTiers, TestCpu } from './test-cpu.ts';

const CODE = 0x1000;
const { dataTlbError, dataStorage, instructionTlbError, instructionStorage, systemCall } = BOOKE_VECTOR;

/** A load at r3 into r4, or a store of r4 at r3, then `sc`. */
function prepare(cpu: TestCpu): void {
  cpu.map(0, CODE, CODE, { access: 'x' });
  cpu.load(CODE, 'lwz 4,0(3); sc');
  cpu.load(CODE + 0x100, 'stw 4,0(3); sc');
}
function load(cpu: TestCpu, address: number): number | string {
  cpu.setGprs({ 3: address, 4: 0xdead });
  const { vector, syndrome, address: dear } = cpu.run(CODE);
  if (vector === systemCall) return cpu.gpr(4);
  assert.equal(dear, address);
  assert.equal(syndrome, 0);
  assert.equal(cpu.gpr(4), 0xdead);
  return vector === dataTlbError ? 'miss' : vector === dataStorage ? 'denied' : `vector ${vector}`;
}
function store(cpu: TestCpu, address: number, value: number): string {
  cpu.setGprs({ 3: address, 4: value });
  const { vector, syndrome, address: dear } = cpu.run(CODE + 0x100);
  if (vector === systemCall) return 'stored';
  assert.equal(dear, address);
  assert.equal(syndrome, ESR.ST);
  return vector === dataTlbError ? 'miss' : vector === dataStorage ? 'denied' : `vector ${vector}`;
}
const flushes = (cpu: TestCpu): number => cpu.cpu.stats['soft_tlb_set_flushes'] as number;
const refills = (cpu: TestCpu): number => cpu.cpu.stats['soft_tlb_refills'] as number;

bothTiers('a page is found, and no longer when its entry is gone', (cpu) => {
  prepare(cpu);
  cpu.write32(0x5000, 0x11111111);
  assert.equal(load(cpu, 0x70000000), 'miss');
  cpu.map(1, 0x70000000, 0x5000);
  cpu.translate();
  assert.equal(load(cpu, 0x70000000), 0x11111111);
  assert.equal(load(cpu, 0x70001000), 'miss');
  assert.equal(load(cpu, 0x6ffff000), 'miss');
  cpu.cpu.tlbInvalidate(1);
  assert.equal(load(cpu, 0x70000000), 'miss');
});

test('a page is looked up in the hardware TLB once', () => {
  const cpu = new TestCpu('interpreted');
  prepare(cpu);
  cpu.map(1, 0x70000000, 0x5000);
  load(cpu, 0x70000000);
  const before = refills(cpu);
  for (let i = 0; i < 20; i++) load(cpu, 0x70000000 + 4 * i);
  assert.equal(refills(cpu), before);
});

bothTiers('an entry that is written over leaves nothing behind', (cpu) => {
  prepare(cpu);
  cpu.write32(0x5000, 5);
  cpu.write32(0x6000, 6);
  cpu.map(1, 0x70000000, 0x5000);
  assert.equal(load(cpu, 0x70000000), 5);
  cpu.translate();
  cpu.map(1, 0x70000000, 0x6000);
  assert.equal(load(cpu, 0x70000000), 6);
  cpu.map(1, 0x70008000, 0x6000);
  assert.equal(load(cpu, 0x70000000), 'miss');
});

bothTiers('permissions are those of user mode, each by itself', (cpu) => {
  prepare(cpu);
  cpu.write32(0x5000, 0x55);
  cpu.map(1, 0x70000000, 0x5000, { access: 'r' });
  cpu.map(2, 0x70001000, 0x5000, { access: 'w' });
  cpu.map(3, 0x70002000, 0x5000, { access: 'x' });
  cpu.map(4, 0x70003000, 0x5000, { access: '' });
  for (let round = 0; round < 2; round++) {
    assert.equal(load(cpu, 0x70000000), 0x55);
    assert.equal(store(cpu, 0x70000000, 1), 'denied');
    assert.equal(load(cpu, 0x70001000), 'denied');
    assert.equal(store(cpu, 0x70001000, 0x55), 'stored');
    assert.equal(load(cpu, 0x70002000), 'denied');
    assert.equal(load(cpu, 0x70003000), 'denied');
    assert.equal(cpu.run(0x70001000).vector, instructionStorage);
    cpu.translate();
  }
});

bothTiers('instruction fetches miss and are refused', (cpu) => {
  cpu.map(0, CODE, CODE, { access: 'x' });
  cpu.map(1, 0x70000000, 0x5000, { access: 'rw' });
  assert.deepEqual(
    [cpu.run(0x60000124), cpu.run(0x70000128)].map(({ vector, pc, address, syndrome }) => [
      vector,
      pc,
      address,
      syndrome,
    ]),
    [
      [instructionTlbError, 0x60000124, 0x60000124, 0],
      [instructionStorage, 0x70000128, 0x70000128, 0],
    ],
  );
});

bothTiers('sizes: an entry covers its whole page and no more', (cpu) => {
  prepare(cpu);
  for (const [size, bytes] of Object.entries({
    '4K': 0x1000,
    '16K': 0x4000,
    '64K': 0x10000,
    '256K': 0x40000,
    '1M': 0x100000,
  })) {
    const real = Math.max(bytes, 0x100000);
    cpu.write32(real, 1);
    cpu.write32(real + bytes - 4, 2);
    cpu.map(1, 0x70000000, real, { size: size as '4K' });
    assert.equal(load(cpu, 0x70000000), 1);
    assert.equal(load(cpu, 0x70000000 + bytes - 4), 2, size);
    assert.equal(load(cpu, 0x70000000 + bytes), 'miss', size);
    cpu.cpu.tlbInvalidate(1);
    assert.equal(load(cpu, 0x70000000), 'miss', size);
    assert.equal(load(cpu, 0x70000000 + bytes - 4), 'miss', size);
    cpu.translate();
  }
});

bothTiers('a page of one kilobyte is found and ends where it ends', (cpu) => {
  prepare(cpu);
  for (let i = 0; i < 4; i++) cpu.write32(0x5000 + 0x400 * i, 0x10 + i);
  cpu.map(1, 0x70000000, 0x5000, { size: '1K' });
  cpu.map(2, 0x70000800, 0x5c00, { size: '1K', access: 'r' });
  for (let round = 0; round < 2; round++) {
    assert.equal(load(cpu, 0x70000000), 0x10);
    assert.equal(load(cpu, 0x70000400), 'miss');
    assert.equal(load(cpu, 0x70000800), 0x13);
    assert.equal(load(cpu, 0x70000c00), 'miss');
    assert.equal(store(cpu, 0x70000000, 0x10), 'stored');
    assert.equal(store(cpu, 0x70000800, 9), 'denied');
    cpu.translate();
  }
});

bothTiers('a large page that goes takes only its own pages with it', (cpu) => {
  prepare(cpu);
  cpu.map(1, 0x70000000, 0, { size: '1M' });
  cpu.map(2, 0x70100000, 0x100000, { size: '1M' });
  for (let at = 0; at < 0x200000; at += 0x1000) cpu.write32(at, cpu.read32(at) || at);
  for (let at = 0x10000; at < 0x200000; at += 0x1000) assert.equal(load(cpu, 0x70000000 + at), at);
  cpu.translate();
  cpu.cpu.tlbInvalidate(1);
  const before = refills(cpu);
  for (let at = 0x10000; at < 0x100000; at += 0x1000) assert.equal(load(cpu, 0x70000000 + at), 'miss');
  for (let at = 0x100000; at < 0x200000; at += 0x1000) assert.equal(load(cpu, 0x70000000 + at), at);
  assert.equal(refills(cpu), before, 'the other page is still there');
});

bothTiers('address spaces and process identifiers have entries of their own', (cpu) => {
  for (const space of [0, 1] as const) cpu.map(space, CODE, CODE, { access: 'x', space });
  cpu.load(CODE, 'lwz 4,0(3); sc');
  cpu.map(2, 0x70000000, 0x5000, { tid: 1 });
  cpu.map(3, 0x70000000, 0x6000, { tid: 2 });
  cpu.map(4, 0x70000000, 0x7000, { space: 1, tid: 1 });
  cpu.map(5, 0x70001000, 0x8000);
  for (const real of [5, 6, 7, 8]) cpu.write32(real << 12, real);
  const seen = (space: 0 | 1, pid: number, address: number): number | string => {
    cpu.cpu.setContext(space, pid, 0);
    return load(cpu, address);
  };
  for (let round = 0; round < 2; round++) {
    assert.equal(seen(0, 1, 0x70000000), 5);
    assert.equal(seen(0, 2, 0x70000000), 6);
    assert.equal(seen(1, 1, 0x70000000), 7);
    assert.equal(seen(0, 3, 0x70000000), 'miss');
    assert.equal(seen(1, 2, 0x70000000), 'miss');
    // TID 0 is everybody's, in its own space.
    assert.equal(seen(0, 1, 0x70001000), 8);
    assert.equal(seen(0, 9, 0x70001000), 8);
    assert.equal(seen(1, 1, 0x70001000), 'miss');
    cpu.translate();
  }
  const before = flushes(cpu);
  const refillsBefore = refills(cpu);
  for (let round = 0; round < 10; round++) {
    assert.equal(seen(0, 1, 0x70000000), 5);
    assert.equal(seen(0, 2, 0x70000000), 6);
  }
  assert.equal(flushes(cpu), before, 'a change of process flushes nothing');
  assert.equal(refills(cpu), refillsBefore, 'and forgets nothing');
  // A global page leaves all sets when it goes.
  cpu.cpu.tlbInvalidate(5);
  assert.equal(seen(0, 1, 0x70001000), 'miss');
  assert.equal(seen(0, 9, 0x70001000), 'miss');
  assert.equal(seen(0, 2, 0x70000000), 6);
});

bothTiers('all entries go at once, and each set is cleared once, however large they were', (cpu) => {
  prepare(cpu);
  const processes = 3;
  const large = 20;
  for (let pid = 1; pid <= processes; pid++) cpu.cpu.setContext(0, pid, 0);
  for (let i = 0; i < large; i++) cpu.map(1 + i, 0x10000000 + i * 0x1000000, 0, { size: '16M' });
  cpu.write32(0x5000, 5);
  for (let pid = 1; pid <= processes; pid++) {
    cpu.cpu.setContext(0, pid, 0);
    assert.equal(load(cpu, 0x10005000), 5);
  }
  const before = flushes(cpu);
  cpu.cpu.tlbInvalidateAll();
  assert.ok(flushes(cpu) - before <= processes + 1, `${flushes(cpu) - before} sets were cleared`);
  cpu.map(0, CODE, CODE, { access: 'x' });
  for (let pid = 1; pid <= processes; pid++) {
    cpu.cpu.setContext(0, pid, 0);
    assert.equal(load(cpu, 0x10005000), 'miss');
  }
});

bothTiers('more processes than there are sets', (cpu) => {
  cpu.map(0, CODE, CODE, { access: 'x' });
  cpu.load(CODE, 'lwz 4,0(3); sc');
  for (let pid = 1; pid <= 40; pid++) {
    cpu.map(pid, 0x70000000, 0x100000 + pid * 0x1000, { tid: pid });
    cpu.write32(0x100000 + pid * 0x1000, pid);
  }
  for (let round = 0; round < 3; round++) {
    for (let pid = 1; pid <= 40; pid++) {
      cpu.cpu.setContext(0, pid, 0);
      assert.equal(load(cpu, 0x70000000), pid);
    }
  }
  // One that goes while its set is another's must not come back.
  cpu.cpu.tlbInvalidate(7);
  cpu.cpu.setContext(0, 7, 0);
  assert.equal(load(cpu, 0x70000000), 'miss');
});

bothTiers('an entry is not found under its old tag', (cpu) => {
  prepare(cpu);
  cpu.write32(0x5000, 5);
  cpu.write32(0x6000, 6);
  // Both addresses have the same place in the soft TLB.
  cpu.map(1, 0x70000000, 0x5000);
  cpu.map(2, 0x70400000, 0x6000);
  for (let i = 0; i < 3; i++) {
    assert.equal(load(cpu, 0x70000000), 5);
    assert.equal(load(cpu, 0x70400000), 6);
    cpu.translate();
  }
  cpu.cpu.tlbInvalidate(1);
  assert.equal(load(cpu, 0x70400000), 6);
  assert.equal(load(cpu, 0x70000000), 'miss');
});

bothTiers('the last page of the address space', (cpu) => {
  prepare(cpu);
  cpu.map(1, 0xfffff000, 0x5000);
  cpu.write32(0x5ffc, 0x1234);
  assert.equal(load(cpu, 0xfffffffc), 0x1234);
  assert.equal(load(cpu, 0), 'miss');
  cpu.translate();
  assert.equal(load(cpu, 0xfffffffc), 0x1234);
  // Across the end of the address space.
  assert.equal(cpu.run(CODE).vector, systemCall);
  cpu.setGprs({ 3: 0xfffffffe, 4: 1 });
  const ending = cpu.run(CODE);
  assert.deepEqual([ending.vector, ending.address], [dataTlbError, 0]);
});
