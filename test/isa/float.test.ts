/** Floating-point arithmetic against exact fractions: what the oracle of the instruction truth does not have right. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords, Decoder, type Instruction, SERVER_LEVELS } from '../../src/isa/index.ts';
import { Evaluator, MODE_64 } from './evaluator.ts';
import { add, divide, FLAG, type Fraction, fractionOf, multiply, type Rounded, round } from './float-reference.ts';
import { random } from './words.ts';

const decoder = new Decoder(SERVER_LEVELS);
const next = random(7);
const below = (n: number): number => next() % n;
const CHANGED = 0x1a07_f000;
const SIGN = 1n << 63n;

test('MSR[FP] and the enables of exceptions interrupt', () => {
  const [word] = assembleWords('fdiv f1,f2,f3');
  const execute = (available: number, interrupts: number, fpscr: number) => {
    const none = { gpr: new Array<bigint>(32).fill(0n), cr: 0, xer: 0, lr: 0n, ctr: 0n };
    const evaluator = new Evaluator(none, new DataView(new ArrayBuffer(8)), 0, MODE_64);
    evaluator.fpr[1] = 5n;
    evaluator.fpr[2] = 0x3ff0_0000_0000_0000n;
    Object.assign(evaluator.state, { floatAvailable: available, floatInterrupts: interrupts, fpscr });
    const { interrupt } = evaluator.execute(decoder.decode(word as number) as Instruction, word as number, 0, false);
    return { interrupt, target: evaluator.fpr[1], fpscr: evaluator.state.fpscr >>> 0 };
  };
  const [FX_ZX, FEX, ZE] = [0x8400_0000, 0x4000_0000, 0x10];
  assert.deepEqual(execute(0, 1, 0), { interrupt: 'floatingPointUnavailable', target: 5n, fpscr: 0 });
  const infinite = { interrupt: undefined, target: 0x7ff0_0000_0000_0000n, fpscr: FX_ZX + 0x5000 };
  assert.deepEqual(execute(1, 1, 0), infinite);
  assert.deepEqual(execute(1, 0, ZE), { interrupt: undefined, target: 5n, fpscr: FX_ZX + FEX + ZE });
  assert.deepEqual(execute(1, 1, ZE), { interrupt: 'program floatEnabled', target: 5n, fpscr: FX_ZX + FEX + ZE });
});

/** Runs `mnemonic f1,f2,f3[,f4]`; the answer is f1 and FPSCR. */
function run(mnemonic: string, operands: readonly bigint[], fpscr: number): { bits: bigint; fpscr: number } {
  const registers = operands.map((_, i) => `f${i + 2}`).join();
  const [word] = assembleWords(`${mnemonic} f1,${registers}`);
  const none = { gpr: new Array<bigint>(32).fill(0n), cr: 0, xer: 0, lr: 0n, ctr: 0n };
  const evaluator = new Evaluator(none, new DataView(new ArrayBuffer(8)), 0, MODE_64);
  operands.forEach((bits, i) => {
    evaluator.fpr[i + 2] = bits;
  });
  evaluator.state.fpscr = fpscr;
  evaluator.execute(decoder.decode(word as number) as Instruction, word as number, 0, false);
  return { bits: BigInt.asUintN(64, evaluator.fpr[1] as bigint), fpscr: evaluator.state.fpscr };
}

/** A finite double that is not zero, of many sizes, often with few digits. */
function finite(): bigint {
  const sign = below(2) ? SIGN : 0n;
  const digits = ((BigInt(next()) << 32n) | BigInt(next())) & ((1n << 52n) - 1n);
  const kept = digits & (-1n << BigInt(below(53)));
  const exponent = [1023 + below(8), 1023 + below(300) - 150, below(80), 2046 - below(80), 1 + below(2046)][below(5)];
  return sign | (BigInt(exponent as number) << 52n) | kept | (exponent === 0 ? 1n : 0n);
}

/** A finite single. */
function finiteSingle(): bigint {
  const exponent = BigInt(1023 - 126 + below(253));
  return (finite() & (SIGN | (((1n << 23n) - 1n) << 29n))) | (exponent << 52n);
}

const negated = ({ n, d }: Fraction): Fraction => ({ n: -n, d });
type Exact = (a: Fraction, b: Fraction, c: Fraction) => Fraction;
const FUSED: Exact = (a, c, b) => add(multiply(a, c), b);
const OPERATIONS: readonly (readonly [mnemonic: string, operands: number, exact: Exact])[] = [
  ['fadd', 2, (a, b) => add(a, b)],
  ['fsub', 2, (a, b) => add(a, negated(b))],
  ['fmul', 2, (a, b) => multiply(a, b)],
  ['fdiv', 2, (a, b) => divide(a, b)],
  ['fmadd', 3, FUSED],
  ['fmsub', 3, (a, c, b) => FUSED(a, c, negated(b))],
  ['fnmadd', 3, FUSED],
  ['fnmsub', 3, (a, c, b) => FUSED(a, c, negated(b))],
];
/** FPRF of the same number with the other sign. */
const OPPOSITE: Readonly<Record<number, number>> = { 5: 9, 9: 5, 2: 18, 18: 2, 4: 8, 8: 4, 20: 24, 24: 20 };

