/** Interrupts are precise in both tiers: address, syndrome, PC, and registers as if the instruction had not begun. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BOOKE_VECTOR, ESR } from '../../src/processor/index.ts';
import { bothTiers, type Ending, TestCpu } from './test-cpu.ts';

const CODE = 0x1000;
const DATA = 0x70000000;
const { alignment, dataStorage, dataTlbError, floatingPointUnavailable, instructionTlbError, program, systemCall } =
  BOOKE_VECTOR;

/** DATA and the page behind it can be read and written; before them nothing; then one to read, then nothing. */
function prepare(cpu: TestCpu): void {
  cpu.map(0, CODE, CODE, { access: 'x' });
  cpu.map(1, DATA, 0x5000, { access: 'rw' });
  cpu.map(2, DATA + 0x1000, 0x6000, { access: 'rw' });
  cpu.map(3, DATA + 0x2000, 0x7000, { access: 'r' });
  for (let at = 0x5000; at < 0x8000; at += 4) cpu.write32(at, at * 0x01010101);
}

const END_OF_DATA = DATA + 0x3000;
const READ_ONLY = DATA + 0x2000;

interface Expected {
  readonly vector: number;
  readonly address: number;
  readonly syndrome: number;
}

const REGISTERS = Object.fromEntries(Array.from({ length: 32 }, (_, n) => [n, 0x01010101 * n]));

/** Runs an instruction between others, and sees that only those have been done. */
function fails(cpu: TestCpu, instruction: string, registers: Record<number, number>, expected: Expected): void {
  cpu.load(CODE, `addi 20,20,1; addic. 21,21,-1; ${instruction}; addi 22,22,1; sc`);
  const values: Record<number, number> = { ...REGISTERS };
  for (const [n, value] of Object.entries(registers)) values[Number(n)] = value >>> 0;
  const storage = [...cpu.memory.readBytes(0x10005000, 0x3000)];
  const check = ({ vector, address, syndrome, pc, retired }: Ending): void => {
    const name = `${instruction}, ${cpu.tier}`;
    assert.deepEqual({ vector, address, syndrome }, expected, name);
    assert.equal(pc, CODE + 8, name);
    assert.equal(retired, 2, name);
    const after = Object.fromEntries(Array.from({ length: 32 }, (_, n) => [n, cpu.gpr(n)]));
    const done = { 20: (values[20] as number) + 1, 21: (values[21] as number) - 1 };
    assert.deepEqual(after, { ...values, ...done }, name);
    assert.deepEqual([...cpu.memory.readBytes(0x10005000, 0x3000)], storage, name);
  };
  for (let round = 0; round < 2; round++) {
    cpu.setGprs(values);
    check(cpu.run(CODE));
    if (round === 0) cpu.translate();
  }
}

const miss = (address: number, syndrome = 0): Expected => ({ vector: dataTlbError, address, syndrome });
const denied = (address: number, syndrome: number = ESR.ST): Expected => ({ vector: dataStorage, address, syndrome });

bothTiers('loads that miss', (cpu) => {
  prepare(cpu);
  for (const address of [0x60000000, DATA - 1, END_OF_DATA, 0, 0xffffffff]) {
    fails(cpu, 'lbz 3,0(4)', { 4: address }, miss(address));
    fails(cpu, 'lbzu 3,1(4)', { 4: address - 1 }, miss(address));
    fails(cpu, 'lbzux 3,4,5', { 4: address - 8, 5: 8 }, miss(address));
  }
  fails(cpu, 'lwz 3,0(4)', { 4: 0x60000000 }, miss(0x60000000));
  fails(cpu, 'lwzu 4,4(3)', { 3: 0x5ffffffc }, miss(0x60000000));
  fails(cpu, 'lhau 4,4(3)', { 3: 0x5ffffffd }, miss(0x60000001));
  fails(cpu, 'lwarx 3,0,4', { 4: 0x60000000 }, miss(0x60000000));
  fails(cpu, 'lmw 29,0(4)', { 4: 0x60000000 }, miss(0x60000000));
  fails(cpu, 'lswi 5,4,7', { 4: 0x60000001 }, miss(0x60000001));
  fails(cpu, 'dcbf 0,4', { 4: 0x60000044 }, miss(0x60000044));
});

