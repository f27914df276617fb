/** Floating-point loads, stores, and moves to and from FPSCR: Power ISA 2.07 Book I, 4.6.2–4.6.4 and 4.6.10. */
import { type Access, define, type InstructionRow, type Traits } from '../define.ts';
import { fieldBits } from '../fields.ts';
import { LOAD_SINGLE, STORE_SINGLE, WRITE_FPSCR } from '../float/convert.ts';
import { EXCEPTIONS, FPSCR } from '../float/fpscr.ts';
import type { Expr, Meaning, Operand, Operands, Semantics } from '../semantics.ts';
import { indexedAddress } from './common.ts';
import { floatMeaning, interruptIfEnabled, recordCr1 } from './float-common.ts';
import { atEffectiveAddress } from './storage.ts';

/** Update forms with RA=0 are invalid. */
const noBase = (word: number): boolean => fieldBits(word, 'RA') === 0;

function access(form: Access): Meaning {
  return floatMeaning((s, f) => {
    atEffectiveAddress(s, f, form, (address) => {
      if (form.kind === 'load') {
        if (form.bytes === 8) s.setFpr(f.FRT, s.load64(address));
        else s.setFpr(f.FRT, s.invoke(LOAD_SINGLE, s.low32(s.load(4, address))));
      } else if (form.bytes === 8) s.store64(address, s.fpr(f.FRS));
      else s.store(4, address, s.wordFromUnsigned32(s.invoke(STORE_SINGLE, s.fpr(f.FRS))));
    });
  });
}

/** A load or store in its four forms. */
function storage(mnemonic: string, form: Access, d: number, x: number): InstructionRow[] {
  const register = form.kind === 'load' ? 'FRT' : 'FRS';
  const level = 'float';
  const row = (suffix: string, encoding: string, syntax: string, own: Partial<Access>): InstructionRow => {
    const whole: Access = { ...form, ...own };
    const traits = { level, access: whole, ...(whole.update && { invalid: noBase }) } as const;
    return define(`${mnemonic}${suffix}`, encoding, syntax, access(whole), traits);
  };
  return [
    row('', `${d} ${register} RA0 D`, `${register},D(RA0)`, {}),
    row('u', `${d + 1} ${register} RA D`, `${register},D(RA)`, { update: true }),
    row('x', `31 ${register} RA0 RB ${x}:10 /:1`, `${register},RA0,RB`, { indexed: true }),
    row('ux', `31 ${register} RA RB ${x + 32}:10 /:1`, `${register},RA,RB`, { indexed: true, update: true }),
  ];
}

const WORD: Access = { kind: 'load', bytes: 4, float: 'bits', indexed: true };

const loadWord = (signed: boolean): Meaning =>
  floatMeaning((s, f) => {
    const word = s.low32(s.load(4, indexedAddress(s, f)));
    s.setFpr(f.FRT, signed ? s.extendSigned(word) : s.extendUnsigned(word));
  });

const row = (mnemonic: string, encoding: string, syntax: string, meaning: Meaning, traits: Traits = FLOAT) =>
  define(mnemonic, encoding, syntax, floatMeaning(meaning), traits);
const FLOAT: Traits = { level: 'float' };
const BEFORE_DECIMAL: Traits = { level: 'float', until: 'decimal' };

/** A mask of ones in the FPSCR fields that FLM has. */
function fieldMask(s: Semantics, flm: Operand): Expr {
  let bits: Expr = s.i32(flm);
  for (const [shift, mask] of [
    [12, 0x000f000f],
    [6, 0x03030303],
    [3, 0x11111111],
  ] as const) {
    const pinned = s.let(bits);
    bits = s.and(s.or(pinned, s.shl(pinned, shift)), mask);
  }
  return s.mul(bits, 15);
}

/** Ones in one field. */
const fieldAt = (s: Semantics, field: Operand): Expr => s.shrUnsigned(s.i32(0xf000_0000 | 0), s.shl(s.i32(field), 2));

/** U where mtfsfi has its field. */
const inField = (s: Semantics, f: Operands): Expr => s.shl(s.i32(f.U), s.sub(28, s.shl(s.i32(f.FPSCR_FIELD), 2)));

/** Ones when W has the right half. */
const isRight = (s: Semantics, f: Operands): Expr => s.sub(s.i32(f.FPSCR_W), 1);

/** Writes the bits of FPSCR that a mask has; FEX and VX follow from the others. */
function write(s: Semantics, f: Operands, value: Expr, mask: Expr): void {
  s.invoke(WRITE_FPSCR, value, mask);
  recordCr1(s, f);
  interruptIfEnabled(s);
}

/** FPSCR[DRN] where a condition holds. */
function setDecimalRounding(s: Semantics, condition: Expr, bits: Expr): void {
  s.setState('decimalRounding', s.let(s.select(condition, s.and(bits, 7), s.state('decimalRounding'))));
}

const bitOf = (s: Semantics, bit: Operand): Expr => s.let(s.shrUnsigned(s.i32(0x8000_0000 | 0), bit));

