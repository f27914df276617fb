/** What comes in through KVM's public functions is checked there: one line says what was wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createVm,
  KVM_EXIT,
  KVM_INTERRUPT,
  KvmError,
  type Vcpu,
  type Vm,
  type VmOptions,
} from '../../src/kvm/index.ts';

const OPTIONS: VmOptions = {
  cpu: 'power8',
  accel: 'assist',
  clock: { now: () => performance.now() * 1e6 },
  timebaseFrequency: 1e8,
  maxMemory: 2 ** 20,
};
/** Each stands where something of another type is wanted, or out of bounds. */
const WRONG = [Number.NaN, -1, 1.5, 2 ** 70, '5', null, undefined, 5n, {}, [], true] as const;

const refuses = (what: string, call: () => unknown): void => {
  assert.throws(call, (error: unknown) => error instanceof KvmError && /^[^\n]{5,160}$/.test(error.message), what);
};
/** A value that the types would not let pass. */
const any = (value: unknown) => value as never;

function machine(cpu = 'power8'): { vm: Vm; vcpu: Vcpu } {
  const vm = createVm({ ...OPTIONS, cpu });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: 2 ** 16 });
  return { vm, vcpu: vm.createVcpu(0) };
}

test('a virtual machine is not made of wrong options', () => {
  for (const name of ['cpu', 'accel', 'clock', 'timebaseFrequency', 'maxMemory'] as const)
    for (const value of WRONG)
      if (!(name === 'timebaseFrequency' && value === 1.5))
        refuses(`${name} ${String(value)}`, () => createVm({ ...OPTIONS, [name]: any(value) }));
  for (const value of [Number.NaN, -1, '1', 5n]) refuses('icount', () => createVm({ ...OPTIONS, icount: any(value) }));
  for (const value of [Number.NaN, 5, '1', 5n])
    refuses('translationMemory', () => createVm({ ...OPTIONS, translationMemory: any(value) }));
  for (const value of ['yes', 1]) refuses('littleEndian', () => createVm({ ...OPTIONS, littleEndian: any(value) }));
  for (const value of WRONG) if (typeof value !== 'object') refuses('options', () => createVm(any(value)));
});

test('regions, tables and vCPUs', () => {
  const { vm } = machine();
  const region = { slot: 1, guestPhysAddr: 2 ** 16, memorySize: 2 ** 16 };
  for (const name of ['slot', 'guestPhysAddr', 'memorySize'] as const)
    for (const value of WRONG)
      refuses(`${name} ${String(value)}`, () => vm.setUserMemoryRegion({ ...region, [name]: any(value) }));
  refuses('nothing', () => vm.setUserMemoryRegion({ slot: 1, guestPhysAddr: 0, memorySize: 0 }));
  for (const value of WRONG) {
    refuses(`table ${String(value)}`, () => vm.allocateHtab(any(value)));
    refuses(`vCPU ${String(value)}`, () => vm.createVcpu(any(value)));
    assert.equal(vm.getDirtyLog(any(value)), undefined);
    assert.equal(vm.memory.read32(any(value)), undefined);
    assert.equal(vm.memory.readBytes(0, any(value)), undefined);
    assert.equal(vm.memory.fill(0, any(value), 1), false);
    assert.equal(vm.memory.contains(any(value), 4), false);
  }
});

test('a run lasts a number of nanoseconds', () => {
  const { vm, vcpu } = machine();
  vm.memory.write32(0x1000, 0x4800_0000);
  vcpu.setRegs({ ...vcpu.getRegs(), pc: 0x1000n });
  for (const value of [Number.NaN, '5', 5n, null, undefined, {}]) refuses(String(value), () => vcpu.run(any(value)));
  for (const value of [0, -1, Number.NEGATIVE_INFINITY, 1.5, 1e5]) assert.equal(vcpu.run(value), KVM_EXIT.INTR);
  vcpu.kvmRun.immediateExit = true;
  assert.equal(vcpu.run(Number.POSITIVE_INFINITY), KVM_EXIT.INTR);
});

