/** Estimates of vector instructions against the functions themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords, Decoder, type Instruction, SERVER_LEVELS } from '../../src/isa/index.ts';
import { Evaluator, MODE_64 } from './evaluator.ts';

const decoder = new Decoder(SERVER_LEVELS);
const view = new DataView(new ArrayBuffer(8));

/** What an instruction makes of a number that stands in all elements, with VSCR[NJ]=0. */
function estimate(mnemonic: string, x: number): number {
  const [word] = assembleWords(`${mnemonic} v1,v2`) as unknown as [number];
  const none = { gpr: new Array<bigint>(32).fill(0n), cr: 0, xer: 0, lr: 0n, ctr: 0n };
  const evaluator = new Evaluator(none, new DataView(new ArrayBuffer(8)), 0, MODE_64);
  view.setFloat32(0, x);
  view.setFloat32(4, x);
  evaluator.vsrs[34] = [view.getBigInt64(0), view.getBigInt64(0)];
  evaluator.execute(decoder.decode(word) as Instruction, word, 0, false);
  const [left, right] = evaluator.vsr(33) as [bigint, bigint];
  assert.equal(left, right);
  view.setBigInt64(0, left);
  assert.equal(view.getUint32(0), view.getUint32(4));
  return view.getFloat32(0);
}

test('powers of two are near, and exact for whole numbers', () => {
  for (let n = -149; n <= 127; n++) assert.equal(estimate('vexptefp', n), 2 ** n);
  for (let x = -125; x < 128; x += 0.3717) {
    const expected = 2 ** Math.fround(x);
    assert.ok(Math.abs(estimate('vexptefp', x) / expected - 1) < 2 ** -20, `2^${x}`);
  }
  const ends: readonly (readonly [number, number])[] = [
    [1000, Number.POSITIVE_INFINITY],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    [128, Number.POSITIVE_INFINITY],
    [-1000, 0],
    [Number.NEGATIVE_INFINITY, 0],
  ];
  for (const [x, power] of ends) assert.equal(estimate('vexptefp', x), power);
});

test('logarithms are near, and exact for powers of two', () => {
  for (let n = -149; n <= 127; n++) assert.equal(estimate('vlogefp', 2 ** n), n);
  for (let n = -126; n < 128; n++) {
    const x = Math.fround(2 ** n * (1 + (n * n * 0.618) / 16129));
    assert.ok(Math.abs(estimate('vlogefp', x) - Math.log2(x)) < 2 ** -16, `log2 ${x}`);
  }
  assert.equal(estimate('vlogefp', 0), Number.NEGATIVE_INFINITY);
  assert.equal(estimate('vlogefp', Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY);
  assert.ok(Number.isNaN(estimate('vlogefp', -1)));
});
