/** Vector-scalar instructions: where the oracle is not the architecture's word. */
import { fieldBits, fieldValue } from '../../../src/isa/index.ts';
import { ENDED } from '../outcome.ts';
import type { WideCase } from './batch.ts';
import { OUTCOME, type Outcomes, STATE, vsrPlace } from './state.ts';

const [FR, FI, FPRF] = [0x4_0000n, 0x2_0000n, 0x1_f000n] as const;
const C = 0x1_0000n;
const CAUSES = 0x1e00_0000n;
const FEX = 0x4000_0000n;
const SINGLE_TINY = 0x3810_0000_0000_0000n;
const ENABLED = { OX: 0x1000_0000n, UX: 0x0800_0000n, OE: 0x40n, UE: 0x20n, ZX: 0x0400_0000n, ZE: 0x10n } as const;
const UX = 0x0800_0000n;
const INEXACT = 0x9200_0000n | UX;
/** ZX, for 1 ÷ 0, of which the oracle does not know, with FX; whether an estimate is inexact is not defined. */
const OF_ESTIMATES = 0x8600_0000n;
const VXCVI = 0x100n;
const LEFT_WORD = 0xffff_ffff_0000_0000n;

/** Takes bits of a doubleword from our outcome. */
function excuse(expected: Outcomes, actual: Outcomes, at: number, mask: bigint): void {
  expected[at] = ((expected[at] as bigint) & ~mask) | ((actual[at] as bigint) & mask);
}

function excuseAll(expected: Outcomes, actual: Outcomes, at: number): void {
  const from = at - OUTCOME.state;
  expected.set(actual.subarray(from, from + OUTCOME.words), from);
}

/** Whether overflow or underflow are enabled and there: the oracle does not adjust the exponent. */
function adjusts(before: bigint, flags: bigint): boolean {
  const { OX, OE, UX, UE } = ENABLED;
  return ((flags & OX) !== 0n && (before & OE) !== 0n) || ((flags & UX) !== 0n && (before & UE) !== 0n);
}

const negates = (mnemonic: string, before: bigint): boolean => /^x[sv]nm/.test(mnemonic) && (before & 2n) !== 0n;

const isEstimate = (mnemonic: string): boolean => /^x[sv]r(e|sqrte)/.test(mnemonic);

const view = new DataView(new ArrayBuffer(8));
function numberOf(bits: bigint): number {
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}

/** Whether two doubles are at most one unit of single precision apart. */
function isNextSingle(a: bigint, b: bigint): boolean {
  const exponent = Math.max(Math.min(Number((a >> 52n) & 0x7ffn) - 1023, 127), -126);
  const finite = (bits: bigint): number => Math.max(-(2 ** 128), Math.min(numberOf(bits), 2 ** 128));
  return Math.abs(finite(a) - finite(b)) <= 2 ** (exponent - 23);
}

/** Whether each word is at most two more or less. */
function areNear(a: bigint, b: bigint): boolean {
  const isNear = (x: bigint): boolean => x >= -2n && x <= 2n;
  const [left, right] = [a - b, (a & 0xffff_ffffn) - (b & 0xffff_ffffn)];
  return isNear(right) && isNear((left - right) >> 32n);
}

/** What is undefined after a scalar instruction is as it was. */
function keepRightHalf(register: number, before: BigUint64Array, expected: Outcomes, at: number): void {
  const place = vsrPlace(register, 1);
  expected[at + place] = before[place] as bigint;
}

/** As in correctFloat: see there. Integers have no FPRF, and what is beside a word is undefined. */
function correctScalar(
  { word, mnemonic }: WideCase,
  before: BigUint64Array,
  expected: Outcomes,
  actual: Outcomes,
  at: number,
): void {
  const fpscr = at + STATE.fpscr;
  const had = before[STATE.fpscr] as bigint;
  const flags = actual[fpscr] as bigint;
  if (/^xs(t|cmp)/.test(mnemonic)) {
    // A comparison leaves C as it is, and VXVC too after an enabled VXSNAN.
    if (mnemonic === 'xscmpodp')
      excuse(expected, actual, fpscr, (flags & 0x0100_0080n) === 0x0100_0080n ? 0x8_0000n : 0n);
    excuse(expected, actual, fpscr, C);
    return;
  }
  const divides = isEstimate(mnemonic) && (flags & ENABLED.ZX) !== 0n && (had & ENABLED.ZE) !== 0n;
  if (divides || adjusts(had, flags) || negates(mnemonic, had)) {
    excuseAll(expected, actual, at);
    return;
  }
  const register = fieldValue(word, 'XT');
  const target = at + vsrPlace(register, 0);
  keepRightHalf(register, before, expected, at);
  excuse(expected, actual, fpscr, FR);
  if (/^xscvdp[su]x/.test(mnemonic)) excuse(expected, actual, fpscr, FPRF);
  if (/^xscvdp[su]xws/.test(mnemonic)) excuse(expected, actual, target, LEFT_WORD);
  if (isEstimate(mnemonic)) excuse(expected, actual, fpscr, FI | OF_ESTIMATES);
  // Roundings are interrupted before they write.
  const interrupted = Number(expected[at - OUTCOME.state + OUTCOME.ended]) === ENDED.other;
  if (interrupted && mnemonic === 'xsrsp') excuse(expected, actual, target, -1n);
  // The oracle rounds to double precision first.
  const isSingle = /^xs(add|sub|mul|div|sqrt|n?m)[a-z]*sp$/.test(mnemonic);
  if (isSingle && isNextSingle(expected[target] as bigint, actual[target] as bigint)) {
    excuse(expected, actual, target, -1n);
    excuse(expected, actual, fpscr, FI | FPRF | INEXACT);
  }
  const magnitude = (expected[target] as bigint) & ~(1n << 63n);
  const single = /^xs.*sp$/.test(mnemonic) && magnitude !== 0n && magnitude < SINGLE_TINY;
  if (single) excuse(expected, actual, fpscr, FPRF);
}

