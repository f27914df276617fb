/** A floating-point exception that was enabled while MSR did not let it interrupt (Power ISA 2.07 Book III-S, 6.5.9). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCELS, CODE, CPUS, LittleGuest, MSR, SF } from './little-guest.ts';

const FPSCR = 0x1030_0000_0000_0080n;
/** FEX, with an invalid operation that is enabled; the same that is not. */
const ENABLED = 0x6000_0480n;
const NOT_ENABLED = 0x2000_0400n;
const ME = SF | MSR.ME | MSR.FP;
/** SRR1[43] and SRR1[47]. */
const FLAGS = 0x11_0000n;
const TARGET = CODE + 0x40;

const CHANGES = {
  mtmsrd: { source: 'mtmsrd r5', at: CODE + 4 },
  mtmsr: { source: 'mtmsr r5', at: CODE + 4 },
  rfid: { source: 'mtspr 26,r6; mtspr 27,r5; rfid', at: TARGET },
};

for (const cpu of CPUS)
  for (const accel of ACCELS)
    test(`what sets FE0 or FE1 while FEX is 1 interrupts, ${cpu}, ${accel}`, () => {
      const run = (source: string, msr: bigint, fpscr: bigint) => {
        const guest = new LittleGuest(cpu, accel);
        guest.vcpu.setOneReg(FPSCR, fpscr);
        guest.place(TARGET, 'stw r0,0(r30)');
        return guest.run(source, { 5: msr, 6: BigInt(TARGET) }, MSR.FP);
      };
      for (const { source, at } of Object.values(CHANGES)) {
        for (const fe of [MSR.FE0, MSR.FE1, MSR.FE0 | MSR.FE1]) {
          const { vector, srr0, flags } = run(source, ME | fe, ENABLED);
          assert.deepEqual([vector, srr0, flags], [0x700, BigInt(at), FLAGS], source);
          assert.equal(run(source, ME | fe, NOT_ENABLED).vector, 0);
        }
        assert.equal(run(source, ME, ENABLED).vector, 0);
      }
      // Into problem state, and with translation.
      const program = run(CHANGES.rfid.source, ME | MSR.PR | MSR.FE0 | MSR.IR | MSR.DR, ENABLED);
      assert.deepEqual([program.vector, program.srr0, program.flags], [0x700, BigInt(TARGET), FLAGS]);
      const virtual = run('mtmsrd r5', ME | MSR.FE1 | MSR.IR | MSR.DR, ENABLED);
      assert.deepEqual([virtual.vector, virtual.srr0, virtual.flags], [0x700, BigInt(CODE + 4), FLAGS]);
    });
