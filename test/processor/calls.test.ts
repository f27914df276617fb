/** Calls and returns, however deep and wherever they go; loops with several entries; budgets. */
import assert from 'node:assert/strict';
import { BOOKE_VECTOR, EVENT, LR, PC, VECTOR_HOST_TICK } from '../../src/processor/index.ts';
import { bothTiers, type TestCpu } from './test-cpu.ts';

const CODE = 0x1000;
const { systemCall } = BOOKE_VECTOR;

function prepare(cpu: TestCpu): void {
  for (let page = 0; page < 16; page++) cpu.map(page, page * 0x1000, page * 0x1000);
  cpu.map(20, 0x100000, 0x100000, { size: '1M', access: 'rw' });
}

/** Sum of 1 … r3 by recursion, with a stack. */
const RECURSION = `
  sum: cmpwi 3,0; bne 1f; li 4,0; blr
  1: mflr 0; stwu 0,-8(1); stw 3,4(1)
  addi 3,3,-1; bl sum
  lwz 3,4(1); add 4,4,3; lwz 0,0(1); addi 1,1,8; mtlr 0; blr`;

bothTiers('recursion far deeper than the host may go', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, `bl sum; sc; ${RECURSION}`);
  for (const depth of [3, 499, 500, 501, 502, 503, 1200, 20000]) {
    const reset = (): void => cpu.setGprs({ 1: 0x200000, 3: depth, 4: 0 });
    const ending = cpu.runTwice(CODE, reset, 10_000_000);
    assert.equal(ending.vector, systemCall);
    assert.deepEqual([cpu.gpr(4), cpu.gpr(1)], [(depth * (depth + 1)) / 2, 0x200000]);
    assert.equal(ending.retired, 2 + 4 + depth * 13);
  }
});

bothTiers('two functions in two pages that call each other', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'bl 0x2000; sc');
  const half = (other: string): string => `
    cmpwi 3,0; beqlr
    mflr 0; stwu 0,-8(1); addi 3,3,-1; bl ${other}
    addi 4,4,1; lwz 0,0(1); addi 1,1,8; mtlr 0; blr`;
  cpu.load(0x2000, half('0x3000'));
  cpu.load(0x3000, half('0x2000'));
  for (let round = 0; round < 3; round++) {
    assert.equal(cpu.runTwice(CODE, () => cpu.setGprs({ 1: 0x200000, 3: 1500, 4: 0 })).vector, systemCall);
    assert.equal(cpu.gpr(4), 1500);
  }
});

bothTiers('a return to another place than behind the call', (cpu) => {
  prepare(cpu);
  // The third of three nested functions returns to the first one's caller, as longjmp does.
  const source = `
    mflr 20; bl first; li 5,1; sc
    bl . + 4; trap
    first: mflr 21; bl second; li 5,2; sc
    second: mflr 22; bl third; li 5,3; sc
    third: add 6,6,6; mtlr 21; addi 6,6,1; blr`;
  cpu.load(CODE, source);
  const ending = cpu.runTwice(CODE, () => cpu.setGprs({ 5: 0, 6: 1 }));
  assert.deepEqual([ending.vector, cpu.gpr(5), cpu.gpr(6)], [systemCall, 1, 3]);
  assert.equal(ending.retired, 12);
});

bothTiers('a function that returns to the instruction behind, then to the one behind that', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'li 7,0; bl skip; addi 7,7,1; addi 7,7,2; sc; skip: mflr 8; add 8,8,3; mtlr 8; blr');
  for (const [skip, expected] of [
    [0, 3],
    [4, 2],
    [8, 0],
    [4, 2],
    [0, 3],
  ] as const) {
    const { vector } = cpu.runTwice(CODE, () => cpu.setGpr(3, skip));
    assert.deepEqual([vector, cpu.gpr(7)], [systemCall, expected]);
  }
});