function check(name: string, operands: readonly bigint[], fpscr: number, expected: Rounded): void {
  const what = `${name} ${operands.map((bits) => bits.toString(16)).join(' ')} fpscr ${fpscr.toString(16)}`;
  const actual = run(name, operands, fpscr);
  const negates = name.startsWith('fn');
  assert.equal(actual.bits.toString(16), (expected.bits ^ (negates ? SIGN : 0n)).toString(16), what);
  const kind = negates ? (OPPOSITE[expected.class] as number) : expected.class;
  const undefinedBits = expected.frUndefined ? FLAG.FR : 0;
  const flags = (expected.flags | (kind << 12)) & ~undefinedBits;
  assert.equal((actual.fpscr & CHANGED & ~undefinedBits).toString(16), flags.toString(16), what);
}

for (const [mnemonic, count, exact] of OPERATIONS) {
  test(`${mnemonic} rounds as fractions do, in all modes, with exceptions enabled and not`, () => {
    for (let i = 0; i < 1500; i++) {
      const single = below(2) === 1;
      const fpscr = below(4) | (below(2) ? next() & 0xf8 : 0);
      // What has to be adjusted twice is undefined: operands of single precision are such numbers.
      const adjusts = single && (fpscr & 0x60) !== 0;
      const operands = Array.from({ length: count }, () => (adjusts ? finiteSingle() : finite()));
      // Sums of numbers of like size, and products that nearly cancel.
      if (below(3) === 0) operands[count - 1] = (operands[0] as bigint) ^ BigInt(below(4)) ^ (below(2) ? SIGN : 0n);
      const [a, b, c] = operands.map(fractionOf) as [Fraction, Fraction, Fraction];
      const result = exact(a, b, c);
      if (result.n === 0n) continue;
      check(mnemonic + (single ? 's' : ''), operands, fpscr, round(result, single, fpscr));
    }
  });
}

test('a root is the number whose square is nearest, in all modes', () => {
  for (let i = 0; i < 1000; i++) {
    const operand = finite() & ~SIGN;
    const fpscr = below(4);
    const single = below(2) === 1;
    const { bits, fpscr: after } = run(single ? 'fsqrts' : 'fsqrt', [operand], fpscr);
    // The root to 200 bits, and something more when that is not all.
    const { n, d } = fractionOf(operand);
    const SCALE = 1300n;
    const whole = integerRoot((n << (2n * SCALE)) / d);
    const isExact = whole * whole * d === n << (2n * SCALE);
    const root = { n: isExact ? whole : 2n * whole + 1n, d: isExact ? 1n << SCALE : 1n << (SCALE + 1n) };
    const expected = round(root, single, fpscr);
    assert.equal(bits.toString(16), expected.bits.toString(16), operand.toString(16));
    const flags = expected.flags | (expected.class << 12);
    const compared = expected.frUndefined ? ~FLAG.FR : -1;
    assert.equal((after & CHANGED & compared).toString(16), (flags & compared).toString(16));
  }
});

function integerRoot(value: bigint): bigint {
  let root = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const better = (root + value / root) >> 1n;
    if (better >= root) return root;
    root = better;
  }
}

test('integers are rounded as RN says, with FR when that is away from zero', () => {
  const cases: readonly (readonly [value: number, mode: number, integer: bigint, flags: number])[] = [
    [2.5, 0, 2n, FLAG.FI],
    [3.5, 0, 4n, FLAG.FI | FLAG.FR],
    [-0.5, 0, 0n, FLAG.FI],
    [-0.75, 3, -1n, FLAG.FI | FLAG.FR],
    [1.25, 2, 2n, FLAG.FI | FLAG.FR],
    [-1.75, 1, -1n, FLAG.FI],
    [7, 2, 7n, 0],
  ];
  const view = new DataView(new ArrayBuffer(8));
  for (const [value, mode, integer, flags] of cases) {
    view.setFloat64(0, value);
    const { bits, fpscr } = run('fctid', [view.getBigUint64(0)], mode);
    assert.equal(BigInt.asIntN(64, bits), integer);
    assert.equal(fpscr & (FLAG.FI | FLAG.FR), flags, `${value} in mode ${mode}`);
  }
});
