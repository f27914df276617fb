import { Code } from './code.ts';
import type { Signature, WasmFunction } from './module.ts';
import { emitMemoryAccess, emitNode, local, NODE, type Node } from './node.ts';
import { OP, type WasmType } from './opcodes.ts';

/** A label: the nesting depth at which its block was opened. */
export type Label = number;

/** Length of a constant that is told later, in LEB128. */
const LATER_BYTES = 3;

/** Writes one function's body: locals, structured control flow, branch hints. */
export class Emitter {
  readonly code = new Code();
  readonly signature: Signature;
  readonly #locals: WasmType[] = [];
  readonly #hints: { offset: number; likely: boolean }[] = [];
  readonly #free: Record<WasmType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  readonly #taken: { type: WasmType; index: number }[] = [];
  readonly #temporaries = new Set<number>();
  /** Where constants stand that are not known yet. */
  readonly #later: number[] = [];
  #depth = 0;

  constructor(signature: Signature) {
    this.signature = signature;
  }

  /** A new local, for good. */
  newLocal(type: WasmType): number {
    this.#locals.push(type);
    return this.signature.params.length + this.#locals.length - 1;
  }

  /** A local until the next `releaseTemporaries`. */
  temporary(type: WasmType): number {
    const index = this.#free[type].pop() ?? this.newLocal(type);
    this.#temporaries.add(index);
    this.#taken.push({ type, index });
    return index;
  }

  releaseTemporaries(): void {
    for (let i = this.#taken.length - 1; i >= 0; i--) {
      const { type, index } = this.#taken[i] as { type: WasmType; index: number };
      this.#free[type].push(index);
    }
    this.#taken.length = 0;
  }

  push(node: Node): void {
    emitNode(this.code, node);
  }

  set(index: number, node: Node): void {
    emitNode(this.code, node);
    this.code.u8(OP.localSet);
    this.code.unsigned(index);
  }

  /** Sets a local to what is on the stack. */
  setFromStack(index: number): void {
    this.code.u8(OP.localSet);
    this.code.unsigned(index);
  }

  /** Pushes an i32 that is known when the function is complete: `resolve` tells it. */
  pushLater(): void {
    this.code.u8(OP.i32Const);
    this.#later.push(this.code.length);
    for (let i = 1; i < LATER_BYTES; i++) this.code.u8(0x80);
    this.code.u8(0);
  }

  /** The value that `pushLater` stands for: from 0 to 2^20 - 1. */
  resolve(value: number): void {
    for (const at of this.#later)
      for (let i = 0; i < LATER_BYTES; i++) {
        const more = i + 1 < LATER_BYTES ? 0x80 : 0;
        this.code.bytes[at + i] = ((value >> (7 * i)) & 0x7f) | more;
      }
  }

  /** Bytes that the locals have in a frame where each has its place, parameters among them. */
  get localBytes(): number {
    const { params } = this.signature;
    return [...params, ...this.#locals].reduce((bytes, type) => bytes + (type === 'v128' ? 16 : 8), 0);
  }

  /** Evaluates into a temporary (a temporary stays itself). */
  pin(node: Node): Node {
    if (node.kind === NODE.local && this.#temporaries.has(node.value as number)) return node;
    const index = this.temporary(node.type);
    this.set(index, node);
    return local(node.type, index);
  }

  store(op: number, address: Node, offset: number, value: Node): void {
    emitNode(this.code, address);
    emitNode(this.code, value);
    emitMemoryAccess(this.code, op, offset);
  }

  block(): Label {
    this.code.u8(OP.block);
    this.code.u8(OP.void);
    return ++this.#depth;
  }

  loop(): Label {
    this.code.u8(OP.loop);
    this.code.u8(OP.void);
    return ++this.#depth;
  }

  /** `likely` undefined: no hint. */
  if(condition: Node, likely?: boolean): Label {
    emitNode(this.code, condition);
    if (likely !== undefined) this.#hints.push({ offset: this.code.length, likely });
    this.code.u8(OP.if);
    this.code.u8(OP.void);
    return ++this.#depth;
  }

  /** `if` on a condition that is on the stack already. */
  ifStack(likely?: boolean): Label {
    if (likely !== undefined) this.#hints.push({ offset: this.code.length, likely });
    this.code.u8(OP.if);
    this.code.u8(OP.void);
    return ++this.#depth;
  }

  else(): void {
    this.code.u8(OP.else);
  }

  end(): void {
    this.code.u8(OP.end);
    this.#depth--;
  }

  br(label: Label): void {
    this.code.u8(OP.br);
    this.code.unsigned(this.#depth - label);
  }

  brIf(condition: Node, label: Label, likely?: boolean): void {
    emitNode(this.code, condition);
    if (likely !== undefined) this.#hints.push({ offset: this.code.length, likely });
    this.code.u8(OP.brIf);
    this.code.unsigned(this.#depth - label);
  }

  /** `br_if` on a condition that is on the stack already. */
  brIfStack(label: Label): void {
    this.code.u8(OP.brIf);
    this.code.unsigned(this.#depth - label);
  }

  brTable(index: Node, labels: readonly Label[], otherwise: Label): void {
    emitNode(this.code, index);
    this.code.u8(OP.brTable);
    this.code.unsigned(labels.length);
    for (const label of labels) this.code.unsigned(this.#depth - label);
    this.code.unsigned(this.#depth - otherwise);
  }

  call(functionIndex: number, ...args: Node[]): void {
    for (const arg of args) emitNode(this.code, arg);
    this.code.u8(OP.call);
    this.code.unsigned(functionIndex);
  }

  callIndirect(typeIndex: number, tableSlot: Node, ...args: Node[]): void {
    for (const arg of args) emitNode(this.code, arg);
    emitNode(this.code, tableSlot);
    this.code.u8(OP.callIndirect);
    this.code.unsigned(typeIndex);
    this.code.unsigned(0);
  }

  /** A call that takes this function's place. */
  returnCallIndirect(typeIndex: number, tableSlot: Node, ...args: Node[]): void {
    for (const arg of args) emitNode(this.code, arg);
    emitNode(this.code, tableSlot);
    this.code.u8(OP.returnCallIndirect);
    this.code.unsigned(typeIndex);
    this.code.unsigned(0);
  }

  return(node?: Node): void {
    if (node) emitNode(this.code, node);
    this.code.u8(OP.return);
  }

  unreachable(): void {
    this.code.u8(OP.unreachable);
  }

  finish(exportName?: string): WasmFunction {
    this.code.u8(OP.end);
    const fn = { signature: this.signature, locals: this.#locals, body: this.code.take(), hints: this.#hints };
    return exportName === undefined ? fn : { ...fn, exportName };
  }
}
