/** Decimal floating point: where the oracle is not the architecture's word. */
import { fieldBits } from '../../../src/isa/index.ts';
import { ENDED } from '../outcome.ts';
import type { WideCase } from './batch.ts';
import { OUTCOME, type Outcomes, STATE, vsrPlace } from './state.ts';

const FR = 0x4_0000n;
const FEX = 0x4000_0000n;
const FPRF = 0x1_f000n;
const ENABLES = 0xf8n;

function excuse(expected: Outcomes, actual: Outcomes, at: number, mask: bigint): void {
  expected[at] = ((expected[at] as bigint) & ~mask) | ((actual[at] as bigint) & mask);
}

export function correctDecimal(
  { word, mnemonic }: WideCase,
  before: BigUint64Array,
  expected: Outcomes,
  actual: Outcomes,
  at: number,
): void {
  if (!isDecimal(mnemonic)) return;
  const from = at - OUTCOME.state;
  const fpscr = at + STATE.fpscr;
  // The oracle does not interrupt, and writes where an enabled exception forbids it; nor does it adjust exponents.
  const enabled = ((before[STATE.fpscr] as bigint) & ENABLES) !== 0n;
  const interrupts = Number(actual[from + OUTCOME.ended]) === ENDED.other && ((actual[fpscr] as bigint) & FEX) !== 0n;
  if (enabled && interrupts) {
    expected.set(actual.subarray(from, from + OUTCOME.words), from);
    return;
  }
  const target = fieldBits(word, 'FRT');
  const pair = Math.min(target + 1, 31);
  // The right halves are undefined, and stay as they were; so does the odd register where the oracle has the result.
  if (!/^d(cmp|tst)/.test(mnemonic))
    for (const register of [target, pair]) {
      const place = vsrPlace(register, 1);
      expected[at + place] = before[place] as bigint;
    }
  excuse(expected, actual, fpscr, FR);
  if (Number(expected[from + OUTCOME.ended]) === ENDED.illegal) return;
  if (mnemonic === 'drdpq') {
    const VXSNAN = 0xa100_0000n;
    excuse(expected, actual, fpscr, VXSNAN);
    if (fieldBits(word, 'Rc')) excuse(expected, actual, at + STATE.cr, 0x0f00_0000n);
    expected[at + STATE.fpr + target] = expected[at + STATE.fpr + pair] as bigint;
    expected[at + STATE.fpr + pair] = before[STATE.fpr + pair] as bigint;
  }
  // What is no number has a class, and VE alone enables its exception.
  const operand = before[STATE.fpr + fieldBits(word, /^dsc/.test(mnemonic) ? 'FRA' : 'FRB')] as bigint;
  const special = ((operand >> 59n) & 15n) === 15n;
  // Payloads that do not fit, digits of infinities, and bits behind them that count for nothing.
  if (special && /^d(rsp|rdpq|dedpd|iex|scli|scri)/.test(mnemonic))
    for (const register of [target, pair]) excuse(expected, actual, at + STATE.fpr + register, -1n);
  // It takes ten for a digit, and loses what a long payload comes from.
  const digits = `${operand.toString(16)} ${(before[STATE.fpr + Math.min(fieldBits(word, 'FRB') + 1, 31)] as bigint).toString(16)}`;
  if (/^denbcd/.test(mnemonic) && digits.includes('a')) {
    expected.set(actual.subarray(from, from + OUTCOME.words), from);
    return;
  }
  if (/^(denbcd|drrnd)/.test(mnemonic)) {
    excuse(expected, actual, fpscr, FPRF | FEX);
    if (fieldBits(word, 'Rc')) excuse(expected, actual, at + STATE.cr, 0x0400_0000n);
  }
}

const DECIMAL =
  /^d(add|sub|mul|div|cmp[ou]|tst|qua|rrnd|rint|ctdp|ctqpq|rsp|rdpq|cffix|ctfix|dedpd|enbcd|xex|iex|sc[lr]i)/;
const isDecimal = (mnemonic: string): boolean => DECIMAL.test(mnemonic);
