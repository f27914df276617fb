/** Single steps: one instruction, then the trace vector; any other interrupt as it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Meaning } from '../../src/isa/semantics.ts';
import { BOOKE_VECTOR, BUDGET, PC, SERVER_VECTOR } from '../../src/processor/index.ts';
import { TestCpu } from './test-cpu.ts';
import { everyServer, SEGMENT, TestServer } from './test-server.ts';

const CODE = 0x1000;
/** A loop, straight-line code, indirect branches, storage, a system call, the end of a page. */
const WALK = `
    li 3,2
    mtctr 3
  1: stw 3,0(9)
    bdnz 1b
    lwz 4,0(9)
    cmpwi 4,2
    bne 2f
    b 3f
  2: trap
  3: bl 4f
    fadd 1,1,1
    stwu 3,0(9)
    b 5f
  4: blr
  5: lwarx 5,0,9
    addi 5,5,1
    stwcx. 5,0,9
    sc`;
/** Word offsets that the steps come to, the system call's last. */
const PATH = [1, 2, 3, 2, 3, 4, 5, 6, 7, 9, 13, 10, 11, 12, 14, 15, 16, 17];

everyServer('each step runs one instruction, whatever is translated', (cpu) => {
  cpu.map(CODE);
  cpu.map(0x8000);
  cpu.load(CODE, WALK);
  cpu.setGprs({ 9: SEGMENT + 0x8000n });
  // What was run is translated, in one of the tiers: steps take no notice of it.
  cpu.run(CODE);
  cpu.translate();
  cpu.setDoubleword(PC, SEGMENT + BigInt(CODE));
  for (const at of PATH) {
    const { vector, pc, retired } = cpu.step();
    assert.deepEqual([vector, (pc - CODE) / 4, retired], [SERVER_VECTOR.trace, at, 1]);
    assert.equal(cpu.word(BUDGET), 999);
  }
  const end = cpu.step();
  assert.deepEqual([end.vector, (end.pc - CODE) / 4, end.retired], [SERVER_VECTOR.systemCall, 18, 1]);
  assert.equal(cpu.read32(0x8000), 3);
});

for (const tier of ['interpreted', 'translated'] as const)
  test(`each step of a 440 runs one instruction, ${tier}`, () => {
    const cpu = new TestCpu(tier);
    cpu.map(0, CODE, CODE);
    cpu.map(1, 0x8000, 0x8000);
    cpu.load(CODE, WALK.replace('fadd 1,1,1', 'nop'));
    cpu.setGprs({ 9: 0x8000 });
    cpu.run(CODE);
    cpu.translate();
    cpu.setWord(PC, CODE);
    for (const at of PATH) {
      const { vector, pc, retired } = cpu.step();
      assert.deepEqual([vector, (pc - CODE) / 4, retired], [BOOKE_VECTOR.debug, at, 1]);
    }
    assert.equal(cpu.step().vector, BOOKE_VECTOR.systemCall);
  });

everyServer('interrupts of a step are those of the instruction', (cpu) => {
  cpu.map(CODE, 2);
  cpu.map(0x8000, 1);
  cpu.load(CODE, 'ld 3,0(9); std 3,0x1000(9); trap; mfmsr 3; .long 0; std 3,-4(10)');
  cpu.setGprs({ 9: SEGMENT + 0x8000n, 10: SEGMENT + 0x9000n });
  cpu.setDoubleword(PC, SEGMENT + BigInt(CODE));
  assert.equal(cpu.step().vector, SERVER_VECTOR.trace);
  const missing = cpu.step();
  assert.deepEqual([missing.vector, missing.pc, missing.address], [SERVER_VECTOR.dataStorage, CODE + 4, 0x9000]);
  for (const at of [2, 3, 4]) {
    cpu.setDoubleword(PC, SEGMENT + BigInt(CODE + 4 * at));
    const { vector, pc } = cpu.step();
    assert.deepEqual([vector, pc], [SERVER_VECTOR.program, CODE + 4 * at]);
  }
  // A store across a page boundary does nothing before both pages are there.
  cpu.setDoubleword(PC, SEGMENT + BigInt(CODE + 20));
  assert.equal(cpu.step().address, 0x9000);
  cpu.map(0x9000);
  assert.equal(cpu.step().vector, SERVER_VECTOR.trace);
});

everyServer('a step goes from page to page, and sees code that changes', (cpu) => {
  cpu.map(CODE, 2);
  cpu.load(CODE + 0xffc, 'li 3,1; li 4,1');
  cpu.setDoubleword(PC, SEGMENT + BigInt(CODE + 0xffc));
  assert.equal(cpu.step().pc, CODE + 0x1000);
  assert.equal(cpu.step().pc, CODE + 0x1004);
  cpu.load(CODE + 0xffc, 'li 3,2');
  cpu.setDoubleword(PC, SEGMENT + BigInt(CODE + 0xffc));
  cpu.step();
  assert.equal(cpu.gpr(3), 2n);
});

test('steps know neither assist meanings nor vector code', () => {
  const answer: Meaning = (s, f) => s.setGpr(f.RT, s.wordOf(5));
  const cpu = new TestServer('translated', { assist: new Map([['mfmsr', answer]]) });
  cpu.cpu.selectContext(0);
  cpu.map(CODE);
  cpu.load(CODE, 'mfmsr 3; sc');
  assert.equal(cpu.run(CODE).vector, SERVER_VECTOR.systemCall);
  assert.equal(cpu.gpr(3), 5n);
  cpu.setDoubleword(PC, SEGMENT + BigInt(CODE));
  const { vector, pc } = cpu.step();
  assert.deepEqual([vector, pc], [SERVER_VECTOR.program, CODE]);
  // The usual run is as it was.
  assert.equal(cpu.run(CODE).vector, SERVER_VECTOR.systemCall);
});

test('modes that have an interpreter of their own are stepped too', () => {
  for (const [order, littleEndian, sixtyFour] of [
    [7, true, true],
    [7, true, false],
    [0, false, true],
    [0, false, false],
    [7, false, false],
  ] as const) {
    const cpu = new TestServer('interpreted', { order });
    cpu.map(CODE);
    cpu.cpu.configureContext(0, { assist: false, sixtyFour, littleEndian });
    cpu.cpu.slbWrite(0, 1, 0, 0x12345_0001, 0x800);
    cpu.cpu.selectContext(0);
    const turned = littleEndian !== (order === 0);
    const words = [0x38600001, 0x48000008, 0x60000000, 0x38630001].map((word) => (turned ? swap(word) : word));
    cpu.place(CODE, Uint32Array.from(words));
    cpu.setDoubleword(PC, BigInt(CODE));
    const pcs = [0, 0, 0].map(() => {
      assert.equal(cpu.step().vector, SERVER_VECTOR.trace);
      return Number(cpu.doubleword(PC)) - CODE;
    });
    assert.deepEqual(pcs, [4, 12, 16]);
    assert.equal(cpu.gpr(3), 2n);
  }
});

const swap = (word: number): number =>
  ((word >>> 24) | ((word >>> 8) & 0xff00) | ((word & 0xff00) << 8) | (word << 24)) >>> 0;
