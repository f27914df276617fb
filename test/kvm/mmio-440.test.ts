/** Loads and stores of a 440 that move several words or bytes: of a device as of memory, in pages of both byte orders (of memory, big-endian ones). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import { createVm, KVM_EXIT } from '../../src/kvm/index.ts';

const CODE = 0x1000;
const MEMORY = 0x8000;
const DEVICE = 0xe000_0000;
const END = 0xf000_0000;
const BYTES = 192;
const VALID_256M = 0x290;
const LITTLE_ENDIAN = 0x80;

const SOURCES = [
  ...['lmw 22,12(4)', 'stmw 20,12(4)', 'lmw 31,4(4)', 'lwzu 10,8(4)', 'stwux 10,4,6', 'lhbrx 10,4,6', 'sthbrx 10,4,6'],
  ...[1, 2, 3, 4, 7, 16, 31].flatMap((n) => [`lswi 10,4,${n}`, `stswi 22,4,${n}`]),
  ...[5, 34, 100].flatMap((n) => [`mtxer 9; lswx 10,4,6 # ${n}`, `mtxer 9; stswx 10,4,6 # ${n}`]),
];

for (const accel of ['trap', 'assist'] as const)
  for (const attributes of [0, LITTLE_ENDIAN])
    test(`several words of a device, ${accel}, ${attributes === 0 ? 'big' : 'little'}-endian pages`, () => {
      const vm = createVm({ cpu: '440ep', accel, clock: { now: () => 0 }, timebaseFrequency: 1e9, maxMemory: 2 ** 20 });
      vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: 2 ** 20 });
      const vcpu = vm.createVcpu(0);
      // Memory at two addresses: one for code, one whose pages have the attributes; and the device's.
      vcpu.setTlbEntry(0, { word0: VALID_256M, word1: 0, word2: 7, tid: 0 });
      vcpu.setTlbEntry(1, { word0: 0x1000_0000 | VALID_256M, word1: 0, word2: 7 | attributes, tid: 0 });
      vcpu.setTlbEntry(2, { word0: DEVICE | VALID_256M, word1: DEVICE, word2: 7 | attributes, tid: 0 });
      vcpu.setTlbEntry(3, { word0: END | VALID_256M, word1: END, word2: 7, tid: 0 });
      const run = (source: string, base: number) => {
        const [text = '', count = '0'] = source.split(' # ');
        for (const [i, word] of assembleWords(`${text}; stw 0,0(3)`, CODE).entries())
          vm.memory.write32(CODE + 4 * i, word);
        vm.memory.writeBytes(
          MEMORY,
          Uint8Array.from({ length: BYTES }, (_, i) => (i * 37 + 0x81) & 0xff),
        );
        const regs = vcpu.getRegs();
        regs.gpr = regs.gpr.map((_, n) => BigInt(0x1122_3344 + 0x0101_0101 * n));
        regs.gpr[3] = BigInt(END);
        regs.gpr[4] = BigInt(base + 16);
        regs.gpr[6] = 16n;
        regs.gpr[9] = BigInt(count);
        vcpu.setRegs({ ...regs, pc: BigInt(CODE) });
        const { mmio } = vcpu.kvmRun;
        const { memory } = vm;
        let accesses = 0;
        for (;;) {
          assert.equal(vcpu.run(1e9), KVM_EXIT.MMIO, source);
          if (mmio.physAddr === END) break;
          accesses++;
          const at = mmio.physAddr - DEVICE + MEMORY;
          const size = mmio.len as 1 | 2 | 4;
          if (mmio.isWrite)
            ({ 1: memory.write8, 2: memory.write16, 4: memory.write32 })[size].call(memory, at, mmio.data);
          else mmio.data = Number({ 1: memory.read8, 2: memory.read16, 4: memory.read32 }[size].call(memory, at));
        }
        const { gpr } = vcpu.getRegs();
        gpr[4] = (gpr[4] as bigint) - BigInt(base);
        return { result: { gpr, memory: memory.readBytes(MEMORY, BYTES) }, accesses };
      };
      for (const source of SOURCES) {
        const device = run(source, DEVICE);
        assert.ok(device.accesses > 0, source);
        if (attributes === 0) {
          const memory = run(source, 0x1000_0000 + MEMORY);
          assert.equal(memory.accesses, 0, source);
          assert.deepEqual(device.result, memory.result, source);
        }
      }
      // Words are turned round in such a page; strings are bytes.
      const bytes = (at: number, order: readonly number[]): bigint =>
        order.reduce((value, i) => value * 256n + BigInt(((at + i) * 37 + 0x81) & 0xff), 0n);
      const order = attributes === 0 ? [0, 1, 2, 3] : [3, 2, 1, 0];
      const { gpr } = run('lmw 30,12(4)', DEVICE).result;
      assert.deepEqual(gpr.slice(30), [bytes(28, order), bytes(32, order)]);
      assert.equal(run('lswi 10,4,4', DEVICE).result.gpr[10], bytes(16, [0, 1, 2, 3]));
    });