bothTiers('stores that miss or may not', (cpu) => {
  prepare(cpu);
  const both = (instruction: string, registers: (address: number) => Record<number, number>): void => {
    for (const [address, expected] of [
      [0x60000000, miss(0x60000000, ESR.ST)],
      [READ_ONLY + 8, denied(READ_ONLY + 8)],
    ] as const)
      fails(cpu, instruction, registers(address), expected);
  };
  both('stw 3,0(4)', (address) => ({ 4: address }));
  both('stwu 3,-8(4)', (address) => ({ 4: address + 8 }));
  both('stwux 3,4,5', (address) => ({ 4: 0x1000, 5: address - 0x1000 }));
  both('sthbrx 3,0,4', (address) => ({ 4: address }));
  both('stb 3,1(4)', (address) => ({ 4: address - 1 }));
  both('stmw 30,0(4)', (address) => ({ 4: address }));
  both('stswi 5,4,6', (address) => ({ 4: address }));
});

bothTiers('accesses across pages tell the page that fails, and do nothing in the other', (cpu) => {
  prepare(cpu);
  for (let inside = 1; inside < 4; inside++) {
    fails(cpu, 'lwz 3,0(4)', { 4: END_OF_DATA - inside }, miss(END_OF_DATA));
    fails(cpu, 'lwzu 3,8(4)', { 4: END_OF_DATA - inside - 8 }, miss(END_OF_DATA));
    fails(cpu, 'lwbrx 3,0,4', { 4: END_OF_DATA - inside }, miss(END_OF_DATA));
    fails(cpu, 'lwz 3,0(4)', { 4: DATA - inside }, miss(DATA - inside));
    fails(cpu, 'stw 3,0(4)', { 4: READ_ONLY - inside }, denied(READ_ONLY));
    fails(cpu, 'stwu 3,4(4)', { 4: READ_ONLY - inside - 4 }, denied(READ_ONLY));
    fails(cpu, 'stw 3,0(4)', { 4: DATA - inside }, miss(DATA - inside, ESR.ST));
  }
  fails(cpu, 'lhz 3,0(4)', { 4: END_OF_DATA - 1 }, miss(END_OF_DATA));
  fails(cpu, 'sth 3,0(4)', { 4: READ_ONLY - 1 }, denied(READ_ONLY));
});

bothTiers('unaligned and page-crossing accesses that succeed', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'stw 3,0(4); lwz 5,0(4); lhz 6,1(4); lwbrx 7,0,4; sthbrx 5,0,8; lhbrx 9,0,8; sc');
  const store = (): void => cpu.setGprs({ 3: 0x12345678, 5: 0, 6: 0, 7: 0, 9: 0 });
  for (const address of [DATA + 1, DATA + 2, DATA + 3, DATA + 0xffd, DATA + 0xffe, DATA + 0xfff, DATA + 0x7ff]) {
    cpu.setGprs({ 4: address, 8: DATA + 0xfff });
    assert.equal(cpu.runTwice(CODE, store).vector, systemCall);
    assert.deepEqual(
      [5, 6, 7, 9].map((n) => cpu.gpr(n)),
      [0x12345678, 0x3456, 0x78563412, 0x5678],
      address.toString(16),
    );
  }
});

bothTiers('the conditional pair takes aligned words only', (cpu) => {
  prepare(cpu);
  for (let offset = 1; offset < 4; offset++) {
    const address = DATA + 0x20 + offset;
    fails(cpu, 'lwarx 3,0,4', { 4: address }, { vector: alignment, address, syndrome: 0 });
    fails(cpu, 'stwcx. 3,0,4', { 4: address }, { vector: alignment, address, syndrome: ESR.ST });
  }
});

bothTiers('dcbz clears a block, and nothing where it may not write', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'dcbz 0,4; sc');
  const before = [...cpu.memory.readBytes(0x10005000, 0x80)];
  const put = (): void => {
    cpu.memory.writeBytes(0x10005000, Uint8Array.from(before));
    cpu.setGpr(4, DATA + 0x2b);
  };
  assert.equal(cpu.runTwice(CODE, put).vector, systemCall);
  assert.deepEqual(
    [...cpu.memory.readBytes(0x10005000, 0x80)],
    before.map((byte, i) => (i >= 0x20 && i < 0x40 ? 0 : byte)),
  );
  cpu.setGpr(4, READ_ONLY + 0x2b);
  const { vector, address, syndrome } = cpu.run(CODE);
  assert.deepEqual([vector, address & ~31, syndrome], [dataStorage, READ_ONLY + 0x20, ESR.ST]);
});

