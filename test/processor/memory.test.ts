import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostMemory, type MemoryOrder } from '../../src/processor/memory.ts';
import { random } from '../isa/words.ts';

const BYTES = 2 ** 18;

/** Bytes that differ from their neighbours. */
function someBytes(length: number): Uint8Array {
  const next = random(length + 1);
  return Uint8Array.from({ length }, () => next());
}

for (const order of [0, 3, 7] as const satisfies readonly MemoryOrder[]) {
  test(`bytes written in bulk are those that single accesses see, order ${order}`, () => {
    // On both sides of what generated code turns round, with all ragged ends.
    for (const length of [0, 1, 7, 8, 31, 65535, 65536, 65543, 131077]) {
      for (const address of [64, 65, 67, 71, 4093]) {
        const memory = HostMemory.create(BYTES, order);
        const bytes = someBytes(length);
        memory.writeBytes(address, bytes);
        for (let i = 0; i < length; i++) assert.equal(memory.read8(address + i), bytes[i], `${address}+${i}`);
        assert.equal(memory.read8(address - 1), 0);
        assert.equal(memory.read8(address + length), 0);
        assert.deepEqual(memory.readBytes(address, length), bytes);
      }
    }
  });

  test(`what stands around bytes written in bulk stays, order ${order}`, () => {
    const memory = HostMemory.create(BYTES, order);
    const before = someBytes(BYTES);
    memory.writeBytes(0, before);
    memory.writeBytes(1021, someBytes(70001));
    const expected = before.slice();
    expected.set(someBytes(70001), 1021);
    assert.deepEqual(memory.readBytes(0, BYTES), expected);
  });
}
