/** The time base between two readings of the clock. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEGMENT, TestServer } from './test-server.ts';

const CODE = 0x1000;
const DATA = 0x4000;
const READINGS = 2000;

/** Reads the time base again and again, with `work` between, into a list. */
function readings(tier: 'interpreted' | 'translated', timebase: () => number, timebaseStep: number, work: string) {
  const server = new TestServer(tier, { timebase, timebaseStep });
  server.map(CODE);
  server.map(DATA, 8);
  server.load(CODE, `1: mftb 5; stdu 5,8(3); ${work}; bdnz 1b; sc`);
  server.setGprs({ 3: SEGMENT + BigInt(DATA - 8), 4: 200 });
  const at = (i: number): bigint => server.read64(DATA + 8 * i);
  for (let i = 0; i < 2; i++) {
    server.setGprs({ 3: SEGMENT + BigInt(DATA - 8) });
    server.setDoubleword(0x120, BigInt(READINGS));
    server.run(CODE, 10_000_000);
  }
  return Array.from({ length: READINGS }, (_, i) => at(i));
}

for (const tier of ['interpreted', 'translated'] as const) {
  test(`the time base never goes back and never runs ahead of the clock, ${tier}`, () => {
    let clock = 0;
    let calls = 0;
    // Each reading of the clock finds it a little later, as much as 512 instructions are counted for.
    const list = readings(
      tier,
      () => {
        calls++;
        clock += 26;
        return clock;
      },
      0.05,
      'addi 6,6,1',
    );
    for (const [i, ticks] of list.entries()) {
      if (i > 0) assert.ok(ticks >= (list[i - 1] as bigint), `reading ${i}`);
      assert.ok(ticks <= BigInt(clock) + 26n);
    }
    assert.ok(calls < (2 * READINGS) / 20, `${calls} calls`);
    assert.ok(calls > 8, `${calls} calls`);
    assert.ok((list[READINGS - 1] as bigint) > (list[0] as bigint));
  });

  test(`without a step the clock is read each time, ${tier}`, () => {
    let clock = 0;
    const list = readings(tier, () => ++clock, 0, 'nop');
    assert.equal(clock, 2 * READINGS);
    assert.deepEqual(
      list,
      Array.from({ length: READINGS }, (_, i) => BigInt(READINGS + 1 + i)),
    );
  });
}

test('what takes time in the midst of a run has the clock read again', () => {
  let clock = 0;
  const server = new TestServer('interpreted', {
    timebase: () => {
      clock += 1000;
      return clock;
    },
    timebaseStep: 0.05,
  });
  server.map(CODE, 2);
  // The second page is come by for the first time between the second and the third reading.
  server.load(CODE, 'mftb 5; mftb 6; b 0x2000');
  server.load(0x2000, 'mftb 7; sc');
  server.run(CODE);
  assert.equal(server.gpr(5), 1000n);
  assert.equal(server.gpr(6), 1000n);
  assert.equal(server.gpr(7), 2000n);
});
