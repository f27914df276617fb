/** Guests that recurse: calls of regions are calls of the host, whose stack has an end. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { BOOKE_VECTOR, STACK_BYTES } from '../../src/processor/index.ts';
import { bothTiers, TestCpu } from './test-cpu.ts';

const CODE = 0x1000;
const TOP = 0x3ff000;
const LEVELS = 60_000;
/** Set in the process with little stack that a test makes of this file. */
const IS_CHILD = process.env['POWERVISOR_SMALL_STACK'] !== undefined;

/** A function that calls itself as often as r3 says, keeps a frame each time, and counts on its way back; many instructions long. */
function load(cpu: TestCpu, filler: string): void {
  for (let i = 0; i < 4; i++) cpu.map(i, i * 0x100000, i * 0x100000, { size: '1M' });
  cpu.load(
    CODE,
    `bl 1f; sc
    1: cmpwi 3,0; bc 12,2,2f
    mflr 0; stwu 0,-8(1); stw 3,4(1)
    ${filler.repeat(40)}
    addi 3,3,-1; bl 1b
    lwz 3,4(1); lwz 0,0(1); mtlr 0; addi 1,1,8
    add 5,5,3
    2: blr`,
  );
}

function recurse(cpu: TestCpu): void {
  cpu.setGprs({ 1: TOP, 3: LEVELS, 5: 0 });
  const { vector } = cpu.run(CODE, 20_000_000);
  assert.equal(vector, BOOKE_VECTOR.systemCall);
  assert.equal(cpu.gpr(5), (LEVELS * (LEVELS + 1)) / 2);
  assert.equal(cpu.gpr(1), TOP);
}

const FILLERS = {
  sums: 'add 8,8,9; adde 9,9,8; xor 10,8,9; ',
  loads: 'lwz 8,-64(1); lwz 9,-60(1); stw 8,-56(1); ',
  flags: 'addo. 8,8,9; cmpw 3,8,9; cmplw 4,9,8; ',
} as const;

for (const [name, filler] of Object.entries(FILLERS)) {
  bothTiers(`deep recursion, ${name}`, (cpu) => {
    load(cpu, filler);
    for (let round = 0; round < 3; round++) {
      recurse(cpu);
      cpu.translate();
    }
    assert.equal(cpu.cpu.stats['host_stack_overflows'], 0);
    if (cpu.tier === 'translated') assert.ok(cpu.regionEntries > LEVELS / 2000);
  });
}

test('a stack that is smaller than was thought: the guest goes on', { skip: IS_CHILD }, () => {
  const cpu = new TestCpu('translated');
  load(cpu, FILLERS.sums);
  recurse(cpu);
  cpu.translate();
  cpu.setWord(STACK_BYTES, 2 ** 30);
  recurse(cpu);
  const { host_stack_overflows: overflows } = cpu.cpu.stats;
  assert.ok((overflows as number) > 0);
  for (let round = 0; round < 20; round++) recurse(cpu);
  // It learns from them.
  assert.ok((cpu.cpu.stats['host_stack_overflows'] as number) < 20);
});

for (const kilobytes of [120, 200, 400])
  test(`an engine with ${kilobytes} KB of stack`, { skip: IS_CHILD }, () => {
    const { status, stdout } = spawnSync(
      process.execPath,
      [`--stack-size=${kilobytes}`, '--test-reporter=tap', import.meta.filename],
      { env: { ...process.env, POWERVISOR_SMALL_STACK: '1', NODE_TEST_CONTEXT: undefined }, encoding: 'utf8' },
    );
    assert.equal(status, 0, stdout);
    assert.match(stdout, /# pass 6/);
  });
