/** Generated code of 64-bit processors: loops, calls, faults in the midst of blocks, facilities, code that changes. */
import assert from 'node:assert/strict';
import { assembleWords } from '../../src/isa/index.ts';
import {
  crOffset,
  FLOAT_AVAILABLE,
  FLOAT_INTERRUPTS,
  FPSCR,
  fprOffset,
  LR,
  RAM_BASE,
  SERVER_VECTOR,
  SLB_VSID,
} from '../../src/processor/index.ts';
import { everyServer, SEGMENT, type TestServer, VSID } from './test-server.ts';

const CODE = 0x1000;
const DATA = 0x100000;
const { systemCall, dataStorage, program, floatingPointUnavailable } = SERVER_VECTOR;

function prepare(cpu: TestServer): void {
  cpu.map(0, 16);
  cpu.map(DATA, 64);
}

/** What the tier that translates is for was run there. */
function checkTier(cpu: TestServer): void {
  assert.equal(cpu.regionEntries > 0, cpu.tier === 'translated');
}

everyServer('a counted loop over doublewords', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'mtctr 3; 1: ld 6,0(4); add 5,5,6; addi 4,4,8; bdnz 1b; sc');
  for (let i = 0; i < 600; i++) cpu.write64(0x100ff0 + 8 * i, BigInt(i) << 32n);
  const ending = cpu.runTwice(CODE, () => cpu.setGprs({ 3: 600, 4: SEGMENT + 0x100ff0n, 5: 0 }));
  assert.deepEqual([ending.vector, cpu.gpr(5)], [systemCall, BigInt((599 * 600) / 2) << 32n]);
  assert.equal(ending.retired, 1 + 4 * 600 + 1);
  checkTier(cpu);
});

everyServer('a fault in the midst of a block: registers, PC and the budget are those of the instruction', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'addi 5,5,1; std 5,0(4); addi 6,6,1; ld 7,0(3); addi 6,6,1; sc');
  const reset = (address: bigint) => () => cpu.setGprs({ 3: address, 4: SEGMENT + BigInt(DATA), 5: 0, 6: 0, 7: 9 });
  cpu.runTwice(CODE, reset(SEGMENT + BigInt(DATA)));
  const ending = cpu.runTwice(CODE, reset(SEGMENT + 0x800008n));
  assert.deepEqual([ending.vector, ending.pc, ending.address, ending.retired], [dataStorage, CODE + 12, 0x800008, 3]);
  assert.deepEqual(
    [5, 6, 7].map((n) => cpu.gpr(n)),
    [1n, 1n, 9n],
  );
  checkTier(cpu);
});

everyServer('comparisons of words and doublewords in one field', (cpu) => {
  prepare(cpu);
  // r3 chooses how CR0 is made, the branch behind does not know how it was.
  const source = `
    li 5,0; cmpi 1,1,3,1; blt 1,1f; beq 1,2f; cmpi 1,1,3,2; beq 1,3f
    cmplw 6,7; b 4f; 1: cmpw 6,7; b 4f; 2: cmp 0,1,6,7; b 4f; 3: cmpl 0,1,6,7
    4: blt 5f; ori 5,5,1; 5: bgt 6f; ori 5,5,2; 6: mfcr 8; sc`;
  cpu.load(CODE, source);
  const pairs = [
    [0xffff_ffff_7fff_ffffn, 0x0000_0001_8000_0000n],
    [0x0000_0001_8000_0000n, 0xffff_ffff_7fff_ffffn],
    [5n, 5n],
    [0x1_0000_0005n, 5n],
  ] as const;
  const signed = (bits: number, value: bigint) => BigInt.asIntN(bits, value);
  const unsigned = (bits: number, value: bigint) => BigInt.asUintN(bits, value);
  for (const [a, b] of pairs)
    for (const [kind, view] of [
      (v: bigint) => signed(32, v),
      (v: bigint) => signed(64, v),
      (v: bigint) => unsigned(64, v),
      (v: bigint) => unsigned(32, v),
    ].entries()) {
      cpu.runTwice(CODE, () => cpu.setGprs({ 3: kind, 6: a, 7: b }));
      const [less, greater] = [view(a) < view(b), view(a) > view(b)];
      assert.equal(cpu.gpr(5), (less ? 0n : 1n) | (greater ? 0n : 2n), `${kind} ${a} ${b}`);
      assert.equal(cpu.gpr(8) >> 28n, less ? 8n : greater ? 4n : 2n);
    }
  checkTier(cpu);
});

