/** A guest's hash table in its own memory: where translations set R and C, and where they must not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import { createVm } from '../../src/kvm/index.ts';

const RAM_BYTES = 2 ** 20;
const TABLE_BYTES = 2 ** 18;
const TABLES = { ram: 0x80000, rom: 0x400000 } as const;
const VSID = 0x1234n;
/** The page that the guest reaches at effective address 0x10005000, and one that it only reads. */
const PAGE = 5;
const REAL = 0x9000;
const R = 0x100;
const C = 0x80;

/** Runs a load and a store through the entry; answers the entry's flags, the value that was loaded and dirty pages. */
function run(table: number, readonly: boolean) {
  const vm = createVm({
    cpu: 'power8',
    accel: 'trap',
    clock: { now: () => 0 },
    timebaseFrequency: 512e6,
    maxMemory: RAM_BYTES + TABLE_BYTES,
    icount: 10,
  });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: RAM_BYTES, logDirtyPages: true });
  vm.setUserMemoryRegion({ slot: 1, guestPhysAddr: TABLES.rom, memorySize: TABLE_BYTES, readonly });
  const vcpu = vm.createVcpu(0);
  const code = assembleWords('ld r5,0(r4); std r4,8(r4); b .', 0);
  for (const [i, word] of code.entries()) vm.memory.write32(4 * i, word);
  vm.memory.write32(REAL + 4, 77);
  const entry = table + ((Number(VSID) ^ PAGE) & 0x7ff) * 128;
  const words = [0, (Number(VSID) << 12) | 1, 0, REAL | 2];
  for (const [i, word] of words.entries()) vm.memory.write32(entry + 4 * i, word);
  vcpu.setSregs({ sdr1: BigInt(table), slbe0: 0x18000000n, slbv0: VSID << 12n });
  const regs = vcpu.getRegs();
  regs.pc = 0n;
  regs.msr = (1n << 63n) | 0x1010n;
  regs.gpr[4] = 0x10005000n;
  vcpu.setRegs(regs);
  vm.getDirtyLog(0);
  vcpu.run(1000);
  const dirty = vm.getDirtyLog(0) as Uint8Array;
  const isDirty = (address: number): boolean => ((dirty[address >> 15] as number) & (1 << ((address >> 12) & 7))) !== 0;
  return {
    flags: (vm.memory.read32(entry + 12) as number) - REAL,
    loaded: vcpu.getRegs().gpr[5],
    stored: vm.memory.read32(REAL + 12),
    tableDirty: table < RAM_BYTES && isDirty(entry),
    pageDirty: isDirty(REAL),
  };
}

const done = { loaded: 77n, stored: 0x10005000, pageDirty: true };

test('R and C are set in the table, and the dirty log has its page', () => {
  assert.deepEqual(run(TABLES.ram, true), { ...done, flags: R | C | 2, tableDirty: true });
  assert.deepEqual(run(TABLES.rom, false), { ...done, flags: R | C | 2, tableDirty: false });
});

test('a table in read-only memory translates, and stays as it is', () => {
  assert.deepEqual(run(TABLES.rom, true), { ...done, flags: 2, tableDirty: false });
});
