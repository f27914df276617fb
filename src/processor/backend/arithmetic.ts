import { FLOAT_OPS, type FloatOp, type FloatOperation } from '../../isa/float-ops.ts';
import type { Cell, Expr, Operand } from '../../isa/semantics.ts';
import type { Emitter } from '../wasm/emitter.ts';
import { binary, constant, isConstant, local, NODE, type Node, select, unary } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';

/** Opcode of an i64 operation by that of the i32 one. */
const WIDE: Record<number, number> = {
  [OP.i32Eqz]: OP.i64Eqz,
  [OP.i32Eq]: OP.i64Eq,
  [OP.i32Ne]: OP.i64Ne,
  [OP.i32LtS]: OP.i64LtS,
  [OP.i32LtU]: OP.i64LtU,
  [OP.i32GtS]: OP.i64GtS,
  [OP.i32GtU]: OP.i64GtU,
  [OP.i32LeS]: OP.i64LeS,
  [OP.i32LeU]: OP.i64LeU,
  [OP.i32GeS]: OP.i64GeS,
  [OP.i32GeU]: OP.i64GeU,
  [OP.i32Clz]: OP.i64Clz,
  [OP.i32Ctz]: OP.i64Ctz,
  [OP.i32Popcnt]: OP.i64Popcnt,
  [OP.i32Add]: OP.i64Add,
  [OP.i32Sub]: OP.i64Sub,
  [OP.i32Mul]: OP.i64Mul,
  [OP.i32DivS]: OP.i64DivS,
  [OP.i32DivU]: OP.i64DivU,
  [OP.i32And]: OP.i64And,
  [OP.i32Or]: OP.i64Or,
  [OP.i32Xor]: OP.i64Xor,
  [OP.i32Shl]: OP.i64Shl,
  [OP.i32ShrS]: OP.i64ShrS,
  [OP.i32ShrU]: OP.i64ShrU,
  [OP.i32Rotl]: OP.i64Rotl,
  [OP.i32Extend8S]: OP.i64Extend8S,
  [OP.i32Extend16S]: OP.i64Extend16S,
};

/** i32 operations on two constants, for folding. */
const FOLD: Record<number, (a: number, b: number) => number> = {
  [OP.i32Add]: (a, b) => a + b,
  [OP.i32Sub]: (a, b) => a - b,
  [OP.i32And]: (a, b) => a & b,
  [OP.i32Or]: (a, b) => a | b,
  [OP.i32Xor]: (a, b) => a ^ b,
  [OP.i32Shl]: (a, b) => a << (b & 31),
  [OP.i32ShrU]: (a, b) => a >>> (b & 31),
  [OP.i32ShrS]: (a, b) => a >> (b & 31),
  [OP.i32Eq]: (a, b) => Number(a === b),
  [OP.i32Ne]: (a, b) => Number(a !== b),
};

/** The part of a builder that only computes: constants, arithmetic, comparisons, widths. */
export abstract class ArithmeticBuilder {
  readonly word: 'i32' | 'i64';
  protected readonly e: Emitter;

  protected constructor(emitter: Emitter, word: 'i32' | 'i64') {
    this.e = emitter;
    this.word = word;
  }

  protected node(value: Operand, type: 'i32' | 'i64' = 'i32'): Node {
    return typeof value === 'number' ? constant(type, value) : (value as Node);
  }

