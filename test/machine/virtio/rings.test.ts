/** Split rings: what the driver is told and when, and rings that make no sense. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { virtioRng } from '../../../src/machine/devices/virtio-rng.ts';
import { EVENT_IDX, INDIRECT_DESC, MEMORY_BYTES, Rig, TRANSPORTS } from './rig.ts';

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;

function started(features: readonly number[] = []): Rig {
  const rig = new Rig(virtioRng('rng0'));
  rig.start(features);
  return rig;
}

test('interrupts are held back by the flag, and by the event index until it is passed', () => {
  const plain = started();
  plain.suppressInterrupts(0, true);
  plain.ask(0, [16]);
  assert.equal(plain.used(0).length, 1);
  assert.equal(plain.registers.interrupted(), false);
  plain.suppressInterrupts(0, false);
  plain.ask(0, [16]);
  assert.equal(plain.registers.interrupted(), true);

  const indexed = started([EVENT_IDX]);
  indexed.ask(0, [16]);
  assert.equal(indexed.registers.interrupted(), true, 'used_event 0: the first');
  indexed.ask(0, [16]);
  assert.equal(indexed.registers.interrupted(), false, 'it was not moved on');
  assert.equal(indexed.used(0).length, 2);
  indexed.ask(0, [16]);
  assert.equal(indexed.registers.interrupted(), true);
  assert.equal(indexed.availEvent(0), 3, 'a notification with the next');
});

test('indices go round', () => {
  const rig = started([EVENT_IDX, INDIRECT_DESC]);
  for (let i = 0; i < 70_000; i++) {
    rig.ask(0, [4], i % 3 === 0);
    if (i % 5 === 0) rig.used(0);
    // Buffers of the same place again.
    if (i % 1000 === 0) rig.start([EVENT_IDX, INDIRECT_DESC]);
  }
  assert.equal(rig.isBroken, false);
  const long = started();
  for (let i = 0; i < 70_000; i++) {
    long.descriptor(0, 0, 0x90000, 4, WRITE, 0);
    long.offer(0, 0);
    long.registers.notify(0);
    assert.deepEqual(long.used(0), [{ head: 0, length: 4 }]);
  }
});

test('each ring that makes no sense has the device ask for a reset, after which it works', () => {
  const cases: Record<string, (rig: Rig) => void> = {
    'a head that is none': (rig) => rig.offer(0, 16),
    'a chain in a circle': (rig) => {
      rig.descriptor(0, 0, 0x90000, 4, WRITE | NEXT, 1);
      rig.descriptor(0, 1, 0x90000, 4, WRITE | NEXT, 0);
      rig.offer(0, 0);
    },
    'a next that is none': (rig) => {
      rig.descriptor(0, 0, 0x90000, 4, WRITE | NEXT, 500);
      rig.offer(0, 0);
    },
    'a buffer outside of memory': (rig) => {
      rig.descriptor(0, 0, MEMORY_BYTES - 2, 4, WRITE, 0);
      rig.offer(0, 0);
    },
    'a buffer that goes round the address space': (rig) => {
      rig.descriptor(0, 0, 2 ** 64 - 2048, 4096, WRITE, 0);
      rig.offer(0, 0);
    },
    'one to read behind one to write': (rig) => {
      rig.descriptor(0, 0, 0x90000, 4, WRITE | NEXT, 1);
      rig.descriptor(0, 1, 0x90000, 4, 0, 0);
      rig.offer(0, 0);
    },
    'an indirect table of no whole descriptors': (rig) => {
      rig.descriptor(0, 0, 0x90000, 24, INDIRECT, 0);
      rig.offer(0, 0);
    },
    'an empty indirect table': (rig) => {
      rig.descriptor(0, 0, 0x90000, 0, INDIRECT, 0);
      rig.offer(0, 0);
    },
    'an indirect table of four gigabytes': (rig) => {
      rig.descriptor(0, 0, 0x90000, 0xfffffff0, INDIRECT, 0);
      rig.offer(0, 0);
    },
    'an indirect descriptor with a next': (rig) => {
      rig.descriptor(0, 0, 0x90000, 16, INDIRECT | NEXT, 1);
      rig.offer(0, 0);
    },
    'an indirect table in an indirect table': (rig) => {
      rig.descriptor(0, 0, 0x90000, 16, INDIRECT, 0);
      rig.view.setUint32(0x90000, 0x90100, true);
      rig.view.setUint32(0x90008, 16, true);
      rig.view.setUint16(0x9000c, INDIRECT, true);
      rig.offer(0, 0);
    },
    'an index that is too far ahead': (rig) => {
      for (let i = 0; i < 17; i++) rig.offer(0, 0);
    },
    'an indirect table that is not memory': (rig) => {
      rig.descriptor(0, 0, 2 ** 40, 16, INDIRECT, 0);
      rig.offer(0, 0);
    },
  };
  for (const [what, make] of Object.entries(cases)) {
    const rig = started([INDIRECT_DESC]);
    make(rig);
    rig.registers.notify(0);
    assert.equal(rig.isBroken, true, what);
    assert.equal(rig.registers.interrupted(), true, what);
    assert.deepEqual(rig.used(0), [], what);
    rig.ask(0, [16]);
    assert.deepEqual(rig.used(0), [], `${what}: nothing goes on`);
    rig.start([INDIRECT_DESC]);
    rig.ask(0, [16]);
    assert.deepEqual(rig.used(0), [{ head: 0, length: 16 }], `${what}: after a reset`);
  }
});

test('a table of its own without the feature makes no sense', () => {
  const rig = started();
  rig.ask(0, [16], true);
  assert.equal(rig.isBroken, true);
});

for (const transport of TRANSPORTS)
  test(`${transport}: features are accepted whole or not at all; nothing runs without them`, () => {
    const rig = new Rig(virtioRng('rng0'), transport);
    const { registers } = rig;
    for (const [low, high] of [
      [0, 0],
      [1 << 5, 1],
      [0, 3],
    ] as const) {
      registers.status(0);
      registers.status(3);
      registers.accept(0, low);
      registers.accept(1, high);
      assert.equal(registers.status(0xb), 3, `${low} ${high}`);
      assert.equal(registers.status(0xf), 3, `${low} ${high}`);
    }
    assert.equal(registers.offered(1), 1);
    assert.equal(registers.offered(2), 0);
    rig.start();
    assert.equal(registers.status(), 0xf);
    registers.accept(0, 0);
    rig.ask(0, [32]);
    assert.equal(rig.used(0).length, 1);
  });

test('whatever stands in rings and tables, nothing is thrown, and the device can be reset', () => {
  const word = fc.oneof(fc.nat(20), fc.nat(0xffff), fc.constantFrom(0x90000, 0xffff0000, 0xffffffff, 16, 32));
  const action = fc.oneof(
    fc.record({ kind: fc.constant('word' as const), at: fc.nat(0x1800), value: word }),
    fc.record({
      kind: fc.constant('descriptor' as const),
      index: fc.nat(15),
      words: fc.array(word, { minLength: 5, maxLength: 5 }),
    }),
    fc.record({ kind: fc.constant('offer' as const), head: fc.nat(20) }),
    fc.record({ kind: fc.constant('notify' as const), queue: fc.nat(3) }),
    fc.record({ kind: fc.constant('save' as const) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      let rig = started([EVENT_IDX, INDIRECT_DESC]);
      for (const one of actions) {
        if (one.kind === 'word') rig.view.setUint32(one.at, one.value, true);
        else if (one.kind === 'descriptor') {
          const [a = 0, b = 0, length = 0, flags = 0, next = 0] = one.words;
          rig.descriptor(0, one.index, b < 16 ? b * 2 ** 32 + a : a, length, flags, next);
        } else if (one.kind === 'offer') rig.offer(0, one.head);
        else if (one.kind === 'notify') rig.registers.notify(one.queue);
        else rig = rig.moveTo(new Rig(virtioRng('rng0')));
        rig.outside.drain();
      }
      rig.start();
      rig.ask(0, [16]);
      assert.equal(rig.used(0).length, 1);
    }),
    { numRuns: 300 },
  );
});