everyServer('a call through a pointer that changes its mind', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, '1: ld 12,0(4); mtctr 12; bctrl; addi 4,4,8; addic. 3,3,-1; bne 1b; sc');
  cpu.load(0x2000, 'addi 5,5,1; blr');
  cpu.load(0x3010, 'addi 5,5,100; blr');
  const targets = [0x2000, 0x2000, 0x3010, 0x2000, 0x3010, 0x3010, 0x2004];
  for (const [i, target] of targets.entries()) cpu.write64(DATA + 8 * i, SEGMENT + BigInt(target));
  for (let round = 0; round < 4; round++) {
    const ending = cpu.runTwice(CODE, () => cpu.setGprs({ 3: targets.length, 4: SEGMENT + BigInt(DATA), 5: 0 }));
    assert.deepEqual([ending.vector, cpu.gpr(5)], [systemCall, 303n]);
    assert.equal(ending.retired, 7 * 6 + 6 * 2 + 1 + 1);
  }
  checkTier(cpu);
});

everyServer('recursion far deeper than the host may go', (cpu) => {
  prepare(cpu);
  const source = `bl sum; sc
    sum: cmpi 0,1,3,0; bne 1f; li 4,0; blr
    1: mflr 0; std 0,16(1); stdu 1,-32(1); std 3,24(1); addi 3,3,-1; bl sum
    ld 3,24(1); add 4,4,3; addi 1,1,32; ld 0,16(1); mtlr 0; blr`;
  cpu.load(CODE, source);
  for (const depth of [3, 499, 503, 1200]) {
    const reset = () => cpu.setGprs({ 1: SEGMENT + BigInt(DATA) + 0x3f000n, 3: depth, 4: 0 });
    const ending = cpu.runTwice(CODE, reset, 1_000_000);
    assert.deepEqual([ending.vector, cpu.gpr(4)], [systemCall, BigInt((depth * (depth + 1)) / 2)]);
    assert.equal(ending.retired, 2 + 4 + depth * 14);
  }
  assert.equal(cpu.doubleword(LR), SEGMENT + BigInt(CODE) + 4n);
  checkTier(cpu);
});

everyServer('budgets end a loop between two of its rounds, and it goes on', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'li 5,0; mtctr 3; 1: addi 5,5,1; addi 6,5,1; bdnz 1b; sc');
  cpu.runTwice(CODE, () => cpu.setGprs({ 3: 1000 }));
  cpu.setGprs({ 3: 1000 });
  let { vector, retired } = cpu.run(CODE, 100);
  for (let i = 0; i < 100 && vector !== systemCall; i++) {
    const ending = cpu.resume(100);
    ({ vector } = ending);
    assert.ok(ending.retired <= 110);
    retired += ending.retired;
  }
  assert.deepEqual([vector, cpu.gpr(5), retired], [systemCall, 1000n, 3003]);
});

everyServer('floating point: unavailable, then available, an enabled exception behind its results', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'addi 5,5,1; fadd. 3,1,2; fmul 4,3,2; fdiv. 5,1,0; addi 5,5,1; sc');
  const [ONE, TWO] = [0x3ff0_0000_0000_0000n, 0x4000_0000_0000_0000n];
  const reset = (available: number, enabled: number) => () => {
    cpu.setWord(FLOAT_AVAILABLE, available);
    cpu.setWord(FPSCR, enabled);
    cpu.setGprs({ 5: 0 });
    for (const [n, value] of [0n, ONE, TWO, 0n, 0n, 7n].entries()) cpu.setDoubleword(fprOffset(n), value);
  };
  cpu.runTwice(CODE, reset(1, 0));
  assert.deepEqual([cpu.gpr(5), cpu.doubleword(fprOffset(4))], [2n, 0x4018_0000_0000_0000n]);
  const none = cpu.runTwice(CODE, reset(0, 0));
  assert.deepEqual([none.vector, none.pc, none.retired, cpu.gpr(5)], [floatingPointUnavailable, CODE + 4, 1, 1n]);
  checkTier(cpu);
});

everyServer('a division by zero that interrupts: CR1 is written, the instruction is not counted', (cpu) => {
  prepare(cpu);
  cpu.setWord(FLOAT_INTERRUPTS, 1);
  cpu.load(CODE, 'addi 5,5,1; fdiv. 5,1,2; addi 5,5,1; sc');
  const reset = (divisor: bigint) => () => {
    cpu.setWord(FPSCR, 0x10);
    cpu.setWord(crOffset(1), 0);
    cpu.setGprs({ 5: 0 });
    cpu.setDoubleword(fprOffset(1), 0x3ff0_0000_0000_0000n);
    cpu.setDoubleword(fprOffset(2), divisor);
  };
  cpu.runTwice(CODE, reset(0x3ff0_0000_0000_0000n));
  const ending = cpu.runTwice(CODE, reset(0n));
  assert.deepEqual([ending.vector, ending.pc, ending.retired, cpu.gpr(5)], [program, CODE + 4, 1, 1n]);
  assert.equal(cpu.word(crOffset(1)), 0b1100);
  checkTier(cpu);
});

