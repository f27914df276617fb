import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KVM_INTERRUPT } from '../../src/kvm/api.ts';
import { BOOKE_VECTOR, sharedWordOffset } from '../../src/processor/index.ts';
import { CODE, HLT, INTERNAL_ERROR, INTR, mfspr, mtspr, Rig, step, WATCHDOG, x31 } from './fake-cpu.ts';

const VECTORS = 0x800000;
const at = (vector: number): number => VECTORS + 0x100 * (vector + 1);
const pending = (rig: Rig): number => rig.cpu.word(sharedWordOffset('intPending'));
const TSR = 336;
const TCR = 340;
const DEC = 22;
const DECAR = 54;

function writeSpr(rig: Rig, spr: number, value: number): void {
  rig.set({ gpr: { 30: value } });
  rig.emulate(mtspr(spr, 30));
}

function readSpr(rig: Rig, spr: number): number {
  rig.emulate(mfspr(31, spr));
  return rig.gpr(31);
}

test('a system call saves the next address and the MSR bits of its class', () => {
  const rig = new Rig();
  rig.set({ msr: 0x6d200 & ~0x40000 });
  rig.run(step.systemCall);
  const regs = rig.vcpu.getRegs();
  assert.equal(rig.pc, at(BOOKE_VECTOR.systemCall));
  assert.equal(Number(regs.srr0), CODE + 4);
  assert.equal(Number(regs.srr1), 0x2d200);
  assert.equal(rig.msr, 0x21200);
  assert.equal(rig.vcpu.stats['syscall_exits'], 1);
});

test('an external interrupt waits for MSR[EE] and stays while its line is up', () => {
  const rig = new Rig();
  rig.vcpu.interrupt(KVM_INTERRUPT.SET_LEVEL);
  rig.run();
  assert.equal(rig.pc, CODE);
  assert.equal(pending(rig), 1);
  rig.emulate(x31(163) | 0x8000);
  rig.run();
  assert.equal(rig.pc, at(BOOKE_VECTOR.externalInput));
  assert.equal(Number(rig.vcpu.getRegs().srr0), CODE + 4);
  assert.equal(pending(rig), 1);
  rig.vcpu.interrupt(KVM_INTERRUPT.UNSET);
  assert.equal(pending(rig), 0);
});

test('a one-shot interrupt is taken once', () => {
  const rig = new Rig();
  rig.set({ msr: 0x8000 });
  rig.vcpu.interrupt(KVM_INTERRUPT.SET);
  rig.run();
  assert.equal(rig.pc, at(BOOKE_VECTOR.externalInput));
  assert.equal(pending(rig), 0);
});

test('the critical input comes before the external one and has its own save registers', () => {
  const rig = new Rig();
  rig.set({ msr: 0x29000 });
  rig.vcpu.interrupt(KVM_INTERRUPT.SET_LEVEL);
  rig.vcpu.criticalInterrupt(KVM_INTERRUPT.SET_LEVEL);
  rig.run();
  assert.equal(rig.pc, at(BOOKE_VECTOR.criticalInput));
  assert.equal(rig.sreg('csrr0'), CODE);
  assert.equal(rig.sreg('csrr1'), 0x29000);
  assert.equal(rig.msr, 0x1000);
});

test('the decrementer interrupts when it reaches zero, and until TSR is cleared', () => {
  const rig = new Rig();
  rig.set({ msr: 0x8000 });
  writeSpr(rig, TCR, 0x04000000);
  writeSpr(rig, DEC, 1000);
  rig.now += 999;
  assert.equal(readSpr(rig, DEC), 1);
  rig.now += 1;
  rig.run();
  assert.equal(rig.pc, at(BOOKE_VECTOR.decrementer));
  assert.equal(readSpr(rig, TSR), 0x08000000);
  assert.equal(pending(rig), 1);
  writeSpr(rig, TSR, 0x08000000);
  assert.equal(pending(rig), 0);
  assert.equal(readSpr(rig, DEC), 0);
  rig.now += 1e6;
  assert.equal(readSpr(rig, TSR) & 0x08000000, 0);
});

test('auto-reload starts the decrementer again from DECAR', () => {
  const rig = new Rig();
  writeSpr(rig, DECAR, 100);
  writeSpr(rig, TCR, 0x00400000);
  writeSpr(rig, DEC, 50);
  rig.now += 50 + 250;
  assert.equal(readSpr(rig, DEC), 50);
  assert.equal(readSpr(rig, TSR) & 0x08000000, 0x08000000);
});

test('the fixed-interval timer follows its time base bit', () => {
  const rig = new Rig();
  rig.set({ msr: 0x8000 });
  writeSpr(rig, TCR, 0x00800000);
  rig.now = 0xfff;
  rig.run();
  assert.equal(rig.pc < VECTORS, true);
  rig.now = 0x1000;
  rig.run();
  assert.equal(rig.pc, at(BOOKE_VECTOR.fixedIntervalTimer));
});

