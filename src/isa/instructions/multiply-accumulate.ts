/** The 4xx halfword multiplies and multiply-accumulates: PowerPC 440 user's manual, "Multiply-accumulate instructions". */
import { define, type InstructionRow } from '../define.ts';
import type { Expr, Meaning, Operand, Semantics } from '../semantics.ts';
import { isNegative, result } from './common.ts';

type Half = 'low' | 'high';

/** Which halves of RA and RB are multiplied: cross, high, or low halfwords. */
const SELECTIONS = {
  chw: ['low', 'high'],
  hhw: ['high', 'high'],
  lhw: ['low', 'low'],
} as const satisfies Record<string, readonly [Half, Half]>;
type Selection = keyof typeof SELECTIONS;

function halfword(s: Semantics, register: Operand, half: Half, signed: boolean): Expr {
  const word = s.low32(s.gpr(register));
  if (half === 'high') return signed ? s.shrSigned(word, 16) : s.shrUnsigned(word, 16);
  return signed ? s.signExtend16(word) : s.and(word, 0xffff);
}

interface Kind {
  readonly selection: Selection;
  readonly signed: boolean;
  /** The product is subtracted from RT instead of added. */
  readonly negative?: boolean;
  readonly saturates?: boolean;
}

const multiply =
  ({ selection, signed }: Kind): Meaning =>
  (s, f) => {
    const [a, b] = SELECTIONS[selection];
    const product = s.mul(halfword(s, f.RA, a, signed), halfword(s, f.RB, b, signed));
    result(s, f, f.RT, s.wordFromUnsigned32(product));
  };

const accumulate =
  ({ selection, signed, negative, saturates }: Kind): Meaning =>
  (s, f) => {
    const [a, b] = SELECTIONS[selection];
    const product = s.mul(halfword(s, f.RA, a, signed), halfword(s, f.RB, b, signed));
    const total = s.low32(s.gpr(f.RT));
    if (!saturates && !f.OE) {
      result(s, f, f.RT, s.wordFromUnsigned32(negative ? s.sub(total, product) : s.add(total, product)));
      return;
    }
    const x = s.let(total);
    const y = s.let(product);
    const sum = s.let(negative ? s.sub(x, y) : s.add(x, y));
    const signs = negative ? s.xor(x, y) : s.xor(sum, y);
    const overflow = s.let(signed ? isNegative(s, s.and(s.xor(sum, x), signs)) : s.ltUnsigned(sum, x));
    const limit = signed ? s.xor(s.shrSigned(x, 31), 0x7fffffff) : s.i32(-1);
    if (f.OE) s.setOv(overflow);
    result(s, f, f.RT, s.wordFromUnsigned32(saturates ? s.select(overflow, limit, sum) : sum));
  };

/** Bits of the extended opcode that all these families share. */
const SELECTION_BITS: Record<Selection, number> = { chw: 128, hhw: 0, lhw: 384 };
const SIGNED = 32;
const SATURATES = 64;

export const MULTIPLY_ACCUMULATE_INSTRUCTIONS: readonly InstructionRow[] = (['chw', 'hhw', 'lhw'] as const).flatMap(
  (selection) => {
    const rows: InstructionRow[] = [];
    for (const signed of [true, false]) {
      const sign = signed ? '' : 'u';
      const opcode = SELECTION_BITS[selection] + (signed ? SIGNED : 0);
      rows.push(
        define(
          `mul${selection}${sign}`,
          `4 RT RA RB ${opcode + 8}:10 Rc`,
          'RT,RA,RB',
          multiply({ selection, signed }),
          { level: '4xx' },
        ),
      );
      for (const saturates of [false, true]) {
        const accumulates = (mnemonic: string, extended: number, negative: boolean) =>
          define(
            mnemonic,
            `4 RT RA RB OE ${extended + (saturates ? SATURATES : 0)}:9 Rc`,
            'RT,RA,RB',
            accumulate({ selection, signed, saturates, negative }),
            { level: '4xx' },
          );
        const suffix = (saturates ? 's' : '') + sign;
        rows.push(accumulates(`mac${selection}${suffix}`, opcode + 12, false));
        if (signed) rows.push(accumulates(`nmac${selection}${suffix}`, opcode + 14, true));
      }
    }
    return rows;
  },
);