everyServer('isync stays in generated code', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'mtctr 3; 1: addi 5,5,1; isync; lwsync; bdnz 1b; sc');
  cpu.runTwice(CODE, () => cpu.setGprs({ 3: 100, 5: 0 }));
  const before = cpu.regionEntries;
  cpu.setGprs({ 3: 100, 5: 0 });
  const ending = cpu.run(CODE);
  assert.deepEqual([ending.vector, ending.retired, cpu.gpr(5)], [systemCall, 402, 100n]);
  if (cpu.tier === 'translated') assert.equal(cpu.regionEntries, before + 1);
});

everyServer('a function that changes the code of its caller', (cpu) => {
  prepare(cpu);
  // The callee overwrites what its caller does behind the call, in a page that is running.
  cpu.load(CODE, 'li 5,0; bl 0x2000; li 5,1; sc');
  cpu.load(0x2000, 'stw 6,8(3); dcbst 0,3; sync; icbi 0,3; sync; isync; blr');
  const before = assembleWords('li 5,1', 0);
  const changed = assembleWords('li 5,2', 0)[0] as number;
  const reset = () => {
    cpu.place(CODE + 8, before);
    cpu.setGprs({ 3: SEGMENT + BigInt(CODE), 6: changed });
  };
  for (let round = 0; round < 4; round++) {
    // Both are translated as they were, then it happens.
    cpu.place(CODE + 8, before);
    cpu.runTwice(CODE, () => cpu.setGprs({ 3: SEGMENT + BigInt(DATA), 6: 0 }));
    assert.equal(cpu.gpr(5), 1n);
    cpu.setGprs({ 3: SEGMENT + BigInt(CODE), 6: changed });
    assert.equal(cpu.run(CODE).vector, systemCall);
    assert.equal(cpu.gpr(5), 2n);
  }
  reset();
  assert.equal(cpu.memory.read32(RAM_BASE + CODE + 8), before[0]);
});

everyServer('a lock is taken and given back', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, '1: ldarx 5,0,4; addi 5,5,1; stdcx. 5,0,4; bne- 1b; addic. 3,3,-1; bne 1b; lwz 6,4(4); sc');
  cpu.write64(DATA, 0n);
  cpu.runTwice(CODE, () => {
    cpu.setGprs({ 3: 50, 4: SEGMENT + BigInt(DATA) });
    cpu.write64(DATA, 0n);
  });
  assert.equal(cpu.read64(DATA), 50n);
  checkTier(cpu);
});

everyServer('an access behind a conditional store that failed', (cpu) => {
  prepare(cpu);
  // The page is looked up in the store that is not made, and wanted behind it: page 0, which zeros would pass for.
  cpu.cpu.slbWrite(0, 1, 0, VSID, SLB_VSID.KS);
  cpu.load(CODE, 'stdcx. 5,0,4; ld 6,8(4); sc');
  cpu.write64(8, 77n);
  cpu.runTwice(CODE, () => cpu.setGprs({ 4: 0, 6: 0 }));
  assert.equal(cpu.gpr(6), 77n);
  checkTier(cpu);
});

everyServer('unaligned accesses through a register whose page is known', (cpu) => {
  cpu.map(0, 16);
  // Two pages that do not follow each other in RAM.
  cpu.map(DATA, 1, 0x100000);
  cpu.map(DATA + 0x1000, 1, 0x108000);
  cpu.load(CODE, 'ld 5,0(4); std 5,8(4); ld 6,-4(4); lwz 7,-2(4); std 5,-4(4); lhz 8,-1(4); sc');
  const reset = () => {
    cpu.setGprs({ 4: SEGMENT + BigInt(DATA) + 0x1000n });
    cpu.write64(0x100ff8, 0x0102_0304_0506_0708n);
    cpu.write64(0x108000, 0x1112_1314_1516_1718n);
  };
  const { vector } = cpu.runTwice(CODE, reset);
  const little = cpu.memory.littleEndian;
  assert.equal(vector, systemCall);
  assert.equal(cpu.gpr(6), little ? 0x1516_1718_0102_0304n : 0x0506_0708_1112_1314n);
  assert.equal(cpu.gpr(7), little ? 0x1718_0102n : 0x0708_1112n);
  assert.equal(cpu.read64(0x108008), 0x1112_1314_1516_1718n);
  assert.equal(cpu.gpr(8), 0x1415n);
  checkTier(cpu);
});

everyServer('problem state reads and writes TAR and PPR by itself', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'mtspr 815,3; mtspr 896,4; mfspr 5,815; mfspr 6,896; sc');
  const ending = cpu.runTwice(CODE, () => cpu.setGprs({ 3: 0x0123_4567_89ab_cdefn, 4: 0x0004_0000_8000_0000n }));
  assert.deepEqual([ending.vector, ending.retired], [systemCall, 5]);
  assert.deepEqual([cpu.gpr(5), cpu.gpr(6)], [0x0123_4567_89ab_cdefn, 0x0004_0000_8000_0000n]);
});
