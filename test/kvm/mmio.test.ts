import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMBEDDED_LEVELS } from '../../src/isa/disassembler.ts';
import { INSTRUCTIONS } from '../../src/isa/table.ts';
import { BOOKE_VECTOR } from '../../src/processor/index.ts';
import { ALL, CODE, INTERNAL_ERROR, INTR, MMIO, Rig, step, x31 } from './fake-cpu.ts';

const DEVICE = 0xe0000000;
const REAL = 0x1_ef60_0000;

function rigWithDevice(): Rig {
  const rig = new Rig();
  rig.map(1, DEVICE, REAL, 1, ALL);
  return rig;
}

for (const { mnemonic, access, value, level } of INSTRUCTIONS) {
  if (!EMBEDDED_LEVELS.has(level)) continue;
  if (access === undefined || access.float !== undefined) continue;
  test(`${mnemonic} of a device`, () => {
    const rig = rigWithDevice();
    // RT/RS = r5, RA = r4, and D = 8 or RB = r6 = 8.
    const word = (value | (5 << 21) | (4 << 16) | (access.indexed === true ? 6 << 11 : 8)) >>> 0;
    const pattern = 0x8192a3b4;
    rig.set({ gpr: { 4: DEVICE + 0x100, 5: pattern, 6: 8 } });
    rig.vm.memory.write32(CODE, word);
    const store = access.kind === 'store';
    assert.equal(rig.run(step.data(DEVICE + 0x108, store)), MMIO);
    const { mmio } = rig.vcpu.kvmRun;
    assert.equal(mmio.physAddr, REAL + 0x108);
    assert.equal(mmio.len, access.bytes);
    assert.equal(mmio.isWrite, store);
    const low = access.bytes === 4 ? pattern : access.bytes === 2 ? 0xa3b4 : 0xb4;
    const turned = access.bytes === 4 ? 0xb4a39281 : access.bytes === 2 ? 0xb4a3 : 0xb4;
    const bus = access.reversed === true ? turned : low;
    if (store) assert.equal(mmio.data, bus);
    else mmio.data = bus;
    rig.run();
    if (!store) {
      const extended = access.signed === true && access.bytes === 2 ? 0xffffa3b4 : low;
      assert.equal(rig.gpr(5), extended);
    }
    assert.equal(rig.gpr(4), access.update === true ? DEVICE + 0x108 : DEVICE + 0x100);
    assert.equal(rig.pc, CODE + 4);
  });
}

test('writing a ROM is MMIO, reading it is not', () => {
  const rig = new Rig();
  rig.vm.setUserMemoryRegion({ slot: 1, guestPhysAddr: 0xfff00000, memorySize: 0x10000, readonly: true });
  rig.map(1, 0xfff00000 | 0, 0xfff00000, 3, ALL);
  assert.equal(rig.run(step.data(0xfff00010 | 0)), INTR);
  assert.equal((rig.cpu.live[0]?.word2 ?? 0) & 0x10, 0);
  rig.vm.memory.write32(CODE, (36 << 26) | (5 << 21) | (4 << 16));
  rig.set({ gpr: { 4: 0xfff00010, 5: 1 } });
  assert.equal(rig.run(step.data(0xfff00010 | 0, true, BOOKE_VECTOR.dataStorage)), MMIO);
  assert.equal(rig.vcpu.kvmRun.mmio.physAddr, 0xfff00010);
});

test('what cannot be emulated stops the machine with one line', () => {
  const rig = rigWithDevice();
  rig.vm.memory.write32(CODE, x31(20, 5, 0, 4)); // lwarx
  rig.set({ gpr: { 4: DEVICE } });
  assert.equal(rig.run(step.data(DEVICE)), INTERNAL_ERROR);
  assert.match(rig.vcpu.kvmRun.internal.message, /^cannot emulate lwarx at pc 0x1000: [^\n]*$/);
});

test('cache hints pass, dcbz and unaligned page crossings raise an alignment interrupt', () => {
  const rig = rigWithDevice();
  rig.set({ gpr: { 4: DEVICE } });
  rig.vm.memory.write32(CODE, x31(86, 0, 0, 4)); // dcbf
  assert.equal(rig.run(step.data(DEVICE)), INTR);
  assert.equal(rig.pc, CODE + 4);
  rig.vm.memory.write32(CODE + 4, x31(1014, 0, 0, 4)); // dcbz
  rig.run(step.data(DEVICE, true));
  assert.equal(rig.pc, 0x800000 + 0x600);
  rig.set({ pc: CODE, gpr: { 4: DEVICE + 0xffe } });
  rig.vm.memory.write32(CODE, (32 << 26) | (5 << 21) | (4 << 16));
  rig.run(step.data(DEVICE + 0xffe));
  assert.equal(rig.pc, 0x800000 + 0x600);
  assert.equal(rig.sreg('dear'), DEVICE + 0xffe);
});
