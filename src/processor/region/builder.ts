/**
 * The back end that emits a region: basic blocks in structured control flow, state in locals, one common exit that
 * writes the state back.
 *
 * A region is a function (effective address of its page, call depth) → 0, or 1 after an interrupt; PC and BUDGET are in
 * the vCPU block. `bl` is a call: the callee's region runs on top of this one, and when it comes back with PC at the
 * return address the caller goes on; with any other PC the caller leaves as well.
 */
import type { Expr, InstructionInterrupt, Operand, ProgramCause } from '../../isa/semantics.ts';
import { Builder, type RuntimeFunctions, type Translation } from '../builder.ts';
import { type CrOrigin, copyOf, hasState, type StateSet, stateOffsets, unite } from '../effects.ts';
import { BUDGET, CR, gprOffset, PC, TLB_BASE, XER_SO, ZERO_REGISTER } from '../layout.ts';
import { SIGNATURES } from '../runtime.ts';
import { setInstructionInterrupt } from '../traps.ts';
import { Emitter, type Label } from '../wasm/emitter.ts';
import type { WasmFunction } from '../wasm/module.ts';
import { constant, isConstant, load, local, NODE, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import type { Block, Decoded } from './blocks.ts';
import { type CrFields, type CrKnowledge, crAtBlocks, endsWithCall } from './condition.ts';
import { analyseState, type DataFlow } from './dataflow.ts';
import { analyse, blocksInLoops, type Dispatcher, type FlowGraph } from './graph.ts';

export interface RegionRuntime extends RuntimeFunctions {
  /** (effective address) → slot of the region that begins there, or 0. */
  readonly regionAt: number;
  /** (effective address, cell) → the same, remembered in the cell. */
  readonly link: number;
  /** (what remains of the budget) → the new budget, or 0: leave. */
  readonly tick: number;
}

/** Deeper calls leave to the dispatcher: the host's stack is bounded. */
const MAX_DEPTH = 500;
/** The fault word: offset in the page (13 bits), then the instructions of the block that did not retire. */
const FAULT_OFFSET_BITS = 13;

/** Where a call goes: to this page, to a fixed place in another, or to an address in a register. */
type CallTarget = 'near' | 'far' | 'anywhere';

/** Locals of a CR field that is compared in the region. */
interface ComparedField {
  readonly a: number;
  readonly b: number;
  /** 0: the four bits are in the field's own local; 1: signed comparison of a and b; 2: unsigned. */
  readonly origin: number;
}
const ORIGIN_NUMBER: Record<CrOrigin, number> = { bits: 0, signed: 1, unsigned: 2 };

/** No page has this tag. */
const NO_PAGE = -1;

const PAGE = local('i32', 0);
const DEPTH = local('i32', 1);

class RegionBuilder extends Builder {
  readonly #blocks: readonly Block[];
  readonly #graph: FlowGraph;
  readonly #newCell: () => number;
  readonly #indexOf: Map<number, number>;
  readonly #region: RegionRuntime;
  readonly #locals = new Map<number, number>();
  /** State by local: the other way round. */
  readonly #stateOf = new Map<number, number>();
  /** State that the address in a temporary was made from. */
  readonly #baseOf = new Map<number, number>();
  /** Pages known where code is being emitted, and all that have locals, by 2 × state + (1: may be written). */
  #pages = new Map<number, Translation>();
  /** Blocks in loops without calls, and the pages (keys as above) that accesses in them go through. */
  readonly #inLoop: ReadonlySet<number>;
  readonly #loopPages = new Set<number>();
  readonly #pageLocals = new Map<number, Translation>();
  readonly #budget: number;
  readonly #pc: number;
  readonly #result: number;
  readonly #blockLabels: (Label | undefined)[] = [];
  readonly #loopLabels: (Label | undefined)[] = [];
  #exit: Label = 0;
  #return: Label = 0;
  #fault: Label = 0;
  /** The instruction that is being emitted. */
  #block!: Block;
  #blockIndex = 0;
  #at = 0;
  #current!: Decoded;
  #terminated = false;
  readonly #selectors = new Map<number, number>();
  readonly #compared = new Map<number, ComparedField>();
  readonly #crAtBlocks: readonly CrFields[];
  readonly #state: DataFlow;
  /** What is only in locals where code is being emitted. */
  #dirty: StateSet = { low: 0, high: 0 };
  /** What is known of the CR fields where code is being emitted. */
  #cr: CrKnowledge[] = [];

  constructor(e: Emitter, runtime: RegionRuntime, blocks: readonly Block[], graph: FlowGraph, newCell: () => number) {
    const block = e.newLocal('i32');
    const tlb = e.newLocal('i32');
    super(e, runtime, block, tlb);
    this.#region = runtime;
    this.#blocks = blocks;
    this.#graph = graph;
    this.#newCell = newCell;
    this.#indexOf = new Map(blocks.map((b, index) => [b.start, index]));
    this.#budget = e.newLocal('i32');
    this.#pc = e.newLocal('i32');
    this.#result = e.newLocal('i32');
    this.#inLoop = blocksInLoops(blocks, endsWithCall);
    for (const index of this.#inLoop) for (const decoded of (blocks[index] as Block).code) this.#noteLoopPage(decoded);
    this.#state = analyseState(blocks, (index) => this.#leavesAfter(index));
    this.#crAtBlocks = crAtBlocks(blocks);
    // A comparison takes SO along. Where SO changes, it has to be computed then and there.
    const changesSo = blocks.some(({ code }) => code.some(({ effects }) => hasState(effects.writes, XER_SO)));
    if (changesSo) return;
    for (const { code } of blocks)
      for (const { effects } of code)
        for (const [field, origin] of effects.crOrigins)
          if (origin !== 'bits' && !this.#compared.has(field))
            this.#compared.set(field, { a: e.newLocal('i32'), b: e.newLocal('i32'), origin: e.newLocal('i32') });
  }

  #noteLoopPage({ instruction: { access }, operands }: Decoded): void {
    if (!access) return;
    const base = (access.update ? operands.RA : operands.RA0) as number;
    if (base !== ZERO_REGISTER && !access.indexed)
      this.#loopPages.add(gprOffset(base) * 2 + Number(access.kind === 'store'));
  }

  /** Whether control can leave the region behind a block: to an address outside, or when the budget is spent. */
  #leavesAfter(index: number): boolean {
    const { successors, stopsAt, end } = this.#blocks[index] as Block;
    const { order, isIrreducible, dispatchers } = this.#graph;
    if (stopsAt >= 0 || end >= 4096 || successors.length < 2) return true;
    return successors.some((next) => {
      let target = next;
      for (let dispatcher = dispatchers.get(target); dispatcher; dispatcher = dispatchers.get(target))
        target = dispatcher.node;
      return (order[target] as number) <= (order[index] as number) || isIrreducible(index, target);
    });
  }

  emit(): WasmFunction {
    const { e } = this;
    e.code.u8(OP.globalGet);
    e.code.unsigned(0);
    e.setFromStack(this.block.value as number);
    this.#reload(this.#state.liveIn[0] as StateSet);
    this.#return = e.block();
    this.#exit = e.block();
    this.#fault = e.block();
    this.#tree(0);
    e.unreachable();
    e.end(); // fault: PC and the part of the block's budget that was not used, from the fault word
    const word = local('i32', this.#pc);
    e.set(this.#budget, this.add(local('i32', this.#budget), this.shrUnsigned(word, FAULT_OFFSET_BITS)));
    e.set(this.#pc, this.add(PAGE, this.and(word, (1 << FAULT_OFFSET_BITS) - 1)));
    e.set(this.#result, constant('i32', 1));
    e.br(this.#return);
    e.end(); // exit: to the region that begins there, which takes this one's place
    const pc = local('i32', this.#pc);
    const budget = local('i32', this.#budget);
    e.if(this.gtSigned(budget, 0), true);
    const slot = e.temporary('i32');
    e.call(this.#region.regionAt, pc);
    e.setFromStack(slot);
    e.if(local('i32', slot), true);
    e.store(OP.i32Store, this.block, BUDGET, budget);
    e.returnCallIndirect(0, local('i32', slot), this.and(pc, -4096), DEPTH);
    e.end();
    e.end();
    e.end(); // return
    e.store(OP.i32Store, this.block, BUDGET, budget);
    e.store(OP.i32Store, this.block, PC, pc);
    e.push(local('i32', this.#result));
    return e.finish();
  }

  /** Loads what is needed from the vCPU block. */
  #reload(live: StateSet): void {
    const { e } = this;
    e.set(this.tlb.value as number, load('i32', OP.i32Load, this.block, TLB_BASE));
    e.set(this.#budget, load('i32', OP.i32Load, this.block, BUDGET));
    for (const offset of stateOffsets(live)) e.set(this.#local(offset), load('i32', OP.i32Load, this.block, offset));
    for (const { origin } of this.#compared.values()) e.set(origin, constant('i32', 0));
    for (const key of this.#loopPages) e.set(this.#pageOf(key).tag.value as number, constant('i32', NO_PAGE));
  }

  /** Writes back what is only in locals. */
  #spill(dirty: StateSet): void {
    for (const offset of stateOffsets(dirty)) this.e.store(OP.i32Store, this.block, offset, this.read(offset));
  }

  // --- control flow

  /** Emits a block and all that it dominates. */
  #tree(index: number): void {
    const { e } = this;
    const { isLoop, isMerge, children, order } = this.#graph;
    const merges = (children[index] as readonly number[])
      .filter((child) => isMerge[child])
      .sort((a, b) => (order[b] as number) - (order[a] as number));
    if (isLoop[index]) this.#loopLabels[index] = e.loop();
    for (const merge of merges) this.#blockLabels[merge] = e.block();
    if (index < this.#blocks.length) this.#body(index);
    else this.#dispatch(this.#graph.dispatcherNodes[index - this.#blocks.length] as Dispatcher);
    for (const merge of merges.reverse()) {
      e.end();
      this.#tree(merge);
    }
    if (isLoop[index]) {
      e.unreachable();
      e.end();
    }
  }

  #body(index: number): void {
    const { e } = this;
    const block = this.#blocks[index] as Block;
    this.#cr = [...(this.#crAtBlocks[index] as CrFields)];
    if (this.#graph.isMerge[index] || this.#graph.isLoop[index]) this.#pages.clear();
    this.#dirty = copyOf(this.#state.dirtyIn[index] as StateSet);
    e.set(this.#budget, this.add(local('i32', this.#budget), -block.code.length));
    this.#terminated = false;
    for (let i = 0; i < block.code.length && !this.#terminated; i++) {
      const decoded = block.code[i] as Decoded;
      // Emission of successors comes back here with its own state.
      this.#block = block;
      this.#blockIndex = index;
      this.#at = i;
      this.#current = decoded;
      // A branch leaves with its own changes; before any other instruction an interrupt finds those of the ones before.
      if (decoded.instruction.ends) unite(this.#dirty, decoded.effects.writes);
      if (decoded.meaning) decoded.meaning(this, decoded.operands);
      else this.interrupt('program', 'privileged');
      if (!decoded.instruction.ends) unite(this.#dirty, decoded.effects.writes);
    }
    if (this.#terminated) return;
    e.releaseTemporaries();
    if (block.stopsAt >= 0) this.#leave(this.add(PAGE, block.stopsAt));
    else this.#branch(index, block.end);
    this.#terminated = true;
  }

  /** Leaves the region for an address; `toCaller` when the one who called is likely to wait there. */
  #leave(target: Node, toCaller = false): void {
    this.#spill(this.#dirty);
    this.e.set(this.#pc, target);
    this.e.br(toCaller ? this.#return : this.#exit);
  }

  /** A loop with several entries: goes to the one that the selector names. The budget is for blocks to check. */
  #dispatch(dispatcher: Dispatcher): void {
    const { e } = this;
    const { order, isMerge } = this.#graph;
    const last = dispatcher.entries.length - 1;
    for (const [i, entry] of dispatcher.entries.entries()) {
      if (i < last) e.if(this.eq(this.#selectorOf(dispatcher), i));
      if ((order[entry] as number) <= (order[dispatcher.node] as number)) e.br(this.#loopLabels[entry] as Label);
      else if (isMerge[entry]) e.br(this.#blockLabels[entry] as Label);
      else this.#tree(entry);
      if (i < last) e.end();
    }
  }

  #selectorOf({ node }: Dispatcher): Node {
    let index = this.#selectors.get(node);
    if (index === undefined) this.#selectors.set(node, (index = this.e.newLocal('i32')));
    return local('i32', index);
  }

  /** Goes to an offset of this page: inside the region where that is possible. */
  #branch(from: number, offset: number): void {
    const target = this.#indexOf.get(offset);
    if (target === undefined) {
      this.#leave(this.add(PAGE, offset));
      return;
    }
    let node = target;
    for (;;) {
      const dispatcher = this.#graph.dispatchers.get(node);
      if (!dispatcher) break;
      this.e.set(this.#selectorOf(dispatcher).value as number, constant('i32', dispatcher.entries.indexOf(node)));
      node = dispatcher.node;
    }
    this.#jump(from, node, offset);
  }

  /** Goes to a node of the graph, which is the block at an offset or a dispatcher before it. */
  #jump(from: number, target: number, offset: number): void {
    const { e } = this;
    if (this.#graph.isIrreducible(from, target)) {
      this.#leave(this.add(PAGE, offset));
      return;
    }
    const { order, isMerge } = this.#graph;
    if ((order[target] as number) <= (order[from] as number)) {
      e.if(this.gtSigned(local('i32', this.#budget), 0), true);
      e.br(this.#loopLabels[target] as Label);
      e.end();
      // Mostly there is nothing to leave for. A region that stays keeps its caller, and its place in the loop.
      const granted = e.temporary('i32');
      e.call(this.#region.tick, local('i32', this.#budget));
      e.setFromStack(granted);
      e.if(local('i32', granted), true);
      e.set(this.#budget, local('i32', granted));
      e.br(this.#loopLabels[target] as Label);
      e.end();
      this.#leave(this.add(PAGE, offset));
    } else if (isMerge[target]) e.br(this.#blockLabels[target] as Label);
    else this.#tree(target);
  }

  /** The address that follows the block. */
  #fallThrough(from: number, block: Block): void {
    if (block.end >= 4096) this.#leave(this.add(PAGE, 4096));
    else this.#branch(from, block.end);
  }

  /** Emits both ways out of a block. `taken` must not come back. */
  #twoWays(condition: Expr | null, taken: () => void): void {
    const { e } = this;
    const from = this.#blockIndex;
    const block = this.#block;
    const node = condition as Node | null;
    if (node) {
      // Other blocks are emitted in between, with what is known of CR there.
      const cr = this.#cr;
      const dirty = this.#dirty;
      const pages = new Map(this.#pages);
      e.if(node);
      e.releaseTemporaries();
      taken();
      e.end();
      this.#cr = cr;
      this.#dirty = dirty;
      this.#pages = pages;
      this.#fallThrough(from, block);
    } else {
      e.releaseTemporaries();
      taken();
    }
    this.#terminated = true;
  }

  #links(): boolean {
    return this.#current.operands.LK === 1;
  }

  override branchRelative(condition: Expr | null, displacement: Operand, absolute: boolean): void {
    const offset = this.#offset() + (displacement as number);
    const near = !absolute && offset >= 0 && offset < 4096;
    const target = absolute ? constant('i32', displacement as number) : this.add(PAGE, offset);
    const from = this.#blockIndex;
    const block = this.#block;
    if (this.#links()) this.#twoWays(condition, () => this.#call(target, from, block, near ? 'near' : 'far'));
    else this.#twoWays(condition, () => (near ? this.#branch(from, offset) : this.#leave(target)));
  }

  override branchIndirect(condition: Expr | null, target: Expr, isReturn: boolean): void {
    const from = this.#blockIndex;
    const block = this.#block;
    const { e } = this;
    e.set(this.#pc, this.and(target, -4));
    const pc = local('i32', this.#pc);
    if (this.#links()) this.#twoWays(condition, () => this.#call(pc, from, block, 'anywhere'));
    else this.#twoWays(condition, () => this.#leave(pc, isReturn));
  }

  /** Calls the region at an address and goes on behind the call when it returns there. */
  #call(target: Node, from: number, block: Block, where: CallTarget): void {
    const { e } = this;
    this.#spill(this.#dirty);
    e.store(OP.i32Store, this.block, BUDGET, local('i32', this.#budget));
    e.store(OP.i32Store, this.block, PC, target);
    const slot = this.#slotOf(target, where).value as number;
    e.if(this.or(this.eqz(local('i32', slot)), this.gtUnsigned(DEPTH, MAX_DEPTH)), false);
    e.return(constant('i32', 0));
    e.end();
    e.callIndirect(0, local('i32', slot), this.and(load('i32', OP.i32Load, this.block, PC), -4096), this.add(DEPTH, 1));
    e.ifStack(false);
    e.return(constant('i32', 1));
    e.end();
    e.if(this.ne(load('i32', OP.i32Load, this.block, PC), this.add(PAGE, block.end)), false);
    e.return(constant('i32', 0));
    e.end();
    e.releaseTemporaries();
    const next = this.#indexOf.get(block.end);
    this.#reload(next === undefined ? { low: 0, high: 0 } : (this.#state.liveIn[next] as StateSet));
    this.#cr = new Array<CrKnowledge>(8).fill('bits');
    this.#dirty = { low: 0, high: 0 };
    this.#pages.clear();
    this.#fallThrough(from, block);
  }

  /** The slot of the region at an address, or 0, in a local. A fixed target is remembered in a cell of the call site. */
  #slotOf(target: Node, where: CallTarget): Node {
    const { e } = this;
    const index = e.temporary('i32');
    const slot = local('i32', index);
    const cell = where === 'anywhere' ? 0 : this.#newCell();
    if (cell === 0) {
      e.call(this.#region.regionAt, target);
      e.setFromStack(index);
      return slot;
    }
    const address = constant('i32', cell);
    // This page stays where it is while its code runs; another one is looked at.
    const remembered = load('i32', OP.i32Load, address, 8);
    if (where === 'near') e.set(index, remembered);
    else {
      const now = load('i64', OP.i64Load, this.codeTlbEntry(this.let(target)), 0);
      e.set(index, this.select(this.eq(now, load('i64', OP.i64Load, address, 0)), remembered, 0));
    }
    e.if(this.eqz(slot), false);
    e.call(this.#region.link, target, address);
    e.setFromStack(index);
    e.end();
    return slot;
  }

  // --- storage

  /**
   * Accesses through one base register mostly stay in one page: a frame, a structure, an array for a while. What was
   * found for one stays true until a call, so it is kept in locals, a tag and an addend for each register.
   * In loops without calls every access compares with what its register's last one found, and looks again when it is
   * another page. Elsewhere the first access looks the page up, and those that follow in the block and in the blocks
   * that only it leads to compare with it; there another page costs a call of the runtime.
   */
  protected override translate(address: Node, write: boolean, masked: Node): Translation {
    const { e } = this;
    const base = this.#baseOf.get(address.value as number);
    if (base === undefined) return super.translate(address, write, masked);
    const key = base * 2 + Number(write);
    if (this.#loopPages.has(key) && this.#inLoop.has(this.#blockIndex)) {
      const page = this.#pageOf(key);
      e.if(this.ne(masked, page.tag), false);
      this.#lookUp(page, address, write, masked);
      e.end();
      return page;
    }
    // A page that may be written may be read.
    const known = this.#pages.get(base * 2 + 1) ?? (write ? undefined : this.#pages.get(base * 2));
    if (known) return known;
    const page = this.#pageOf(key);
    this.#lookUp(page, address, write, masked);
    this.#pages.set(key, page);
    return page;
  }

  /** Emits the look-up of a page into its locals. */
  #lookUp(page: Translation, address: Node, write: boolean, masked: Node): void {
    const found = super.translate(address, write, masked);
    this.e.set(page.tag.value as number, found.tag);
    this.e.set(page.addend.value as number, found.addend);
  }

  #pageOf(key: number): Translation {
    let page = this.#pageLocals.get(key);
    if (!page) {
      page = { tag: local('i32', this.e.newLocal('i32')), addend: local('i32', this.e.newLocal('i32')) };
      this.#pageLocals.set(key, page);
    }
    return page;
  }

  /** Notes which register an address was made from: only a hint for `translate`. */
  override let(value: Expr): Node {
    const node = value as Node;
    const base = node.kind === NODE.binary && node.op === OP.i32Add && isConstant(node.b as Node) ? node.a : node;
    const pinned = super.let(value);
    if (pinned === node || pinned.kind !== NODE.local) return pinned;
    const state = base?.kind === NODE.local ? this.#stateOf.get(base.value as number) : undefined;
    if (state === undefined) this.#baseOf.delete(pinned.value as number);
    else this.#baseOf.set(pinned.value as number, state);
    return pinned;
  }

  // --- state

  /** The local of some state. */
  #local(offset: number): number {
    let index = this.#locals.get(offset);
    if (index === undefined) {
      index = this.e.newLocal('i32');
      this.#locals.set(offset, index);
      this.#stateOf.set(index, offset);
    }
    return index;
  }

  protected override read(offset: number): Node {
    const own = local('i32', this.#local(offset));
    const field = (offset - CR) >> 2;
    const compared = offset >= CR && field < 8 ? this.#compared.get(field) : undefined;
    return compared ? this.#bitsOf(field, compared, own) : own;
  }

  /** The four bits of a field: as they are, or computed from a comparison's operands. */
  #bitsOf(field: number, { a, b, origin }: ComparedField, bits: Node): Node {
    const left = local('i32', a);
    const right = local('i32', b);
    const known = this.#cr[field] as CrKnowledge;
    if (known === 'bits') return bits;
    if (known !== 'mixed') return this.compareBits(left, right, known === 'signed');
    const which = local('i32', origin);
    const signed = this.compareBits(left, right, true);
    const unsigned = this.compareBits(left, right, false);
    return this.select(which, this.select(this.eq(which, ORIGIN_NUMBER.signed), signed, unsigned), bits);
  }

  protected override write(offset: number, value: Node): void {
    this.e.set(this.#local(offset), value);
    const field = (offset - CR) >> 2;
    if (offset >= CR && field < 8) this.#setOrigin(field, 'bits');
  }

  #setOrigin(field: number, origin: CrOrigin): void {
    const compared = this.#compared.get(field);
    if (compared) this.e.set(compared.origin, constant('i32', ORIGIN_NUMBER[origin]));
    this.#cr[field] = origin;
  }

  override compare(field: Operand, a: Expr, b: Operand, signed: boolean): void {
    const number = field as number;
    const compared = this.#compared.get(number);
    if (!compared) {
      super.compare(field, a, b, signed);
      return;
    }
    const left = this.let(a);
    this.e.set(compared.b, this.node(b));
    this.e.set(compared.a, left);
    this.#setOrigin(number, signed ? 'signed' : 'unsigned');
  }

  /** A bit that a comparison made is asked of the operands. */
  override crBit(bit: Operand): Node {
    const field = (bit as number) >> 2;
    const compared = this.#compared.get(field);
    const known = this.#cr[field];
    if (!compared || known === 'bits' || known === 'mixed') return super.crBit(bit);
    const a = local('i32', compared.a);
    const b = local('i32', compared.b);
    const signed = known === 'signed';
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

  // --- ends

  #offset(): number {
    return this.#block.start + this.#at * 4;
  }

  override pc(): Node {
    return this.add(PAGE, this.#offset());
  }
  override nextPc(): Node {
    return this.add(PAGE, this.#offset() + 4);
  }

  /** Leaves with the interrupt that is set; `retired` when this instruction counts as done. */
  #leaveWithInterrupt(retired: boolean): void {
    const done = retired ? 1 : 0;
    const left = this.#block.code.length - this.#at - done;
    const word = (this.#offset() + done * 4) | (left << FAULT_OFFSET_BITS);
    this.#spill(this.#dirty);
    this.e.set(this.#pc, constant('i32', word));
    this.e.br(this.#fault);
  }

  protected override fault(): void {
    this.#leaveWithInterrupt(false);
  }

  override interrupt(kind: InstructionInterrupt, cause?: ProgramCause): void {
    setInstructionInterrupt(this.e, this.block, this.interrupts, kind, cause);
    this.#leaveWithInterrupt(kind === 'systemCall');
    if (this.#current.instruction.ends || !this.#current.meaning) {
      this.e.releaseTemporaries();
      this.#terminated = true;
    }
  }

  override contextSynchronize(): void {
    this.#leave(this.nextPc());
    this.e.releaseTemporaries();
    this.#terminated = true;
  }

  override repeat(count: Operand, _limit: number, body: (i: Operand) => void): void {
    for (let i = 0; i < (count as number); i++) body(i);
  }
}

/** Emits the function of a region; null for a control flow that is beyond structuring. */
export function emitRegion(
  blocks: readonly Block[],
  runtime: RegionRuntime,
  newCell: () => number,
): WasmFunction | null {
  const graph = analyse(blocks);
  return graph && new RegionBuilder(new Emitter(SIGNATURES.i32.region), runtime, blocks, graph, newCell).emit();
}
