import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestTlb440 } from '../../src/kvm/booke/44x/mmu.ts';
import { BOOKE_VECTOR, ESR, TLB44X } from '../../src/processor/index.ts';
import { ALL, CODE, MMIO, RAM_BYTES, Rig, step, USER_ALL, word0, x31 } from './fake-cpu.ts';

const at = (vector: number): number => 0x800000 + 0x100 * (vector + 1);
const HOST_RAM = 0x10000000;

/** The search as the manual says it, entry by entry. */
function slowSearch(tlb: GuestTlb440, address: number, pid: number, space: number): number {
  for (let i = 0; i < 64; i++) {
    const entry = tlb.word(i, 0);
    const size = (entry >>> 4) & 15;
    if ((entry & TLB44X.VALID) === 0 || size > 10) continue;
    const mask = -(2 ** (10 + 2 * size));
    const tid = tlb.word(i, 3);
    if (((entry >>> 8) & 1) === space && (tid === 0 || tid === pid) && (address & mask) === (entry & mask & ~1023))
      return i;
  }
  return -1;
}

test('the search finds what a walk over all entries finds', () => {
  let seed = 1;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  const tlb = new GuestTlb440(new ArrayBuffer(0x4000), 0);
  for (let round = 0; round < 20000; round++) {
    const address = (random(4) << 28) | (random(8) << 20) | (random(4) << 12) | random(4096);
    if (random(2) === 0)
      tlb.write(
        random(64),
        0,
        address | (random(4) === 0 ? 0 : 0x200) | (random(2) << 8) | (random(12) << 4),
        random(3),
      );
    const other = (random(4) << 28) | (random(8) << 20) | (random(4) << 12) | random(4096);
    const pid = random(3);
    const space = random(2);
    assert.equal(tlb.search(other, pid, space), slowSearch(tlb, other, pid, space));
  }
});

test('frames have 26 bits and ignore RPN bits below the page size', () => {
  const tlb = new GuestTlb440(new ArrayBuffer(0x4000), 0);
  tlb.write(0, 0, word0(0xe0000000, 9), 0);
  tlb.write(0, 1, 0x1ffffc05, 0);
  assert.equal(tlb.frame(0, 0xe1234567 | 0) * 1024, 5 * 2 ** 32 + 0x11234400);
});

test('a miss in the guest TLB is the guest’s', () => {
  const rig = new Rig();
  rig.run(step.data(0x70000010, true));
  assert.equal(rig.pc, at(BOOKE_VECTOR.dataTlbError));
  assert.equal(rig.sreg('dear'), 0x70000010);
  assert.equal(rig.sreg('esr'), ESR.ST);
  rig.set({ pc: CODE });
  rig.run(step.fetch(0x70000000));
  assert.equal(rig.pc, at(BOOKE_VECTOR.instructionTlbError));
  assert.equal(Number(rig.vcpu.getRegs().srr0), 0x70000000);
  const { stats } = rig.vcpu;
  assert.equal(stats['dtlb_real_miss_exits'], 1);
  assert.equal(stats['itlb_real_miss_exits'], 1);
});

test('a hit gets a shadow of the largest size that fits, by view', () => {
  const rig = new Rig();
  rig.run(step.data(0x12345));
  // A 16 MB guest page over a 16 MB slot.
  assert.deepEqual(rig.cpu.live, [{ word0: word0(0, 7, 1), word1: HOST_RAM, word2: ALL << 3, tid: 0 }]);
  rig.map(1, 0x20000000, 0x3000, 1, USER_ALL | TLB44X.SR, 9);
  rig.set({ pid: 9 });
  rig.run(step.data(0x20000800));
  rig.set({ msr: 0x4000 });
  rig.run(step.data(0x20000804, true));
  assert.deepEqual(rig.cpu.live.slice(0, 2), [
    { word0: word0(0x20000000, 1, 1), word1: HOST_RAM + 0x3000, word2: TLB44X.UR, tid: 9 },
    { word0: word0(0x20000000, 1, 0), word1: HOST_RAM + 0x3000, word2: USER_ALL, tid: 9 },
  ]);
  assert.equal(rig.vcpu.stats['dtlb_virt_miss_exits'], 3);
  // The large one stands at the top, out of the round robin.
  assert.ok(rig.cpu.entries[15]);
});

