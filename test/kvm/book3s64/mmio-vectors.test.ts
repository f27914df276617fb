/**
 * Loads and stores that move more than one item, or a vector: of a device they do to registers and storage what the
 * processor does with memory, and every load and store of a model is one that a device can have, or one that interrupts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords, INSTRUCTIONS } from '../../../src/isa/index.ts';
import { createVm, KVM_EXIT, type Vcpu, type Vm } from '../../../src/kvm/index.ts';
import { moveById } from '../../../src/kvm/moves.ts';
import { LEVELS_OF } from '../../../src/processor/index.ts';

const CODE = 0x1000;
const MEMORY = 0x8000;
const DEVICE = 0x1000_0000;
const END = 0x2000_0000;
const BYTES = 160;
const MSR = { SF: 1n << 63n, VEC: 1n << 25n, VSX: 1n << 23n, FP: 0x2000n, LE: 1n } as const;
const VSR = (n: number): bigint =>
  n < 32 ? 0x1040_0000_0000_0060n + BigInt(n) : 0x1040_0000_0000_0040n + BigInt(n - 32);
const REGISTERS = [0, 5, 33, 34, 35, 37];

/** r4 is the base, r6 an index of 16, r7 one of 21. */
const BOTH = [
  ...['lvx 2', 'lvxl 2', 'stvx 2', 'stvxl 2', 'lvebx 2', 'lvehx 2', 'lvewx 2', 'stvebx 2', 'stvehx 2', 'stvewx 2'],
  ...['lxvd2x 5', 'lxvd2x 37', 'lxvw4x 5', 'lxvw4x 37', 'lxvdsx 5', 'lxsdx 5', 'lxsdx 37'],
  ...[
    'stxvd2x 5',
    'stxvd2x 37',
    'stxvw4x 5',
    'stxsdx 5',
    'lxsiwax 5',
    'lxsiwzx 37',
    'stxsiwx 37',
    'lxsspx 5',
    'stxsspx 5',
  ],
].flatMap((stem) => [6, 7, 8].map((index) => `${stem},4,${index}`));
const WITHOUT_INDEX = ['lq 10,16(4)', 'stq 10,32(4)', 'ldu 10,8(4)', 'stfdu 5,-8(4)', 'lfsux 5,4,6', 'stwux 10,4,6'];
/** In little-endian mode these are alignment errors. Not looked at: code in the order that memory is not kept in. */
const BIG = [
  ...['lmw 22,12(4)', 'stmw 20,12(4)', 'lmw 31,3(4)'],
  ...[1, 2, 3, 4, 5, 7, 16, 31, 0].flatMap((n) => [`lswi 26,4,${n}`, `stswi 22,4,${n}`]),
  ...[1, 6, 35, 99, 100].flatMap((n) => [`mtspr 1,9; lswx 10,4,6 # ${n}`, `mtspr 1,9; stswx 10,4,6 # ${n}`]),
];

class Rig {
  readonly vm: Vm;
  readonly vcpu: Vcpu;

