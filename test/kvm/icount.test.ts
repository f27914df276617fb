/** Counted time goes on with each instruction, however the guest moves its timers while a budget is being spent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import { createVm, KVM_EXIT } from '../../src/kvm/index.ts';

const NS_PER_INSTRUCTION = 10;
const SLICE_NS = 25_000;

for (const { cpu, msr } of [
  { cpu: 'power8', msr: 1n << 63n },
  { cpu: '440ep', msr: 0n },
  { cpu: 'e500v2', msr: 0n },
])
  test(`a guest that puts its timer off again and again gets older: ${cpu}`, () => {
    const vm = createVm({
      cpu,
      accel: 'trap',
      clock: { now: () => 0 },
      timebaseFrequency: 512e6,
      maxMemory: 0x1_0000,
      icount: NS_PER_INSTRUCTION,
    });
    vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: 0x1_0000 });
    const vcpu = vm.createVcpu(0);
    if (cpu === '440ep') vcpu.setTlbEntry(0, { word0: 0x0000_0290, word1: 0, word2: 7, tid: 0 });
    if (cpu === 'e500v2') vcpu.setTlbEntry(256, { mas1: 0xc000_0700, mas2: 0, mas3: 0x3f, mas7: 0 });
    // Where the timer is near, a slice ends and the next budget is small; before that is spent, the timer is far.
    const nops = (count: number): string => 'nop; '.repeat(count);
    const source = `l: lis r6,0x7000; mtspr 22,r6; ${nops(16)} b x; x: ${nops(40)} li r5,100; mtspr 22,r5; b l`;
    for (const [i, word] of assembleWords(source, 0x1000).entries()) vm.memory.write32(0x1000 + 4 * i, word);
    vcpu.setRegs({ ...vcpu.getRegs(), pc: 0x1000n, msr });
    // Each instruction that retired and each exit counts, but for those of which the guest notices nothing.
    const counted = (): number => {
      const { sum_exits = 0, retry_exits = 0 } = vcpu.stats;
      return (vm.stats['instructions'] as number) + sum_exits - retry_exits;
    };
    for (let slice = 0; slice < 200; slice++) {
      assert.equal(vcpu.run(SLICE_NS), KVM_EXIT.INTR);
      assert.equal(vm.clock.now(), counted() * NS_PER_INSTRUCTION);
    }
  });
