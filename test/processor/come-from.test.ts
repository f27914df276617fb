/** CFAR: where the last taken branch was, in every tier, wherever control comes from and however it leaves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CFAR, PC, SERVER_VECTOR } from '../../src/processor/index.ts';
import { everyServer, SEGMENT, TestServer } from './test-server.ts';

const CODE = 0x1000;
const DATA = 0x100000;
const NOTHING = 0x1234n;
const { systemCall, dataStorage } = SERVER_VECTOR;

function prepare(cpu: TestServer): void {
  cpu.map(0, 16);
  cpu.map(DATA, 1);
}

/** What is in CFAR after code has run with r3 to r5, relative to the segment. */
function comeFrom(
  cpu: TestServer,
  source: string,
  gprs: Readonly<Record<number, bigint>> = {},
  want: number = systemCall,
): bigint {
  cpu.load(CODE, source);
  const { vector } = cpu.runTwice(CODE, () => {
    cpu.setGprs({ 3: 0, 4: SEGMENT + BigInt(DATA), 5: 0, 8: SEGMENT + 0x80_0000n, ...gprs });
    cpu.setDoubleword(CFAR, NOTHING);
  });
  assert.equal(vector, want);
  const cfar = cpu.doubleword(CFAR);
  return cfar === NOTHING ? cfar : cfar - SEGMENT;
}
const at = (offset: number): bigint => BigInt(CODE + offset);

everyServer('branches that are taken, and those that are not', (cpu) => {
  prepare(cpu);
  const fork = 'cmpdi 3,0; beq 1f; sc; 1: nop; sc';
  assert.equal(comeFrom(cpu, fork, { 3: 0n }), at(4));
  assert.equal(comeFrom(cpu, fork, { 3: 1n }), NOTHING);
  const loop = 'mtctr 3; 1: addi 5,5,1; bdnz 1b; sc';
  assert.equal(comeFrom(cpu, loop, { 3: 500n }), at(8));
  assert.equal(comeFrom(cpu, loop, { 3: 1n }), NOTHING);
  // The last one counts, and one to the next instruction is one.
  assert.equal(comeFrom(cpu, 'b 1f; nop; 1: nop; b 2f; 2: nop; sc'), at(12));
});

everyServer('calls and returns', (cpu) => {
  prepare(cpu);
  assert.equal(comeFrom(cpu, 'bl 1f; sc; 1: blr'), at(8));
  assert.equal(comeFrom(cpu, 'bl 1f; sc; 1: lwz 6,0(8); blr', {}, dataStorage), at(0));
  // A return to another place, and one that goes on in the caller.
  assert.equal(comeFrom(cpu, 'bl 1f; nop; sc; 1: mflr 6; addi 6,6,4; mtlr 6; nop; blr'), at(28));
  assert.equal(comeFrom(cpu, 'mflr 6; bl 1f; mtctr 6; lwz 7,0(8); 1: beqlr; bnelr', {}, dataStorage), at(20));
  assert.equal(comeFrom(cpu, `bl 1f; 1: mflr 6; addi 6,6,16; mtctr 6; bctr; sc`), at(16));
  assert.equal(comeFrom(cpu, `bl 1f; 1: mflr 6; addi 6,6,20; mtctr 6; bctrl; lwz 7,0(8); sc`), at(16));
});

everyServer('faults in the midst of a page, and other pages', (cpu) => {
  prepare(cpu);
  const source = 'b 1f; .long 0; 1: ld 6,0(4); cmpdi 3,1; bne 2f; nop; 2: ld 6,0(8); sc';
  assert.equal(comeFrom(cpu, source, { 3: 0n }, dataStorage), at(16));
  assert.equal(comeFrom(cpu, source, { 3: 1n }, dataStorage), at(0));
  cpu.load(CODE + 0x1010, 'nop; lwz 6,0(8); sc');
  assert.equal(comeFrom(cpu, 'nop; b 0x2010', {}, dataStorage), at(4));
  cpu.load(CODE + 0xff8, 'nop; nop');
  cpu.load(CODE + 0x1000, 'lwz 6,0(8); sc');
  assert.equal(comeFrom(cpu, 'nop; nop; b 0x1ff8', {}, dataStorage), at(8));
});

const COUNT = 48;
const programs = fc.array(
  fc.record({
    kind: fc.constantFrom('nop', 'b', 'bl', 'beq', 'bne', 'bdnz', 'beql', 'blr', 'bnelr', 'isync', 'lwz 7,0(4)'),
    to: fc.nat(COUNT - 1),
  }),
  { minLength: COUNT, maxLength: COUNT },
);
const WITHOUT_TARGET = /^(nop|blr|bnelr|isync|lwz.*)$/;
const BODY = CODE + 16;
const WORDS = 3;

/** Code of random branches; a register that changes with each says whether a conditional one is taken. */
const sourceOf = (program: readonly { kind: string; to: number }[]): string => {
  const body = program.map(({ kind, to }, index) => {
    // None goes to the instruction behind it: whether it was taken would not show.
    const target = BODY + (to === index + 1 ? index : to) * WORDS * 4;
    const last = WITHOUT_TARGET.test(kind) ? kind : `${kind} 0x${target.toString(16)}`;
    return `mulli 3,3,0x5a5; andi. 7,3,0x40; ${last}`;
  });
  return `li 6,23; mtctr 6; bl 1f; nop; 1: ${body.join('; ')}; sc`;
};

function begin(cpu: TestServer): void {
  cpu.setGprs({ 3: 0x9e37_79b9n, 4: SEGMENT + BigInt(DATA) });
  cpu.setDoubleword(CFAR, NOTHING);
}

test('random branches: each tier has what single steps find', () => {
  const [interpreted, translated, oracle] = [
    new TestServer('interpreted'),
    new TestServer('translated'),
    new TestServer('interpreted'),
  ];
  const cpus = { interpreted, translated };
  for (const cpu of [interpreted, translated, oracle]) prepare(cpu);
  fc.assert(
    fc.property(programs, fc.integer({ min: 20, max: 600 }), (program, budget) => {
      const source = sourceOf(program);
      for (const tier of ['interpreted', 'translated'] as const) {
        const cpu = cpus[tier];
        cpu.load(CODE, source);
        begin(cpu);
        cpu.run(CODE, 600);
        if (tier === 'translated') cpu.translate();
        begin(cpu);
        const { retired, pc } = cpu.run(CODE, budget);
        oracle.load(CODE, source);
        begin(oracle);
        oracle.setDoubleword(PC, SEGMENT + BigInt(CODE));
        let cfar = NOTHING;
        for (let i = 0; i < retired; i++) {
          const from = oracle.doubleword(PC);
          oracle.step();
          if (oracle.doubleword(PC) !== from + 4n) cfar = from;
        }
        assert.equal(oracle.doubleword(PC), SEGMENT + BigInt(pc));
        assert.equal(oracle.doubleword(CFAR), cfar);
        assert.equal(cpu.doubleword(CFAR), cfar, `${tier}: ${source}`);
      }
    }),
    { numRuns: 60 },
  );
  assert.ok(translated.regionEntries > 0);
});