test('a clock that says nothing ends a run', () => {
  let now = 0;
  const vm = createVm({ ...OPTIONS, clock: { now: () => (now += 1e3) } });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: 2 ** 16 });
  vm.memory.write32(0x1000, 0x4800_0000);
  const vcpu = vm.createVcpu(0);
  vcpu.setRegs({ ...vcpu.getRegs(), pc: 0x1000n });
  assert.equal(vcpu.run(1e4), KVM_EXIT.INTR);
  now = Number.NaN;
  refuses('the clock', () => vcpu.run(1e4));
});

for (const cpu of ['440ep', 'e500v2', '970', 'power8'])
  test(`registers and interrupts of a ${cpu}`, () => {
    const { vcpu } = machine(cpu);
    const regs = vcpu.getRegs();
    for (const name of ['pc', 'msr', 'cr', 'xer', 'lr'] as const)
      for (const value of [Number.NaN, 5, '5', null, undefined, 1n << 64n])
        refuses(`${name} ${String(value)}`, () => vcpu.setRegs({ ...regs, [name]: any(value) }));
    refuses('short', () => vcpu.setRegs({ ...regs, gpr: [] }));
    refuses('long', () => vcpu.setRegs({ ...regs, sprg: [...regs.sprg, 0n] }));
    refuses('a number', () => vcpu.setRegs({ ...regs, gpr: any(regs.gpr.map(Number)) }));
    refuses('nothing', () => vcpu.setRegs(any(undefined)));
    vcpu.setRegs({ ...regs, lr: -1n });
    refuses('no such', () => vcpu.setSregs({ nosuch: 5 }));
    refuses('of Object', () => vcpu.setSregs({ toString: 5 } as never));
    for (const value of [Number.NaN, 1.5, '5', null, 2 ** 70])
      for (const name of ['pvr', 'dec'])
        refuses(`${name} ${String(value)}`, () => vcpu.setSregs({ [name]: any(value) }));
    vcpu.setSregs(vcpu.getSregs());
    for (const value of WRONG.filter((value) => typeof value !== 'bigint')) {
      refuses(`id ${String(value)}`, () => vcpu.getOneReg(any(value)));
      refuses(`value ${String(value)}`, () => vcpu.setOneReg(0n, any(value)));
      refuses(`interrupt ${String(value)}`, () => vcpu.interrupt(any(value)));
      refuses(`critical ${String(value)}`, () => vcpu.criticalInterrupt(any(value)));
      refuses(`address ${String(value)}`, () => vcpu.translate(any(value === 2 ** 70 ? Number.NaN : value)));
      refuses(`index ${String(value)}`, () => vcpu.setTlbEntry(any(value), { word0: 0, word1: 0, word2: 0, tid: 0 }));
    }
    for (const kind of Object.values(KVM_INTERRUPT)) vcpu.interrupt(kind);
    const entry = { word0: 0, word1: 0, word2: 0, tid: 0 };
    if (cpu === '440ep') vcpu.setTlbEntry(63, entry);
    if (cpu === 'e500v2') {
      vcpu.setTlbEntry(271, { mas1: 0, mas2: 0, mas3: 0, mas7: 0 });
      refuses('another form', () => vcpu.setTlbEntry(0, entry));
      refuses('mas3', () => vcpu.setTlbEntry(0, { mas1: 0, mas2: 0, mas3: Number.NaN, mas7: 0 }));
      for (const wrong of [undefined, 5, { tlbSizes: [1.5], tlbWays: [] }, { tlbSizes: 5, tlbWays: [] }])
        refuses('sizes', () => vcpu.enableCap('sw-tlb', any(wrong ?? null)));
      assert.equal(vcpu.enableCap('sw-tlb', { tlbSizes: [100, 16], tlbWays: [2, 16] }), false);
    }
    refuses('index', () => vcpu.setTlbEntry(cpu === 'e500v2' ? 272 : 64, entry));
    refuses('tid', () => vcpu.setTlbEntry(0, { ...entry, tid: 256 }));
    refuses('word', () => vcpu.setTlbEntry(0, { ...entry, word1: Number.NaN }));
    assert.equal(vcpu.enableCap(any('toString')), false);
  });
