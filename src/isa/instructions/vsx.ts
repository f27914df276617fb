/** Vector-scalar instructions that do not compute with floating-point numbers: Power ISA 2.07 Book I, 7.6. */
import { define, type InstructionRow, type Level } from '../define.ts';
import type { Expr, Meaning, Operands, Semantics } from '../semantics.ts';
import { permuteElements, splatElement } from '../vector/lanes.ts';
import { indexedAddress } from './common.ts';
import { vsxMeaning } from './vector-common.ts';
import { xx3 } from './vsx-common.ts';

const row = (mnemonic: string, encoding: string, syntax: string, meaning: Meaning, level: Level = 'vsx') =>
  define(mnemonic, encoding, syntax, vsxMeaning(meaning), { level });

/** A quadword between a register and storage is two doublewords or four words, each in the mode's byte order. */
const ELEMENTS = { doublewords: [64, [1, 0]], words: [32, [3, 2, 1, 0]] } as const;
function ordered(s: Semantics, of: keyof typeof ELEMENTS, vector: Expr): Expr {
  if (!s.littleEndian) return vector;
  const [bits, order] = ELEMENTS[of];
  const pinned = s.let(vector);
  return permuteElements(s, bits, pinned, pinned, order);
}

const loadVector =
  (of: keyof typeof ELEMENTS): Meaning =>
  (s, f) =>
    s.setVsr(f.XT, ordered(s, of, s.load128(indexedAddress(s, f))));
const storeVector =
  (of: keyof typeof ELEMENTS): Meaning =>
  (s, f) =>
    s.store128(indexedAddress(s, f), ordered(s, of, s.vsr(f.XS)));

/** Doubleword 0 from a word; doubleword 1, which is undefined, stays as it is. */
const loadWord =
  (signed: boolean): Meaning =>
  (s, f) => {
    const word = s.low32(s.load(4, indexedAddress(s, f)));
    s.setVsrHalf(f.XT, 0, signed ? s.extendSigned(word) : s.extendUnsigned(word));
  };

const load = (mnemonic: string, opcode: number, meaning: Meaning, level: Level = 'vsx') =>
  row(mnemonic, `31 XT RA0 RB ${opcode}:10 XT`, 'XT,RA0,RB', meaning, level);
const store = (mnemonic: string, opcode: number, meaning: Meaning, level: Level = 'vsx') =>
  row(mnemonic, `31 XS RA0 RB ${opcode}:10 XS`, 'XS,RA0,RB', meaning, level);

/** Moves between general registers and doubleword 0 want the unit that the register is of (7.6.1.1). */
function moveMeaning(field: 'XT' | 'XS', meaning: Meaning): Meaning {
  const requireFloat = (s: Semantics): void =>
    s.if(s.eqz(s.state('floatAvailable')), () => s.interrupt('floatingPointUnavailable'));
  const requireVector = (s: Semantics): void =>
    s.if(s.eqz(s.state('vectorAvailable')), () => s.interrupt('vectorUnavailable'));
  return (s, f) => {
    const register = f[field];
    if (typeof register !== 'number')
      s.if(
        s.ltUnsigned(register, 32),
        () => requireFloat(s),
        () => requireVector(s),
      );
    else if (register < 32) requireFloat(s);
    else requireVector(s);
    meaning(s, f);
  };
}

const moveFrom = (mnemonic: string, opcode: number, value: (s: Semantics, bits: Expr) => Expr) =>
  define(
    mnemonic,
    `31 XS RA /:5 ${opcode}:10 XS`,
    'RA,XS',
    moveMeaning('XS', (s, f) => s.setGpr(f.RA, value(s, s.vsrHalf(f.XS, 0)))),
    { level: 'vsx-2.07' },
  );
const moveTo = (mnemonic: string, opcode: number, bits: (s: Semantics, value: Expr) => Expr) =>
  define(
    mnemonic,
    `31 XT RA /:5 ${opcode}:10 XT`,
    'XT,RA',
    moveMeaning('XT', (s, f) => s.setVsrHalf(f.XT, 0, bits(s, s.gpr(f.RA)))),
    { level: 'vsx-2.07' },
  );

/** XT ← XA op XB. */
type Operate = (s: Semantics, a: Expr, b: Expr, f: Operands) => Expr;
const computed =
  (operate: Operate): Meaning =>
  (s, f) =>
    s.setVsr(f.XT, operate(s, s.let(s.vsr(f.XA)), s.let(s.vsr(f.XB)), f));