bothTiers('calls through CTR and LR, conditional calls and returns', (cpu) => {
  prepare(cpu);
  const source = `
    mtctr 10; bctrl; addi 3,3,1
    mtlr 10; blrl; addi 3,3,1
    cmpwi 4,0; beql- set; addi 3,3,1
    cmpwi 4,1; beql- set; addi 3,3,1
    li 12,2; mtctr 12; bcl 16,0,set; bcl 16,0,set; mfctr 13
    sc
    set: addi 5,5,1; cmpwi 5,3; bltlr; addi 6,6,1; blr`;
  const length = cpu.load(CODE, source);
  const set = CODE + length - 20;
  const reset = (): void => cpu.setGprs({ 3: 0, 4: 0, 5: 0, 6: 0, 10: set });
  assert.equal(cpu.runTwice(CODE, reset).vector, systemCall);
  assert.deepEqual(
    [3, 5, 6, 13].map((n) => cpu.gpr(n)),
    [4, 4, 2, 0],
  );
});

bothTiers('the address of the next instruction', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'bcl 20,31,.+4; mflr 3; bl .+8; nop; mflr 4; sc');
  cpu.runTwice(CODE, () => cpu.setGprs({ 3: 0, 4: 0 }));
  assert.deepEqual([cpu.gpr(3), cpu.gpr(4)], [CODE + 4, CODE + 12]);
});

bothTiers('a return whose low bits are set', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'mtlr 3; blr; trap; sc');
  const { vector, pc } = cpu.runTwice(CODE, () => cpu.setGpr(3, CODE + 12 + 3));
  assert.deepEqual([vector, pc, cpu.word(LR)], [systemCall, CODE + 16, CODE + 15]);
});

bothTiers('a loop with two entries stays in generated code', (cpu) => {
  prepare(cpu);
  const source = `
    cmpwi 4,0; beq two
    one: addi 5,5,1
    two: addi 6,6,1; addi 3,3,-1; cmpwi 3,0; bgt one
    sc`;
  cpu.load(CODE, source);
  for (const start of [0, 1]) {
    const { vector, retired } = cpu.runTwice(CODE, () => cpu.setGprs({ 3: 1000, 4: start, 5: 0, 6: 0 }));
    assert.deepEqual([vector, cpu.gpr(5), cpu.gpr(6)], [systemCall, 999 + start, 1000]);
    assert.equal(retired, 2 + 999 + start + 4000 + 1);
    const before = cpu.regionEntries;
    cpu.setGprs({ 3: 1000, 4: start });
    cpu.run(CODE);
    assert.ok(cpu.regionEntries - before < 10, `${cpu.regionEntries - before} entries`);
    if (cpu.tier === 'translated') assert.ok(cpu.regionEntries > before);
  }
});

bothTiers('loops within loops with several entries each', (cpu) => {
  prepare(cpu);
  // A machine of states: each jumps to any other by a table of comparisons.
  const states = 6;
  const jumps = Array.from({ length: states }, (_, n) => `cmpwi 7,${n}; beq s${n}`).join('; ');
  const bodies = Array.from(
    { length: states },
    (_, n) =>
      `s${n}: addi ${10 + n},${10 + n},1; mulli 8,8,5; addi 8,8,${n}; rlwinm 7,8,29,29,31; addic. 3,3,-1; beq end; ${jumps}`,
  ).join('\n');
  cpu.load(CODE, `${jumps}\n${bodies}\nb s0\nend: sc`);
  // What it does, done here.
  let [steps, seed] = [2000, 1];
  const visits = new Array<number>(states).fill(0);
  for (let state = 0; ; ) {
    visits[state] = (visits[state] as number) + 1;
    seed = (Math.imul(seed, 5) + state) >>> 0;
    const next = (seed >>> 3) & 7;
    if (--steps === 0) break;
    if (next < states) state = next;
    else if (state === states - 1) state = 0;
    else state++;
  }
  const reset = (): void => cpu.setGprs({ 3: 2000, 7: 0, 8: 1, 10: 0, 11: 0, 12: 0, 13: 0, 14: 0, 15: 0 });
  for (let round = 0; round < 3; round++) {
    assert.equal(cpu.runTwice(CODE, reset).vector, systemCall);
    assert.deepEqual(
      [10, 11, 12, 13, 14, 15].map((n) => cpu.gpr(n)),
      visits,
    );
  }
});