  i32(value: Operand): Node {
    return this.node(value);
  }
  i64(value: number | bigint): Node {
    return constant('i64', value);
  }
  wordOf(value: Operand): Node {
    return this.#widen(this.node(value, this.word), this.word);
  }
  /** An i32 beside an i64 is sign-extended. */
  #widen(node: Node, type: 'i32' | 'i64'): Node {
    return type === 'i64' && node.type === 'i32' ? unary('i64', OP.i64ExtendI32S, node) : node;
  }
  #typeOf(a: Operand, b: Operand): 'i32' | 'i64' {
    const wide = (typeof a !== 'number' && a.type === 'i64') || (typeof b !== 'number' && b.type === 'i64');
    return wide ? 'i64' : 'i32';
  }
  let(value: Expr): Node {
    const node = value as Node;
    return isConstant(node) ? node : this.e.pin(node);
  }

  cell(initial: Expr): Cell {
    const node = initial as Node;
    const index = this.e.newLocal(node.type);
    this.e.set(index, node);
    return { get: () => this.let(local(node.type, index)), set: (value) => this.e.set(index, value as Node) };
  }
  #binary(op: number, a: Operand, b: Operand, comparison = false): Node {
    const type = this.#typeOf(a, b);
    const left = this.#widen(this.node(a, type), type);
    const right = this.#widen(this.node(b, type), type);
    if (type === 'i32' && isConstant(left) && isConstant(right)) {
      const fold = FOLD[op];
      if (fold) return constant('i32', fold(left.value as number, right.value as number));
    }
    return binary(comparison ? 'i32' : type, type === 'i64' ? (WIDE[op] as number) : op, left, right);
  }

  add(a: Operand, b: Operand): Node {
    if (typeof b === 'number' ? b === 0 : isConstant(b as Node, 0)) return this.node(a);
    if (typeof a !== 'number' && isConstant(a as Node, 0) && typeof b !== 'number') return b as Node;
    return this.#binary(OP.i32Add, a, b);
  }
  sub(a: Operand, b: Operand): Node {
    return b === 0 ? this.node(a) : this.#binary(OP.i32Sub, a, b);
  }
  mul(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32Mul, a, b);
  }
  divSigned(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32DivS, a, b);
  }
  divUnsigned(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32DivU, a, b);
  }
  and(a: Operand, b: Operand): Node {
    return b === -1 ? this.node(a) : this.#binary(OP.i32And, a, b);
  }
  or(a: Operand, b: Operand): Node {
    return b === 0 ? this.node(a) : this.#binary(OP.i32Or, a, b);
  }
  xor(a: Operand, b: Operand): Node {
    return b === 0 ? this.node(a) : this.#binary(OP.i32Xor, a, b);
  }
  not(a: Expr): Node {
    return this.#binary(OP.i32Xor, a, -1);
  }
  neg(a: Expr): Node {
    return this.#binary(OP.i32Sub, constant(a.type, 0), a);
  }
  shl(a: Operand, n: Operand): Node {
    return n === 0 ? this.node(a) : this.#binary(OP.i32Shl, a, n);
  }
  shrUnsigned(a: Operand, n: Operand): Node {
    return n === 0 ? this.node(a) : this.#binary(OP.i32ShrU, a, n);
  }
  shrSigned(a: Operand, n: Operand): Node {
    return n === 0 ? this.node(a) : this.#binary(OP.i32ShrS, a, n);
  }
  rotl(a: Operand, n: Operand): Node {
    return n === 0 ? this.node(a) : this.#binary(OP.i32Rotl, a, n);
  }
  #unary(op: number, a: Expr): Node {
    return a.type === 'i64' ? unary('i64', WIDE[op] as number, a as Node) : unary('i32', op, a as Node);
  }
  clz(a: Expr): Node {
    return this.#unary(OP.i32Clz, a);
  }
  ctz(a: Expr): Node {
    return this.#unary(OP.i32Ctz, a);
  }
  popcnt(a: Expr): Node {
    return this.#unary(OP.i32Popcnt, a);
  }
  signExtend8(a: Expr): Node {
    return this.#unary(OP.i32Extend8S, a);
  }
  signExtend16(a: Expr): Node {
    return this.#unary(OP.i32Extend16S, a);
  }

  signExtend32(a: Expr): Node {
    return unary('i64', OP.i64Extend32S, a as Node);
  }

  eq(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32Eq, a, b, true);
  }
  ne(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32Ne, a, b, true);
  }
  eqz(a: Expr): Node {
    const node = a as Node;
    if (node.type === 'i32' && isConstant(node)) return constant('i32', Number(node.value === 0));
    return unary('i32', node.type === 'i64' ? OP.i64Eqz : OP.i32Eqz, node);
  }
  ltSigned(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32LtS, a, b, true);
  }
  ltUnsigned(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32LtU, a, b, true);
  }
  gtSigned(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32GtS, a, b, true);
  }
  gtUnsigned(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32GtU, a, b, true);
  }
  leSigned(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32LeS, a, b, true);
  }
  leUnsigned(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32LeU, a, b, true);
  }
  geSigned(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32GeS, a, b, true);
  }
  geUnsigned(a: Operand, b: Operand): Node {
    return this.#binary(OP.i32GeU, a, b, true);
  }
  select(condition: Expr, whenTrue: Operand, whenFalse: Operand): Node {
    const type = this.#typeOf(whenTrue, whenFalse);
    const [yes, no] = [this.node(whenTrue, type), this.node(whenFalse, type)];
    return select(this.#widen(yes, type), this.#widen(no, type), condition as Node);
  }

  float(op: FloatOp, ...args: Expr[]): Node {
    const { opcode, params, result }: FloatOperation = FLOAT_OPS[op];
    args.forEach(({ type }, i) => {
      if (type !== params[i]) throw new TypeError(`${op} is given an ${type}, not ${params[i]}`);
    });
    const [a, b] = args as Node[];
    return b ? binary(result, opcode, a as Node, b) : unary(result, opcode, a as Node);
  }

  low32(a: Expr): Node {
    return a.type === 'i64' ? this.wrap(a) : (a as Node);
  }
  wordFromUnsigned32(a: Expr): Node {
    return this.word === 'i32' ? (a as Node) : this.extendUnsigned(a);
  }
  wordFromSigned32(a: Expr): Node {
    return this.word === 'i32' ? (a as Node) : this.extendSigned(a);
  }
  wrap(a: Expr): Node {
    const { kind, op, a: inner } = a as Node;
    // The low word of what was extended is what it was extended from.
    if (kind === NODE.unary && (op === OP.i64ExtendI32S || op === OP.i64ExtendI32U)) return inner as Node;
    return unary('i32', OP.i32WrapI64, a as Node);
  }
  extendSigned(a: Expr): Node {
    return unary('i64', OP.i64ExtendI32S, a as Node);
  }
  extendUnsigned(a: Expr): Node {
    return unary('i64', OP.i64ExtendI32U, a as Node);
  }
}
