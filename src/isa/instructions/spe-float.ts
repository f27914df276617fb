/**
 * Embedded floating point: scalars of single precision in the low element (efs), of double precision in a whole register
 * (efd), vectors of two (evfs) (SPE Programming Environments Manual, chapter 5).
 */
import type { InstructionRow } from '../define.ts';
import type { Expr, Operand, Operands, Routine, Semantics } from '../semantics.ts';
import { DOUBLE, type Format, SINGLE, SPE_FLOAT, TO_INTEGER } from '../spe/float.ts';
import { conclude, SPEFSCR } from '../spe/status.ts';
import { scalarRow, setWideGpr, speRow, wideGpr } from './spe-common.ts';

/** One of the kinds of instructions: its name's beginning, its opcodes' base, its numbers. */
interface Kind {
  readonly prefix: 'efs' | 'efd' | 'evfs';
  readonly base: number;
  readonly format: Format;
}
const SCALAR: Kind = { prefix: 'efs', base: 704, format: SINGLE };
const WHOLE: Kind = { prefix: 'efd', base: 736, format: DOUBLE };
const VECTOR: Kind = { prefix: 'evfs', base: 640, format: SINGLE };
const KINDS = [VECTOR, SCALAR, WHOLE] as const;

const row = ({ prefix, base }: Kind, name: string, opcode: number, ...rest: [string, string, Meaning]) =>
  (prefix === 'efs' ? scalarRow : speRow)(prefix + name, base + opcode, ...rest);
type Meaning = Parameters<typeof speRow>[4];

/** The numbers in a register, the high element first, as i64. */
function numbersIn(s: Semantics, { prefix }: Kind, register: Operand): Expr[] {
  if (prefix === 'efd') return [s.let(wideGpr(s, register))];
  const low = s.let(s.extendUnsigned(s.low32(s.gpr(register))));
  return prefix === 'efs' ? [low] : [s.let(s.extendUnsigned(s.gprHigh(register))), low];
}

/** Writes pinned numbers. */
function setNumbers(s: Semantics, { prefix }: Kind, register: Operand, numbers: readonly Expr[]): void {
  const low = numbers[numbers.length - 1] as Expr;
  if (prefix === 'efd') {
    setWideGpr(s, register, low);
    return;
  }
  s.setGpr(register, s.wordFromUnsigned32(s.wrap(low)));
  if (prefix === 'evfs') s.setGprHigh(register, s.wrap(numbers[0] as Expr));
}

/** Carries out an operation for each element, and ends it with all their flags. */
function operate(
  s: Semantics,
  target: Operand,
  kind: Kind,
  operands: readonly Expr[][],
  perform: (...numbers: Expr[]) => Expr,
): void {
  const count = (operands[0] as Expr[]).length;
  let flags = s.i32(0);
  const results = Array.from({ length: count }, (_, i) => {
    const result = s.let(perform(...operands.map((numbers) => numbers[i] as Expr)));
    const own = s.let(s.state('speFlags'));
    flags = i === count - 1 ? s.let(s.or(flags, own)) : s.let(s.shl(own, 16));
    return result;
  });
  conclude(s, flags, () => setNumbers(s, kind, target, results));
}

const signOf = ({ bits }: Format): bigint => 1n << BigInt(bits - 1);

/** RT ← RA op RB. */
const binary = (kind: Kind, name: string, opcode: number, routine: Routine, negates = false): InstructionRow =>
  row(kind, name, opcode, 'RT RA RB', 'RT,RA,RB', (s, f) =>
    operate(s, f.RT, kind, [numbersIn(s, kind, f.RA), numbersIn(s, kind, f.RB)], (a, b) =>
      s.invoke(routine, a as Expr, negates ? s.let(s.xor(b as Expr, s.i64(signOf(kind.format)))) : (b as Expr)),
    ),
  );

