/** Branches and system call: Power ISA 2.07 Book I, 2.4 and 2.6. */
import { define, type InstructionRow } from '../define.ts';
import { fieldBits } from '../fields.ts';
import type { Expr, Operands, Semantics } from '../semantics.ts';
import { inMode } from './common.ts';

/** Decrements CTR when BO says so, and gives the condition of a conditional branch: null when it is always taken. */
export function branchCondition(s: Semantics, f: Operands): Expr | null {
  const ignoresCr = (f.BO & 16) !== 0;
  const ignoresCtr = (f.BO & 4) !== 0;
  const ctr = () => inMode(s, s.ctr());
  if (!ignoresCtr) s.setCtr(s.add(s.ctr(), -1));
  if (ignoresCr) {
    if (ignoresCtr) return null;
    return f.BO & 2 ? s.eqz(ctr()) : s.ne(ctr(), 0);
  }
  const bit = s.crBit(f.BI);
  if (ignoresCtr) return f.BO & 8 ? bit : s.eqz(bit);
  const met = f.BO & 8 ? s.ne(bit, 0) : s.eqz(bit);
  return s.and(f.BO & 2 ? s.eqz(ctr()) : s.ne(ctr(), 0), met);
}

export const BRANCH_INSTRUCTIONS: readonly InstructionRow[] = [
  define(
    'b',
    '18 LI AA LK',
    'LI',
    (s, f) => {
      if (f.LK) s.setLr(s.nextPc());
      s.branchRelative(null, f.LI, f.AA === 1);
    },
    { ends: true },
  ),
  define(
    'bc',
    '16 BO BI BD AA LK',
    'BO,BI,BD',
    (s, f) => {
      const condition = branchCondition(s, f);
      if (f.LK) s.setLr(s.nextPc());
      s.branchRelative(condition, f.BD, f.AA === 1);
    },
    { ends: true },
  ),
  define(
    'bclr',
    '19 BO BI /:3 BH 16:10 LK',
    'BO,BI[,BH]',
    (s, f) => {
      const target = f.LK ? s.let(s.lr()) : s.lr();
      const condition = branchCondition(s, f);
      if (f.LK) s.setLr(s.nextPc());
      s.branchIndirect(condition, target, f.LK === 0);
    },
    { ends: true },
  ),
  define(
    'bcctr',
    '19 BO BI /:3 BH 528:10 LK',
    'BO,BI[,BH]',
    (s, f) => {
      const condition = branchCondition(s, f);
      if (f.LK) s.setLr(s.nextPc());
      s.branchIndirect(condition, s.ctr(), false);
    },
    // To decrement the register that holds the target is an invalid form.
    { ends: true, invalid: (word) => (fieldBits(word, 'BO') & 4) === 0 },
  ),
  define('sc', '17 /:5 /:5 /:4 LEV /:3 1:1 /:1', '[LEV]', (s) => s.interrupt('systemCall'), { ends: true }),
];
