/**
 * SPE's multiplies and multiply-accumulates (SPE Programming Environments Manual, chapter 5). Their names say it all, and
 * so does the extended opcode: evm, halfwords or words, even or odd, signed or unsigned, saturating or modulo, integer or
 * fractional; then what becomes of the accumulator.
 */
import type { InstructionRow } from '../define.ts';
import type { Expr, Semantics } from '../semantics.ts';
import { highOf, pinned, setElements, setOverflow, setWideGpr, speRow, wideGpr } from './spe-common.ts';
import { type SaturatedSum, saturatedSum } from './spe-integer.ts';

/** Signed, saturating, integer …: the letters of the names, and the low bits of the opcodes. */
const KINDS = { usi: 0, ssi: 1, ssf: 3, umi: 8, smi: 9, smf: 11 } as const;
type Kind = keyof typeof KINDS;
const isSigned = (kind: Kind): boolean => kind[0] === 's';
const isSaturating = (kind: Kind): boolean => kind[1] === 's';
const isFractional = (kind: Kind): boolean => kind[2] === 'f';

/** A product of 64 bits, and whether it was bounded: only -1 · -1 has no fraction. */
interface Product {
  readonly wide: Expr;
  readonly overflow: Expr;
}

/** The product of two pinned elements of `bits` bits, sign- or zero-extended to words. */
function product(s: Semantics, kind: Kind, a: Expr, b: Expr, bits: 16 | 32): Product {
  const extend = (value: Expr): Expr => (isSigned(kind) ? s.extendSigned(value) : s.extendUnsigned(value));
  const plain = s.mul(extend(a), extend(b));
  if (!isFractional(kind)) return { wide: s.let(plain), overflow: s.i32(0) };
  const doubled = s.shl(plain, s.i64(1));
  if (!isSaturating(kind)) return { wide: s.let(doubled), overflow: s.i32(0) };
  const least = bits === 16 ? -0x8000 : 0x8000_0000 | 0;
  const overflow = s.let(s.and(s.eq(a, least), s.eq(b, least)));
  const largest = bits === 16 ? 0x7fff_ffffn : 0x7fff_ffff_ffff_ffffn;
  return { wide: s.let(s.select(overflow, s.i64(largest), doubled)), overflow };
}

/** An element's halfword, extended to a word. */
function halfword(s: Semantics, kind: Kind, word: Expr, half: 'even' | 'odd'): Expr {
  if (half === 'even') return s.let(isSigned(kind) ? s.shrSigned(word, 16) : s.shrUnsigned(word, 16));
  return s.let(isSigned(kind) ? s.signExtend16(word) : s.and(word, 0xffff));
}

/** What becomes of the products of both elements: RT alone; the accumulator too; or they are added to it, or taken off. */
type Accumulation = '' | 'a' | 'aa' | 'an';

/** Both products of 32 bits (`wide` holds no more), accumulated word by word. */
function intoWords(s: Semantics, kind: Kind, accumulation: Accumulation, high: Product, low: Product): SaturatedSum[] {
  if (accumulation === '' || accumulation === 'a')
    return [high, low].map(({ wide, overflow }) => ({ value: s.let(s.wrap(wide)), overflow }));
  const accumulator = s.let(s.wideState('accumulator'));
  return [
    { element: highOf(s, accumulator), from: high },
    { element: s.wrap(accumulator), from: low },
  ].map(({ element, from }) => {
    const extend = (value: Expr): Expr => (isSigned(kind) ? s.extendSigned(value) : s.extendUnsigned(value));
    const addend = extend(s.wrap(from.wide));
    const sum = s.let(accumulation === 'aa' ? s.add(extend(element), addend) : s.sub(extend(element), addend));
    if (!isSaturating(kind)) return { value: s.let(s.wrap(sum)), overflow: s.i32(0) };
    const bounded = saturatedSum(s, sum, isSigned(kind));
    return { value: bounded.value, overflow: s.let(s.or(bounded.overflow, from.overflow)) };
  });
}

function finishWords(
  s: Semantics,
  target: Parameters<Semantics['gpr']>[0],
  kind: Kind,
  accumulation: Accumulation,
  [high, low]: readonly SaturatedSum[],
): void {
  setElements(s, target, (high as SaturatedSum).value, (low as SaturatedSum).value);
  if (accumulation !== '') s.setWideState('accumulator', wideGpr(s, target));
  if (isSaturating(kind)) setOverflow(s, (high as SaturatedSum).overflow, (low as SaturatedSum).overflow);
}

/** Even or odd halfwords: products of words, in both elements. */
function halfwords(half: 'even' | 'odd', kind: Kind, accumulation: Accumulation): InstructionRow {
  const base = { '': 0x400, a: 0x420, aa: 0x500, an: 0x580 }[accumulation];
  const suffix = { '': '', a: 'a', aa: 'aaw', an: 'anw' }[accumulation];
  const opcode = base | (half === 'odd' ? 4 : 0) | KINDS[kind];
  return speRow(`evmh${half[0]}${kind}${suffix}`, opcode, 'RT RA RB', 'RT,RA,RB', (s, f) => {
    const [a, b] = [pinned(s, f.RA), pinned(s, f.RB)];
    const of = (x: Expr, y: Expr): Product =>
      product(s, kind, halfword(s, kind, x, half), halfword(s, kind, y, half), 16);
    const words = intoWords(s, kind, accumulation, of(a.high, b.high), of(a.low, b.low));
    finishWords(s, f.RT, kind, accumulation, words);
  });
}