/** RT ← RA with another sign: no exception is looked for. */
const sign = (kind: Kind, name: string, opcode: number, change: (s: Semantics, a: Expr, bit: bigint) => Expr) =>
  row(kind, name, opcode, 'RT RA /:5', 'RT,RA', (s, f) => {
    const changed = numbersIn(s, kind, f.RA).map((a) => s.let(change(s, a, signOf(kind.format))));
    setNumbers(s, kind, f.RT, changed);
  });

/** Numbers as integers in the same order: with their magnitude's bits, whatever they stand for. */
function ordered(s: Semantics, format: Format, number: Expr): Expr {
  const bit = signOf(format);
  const magnitude = s.let(s.and(number, s.i64(bit - 1n)));
  return s.let(s.select(s.ne(s.and(number, s.i64(bit)), s.i64(0)), s.sub(s.i64(0), magnitude), magnitude));
}

/** Infinities, NaNs and denormals. */
function isInvalid(s: Semantics, { bits, fraction, bias }: Format, number: Expr): Expr {
  const magnitude = s.let(s.and(number, s.i64((1n << BigInt(bits - 1)) - 1n)));
  const infinity = BigInt(2 * bias + 1) << BigInt(fraction);
  const isDenormal = s.and(s.ltUnsigned(magnitude, s.i64(1n << BigInt(fraction))), s.ne(magnitude, s.i64(0)));
  return s.or(s.geUnsigned(magnitude, s.i64(infinity)), isDenormal);
}

/** BF ← whether the numbers compare so; `cmp` flags what is no number, `tst` does not. */
function comparison(kind: Kind, name: string, opcode: number, compare: (s: Semantics, a: Expr, b: Expr) => Expr) {
  const signals = name.startsWith('cmp');
  return row(kind, name, opcode, 'BF /:2 RA RB', 'BF,RA,RB', (s, f) => {
    const [as, bs] = [numbersIn(s, kind, f.RA), numbersIn(s, kind, f.RB)];
    const answers = as.map((a, i) =>
      s.let(compare(s, ordered(s, kind.format, a), ordered(s, kind.format, bs[i] as Expr))),
    );
    const write = (): void => setAnswer(s, f, answers);
    if (!signals) {
      write();
      return;
    }
    const invalid = as.map((a, i) =>
      s.let(s.or(isInvalid(s, kind.format, a), isInvalid(s, kind.format, bs[i] as Expr))),
    );
    const low = s.select(invalid[invalid.length - 1] as Expr, SPEFSCR.FINV, 0);
    const flags = invalid.length === 1 ? low : s.or(s.select(invalid[0] as Expr, SPEFSCR.FINV << 16, 0), low);
    conclude(s, s.let(flags), write);
  });
}

function setAnswer(s: Semantics, f: Operands, answers: readonly Expr[]): void {
  const low = answers[answers.length - 1] as Expr;
  if (answers.length === 1) {
    s.setCrField(f.BF, s.shl(low, 2));
    return;
  }
  const high = answers[0] as Expr;
  const either = s.or(s.shl(s.or(high, low), 1), s.and(high, low));
  s.setCrField(f.BF, s.or(s.or(s.shl(high, 3), s.shl(low, 2)), either));
}

/** RT ← op RB, of which the source may be of another kind. */
const conversion = (
  kind: Kind,
  name: string,
  opcode: number,
  { from, to }: { from: Kind; to: Kind },
  perform: (s: Semantics, b: Expr) => Expr,
): InstructionRow =>
  row(kind, name, opcode, 'RT /:5 RB', 'RT,RB', (s, f) =>
    operate(s, f.RT, to, [numbersIn(s, from, f.RB)], (b) => perform(s, b as Expr)),
  );

/** Integers and fractions have 32 bits, in the elements that a kind's singles would be in. */
const integersOf = (kind: Kind): Kind => (kind === WHOLE ? SCALAR : kind);

