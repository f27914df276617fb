/** The 440EP's floating-point unit as a guest has it (PowerPC 440 User's Manual, 6.5.7 and 6.5.8), with traps and with assist. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import { type Accel, createVm, KVM_EXIT, type Vcpu, type Vm } from '../../src/kvm/index.ts';
import { ESR } from '../../src/processor/index.ts';
import { word0 } from './fake-cpu.ts';

const CODE = 0x1000;
const PROGRAM = 0x8060;
const UNAVAILABLE = 0x8070;
const DATA = 0x9000;
const MSR = { FP: 0x2000, FE0: 0x800, FE1: 0x100, PR: 0x4000 } as const;
const FEX = 0x4000_0000n;
const ONE_REG = { fpr: 0x1030_0000_0000_0020n, fpscr: 0x1030_0000_0000_0080n } as const;
/** A write to DCR 7: ends the run. */
const END = 'mtdcr 7,r0';
const bits = (value: number): bigint => new BigUint64Array(Float64Array.of(value).buffer)[0] as bigint;

interface Rig {
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  fpr(n: number): number;
}

/** A guest that runs from CODE with r3 = DATA, and with handlers that end the run. */
function rig(accel: Accel, source: string, msr: number, more: Readonly<Record<number, number>> = {}): Rig {
  const vm = createVm({
    cpu: '440ep',
    accel,
    clock: { now: () => 0 },
    timebaseFrequency: 1e9,
    maxMemory: 2 ** 20,
  });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: 2 ** 20 });
  const vcpu = vm.createVcpu(0);
  vcpu.setTlbEntry(63, { word0: word0(0, 4), word1: 0, word2: 0x3f, tid: 0 });
  const put = (address: number, text: string): void => {
    for (const [i, word] of assembleWords(text, address).entries()) vm.memory.write32(address + 4 * i, word);
  };
  put(CODE, `${source}; ${END}`);
  put(PROGRAM, END);
  put(UNAVAILABLE, END);
  vcpu.setSregs({ ivor6: PROGRAM, ivor7: UNAVAILABLE });
  const regs = vcpu.getRegs();
  regs.pc = BigInt(CODE);
  regs.msr = BigInt(msr);
  regs.gpr = regs.gpr.map((_, n) => (n === 3 ? BigInt(DATA) : BigInt(more[n] ?? 0)));
  vcpu.setRegs(regs);
  const fpr = (n: number): number =>
    new Float64Array(BigUint64Array.of(vcpu.getOneReg(ONE_REG.fpr + BigInt(n)) ?? 0n).buffer)[0] as number;
  return { vm, vcpu, fpr };
}

/** Runs to the end, and answers where the guest is: behind the write to the DCR. */
function run({ vcpu }: Rig): number {
  assert.equal(vcpu.run(1e9), KVM_EXIT.DCR);
  return Number(vcpu.getRegs().pc);
}

const INVALID = 'mtfsb1 24'; // VE
const DIVISIONS = 'mtfsb1 27'; // ZE

