import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RAM_BASE } from '../../src/processor/index.ts';
import { PageKeys } from '../../src/processor/region/page-keys.ts';
import { CodeProfile, type RememberedRegion } from '../../src/processor/region/profile.ts';
import { TestCpu, type Tier } from './test-cpu.ts';

const LARGE = 2 ** 24;
const word = fc.integer({ min: 0, max: 1023 });
const region = fc.record({ entry: word, blocks: fc.array(word, { maxLength: 40 }) }, { noNullPrototype: true });
const pages = fc.uniqueArray(fc.tuple(fc.maxSafeNat(), fc.uniqueArray(region, { selector: ({ entry }) => entry })), {
  selector: ([key]) => key,
  maxLength: 30,
});
type Pages = readonly (readonly [number, readonly RememberedRegion[]])[];

function profileOf(contents: Pages): CodeProfile {
  const profile = new CodeProfile();
  for (const [key, regions] of contents) for (const one of regions) profile.note(key, one);
  return profile;
}

test('what was noted is found, now and after it was kept', () => {
  fc.assert(
    fc.property(pages, (contents) => {
      const profile = profileOf(contents);
      const kept = CodeProfile.from(profile.bytes(LARGE));
      for (const [key, regions] of contents) {
        assert.deepEqual(profile.find(key), regions);
        assert.deepEqual(kept.find(key), regions);
      }
      assert.deepEqual(kept.find(-1), []);
    }),
  );
});

test('a region that is made anew takes the place of the old one', () => {
  const profile = profileOf([
    [
      7,
      [
        { entry: 1, blocks: [1] },
        { entry: 2, blocks: [2] },
      ],
    ],
  ]);
  profile.note(7, { entry: 1, blocks: [1, 5] });
  assert.deepEqual(profile.find(7), [
    { entry: 1, blocks: [1, 5] },
    { entry: 2, blocks: [2] },
  ]);
});

test('the kept form has a limit, and what the latest run came by stays', () => {
  const first = new CodeProfile();
  for (let key = 0; key < 1000; key++) first.note(key, { entry: 0, blocks: [0, 1, 2] });
  const second = CodeProfile.from(first.bytes(LARGE));
  for (let key = 900; key < 910; key++) assert.equal(second.find(key).length, 1);
  const bytes = second.bytes(12 + 10 * (16 + 4 + 6));
  assert.ok(bytes.length <= 12 + 10 * (16 + 4 + 6));
  const third = CodeProfile.from(bytes);
  assert.equal(third.pageCount, 10);
  for (let key = 900; key < 910; key++) assert.equal(third.find(key).length, 1);
});

test('what is damaged, cut or foreign is an empty memory or a smaller one, and nothing is thrown', () => {
  const kept = profileOf([
    [3, [{ entry: 1, blocks: [1, 2, 3] }]],
    [2 ** 52, [{ entry: 1023, blocks: [] }]],
  ]).bytes(LARGE);
  assert.equal(CodeProfile.from(undefined).pageCount, 0);
  for (let length = 0; length < kept.length; length++)
    assert.equal(CodeProfile.from(kept.subarray(0, length)).pageCount, 0);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => CodeProfile.from(bytes).pageCount <= 200));
  for (let bit = 0; bit < kept.length * 8; bit++) {
    const flipped = kept.slice();
    (flipped[bit >> 3] as number) ^= 1 << (bit & 7);
    const profile = CodeProfile.from(flipped);
    for (const key of [3, 2 ** 52])
      for (const { entry, blocks } of profile.find(key)) {
        assert.ok(entry < 1024);
        assert.ok(blocks.every((block) => block < 1024));
      }
  }
});

test('another memory fills the gaps', () => {
  const ours = profileOf([[1, [{ entry: 1, blocks: [1] }]]]);
  ours.merge(
    profileOf([
      [1, [{ entry: 9, blocks: [9] }]],
      [2, [{ entry: 2, blocks: [2] }]],
    ]),
  );
  assert.deepEqual(ours.find(1), [{ entry: 1, blocks: [1] }]);
  assert.deepEqual(ours.find(2), [{ entry: 2, blocks: [2] }]);
});

test('the key of a page is of its contents, the mode and the kind of processor, not of its place', () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const words = new Int32Array(memory.buffer);
  for (let i = 0; i < 1024; i++) words[1024 + i] = words[2048 + i] = Math.imul(i, 0x01000193);
  const keys = new PageKeys(memory, '440 assist');
  const key = keys.keyOf(0x1000, 0);
  assert.equal(keys.keyOf(0x2ffc, 0), key);
  assert.ok(Number.isSafeInteger(key));
  assert.notEqual(keys.keyOf(0x1000, 1), key);
  assert.notEqual(new PageKeys(memory, '440 trap').keyOf(0x1000, 0), key);
  const seen = new Set([key]);
  for (let i = 0; i < 1024; i++) {
    (words[1024 + i] as number) ^= 1;
    seen.add(keys.keyOf(0x1000, 0));
    (words[1024 + i] as number) ^= 1;
  }
  assert.equal(seen.size, 1025);
});

test('a processor has the regions of an earlier one without finding anything hot, with the same results', () => {
  const source = 'li 4,0; 1: addi 4,4,3; cmpwi 4,300; blt 1b; li 5,7; li 6,0; 2: addi 6,6,1; cmpwi 6,50; blt 2b; sc';
  const runOn = (tier: Tier, profile: CodeProfile): { results: number[]; regions: number } => {
    const cpu = new TestCpu(tier, { profile });
    cpu.map(0, 0x1000, 0x1000);
    cpu.load(0x1000, source);
    cpu.runTwice(0x1000, () => {});
    assert.equal(cpu.regionEntries > 0, (cpu.cpu.stats['translated_regions'] as number) > 0);
    return { results: [4, 5, 6].map((n) => cpu.gpr(n)), regions: cpu.cpu.stats['translated_regions'] as number };
  };
  const profile = new CodeProfile();
  const first = runOn('translated', profile);
  assert.deepEqual(first.results, [300, 7, 50]);
  assert.ok(first.regions > 0);
  assert.deepEqual(runOn('interpreted', new CodeProfile()), { results: [300, 7, 50], regions: 0 });
  assert.deepEqual(runOn('interpreted', profile), first);
  // Advice that is wrong for the page makes other regions, never other results.
  const wrong = new CodeProfile();
  const cpu = new TestCpu('interpreted', {});
  cpu.map(0, 0x1000, 0x1000);
  cpu.load(0x1000, source);
  const key = new PageKeys(cpu.memory.wasm, '440').keyOf(RAM_BASE + 0x1000, 0);
  for (let entry = 0; entry < 16; entry++) wrong.note(key, { entry, blocks: [entry, 1023, 3, 0] });
  assert.deepEqual(runOn('interpreted', wrong).results, [300, 7, 50]);
});