const fromIntegers = (kind: Kind): InstructionRow[] => {
  const { fromInteger } = SPE_FLOAT[kind.format.name];
  const direction = { from: integersOf(kind), to: kind };
  const unsigned = (s: Semantics, b: Expr, scale: number): Expr => s.invoke(fromInteger, s.i64(0), b, s.i32(scale));
  const signed = (s: Semantics, b: Expr, scale: number): Expr => {
    const value = s.let(s.signExtend32(b));
    const negative = s.let(s.ltSigned(value, s.i64(0)));
    const magnitude = s.let(s.select(negative, s.sub(s.i64(0), value), value));
    return s.invoke(
      fromInteger,
      s.let(s.select(negative, s.i64(signOf(kind.format)), s.i64(0))),
      magnitude,
      s.i32(scale),
    );
  };
  return [
    conversion(kind, 'cfui', 16, direction, (s, b) => unsigned(s, b, 0)),
    conversion(kind, 'cfsi', 17, direction, (s, b) => signed(s, b, 0)),
    conversion(kind, 'cfuf', 18, direction, (s, b) => unsigned(s, b, 32)),
    conversion(kind, 'cfsf', 19, direction, (s, b) => signed(s, b, 31)),
  ];
};

const toIntegers = (kind: Kind): InstructionRow[] => {
  const { toInteger } = SPE_FLOAT[kind.format.name];
  const direction = { from: kind, to: integersOf(kind) };
  const { SIGNED, FRACTION, TOWARD_ZERO } = TO_INTEGER;
  const made = (name: string, opcode: number, bits: number): InstructionRow =>
    conversion(kind, name, opcode, direction, (s, b) => s.invoke(toInteger, b, s.i32(bits)));
  return [
    made('ctui', 20, 0),
    made('ctsi', 21, SIGNED),
    made('ctuf', 22, FRACTION),
    made('ctsf', 23, FRACTION | SIGNED),
    made('ctuiz', 24, TOWARD_ZERO),
    made('ctsiz', 26, TOWARD_ZERO | SIGNED),
  ];
};

const rowsOf = (kind: Kind): InstructionRow[] => {
  const { add, multiply, divide } = SPE_FLOAT[kind.format.name];
  const greater = (s: Semantics, a: Expr, b: Expr): Expr => s.gtSigned(a, b);
  const less = (s: Semantics, a: Expr, b: Expr): Expr => s.ltSigned(a, b);
  const equal = (s: Semantics, a: Expr, b: Expr): Expr => s.eq(a, b);
  return [
    binary(kind, 'add', 0, add),
    binary(kind, 'sub', 1, add, true),
    sign(kind, 'abs', 4, (s, a, bit) => s.and(a, s.i64(bit - 1n))),
    sign(kind, 'nabs', 5, (s, a, bit) => s.or(a, s.i64(bit))),
    sign(kind, 'neg', 6, (s, a, bit) => s.xor(a, s.i64(bit))),
    binary(kind, 'mul', 8, multiply),
    binary(kind, 'div', 9, divide),
    comparison(kind, 'cmpgt', 12, greater),
    comparison(kind, 'cmplt', 13, less),
    comparison(kind, 'cmpeq', 14, equal),
    ...fromIntegers(kind),
    ...toIntegers(kind),
    comparison(kind, 'tstgt', 28, greater),
    comparison(kind, 'tstlt', 29, less),
    comparison(kind, 'tsteq', 30, equal),
  ];
};

export const SPE_FLOAT_INSTRUCTIONS: readonly InstructionRow[] = [
  ...KINDS.flatMap(rowsOf),
  speRow('efscfd', 719, 'RT /:5 RB', 'RT,RB', (s, f) =>
    operate(s, f.RT, SCALAR, [numbersIn(s, WHOLE, f.RB)], (b) => s.invoke(SPE_FLOAT.Single.convert, b as Expr)),
  ),
  speRow('efdcfs', 751, 'RT /:5 RB', 'RT,RB', (s, f) =>
    operate(s, f.RT, WHOLE, [numbersIn(s, SCALAR, f.RB)], (b) => s.invoke(SPE_FLOAT.Double.convert, b as Expr)),
  ),
];