/** The lower element's even or odd halfwords: their product goes into all of the accumulator, with bits to spare. */
function guarded(half: 'even' | 'odd', kind: Kind, accumulation: 'aa' | 'an'): InstructionRow {
  const opcode = (accumulation === 'aa' ? 0x520 : 0x5a0) | (half === 'odd' ? 4 : 0) | KINDS[kind];
  return speRow(`evmh${half[0]}g${kind}${accumulation}`, opcode, 'RT RA RB', 'RT,RA,RB', (s, f) => {
    const [a, b] = [pinned(s, f.RA).low, pinned(s, f.RB).low];
    const { wide } = product(s, kind, halfword(s, kind, a, half), halfword(s, kind, b, half), 16);
    intoDoubleword(s, f.RT, accumulation, wide);
  });
}

function intoDoubleword(
  s: Semantics,
  target: Parameters<Semantics['gpr']>[0],
  accumulation: Accumulation,
  wide: Expr,
): void {
  const accumulator = s.wideState('accumulator');
  const value =
    accumulation === 'aa' ? s.add(accumulator, wide) : accumulation === 'an' ? s.sub(accumulator, wide) : wide;
  setWideGpr(s, target, s.let(value));
  if (accumulation !== '') s.setWideState('accumulator', wideGpr(s, target));
}

/** Products of words, of which each element gets the high word. */
function highWords(kind: Kind, accumulation: '' | 'a'): InstructionRow {
  const opcode = 0x444 | (accumulation === 'a' ? 0x20 : 0) | KINDS[kind];
  return speRow(`evmwh${kind}${accumulation}`, opcode, 'RT RA RB', 'RT,RA,RB', (s, f) => {
    const [a, b] = [pinned(s, f.RA), pinned(s, f.RB)];
    const of = (x: Expr, y: Expr): SaturatedSum => {
      const { wide, overflow } = product(s, kind, x, y, 32);
      return { value: s.let(highOf(s, wide)), overflow };
    };
    finishWords(s, f.RT, kind, accumulation, [of(a.high, b.high), of(a.low, b.low)]);
  });
}

/** The same of the low word. */
function lowWords(kind: Kind, accumulation: Accumulation): InstructionRow {
  const base = { '': 0x440, a: 0x460, aa: 0x540, an: 0x5c0 }[accumulation];
  const suffix = { '': '', a: 'a', aa: 'aaw', an: 'anw' }[accumulation];
  return speRow(`evmwl${kind}${suffix}`, base | KINDS[kind], 'RT RA RB', 'RT,RA,RB', (s, f) => {
    const [a, b] = [pinned(s, f.RA), pinned(s, f.RB)];
    const words = intoWords(
      s,
      kind,
      accumulation,
      product(s, kind, a.high, b.high, 32),
      product(s, kind, a.low, b.low, 32),
    );
    finishWords(s, f.RT, kind, accumulation, words);
  });
}

/** The lower elements' product of 64 bits. A sum with the accumulator is not bounded, only the product is. */
function wholeWords(kind: Kind, accumulation: Accumulation): InstructionRow {
  const opcode = { '': 0x450, a: 0x470, aa: 0x550, an: 0x5d0 }[accumulation] | KINDS[kind];
  return speRow(`evmw${kind}${accumulation}`, opcode, 'RT RA RB', 'RT,RA,RB', (s, f) => {
    const { wide, overflow } = product(s, kind, pinned(s, f.RA).low, pinned(s, f.RB).low, 32);
    intoDoubleword(s, f.RT, accumulation, wide);
    if (isSaturating(kind)) setOverflow(s, s.i32(0), overflow);
  });
}

const HALVES = ['even', 'odd'] as const;

export const SPE_MULTIPLY_INSTRUCTIONS: readonly InstructionRow[] = [
  ...HALVES.flatMap((half) => [
    ...(['ssf', 'umi', 'smi', 'smf'] as const).flatMap((kind) => [
      halfwords(half, kind, ''),
      halfwords(half, kind, 'a'),
    ]),
    ...(['usi', 'ssi', 'ssf', 'umi', 'smi', 'smf'] as const).flatMap((kind) => [
      halfwords(half, kind, 'aa'),
      halfwords(half, kind, 'an'),
    ]),
    ...(['umi', 'smi', 'smf'] as const).flatMap((kind) => [guarded(half, kind, 'aa'), guarded(half, kind, 'an')]),
  ]),
  ...(['ssf', 'umi', 'smi', 'smf'] as const).flatMap((kind) => [highWords(kind, ''), highWords(kind, 'a')]),
  lowWords('umi', ''),
  lowWords('umi', 'a'),
  ...(['usi', 'ssi', 'umi', 'smi'] as const).flatMap((kind) => [lowWords(kind, 'aa'), lowWords(kind, 'an')]),
  ...(['ssf', 'umi', 'smi', 'smf'] as const).flatMap((kind) =>
    (['', 'a', 'aa', 'an'] as const).map((accumulation) => wholeWords(kind, accumulation)),
  ),
];
