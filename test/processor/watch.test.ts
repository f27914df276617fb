/** Watched pages: every access to them is shown before it is made, and code in them may only be stepped. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BOOKE_VECTOR, DSISR, ESR, PC, SERVER_VECTOR, type Watch } from '../../src/processor/index.ts';
import { TestCpu } from './test-cpu.ts';
import { everyServer, SEGMENT } from './test-server.ts';

const CODE = 0x1000;
const PAGE = 0x8000;

/** A watch on a page, which notes what it is shown, and stops accesses to some bytes of it. */
function watchOf(page: number, first: number, last: number, code = -1): Watch & { readonly seen: string[] } {
  const seen: string[] = [];
  const offset = (low: number): number => low & 0x0fff_ffff;
  return {
    seen,
    coversData: (low) => (offset(low) & ~0xfff) === page,
    coversCode: (low) => (offset(low) & ~0xfff) === code,
    stops: (low, _high, bytes, store) => {
      const at = offset(low);
      seen.push(`${store ? 'w' : 'r'}${at.toString(16)}+${bytes}`);
      return at <= last && at + Math.abs(bytes) > first;
    },
  };
}

const ACCESSES = `
    lbz 3,0(9)
    lwz 3,4(9)
    lwz 3,8(9)
    stw 3,8(9)
    lwz 4,13(9)
    stw 3,-2(9)
    lwz 4,-3(9)
    lwarx 5,0,9
    stwcx. 5,0,9
    dcbz 0,10
    sc`;
const SHOWN = ['r8000+1', 'r8004+4', 'r8008+4', 'w8008+4', 'r800d+4', 'w8000+-2', 'r8000+-1', 'r8000+4'];

everyServer('accesses to a watched page are shown, others are not', (cpu) => {
  cpu.map(CODE);
  cpu.map(PAGE - 0x1000, 3);
  cpu.load(CODE, ACCESSES);
  cpu.setGprs({ 9: SEGMENT + BigInt(PAGE), 10: SEGMENT + BigInt(PAGE + 0x200) });
  // What was translated and what the soft TLB has make no difference.
  assert.equal(cpu.run(CODE).vector, SERVER_VECTOR.systemCall);
  cpu.translate();
  const watch = watchOf(PAGE, 0xfff, 0xfff);
  cpu.cpu.setWatch(watch);
  const { vector, pc } = cpu.run(CODE);
  assert.deepEqual([vector, pc], [SERVER_VECTOR.systemCall, CODE + 44]);
  assert.deepEqual(watch.seen.slice(0, SHOWN.length), SHOWN);
  assert.ok(watch.seen.includes('w8200+128'));
  cpu.cpu.setWatch(null);
  const before = watch.seen.length;
  assert.equal(cpu.run(CODE).vector, SERVER_VECTOR.systemCall);
  assert.equal(watch.seen.length, before);
});

everyServer('a watched access stops before it is made', (cpu) => {
  cpu.map(CODE);
  cpu.map(PAGE - 0x1000, 2);
  cpu.load(CODE, 'std 3,0(9); addi 9,9,8; bdnz .-8; sc; std 3,-4(10); sc; lwz 4,2(10); sc');
  const run = (count: number): ReturnType<typeof cpu.run> => {
    cpu.setGprs({ 3: -1, 9: SEGMENT + BigInt(PAGE), 10: SEGMENT + BigInt(PAGE) });
    cpu.setDoubleword(0x120, BigInt(count));
    return cpu.run(CODE);
  };
  run(100);
  cpu.translate();
  for (let i = 0; i < 100; i++) cpu.write64(PAGE + 8 * i, 0n);
  cpu.cpu.setWatch(watchOf(PAGE, PAGE + 0x85, PAGE + 0x86));
  const stopped = run(100);
  assert.deepEqual(
    [stopped.vector, stopped.pc, stopped.address, stopped.syndrome],
    [SERVER_VECTOR.watch, CODE, PAGE + 0x80, DSISR.ISSTORE],
  );
  assert.equal(stopped.retired, 16 * 3);
  assert.equal(cpu.read64(PAGE + 0x78), 2n ** 64n - 1n);
  assert.equal(cpu.read64(PAGE + 0x80), 0n);
  // Across the page's start: nothing is stored on either side.
  cpu.cpu.setWatch(watchOf(PAGE, PAGE + 3, PAGE + 3));
  cpu.write32(PAGE - 4, 0);
  cpu.setDoubleword(PC, SEGMENT + BigInt(CODE + 16));
  const across = cpu.resume();
  assert.deepEqual([across.vector, across.address], [SERVER_VECTOR.watch, PAGE]);
  assert.equal(cpu.read32(PAGE - 4), 0);
  cpu.setDoubleword(PC, SEGMENT + BigInt(CODE + 24));
  const load = cpu.step();
  assert.deepEqual([load.vector, load.address, load.syndrome], [SERVER_VECTOR.watch, PAGE + 2, 0]);
});

