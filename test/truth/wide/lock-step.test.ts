/** Random blocks of 64-bit code through both tiers: same registers, same storage, same number of instructions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { disassemble, SERVER_LEVELS } from '../../../src/isa/index.ts';
import { Random } from '../random.ts';
import { BlockMachine, Blocks } from './blocks.ts';
import { STATE } from './state.ts';

const BLOCKS = 1200;
const PER_BLOCK = 4;

for (const order of [7, 0] as const)
  test(`interpreter and translator agree on random blocks, ${order === 0 ? 'little' : 'big'}-endian`, () => {
    const random = new Random(64 + order);
    const blocks = new Blocks();
    for (let i = 0; i < BLOCKS; i++) assert.ok(blocks.add(random, PER_BLOCK));
    const interpreter = new BlockMachine(order, Number.POSITIVE_INFINITY);
    const translator = new BlockMachine(order, 1);
    interpreter.load(blocks);
    translator.load(blocks);
    translator.warmUp(blocks.executions);
    let inRegions = 0;
    for (const execution of blocks.executions) {
      const expected = interpreter.execute(execution);
      const before = translator.regionEntries;
      const actual = translator.execute(execution);
      if (translator.regionEntries > before) inRegions++;
      if (expected.every((line, i) => line === actual[i])) continue;
      const address = Number(execution.state[STATE.pc]);
      const text = execution.words.map(
        (word, i) => `${(address + 4 * i).toString(16)}  ${disassemble(word, address + 4 * i, SERVER_LEVELS)}`,
      );
      const differences = expected.flatMap((line, i) =>
        line === actual[i] ? [] : [`${line} interpreted, ${actual[i]} translated`],
      );
      assert.fail([...text, ...differences].join('\n'));
    }
    // Entries that regions leave out as cold are interpreted.
    assert.ok(inRegions > 0.85 * BLOCKS * PER_BLOCK, `only ${inRegions} were translated`);
  });
