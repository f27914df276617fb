/** The decrementer's exception is there as long as its sign is set (Power ISA 2.07 Book III-S, 7.3), on each model. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KVM_EXIT, type KvmExitReason } from '../../../src/kvm/index.ts';
import { ACCELS, CODE, CPUS, LittleGuest, MSR, SF } from './little-guest.ts';

const EE = 0x8000n;
const TWO_31 = 2 ** 31;

for (const cpu of CPUS)
  for (const accel of ACCELS)
    test(`a decrementer interrupt comes and goes with the sign, ${cpu}, ${accel}`, () => {
      let now = 0;
      const guest = new LittleGuest(cpu, accel, { clock: { now: () => now } });
      guest.place(CODE, 'b .');
      const { vcpu } = guest;
      /** What comes of DEC after some ticks, once MSR lets interrupts in: a tick is a nanosecond. */
      const after = (dec: number, ticks: number): number => {
        vcpu.setRegs({ ...vcpu.getRegs(), pc: BigInt(CODE), msr: SF | MSR.ME });
        vcpu.setSregs({ dec });
        // The guest sees some of what is between.
        for (const part of [0.4, 0.4, 0.2]) {
          now += ticks * part;
          assert.equal(vcpu.run(0), KVM_EXIT.INTR);
        }
        vcpu.setRegs({ ...vcpu.getRegs(), pc: BigInt(CODE), msr: SF | MSR.ME | EE });
        const reason: KvmExitReason = vcpu.run(0);
        if (reason === KVM_EXIT.INTR) return 0;
        return Number(vcpu.getRegs().pc & 0xfe0n);
      };
      assert.equal(after(1000, 500), 0);
      assert.equal(after(1000, 1000), 0);
      assert.equal(after(1000, 1010), 0x900);
      assert.equal(after(0xffff_ffff, 0), 0x900);
      assert.equal(after(0xffff_ffff, 1e9), 0x900);
      assert.equal(after(0xffff_ffff, TWO_31 + 10), 0);
      assert.equal(after(0x8000_0000, 0), 0x900);
      assert.equal(after(0x8000_0000, 10), 0);
      assert.equal(after(1000, TWO_31 + 2000), 0);
      assert.equal(after(1000, 2 * TWO_31 + 2000), 0x900);
    });
