/** What Power ISA 2.07 has added to vectors: quadwords, bits, ciphers, decimals. Book I, 6.9.1, 6.11–6.15. */
import type { InstructionRow } from '../define.ts';
import type { Expr, Operand, Semantics } from '../semantics.ts';
import {
  invMixColumns,
  invShiftRows,
  invSubBytes,
  mixColumns,
  shaSigma,
  shiftRows,
  subBytes,
} from '../vector/cipher.ts';
import { gatheredBits, leadingZeros, populationCount, transposedBits } from '../vector/count.ts';
import { decimalSum } from '../vector/decimal.ts';
import { type ElementBits, everyLane } from '../vector/lanes.ts';
import { polynomialSums } from '../vector/polynomial.ts';
import { quadwordSum } from '../vector/quadword.ts';
import { type Binary, setVr, type Ternary, va, vectorRow, vr, vx, vxUnary } from './vector-common.ts';

const VERSION_207 = 'vector-2.07';

/** A carry as a whole vector, and from one, whose last bit it is. */
const fromCarry = (s: Semantics, carry: Expr): Expr => s.simdLane('i32x4.replace_lane', 0, everyLane(s, 32, 0), carry);
const carryOf = (s: Semantics, vector: Expr): Expr => s.let(s.and(s.simdLane('i32x4.extract_lane', 0, vector), 1));

/** Subtracting is adding what has its bits turned around, and one. */
const turned = (s: Semantics, b: Expr, subtracts: boolean): Expr => (subtracts ? s.let(s.simd('v128.not', b)) : b);

function quadword(what: 'sum' | 'carry', subtracts: boolean): Binary {
  return (s, a, b) => {
    const result = quadwordSum(s, a, turned(s, b, subtracts), s.i32(Number(subtracts)));
    return what === 'sum' ? result.sum : fromCarry(s, result.carry);
  };
}

function quadwordExtended(what: 'sum' | 'carry', subtracts: boolean): Ternary {
  return (s, a, b, c) => {
    const result = quadwordSum(s, a, turned(s, b, subtracts), carryOf(s, c));
    return what === 'sum' ? result.sum : fromCarry(s, result.carry);
  };
}

const extended = (mnemonic: string, opcode: number, what: 'sum' | 'carry', subtracts: boolean): InstructionRow =>
  va(mnemonic, opcode, quadwordExtended(what, subtracts), 'VRT,VRA,VRB,VRC', VERSION_207);

/** Ones in the lanes for which SIX asks for the second function. */
function chosenLanes(s: Semantics, six: Expr, bits: 32 | 64): Expr {
  // A doubleword's bit is that of its left word.
  const lanes = bits === 32 ? 0x0000_0008_0000_0004_0000_0002_0000_0001n : (8n << 64n) | 2n;
  const wanted = s.v128(lanes);
  const have = s.simd('v128.and', s.simd(bits === 32 ? 'i32x4.splat' : 'i64x2.splat', six), wanted);
  return s.simd(bits === 32 ? 'i32x4.eq' : 'i64x2.eq', have, wanted);
}

function sigma(s: Semantics, bits: 32 | 64, a: Expr, st: number, six: Operand): Expr {
  if (six === 0 || six === 15) return shaSigma(s, bits, a, st, six === 0 ? 0 : 1);
  const pinned = s.let(s.i32(six));
  const lanes = chosenLanes(s, bits === 32 ? pinned : s.extendUnsigned(pinned), bits);
  return s.simd('v128.bitselect', shaSigma(s, bits, a, st, 1), shaSigma(s, bits, a, st, 0), lanes);
}

const shaRow = (mnemonic: string, opcode: number, bits: 32 | 64): InstructionRow =>
  vectorRow(
    mnemonic,
    `4 VRT VRA ST SIX ${opcode}:11`,
    'VRT,VRA,ST,SIX',
    (s, f) => setVr(s, f.VRT, sigma(s, bits, s.let(vr(s, f.VRA)), f.ST, f.SIX)),
    { level: VERSION_207 },
  );

const decimalRow = (mnemonic: string, opcode: number, subtract: boolean): InstructionRow =>
  vectorRow(
    mnemonic,
    `4 VRT VRA VRB 1:1 PS ${opcode}:9`,
    'VRT,VRA,VRB,PS',
    (s, f) => {
      const plus = f.PS ? 0xf : 0xc;
      const { result, cr } = decimalSum(s, s.let(vr(s, f.VRA)), s.let(vr(s, f.VRB)), subtract, plus);
      const record = s.let(cr);
      setVr(s, f.VRT, result);
      s.setCrField(6, record);
    },
    { level: VERSION_207 },
  );

const SIZES = [
  { suffix: 'b', bits: 8 },
  { suffix: 'h', bits: 16 },
  { suffix: 'w', bits: 32 },
  { suffix: 'd', bits: 64 },
] as const satisfies { suffix: string; bits: ElementBits }[];

export const VECTOR_BITS_INSTRUCTIONS: readonly InstructionRow[] = [
  vx('vadduqm', 256, quadword('sum', false), VERSION_207),
  vx('vaddcuq', 320, quadword('carry', false), VERSION_207),
  vx('vsubuqm', 1280, quadword('sum', true), VERSION_207),
  vx('vsubcuq', 1344, quadword('carry', true), VERSION_207),
  extended('vaddeuqm', 60, 'sum', false),
  extended('vaddecuq', 61, 'carry', false),
  extended('vsubeuqm', 62, 'sum', true),
  extended('vsubecuq', 63, 'carry', true),

  ...SIZES.flatMap(({ suffix, bits }, i) => [
    vxUnary(`vclz${suffix}`, 1794 + 64 * i, (s, b) => leadingZeros(s, bits, b), VERSION_207),
    vxUnary(`vpopcnt${suffix}`, 1795 + 64 * i, (s, b) => populationCount(s, bits, b), VERSION_207),
    vx(`vpmsum${suffix}`, 1032 + 64 * i, (s, a, b) => polynomialSums(s, bits, a, b), VERSION_207),
  ]),
  vxUnary('vgbbd', 1292, transposedBits, VERSION_207),
  vx(
    'vbpermq',
    1356,
    (s, a, b) => {
      const bits = s.extendUnsigned(gatheredBits(s, a, b));
      return s.simdLane('i64x2.replace_lane', 1, everyLane(s, 64, 0), bits);
    },
    VERSION_207,
  ),

  vx('vcipher', 1288, (s, a, b) => s.simd('v128.xor', mixColumns(s, shiftRows(s, subBytes(s, a))), b), VERSION_207),
  vx('vcipherlast', 1289, (s, a, b) => s.simd('v128.xor', shiftRows(s, subBytes(s, a)), b), VERSION_207),
  vx(
    'vncipher',
    1352,
    (s, a, b) => invMixColumns(s, s.simd('v128.xor', invSubBytes(s, s.let(invShiftRows(s, a))), b)),
    VERSION_207,
  ),
  vx('vncipherlast', 1353, (s, a, b) => s.simd('v128.xor', invSubBytes(s, s.let(invShiftRows(s, a))), b), VERSION_207),
  vectorRow('vsbox', '4 VRT VRA /:5 1480:11', 'VRT,VRA', (s, f) => setVr(s, f.VRT, subBytes(s, vr(s, f.VRA))), {
    level: VERSION_207,
  }),
  shaRow('vshasigmaw', 1666, 32),
  shaRow('vshasigmad', 1730, 64),

  decimalRow('bcdadd.', 1, false),
  decimalRow('bcdsub.', 65, true),
];
