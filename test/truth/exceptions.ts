/**
 * Where the oracle is not the architecture's word: what is expected instead (docs/instruction-truth.md says why, one by
 * one). Everything else has to be as the oracle has it.
 */
import { fieldBits, fieldValue, INSTRUCTIONS } from '../../src/isa/index.ts';
import type { Batch } from './batch.ts';
import { floatAt, STATE, setFloat } from './machine-state.ts';
import { ENDED, OUTCOME, type Outcomes } from './outcome.ts';
import { correctFloat } from './wide/exceptions.ts';
import { STATE as WIDE, OUTCOME as WIDE_OUTCOME } from './wide/state.ts';

/** Forms that the usual processor model of the oracle lacks, and a model that has them beside a floating-point unit. */
const OTHER_PROCESSORS: Readonly<Record<string, string>> = { isel: 'e500mc', mfdcrx: '460exb', mtdcrx: '460exb' };
export const USUAL_PROCESSOR = '440epb';

/** The oracle's processor model for a mnemonic. */
export function processorFor(mnemonic: string): string {
  return OTHER_PROCESSORS[mnemonic] ?? USUAL_PROCESSOR;
}

const FLOATS = new Set(INSTRUCTIONS.filter(({ level }) => level === 'float').map(({ mnemonic }) => mnemonic));
const isFloat = (mnemonic: string): boolean => FLOATS.has(mnemonic);

const low16 = (value: number, signed: boolean): bigint => BigInt(signed ? (value << 16) >> 16 : value & 0xffff);
const high16 = (value: number, signed: boolean): bigint => BigInt(signed ? value >> 16 : value >>> 16);

/**
 * The multiply-accumulates as the PowerPC 440 user's manual writes them: RT and the product are added exactly, and the
 * sum either fits or does not. The oracle never writes RT in the plain forms, and looks for overflow at the wrong signs.
 */
export function multiplyAccumulate(
  mnemonic: string,
  word: number,
  state: Int32Array,
): { rt: number; overflow: boolean } {
  const parts = /^(n?)mac(chw|hhw|lhw)(s?)(u?)$/.exec(mnemonic);
  if (!parts) throw new RangeError(`${mnemonic} is no multiply-accumulate`);
  const [, negative, halves, saturates, unsigned] = parts;
  const signed = unsigned === '';
  const a = state[fieldBits(word, 'RA')] as number;
  const b = state[fieldBits(word, 'RB')] as number;
  const left = halves === 'hhw' ? high16(a, signed) : low16(a, signed);
  const right = halves === 'lhw' ? low16(b, signed) : high16(b, signed);
  const total = state[fieldBits(word, 'RT')] as number;
  const accumulator = signed ? BigInt(total) : BigInt(total >>> 0);
  const exact = negative ? accumulator - left * right : accumulator + left * right;
  const [least, most] = signed ? [-(1n << 31n), (1n << 31n) - 1n] : [0n, (1n << 32n) - 1n];
  const overflow = exact < least || exact > most;
  let result = exact;
  if (overflow && saturates) result = exact < least ? least : most;
  return { rt: Number(BigInt.asIntN(32, result)), overflow };
}

const OV = 0x40000000;
const SO = -0x80000000;

function correctMultiplyAccumulate(
  mnemonic: string,
  word: number,
  state: Int32Array,
  expected: Outcomes,
  at: number,
): void {
  const { rt, overflow } = multiplyAccumulate(mnemonic, word, state);
  expected[at + fieldBits(word, 'RT')] = rt;
  let xer = state[STATE.xer] as number;
  if (fieldBits(word, 'OE')) xer = overflow ? xer | OV | SO : xer & ~OV;
  expected[at + STATE.xer] = xer;
  if (fieldBits(word, 'Rc')) {
    const sign = rt < 0 ? 8 : rt > 0 ? 4 : 2;
    expected[at + STATE.cr] = ((state[STATE.cr] as number) & 0x0fffffff) | (((sign | (xer >>> 31)) << 28) | 0);
  }
}

