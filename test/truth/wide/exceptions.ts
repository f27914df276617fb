/** Where the oracle is not the architecture's word: what is expected instead. Everything else has to be as it has it. */
import { fieldBits } from '../../../src/isa/index.ts';
import { ENDED } from '../outcome.ts';
import type { WideBatch } from './batch.ts';
import { correctDecimal } from './exceptions-decimal.ts';
import { correctVector } from './exceptions-vector.ts';
import { correctVsx } from './exceptions-vsx.ts';
import { OUTCOME, type Outcomes, STATE } from './state.ts';

const FR = 0x4_0000n;
const OV = 0x4000_0000n;
const SO = 0x8000_0000n;

/**
 * divde whose quotient does not fit: the oracle takes some of them for ones that do, because it looks at the wrong bits
 * of the high half.
 */
function correctDivide(word: number, before: BigUint64Array, expected: Outcomes, at: number): void {
  const a = BigInt.asIntN(64, before[fieldBits(word, 'RA')] as bigint);
  const b = BigInt.asIntN(64, before[fieldBits(word, 'RB')] as bigint);
  if (b !== 0n) {
    const quotient = (a << 64n) / b;
    if (quotient === BigInt.asIntN(64, quotient)) return;
  }
  expected[at + fieldBits(word, 'RT')] = 0n;
  let xer = before[STATE.xer] as bigint;
  if (fieldBits(word, 'OE')) xer |= OV | SO;
  expected[at + STATE.xer] = xer;
  if (fieldBits(word, 'Rc'))
    expected[at + STATE.cr] = ((before[STATE.cr] as bigint) & 0x0fff_ffffn) | ((2n | (xer >> 31n)) << 28n);
}

const SINGLE_TINY = 0x3810_0000_0000_0000n;
const FPRF = 0x1_f000n;
const C = 0x1_0000n;
const FI = 0x2_0000n;
const ENABLED = { OX: 0x1000_0000n, UX: 0x0800_0000n, OE: 0x40n, UE: 0x20n } as const;

/**
 * Arithmetic. The oracle knows nothing of FR; it takes single-precision denormals for normal numbers; it does not adjust
 * the exponent when overflow and underflow are enabled; and it negates before it rounds. What is right there is tested
 * against a reference of our own (float.test.ts).
 */
export function correctFloat(
  word: number,
  mnemonic: string,
  before: BigUint64Array,
  expected: Outcomes,
  actual: Outcomes,
  at: number,
): void {
  const fpscr = at + STATE.fpscr;
  expected[fpscr] = ((expected[fpscr] as bigint) & ~FR) | ((actual[fpscr] as bigint) & FR);
  const opcode = word >>> 26;
  if (opcode !== 59 && opcode !== 63) return;
  const target = at + STATE.fpr + fieldBits(word, 'FRT');
  const flags = actual[fpscr] as bigint;
  const had = before[STATE.fpscr] as bigint;
  const adjusts =
    ((flags & ENABLED.OX) !== 0n && (had & ENABLED.OE) !== 0n) ||
    ((flags & ENABLED.UX) !== 0n && (had & ENABLED.UE) !== 0n);
  const negates = /^fnm(add|sub)/.test(mnemonic) && (had & 2n) !== 0n;
  // Conversions are interrupted before they write, and all arithmetic before CR1; integers have no FPRF.
  const interrupted = Number(expected[at - OUTCOME.state + OUTCOME.ended]) === ENDED.other;
  if (interrupted && fieldBits(word, 'Rc')) expected[at + STATE.cr] = actual[at + STATE.cr] as bigint;
  const converts = /^fcfid/.test(mnemonic) && interrupted;
  if (/^fcfid./.test(mnemonic)) expected[fpscr] = ((expected[fpscr] as bigint) & ~FPRF) | (flags & FPRF);
  // Bits that are set by hand set FX too (4.2.2).
  if (mnemonic === 'mtfsb1') {
    // FX, and NI, which the oracle does not let be set so.
    const IMPLIED = 0x8000_0004n;
    expected[fpscr] = ((expected[fpscr] as bigint) & ~IMPLIED) | (flags & IMPLIED);
    if (fieldBits(word, 'Rc')) expected[at + STATE.cr] = actual[at + STATE.cr] as bigint;
  }
  if (adjusts || negates) {
    const from = at - OUTCOME.state;
    expected.set(actual.subarray(from, from + OUTCOME.words), from);
    return;
  }
  // The estimate of 1 ÷ 0 is infinite (4.6.6.1); whether an estimate is inexact is not defined.
  const zero = ((before[STATE.fpr + fieldBits(word, 'FRB')] as bigint) & ~(1n << 63n)) === 0n;
  const ofZero = /^fres?$/.test(mnemonic) && zero;
  if (/^fr(e|sqrte)s?$/.test(mnemonic)) expected[fpscr] = ((expected[fpscr] as bigint) & ~FI) | (flags & FI);
  // A comparison leaves C as it is, and VXVC too after an enabled VXSNAN (4.6.8).
  const compared = C | ((flags & 0x0100_0080n) === 0x0100_0080n ? 0x8_0000n : 0n);
  if (mnemonic === 'fcmpo') expected[fpscr] = ((expected[fpscr] as bigint) & ~compared) | (flags & compared);
  if (converts || ofZero) {
    expected[target] = actual[target] as bigint;
    expected[fpscr] = flags;
    return;
  }
  const magnitude = (expected[target] as bigint) & ~(1n << 63n);
  if ((opcode === 59 || mnemonic === 'frsp') && magnitude !== 0n && magnitude < SINGLE_TINY)
    expected[fpscr] = ((expected[fpscr] as bigint) & ~FPRF) | (flags & FPRF);
}

/** Rewrites what the oracle said of one execution to what the architecture says. */
export function correctWide(batch: WideBatch, execution: number, expected: Outcomes, actual: Outcomes): void {
  const { state, subject } = batch.executions[execution] as WideBatch['executions'][number];
  const { word, mnemonic } = batch.cases[subject] as WideBatch['cases'][number];
  const from = execution * OUTCOME.words;
  if (mnemonic === 'divde') correctDivide(word, state, expected, from + OUTCOME.state);
  correctVector(batch.cases[subject] as WideBatch['cases'][number], state, expected, from + OUTCOME.state);
  correctVsx(batch.cases[subject] as WideBatch['cases'][number], state, expected, actual, from + OUTCOME.state);
  correctDecimal(batch.cases[subject] as WideBatch['cases'][number], state, expected, actual, from + OUTCOME.state);
  correctFloat(word, mnemonic, state, expected, actual, from + OUTCOME.state);
  // Any byte of the cache block will do (Power ISA 2.07 Book III-S, DAR).
  const address = from + OUTCOME.address;
  if (/^(icbi|dcb)/.test(mnemonic) && ((expected[address] as bigint) ^ (actual[address] as bigint)) >> 7n === 0n)
    expected[address] = actual[address] as bigint;
}
