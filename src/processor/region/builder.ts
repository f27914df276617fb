/**
 * The back end that emits a region: basic blocks in structured control flow, state in locals, one common exit that
 * writes the state back.
 *
 * A region is a function (effective address of its page, bytes of the host's stack) → REGION_RESULT; PC and BUDGET are in
 * the vCPU block. `bl` is a call: the callee's region runs on top of this one, and when it comes back with PC at the
 * return address the caller goes on; with any other PC the caller leaves as well.
 */
import type { Expr, InstructionInterrupt, InterruptCause, Operand } from '../../isa/semantics.ts';
import { type CrOrigin, copyOf, type StateSet, unite } from '../backend/effects.ts';
import { REGION_RESULT, SIGNATURES } from '../backend/runtime.ts';
import { SOFT_TLB_SHAPES } from '../backend/storage.ts';
import { isBehind, setInstructionInterrupt } from '../backend/traps.ts';
import { CFAR } from '../book3s/layout.ts';
import { BUDGET, CODE_CHANGED, LINK_CELL, PC, TLB_BASE } from '../layout.ts';
import type { ProcessorModel } from '../model.ts';
import { Emitter, type Label } from '../wasm/emitter.ts';
import type { WasmFunction } from '../wasm/module.ts';
import { constant, load, local, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import type { Block, Decoded } from './blocks.ts';
import { type CrFields, crAtBlocks } from './condition.ts';
import {
  analyseState,
  type DataFlow,
  facilitiesAfter,
  facilitiesAtBlocks,
  registersOf,
  withoutRegisters,
} from './dataflow.ts';
import { analyse, type Dispatcher, type FlowGraph } from './graph.ts';
import type { RegionRuntime } from './runtime.ts';
import { RegionStorage } from './storage.ts';

/**
 * What a frame has beside its locals. V8's frames take no more than both, in each of its tiers: its baseline code gives
 * each local a place, its optimised code what it has to spill.
 */
const FRAME_BYTES = 160;
/** The fault word: offset in the page (13 bits), then the instructions that have retired and are not counted yet. */
const FAULT_OFFSET_BITS = 13;

/** Where a call goes: to this page, to a fixed place in another, or to an address in a register. */
type CallTarget = 'near' | 'far' | 'anywhere';

/** Bytes of the host's stack that may be taken by this function's frame and those on top of it. */
const STACK = local('i32', 1);

/**
 * Bytes of code of a function at most: what an optimising compiler takes of time and memory grows faster than they do. (V8: a
 * second and half a gigabyte for a megabyte.) Two hundred usual instructions have a fourth of it.
 */
const MAX_CODE_BYTES = 48 * 1024;

/** A function was given up because it became too long, after so many instructions. */
export class RegionTooLong extends Error {
  override name = 'RegionTooLong';
  readonly instructions: number;

  constructor(instructions: number) {
    super(`${instructions} instructions take more code than a function may have`);
    this.instructions = instructions;
  }
}

class RegionBuilder extends RegionStorage {
  readonly #blocks: readonly Block[];
  readonly #graph: FlowGraph;
  readonly #newCell: () => number;
  readonly #indexOf: Map<number, number>;
  readonly #region: RegionRuntime;
  /** Effective address of the page. */
  readonly #page: Node;
  readonly #budget: Node;
  readonly #pc: Node;
  readonly #result: Node;
  /** Local: the cell that remembers the region of the address in PC, where the region is left for a place in this page; or 0. */
  readonly #cell: number;
  /** Where the processor notes branches: offset of the last one that was taken here, plus one; 0: CFAR has it. */
  readonly #from: Node | null;
  #notesBranches = false;
  readonly #blockLabels: (Label | undefined)[] = [];
  readonly #loopLabels: (Label | undefined)[] = [];
  #exit: Label = 0;
  #return: Label = 0;
  #fault: Label = 0;
  #terminated = false;
  /** Instructions that the budget was not lowered by yet: with the whole of this block, and up to this instruction. */
  #uncounted = 0;
  readonly #isExact: boolean;
  /** Of the whole region: no way from one look at the budget to the next is longer. */
  readonly #instructions: number;
  /** Instructions that were emitted. */
  #emitted = 0;
  #retired = 0;
  readonly #selectors = new Map<number, number>();
  readonly #crAtBlocks: readonly CrFields[];
  readonly #facilitiesAtBlocks: readonly number[];
  readonly #state: DataFlow;

  constructor(
    e: Emitter,
    runtime: RegionRuntime,
    blocks: readonly Block[],
    graph: FlowGraph,
    newCell: () => number,
    model: ProcessorModel,
  ) {
    super(e, runtime, { block: e.newLocal('i32'), tlb: e.newLocal('i32') }, blocks, model);
    this.#region = runtime;
    this.#blocks = blocks;
    this.#graph = graph;
    this.#newCell = newCell;
    this.#isExact = model.isExact ?? false;
    this.#instructions = blocks.reduce((count, { code }) => count + code.length, 0);
    this.#indexOf = new Map(blocks.map((b, index) => [b.start, index]));
    this.#page = local(model.word, 0);
    this.#budget = local('i32', e.newLocal('i32'));
    this.#pc = local(model.word, e.newLocal(model.word));
    this.#result = local('i32', e.newLocal('i32'));
    this.#cell = e.newLocal('i32');
    this.#from = model.notesBranches ? local('i32', e.newLocal('i32')) : null;
    this.#state = analyseState(blocks, (index) => this.#leavesAfter(index), this.inLoop);
    this.#crAtBlocks = crAtBlocks(blocks);
    this.#facilitiesAtBlocks = facilitiesAtBlocks(blocks);
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
    if (this.#isExact) {
      e.if(this.leSigned(load('i32', OP.i32Load, this.block, BUDGET), this.#instructions), false);
      e.return(constant('i32', REGION_RESULT.tooShort));
      e.end();
    }
    this.#reload(this.#state.liveIn[0] as StateSet);
    this.#return = e.block();
    this.#exit = e.block();
    this.#fault = e.block();
    this.#tree(0);
    e.unreachable();
    e.end(); // fault: PC, and what retired since the budget was counted, from the fault word
    const word = this.#pc;
    this.#setBudget(this.sub(this.#budget, this.low32(this.shrUnsigned(word, FAULT_OFFSET_BITS))));
    this.#setPc(this.add(this.#page, this.and(word, (1 << FAULT_OFFSET_BITS) - 1)));
    e.set(this.#result.value as number, constant('i32', REGION_RESULT.interrupted));
    e.br(this.#return);
    e.end(); // exit: to the region that begins there, which takes this one's place
    const pc = this.#pc;
    this.#storePc(pc);
    this.#storeFrom();
    e.if(this.gtSigned(this.#budget, 0), true);
    const slot = e.temporary('i32');
    const cell = local('i32', this.#cell);
    e.if(cell, true);
    this.#slotNear(slot, pc, cell);
    e.else();
    e.call(this.#region.regionAt, pc);
    e.setFromStack(slot);
    e.end();
    e.if(local('i32', slot), true);
    e.store(OP.i32Store, this.block, BUDGET, this.#budget);
    e.returnCallIndirect(0, local('i32', slot), this.and(pc, -4096), STACK);
    e.end();
    e.end();
    e.end(); // return
    e.store(OP.i32Store, this.block, BUDGET, this.#budget);
    this.#storePc(pc);
    this.#storeFrom();
    e.push(this.#result);
    e.resolve(FRAME_BYTES + e.localBytes);
    return e.finish();
  }

  #setBudget(value: Node): void {
    this.e.set(this.#budget.value as number, value);
  }
  /** Lowers the budget by what has retired: where control leaves, or comes to a place that it comes to otherwise too. */
  #count(): void {
    if (this.#uncounted > 0) this.#setBudget(this.add(this.#budget, -this.#uncounted));
    this.#uncounted = 0;
  }
  protected override remainingBudget(): Node {
    return this.add(this.#budget, -1 - this.#retired);
  }
  #setPc(value: Node): void {
    this.e.set(this.#pc.value as number, value);
  }
  #storePc(value: Node): void {
    this.e.store(this.word === 'i64' ? OP.i64Store : OP.i32Store, this.block, PC, value);
  }
  /** The branch of this page at an offset is taken. */
  #noteBranch(offset: number): void {
    if (!this.#from) return;
    this.#notesBranches = true;
    this.e.set(this.#from.value as number, constant('i32', offset + 1));
  }
  #storeFrom(): void {
    const from = this.#from;
    if (!from || !this.#notesBranches) return;
    this.e.if(from, false);
    this.e.store(OP.i64Store, this.block, CFAR, this.add(this.#page, this.extendUnsigned(this.sub(from, 1))));
    this.e.end();
  }

  /** Loads what is needed from the vCPU block. */
  #reload(live: StateSet): void {
    this.e.set(this.tlb.value as number, load('i32', OP.i32Load, this.block, TLB_BASE));
    this.#setBudget(load('i32', OP.i32Load, this.block, BUDGET));
    this.loadState(live);
    this.forgetPages();
  }

  // --- control flow

  /** Emits a block and all that it dominates. */
  #tree(index: number): void {
    const { e } = this;
    const { isLoop, isMerge, children, order } = this.#graph;
    const merges = (children[index] as readonly number[])
      .filter((child) => isMerge[child])
      .sort((a, b) => (order[b] as number) - (order[a] as number));
    if (isMerge[index]) this.#uncounted = 0;
    if (isLoop[index]) {
      this.#count();
      this.#loopLabels[index] = e.loop();
    }
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
    this.cr = [...(this.#crAtBlocks[index] as CrFields)];
    if (this.#graph.isMerge[index] || this.#graph.isLoop[index]) this.pages.clear();
    this.dirty = copyOf(this.#state.dirtyIn[index] as StateSet);
    this.facilities = this.#facilitiesAtBlocks[index] as number;
    const before = this.#uncounted;
    this.#uncounted += block.code.length;
    this.#terminated = false;
    for (let i = 0; i < block.code.length && !this.#terminated; i++) {
      const decoded = block.code[i] as Decoded;
      // Emission of successors comes back here with its own state.
      this.basicBlock = block;
      this.blockIndex = index;
      this.at = i;
      this.#retired = before + i;
      this.current = decoded;
      this.written = { low: 0, high: 0 };
      // A branch leaves with its own changes; before any other instruction an interrupt finds those of the ones before.
      if (decoded.effects.mayInterrupt) this.#writeThrough();
      if (decoded.instruction.ends) unite(this.dirty, decoded.effects.writes);
      if (decoded.meaning) decoded.meaning(this, decoded.operands);
      else this.interrupt('program', 'privileged');
      this.#emitted++;
      if (e.code.length > MAX_CODE_BYTES) throw new RegionTooLong(this.#emitted);
      if (decoded.instruction.ends) continue;
      e.releaseTemporaries();
      unite(this.dirty, decoded.effects.writes);
      this.facilities = facilitiesAfter(decoded, this.facilities);
    }
    if (this.#terminated) return;
    e.releaseTemporaries();
    this.#writeThrough();
    if (block.stopsAt >= 0) this.#leave(this.add(this.#page, block.stopsAt));
    else this.#branch(index, block.end);
    this.#terminated = true;
  }

  /** Writes registers back where that is done ahead of exits (dataflow.ts). */
  #writeThrough(): void {
    if (this.inLoop.has(this.blockIndex)) return;
    this.spill(registersOf(this.dirty));
    this.dirty = withoutRegisters(this.dirty);
  }

  /** Leaves the region for an address; `toCaller` when the one who called is likely to wait there. */
  #leave(target: Node, toCaller = false): void {
    this.#count();
    this.spill(this.dirty);
    this.#setPc(target);
    this.e.br(toCaller ? this.#return : this.#exit);
  }

  /** A loop with several entries: goes to the one that the selector names. The budget is for blocks to check. */
  #dispatch(dispatcher: Dispatcher): void {
    const { e } = this;
    const { order, isMerge } = this.#graph;
    const last = dispatcher.entries.length - 1;
    this.#count();
    for (const [i, entry] of dispatcher.entries.entries()) {
      this.#uncounted = 0;
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
      this.e.set(this.#cell, constant('i32', this.#newCell()));
      this.#leave(this.add(this.#page, offset));
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
      this.#leave(this.add(this.#page, offset));
      return;
    }
    const { order, isMerge } = this.#graph;
    if ((order[target] as number) <= (order[from] as number) || isMerge[target]) this.#count();
    if ((order[target] as number) <= (order[from] as number)) {
      e.if(this.gtSigned(this.#budget, this.#isExact ? this.#instructions : 0), true);
      e.br(this.#loopLabels[target] as Label);
      e.end();
      if (this.#isExact) {
        this.#leave(this.add(this.#page, offset));
        return;
      }
      // Mostly there is nothing to leave for. A region that stays keeps its caller, and its place in the loop.
      const granted = e.temporary('i32');
      e.call(this.#region.tick, this.#budget);
      e.setFromStack(granted);
      e.if(local('i32', granted), true);
      this.#setBudget(local('i32', granted));
      e.br(this.#loopLabels[target] as Label);
      e.end();
      this.#leave(this.add(this.#page, offset));
    } else if (isMerge[target]) e.br(this.#blockLabels[target] as Label);
    else this.#tree(target);
  }

  /** The address that follows the block. */
  #fallThrough(from: number, block: Block): void {
    if (block.end >= 4096) this.#leave(this.add(this.#page, 4096));
    else this.#branch(from, block.end);
  }

  /** Emits both ways out of a block. `taken` must not come back. */
  #twoWays(condition: Expr | null, taken: () => void): void {
    const { e } = this;
    const from = this.blockIndex;
    const block = this.basicBlock;
    const node = condition as Node | null;
    this.#writeThrough();
    if (node) {
      // Other blocks are emitted in between, with what is known of CR there.
      const { cr, dirty, facilities } = this;
      const uncounted = this.#uncounted;
      const pages = new Map(this.pages);
      e.if(node);
      e.releaseTemporaries();
      taken();
      e.end();
      this.cr = cr;
      this.dirty = dirty;
      this.facilities = facilities;
      this.pages = pages;
      this.#uncounted = uncounted;
      this.#fallThrough(from, block);
    } else {
      e.releaseTemporaries();
      taken();
    }
    this.#terminated = true;
  }

  #links(): boolean {
    return this.current.operands.LK === 1;
  }

  override branchRelative(condition: Expr | null, displacement: Operand, absolute: boolean): void {
    const offset = this.#offset() + (displacement as number);
    const near = !absolute && offset >= 0 && offset < 4096;
    const target = absolute ? this.wordOf(displacement) : this.add(this.#page, offset);
    const from = this.blockIndex;
    const block = this.basicBlock;
    const at = this.#offset();
    if (this.#links()) {
      this.#twoWays(condition, () => this.#call(at, target, from, block, near ? 'near' : 'far'));
      return;
    }
    this.#twoWays(condition, () => {
      this.#noteBranch(at);
      if (near) this.#branch(from, offset);
      else this.#leave(target);
    });
  }

  override branchIndirect(condition: Expr | null, target: Expr, isReturn: boolean): void {
    const from = this.blockIndex;
    const block = this.basicBlock;
    const pc = this.#pc;
    const at = this.#offset();
    this.#setPc(this.and(target, -4));
    if (this.#links()) {
      this.#twoWays(condition, () => this.#call(at, pc, from, block, 'anywhere'));
      return;
    }
    this.#twoWays(condition, () => {
      this.#noteBranch(at);
      this.#leave(pc, isReturn);
    });
  }

  /** Calls, at an offset of this page, the region at an address, and goes on behind the call when it returns there. */
  #call(at: number, target: Node, from: number, block: Block, where: CallTarget): void {
    const { e } = this;
    this.#count();
    this.spill(this.dirty);
    e.store(OP.i32Store, this.block, BUDGET, this.#budget);
    this.#storePc(target);
    if (this.#from) e.store(OP.i64Store, this.block, CFAR, this.add(this.#page, at));
    const slot = this.#slotOf(target, where);
    // Deeper calls leave to the dispatcher: the host's stack is bounded.
    const above = e.temporary('i32');
    e.push(STACK);
    e.pushLater();
    e.code.u8(OP.i32Sub);
    e.setFromStack(above);
    e.if(this.or(this.eqz(slot), this.ltSigned(local('i32', above), 0)), false);
    e.return(constant('i32', REGION_RESULT.left));
    e.end();
    e.callIndirect(0, slot, where === 'near' ? this.#page : this.and(target, -4096), local('i32', above));
    const result = e.temporary('i32');
    e.setFromStack(result);
    e.if(local('i32', result), false);
    e.return(local('i32', result));
    e.end();
    e.if(this.ne(this.loadOf(PC), this.add(this.#page, block.end)), false);
    e.return(constant('i32', REGION_RESULT.left));
    e.end();
    e.releaseTemporaries();
    if (this.#isExact) {
      e.if(this.leSigned(load('i32', OP.i32Load, this.block, BUDGET), this.#instructions), false);
      e.return(constant('i32', REGION_RESULT.left));
      e.end();
    }
    const next = this.#indexOf.get(block.end);
    this.#reload(next === undefined ? { low: 0, high: 0 } : (this.#state.liveIn[next] as StateSet));
    if (this.#from) e.set(this.#from.value as number, constant('i32', 0));
    this.cr = new Array<CrOrigin>(8).fill('bits');
    this.dirty = { low: 0, high: 0 };
    this.facilities = 0;
    this.#fallThrough(from, block);
  }

  /** The slot of the region at an address, or 0, in a local. The call site remembers it in a cell. */
  #slotOf(target: Node, where: CallTarget): Node {
    const { e } = this;
    const index = e.temporary('i32');
    const slot = local('i32', index);
    const cell = this.#newCell();
    if (cell === 0) {
      e.call(this.#region.regionAt, target);
      e.setFromStack(index);
      return slot;
    }
    const address = constant('i32', cell);
    // This page stays where it is while its code runs; another one is looked at.
    if (where === 'near') {
      this.#slotNear(index, target, address);
      return slot;
    }
    const pinned = this.let(target);
    const entry = this.let(this.codeTlbEntry(pinned));
    const isMapped = this.eq(this.codeTag(entry), this.and(pinned, -4096));
    const real = this.add(this.low32(pinned), load('i32', OP.i32Load, entry, SOFT_TLB_SHAPES[this.word].addend));
    const isKnown = this.and(isMapped, this.eq(real, load('i32', OP.i32Load, address, LINK_CELL.real)));
    e.set(index, this.select(isKnown, load('i32', OP.i32Load, address, LINK_CELL.slot), 0));
    e.if(this.eqz(slot), false);
    e.call(this.#region.link, target, address);
    e.setFromStack(index);
    e.end();
    return slot;
  }

  /** Sets a local to the slot of the region at an address of this page, which its cell remembers. */
  #slotNear(slot: number, target: Node, cell: Node): void {
    const { e } = this;
    e.set(slot, load('i32', OP.i32Load, cell, LINK_CELL.slot));
    e.if(this.eqz(local('i32', slot)), false);
    e.call(this.#region.link, target, cell);
    e.setFromStack(slot);
    e.end();
  }

  // --- ends

  #offset(): number {
    return this.basicBlock.start + this.at * 4;
  }

  override pc(): Node {
    return this.add(this.#page, this.#offset());
  }
  override nextPc(): Node {
    return this.add(this.#page, this.#offset() + 4);
  }

  /** Leaves with the interrupt that is set; `retired` when this instruction counts as done. */
  #leaveWithInterrupt(dirty: StateSet, retired: boolean): void {
    const done = retired ? 1 : 0;
    const word = (this.#offset() + done * 4) | ((this.#retired + done) << FAULT_OFFSET_BITS);
    this.spill(dirty);
    this.#setPc(constant(this.word, word));
    this.e.br(this.#fault);
  }

  protected override fault(): void {
    this.#leaveWithInterrupt(this.dirty, false);
  }

  override interrupt(kind: InstructionInterrupt, cause?: InterruptCause): void {
    setInstructionInterrupt(this.e, this.block, this.interrupts, kind, cause);
    // An enabled floating-point exception comes after the results.
    const dirty = copyOf(this.dirty);
    unite(dirty, this.written);
    this.#leaveWithInterrupt(dirty, isBehind(kind));
    if (this.current.instruction.ends || !this.current.meaning) {
      this.e.releaseTemporaries();
      this.#terminated = true;
    }
  }

  /**
   * Code is fetched anew only when some was changed: then the callers' code may be old as well, and all go back to the
   * interpreter, which finds what is there now.
   */
  override contextSynchronize(): void {
    const { e } = this;
    const from = this.blockIndex;
    const block = this.basicBlock;
    this.#count();
    this.#writeThrough();
    e.if(load('i32', OP.i32Load, this.block, CODE_CHANGED), false);
    this.spill(this.dirty);
    this.#setPc(this.nextPc());
    e.set(this.#result.value as number, constant('i32', REGION_RESULT.codeChanged));
    e.br(this.#return);
    e.end();
    e.releaseTemporaries();
    this.#fallThrough(from, block);
    this.#terminated = true;
  }

  override repeat(count: Operand, _limit: number, body: (i: Operand) => void): void {
    for (let i = 0; i < (count as number); i++) body(i);
  }
}

/**
 * Emits the function of a region; null for a control flow that is beyond structuring.
 * @throws RegionTooLong
 */
export function emitRegion(
  blocks: readonly Block[],
  runtime: RegionRuntime,
  newCell: () => number,
  model: ProcessorModel,
): WasmFunction | null {
  const graph = analyse(blocks);
  const emitter = new Emitter(SIGNATURES[model.word].region);
  return graph && new RegionBuilder(emitter, runtime, blocks, graph, newCell, model).emit();
}