const binary = (mnemonic: string, opcode: number, operate: Operate, level: Level = 'vsx') =>
  xx3(mnemonic, opcode, computed(operate), level);

const WORDS = [0, 1, 2, 3] as const;

export const VSX_INSTRUCTIONS: readonly InstructionRow[] = [
  load('lxvd2x', 844, loadVector('doublewords')),
  load('lxvw4x', 780, loadVector('words')),
  load('lxvdsx', 332, (s, f) => s.setVsr(f.XT, s.simd('i64x2.splat', s.load64(indexedAddress(s, f))))),
  load('lxsdx', 588, (s, f) => s.setVsrHalf(f.XT, 0, s.load64(indexedAddress(s, f)))),
  load('lxsiwax', 76, loadWord(true), 'vsx-2.07'),
  load('lxsiwzx', 12, loadWord(false), 'vsx-2.07'),
  store('stxvd2x', 972, storeVector('doublewords')),
  store('stxvw4x', 908, storeVector('words')),
  store('stxsdx', 716, (s, f) => s.store64(indexedAddress(s, f), s.vsrHalf(f.XS, 0))),
  store(
    'stxsiwx',
    140,
    (s, f) => s.store(4, indexedAddress(s, f), s.wordFromUnsigned32(s.wrap(s.vsrHalf(f.XS, 0)))),
    'vsx-2.07',
  ),

  moveFrom('mfvsrd', 51, (_, bits) => bits),
  moveFrom('mfvsrwz', 115, (s, bits) => s.extendUnsigned(s.wrap(bits))),
  moveTo('mtvsrd', 179, (_, value) => value),
  moveTo('mtvsrwa', 211, (s, value) => s.signExtend32(value)),
  moveTo('mtvsrwz', 243, (s, value) => s.extendUnsigned(s.low32(value))),

  binary('xxland', 130, (s, a, b) => s.simd('v128.and', a, b)),
  binary('xxlandc', 138, (s, a, b) => s.simd('v128.andnot', a, b)),
  binary('xxlor', 146, (s, a, b) => s.simd('v128.or', a, b)),
  binary('xxlxor', 154, (s, a, b) => s.simd('v128.xor', a, b)),
  binary('xxlnor', 162, (s, a, b) => s.simd('v128.not', s.simd('v128.or', a, b))),
  binary('xxlorc', 170, (s, a, b) => s.simd('v128.or', a, s.simd('v128.not', b)), 'vsx-2.07'),
  binary('xxlnand', 178, (s, a, b) => s.simd('v128.not', s.simd('v128.and', a, b)), 'vsx-2.07'),
  binary('xxleqv', 186, (s, a, b) => s.simd('v128.not', s.simd('v128.xor', a, b)), 'vsx-2.07'),

  binary('xxmrghw', 18, (s, a, b) => permuteElements(s, 32, a, b, [0, 4, 1, 5])),
  binary('xxmrglw', 50, (s, a, b) => permuteElements(s, 32, a, b, [2, 6, 3, 7])),
  row(
    'xxpermdi',
    '60 XT XA XB 0:1 DM 10:5 XA XB XT',
    'XT,XA,XB,DM',
    computed((s, a, b, f) => permuteElements(s, 64, a, b, [f.DM >> 1, 2 + (f.DM & 1)])),
  ),
  row(
    'xxsldwi',
    '60 XT XA XB 0:1 SHW 2:5 XA XB XT',
    'XT,XA,XB,SHW',
    computed((s, a, b, f) =>
      permuteElements(
        s,
        32,
        a,
        b,
        WORDS.map((i) => i + f.SHW),
      ),
    ),
  ),
  row('xxspltw', '60 XT /:3 UIM2 XB 164:9 XB XT', 'XT,XB,UIM2', (s, f) =>
    s.setVsr(f.XT, splatElement(s, 32, s.vsr(f.XB), f.UIM2)),
  ),
  row('xxsel', '60 XT XA XB XC 3:2 XC XA XB XT', 'XT,XA,XB,XC', (s, f) =>
    s.setVsr(f.XT, s.simd('v128.bitselect', s.vsr(f.XB), s.vsr(f.XA), s.vsr(f.XC))),
  ),
];
