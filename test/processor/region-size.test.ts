/** Whatever a page holds, the functions that are made of it are of a bounded size, and so is what is made at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Instruction } from '../../src/isa/index.ts';
import { HandlerTable } from '../../src/processor/interpreter/handlers.ts';
import { RAM_BASE, RECORD_ARENA } from '../../src/processor/layout.ts';
import { LEVELS_OF } from '../../src/processor/levels.ts';
import { HostMemory } from '../../src/processor/memory.ts';
import { modelOf } from '../../src/processor/model.ts';
import { Translator } from '../../src/processor/region/translate.ts';

const PAGE_WORDS = 1024;
const MAX_BYTES = 60 * 1024;
const NOTHING = { cells: [], entries: [] };
const BLR = 0x4e800020;

/** A page of an instruction, its operands changing from word to word. */
function pageOf({ value, mask }: Instruction, accepts: (word: number) => boolean): number[] {
  let state = 1;
  const random = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
  const words: number[] = [];
  for (let tries = 0; words.length < PAGE_WORDS - 1 && tries < 100 * PAGE_WORDS; tries++) {
    const word = (value | (random() & ~mask)) >>> 0;
    if (accepts(word)) words.push(word);
  }
  return words.length === PAGE_WORDS - 1 ? [...words, BLR] : [];
}

for (const processor of ['440', 'power8'] as const) {
  test(`a page of any instruction, ${processor}`, () => {
    const order = processor === '440' ? 3 : 7;
    const model = modelOf(processor, order);
    const memory = HostMemory.create(RAM_BASE + 0x10000, order);
    const handlers = new HandlerTable(LEVELS_OF[processor], null);
    const translator = new Translator(memory, handlers, null, model);
    const { decoder } = handlers;
    const instructions = new Set(handlers.specs.map(({ instruction }) => instruction));
    let version = 0;
    let largest = 0;
    let translated = 0;
    for (const instruction of instructions) {
      if (instruction.ends) continue;
      const words = pageOf(instruction, (word) => decoder.decode(word) === instruction);
      for (const [i, word] of words.entries()) memory.write32(RAM_BASE + 4 * i, word);
      const request = {
        real: RAM_BASE,
        mode: 0,
        profile: 0,
        records: RECORD_ARENA,
        version: ++version,
        blocks: [0],
      };
      const { bytes, regions } = translator.translate({ requests: [request], released: NOTHING });
      if (!bytes) continue;
      translated++;
      largest = Math.max(largest, bytes.length);
      assert.ok(bytes.length < MAX_BYTES, `${instruction.mnemonic}: ${bytes.length} bytes`);
      const [region] = regions;
      assert.ok((region?.instructions as number) >= 8, `${instruction.mnemonic}: ${region?.instructions} instructions`);
      new WebAssembly.Module(bytes as BufferSource);
    }
    assert.ok(translated > 100);
    assert.ok(largest > MAX_BYTES / 2, 'some are cut');
  });
}

test('a batch ends where it has enough', () => {
  const memory = HostMemory.create(RAM_BASE + 0x10000, 3);
  const handlers = new HandlerTable(LEVELS_OF['440'], null);
  const translator = new Translator(memory, handlers, null, modelOf('440', 3));
  const requests = Array.from({ length: 10 }, (_, i) => {
    for (let offset = 0; offset < 4096; offset += 4) memory.write32(RAM_BASE + i * 4096 + offset, 0x81230000);
    memory.write32(RAM_BASE + i * 4096 + 4092, BLR);
    return {
      real: RAM_BASE + i * 4096,
      mode: 0,
      profile: 0,
      records: RECORD_ARENA + i * 8256,
      version: 1,
      blocks: [0],
    };
  });
  const seen: number[] = [];
  for (let left: readonly (typeof requests)[0][] = requests; left.length > 0; ) {
    const { bytes, regions, rest } = translator.translate({ requests: left, released: NOTHING }, 50_000);
    assert.ok((bytes?.length as number) < 2 * MAX_BYTES);
    assert.equal(regions.length + rest.length, left.length);
    seen.push(...regions.map(({ request }) => request.real));
    left = rest as typeof left;
  }
  assert.deepEqual(
    seen,
    requests.map(({ real }) => real),
  );
});
