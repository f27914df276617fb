/** Several threads that translate: each has the pages that fall to it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type TranslationJob,
  type TranslationPort,
  type TranslationResult,
  TranslationServer,
} from '../../src/processor/index.ts';
import { TestCpu } from './test-cpu.ts';

const PAGE = 4096;
const PAGES = 12;

class Lane implements TranslationPort {
  readonly pages = new Set<number>();
  readonly #results: TranslationResult[] = [];
  server: TranslationServer | undefined;
  lost = false;
  start(): void {}
  post(job: TranslationJob): void {
    for (const { real } of job.requests) this.pages.add(real & ~(PAGE - 1));
    const result = this.server?.translate(job);
    if (result) this.#results.push(result);
  }
  poll(): TranslationResult | undefined {
    return this.#results.shift();
  }
}

function prepare(lanes: readonly Lane[]): TestCpu {
  const cpu = new TestCpu('translated', { translation: lanes });
  cpu.map(0, 0, 0, { size: '1M' });
  const setup = { memory: cpu.memory.wasm, order: cpu.memory.order, processor: '440', assist: false } as const;
  for (const lane of lanes) lane.server = new TranslationServer(setup, new Map());
  for (let page = 0; page < PAGES; page++)
    cpu.load(page * PAGE, `li 4,100; mtctr 4; li 3,0; 1: addi 3,3,${page + 1}; bdnz 1b; sc`);
  return cpu;
}

/** Runs all pages' code until each has been looked at a few times. */
function use(cpu: TestCpu): void {
  for (let round = 0; round < 60; round++)
    for (let page = 0; page < PAGES; page++) {
      cpu.run(page * PAGE);
      assert.equal(cpu.gpr(3), 100 * (page + 1));
    }
}

test('pages are translated by the thread that they fall to, and by no other', () => {
  const lanes = [new Lane(), new Lane(), new Lane()];
  const cpu = prepare(lanes);
  use(cpu);
  assert.ok(lanes.every(({ pages }) => pages.size > 0));
  const all = lanes.flatMap(({ pages }) => [...pages]);
  assert.equal(new Set(all).size, all.length);
  assert.equal(all.length, PAGES);
  assert.ok((cpu.cpu.stats['region_entries'] as number) > PAGES);
});

test('the pages of a thread that is lost fall to others', () => {
  const lanes = [new Lane(), new Lane()];
  const cpu = prepare(lanes);
  const [first, second] = lanes as [Lane, Lane];
  first.lost = true;
  use(cpu);
  assert.equal(first.pages.size, 0);
  assert.equal(second.pages.size, PAGES);
});

test('when all threads are lost, the guest translates itself', () => {
  const lanes = [new Lane(), new Lane()];
  const cpu = prepare(lanes);
  for (const lane of lanes) lane.lost = true;
  use(cpu);
  assert.ok(lanes.every(({ pages }) => pages.size === 0));
  assert.ok((cpu.cpu.stats['translated_regions'] as number) >= PAGES);
});