function correctVector(
  { word, mnemonic }: WideCase,
  before: BigUint64Array,
  expected: Outcomes,
  actual: Outcomes,
  at: number,
): void {
  const fpscr = at + STATE.fpscr;
  const had = before[STATE.fpscr] as bigint;
  const flags = actual[fpscr] as bigint;
  if (/^xvt/.test(mnemonic)) return;
  const targets = [0, 1].map((half) => vsrPlace(fieldValue(word, 'XT'), half as 0 | 1));
  // An enabled exception in any element: nothing is written, but the oracle, which ends with the first, or has written.
  if (((flags ^ had) & FEX) !== 0n || (had & FEX) !== 0n) {
    excuseAll(expected, actual, at);
    for (const target of targets) expected[at + target] = before[target] as bigint;
    return;
  }
  if (isEstimate(mnemonic)) {
    excuse(expected, actual, fpscr, OF_ESTIMATES);
    for (const target of targets)
      if (areNear(expected[at + target] as bigint, actual[at + target] as bigint))
        excuse(expected, actual, at + target, -1n);
  }
  // The oracle looks for underflow where there is no overflow only, in any element.
  if ((flags & ENABLED.OX) !== 0n) excuse(expected, actual, fpscr, UX);
  // It saturates all that follow an element that has no integer.
  if (/^xvcv[ds]p[su]x/.test(mnemonic) && (flags & VXCVI) !== 0n)
    for (const target of targets) excuse(expected, actual, at + target, -1n);
  // That it negates before it rounds can make an overflow of it, too, which is enabled.
  if (negates(mnemonic, had)) {
    for (const target of [...targets, STATE.fpscr]) excuse(expected, actual, at + target, -1n);
    if ((had & ENABLED.OE) !== 0n && expected[at - OUTCOME.state + OUTCOME.ended] === BigInt(ENDED.other))
      excuseAll(expected, actual, at);
  }
}

/** 2^x and logarithms are approximated in another way there; 2^x of numbers that are not small is not right. */
function correctEstimates(
  { word, mnemonic }: WideCase,
  before: BigUint64Array,
  expected: Outcomes,
  actual: Outcomes,
  at: number,
): void {
  for (const half of [0, 1] as const) {
    const place = at + vsrPlace(32 + fieldBits(word, 'VRT'), half);
    const [a, b] = [expected[place] as bigint, actual[place] as bigint];
    const operand = before[vsrPlace(32 + fieldBits(word, 'VRB'), half)] as bigint;
    let same = 0n;
    for (const shift of [0n, 32n]) {
      view.setBigUint64(0, (((a >> shift) & 0xffff_ffffn) << 32n) | ((b >> shift) & 0xffff_ffffn));
      const [x, y] = [view.getFloat32(0), view.getFloat32(4)];
      const exponent = Number((operand >> (shift + 23n)) & 0xffn);
      const large = mnemonic === 'vexptefp' && exponent >= 128 && exponent < 255;
      if (large || Math.abs(x - y) <= Math.abs(x) * 2 ** -20 + 2 ** -149) same |= 0xffff_ffffn << shift;
    }
    excuse(expected, actual, place, same);
  }
}

export function correctVsx(
  one: WideCase,
  before: BigUint64Array,
  expected: Outcomes,
  actual: Outcomes,
  at: number,
): void {
  const { word, mnemonic } = one;
  const opcode = word >>> 26;
  if (opcode === 59 || opcode === 63) keepRightHalf(fieldBits(word, 'FRT'), before, expected, at);
  if (/^l[fx]s/.test(mnemonic) || /^lf/.test(mnemonic))
    keepRightHalf(mnemonic.startsWith('lx') ? fieldValue(word, 'XT') : fieldBits(word, 'FRT'), before, expected, at);
  if (/^v(expte|loge)fp/.test(mnemonic)) correctEstimates(one, before, expected, actual, at);
  if (opcode !== 60) return;
  const fpscr = at + STATE.fpscr;
  const ended = at - OUTCOME.state + OUTCOME.ended;
  // The oracle repeats the exceptions of an instruction before.
  const stale =
    /^x[sv](max|min)|^xvcv[su]x/.test(mnemonic) &&
    ((expected[fpscr] as bigint) & CAUSES & ~(actual[fpscr] as bigint)) !== 0n;
  const RESERVED = /^x[sv](cmp|t)/.test(mnemonic) ? 0x0060_0001 : 0x001f_0000;
  // Reserved bits, which are ignored.
  const reserved = Number(expected[ended]) === ENDED.illegal && (word & RESERVED) !== 0;
  if (stale || reserved) excuseAll(expected, actual, at);
  else if (mnemonic.startsWith('xs')) correctScalar(one, before, expected, actual, at);
  else if (mnemonic.startsWith('xv')) correctVector(one, before, expected, actual, at);
}