/** Words of a state beside the FPRs, and their places in the records that floating point is corrected in. */
const WIDE_WORDS = [
  [STATE.xer, WIDE.xer],
  [STATE.cr, WIDE.cr],
  [STATE.pc, WIDE.pc],
  [STATE.fpscr, WIDE.fpscr],
] as const;

function widened(state: Int32Array, from: number): BigUint64Array {
  const wide = new BigUint64Array(WIDE.words);
  for (const [word, place] of WIDE_WORDS) wide[place] = BigInt((state[from + word] as number) >>> 0);
  for (let n = 0; n < 32; n++) wide[WIDE.fpr + n] = floatAt(state, from + STATE.fpr + 2 * n);
  return wide;
}

/** What is corrected of floating point on 64-bit processors is so here. */
function correctFloats(
  word: number,
  mnemonic: string,
  state: Int32Array,
  expected: Outcomes,
  actual: Outcomes,
  from: number,
): void {
  const record = (outcomes: Outcomes): BigUint64Array => {
    const wide = new BigUint64Array(WIDE_OUTCOME.words);
    wide[WIDE_OUTCOME.ended] = BigInt(outcomes[from + OUTCOME.ended] as number);
    wide.set(widened(outcomes, from + OUTCOME.state), WIDE_OUTCOME.state);
    return wide;
  };
  const wide = record(expected);
  correctFloat(word, mnemonic, widened(state, 0), wide, record(actual), WIDE_OUTCOME.state);
  expected[from + OUTCOME.ended] = Number(wide[WIDE_OUTCOME.ended]);
  const to = from + OUTCOME.state;
  for (const [narrow, place] of WIDE_WORDS)
    expected[to + narrow] = Number(BigInt.asIntN(32, wide[WIDE_OUTCOME.state + place] as bigint));
  for (let n = 0; n < 32; n++)
    setFloat(expected, to + STATE.fpr + 2 * n, wide[WIDE_OUTCOME.state + WIDE.fpr + n] as bigint);
}

/** Rewrites what the oracle said of one execution of a single instruction to what the architecture says. */
export function correct(batch: Batch, execution: number, expected: Outcomes, actual: Outcomes): void {
  const { state, subject } = batch.executions[execution] as Batch['executions'][number];
  const { name, words, mnemonic } = batch.cases[subject] as Batch['cases'][number];
  const from = execution * OUTCOME.words;
  const address = from + OUTCOME.address;
  // An alignment interrupt's address does not come out of the oracle.
  if (expected[from + OUTCOME.ended] === ENDED.alignment) expected[address] = actual[address] as number;
  if (mnemonic === undefined) return;
  const word = words[0] as number;
  if (/^n?mac/.test(mnemonic)) correctMultiplyAccumulate(mnemonic, word, state, expected, from + OUTCOME.state);
  if (isFloat(mnemonic)) correctFloats(word, mnemonic, state, expected, actual, from);
  // An instruction that is not carried out changes nothing; the oracle has set LR before it sees that bcctrl is invalid.
  if (expected[from + OUTCOME.ended] === ENDED.illegal && name === 'bcctrl')
    expected[from + OUTCOME.state + STATE.lr] = state[STATE.lr] as number;
  // Any byte of the cache block will do (Power ISA 2.07 Book III-E, DEAR).
  if (/^(icbi|dcb)/.test(name) && ((expected[address] as number) ^ (actual[address] as number)) >>> 5 === 0)
    expected[address] = actual[address] as number;
  // Read-only copies in problem state: a number whose bit 0x10 is zero is not a privileged one.
  const spr = fieldValue(word, 'SPR');
  if (mnemonic === 'mtspr' && spr >= 260 && spr <= 263) expected[from + OUTCOME.ended] = ENDED.illegal;
}
