/** Real addresses have as many bits as the model implements: what stands on their left is ignored, in real mode and in page tables. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords } from '../../../src/isa/index.ts';
import { KVM_EXIT } from '../../../src/kvm/index.ts';
import { ACCELS, CODE, CPUS, DATA, LittleGuest, MSR, SF } from './little-guest.ts';

const BITS = { 970: 42, power7: 46, power8: 50 } as const;
const HTAB = 0x10_0000;

for (const cpu of CPUS)
  for (const accel of ACCELS)
    test(`real addresses, ${cpu}, ${accel}`, () => {
      const above = 1n << BigInt(BITS[cpu]);
      const guest = new LittleGuest(cpu, accel);
      const { vm, vcpu } = guest;
      /** The real address that a store to an effective one goes to, where there is no memory. */
      const store = (address: bigint, msr = 0n): number => {
        vm.memory.write32(CODE, assembleWords('stb 0,0(5)')[0] as number);
        const regs = vcpu.getRegs();
        regs.gpr[5] = address;
        vcpu.setRegs({ ...regs, pc: BigInt(CODE), msr: SF | MSR.ME | msr });
        assert.equal(vcpu.run(1e9), KVM_EXIT.MMIO);
        return vcpu.kvmRun.mmio.physAddr;
      };
      const last = above - 0xeddn;
      assert.equal(store(last), Number(last));
      assert.equal(store(last | above), Number(last));
      assert.equal(store(0x0fff_ffff_ffff_f123n), Number(last));
      vm.memory.write32(DATA, 0x1234_5678);
      assert.equal(guest.run('lwz 6,0(5)', { 5: above | BigInt(DATA) }).gpr[6], 0x1234_5678n);
      // A page of the table, whose entry has all bits of the page's number.
      const page = DATA >> 12;
      const entry = HTAB + ((0x300 ^ page) & 0x7ff) * 128;
      assert.notEqual(vm.memory.read32(entry + 4), 0);
      vm.memory.write32(entry + 8, 0x0fff_ffff);
      vm.memory.write32(entry + 12, 0xffff_f002);
      vcpu.setSregs({ sdr1: BigInt(HTAB) });
      assert.equal(store(BigInt(DATA) + 0x123n, MSR.IR | MSR.DR), Number(last));
    });
