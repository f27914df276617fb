/** What the campaign of 64-bit processors (test/truth/wide) leaves out, since its oracle cannot say: each by its own rule. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INSTRUCTIONS, isOf } from '../../src/isa/index.ts';
import { CTR, LR, SERVER_VECTOR, SRR1_PROGRAM } from '../../src/processor/index.ts';
import { LEVELS_OF } from '../../src/processor/levels.ts';
import { everyServer, SEGMENT, TestServer } from './test-server.ts';

const CODE = 0x1000;
const DATA = 0x2000;

for (const tier of ['interpreted', 'translated'] as const)
  test(`the time base, whole and its upper word, ${tier}`, () => {
    const cpu = new TestServer(tier, { timebase: () => 0x12_3456_789a + 0.5 });
    cpu.map(CODE);
    cpu.load(CODE, 'mftb 3; mftbu 4; mfspr 5,268; mfspr 6,269; sc');
    cpu.runTwice(CODE, () => cpu.setGprs({ 3: -1, 4: -1, 5: -1, 6: -1 }));
    assert.deepEqual(
      [3, 4, 5, 6].map((n) => cpu.gpr(n)),
      [0x12_3456_789an, 0x12n, 0x12_3456_789an, 0x12n],
    );
  });

everyServer('sc goes on behind itself', (cpu) => {
  cpu.map(CODE);
  cpu.load(CODE, 'nop; sc; nop');
  const { vector, pc } = cpu.runTwice(CODE, () => {});
  assert.deepEqual([vector, pc], [SERVER_VECTOR.systemCall, CODE + 8]);
});

everyServer('numbers without a register, and the time base, which cannot be written', (cpu) => {
  cpu.map(CODE);
  for (const source of ['mfspr 3,257', 'mtspr 268,3']) {
    cpu.load(CODE, `${source}; sc`);
    const { vector, syndrome } = cpu.runTwice(CODE, () => cpu.setGprs({ 3: 7 }));
    assert.deepEqual([vector, syndrome], [SERVER_VECTOR.program, SRR1_PROGRAM.ILL], source);
    assert.equal(cpu.gpr(3), 7n);
  }
});

everyServer('to branch by the counter and decrement it is an invalid form, which changes nothing', (cpu) => {
  cpu.map(CODE);
  const BCCTRL_BDNZ = 0x4e00_0421;
  cpu.place(CODE, Uint32Array.of(BCCTRL_BDNZ));
  const { vector, syndrome, pc } = cpu.runTwice(CODE, () => {
    cpu.setDoubleword(CTR, SEGMENT + 0x1100n);
    cpu.setDoubleword(LR, 5n);
  });
  assert.deepEqual([vector, syndrome, pc], [SERVER_VECTOR.program, SRR1_PROGRAM.ILL, CODE]);
  assert.deepEqual([cpu.doubleword(CTR), cpu.doubleword(LR)], [SEGMENT + 0x1100n, 5n]);
});

for (const tier of ['interpreted', 'translated'] as const)
  test(`multiple accesses are alignment interrupts in little-endian mode, ${tier}`, () => {
    for (const source of [
      'lmw 28,4(5)',
      'stmw 28,4(5)',
      'lswi 28,5,8',
      'stswi 28,5,8',
      'lswx 28,0,5',
      'stswx 28,0,5',
    ]) {
      const cpu = new TestServer(tier, { order: 0 });
      cpu.map(CODE);
      cpu.map(DATA);
      cpu.load(CODE, `${source}; sc`);
      const { vector, address, pc } = cpu.runTwice(CODE, () => cpu.setGprs({ 5: SEGMENT + BigInt(DATA), 28: 7 }));
      const displacement = source.includes('mw') ? 4 : 0;
      assert.deepEqual([vector, address, pc], [SERVER_VECTOR.alignment, DATA + displacement, CODE], source);
      assert.equal(cpu.gpr(28), 7n, source);
      assert.equal(cpu.read32(DATA), 0, source);
    }
  });

for (const model of ['970', 'power7', 'power8'] as const) {
  test(`dcbz clears 128 bytes on the ${model}`, () => {
    const cpu = new TestServer('interpreted', { model });
    cpu.map(CODE);
    cpu.map(DATA);
    for (let at = 0; at < 0x200; at += 4) cpu.write32(DATA + at, -1);
    cpu.load(CODE, 'dcbz 0,5; sc');
    cpu.setGprs({ 5: SEGMENT + BigInt(DATA + 0x9c) });
    assert.equal(cpu.run(CODE).vector, SERVER_VECTOR.systemCall);
    const cleared = Array.from({ length: 0x80 }, (_, i) => i * 4).filter((at) => cpu.read32(DATA + at) === 0);
    assert.deepEqual([cleared.length, cleared[0], cleared.at(-1)], [32, 0x80, 0xfc]);
  });

  test(`privileged instructions of the ${model} are refused to problem state`, () => {
    const cpu = new TestServer('interpreted', { model });
    cpu.map(CODE);
    const rows = INSTRUCTIONS.filter((instruction) => instruction.privileged && isOf(instruction, LEVELS_OF[model]));
    assert.ok(rows.length > 10);
    for (const { mnemonic, value, reserved } of rows)
      for (const word of [value, value | reserved]) {
        cpu.place(CODE, Uint32Array.of(word));
        const { vector, syndrome } = cpu.run(CODE);
        assert.deepEqual([vector, syndrome], [SERVER_VECTOR.program, SRR1_PROGRAM.PRIV], mnemonic);
      }
  });
}