for (const accel of ['trap', 'assist'] as const) {
  test(`${accel}: arithmetic, loads and stores`, () => {
    const guest = rig(accel, 'lfd f1,0(r3); lfs f2,8(r3); fmadd f3,f1,f2,f1; stfd f3,20(r3); stfs f3,16(r3)', MSR.FP);
    const { memory } = guest.vm;
    memory.write32(DATA, 0x3ff80000); // 1.5
    memory.write32(DATA + 8, 0x40200000); // 2.5
    assert.equal(run(guest), CODE + 24);
    assert.equal(guest.fpr(3), 5.25);
    assert.equal(memory.read32(DATA + 16), 0x40a80000);
    assert.deepEqual([memory.read32(DATA + 20), memory.read32(DATA + 24)], [0x40150000, 0]);
  });

  test(`${accel}: what uses the unit without MSR[FP] interrupts, and changes nothing`, () => {
    for (const source of ['fadd f1,f1,f1', 'lfd f1,0(r3)', 'stfs f1,0(r3)', 'mtfsb1 31', 'fcmpu cr3,f1,f1']) {
      const guest = rig(accel, source, MSR.PR | MSR.FE0);
      // Problem state cannot write a DCR, but the handler can.
      assert.equal(run(guest), UNAVAILABLE + 4, source);
      const regs = guest.vcpu.getRegs();
      assert.equal(regs.srr0, BigInt(CODE), source);
      assert.equal(regs.srr1, BigInt(MSR.PR | MSR.FE0), source);
      assert.equal(regs.msr, 0n);
      assert.equal(regs.cr, 0n);
      assert.equal(guest.vcpu.getOneReg(ONE_REG.fpscr), 0n);
    }
  });

  test(`${accel}: mtmsr and rfi give and take the unit`, () => {
    const given = rig(accel, 'mtmsr r4; fadd f1,f2,f2; mtmsr r5; fadd f3,f2,f2', 0, { 4: MSR.FP });
    given.vcpu.setOneReg(ONE_REG.fpr + 2n, bits(3));
    assert.equal(run(given), UNAVAILABLE + 4);
    assert.equal(given.vcpu.getRegs().srr0, BigInt(CODE + 12));
    assert.deepEqual([given.fpr(1), given.fpr(3)], [6, 0]);

    const returned = rig(accel, 'mtspr 26,r4; mtspr 27,r5; rfi; nop; fadd f1,f2,f2; trap', 0, {
      4: CODE + 16,
      5: MSR.FP | MSR.PR,
    });
    returned.vcpu.setOneReg(ONE_REG.fpr + 2n, bits(-1));
    assert.equal(run(returned), PROGRAM + 4);
    assert.equal(returned.fpr(1), -2);
    assert.equal(returned.vcpu.getRegs().srr1, BigInt(MSR.FP | MSR.PR));
  });

  test(`${accel}: an enabled exception interrupts, and ESR tells of the CR`, () => {
    const nan = 0x7ff0_0000_0000_0001n;
    const cases: [source: string, esr: number][] = [
      [`${INVALID}; fadd f1,f2,f3`, ESR.FP],
      [`${INVALID}; fadd. f1,f2,f3`, ESR.FP | ESR.PCRE | 1],
      [`${INVALID}; fcmpu cr5,f2,f3`, ESR.FP | ESR.PCRE | ESR.PCMP | 5],
      [`${INVALID}; fcmpo cr0,f2,f3`, ESR.FP | ESR.PCRE | ESR.PCMP],
      [`${DIVISIONS}; fdivs f1,f3,f4`, ESR.FP],
    ];
    for (const [source, esr] of cases)
      for (const enable of [MSR.FE0, MSR.FE1, MSR.FE0 | MSR.FE1]) {
        const guest = rig(accel, source, MSR.FP | enable);
        guest.vcpu.setOneReg(ONE_REG.fpr + 2n, nan);
        guest.vcpu.setOneReg(ONE_REG.fpr + 3n, bits(1));
        guest.vcpu.setOneReg(ONE_REG.fpr + 1n, bits(9));
        assert.equal(run(guest), PROGRAM + 4, source);
        assert.equal(guest.vcpu.getRegs().srr0, BigInt(CODE + 4), source);
        assert.equal(guest.vcpu.getSregs()['esr'], esr, source);
        assert.equal(guest.fpr(1), 9, source);
        assert.equal((guest.vcpu.getOneReg(ONE_REG.fpscr) as bigint) & FEX, FEX);
      }
  });

  test(`${accel}: an exception that is ignored interrupts late, when MSR no longer ignores it`, () => {
    const late: [source: string, srr0: number, more: Readonly<Record<number, number>>][] = [
      [`${DIVISIONS}; fdiv f1,f3,f4; mtmsr r4; nop`, CODE + 12, { 4: MSR.FP | MSR.FE1 }],
      [
        `${DIVISIONS}; fdiv f1,f3,f4; mtspr 26,r4; mtspr 27,r5; rfi; nop; nop`,
        CODE + 24,
        { 4: CODE + 24, 5: MSR.FE0 | MSR.FP },
      ],
    ];
    for (const [source, srr0, more] of late) {
      const guest = rig(accel, source, MSR.FP, more);
      guest.vcpu.setOneReg(ONE_REG.fpr + 3n, bits(1));
      assert.equal(run(guest), PROGRAM + 4);
      assert.equal(guest.vcpu.getRegs().srr0, BigInt(srr0));
      assert.equal(guest.vcpu.getSregs()['esr'], ESR.FP | ESR.PIE);
    }
  });

  test(`${accel}: CCR0[DAPUIB] keeps instructions from the unit`, () => {
    const guest = rig(accel, 'mtspr 947,r4; fadd f1,f2,f2', MSR.FP, { 4: 0x100000 });
    assert.equal(run(guest), PROGRAM + 4);
    assert.equal(guest.vcpu.getSregs()['esr'], ESR.PUO | ESR.FP);
    const attached = rig(accel, 'mtspr 947,r4; mtspr 947,r5; fadd f1,f2,f2', MSR.FP, { 4: 0x100000 });
    assert.equal(run(attached), CODE + 16);
  });
}

test('registers read back as they were set, and a reset clears them', () => {
  const { vcpu } = rig('trap', 'nop', 0);
  for (let n = 0n; n < 32n; n++) assert.ok(vcpu.setOneReg(ONE_REG.fpr + n, 0x8000_0001_ffff_0000n + n));
  assert.ok(vcpu.setOneReg(ONE_REG.fpscr, 0xdead_beefn));
  for (let n = 0n; n < 32n; n++) assert.equal(vcpu.getOneReg(ONE_REG.fpr + n), 0x8000_0001_ffff_0000n + n);
  assert.equal(vcpu.getOneReg(ONE_REG.fpscr), 0xdead_beefn);
  vcpu.reset();
  assert.equal(vcpu.getOneReg(ONE_REG.fpr + 31n), 0n);
  assert.equal(vcpu.getOneReg(ONE_REG.fpscr), 0n);
});
