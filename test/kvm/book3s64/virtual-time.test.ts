/** The virtual time base counts while the guest's processor is there (Power ISA 2.07 Book III-S, 7.2). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KVM_EXIT, KVM_REG_PPC } from '../../../src/kvm/index.ts';
import { ACCELS, CODE, LittleGuest, MSR, SF } from './little-guest.ts';

/** A nanosecond is a tick. */
const SECOND = 1e9;
const VTB = 849;
const H_CEDE = 0xe0n;

for (const accel of ACCELS) {
  test(`time in which the host was kept from its work is not the guest's, ${accel}`, () => {
    let now = 5 * SECOND;
    const guest = new LittleGuest('power8', accel, { clock: { now: () => now } });
    const { vcpu } = guest;
    const read = (): number => Number(guest.run(`mfspr r5,${VTB}`).gpr[5]);
    const first = read();
    now += 1000;
    assert.equal(read() - first, 1000);
    // As when the process is stopped for a minute.
    now += 60 * SECOND;
    assert.equal(read() - first, 1000 + SECOND);
    now += 7;
    assert.equal(read() - first, 1007 + SECOND);
    // The time base has it all.
    assert.equal(guest.run('mftb r5').gpr[5], BigInt(now));
    // It goes on from what a saved state says, and from where it was when the time base is moved.
    vcpu.setOneReg(KVM_REG_PPC.VTB, 1234n);
    now += 10;
    assert.equal(read(), 1244);
    vcpu.setOneReg(KVM_REG_PPC.TB_OFFSET, BigInt(SECOND));
    assert.equal(read(), 1244);
    now += 10;
    assert.equal(read(), 1254);
    assert.equal(vcpu.getOneReg(KVM_REG_PPC.VTB), 1254n);
  });

  test(`it stands still while the guest waits, ${accel}`, () => {
    let now = 0;
    const guest = new LittleGuest('power8', accel, { clock: { now: () => now }, papr: true });
    const { vcpu } = guest;
    guest.place(CODE, 'sc 1; b .');
    const regs = vcpu.getRegs();
    regs.gpr[3] = H_CEDE;
    vcpu.setRegs({ ...regs, pc: BigInt(CODE), msr: SF | MSR.ME });
    now += 100;
    assert.equal(vcpu.run(0), KVM_EXIT.HLT);
    now += 1000;
    const before = vcpu.getOneReg(KVM_REG_PPC.VTB) as bigint;
    vcpu.setSregs({ dec: 0xffff_ffff });
    assert.equal(vcpu.run(0), KVM_EXIT.MMIO);
    now += 3;
    guest.run('nop');
    assert.equal(vcpu.getOneReg(KVM_REG_PPC.VTB), before + 3n);
  });
}
