/** Translations and records have a ceiling: what is over goes, the least used first, and the engine frees it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  BOOKE_VECTOR,
  type TranslationJob,
  type TranslationResult,
  TranslationServer,
} from '../../src/processor/index.ts';
import { TestCpu, type TestCpuOptions } from './test-cpu.ts';

const LIMIT = 2 ** 20;
const PAGES = 900;
/** The page of a function that is used all the time, and the first of those that are used once. */
const HOT = 0x1000;
const COLD = 0x10000;

function prepare(options: TestCpuOptions): TestCpu {
  const cpu = new TestCpu('translated', options);
  for (let i = 0; i < 4; i++) cpu.map(i, i * 0x100000, i * 0x100000, { size: '1M' });
  cpu.load(HOT, 'addi 5,5,1; cmpwi 5,0; beq 1f; addi 6,6,2; 1: sc');
  return cpu;
}

/** Runs a function a few times, until it is translated. */
function use(cpu: TestCpu, address: number): void {
  assert.equal(cpu.run(address).vector, BOOKE_VECTOR.systemCall);
  cpu.translate();
  assert.equal(cpu.run(address).vector, BOOKE_VECTOR.systemCall);
}

/** The function in a page: it calls another in the same page, and says which it is. */
function loadCold(cpu: TestCpu, i: number): number {
  const address = COLD + i * 0x1000;
  cpu.load(address, `mflr 20; bl 1f; bl 1f; addi 8,8,${i}; mtlr 20; sc; 1: addi 7,7,${i}; blr`);
  return address;
}

function used(cpu: TestCpu): number {
  const { translation_memory: modules, code_page_memory: records } = cpu.cpu.stats;
  return (modules as number) + (records as number);
}

test('what is used stays, what is not goes, and memory stays under its ceiling', () => {
  const cpu = prepare({ translationMemory: LIMIT });
  use(cpu, HOT);
  const first = loadCold(cpu, 0);
  use(cpu, first);
  let cells = 0;
  for (let i = 1; i < PAGES; i++) {
    const address = loadCold(cpu, i);
    cpu.setGprs({ 7: 0, 8: 0 });
    use(cpu, address);
    assert.deepEqual([cpu.gpr(7), cpu.gpr(8)], [4 * i, 2 * i]);
    use(cpu, HOT);
    assert.ok(used(cpu) <= LIMIT * 1.05, `${used(cpu)} bytes`);
    if (i === PAGES >> 1) cells = cpu.cpu.stats['link_cells'] as number;
  }
  const { evicted_modules: modules, evicted_code_pages: pages, link_cells: cellsAtEnd } = cpu.cpu.stats;
  assert.ok((modules as number) + (pages as number) > PAGES / 2);
  assert.equal(cellsAtEnd, cells, 'link cells are used again');
  const entries = cpu.regionEntries;
  cpu.run(HOT);
  assert.equal(cpu.regionEntries, entries + 1, 'the one that is used is translated still');
  cpu.run(first);
  assert.equal(cpu.regionEntries, entries + 1, 'the one that was used once is not');
});

test('a module that loses its regions one by one gives each slot back once', () => {
  const cpu = prepare({ translationMemory: LIMIT });
  const check = (i: number): void => {
    cpu.setGprs({ 7: 0, 8: 0 });
    assert.equal(cpu.run(COLD + i * 0x1000).vector, BOOKE_VECTOR.systemCall);
    assert.deepEqual([cpu.gpr(7), cpu.gpr(8)], [2 * i, i]);
  };
  for (let i = 0; i < PAGES; i += 3) {
    // Three of a module. Of one the page goes on to be used, but not the region.
    for (let k = i; k < i + 3; k++) cpu.run(loadCold(cpu, k));
    cpu.load(COLD + i * 0x1000 + 0x800, 'sc');
    cpu.translate();
    for (let k = i; k < i + 3; k++) check(k);
    for (let k = Math.max(0, i - 120); k <= i; k += 3) cpu.run(COLD + k * 0x1000 + 0x800, 1);
  }
  assert.ok((cpu.cpu.stats['evicted_modules'] as number) > 0);
  for (let i = 0; i < PAGES; i++) check(i);
});

test('the ceiling holds for records alone', () => {
  const cpu = new TestCpu('interpreted', { translationMemory: LIMIT });
  for (let i = 0; i < 4; i++) cpu.map(i, i * 0x100000, i * 0x100000, { size: '1M' });
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < PAGES; i++) {
      const address = loadCold(cpu, i);
      cpu.setGpr(7, 0);
      for (let k = 0; k < 110; k++) assert.equal(cpu.run(address).vector, BOOKE_VECTOR.systemCall);
      assert.equal(cpu.gpr(7), 220 * i);
      assert.ok(used(cpu) <= LIMIT * 1.05, `${used(cpu)} bytes`);
    }
  }
  assert.ok((cpu.cpu.stats['evicted_code_pages'] as number) > PAGES);
});

test('stores into code are noticed when its page was not looked up for a while', () => {
  const cpu = prepare({ translationMemory: LIMIT });
  for (let i = 0; i < PAGES; i++) {
    use(cpu, loadCold(cpu, i));
    // Not run between two changes, so that an epoch can begin in between.
    if (i % 40 !== 0) continue;
    cpu.load(HOT, `li 5,${i}; sc`);
    cpu.setGpr(5, 0xbad);
    use(cpu, HOT);
    assert.equal(cpu.gpr(5), i);
  }
});

test('the engine frees the modules that have gone', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let server: TranslationServer | undefined;
  const modules: WeakRef<WebAssembly.Module>[] = [];
  const results: TranslationResult[] = [];
  const cpu = prepare({
    translationMemory: LIMIT,
    translation: {
      start: () => {},
      post: (job: TranslationJob) => {
        const result = server?.translate(job);
        if (result?.module) modules.push(new WeakRef(result.module));
        if (result) results.push(result);
      },
      poll: () => results.shift(),
    },
  });
  const setup = { memory: cpu.memory.wasm, order: cpu.memory.order, processor: '440', assist: false } as const;
  server = new TranslationServer(setup, new Map());
  for (let i = 0; i < 300; i++) {
    use(cpu, loadCold(cpu, i));
    use(cpu, HOT);
  }
  // References last as long as the job that made them.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  const alive = modules.filter((module) => module.deref() !== undefined).length;
  assert.equal(alive, cpu.cpu.stats['translation_modules']);
  assert.ok(alive < modules.length / 2, `${alive} of ${modules.length}`);
});
