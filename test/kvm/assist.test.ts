/** Random kernel code runs with assist as it runs with traps: same registers, same TLB, same place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Accel, createVm, KVM_EXIT, KVM_INTERRUPT, type Vcpu, type Vm } from '../../src/kvm/index.ts';
import { mfspr, mtdcr, mtspr, word0, x31 } from './fake-cpu.ts';

const PROGRAMS = 400;
const LENGTH = 80;
const CODE = 0x1000;
const VECTORS = 0x8000;
const ISYNC = (19 << 26) | (150 << 1);
const READ = [26, 27, 48, 58, 59, 61, 62, 63, 256, 260, 272, 279, 286, 287, 312, 340, 400, 888, 946, 947, 1000];
const WRITE = [26, 27, 48, 58, 59, 61, 62, 256, 272, 275, 279, 286, 287, 312, 317, 570, 888, 946, 947];

function rig(accel: Accel): { vm: Vm; vcpu: Vcpu } {
  const vm = createVm({
    cpu: '440ep',
    accel,
    clock: { now: () => 0 },
    timebaseFrequency: 1e9,
    maxMemory: 2 ** 20,
  });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: 2 ** 20 });
  return { vm, vcpu: vm.createVcpu(0) };
}

function program(random: (n: number) => number): number[] {
  const r = (): number => 3 + random(6);
  return Array.from({ length: LENGTH }, () => {
    switch (random(12)) {
      case 0:
      case 1:
        return mfspr(r(), READ[random(READ.length)] as number);
      case 2:
      case 3:
        return mtspr(WRITE[random(WRITE.length)] as number, r());
      case 4:
        return x31(83, r());
      case 5:
        return random(2) === 0 ? x31(131, r()) : (x31(163) | (random(2) << 15)) >>> 0;
      case 6:
        // r9 holds an MSR value that keeps the guest where it is.
        return x31(146, 9);
      case 7:
        return x31(946, r(), 20 + random(8), random(3));
      case 8:
        return random(2) === 0 ? ISYNC : x31(914, r(), 0, 10 + random(10), random(2));
      default:
        // Words 1, 0, 2 of an entry that r20–r27 name, mostly in Linux's order; r10–r19 are fit for word 0.
        return x31(978, random(4) === 0 ? r() : 10 + random(10), 20 + random(8), random(3));
    }
  });
}

test(`${PROGRAMS} random programs`, () => {
  const rigs = [rig('trap'), rig('assist')];
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const states = rigs.map(({ vm, vcpu }) => {
      let state = Math.imul(seed, 0x9e3779b1) | 1;
      const random = (n: number): number => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return (state >>> 0) % n;
      };
      vcpu.reset();
      vcpu.interrupt(KVM_INTERRUPT.UNSET);
      vcpu.setTlbEntry(63, { word0: word0(0, 4), word1: 0, word2: 7, tid: 0 });
      for (const [i, word] of [...program(random), mtdcr(1, 0)].entries()) vm.memory.write32(CODE + 4 * i, word);
      for (let vector = 0; vector < 16; vector++) {
        vm.memory.write32(VECTORS + 0x10 * vector, mtdcr(0x100 + vector, 0));
        vcpu.setSregs({ [`ivor${vector}`]: VECTORS + 0x10 * vector });
      }
      const regs = vcpu.getRegs();
      regs.pc = BigInt(CODE);
      regs.gpr = regs.gpr.map((_, n) => {
        const value = random(2 ** 32 - 1) >>> 0;
        if (n === 9) return BigInt((random(2) * 0x8000) | (random(4) === 0 ? 0x21200 : 0));
        if (n >= 10 && n < 20)
          return BigInt((0x40000000 | (value & 0x3fc00) | (random(3) === 0 ? 0 : 0x200) | (random(3) << 4)) >>> 0);
        if (n >= 20 && n < 28) return BigInt((value & ~63) >>> 0) + BigInt(random(6));
        return BigInt(value);
      });
      vcpu.setRegs(regs);
      if (random(2) === 0) vcpu.interrupt(KVM_INTERRUPT.SET_LEVEL);
      const reason = vcpu.run(1);
      const tlb = Array.from({ length: 64 }, (_, page) => vcpu.translate(0x40000000 + page * 4096));
      return { reason, dcrn: vcpu.kvmRun.dcr.dcrn, regs: vcpu.getRegs(), sregs: vcpu.getSregs(), tlb };
    });
    assert.equal(states[0]?.reason, KVM_EXIT.DCR, `program ${seed}`);
    assert.deepEqual(states[1], states[0], `program ${seed}`);
  }
  const [trap, assist] = rigs.map(({ vcpu }) => vcpu.stats['emulated_inst_exits'] as number);
  assert.ok((assist as number) < (trap as number) / 2);
});