everyServer('a page that is not there interrupts before its watch is asked', (cpu) => {
  cpu.map(CODE);
  cpu.load(CODE, 'ld 3,0(9)');
  cpu.setGprs({ 9: SEGMENT + BigInt(PAGE) });
  const watch = watchOf(PAGE, 0, 0xffff);
  cpu.cpu.setWatch(watch);
  assert.equal(cpu.run(CODE).vector, SERVER_VECTOR.dataStorage);
  assert.deepEqual(watch.seen, []);
});

everyServer('code in a watched page is only stepped', (cpu) => {
  cpu.map(CODE, 3);
  cpu.load(CODE, 'li 3,0; bl .+0x1000; addi 3,3,1; b .+0x1ff4');
  cpu.load(CODE + 0x1004, 'addi 3,3,16; blr');
  cpu.load(CODE + 0x2000, 'sc');
  cpu.run(CODE);
  cpu.translate();
  cpu.cpu.setWatch(watchOf(-1, 0, 0, CODE + 0x1000));
  const stopped = cpu.run(CODE);
  assert.deepEqual([stopped.vector, stopped.pc], [SERVER_VECTOR.codeWatch, CODE + 0x1004]);
  assert.equal(cpu.step().pc, CODE + 0x1008);
  // The step leaves no way in behind.
  assert.equal(cpu.resume().vector, SERVER_VECTOR.codeWatch);
  assert.equal(cpu.step().pc, CODE + 8);
  assert.equal(cpu.resume().vector, SERVER_VECTOR.systemCall);
  assert.equal(cpu.gpr(3), 17n);
});

for (const tier of ['interpreted', 'translated'] as const)
  test(`watched pages of a 440, ${tier}`, () => {
    const cpu = new TestCpu(tier);
    cpu.map(0, CODE, CODE);
    cpu.map(1, PAGE - 0x1000, PAGE - 0x1000);
    cpu.map(2, PAGE, PAGE);
    // One that is too small for the soft TLB.
    for (let i = 0; i < 4; i++) cpu.map(3 + i, 0x9000 + 0x400 * i, 0x9000 + 0x400 * i, { size: '1K' });
    cpu.load(CODE, ACCESSES);
    const prepare = (): void => cpu.setGprs({ 9: PAGE, 10: PAGE + 0x200 });
    prepare();
    cpu.run(CODE);
    cpu.translate();
    prepare();
    const watch = watchOf(PAGE, 0xfff, 0xfff);
    cpu.cpu.setWatch(watch);
    assert.equal(cpu.run(CODE).vector, BOOKE_VECTOR.systemCall);
    assert.deepEqual(watch.seen.slice(0, SHOWN.length), SHOWN);
    assert.ok(watch.seen.includes('w8200+32'));
    cpu.cpu.setWatch(watchOf(PAGE, PAGE + 8, PAGE + 8));
    const stopped = cpu.run(CODE);
    assert.deepEqual([stopped.vector, stopped.pc, stopped.address], [BOOKE_VECTOR.watch, CODE + 8, PAGE + 8]);
    cpu.cpu.setWatch(watchOf(0x9000, 0x9604, 0x9604));
    cpu.load(CODE, 'stw 3,0x600(9); stw 3,0x604(9); sc');
    cpu.setGprs({ 9: 0x9000 });
    const small = cpu.run(CODE);
    assert.deepEqual([small.vector, small.pc, small.syndrome], [BOOKE_VECTOR.watch, CODE + 4, ESR.ST]);
    cpu.cpu.setWatch(watchOf(-1, 0, 0, CODE));
    assert.equal(cpu.run(CODE).vector, BOOKE_VECTOR.codeWatch);
    assert.equal(cpu.step().pc, CODE + 4);
    cpu.cpu.setWatch(null);
    assert.equal(cpu.run(CODE).vector, BOOKE_VECTOR.systemCall);
  });
