/** Loads and stores of a device do to registers and storage what the processor does with memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Instruction } from '../../../src/isa/define.ts';
import { INSTRUCTIONS } from '../../../src/isa/table.ts';
import { createVm, KVM_EXIT, type Vcpu, type Vm } from '../../../src/kvm/index.ts';

const CODE = 0x1000;
const MEMORY = 0x8000;
/** No memory is there: user space keeps what it is read and written in memory at MEMORY. */
const DEVICE = 0x1000_0000;
const END = 0x2000_0000;
const BYTES = 32;
const FPR5 = 0x1030_0000_0000_0025n;
const MSR = { SF: 1n << 63n, FP: 0x2000n, LE: 1n } as const;
const LEVELS = ['base', 'float', '64-bit', 'server', '2.02', '2.05', '2.06', '2.07'];

/** What registers hold and storage has at first: also singles that are denormal, infinite or no numbers. */
const PATTERNS = [
  0x8192_a3b4_c5d6_e7f8n,
  0x3ff8_0000_2000_0000n,
  0x0000_1234_7f80_0001n,
  0xffc0_0000_8070_0000n,
  0x3810_0000_e000_0000n,
  0x36a0_0000_0000_0000n,
  0x7ff0_0000_0000_0000n,
];

/** In 32-bit mode: what of the base no address has. */
const HIGH = 0xffff_fffd_0000_0000n;

function run(vm: Vm, vcpu: Vcpu, instruction: Instruction, base: number, pattern: bigint, msr: bigint) {
  const { access, value } = instruction;
  // RT/RS/FRT/FRS = 5, RA = r4, and D = 8 or RB = r6 = 8.
  vm.memory.write32(CODE, (value | (5 << 21) | (4 << 16) | (access?.indexed === true ? 6 << 11 : 8)) >>> 0);
  vm.memory.write32(CODE + 4, 0x90e7_0000);
  const bytes = new Uint8Array(BYTES);
  const view = new DataView(bytes.buffer);
  // A single in each word of what is loaded, and the other way round.
  view.setBigUint64(8, access?.kind === 'load' ? pattern : ~pattern);
  vm.memory.writeBytes(MEMORY, bytes);
  const regs = vcpu.getRegs();
  regs.pc = BigInt(CODE);
  regs.msr = msr;
  const high = (msr & MSR.SF) === 0n ? HIGH : 0n;
  regs.gpr[4] = BigInt(base) | high;
  regs.gpr[5] = pattern;
  regs.gpr[6] = 8n;
  regs.gpr[7] = BigInt(END);
  vcpu.setRegs(regs);
  vcpu.setOneReg(FPR5, pattern);
  let accesses = 0;
  const { mmio } = vcpu.kvmRun;
  for (;;) {
    assert.equal(vcpu.run(1e9), KVM_EXIT.MMIO);
    if (mmio.physAddr === END) break;
    accesses++;
    const at = mmio.physAddr - DEVICE + MEMORY;
    const { memory } = vm;
    if (mmio.isWrite) {
      const write = { 1: memory.write8, 2: memory.write16, 4: memory.write32 }[mmio.len as 1 | 2 | 4];
      write.call(memory, at, mmio.data);
    } else {
      const read = { 1: memory.read8, 2: memory.read16, 4: memory.read32 }[mmio.len as 1 | 2 | 4];
      mmio.data = read.call(memory, at) as number;
    }
  }
  const { gpr } = vcpu.getRegs();
  const result = {
    gpr: gpr.slice(5),
    updated: (gpr[4] as bigint) - BigInt(base) - high,
    fpr: vcpu.getOneReg(FPR5),
    memory: vm.memory.readBytes(MEMORY, BYTES),
  };
  return { result, accesses };
}

for (const littleEndian of [false, true]) {
  const vm = createVm({
    cpu: 'power8',
    accel: 'assist',
    littleEndian,
    clock: { now: () => 0 },
    timebaseFrequency: 1e9,
    maxMemory: 2 ** 20,
  });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: 2 ** 20 });
  const vcpu = vm.createVcpu(0);
  const own = MSR.FP | (littleEndian ? MSR.LE : 0n);
  for (const instruction of INSTRUCTIONS) {
    const { access, level, mnemonic } = instruction;
    if (access === undefined || !LEVELS.includes(level)) continue;
    test(`${mnemonic} of a device, ${littleEndian ? 'little' : 'big'}-endian`, () => {
      for (const pattern of PATTERNS)
        for (const msr of [own | MSR.SF, own]) {
          const memory = run(vm, vcpu, instruction, MEMORY, pattern, msr);
          const device = run(vm, vcpu, instruction, DEVICE, pattern, msr);
          assert.equal(memory.accesses, 0);
          assert.equal(memory.result.updated, access.update === true ? 8n : 0n);
          assert.equal(device.accesses, access.bytes === 8 ? 2 : 1);
          assert.deepEqual(device.result, memory.result, `0x${pattern.toString(16)}`);
        }
    });
  }
}