  constructor(littleEndian: boolean, memoryLittleEndian: boolean) {
    this.vm = createVm({
      cpu: 'power8',
      accel: 'assist',
      littleEndian: memoryLittleEndian,
      clock: { now: () => 0 },
      timebaseFrequency: 1e9,
      maxMemory: 2 ** 20,
    });
    this.vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: 2 ** 20 });
    this.vcpu = this.vm.createVcpu(0);
    const msr = MSR.SF | MSR.VEC | MSR.VSX | MSR.FP | (littleEndian ? MSR.LE : 0n);
    this.vcpu.setRegs({ ...this.vcpu.getRegs(), msr });
    this.littleEndian = littleEndian;
  }
  readonly littleEndian: boolean;

  run(source: string, base: number) {
    const { vm, vcpu } = this;
    const [text = '', count = '0'] = source.split(' # ');
    const words = assembleWords(`${text}; stw 0,0(3)`, CODE);
    const code = new DataView(new ArrayBuffer(4 * words.length));
    for (const [i, word] of words.entries()) code.setUint32(4 * i, word, this.littleEndian);
    vm.memory.writeBytes(CODE, new Uint8Array(code.buffer));
    vm.memory.writeBytes(
      MEMORY,
      Uint8Array.from({ length: BYTES }, (_, i) => (i * 37 + 0x81) & 0xff),
    );
    const regs = vcpu.getRegs();
    regs.pc = BigInt(CODE);
    regs.gpr = regs.gpr.map((_, n) => (0x1122_3344_5566_7788n * BigInt(n + 3)) & (2n ** 64n - 1n));
    regs.gpr[3] = BigInt(END);
    regs.gpr[4] = BigInt(base + 16);
    regs.gpr[6] = 16n;
    regs.gpr[7] = 21n;
    regs.gpr[8] = 12n;
    regs.gpr[9] = BigInt(count);
    vcpu.setRegs(regs);
    for (const n of REGISTERS) vcpu.setOneReg(VSR(n), 0x4049_0fdb_8123_4567_3ff0_0000_e000_0000n + BigInt(n));
    let accesses = 0;
    let bytes = 0;
    const { mmio } = vcpu.kvmRun;
    for (;;) {
      assert.equal(vcpu.run(1e9), KVM_EXIT.MMIO, source);
      if (mmio.physAddr === END) break;
      accesses++;
      bytes += mmio.len;
      const at = mmio.physAddr - DEVICE + MEMORY;
      assert.ok(
        at >= MEMORY && at + mmio.len <= MEMORY + BYTES,
        `${source} ${mmio.physAddr.toString(16)} ${mmio.len} ${accesses}`,
      );
      const { memory } = vm;
      if (mmio.isWrite)
        ({ 1: memory.write8, 2: memory.write16, 4: memory.write32 })[mmio.len as 1 | 2 | 4].call(memory, at, mmio.data);
      else
        mmio.data = { 1: memory.read8, 2: memory.read16, 4: memory.read32 }[mmio.len as 1 | 2 | 4].call(
          memory,
          at,
        ) as number;
    }
    const { gpr } = vcpu.getRegs();
    gpr[4] = (gpr[4] as bigint) - BigInt(base);
    const registers = REGISTERS.map((n) => vcpu.getOneReg(VSR(n)));
    return { result: { gpr, registers, memory: vm.memory.readBytes(MEMORY, BYTES) }, accesses, bytes };
  }
}

for (const [littleEndian, memoryLittleEndian] of [
  [false, false],
  [true, true],
  [true, false],
  [false, true],
] as const) {
  const name = `${littleEndian ? 'little' : 'big'}-endian, memory ${memoryLittleEndian ? 'little' : 'big'}`;
  test(`vectors, pairs and update forms of a device, ${name}`, () => {
    const rig = new Rig(littleEndian, memoryLittleEndian);
    for (const source of [...BOTH, ...WITHOUT_INDEX, ...(littleEndian || memoryLittleEndian ? [] : BIG)]) {
      const memory = rig.run(source, MEMORY);
      const device = rig.run(source, DEVICE);
      assert.equal(memory.accesses, 0, source);
      assert.ok(device.accesses > 0, source);
      assert.deepEqual(device.result, memory.result, source);
    }
  });
}

test('user space is asked for no more than there is', () => {
  const rig = new Rig(false, false);
  const bytes = (source: string) => rig.run(source, DEVICE).bytes;
  assert.equal(bytes('lvx 2,4,6'), 16);
  assert.equal(bytes('lvehx 2,4,6'), 2);
  assert.equal(bytes('lmw 22,12(4)'), 40);
  assert.equal(bytes('lswi 22,4,7'), 7);
  assert.equal(bytes('mtspr 1,9; lswx 10,4,6 # 0'), 0);
  assert.equal(bytes('lxvdsx 5,4,6'), 8);
});

/** What accesses storage and may interrupt instead: reservations, and cache blocks. */
const OTHERS = /^(l[bhwdq]arx|st[bhwdq]cx\.|dcb.*|icb.*|l[bhwd]z?cix|st[bhwd]cix)$/;

test('each load and store is known, or interrupts', () => {
  const moves = moveById();
  for (const [cpu, levels] of Object.entries(LEVELS_OF))
    for (const { id, mnemonic, level } of INSTRUCTIONS)
      if (levels.has(level) && /^(l|st)/.test(mnemonic) && !/^lvs[lr]$/.test(mnemonic))
        assert.ok(moves[id] !== undefined || OTHERS.test(mnemonic), `${mnemonic} on a ${cpu}`);
});
