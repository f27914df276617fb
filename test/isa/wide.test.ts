/** Meanings on 64-bit processors: with operands known or not, and in 32-bit mode as on a 32-bit processor. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assembleWords,
  Decoder,
  EMBEDDED_LEVELS,
  INSTRUCTIONS,
  type Instruction,
  isOf,
  SERVER_LEVELS,
  type StateName,
} from '../../src/isa/index.ts';
import { Evaluator, MODE_32, MODE_64, MODE_64_32, type Mode } from './evaluator.ts';
import { random } from './words.ts';

const PC = 0x1000;
const MEMORY = 0x20000000;
const decoder = new Decoder(SERVER_LEVELS);
const next = random(5);

const word64 = (): bigint => (BigInt(next()) << 32n) | BigInt(next());
const SPECIAL = [0n, 1n, 31n, 63n, 64n, 0x7fffn, 0x8000n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 1n << 63n, -1n];
const value = (): bigint => (next() % 3 ? word64() : (SPECIAL[next() % SPECIAL.length] as bigint));

function randomState() {
  return {
    gpr: Array.from({ length: 32 }, () => (next() % 4 ? value() : BigInt(MEMORY + (next() % 256)))),
    cr: next() | 0,
    xer: next() & 0xe000007f,
    lr: value(),
    ctr: value(),
    vsrs: Array.from({ length: 64 }, () => [BigInt.asIntN(64, value()), BigInt.asIntN(64, value())]),
  };
}

function execute(
  instruction: Instruction,
  word: number,
  state: ReturnType<typeof randomState>,
  mode: Mode,
  dynamic: boolean,
) {
  const { vsrs, ...registersBefore } = structuredClone(state);
  const evaluator = new Evaluator(registersBefore, new DataView(new ArrayBuffer(256)), MEMORY, mode);
  for (const [n, halves] of vsrs.entries()) {
    evaluator.vsrs[n] = halves;
    if (n < 32) evaluator.fpr[n] = halves[0] as bigint;
  }
  const outcome = evaluator.execute(instruction, word, PC, dynamic);
  const { registers, state: words, wideState, memory } = evaluator;
  const vectors = Array.from({ length: 64 }, (_, n) => evaluator.vsr(n));
  return { outcome, registers, words, wideState, vectors, memory };
}

const randomWord = ({ mask, value: bits }: Instruction): number => (next() & ~mask) | bits;

test('a meaning is the same with operands known beforehand and with operands from the word', () => {
  for (const instruction of INSTRUCTIONS.filter((instruction) => isOf(instruction, SERVER_LEVELS))) {
    for (let i = 0; i < (/^v/.test(instruction.level) ? 12 : 40); i++) {
      const word = randomWord(instruction);
      const state = randomState();
      const outcomes = [false, true].map((dynamic) => execute(instruction, word, state, MODE_64, dynamic));
      assert.deepEqual(outcomes[1], outcomes[0], `${instruction.mnemonic} ${(word >>> 0).toString(16)}`);
    }
  }
});

test('vector instructions want their units', () => {
  const endsWith = (instruction: Instruction, word: number, off: readonly StateName[]) => {
    const { vsrs: _, ...registers } = randomState();
    const evaluator = new Evaluator(registers, new DataView(new ArrayBuffer(256)), MEMORY, MODE_64);
    for (const name of off) evaluator.state[name] = 0;
    return evaluator.execute(instruction, word, PC, next() % 2 === 0).interrupt;
  };
  for (const instruction of INSTRUCTIONS) {
    const { level, mnemonic } = instruction;
    const word = randomWord(instruction);
    const isMove = /^m[ft]vsr/.test(mnemonic);
    if (/^vector/.test(level) && !/^ds/.test(mnemonic))
      assert.equal(endsWith(instruction, word, ['vectorAvailable']), 'vectorUnavailable', mnemonic);
    else if (isMove) {
      const isVector = (word & 1) !== 0;
      const units = ['floatAvailable', 'vectorAvailable'] as const;
      const interrupts = ['floatingPointUnavailable', 'vectorUnavailable'] as const;
      const own = Number(isVector);
      assert.equal(endsWith(instruction, word, [units[own] as StateName]), interrupts[own], mnemonic);
      assert.equal(endsWith(instruction, word, [units[1 - own] as StateName, 'vsxAvailable']), undefined, mnemonic);
    } else if (/^fmrg/.test(mnemonic)) {
      assert.equal(endsWith(instruction, word, ['vsxAvailable', 'vectorAvailable']), undefined, mnemonic);
      assert.equal(endsWith(instruction, word, ['floatAvailable']), 'floatingPointUnavailable', mnemonic);
    } else if (/^vsx/.test(level))
      assert.equal(endsWith(instruction, word, ['vsxAvailable']), 'vsxUnavailable', mnemonic);
  }
});

/** Named in both families, with 32 bits of their own on 32-bit processors only. */
const DIFFERENT = new Set(['mfspr', 'mtspr', 'mftb', 'cmp', 'cmpl', 'cmpi', 'cmpli']);