bothTiers('instructions that are refused', (cpu) => {
  prepare(cpu);
  // An interrupt that has no address leaves the last one's where it was.
  const refused = (
    instruction: string,
    vector: number,
    syndrome: number,
    registers: Record<number, number> = {},
  ): void => {
    cpu.load(CODE, `addi 20,20,1; ${instruction}; sc`);
    for (let round = 0; round < 2; round++) {
      cpu.setGprs({ ...REGISTERS, ...registers });
      const ending = cpu.run(CODE);
      assert.deepEqual(
        [ending.vector, ending.syndrome, ending.pc, ending.retired],
        [vector, syndrome, CODE + 4, 1],
        instruction,
      );
      assert.equal(cpu.gpr(3), registers[3] ?? REGISTERS[3]);
      cpu.translate();
    }
  };
  refused('.long 0', program, ESR.PIL);
  refused('.long 0x7c0003e6', program, ESR.PIL);
  refused('lwzu 3,4(3)', program, ESR.PIL);
  refused('stwu 3,4(0)', program, ESR.PIL);
  refused('lswi 3,4,8', program, ESR.PIL, { 4: DATA });
  refused('lswi 3,3,4', program, ESR.PIL, { 3: DATA });
  for (const instruction of [
    'mfmsr 3',
    'mtmsr 3',
    'rfi',
    'rfci',
    'tlbwe 3,4,0',
    'tlbre 3,4,0',
    'wrteei 1',
    'mfdcr 3,0x10',
  ])
    refused(instruction, program, ESR.PPR);
  for (const instruction of ['mfspr 3,26', 'mtspr 272,3', 'mfspr 3,48', 'mtspr 1023,3'])
    refused(instruction, program, ESR.PPR);
  for (const instruction of ['mtspr 260,3', 'mfspr 3,5']) refused(instruction, program, ESR.PIL);
  refused('trap', program, ESR.PTR);
  refused('twlgei 3,3', program, ESR.PTR);
  refused('fadd 1,2,3', floatingPointUnavailable, 0);
  refused('lfd 1,0(4)', floatingPointUnavailable, 0, { 4: DATA });
});

bothTiers('a system call counts as done', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'addi 3,3,1; sc; addi 3,3,16; sc');
  const reset = (): void => cpu.setGpr(3, 0);
  const ending = cpu.runTwice(CODE, reset);
  assert.deepEqual([ending.vector, ending.pc, ending.retired, cpu.gpr(3)], [systemCall, CODE + 8, 2, 1]);
  const next = cpu.resume();
  assert.deepEqual([next.vector, next.pc, next.retired, cpu.gpr(3)], [systemCall, CODE + 16, 2, 17]);
});

bothTiers('falling off a page into one that is not there', (cpu) => {
  prepare(cpu);
  cpu.load(0x1ff8, 'addi 3,3,1; addi 3,3,1', 0x1ff8);
  const ending = cpu.runTwice(0x1ff8, () => cpu.setGpr(3, 0));
  assert.deepEqual(
    [ending.vector, ending.pc, ending.address, ending.retired, cpu.gpr(3)],
    [instructionTlbError, 0x2000, 0x2000, 2, 2],
  );
});

bothTiers('an interrupt in a loop: as many rounds, and all state', (cpu) => {
  prepare(cpu);
  // Walks up until it falls off the end of the data, summing as it goes.
  cpu.load(CODE, '1: lwzu 5,4(4); add 6,6,5; addc. 7,7,5; addze 8,8; bne 1b; b 1b');
  const ending = cpu.runTwice(CODE, () => cpu.setGprs({ 4: DATA - 4, 5: 0, 6: 0, 7: 0, 8: 0 }));
  assert.deepEqual([ending.vector, ending.address, ending.pc], [dataTlbError, END_OF_DATA, CODE]);
  assert.equal(cpu.gpr(4), END_OF_DATA - 4);
  let low = 0;
  let carries = 0;
  for (let at = 0x5000; at < 0x8000; at += 4) {
    const value = (at * 0x01010101) >>> 0;
    if (low + value > 0xffffffff) carries++;
    low = (low + value) >>> 0;
  }
  assert.deepEqual([cpu.gpr(6), cpu.gpr(7), cpu.gpr(8)], [low, low, carries]);
});

test('the time base is read through the option, whole', () => {
  for (const tier of ['interpreted', 'translated'] as const) {
    const cpu = new TestCpu(tier, { timebase: () => 0x12_3456_789a + 0.5 });
    prepare(cpu);
    cpu.load(CODE, 'mftb 3; mftbu 4; mfspr 5,268; mfspr 6,269; sc');
    cpu.runTwice(CODE, () => cpu.setGprs({ 3: 0, 4: 0, 5: 0, 6: 0 }));
    assert.deepEqual(
      [3, 4, 5, 6].map((n) => cpu.gpr(n)),
      [0x3456789a, 0x12, 0x3456789a, 0x12],
    );
  }
});