bothTiers('a budget ends the run soon after it is spent, and nothing is lost', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, '1: addi 3,3,1; add 4,4,3; xor 5,4,3; cmpwi 3,3000; bne 1b; sc');
  const whole = cpu.runTwice(CODE, () => cpu.setGprs({ 3: 0, 4: 0, 5: 0 }));
  assert.deepEqual([whole.vector, whole.retired], [systemCall, 15001]);
  const result = [3, 4, 5].map((n) => cpu.gpr(n));
  for (const slice of [1, 2, 5, 7, 100, 1023]) {
    cpu.setGprs({ 3: 0, 4: 0, 5: 0 });
    cpu.setWord(PC, CODE);
    let retired = 0;
    for (let runs = 0; ; runs++) {
      assert.ok(runs <= 15001);
      const ending = cpu.resume(slice);
      retired += ending.retired;
      assert.ok(ending.retired <= slice + 5, `${ending.retired} of ${slice}`);
      if (ending.vector === systemCall) break;
      assert.equal(ending.vector, VECTOR_HOST_TICK);
      assert.ok(ending.retired > 0);
    }
    assert.equal(retired, whole.retired);
    assert.deepEqual(
      [3, 4, 5].map((n) => cpu.gpr(n)),
      result,
    );
  }
});

bothTiers('endless code of every kind comes back', (cpu) => {
  prepare(cpu);
  const endless = {
    'a branch to itself': 'b .',
    'a loop': '1: addi 3,3,1; b 1b',
    'a conditional loop': '1: cmpw 3,3; beq 1b',
    'endless recursion': '1: bl 1b',
    'a pair of calls': '1: bl 2f; b 1b; 2: blr',
    'through CTR': 'bcl 20,31,.+4; mflr 3; addi 3,3,8; mtctr 3; nop; bctr',
    'through LR': 'bcl 20,31,.+4; blr',
    'two pages': 'b 0x2000',
    'a loop with two entries': 'cmpwi 3,0; beq 2f; 1: nop; 2: nop; b 1b',
    isync: '1: isync; b 1b',
    icbi: '1: icbi 0,1; b 1b',
    'a string loop': '1: stswi 5,1,9; b 1b',
  };
  cpu.load(0x2000, 'b 0x1000');
  for (const [name, source] of Object.entries(endless)) {
    cpu.load(CODE, source);
    for (let round = 0; round < 3; round++) {
      cpu.setGprs({ 1: 0x100000, 3: 0 });
      const { vector, retired } = cpu.run(CODE, 5000);
      assert.equal(vector, VECTOR_HOST_TICK, name);
      assert.ok(retired >= 5000 && retired < 5600, `${name}: ${retired}`);
      cpu.translate();
    }
  }
});

bothTiers('the owner grants more when a budget is spent', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, '1: addi 3,3,1; b 1b');
  cpu.run(CODE, 10);
  cpu.translate();
  cpu.setGpr(3, 0);
  const seen: number[] = [];
  const before = cpu.cpu.retired;
  cpu.cpu.onTick = () => {
    seen.push(cpu.cpu.retired - before);
    return seen.length < 5 ? 1000 : 0;
  };
  const { vector, retired } = cpu.run(CODE, 1000);
  assert.equal(vector, VECTOR_HOST_TICK);
  assert.deepEqual(seen, [1000, 2000, 3000, 4000, 5000]);
  assert.equal(retired, 5000);
  assert.equal(cpu.gpr(3), 2500);
});

bothTiers('the same number of instructions, however they are run', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, `li 30,50; 1: li 3,20; li 4,0; bl sum; addic. 30,30,-1; bne 1b; sc; ${RECURSION}`);
  const { retired } = cpu.runTwice(CODE, () => cpu.setGpr(1, 0x200000));
  assert.equal(retired, 1 + 50 * (5 + 4 + 20 * 13) + 1);
  assert.equal(cpu.word(EVENT), 0);
});
