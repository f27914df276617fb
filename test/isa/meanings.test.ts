import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords, Decoder, EMBEDDED_LEVELS, INSTRUCTIONS, type Instruction } from '../../src/isa/index.ts';
import { Evaluator, type Registers } from './evaluator.ts';
import { random } from './words.ts';

const decoder = new Decoder(EMBEDDED_LEVELS);
const PC = 0x1000;
const MEMORY = 0x20000000;

const registers = (gpr: Readonly<Record<number, number>> = {}, more: Partial<Registers> = {}): Registers => ({
  gpr: Array.from({ length: 32 }, (_, n) => (gpr[n] ?? 0) | 0),
  cr: 0,
  xer: 0,
  lr: 0,
  ctr: 0,
  ...more,
});

const memory = (): DataView => new DataView(new ArrayBuffer(256));

/** Runs lines of assembly one after the other (no branches). */
function run(source: string, before: Registers, storage = memory()): Evaluator {
  const evaluator = new Evaluator(before, storage, MEMORY);
  for (const word of assembleWords(source)) evaluator.execute(decoder.decode(word) as Instruction, word, PC, false);
  return evaluator;
}

test('a meaning is the same with operands known beforehand and with operands from the word', () => {
  const next = random(3);
  const values = [0, 1, 31, 32, 0x7f, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
  const value = (): number => (next() % 3 ? next() : (values[next() % values.length] as number)) | 0;
  for (const instruction of INSTRUCTIONS) {
    if (!EMBEDDED_LEVELS.has(instruction.level)) continue;
    for (let i = 0; i < 60; i++) {
      const word = (next() & ~instruction.mask) | instruction.value;
      const gpr = Array.from({ length: 32 }, () => (next() % 4 ? value() : MEMORY + (next() % 256)));
      const [cr, xer, lr, ctr] = [value(), value() & 0xe000007f, value(), next() % 4];
      const outcomes = [false, true].map((dynamic) => {
        const evaluator = new Evaluator({ gpr: [...gpr], cr, xer, lr, ctr }, memory(), MEMORY);
        const outcome = evaluator.execute(instruction, word, PC, dynamic);
        return { outcome, registers: evaluator.registers, state: evaluator.state, memory: evaluator.memory };
      });
      assert.deepEqual(outcomes[1], outcomes[0], `${instruction.mnemonic} ${(word >>> 0).toString(16)}`);
    }
  }
});

test('no-ops and copies write nothing else', () => {
  const untouched = registers({ 0: 5, 3: 7 }, { cr: 0x12345678, xer: 0xa0000000 | 0 });
  const { registers: after } = run('nop; mr 3,3; ori 3,3,0; oris 0,0,0; rlwinm 3,3,0,0,31', structuredClone(untouched));
  assert.deepEqual(after, untouched);
});

test('shifts by 32 and more leave nothing but signs', () => {
  const { registers: after } = run(
    'slw 3,10,11; srw 4,10,11; sraw 5,10,11; mfxer 6; slw 7,10,12; srw 8,10,12; sraw 9,13,11',
    registers({ 10: 0x80000001, 11: 32, 12: 64, 13: 0x7fffffff }),
  );
  assert.deepEqual(after.gpr.slice(3, 10), [0, 0, -1, 0x20000000, 0x80000001 | 0, 0x80000001 | 0, 0]);
});

test('quotients that the architecture leaves undefined are the dividend, with OV', () => {
  const { registers: after } = run(
    'divwo 3,10,11; mfxer 4; divwuo 5,10,11; divwo 6,12,13; mfxer 7; divwo 8,10,14; mfxer 9',
    registers({ 10: 1234, 11: 0, 12: 0x80000000, 13: -1, 14: 2 }),
  );
  assert.deepEqual(after.gpr.slice(3, 10), [
    1234,
    0xc0000000 | 0,
    1234,
    0x80000000 | 0,
    0xc0000000 | 0,
    617,
    0x80000000 | 0,
  ]);
});

test('multiply-accumulates overflow and saturate as the 440 user’s manual says', () => {
  const before = () => registers({ 3: 0x7fffffff, 4: 0x7fffffff, 5: 0x80000000, 6: 0xffffffff, 10: 2, 11: 0x00030003 });
  const plain = run('maclhw 3,10,11', before()).registers;
  assert.equal(plain.gpr[3], 0x80000005 | 0);
  const saturated = run('maclhwso 4,10,11; nmaclhws 5,10,11; maclhwsu 6,10,11; mfxer 7', before()).registers;
  assert.deepEqual(saturated.gpr.slice(4, 8), [0x7fffffff, 0x80000000 | 0, -1, 0xc0000000 | 0]);
  const halves = run('mulchw 3,11,12; mulhhwu 4,12,12; mullhw 5,12,10', registers({ 10: 2, 11: 3, 12: 0xfffe0004 }));
  assert.deepEqual(halves.registers.gpr.slice(3, 6), [-6, 0xfffc0004 | 0, 8]);
});

test('a conditional store takes place once for each reservation, at its address', () => {
  const storage = memory();
  storage.setInt32(8, 41);
  const evaluator = run(
    'lwarx 3,0,10; addi 3,3,1; stwcx. 3,0,10; mfcr 4; stwcx. 10,0,10; mfcr 5; lwarx 6,0,10; stwcx. 10,0,11; mfcr 7',
    registers({ 10: MEMORY + 8, 11: MEMORY + 12 }),
    storage,
  );
  assert.deepEqual(evaluator.registers.gpr.slice(3, 8), [42, 0x20000000, 0, 42, 0]);
  assert.deepEqual([storage.getInt32(8), storage.getInt32(12)], [42, 0]);
});

test('a conditional store fails when the word has changed since', () => {
  const evaluator = run('lwarx 3,0,10; stw 11,0(10); stwcx. 3,0,10; mfcr 4', registers({ 10: MEMORY, 11: 9 }));
  assert.equal(evaluator.registers.gpr[4], 0);
  assert.equal(evaluator.memory.getInt32(0), 9);
});

test('a reservation wants an aligned address', () => {
  for (const source of ['lwarx 3,0,10', 'stwcx. 3,0,10'])
    assert.deepEqual(run(source, registers({ 10: MEMORY + 2 })).outcome, { interrupt: 'alignment' });
});

test('special registers: open ones are moved, others trap by their number', () => {
  const opened = run(
    'mtxer 3; mfxer 4; mtlr 3; mflr 5; mtctr 3; mfctr 6; mtspr 256,3; mfspr 7,256',
    registers({ 3: -1 }),
  );
  assert.deepEqual(opened.registers.gpr.slice(4, 8), [0xfff3ffff | 0, -1, -1, -1]);
  const clock = run('mftb 3; mftbu 4', registers()).registers;
  assert.deepEqual(clock.gpr.slice(3, 5), [0x9abcdef0 | 0, 0x12345678]);
  const trapped = (source: string) => run(source, registers()).outcome.interrupt;
  assert.equal(trapped('mfspr 3,26'), 'program privileged');
  assert.equal(trapped('mtspr 268,3'), 'program illegal');
  assert.equal(trapped('mtspr 260,3'), 'program illegal');
  assert.equal(trapped('mfspr 3,1023'), 'program privileged');
  assert.equal(trapped('mfspr 3,0'), 'program illegal');
  assert.equal(trapped('mfmsr 3'), 'program privileged');
  assert.equal(trapped('fadd 1,2,3'), 'floatingPointUnavailable');
});
