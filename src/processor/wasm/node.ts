import type { Expr } from '../../isa/semantics.ts';
import type { Code } from './code.ts';
import { OP, SIMD_ACCESS, type WasmType } from './opcodes.ts';

/** What a node of an expression tree does. */
export const NODE = { constant: 0, local: 1, load: 2, unary: 3, binary: 4, select: 5, simd: 6 } as const;

/** An expression: evaluated where it is emitted. */
export interface Node extends Expr {
  readonly type: WasmType;
  readonly kind: number;
  /** The WebAssembly opcode (loads, unary and binary operations). */
  readonly op: number;
  /** Value of a constant, index of a local, offset of a load; what belongs to a vector operation itself. */
  readonly value: number | bigint;
  readonly a: Node | null;
  readonly b: Node | null;
  readonly c: Node | null;
}

export function constant(type: WasmType, value: number | bigint): Node {
  return {
    type,
    kind: NODE.constant,
    op: 0,
    value: type === 'i32' ? Number(value) | 0 : value,
    a: null,
    b: null,
    c: null,
  };
}
export function local(type: WasmType, index: number): Node {
  return { type, kind: NODE.local, op: 0, value: index, a: null, b: null, c: null };
}
export function load(type: WasmType, op: number, address: Node, offset: number): Node {
  return { type, kind: NODE.load, op, value: offset, a: address, b: null, c: null };
}
export function unary(type: WasmType, op: number, a: Node): Node {
  return { type, kind: NODE.unary, op, value: 0, a, b: null, c: null };
}
export function binary(type: WasmType, op: number, a: Node, b: Node): Node {
  return { type, kind: NODE.binary, op, value: 0, a, b, c: null };
}
export function select(a: Node, b: Node, condition: Node): Node {
  return { type: a.type, kind: NODE.select, op: OP.select, value: 0, a, b, c: condition };
}

/** A vector operation; its opcode stands behind the prefix. `immediate`: a lane's number, or those of a shuffle. */
export function simd(
  type: WasmType,
  op: number,
  args: readonly Node[],
  immediate: number | bigint = NO_IMMEDIATE,
): Node {
  const [a = null, b = null, c = null] = args;
  return { type, kind: NODE.simd, op, value: immediate, a, b, c };
}
const NO_IMMEDIATE = -1;

export const isConstant = (node: Node, value?: number): boolean =>
  node.kind === NODE.constant && (value === undefined || Number(node.value) === value);

/** Alignment hints are the access's natural one; engines take any address. */
function alignmentOf(op: number): number {
  switch (op) {
    case OP.i32Load8S:
    case OP.i32Load8U:
    case OP.i64Load8S:
    case OP.i64Load8U:
    case OP.i32Store8:
      return 0;
    case OP.i32Load16S:
    case OP.i32Load16U:
    case OP.i64Load16S:
    case OP.i64Load16U:
    case OP.i32Store16:
      return 1;
    case OP.i64Load:
    case OP.i64Store:
      return 3;
    case OP.v128Load:
    case OP.v128Store:
      return 4;
    default:
      return 2;
  }
}

export function emitMemoryAccess(code: Code, op: number, offset: number): void {
  if (op > 0xff) {
    code.u8(OP.simdPrefix);
    code.unsigned(op - SIMD_ACCESS);
  } else code.u8(op);
  code.unsigned(alignmentOf(op));
  code.unsigned(offset);
}

/** Appends the instructions that leave the expression's value on the stack. */
export function emitNode(code: Code, node: Node): void {
  switch (node.kind) {
    case NODE.constant:
      if (node.type === 'i32') {
        code.u8(OP.i32Const);
        code.signed(node.value as number);
      } else if (node.type === 'v128') {
        code.u8(OP.simdPrefix);
        code.unsigned(OP.v128Const);
        code.bytes16(BigInt(node.value));
      } else {
        code.u8(OP.i64Const);
        code.signed64(node.value);
      }
      return;
    case NODE.local:
      code.u8(OP.localGet);
      code.unsigned(node.value as number);
      return;
    case NODE.load:
      emitNode(code, node.a as Node);
      emitMemoryAccess(code, node.op, node.value as number);
      return;
    case NODE.unary:
      emitNode(code, node.a as Node);
      code.u8(node.op);
      return;
    case NODE.binary:
      emitNode(code, node.a as Node);
      emitNode(code, node.b as Node);
      code.u8(node.op);
      return;
    case NODE.simd:
      if (node.a) emitNode(code, node.a);
      if (node.b) emitNode(code, node.b);
      if (node.c) emitNode(code, node.c);
      code.u8(OP.simdPrefix);
      code.unsigned(node.op);
      if (typeof node.value === 'bigint') code.bytes16(node.value);
      else if (node.value !== NO_IMMEDIATE) code.u8(node.value);
      return;
    default:
      emitNode(code, node.a as Node);
      emitNode(code, node.b as Node);
      emitNode(code, node.c as Node);
      code.u8(OP.select);
  }
}
