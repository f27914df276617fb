/** The condition register: Power ISA 2.07 Book I, 2.5 and 3.3.17; isel 3.3.12. */
import { define, type InstructionRow, type Traits } from '../define.ts';
import type { Expr, Meaning, Operand, Semantics } from '../semantics.ts';
import { sameRegister } from './common.ts';

/** A CR bit as 0 or 1. */
const bit = (s: Semantics, operand: Operand): Expr => s.ne(s.crBit(operand), 0);

/** CR[BT] ← CR[BA] op CR[BB], all of them 0 or 1. `alike` is the result when BA and BB are one bit. */
function crLogic(
  operate: (s: Semantics, a: Expr, b: Expr) => Expr,
  alike: (s: Semantics, a: Operand) => Expr,
): Meaning {
  return (s, f) => s.setCrBit(f.BT, sameRegister(f.BA, f.BB) ? alike(s, f.BA) : operate(s, bit(s, f.BA), bit(s, f.BB)));
}

const copied = bit;
const inverted = (s: Semantics, a: Operand) => s.eqz(s.crBit(a));
const cleared = (s: Semantics) => s.i32(0);
const set = (s: Semantics) => s.i32(1);

const wholeCr = (s: Semantics): Expr => {
  let cr = s.crField(7);
  for (let field = 0; field < 7; field++) cr = s.or(cr, s.shl(s.crField(field), 28 - 4 * field));
  return cr;
};

const moveFromCr: Meaning = (s, f) => s.setGpr(f.RT, s.wordFromUnsigned32(wholeCr(s)));

/** Runs `action` when the mask operand has the bit. */
function whenSet(s: Semantics, mask: Operand, bit: number, action: () => void): void {
  if (typeof mask !== 'number') s.if(s.and(mask, bit), action);
  else if (mask & bit) action();
}

/** CR fields from the word's, where FXM has ones. */
const moveToCr: Meaning = (s, f) => {
  const source = s.let(s.low32(s.gpr(f.RS)));
  for (let field = 0; field < 8; field++) {
    const shifted = field === 7 ? source : s.shrUnsigned(source, 28 - 4 * field);
    whenSet(s, f.FXM, 0x80 >> field, () => s.setCrField(field, field === 0 ? shifted : s.and(shifted, 15)));
  }
};

/**
 * The one-field moves with other than one bit in FXM leave the result undefined (Power ISA 2.07 Book I, 3.3.17): nothing
 * is moved then.
 */
function whenOneField(s: Semantics, fxm: Operand, move: () => void): void {
  if (typeof fxm !== 'number') s.if(s.eq(s.popcnt(fxm), 1), move);
  else if (fxm !== 0 && (fxm & (fxm - 1)) === 0) move();
}

/** One CR field in its place, the others zero. */
const moveFromOneField: Meaning = (s, f) =>
  whenOneField(s, f.FXM, () => {
    const fxm = f.FXM;
    let value: Expr;
    if (typeof fxm === 'number') value = s.shl(s.crField(Math.clz32(fxm) - 24), 4 * Math.log2(fxm));
    else value = s.and(wholeCr(s), s.shl(s.i32(15), s.shl(s.ctz(fxm), 2)));
    s.setGpr(f.RT, s.wordFromUnsigned32(value));
  });

const moveToOneField: Meaning = (s, f) => whenOneField(s, f.FXM, () => moveToCr(s, f));

const SERVER: Traits = { level: 'server' };

export const CONDITION_INSTRUCTIONS: readonly InstructionRow[] = [
  define(
    'crand',
    '19 BT BA BB 257:10 /:1',
    'BT,BA,BB',
    crLogic((s, a, b) => s.and(a, b), copied),
  ),
  define(
    'cror',
    '19 BT BA BB 449:10 /:1',
    'BT,BA,BB',
    crLogic((s, a, b) => s.or(a, b), copied),
  ),
  define(
    'crxor',
    '19 BT BA BB 193:10 /:1',
    'BT,BA,BB',
    crLogic((s, a, b) => s.xor(a, b), cleared),
  ),
  define(
    'crnand',
    '19 BT BA BB 225:10 /:1',
    'BT,BA,BB',
    crLogic((s, a, b) => s.eqz(s.and(a, b)), inverted),
  ),
  define(
    'crnor',
    '19 BT BA BB 33:10 /:1',
    'BT,BA,BB',
    crLogic((s, a, b) => s.eqz(s.or(a, b)), inverted),
  ),
  define(
    'creqv',
    '19 BT BA BB 289:10 /:1',
    'BT,BA,BB',
    crLogic((s, a, b) => s.eq(a, b), set),
  ),
  define(
    'crandc',
    '19 BT BA BB 129:10 /:1',
    'BT,BA,BB',
    crLogic((s, a, b) => s.gtUnsigned(a, b), cleared),
  ),
  define(
    'crorc',
    '19 BT BA BB 417:10 /:1',
    'BT,BA,BB',
    crLogic((s, a, b) => s.geUnsigned(a, b), set),
  ),
  define('mcrf', '19 BF /:2 BFA /:2 /:5 0:10 /:1', 'BF,BFA', (s, f) => s.setCrField(f.BF, s.crField(f.BFA))),
  define(
    'mcrxr',
    '31 BF /:2 /:5 /:5 512:10 /:1',
    'BF',
    (s, f) => {
      s.setCrField(f.BF, s.or(s.or(s.shl(s.so(), 3), s.shl(s.ov(), 2)), s.shl(s.ca(), 1)));
      s.setOvSo(s.i32(0), s.i32(0));
      s.setCa(s.i32(0));
    },
    { level: 'classic' },
  ),
  // A bit that was reserved tells the one-field moves on servers.
  define('mfcr', '31 RT /:10 19:10 /:1', 'RT', moveFromCr, { until: 'server' }),
  define('mtcrf', '31 RS /:1 FXM /:1 144:10 /:1', 'FXM,RS', moveToCr, { until: 'server' }),
  define('mfcr', '31 RT 0:1 /:9 19:10 /:1', 'RT', moveFromCr, SERVER),
  define('mtcrf', '31 RS 0:1 FXM /:1 144:10 /:1', 'FXM,RS', moveToCr, SERVER),
  define('mfocrf', '31 RT 1:1 FXM /:1 19:10 /:1', 'RT,FXM', moveFromOneField, SERVER),
  define('mtocrf', '31 RS 1:1 FXM /:1 144:10 /:1', 'FXM,RS', moveToOneField, SERVER),
  define(
    'isel',
    '31 RT RA0 RB BC 15:5 /:1',
    'RT,RA0,RB,BC',
    (s, f) => s.setGpr(f.RT, s.select(s.crBit(f.BC), s.gpr(f.RA0), s.gpr(f.RB))),
    { level: 'isel' },
  ),
];