export const FLOAT_STORAGE_INSTRUCTIONS: readonly InstructionRow[] = [
  ...storage('lfs', { kind: 'load', bytes: 4, float: 'single' }, 48, 535),
  ...storage('lfd', { kind: 'load', bytes: 8, float: 'bits' }, 50, 599),
  ...storage('stfs', { kind: 'store', bytes: 4, float: 'single' }, 52, 663),
  ...storage('stfd', { kind: 'store', bytes: 8, float: 'bits' }, 54, 727),
  define(
    'stfiwx',
    '31 FRS RA0 RB 983:10 /:1',
    'FRS,RA0,RB',
    floatMeaning((s, f) => s.store(4, indexedAddress(s, f), s.wordFromUnsigned32(s.wrap(s.fpr(f.FRS))))),
    { level: 'float', access: { ...WORD, kind: 'store' } },
  ),
  define('lfiwax', '31 FRT RA0 RB 855:10 /:1', 'FRT,RA0,RB', loadWord(true), {
    level: '2.05',
    access: { ...WORD, signed: true },
  }),
  define('lfiwzx', '31 FRT RA0 RB 887:10 /:1', 'FRT,RA0,RB', loadWord(false), { level: '2.06', access: WORD }),

  row('mffs', '63 FRT /:5 /:5 583:10 Rc', 'FRT', (s, f) => {
    const decimal = s.shl(s.extendUnsigned(s.state('decimalRounding')), 32);
    s.setFpr(f.FRT, s.or(decimal, s.extendUnsigned(s.state('fpscr'))));
    recordCr1(s, f);
  }),
  row('mcrfs', '63 BF /:2 FPSCR_SOURCE /:2 /:5 64:10 /:1', 'BF,BFA', (s, f) => {
    const mask = s.let(fieldAt(s, f.FPSCR_SOURCE));
    const right = s.sub(28, s.shl(s.i32(f.FPSCR_SOURCE), 2));
    const bits = s.let(s.and(s.shrUnsigned(s.state('fpscr'), right), 15));
    s.invoke(WRITE_FPSCR, s.i32(0), s.and(mask, EXCEPTIONS | FPSCR.FX));
    s.setCrField(f.BF, bits);
  }),
  row(
    'mtfsf',
    '63 /:1 FLM /:1 FRB 711:10 Rc',
    'FLM,FRB',
    (s, f) => write(s, f, s.wrap(s.fpr(f.FRB)), fieldMask(s, f.FLM)),
    BEFORE_DECIMAL,
  ),
  row(
    'mtfsfi',
    '63 FPSCR_FIELD /:7 U /:1 134:10 Rc',
    'FPSCR_FIELD,U',
    (s, f) => write(s, f, inField(s, f), fieldAt(s, f.FPSCR_FIELD)),
    BEFORE_DECIMAL,
  ),
  // With decimal numbers FPSCR has a left half: DRN, its last field. W says which half the fields are of, L that it is all.
  row(
    'mtfsf',
    '63 FPSCR_L FLM FPSCR_W FRB 711:10 Rc',
    'FLM,FRB[,FPSCR_L,FPSCR_W]',
    (s, f) => {
      const bits = s.let(s.fpr(f.FRB));
      const takes = s.or(s.i32(f.FPSCR_L), s.and(s.i32(f.FPSCR_W), s.and(s.i32(f.FLM), 1)));
      setDecimalRounding(s, takes, s.wrap(s.shrUnsigned(bits, 32)));
      const right = s.and(fieldMask(s, f.FLM), isRight(s, f));
      write(s, f, s.wrap(bits), s.let(s.or(right, s.neg(s.i32(f.FPSCR_L)))));
    },
    { level: 'decimal' },
  ),
  row(
    'mtfsfi',
    '63 FPSCR_FIELD /:6 FPSCR_W U /:1 134:10 Rc',
    'FPSCR_FIELD,U[,FPSCR_W]',
    (s, f) => {
      setDecimalRounding(s, s.and(s.eq(s.i32(f.FPSCR_FIELD), 7), s.i32(f.FPSCR_W)), s.i32(f.U));
      write(s, f, inField(s, f), s.let(s.and(fieldAt(s, f.FPSCR_FIELD), isRight(s, f))));
    },
    { level: 'decimal' },
  ),
  row('mtfsb0', '63 FPSCR_BIT /:5 /:5 70:10 Rc', 'FPSCR_BIT', (s, f) => {
    s.invoke(WRITE_FPSCR, s.i32(0), bitOf(s, f.FPSCR_BIT));
    recordCr1(s, f);
  }),
  row('mtfsb1', '63 FPSCR_BIT /:5 /:5 38:10 Rc', 'FPSCR_BIT', (s, f) => {
    const bit = bitOf(s, f.FPSCR_BIT);
    const isNew = s.and(s.and(bit, EXCEPTIONS), s.not(s.state('fpscr')));
    const value = s.let(s.or(bit, s.select(isNew, FPSCR.FX, 0)));
    write(s, f, value, value);
  }),
];
