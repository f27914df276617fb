/** Interpreters of modes that are not translated lay operands out for themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import { createVm } from '../../src/kvm/index.ts';

const CODE = 0x1000;
const DATA = 0x8000;

test('what only big-endian mode does is done in it where storage is little-endian', () => {
  const vm = createVm({
    cpu: 'power8',
    accel: 'trap',
    littleEndian: true,
    clock: { now: () => 0 },
    timebaseFrequency: 1e9,
    maxMemory: 2 ** 20,
  });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: 2 ** 20 });
  const vcpu = vm.createVcpu(0);
  const words = assembleWords('lmw 29,4(4); lswi 20,4,6; stw 0,0(3)', CODE);
  const code = new DataView(new ArrayBuffer(4 * words.length));
  for (const [i, word] of words.entries()) code.setUint32(4 * i, word);
  vm.memory.writeBytes(CODE, new Uint8Array(code.buffer));
  vm.memory.writeBytes(
    DATA,
    Uint8Array.from({ length: 32 }, (_, i) => i + 1),
  );
  const regs = vcpu.getRegs();
  regs.gpr[3] = 0xf000_0000n;
  regs.gpr[4] = BigInt(DATA);
  vcpu.setRegs({ ...regs, pc: BigInt(CODE), msr: 1n << 63n });
  vcpu.run(1e6);
  const { gpr } = vcpu.getRegs();
  assert.deepEqual(gpr.slice(29), [0x05060708n, 0x090a0b0cn, 0x0d0e0f10n]);
  assert.deepEqual(gpr.slice(20, 22), [0x01020304n, 0x05060000n]);
  assert.equal(gpr[3], 0xf000_0000n);
});
