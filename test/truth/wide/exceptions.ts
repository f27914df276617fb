/** Where the oracle is not the architecture's word: what is expected instead. Everything else has to be as it has it. */
import { fieldBits } from '../../../src/isa/index.ts';
import type { WideBatch } from './batch.ts';
import { OUTCOME, type Outcomes, STATE } from './state.ts';

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

/** Rewrites what the oracle said of one execution to what the architecture says. */
export function correctWide(batch: WideBatch, execution: number, expected: Outcomes, actual: Outcomes): void {
  const { state, subject } = batch.executions[execution] as WideBatch['executions'][number];
  const { word, mnemonic } = batch.cases[subject] as WideBatch['cases'][number];
  const from = execution * OUTCOME.words;
  if (mnemonic === 'divde') correctDivide(word, state, expected, from + OUTCOME.state);
  // Any byte of the cache block will do (Power ISA 2.07 Book III-S, DAR).
  const address = from + OUTCOME.address;
  if (/^(icbi|dcb)/.test(mnemonic) && ((expected[address] as bigint) ^ (actual[address] as bigint)) >> 7n === 0n)
    expected[address] = actual[address] as bigint;
}