test('a guest page larger than its slot is shadowed in pieces', () => {
  const rig = new Rig();
  rig.map(2, 0x40000000, 0, 9, ALL);
  rig.run(step.data(0x40001234));
  assert.equal(rig.cpu.live[0]?.word0, word0(0x40000000, 7, 1));
  // Above the slot it is no memory.
  rig.set({ gpr: { 4: 0x40000000 + RAM_BYTES } });
  rig.vm.memory.write32(CODE, (32 << 26) | (5 << 21) | (4 << 16));
  rig.set({ pc: CODE });
  assert.equal(rig.run(step.data(0x40000000 + RAM_BYTES)), MMIO);
});

test('missing permission is reported as a storage interrupt', () => {
  const rig = new Rig();
  rig.map(1, 0x20000000, 0x3000, 1, TLB44X.UR | TLB44X.SR);
  rig.run(step.data(0x20000000, true));
  assert.equal(rig.pc, at(BOOKE_VECTOR.dataStorage));
  assert.equal(rig.sreg('esr'), ESR.ST);
  rig.run(step.fetch(0x20000000));
  assert.equal(rig.pc, at(BOOKE_VECTOR.instructionStorage));
  assert.equal(rig.sreg('esr'), 0);
  rig.set({ msr: 0x4000, pc: 0x20000000 });
  rig.map(1, 0x20000000, 0x3000, 1, ALL);
  rig.run(step.data(0x20000000));
  assert.equal(rig.pc, at(BOOKE_VECTOR.dataStorage), 'user access to a kernel page');
});

test('tlbwe drops the shadows of its entry and makes the one that was missed', () => {
  const rig = new Rig();
  rig.run(step.fetch(CODE));
  rig.map(1, 0x20000000, 0x3000, 1, 0x3f);
  rig.run(step.data(0x20000000));
  assert.equal(rig.cpu.live.length, 2);
  rig.set({ pc: CODE, gpr: { 3: 1, 4: word0(0x30000000, 1), 5: 0x4000, 6: 0x3f }, srr1: 0x4000 });
  rig.emulate(x31(978, 5, 3, 1));
  assert.equal(rig.cpu.live.length, 1);
  rig.emulate(x31(978, 4, 3, 0));
  rig.emulate(x31(978, 6, 3, 2));
  assert.deepEqual(rig.cpu.live[0], { word0: word0(0x30000000, 1), word1: HOST_RAM + 0x4000, word2: 0x38, tid: 0 });
  assert.equal(rig.vcpu.stats['eager_shadows'], 1);
});

test('PID and privilege changes keep shadows, MSR[DS] changes drop them', () => {
  const rig = new Rig();
  rig.run(step.data(0));
  rig.set({ msr: 0x4000, pid: 3 });
  assert.equal(rig.cpu.live.length, 1);
  assert.deepEqual(rig.cpu.context, { space: 0, pid: 3, mode: 0 });
  rig.set({ msr: 0x10 });
  assert.equal(rig.cpu.live.length, 0);
});

test('the round robin never evicts a large page', () => {
  const rig = new Rig();
  rig.run(step.fetch(CODE));
  for (let i = 0; i < 40; i++) {
    rig.map(i, 0x20000000 + i * 4096, 0x3000, 1, ALL);
    rig.run(step.data(0x20000000 + i * 4096));
  }
  assert.equal(rig.cpu.live.length, 16);
  assert.equal(rig.cpu.entries[15]?.word0, word0(0, 7, 1));
  // Each guest entry's overwriting takes away exactly its own shadow.
  for (let i = 0; i < 40; i++) rig.map(i, 0, 0, 1, 0);
  assert.equal(rig.cpu.live.length, 1);
});

test('instruction and data spaces that differ: fetch wins, data is emulated', () => {
  const rig = new Rig();
  rig.map(62, 0, 0x100000, 5, ALL, 0, 1);
  rig.set({ msr: 0x10 });
  rig.run(step.fetch(CODE));
  assert.equal(rig.cpu.live[0]?.word2, TLB44X.UX);
  rig.vm.memory.write32(0x101008, 0x11223344);
  rig.vm.memory.write32(CODE, (32 << 26) | (5 << 21) | 0x1008);
  rig.run(step.data(0x1008, false, BOOKE_VECTOR.dataStorage));
  assert.equal(rig.gpr(5), 0x11223344);
  assert.equal(rig.pc, CODE + 4);
  assert.equal(rig.vcpu.stats['emulated_accesses'], 1);
});

test('translate answers from the guest TLB', () => {
  const rig = new Rig();
  rig.map(1, 0x20000000, 0x1_2345_6000, 1, TLB44X.SR);
  assert.deepEqual(rig.vcpu.translate(0x20000abc), {
    physicalAddress: 0x1_2345_6abc,
    valid: true,
    writeable: false,
    usermode: false,
  });
  assert.equal(rig.vcpu.translate(0x60000000).valid, false);
});
