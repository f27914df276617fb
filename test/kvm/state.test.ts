/** KVM's saved states: what one virtual machine gives, another takes; and anything else is refused, not half taken. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  createVm,
  KVM_EXIT,
  KVM_INTERRUPT,
  KVM_REG_PPC,
  KvmError,
  type KvmState,
  type Vm,
} from '../../src/kvm/index.ts';

const BYTES = 0x10_0000;

function make(cpu: string, start = 0) {
  let now = start;
  const clock = { step: 0 };
  const vm = createVm({
    cpu,
    accel: 'trap',
    clock: { now: () => (now += clock.step) },
    timebaseFrequency: 512e6,
    maxMemory: BYTES,
  });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: BYTES });
  return { vm, vcpu: vm.createVcpu(0), clock };
}

/** As a file would have it. */
const through = (state: KvmState): KvmState => JSON.parse(JSON.stringify(state));

for (const cpu of ['power8', '970', '440ep', 'e500v2']) {
  test(`registers of all kinds come back, and the time base goes on: ${cpu}`, () => {
    const { vm, vcpu } = make(cpu, 5e9);
    const regs = vcpu.getRegs();
    vcpu.setRegs({
      ...regs,
      pc: 0x1234n,
      cr: 0x8421_8421n,
      xer: 0xe000_0012n,
      gpr: regs.gpr.map((_, n) =>
        BigInt.asUintN(cpu === '440ep' || cpu === 'e500v2' ? 32 : 64, 0x1234_5678_9abc_def1n * BigInt(n + 1)),
      ),
      sprg: regs.sprg.map((_, n) => BigInt(n + 100)),
      srr0: 0x700n,
    });
    for (const n of [0, 7, 31]) vcpu.setOneReg(KVM_REG_PPC.FPR(n), 0x4009_21fb_5444_2d18n + BigInt(n));
    vcpu.setOneReg(KVM_REG_PPC.FPSCR, 3n);
    vcpu.setOneReg(KVM_REG_PPC.VR(3), 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10n);
    vcpu.setOneReg(KVM_REG_PPC.TB_OFFSET, 12345n);
    if (cpu === '440ep') vcpu.setTlbEntry(5, { word0: 0x4000_0290, word1: 0, word2: 7, tid: 3 });
    else if (cpu === 'e500v2') {
      vcpu.setTlbEntry(5, { mas1: 0x8003_0100, mas2: 0x4000_5000, mas3: 0x503f, mas7: 1 });
      vcpu.setTlbEntry(257, { mas1: 0xc000_0700, mas2: 0, mas3: 0x3f, mas7: 0 });
      vcpu.setSregs({ mas2: 0x1234_5000, spefscr: 0x12, ev3h: 0x8765_4321, acch: 5, pid1: 3 });
    } else {
      vcpu.setSregs({ slbe7: 0xc000_0000_0800_0000n, slbv7: 0x0041_4f01_2af0_0480n, sdr1: 0x8_0000n });
      vm.allocateHtab(18);
    }
    vcpu.interrupt(KVM_INTERRUPT.SET_LEVEL);
    const other = make(cpu, 77e9);
    other.vm.restore(through(vm.save()));
    assert.deepEqual(other.vcpu.getRegs(), vcpu.getRegs());
    assert.deepEqual(other.vcpu.getSregs(), vcpu.getSregs());
    for (const id of [KVM_REG_PPC.FPR(7), KVM_REG_PPC.FPSCR, KVM_REG_PPC.VR(3), KVM_REG_PPC.VSR(31)])
      assert.equal(other.vcpu.getOneReg(id), vcpu.getOneReg(id));
    const areas = (of: Vm) => of.memoryAreas().map(({ name, bytes }) => [name, bytes.length]);
    assert.deepEqual(areas(other.vm), areas(vm));
    const guest = (of: Vm): unknown => (of.save()['vcpus'] as KvmState[])[0];
    assert.deepEqual(guest(other.vm), guest(vm));
    const time = (of: Vm): unknown => (of.save()['time'] as KvmState)['timebase'];
    assert.equal(time(other.vm), time(vm));
  });

  test(`states that are none are refused, and leave a virtual machine that runs: ${cpu}`, () => {
    const good = make(cpu).vm.save();
    const names = Object.keys(((good['vcpus'] as KvmState[])[0] as KvmState)['guest'] as KvmState);
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.jsonValue(), (name, value) => {
        const state = through(good);
        const guest = ((state['vcpus'] as KvmState[])[0] as KvmState)['guest'] as Record<string, unknown>;
        guest[name] = value;
        const { vm, vcpu, clock } = make(cpu);
        clock.step = 1000;
        try {
          vm.restore(state);
        } catch (error) {
          assert.ok(error instanceof KvmError && !error.message.includes('\n'), String(error));
        }
        assert.ok(Object.values(KVM_EXIT).includes(vcpu.run(1e4)));
      }),
      { numRuns: 60 },
    );
    for (const damage of [
      (state: Record<string, unknown>) => delete state['time'],
      (state: Record<string, unknown>) => Object.assign(state, { hashTable: 63 }),
      (state: Record<string, unknown>) => Object.assign(state, { vcpus: [] }),
      (state: Record<string, unknown>) => Object.assign(state, { vcpus: [null] }),
      (state: Record<string, unknown>) => Object.assign(state, { vcpus: {} }),
    ]) {
      const state = through(good) as Record<string, unknown>;
      damage(state);
      assert.throws(() => make(cpu).vm.restore(state as KvmState), KvmError);
    }
    assert.throws(() => make(cpu).vm.restore(null as unknown as KvmState), KvmError);
  });
}

test('pages that were touched are told, and no others', () => {
  const { vm } = make('power8');
  const [area] = vm.memoryAreas();
  assert.ok(area !== undefined);
  assert.deepEqual([...area.touched()], []);
  vm.memory.write8(0x3fff, 1);
  vm.memory.write8(0x4000, 1);
  vm.memory.write8(0x8123, 1);
  vm.memory.write8(BYTES - 1, 1);
  assert.deepEqual([...area.touched()], [3, 2, 8, 1, BYTES / 4096 - 1, 1]);
  vm.memory.fill(0, BYTES, 0);
  assert.deepEqual([...area.touched()], []);
});