test('32-bit mode has the low halves and the flags of a 32-bit processor', () => {
  const low = (bits: number | bigint): number => Number(BigInt.asIntN(32, BigInt(bits)));
  const both = INSTRUCTIONS.filter((instruction) => {
    const shared = isOf(instruction, EMBEDDED_LEVELS) && isOf(instruction, SERVER_LEVELS);
    return shared && instruction.level !== 'float' && !DIFFERENT.has(instruction.mnemonic);
  });
  for (const instruction of both) {
    if (decoder.find(instruction.value) === undefined) continue;
    for (let i = 0; i < 60; i++) {
      const word = randomWord(instruction);
      const state = randomState();
      const narrow = {
        ...state,
        gpr: state.gpr.map(low),
        lr: low(state.lr),
        ctr: low(state.ctr),
      } as unknown as typeof state;
      const wide = execute(instruction, word, state, MODE_64_32, false);
      const other = execute(instruction, word, narrow, MODE_32, false);
      const what = `${instruction.mnemonic} ${(word >>> 0).toString(16)}`;
      const { branch, interrupt } = wide.outcome;
      assert.deepEqual(
        { interrupt, branch: branch === undefined ? branch : Number(branch) },
        {
          interrupt: other.outcome.interrupt,
          branch: other.outcome.branch,
        },
        what,
      );
      const { gpr, lr, ctr, cr, xer } = wide.registers;
      assert.deepEqual({ gpr: gpr.map(low), lr: low(lr), ctr: low(ctr), cr, xer }, other.registers, what);
      assert.deepEqual(wide.memory, other.memory, what);
    }
  }
});

const U64 = (1n << 64n) - 1n;

test('32-bit mode addresses with the low half of a sum, and an update form’s base gets all of it', () => {
  let updates = 0;
  for (const instruction of INSTRUCTIONS) {
    const { access, mnemonic } = instruction;
    if (!access || !isOf(instruction, SERVER_LEVELS)) continue;
    for (const dynamic of [false, true])
      for (let i = 0; i < 40; i++) {
        // RT = r5, RA = r4, RB = r6.
        const displacement = next() & 0xfffc;
        const word: number =
          instruction.value | (5 << 21) | (4 << 16) | (access.indexed === true ? 6 << 11 : displacement);
        const state = randomState();
        const address = BigInt(MEMORY + 8 * (next() % 31));
        const offset = access.indexed === true ? word64() : BigInt((displacement << 16) >> 16);
        const sum = (word64() << 32n) | address;
        state.gpr[4] = BigInt.asIntN(64, sum - offset);
        state.gpr[6] = BigInt.asIntN(64, offset);
        const narrow = execute(instruction, word, state, MODE_64_32, dynamic);
        // The same sum in 64-bit mode, where it has no high half.
        const base = { ...state, gpr: state.gpr.with(4, BigInt.asIntN(64, address - offset)) };
        const wide = execute(instruction, word, base, MODE_64, dynamic);
        const what = `${mnemonic} ${(word >>> 0).toString(16)}`;
        assert.deepEqual(narrow.outcome, wide.outcome, what);
        assert.deepEqual(narrow.memory, wide.memory, what);
        assert.equal(narrow.registers.gpr[5], wide.registers.gpr[5], what);
        assert.deepEqual(narrow.vectors, wide.vectors, what);
        const after = BigInt(narrow.registers.gpr[4] as bigint) & U64;
        assert.equal(after, (access.update === true ? sum : BigInt(state.gpr[4] as bigint)) & U64, what);
        updates += Number(access.update === true);
      }
  }
  assert.ok(updates > 1000);
});

test('multiple accesses of 32-bit mode address with the low half, and wrap', () => {
  const state = randomState();
  // Storage that ends where 32-bit addresses do.
  const memory = new DataView(new ArrayBuffer(256));
  const below = 0xffff_ff80;
  for (const [source, base] of [
    ['stmw 29,0(4)', 0xffff_ffff_0000_0000n + BigInt(below)],
    ['lmw 29,4(4)', 0x1234_0000_0000_0000n + BigInt(below) - 4n],
    ['stswi 29,4,12', 0xffff_ffff_0000_0000n + BigInt(below)],
    ['lswi 29,4,11', 0xffff_ffff_0000_0000n + BigInt(below)],
  ] as const) {
    const { vsrs: _, ...registers } = structuredClone(state);
    registers.gpr[4] = BigInt.asIntN(64, base);
    const evaluator = new Evaluator(registers, memory, below, MODE_64_32);
    const [word] = assembleWords(source);
    const instruction = decoder.decode((word as number) | 0) as Instruction;
    assert.deepEqual(evaluator.execute(instruction, word as number, PC, true), {}, source);
    const words = [0, 4, 8].map((at) => BigInt(memory.getUint32(at)));
    const stored = [29, 30, 31].map((n) => BigInt(state.gpr[n] as bigint) & 0xffff_ffffn);
    assert.deepEqual(words, stored, source);
  }
});