test('the watchdog: enable, interrupt, reset', () => {
  const rig = new Rig();
  rig.set({ msr: 0x20000 });
  writeSpr(rig, TCR, 0x38000000);
  writeSpr(rig, TCR, 0x08000000);
  assert.equal(readSpr(rig, TCR), 0x38000000, 'WRC is sticky');
  rig.now = 2 ** 20;
  assert.equal(rig.run(), INTR);
  rig.now = 3 * 2 ** 20;
  rig.run();
  assert.equal(rig.pc, at(BOOKE_VECTOR.watchdog));
  assert.equal((rig.sreg('tsr') & 0xf0000000) >>> 0, 0xc0000000);
  rig.now = 5 * 2 ** 20;
  assert.equal(rig.run(), WATCHDOG);
  assert.equal(rig.sreg('tsr') & 0x30000000, 0x30000000);
});

test('writing the time base moves it for the guest, not the decrementer', () => {
  const rig = new Rig();
  rig.now = 5000;
  writeSpr(rig, DEC, 1000);
  writeSpr(rig, 285, 3);
  writeSpr(rig, 284, 7);
  assert.equal(rig.cpu.timebase(), 3 * 2 ** 32 + 7);
  rig.now += 10;
  assert.equal(rig.cpu.timebase(), 3 * 2 ** 32 + 17);
  assert.equal(readSpr(rig, DEC), 990);
  assert.equal(readSpr(rig, 269), 3);
});

test('MSR[WE] waits, and says for how long', () => {
  const rig = new Rig();
  writeSpr(rig, TCR, 0x04000000);
  writeSpr(rig, DEC, 1000);
  rig.set({ gpr: { 3: 0x48000 } });
  assert.equal(rig.emulate(x31(146, 3)), HLT);
  assert.ok(rig.vcpu.kvmRun.hlt.wakeAt >= 1000 && rig.vcpu.kvmRun.hlt.wakeAt <= 1002);
  assert.equal(rig.run(), HLT);
  rig.now = rig.vcpu.kvmRun.hlt.wakeAt;
  assert.equal(rig.run(), INTR);
  assert.equal(rig.pc, at(BOOKE_VECTOR.decrementer));
  assert.equal(rig.msr & 0x40000, 0);
  assert.equal(Number(rig.vcpu.getRegs().srr1) & 0x40000, 0x40000);
  assert.equal(rig.vcpu.stats['halt_wakeup'], 1);
});

test('with interrupts off nothing ends the wait', () => {
  const rig = new Rig();
  writeSpr(rig, TCR, 0x04000000);
  writeSpr(rig, DEC, 1000);
  rig.set({ gpr: { 3: 0x40000 } });
  assert.equal(rig.emulate(x31(146, 3)), HLT);
  assert.equal(rig.vcpu.kvmRun.hlt.wakeAt, Number.POSITIVE_INFINITY);
});

test('icount: time is the number of instructions, and a wait is skipped', () => {
  const rig = new Rig({ icount: 10 });
  writeSpr(rig, TCR, 0x04000000);
  writeSpr(rig, DEC, 100000);
  rig.set({ gpr: { 3: 0x48000 } });
  rig.emulate(x31(146, 3));
  assert.equal(rig.run(), HLT);
  rig.run();
  assert.equal(rig.pc, at(BOOKE_VECTOR.decrementer));
  const before = rig.vm.clock.now();
  rig.cpu.script = [];
  rig.vcpu.run(1000);
  assert.ok(rig.vm.clock.now() - before >= 1000);
});

test('icount: the budget ends where the timer fires', () => {
  const rig = new Rig({ icount: 10 });
  writeSpr(rig, TCR, 0x04000000);
  writeSpr(rig, DEC, 1000);
  rig.cpu.budgets = [];
  rig.cpu.script = [];
  rig.vcpu.run(1e6);
  assert.ok((rig.cpu.budgets[0] as number) <= 101);
});

test('a jump to where no memory is', () => {
  const rig = new Rig();
  rig.map(5, 0x50000000, 0x50000000, 1, 0x3f);
  rig.set({ msr: 0x1000 });
  rig.run(step.fetch(0x50000000));
  assert.equal(rig.pc, at(BOOKE_VECTOR.machineCheck));
  assert.equal(rig.sreg('mcsrr0'), 0x50000000);
  rig.set({ msr: 0 });
  assert.equal(rig.run(step.fetch(0x50000000)), INTERNAL_ERROR);
});

test('immediateExit and the time limit end a run', () => {
  const rig = new Rig();
  rig.vcpu.kvmRun.immediateExit = true;
  assert.equal(rig.vcpu.run(1e9), INTR);
  assert.equal(rig.cpu.runs, 0);
});
