import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvmError } from '../../src/kvm/api.ts';
import { BUDGET, VECTOR_HOST_STACK, VECTOR_HOST_TICK } from '../../src/processor/index.ts';
import { CODE, INTERNAL_ERROR, INTR, RAM_BYTES, Rig, step } from './fake-cpu.ts';

test('options and slots that do not fit are refused with one line', () => {
  for (const options of [
    { cpu: '604' },
    { accel: 'pv' as const },
    { maxMemory: 4 * 2 ** 30 },
    { timebaseFrequency: 0 },
    { icount: -1 },
  ])
    assert.throws(
      () => new Rig(options),
      (error: Error) => error instanceof KvmError && !error.message.includes('\n'),
    );
  const { vm } = new Rig();
  for (const [slot, guestPhysAddr, memorySize] of [
    [0, 2 ** 30, 4096],
    [1, 4096, 4096],
    [1, 2 ** 30 + 1, 4096],
    [1, 2 ** 30, 2 ** 30],
    [1, 2 ** 36 - 4096, 8192],
    [1, Number.NaN, 4096],
  ] as const)
    assert.throws(() => vm.setUserMemoryRegion({ slot, guestPhysAddr, memorySize }), KvmError);
  assert.throws(() => vm.createVcpu(0), KvmError);
});

test('guest memory checks every address and drops translations', () => {
  const { vm, cpu } = new Rig();
  const { memory } = vm;
  assert.equal(memory.write32(0x100, 0x11223344), true);
  assert.deepEqual(cpu.written.at(-1), [0x10000100, 4]);
  assert.equal(memory.read16(0x102), 0x3344);
  assert.equal(memory.read8(0x100), 0x11);
  assert.deepEqual([...(memory.readBytes(0x100, 4) ?? [])], [0x11, 0x22, 0x33, 0x44]);
  for (const address of [-1, RAM_BYTES, RAM_BYTES - 2, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 40]) {
    assert.equal(memory.read32(address), undefined);
    assert.equal(memory.write32(address, 1), false);
    assert.equal(memory.readBytes(address, 4), undefined);
    assert.equal(memory.writeBytes(address, new Uint8Array(4)), false);
    assert.equal(memory.fill(address, 4, 0), false);
    assert.equal(memory.contains(address, 4), false);
  }
  assert.equal(memory.contains(0, RAM_BYTES), true);
});

test('registers read back as they were set', () => {
  const { vcpu } = new Rig();
  const regs = vcpu.getRegs();
  regs.cr = 0x12345678n;
  regs.xer = 0xa0000011n;
  regs.lr = 0xdeadbeefn;
  regs.gpr = regs.gpr.map((_, n) => BigInt(0xff000000 + n));
  regs.sprg = regs.sprg.map((_, n) => BigInt(n + 1));
  vcpu.setRegs(regs);
  assert.deepEqual(vcpu.getRegs(), regs);
  vcpu.setSregs({ ivor3: 0x400, csrr0: 0x1234, tcr: 0x04000000 });
  const sregs = vcpu.getSregs();
  assert.equal(sregs.pvr, 0x422218d3);
  assert.equal(sregs['ivor3'], 0x400);
  assert.equal(sregs['tcr'], 0x04000000);
  const tsr = 0x1020_0000_0000_008an;
  assert.equal(vcpu.setOneReg(0x1020_0000_0000_0087n, 0x08000000n), true);
  assert.equal(vcpu.getOneReg(tsr), 0x08000000n);
  vcpu.setOneReg(0x1020_0000_0000_0088n, 0x08000000n);
  assert.equal(vcpu.getOneReg(tsr), 0n);
  assert.equal(vcpu.getOneReg(0x1234n), undefined);
});

test('reset', () => {
  const rig = new Rig();
  rig.set({ gpr: { 3: 5 }, msr: 0x8000 });
  rig.run(step.fetch(CODE));
  rig.vcpu.reset();
  assert.equal(rig.gpr(3), 0);
  assert.equal(rig.msr, 0);
  assert.equal(rig.cpu.live.length, 0);
  assert.equal(rig.vcpu.translate(0).valid, false);
  assert.equal(rig.sreg('pvr'), 0x422218d3);
});

test('a guest that only faults still ends its time slice', () => {
  const rig = new Rig({ icount: 1 });
  rig.cpu.run = function run(budget: number) {
    rig.cpu.word(0x17c, budget);
    return step.data(0x70000000)(rig.cpu);
  };
  assert.equal(rig.vcpu.run(10000), INTR);
  assert.ok((rig.vcpu.stats['sum_exits'] as number) >= 10000);
});

test("a processor whose host's stack is spent ends the run with an error that says so", () => {
  const rig = new Rig();
  assert.equal(
    rig.run(() => VECTOR_HOST_STACK),
    INTERNAL_ERROR,
  );
  assert.match(rig.vcpu.kvmRun.internal.message, /^the host's stack has no room/);
});

test('where instructions take long, the clock is looked at more often', () => {
  const rig = new Rig();
  const run = (nanoseconds: number): number => {
    rig.cpu.script = [
      (cpu) => {
        rig.now += nanoseconds;
        cpu.word(BUDGET, -1);
        return VECTOR_HOST_TICK;
      },
    ];
    rig.cpu.budgets.length = 0;
    assert.equal(rig.vcpu.run(5e6), INTR);
    return rig.cpu.budgets[0] as number;
  };
  const usual = run(5e6);
  run(200e6);
  assert.ok(run(200e6) < usual);
  for (let i = 0; i < 10; i++) run(200e6);
  assert.ok(run(200e6) <= usual / 2);
  // It is done in no time: the rest of the slice comes at once.
  for (let i = 0; i < 10; i++) {
    rig.cpu.script = Array.from({ length: 5 }, () => (cpu) => {
      rig.now += 1e6;
      cpu.word(BUDGET, -1);
      return VECTOR_HOST_TICK;
    });
    assert.equal(rig.vcpu.run(5e6), INTR);
  }
  assert.equal(run(5e6), usual);
});
