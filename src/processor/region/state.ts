import type { Expr, Operand, StateName } from '../../isa/semantics.ts';
import { Builder } from '../backend/builder.ts';
import {
  addState,
  type Comparison,
  type CrOrigin,
  comparisonOf,
  facilityOf,
  hasState,
  type StateSet,
  stateOffsets,
  stateType,
} from '../backend/effects.ts';
import { CR, XER_SO } from '../layout.ts';
import type { ProcessorModel } from '../model.ts';
import type { Emitter } from '../wasm/emitter.ts';
import { constant, isConstant, load, local, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import type { Block, Decoded } from './blocks.ts';
import { meet } from './condition.ts';
import type { RegionRuntime } from './runtime.ts';

/** Locals of a CR field that is compared in the region. */
interface ComparedField {
  /** What was compared, by type. */
  readonly operands: Map<'i32' | 'i64', { readonly a: Node; readonly b: Node }>;
  /** Comparisons that the field is made by. */
  readonly comparisons: Set<Comparison>;
  /** 0: the four bits are in the field's own local; else the number of the comparison. */
  readonly origin: number;
}
const ORIGIN_NUMBER: Readonly<Record<Comparison | 'bits', number>> = {
  bits: 0,
  'signed i32': 1,
  'unsigned i32': 2,
  'signed i64': 3,
  'unsigned i64': 4,
};
const isSigned = (comparison: Comparison): boolean => comparison.startsWith('signed');
const typeOf = (comparison: Comparison): 'i32' | 'i64' => (comparison.endsWith('i64') ? 'i64' : 'i32');

/** State in a region: registers in locals, comparisons that are kept as their operands. */
export abstract class RegionState extends Builder {
  readonly #locals = new Map<number, number>();
  /** State by local: the other way round. */
  readonly #stateOf = new Map<number, number>();
  readonly #compared = new Map<number, ComparedField>();
  /** The instruction that is being emitted. */
  protected basicBlock!: Block;
  protected blockIndex = 0;
  protected at = 0;
  protected current!: Decoded;
  /** What is only in locals where code is being emitted. */
  protected dirty: StateSet = { low: 0, high: 0 };
  /** What this instruction has written. */
  protected written: StateSet = { low: 0, high: 0 };
  /** What is known of the CR fields where code is being emitted. */
  protected cr: CrOrigin[] = [];
  /** Facilities that are known to be available there. */
  protected facilities = 0;

  protected constructor(
    e: Emitter,
    runtime: RegionRuntime,
    locals: { readonly block: number; readonly tlb: number },
    blocks: readonly Block[],
    model: ProcessorModel,
  ) {
    super(e, runtime, locals.block, locals.tlb, model);
    // A comparison takes SO along. Where SO changes, it has to be computed then and there.
    const changesSo = blocks.some(({ code }) => code.some(({ effects }) => hasState(effects.writes, XER_SO)));
    if (changesSo) return;
    for (const { code } of blocks)
      for (const { effects } of code)
        for (const [field, origin] of effects.crOrigins)
          if (origin !== 'bits' && origin !== 'mixed') this.#noteComparison(field, origin);
  }

  #noteComparison(field: number, comparison: Comparison): void {
    const { e } = this;
    const type = typeOf(comparison);
    let compared = this.#compared.get(field);
    if (!compared) {
      compared = { operands: new Map(), comparisons: new Set(), origin: e.newLocal('i32') };
      this.#compared.set(field, compared);
    }
    compared.comparisons.add(comparison);
    if (compared.operands.has(type)) return;
    compared.operands.set(type, { a: local(type, e.newLocal(type)), b: local(type, e.newLocal(type)) });
  }

  /** Some state as it is in the vCPU block. */
  protected loadOf(offset: number): Node {
    const type = stateType(offset, this.word);
    return load(type, type === 'i64' ? OP.i64Load : OP.i32Load, this.block, offset);
  }

  /** Loads what is needed from the vCPU block; all CR fields are bits then. */
  protected loadState(live: StateSet): void {
    const { e } = this;
    for (const offset of stateOffsets(live)) e.set(this.#local(offset).value as number, this.loadOf(offset));
    for (const { origin } of this.#compared.values()) e.set(origin, constant('i32', 0));
  }

  /** Writes back what is only in locals. */
  protected spill(dirty: StateSet): void {
    for (const offset of stateOffsets(dirty)) {
      const value = this.readWord(offset);
      this.e.store(value.type === 'i64' ? OP.i64Store : OP.i32Store, this.block, offset, value);
    }
  }

  /** The local of some state. */
  #local(offset: number): Node {
    const type = stateType(offset, this.word);
    let index = this.#locals.get(offset);
    if (index === undefined) {
      index = this.e.newLocal(type);
      this.#locals.set(offset, index);
      this.#stateOf.set(index, offset);
    }
    return local(type, index);
  }

  /** The state that a local is of. */
  protected stateOfLocal(index: number): number | undefined {
    return this.#stateOf.get(index);
  }

  protected override read(offset: number): Node {
    const own = this.#local(offset);
    const field = (offset - CR) >> 2;
    const compared = offset >= CR && field < 8 ? this.#compared.get(field) : undefined;
    return compared ? this.#bitsOf(field, compared, own) : own;
  }
  protected override readWord(offset: number): Node {
    return this.read(offset);
  }

  /** The four bits of a field: as they are, or computed from a comparison's operands. */
  #bitsOf(field: number, compared: ComparedField, bits: Node): Node {
    const known = this.cr[field] as CrOrigin;
    if (known === 'bits') return bits;
    if (known !== 'mixed') return this.#comparedBits(compared, known);
    const which = local('i32', compared.origin);
    let result = bits;
    for (const comparison of compared.comparisons)
      result = this.select(this.eq(which, ORIGIN_NUMBER[comparison]), this.#comparedBits(compared, comparison), result);
    return result;
  }

  #operandsOf(compared: ComparedField, comparison: Comparison): { readonly a: Node; readonly b: Node } {
    return compared.operands.get(typeOf(comparison)) as { a: Node; b: Node };
  }

  #comparedBits(compared: ComparedField, comparison: Comparison): Node {
    const { a, b } = this.#operandsOf(compared, comparison);
    return this.compareBits(a, b, isSigned(comparison));
  }

  protected override write(offset: number, value: Node): void {
    this.e.set(this.#local(offset).value as number, value);
    addState(this.written, offset);
    const field = (offset - CR) >> 2;
    if (offset >= CR && field < 8) this.#setOrigin(field, 'bits');
  }
  protected override writeWord(offset: number, value: Node): void {
    this.write(offset, value);
  }

  #setOrigin(field: number, origin: Comparison | 'bits'): void {
    const compared = this.#compared.get(field);
    if (compared) this.e.set(compared.origin, constant('i32', ORIGIN_NUMBER[origin]));
    this.cr[field] = origin;
  }

  override compare(field: Operand, a: Expr, b: Operand, signed: boolean): void {
    const number = field as number;
    const comparison = comparisonOf(a.type, signed);
    const compared = this.#compared.get(number);
    if (!compared) {
      super.compare(field, a, b, signed);
      return;
    }
    const operands = this.#operandsOf(compared, comparison);
    const left = this.let(a);
    this.e.set(operands.b.value as number, this.node(b, operands.b.type as 'i32' | 'i64'));
    this.e.set(operands.a.value as number, left);
    addState(this.written, CR + 4 * number);
    this.#setOrigin(number, comparison);
  }

  /** A bit that a comparison made is asked of the operands. */
  override crBit(bit: Operand): Node {
    const field = (bit as number) >> 2;
    const compared = this.#compared.get(field);
    const known = this.cr[field];
    if (!compared || !known || known === 'bits' || known === 'mixed') return super.crBit(bit);
    const { a, b } = this.#operandsOf(compared, known);
    const signed = isSigned(known);
    switch ((bit as number) & 3) {
      case 0:
        return signed ? this.ltSigned(a, b) : this.ltUnsigned(a, b);
      case 1:
        return signed ? this.gtSigned(a, b) : this.gtUnsigned(a, b);
      case 2:
        return this.eq(a, b);
      default:
        return this.so();
    }
  }

  /** Once an instruction has found its facility available, those behind it need not look. */
  override state(name: StateName): Node {
    return this.facilities & facilityOf(name) ? constant('i32', 1) : super.state(name);
  }

  override if(condition: Expr, then: () => void, otherwise?: () => void): void {
    const node = condition as Node;
    if (isConstant(node)) {
      if (!isConstant(node, 0)) then();
      else otherwise?.();
      return;
    }
    const before = this.cr;
    let after = before;
    const arm = (body: () => void): void => {
      after = this.cr;
      this.cr = [...before];
      this.conditionally(body);
    };
    super.if(condition, () => arm(then), otherwise && (() => arm(otherwise)));
    this.cr = [...meet(this.cr, after)];
  }

  /** Emits what is not always carried out. */
  protected conditionally(body: () => void): void {
    body();
  }
}
