/** Code that changes: by itself, by other code, from outside; and what is left alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import {
  BOOKE_VECTOR,
  gprOffset,
  RAM_BASE,
  type TranslationJob,
  type TranslationResult,
  TranslationServer,
} from '../../src/processor/index.ts';
import { bothTiers, TestCpu } from './test-cpu.ts';

const CODE = 0x1000;
const OTHER = 0x2000;
const { systemCall } = BOOKE_VECTOR;
const word = (source: string): number => assembleWords(source)[0] as number;

function prepare(cpu: TestCpu): void {
  for (let page = 0; page < 8; page++) cpu.map(page, page * 0x1000, page * 0x1000);
}

bothTiers('a store into code that was run, icbi, isync', (cpu) => {
  prepare(cpu);
  cpu.load(OTHER, 'li 5,1; blr');
  // Calls, changes the callee, calls again.
  const source = `
    bl 0x2000; mr 6,5
    stw 4,0(3); dcbst 0,3; msync; icbi 0,3; msync; isync
    bl 0x2000; mr 7,5
    sc`;
  cpu.load(CODE, source);
  const before = word('li 5,1');
  const prepareRun = () => {
    cpu.setGprs({ 3: OTHER, 4: word('li 5,2'), 5: 0, 6: 0, 7: 0 });
    cpu.write32(OTHER, before);
    cpu.cpu.codeWritten(RAM_BASE + OTHER, 4);
  };
  for (let round = 0; round < 3; round++) {
    assert.equal(cpu.runTwice(CODE, prepareRun).vector, systemCall);
    assert.deepEqual([cpu.gpr(6), cpu.gpr(7)], [1, 2]);
  }
});

bothTiers('code that changes an instruction ahead of itself in its own page', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'stw 4,16(3); icbi 0,3; isync; nop; li 5,1; sc');
  const run = (value: number): number => {
    cpu.setGprs({ 3: CODE, 4: word(`li 5,${value}`) });
    assert.equal(cpu.run(CODE).vector, systemCall);
    return cpu.gpr(5);
  };
  for (let value = 1; value < 50; value++) {
    assert.equal(run(value), value);
    if (value % 7 === 0) cpu.translate();
  }
});

bothTiers('a loop that counts in its own instruction', (cpu) => {
  prepare(cpu);
  const source = `
    1: li 5,0
    add 6,6,5
    lwz 7,0(3); addi 7,7,1; stw 7,0(3)
    dcbst 0,3; icbi 0,3; isync
    bdnz 1b
    sc`;
  cpu.load(CODE, source);
  const prepareRun = () => {
    cpu.setGprs({ 3: CODE, 6: 0, 8: 40 });
    cpu.write32(CODE, word('li 5,0'));
    cpu.cpu.codeWritten(RAM_BASE + CODE, 4);
    cpu.load(OTHER, 'mtctr 8; ba 0x1000');
  };
  prepareRun();
  cpu.run(OTHER);
  cpu.translate();
  prepareRun();
  assert.equal(cpu.run(OTHER).vector, systemCall);
  assert.equal(cpu.gpr(6), (39 * 40) / 2);
});

bothTiers('code that was written from outside', (cpu) => {
  prepare(cpu);
  for (let value = 0; value < 20; value++) {
    cpu.load(CODE, `li 5,${value}; sc`);
    for (let i = 0; i < 3; i++) {
      cpu.setGpr(5, 0xbad);
      assert.equal(cpu.run(CODE).vector, systemCall);
      assert.equal(cpu.gpr(5), value);
      cpu.translate();
    }
  }
});

bothTiers('other code of the page is right after a part of it changed', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'li 5,1; sc');
  cpu.load(CODE + 0x800, 'li 6,1; sc');
  for (let value = 2; value < 6; value++) {
    cpu.run(CODE);
    cpu.run(CODE + 0x800);
    cpu.translate();
    cpu.load(CODE, `li 5,${value}; sc`);
    cpu.setGprs({ 5: 0, 6: 0 });
    cpu.run(CODE);
    cpu.run(CODE + 0x800);
    assert.deepEqual([cpu.gpr(5), cpu.gpr(6)], [value, 1]);
  }
});

bothTiers('one page at two addresses', (cpu) => {
  prepare(cpu);
  cpu.map(10, 0x70000000, CODE, { access: 'rw' });
  cpu.map(11, 0x71000000, CODE, { access: 'x' });
  cpu.load(CODE, 'li 5,1; bl .+4; mflr 6; sc');
  cpu.load(OTHER, 'stw 4,0(3); icbi 0,3; isync; sc');
  const run = (address: number): [number, number] => {
    assert.equal(cpu.run(address).vector, systemCall);
    return [cpu.gpr(5), cpu.gpr(6)];
  };
  for (let value = 1; value < 5; value++) {
    cpu.setGprs({ 3: 0x70000000, 4: word(`li 5,${value}`) });
    assert.equal(cpu.run(OTHER).vector, systemCall);
    for (let i = 0; i < 2; i++) {
      // The same code knows where it is.
      assert.deepEqual(run(CODE), [value, CODE + 8]);
      assert.deepEqual(run(0x71000000), [value, 0x71000008]);
      cpu.translate();
    }
  }
});

bothTiers('data in a page of code', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, '1: stw 8,0x800(3); lwz 9,0x800(3); add 10,10,9; addi 8,8,-1; cmpwi 8,0; bgt 1b; sc');
  for (let round = 0; round < 3; round++) {
    cpu.setGprs({ 3: CODE, 8: 500, 10: 0 });
    assert.equal(cpu.run(CODE).vector, systemCall);
    assert.equal(cpu.gpr(10), (500 * 501) / 2);
    cpu.translate();
  }
});

bothTiers('stores of every width, across words and pages, are noticed', (cpu) => {
  prepare(cpu);
  const last = CODE + 0xffc;
  // What follows in the address space stands elsewhere in storage.
  cpu.map(2, CODE + 0x1000, 0x9000);
  cpu.load(0x4000, 'stw 4,0(3); sc');
  cpu.load(0x4010, 'sth 4,0(3); sc');
  cpu.load(0x4020, 'stb 4,0(3); sc');
  cpu.load(0x4030, 'stwcx. 4,0,3; sc');
  cpu.load(0x4040, 'dcbz 0,3; sc');
  cpu.load(0x4050, 'stmw 31,0(3); sc');
  cpu.load(0x4060, 'stswi 4,3,3; sc');
  const run = (): number => {
    cpu.setGprs({ 5: 0, 6: 0 });
    const { vector } = cpu.run(last);
    assert.equal(vector, systemCall);
    return cpu.gpr(5);
  };
  const reset = (): void => {
    cpu.load(last, 'li 5,1');
    cpu.load(last + 4, 'li 6,1; sc', 0x9000);
    assert.equal(run(), 1);
    cpu.translate();
    assert.equal(run(), 1);
  };
  // `li 5,N` is 38a0 00NN; the instruction is the last of its page.
  reset();
  cpu.setGprs({ 3: last, 4: word('li 5,2') });
  cpu.run(0x4000);
  assert.equal(run(), 2);
  reset();
  cpu.setGprs({ 3: last + 2, 4: 3 });
  cpu.run(0x4010);
  assert.equal(run(), 3);
  reset();
  cpu.setGprs({ 3: last + 3, 4: 4 });
  cpu.run(0x4020);
  assert.equal(run(), 4);
  // Unaligned, its last two bytes in the next page: `li 6,1` there becomes `li 7,1`.
  reset();
  cpu.setGprs({ 3: last + 2, 4: 0x000538e0, 7: 0 });
  cpu.run(0x4000);
  assert.equal(run(), 5);
  assert.deepEqual([cpu.gpr(6), cpu.gpr(7)], [0, 1]);
  // Only one byte in the page before: `li 6,1` becomes `li 7,0`.
  reset();
  cpu.setGprs({ 3: last + 3, 4: 0x0638e000, 7: 9 });
  cpu.run(0x4000);
  assert.equal(run(), 6);
  assert.deepEqual([cpu.gpr(6), cpu.gpr(7)], [0, 1]);
  reset();
  cpu.setGprs({ 3: last, 31: word('li 5,7') });
  cpu.run(0x4050);
  assert.equal(run(), 7);
  reset();
  cpu.setGprs({ 3: last + 1, 4: 0xa0000800 });
  cpu.run(0x4060);
  assert.equal(run(), 8);
  reset();
  cpu.setGprs({ 3: last });
  cpu.run(0x4040);
  assert.equal(cpu.run(last).vector, BOOKE_VECTOR.program);
  // A failed conditional store changes nothing.
  reset();
  cpu.setGprs({ 3: last, 4: word('li 5,9') });
  cpu.run(0x4030);
  assert.equal(run(), 1);
});

bothTiers('a callee that changes its caller', (cpu) => {
  prepare(cpu);
  // Behind the call stands an instruction that the callee rewrites: `li 5,1` becomes what is in r4.
  cpu.load(CODE, 'mflr 20; bl 0x2000; li 5,1; mtlr 20; sc');
  cpu.load(OTHER, 'mflr 6; stw 4,0(6); dcbst 0,6; icbi 0,6; isync; blr');
  for (let value = 2; value < 30; value++) {
    cpu.setGpr(4, word(`li 5,${value}`));
    assert.equal(cpu.run(CODE).vector, systemCall);
    assert.equal(cpu.gpr(5), value);
    if (value % 5 === 0) cpu.translate();
  }
});

bothTiers('a mapping that moves to other code', (cpu) => {
  prepare(cpu);
  cpu.load(0x5000, 'li 5,5; sc', 0x5000);
  cpu.load(0x6000, 'li 5,6; sc', 0x6000);
  const decoded = (): number => cpu.cpu.stats['decoded_instructions'] as number;
  for (let round = 0; round < 4; round++) {
    for (const real of [0x5000, 0x6000]) {
      cpu.map(20, 0x70000000, real, { access: 'x' });
      cpu.setGpr(5, 0);
      cpu.run(0x70000000);
      assert.equal(cpu.gpr(5), real >> 12);
      cpu.translate();
    }
    if (round === 0) cpu.setWord(gprOffset(31), decoded());
  }
  assert.equal(decoded(), cpu.gpr(31), 'code outlives its mapping');
});

test('a translation that comes when its code has changed is not used', () => {
  let server: TranslationServer | undefined;
  const jobs: TranslationJob[] = [];
  let delivers = false;
  const cpu = new TestCpu('translated', {
    translation: {
      start: () => {},
      post: (job) => jobs.push(job),
      poll: () => {
        const job = delivers ? jobs.shift() : undefined;
        return job && server?.translate(job);
      },
    },
  });
  server = new TranslationServer(
    { memory: cpu.memory.wasm, order: cpu.memory.order, processor: '440', assist: false },
    new Map(),
  );
  prepare(cpu);
  for (let value = 1; value < 5; value++) {
    // A place is found hot once.
    const at = 0x1000 * value;
    cpu.load(at, `li 5,${value}; addi 5,5,100; sc`);
    cpu.run(at);
    delivers = false;
    cpu.translate();
    assert.equal(jobs.length, 1, 'it waits');
    // The job is of the old code; the translator reads the new one, half of which was not reached yet.
    cpu.load(at, `li 5,${value + 100}; b .+12; sc; nop; sc`);
    cpu.setGpr(5, 0);
    cpu.run(at);
    assert.equal(cpu.gpr(5), value + 100);
    delivers = true;
    cpu.translate();
    cpu.load(at + 0x10, 'addi 5,5,1; sc');
    cpu.setGpr(5, 0);
    cpu.run(at);
    assert.equal(cpu.gpr(5), value + 101);
  }
});

test('a module that was made before its page changed is not installed', () => {
  let server: TranslationServer | undefined;
  let result: TranslationResult | undefined;
  let delivers = false;
  const cpu = new TestCpu('translated', {
    translation: {
      start: () => {},
      post: (job) => {
        result = server?.translate(job);
      },
      poll: () => {
        const ready = delivers ? result : undefined;
        if (ready) result = undefined;
        return ready;
      },
    },
  });
  server = new TranslationServer(
    { memory: cpu.memory.wasm, order: cpu.memory.order, processor: '440', assist: false },
    new Map(),
  );
  prepare(cpu);
  for (let value = 1; value < 5; value++) {
    // A place is found hot once.
    const at = 0x1000 * value;
    cpu.load(at, `li 5,${value}; sc`);
    delivers = false;
    cpu.run(at);
    cpu.translate();
    assert.equal(result?.regions.length, 1);
    cpu.load(at, `li 5,${value + 100}; sc`);
    cpu.run(at);
    delivers = true;
    cpu.translate();
    cpu.setGpr(5, 0);
    cpu.run(at);
    assert.equal(cpu.gpr(5), value + 100);
  }
});

test('when the translating thread is lost, this one translates', () => {
  const translation = { lost: false, start: () => {}, post: () => {}, poll: () => undefined };
  const cpu = new TestCpu('translated', { translation });
  prepare(cpu);
  const regions = (at: number): number => {
    cpu.load(at, 'li 5,1; sc');
    cpu.run(at);
    cpu.translate();
    return cpu.cpu.stats['translated_regions'] ?? 0;
  };
  assert.equal(regions(0x1000), 0);
  translation.lost = true;
  assert.equal(regions(0x2000), 1);
});
