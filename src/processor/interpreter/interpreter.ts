/**
 * The first tier: a WebAssembly function, generated from the instruction table, that runs predecoded records.
 *
 * A record has 8 bytes: the handler's number (u16) and up to six bytes of operands, which each handler lays out for
 * itself. A code page has a record for each of its words and one more that leads to the next page. One br_table
 * dispatches. The budget is kept as a virtual end pointer, so that straight-line code pays nothing for it: a taken
 * branch moves the end with the record.
 */
import type { Instruction, Level } from '../../isa/define.ts';
import { FIELDS, type FieldName } from '../../isa/fields.ts';
import type { Expr, InstructionInterrupt, InterruptCause, Meaning, Operand, Operands } from '../../isa/semantics.ts';
import { Builder, type DynamicCrBit } from '../backend/builder.ts';
import { routineIndex } from '../backend/routines.ts';
import { CORE, EXECUTE, REGION_HANDLER, REGION_RESULT, SIGNATURES } from '../backend/runtime.ts';
import { SOFT_TLB_SHAPES } from '../backend/storage.ts';
import { isBehind, setInstructionInterrupt } from '../backend/traps.ts';
import { CFAR } from '../book3s/layout.ts';
import {
  BUDGET,
  CODE_CHANGED,
  CODE_PAGES,
  COUNTER_BASE,
  COUNTERS,
  EXIT_VECTOR,
  MASK_TABLE,
  PC,
  PROFILE,
  PROFILE_ENTRIES,
  STACK_BYTES,
  TLB_BASE,
} from '../layout.ts';
import { MODEL_440, type ProcessorModel } from '../model.ts';
import { Emitter, type Label } from '../wasm/emitter.ts';
import type { WasmFunction } from '../wasm/module.ts';
import { constant, load, local, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import { type Packing, packPackings } from './packings.ts';
import type { StaticValues } from './variants.ts';

export const RECORD_BYTES = 8;
/** Records of a page: 1024 and the one that leads to the next page; padded so that pages do not alias in the host's caches. */
export const PAGE_RECORDS_BYTES = 8256;
export const PAGE_END_RECORD = 1024;

/** Handlers that are not instructions. */
export const HANDLER = {
  undecoded: 0,
  pageEnd: 1,
  region: REGION_HANDLER,
  illegal: 3,
  privileged: 4,
  /** Leads to a region that was not entered in this epoch yet (code-cache.ts). */
  parked: 5,
  first: 6,
} as const;

/** A handler to generate. */
export interface HandlerSpec {
  readonly instruction: Instruction;
  readonly meaning: Meaning;
  readonly values: StaticValues;
  /** The branch target is given as a distance between records. */
  readonly near: boolean;
}

/** The handlers of a pair's instructions. The first one does not end a block. */
export interface HandlerPair {
  readonly first: HandlerSpec;
  readonly second: HandlerSpec;
  /** The first one writes storage: the second one's record may have been dropped then, since it stands in that place. */
  readonly mayDrop: boolean;
}

interface Targets {
  readonly next: Label;
  readonly taken: Label;
  readonly lookup: Label;
  readonly fault: Label;
}

interface Locals {
  readonly block: number;
  readonly tlb: number;
  readonly record: number;
  readonly end: number;
  /** Effective address of the page minus half the address of its records: pc = record / 2 + this. */
  readonly pcOffset: number;
}

/** Width in the record by kind of field. */
function packedBytes(name: FieldName): 1 | 2 | 4 {
  const { kind, first, last } = FIELDS[name];
  if (kind === 'signed' && last - first < 8) return 1;
  if (kind.startsWith('signed') || kind === 'branch' || last - first + 1 === 16) return 4;
  return kind === 'crBit' || kind === 'split' || kind === 'mask' ? 2 : 1;
}

/** The routines' functions follow the interpreter's. */
export const FIRST_ROUTINE = CORE.run + 1;
const RUNTIME = { ...CORE, routine: (name: string) => routineIndex(name, FIRST_ROUTINE) };

/** The back end that emits handlers. */
class HandlerBuilder extends Builder {
  readonly #locals: Locals;
  readonly #targets: Targets;
  readonly packings: Packing[] = [];
  #operands = new Map<FieldName, Operand>();
  #used = 0b11;
  readonly #near: boolean;
  readonly #notesBranches: boolean;
  /** Whether control can come to the end of the meaning. */
  falls = true;

  constructor(emitter: Emitter, locals: Locals, targets: Targets, near: boolean, model: ProcessorModel) {
    super(emitter, RUNTIME, locals.block, locals.tlb, model);
    this.#locals = locals;
    this.#targets = targets;
    this.#near = near;
    this.#notesBranches = model.notesBranches;
  }

  get #record(): Node {
    return local('i32', this.#locals.record);
  }

  /** The operands of the instruction: static ones as numbers, others read from the record where they are first used. */
  operands(instruction: Instruction, values: StaticValues): Operands {
    const known = values as Partial<Record<FieldName, number>>;
    return new Proxy({} as Operands, {
      get: (_target, name: FieldName) => known[name] ?? this.#operand(instruction, name),
    });
  }

  #operand(instruction: Instruction, name: FieldName): Operand {
    const cached = this.#operands.get(name);
    if (cached !== undefined) return cached;
    if (!FIELDS[name]) throw new Error(`${instruction.mnemonic}: no field ${name}`);
    const bytes = packedBytes(name);
    const at = this.packings.find((packing) => packing.field === name)?.at ?? this.#allocate(instruction, name, bytes);
    const record = this.#record;
    let operand: Node;
    if (FIELDS[name].kind === 'crBit') {
      const field = this.let(load('i32', OP.i32Load8U, record, at));
      const crBitMask = this.let(load('i32', OP.i32Load8U, record, at + 1));
      operand = { ...field, crBitMask } as DynamicCrBit;
    } else if (FIELDS[name].kind === 'mask') {
      const index = this.shl(load('i32', OP.i32Load16U, record, at), 2);
      operand = this.let(load('i32', OP.i32Load, this.add(this.block, index), MASK_TABLE));
    } else {
      const byte = FIELDS[name].kind === 'signed' ? OP.i32Load8S : OP.i32Load8U;
      const op = bytes === 4 ? OP.i32Load : bytes === 2 ? OP.i32Load16U : byte;
      operand = this.let(load('i32', op, record, at));
    }
    this.#operands.set(name, operand);
    return operand;
  }

  #allocate(instruction: Instruction, field: FieldName, bytes: 1 | 2 | 4): number {
    const ones = 2 ** bytes - 1;
    for (let at = bytes === 4 ? 4 : 2; at + bytes <= RECORD_BYTES; at += bytes) {
      if (this.#used & (ones << at)) continue;
      this.#used |= ones << at;
      this.packings.push({ field, at, bytes });
      return at;
    }
    throw new Error(`${instruction.mnemonic}: operands do not fit a record`);
  }

  protected override read(offset: number): Node {
    return load('i32', OP.i32Load, this.block, offset);
  }
  protected override write(offset: number, value: Node): void {
    this.e.store(OP.i32Store, this.block, offset, value);
  }
  protected override fault(): void {
    this.e.br(this.#targets.fault);
  }

  /** Operands that are first read on one path are not known on the other. */
  #scoped(body: () => void): void {
    const before = new Map(this.#operands);
    body();
    this.#operands = before;
  }
  override if(condition: Expr, then: () => void, otherwise?: () => void): void {
    super.if(condition, () => this.#scoped(then), otherwise && (() => this.#scoped(otherwise)));
  }

  override repeat(count: Operand, _limit: number, body: (i: Operand) => void): void {
    this.loop(count, (i) => (typeof i === 'number' ? body(i) : this.#scoped(() => body(i))));
  }

  override pc(): Node {
    const offset = this.shrUnsigned(this.#record, 1);
    const base = local(this.word, this.#locals.pcOffset);
    return this.word === 'i32' ? this.add(offset, base) : this.add(this.extendUnsigned(offset), base);
  }
  override nextPc(): Node {
    return this.inMode(this.add(this.pc(), 4));
  }

  /** PC as it is in the vCPU's block. */
  pcRegister(): Node {
    return this.word === 'i32' ? load('i32', OP.i32Load, this.block, PC) : load('i64', OP.i64Load, this.block, PC);
  }

  storePc(address: Node): void {
    this.e.store(this.word === 'i32' ? OP.i32Store : OP.i64Store, this.block, PC, address);
  }

  /** The address of the record, which may be the one behind a page's last. */
  pcInMode(): Node {
    return this.inMode(this.pc());
  }

  protected override remainingBudget(): Node {
    return remaining(this, this.#locals, RECORD_BYTES);
  }

  /** Ends the handler at the next record. */
  finish(): void {
    if (!this.falls) return;
    this.e.set(this.#locals.record, this.add(this.#record, RECORD_BYTES));
    this.e.br(this.#targets.next);
  }

  /** Leaves for an address that may be anywhere. */
  #goto(target: Node): void {
    const { e } = this;
    this.storePc(target);
    e.store(OP.i32Store, this.block, BUDGET, remaining(this, this.#locals, RECORD_BYTES));
    e.br(this.#targets.lookup);
  }

  /** A branch is taken. */
  #noteBranch(): void {
    if (this.#notesBranches) this.e.store(OP.i64Store, this.block, CFAR, this.pc());
  }

  override branchRelative(condition: Expr | null, displacement: Operand, absolute: boolean): void {
    const { e } = this;
    if (condition) e.if(condition as Node);
    this.#noteBranch();
    if (this.#near) {
      // The target stays in the page: only the record moves, and the budget's end with it.
      const distance = this.let(this.i32(displacement));
      e.set(this.#locals.end, this.add(local('i32', this.#locals.end), this.sub(distance, RECORD_BYTES)));
      e.set(this.#locals.record, this.add(this.#record, distance));
      e.br(this.#targets.taken);
    } else {
      this.#goto(this.let(this.inMode(absolute ? this.wordOf(displacement) : this.add(this.pc(), displacement))));
    }
    if (condition) e.end();
    else this.falls = false;
  }

  override branchIndirect(condition: Expr | null, target: Expr): void {
    if (condition) this.e.if(condition as Node);
    this.#noteBranch();
    this.#goto(this.let(this.inMode(this.and(target, -4))));
    if (condition) this.e.end();
    else this.falls = false;
  }

  override interrupt(kind: InstructionInterrupt, cause?: InterruptCause): void {
    setInstructionInterrupt(this.e, this.block, this.interrupts, kind, cause);
    if (isBehind(kind)) this.e.set(this.#locals.record, this.add(this.#record, RECORD_BYTES));
    this.e.br(this.#targets.fault);
  }

  override contextSynchronize(): void {
    this.#goto(this.let(this.nextPc()));
    this.falls = false;
  }
}

/** One instruction of a pair's handler. */
interface PairHalf {
  readonly builder: HandlerBuilder;
  emit(): void;
}

/** Instructions that remain of the budget, `ahead` bytes of records after the present one. */
function remaining(s: Builder, locals: Locals, ahead: number): Node {
  return s.shrSigned(s.sub(local('i32', locals.end), s.add(local('i32', locals.record), ahead)), 3);
}

/** The interpreter function, those of handlers that stand apart, and for each handler its operand layout. */
export interface GeneratedInterpreter {
  readonly run: WasmFunction;
  readonly outlined: readonly WasmFunction[];
  readonly packings: Int32Array;
}

/**
 * Generates `run() → vector`: from PC until an interrupt or the end of the budget.
 * @param specs handlers from number HANDLER.first on.
 * @param pairs handlers of two instructions, from the next number on.
 * @param hotThreshold how often a block is interpreted before `hot` is called for it.
 * @param stepping the run ends with the trace vector as soon as one instruction is complete.
 */
export function generateInterpreter(
  specs: readonly HandlerSpec[],
  pairs: readonly HandlerPair[],
  hotThreshold: number,
  model: ProcessorModel = MODEL_440,
  stepping = false,
): GeneratedInterpreter {
  const e = new Emitter(SIGNATURES[model.word].run);
  const locals: Locals = {
    block: e.newLocal('i32'),
    tlb: e.newLocal('i32'),
    record: e.newLocal('i32'),
    end: e.newLocal('i32'),
    pcOffset: e.newLocal(model.word),
  };
  e.code.u8(OP.globalGet);
  e.code.unsigned(0);
  e.setFromStack(locals.block);
  const v = local('i32', locals.block);
  const record = local('i32', locals.record);
  const firstPair = HANDLER.first + specs.length;
  // Who steps takes a pair for its first instruction.
  const total = firstPair + (stepping ? 0 : pairs.length);
  const packings: (readonly Packing[])[] = [];
  const outlined: WasmFunction[] = [];

  const again = e.loop();
  const fault = e.block();
  const exit = e.block();
  const lookup = e.loop();
  const s = new HandlerBuilder(e, locals, { next: 0, taken: 0, lookup, fault }, false, model);

  // Find the record of PC: soft TLB, then the page's records.
  e.set(locals.tlb, load('i32', OP.i32Load, v, TLB_BASE));
  const pc = s.let(s.pcRegister());
  const real = findCode(e, s, pc, v, lookup);
  const pageIndex = s.shl(s.shrUnsigned(real, 12), 2);
  const records = e.temporary('i32');
  e.set(records, load('i32', OP.i32Load, s.add(load('i32', OP.i32Load, v, CODE_PAGES), pageIndex), 0));
  e.if(s.eqz(local('i32', records)), false);
  e.call(CORE.newPage, real);
  e.setFromStack(records);
  e.end();
  e.set(locals.record, s.add(local('i32', records), s.shl(s.and(real, 0xffc), 1)));
  const half = s.shrUnsigned(local('i32', records), 1);
  e.set(locals.pcOffset, s.sub(s.and(pc, -4096), model.word === 'i32' ? half : s.extendUnsigned(half)));
  e.set(locals.end, s.add(record, s.shl(load('i32', OP.i32Load, v, BUDGET), 3)));
  e.releaseTemporaries();

  // Where an instruction goes that leaves PC behind it, and where one whose record tells its address.
  const gone = stepping ? e.block() : 0;
  const stepped = stepping ? e.block() : 0;
  const taken = e.loop();
  // A block begins: is the budget spent, is the block hot?
  e.if(s.geSigned(record, local('i32', locals.end)), false);
  e.call(CORE.tick, remaining(s, locals, 0));
  const granted = e.temporary('i32');
  e.setFromStack(granted);
  e.brIf(s.eqz(local('i32', granted)), exit);
  e.set(locals.end, s.add(record, s.shl(local('i32', granted), 3)));
  e.end();
  const slot = s.let(s.add(v, s.and(s.shrUnsigned(record, 2), (PROFILE_ENTRIES - 1) * 2)));
  const count = s.let(s.add(load('i32', OP.i32Load16U, slot, PROFILE), 1));
  e.store(OP.i32Store16, slot, PROFILE, count);
  e.if(s.eq(count, hotThreshold), false);
  e.call(CORE.hot, record);
  e.end();
  e.releaseTemporaries();

  const next = e.loop();
  const targets: Targets = stepping
    ? { next: stepped, taken: stepped, lookup: gone, fault }
    : { next, taken, lookup, fault };
  const labels: Label[] = [];
  for (let i = 0; i < total; i++) labels.push(e.block());
  // The block opened last is left first: handler 0 follows the innermost end.
  labels.reverse();
  const ofPairs = stepping ? pairs.map(({ first }) => labels[HANDLER.first + specs.indexOf(first)] as Label) : [];
  e.brTable(load('i32', OP.i32Load16U, record, 0), [...labels, ...ofPairs], labels[HANDLER.illegal] as Label);
  for (let handler = 0; handler < total; handler++) {
    e.end();
    const spec = specs[handler - HANDLER.first];
    if (spec && APART.has(spec.instruction.level)) {
      const apart = outlinedHandler(spec, model);
      packings[handler] = apart.packings;
      e.call(firstOutlined(model) + outlined.length, record, local(model.word, locals.pcOffset));
      e.brIfStack(fault);
      e.set(locals.record, s.add(record, RECORD_BYTES));
      e.br(targets.next);
      outlined.push(apart.handler);
      continue;
    }
    const pair = pairs[handler - firstPair];
    if (pair) {
      const [first, second] = [pair.first, pair.second].map(({ instruction, meaning, values, near }) => {
        const h = new HandlerBuilder(e, locals, targets, near, model);
        return { builder: h, emit: () => meaning(h, h.operands(instruction, values)) };
      }) as [PairHalf, PairHalf];
      first.emit();
      // From here on the second record is the present one: where it interrupts, the first has retired.
      e.set(locals.record, s.add(record, RECORD_BYTES));
      if (pair.mayDrop) e.brIf(s.eqz(load('i32', OP.i32Load16U, record, 0)), next);
      e.releaseTemporaries();
      second.emit();
      second.builder.finish();
      packings[handler] = first.builder.packings;
      e.releaseTemporaries();
      continue;
    }
    const h = new HandlerBuilder(e, locals, targets, spec?.near ?? false, model);
    if (spec) {
      spec.meaning(h, h.operands(spec.instruction, spec.values));
      h.finish();
    } else {
      emitSpecial(e, h, handler, locals, { ...targets, next }, v);
    }
    packings[handler] = h.packings;
    e.releaseTemporaries();
  }
  e.end(); // next
  e.end(); // taken
  if (stepping) {
    e.end(); // stepped
    s.storePc(s.pcInMode());
    e.store(OP.i32Store, v, BUDGET, remaining(s, locals, 0));
    e.end(); // gone
    e.store(OP.i32Store, v, EXIT_VECTOR, constant('i32', model.interrupts.trace));
    e.return(constant('i32', model.interrupts.trace));
  }
  e.end(); // lookup
  e.end(); // exit: the budget is spent
  e.store(OP.i32Store, v, EXIT_VECTOR, constant('i32', -1));
  e.end(); // fault
  s.storePc(s.pcInMode());
  e.store(OP.i32Store, v, BUDGET, remaining(s, locals, 0));
  leave(e, v, again);
  e.end();
  e.unreachable();
  return { run: { ...e.finish('run'), name: 'interpreter' }, outlined, packings: packPackings(packings) };
}

/**
 * Levels whose handlers are functions of their own: they do much for one instruction, so that a call more is little, and
 * the interpreter's function stays small enough to be compiled well, and soon.
 */
const APART: ReadonlySet<Level> = new Set(['float', 'float-64', 'vector', 'vector-2.07', 'vsx', 'vsx-2.07', 'decimal']);

/** Index of the first of these functions: they follow the routines. */
const firstOutlined = ({ routines }: ProcessorModel): number => FIRST_ROUTINE + routines.length;

/** A handler's function: (record, effective address of its page minus half the address of the records) → 1 after an interrupt. */
function outlinedHandler(
  { instruction, meaning, values }: HandlerSpec,
  model: ProcessorModel,
): { handler: WasmFunction; packings: readonly Packing[] } {
  const e = new Emitter({ params: ['i32', model.word], results: ['i32'] });
  const [block, tlb, end] = [e.newLocal('i32'), e.newLocal('i32'), e.newLocal('i32')];
  e.code.u8(OP.globalGet);
  e.code.unsigned(0);
  e.setFromStack(block);
  e.set(tlb, load('i32', OP.i32Load, local('i32', block), TLB_BASE));
  const fault = e.block();
  const targets: Targets = { next: 0, taken: 0, lookup: 0, fault };
  const h = new HandlerBuilder(e, { block, tlb, record: 0, end, pcOffset: 1 }, targets, false, model);
  meaning(h, h.operands(instruction, values));
  e.return(constant('i32', 0));
  e.end();
  e.push(constant('i32', 1));
  return { handler: { ...e.finish(), name: instruction.mnemonic }, packings: h.packings };
}

/** The real address of the code at a pinned address: soft TLB, else the runtime. */
function findCode(e: Emitter, s: HandlerBuilder, pc: Node, v: Node, lookup: Label): Node {
  const entry = e.temporary('i32');
  e.set(entry, s.codeTlbEntry(pc));
  e.if(s.ne(s.codeTag(local('i32', entry)), s.and(pc, -4096)), false);
  e.call(CORE.refill, pc, constant('i32', EXECUTE), constant('i32', 4));
  e.setFromStack(entry);
  e.if(s.eqz(local('i32', entry)), false);
  leave(e, v, lookup);
  e.end();
  e.end();
  const { addend } = SOFT_TLB_SHAPES[s.word];
  return s.let(s.add(s.low32(pc), load('i32', OP.i32Load, local('i32', entry), addend)));
}

/** An interrupt ends the run, unless the vector code says that the guest goes on. */
function leave(e: Emitter, v: Node, again: Label): void {
  e.call(CORE.vector);
  e.brIfStack(again);
  e.return(load('i32', OP.i32Load, v, EXIT_VECTOR));
}

/** Adds to one of the counters that generated code keeps. */
function count(e: Emitter, h: HandlerBuilder, v: Node, name: (typeof COUNTERS)[number], more: Node): void {
  const offset = COUNTER_BASE + 4 * COUNTERS.indexOf(name);
  e.store(OP.i32Store, v, offset, h.add(load('i32', OP.i32Load, v, offset), more));
}

/** Handlers of records that are no instructions. */
function emitSpecial(e: Emitter, h: HandlerBuilder, handler: number, locals: Locals, targets: Targets, v: Node): void {
  const record = local('i32', locals.record);
  switch (handler) {
    case HANDLER.undecoded:
    case HANDLER.parked:
      e.call(CORE.decode, record);
      e.br(targets.next);
      return;
    case HANDLER.pageEnd:
      h.storePc(h.pcInMode());
      e.store(OP.i32Store, v, BUDGET, remaining(h, locals, 0));
      e.br(targets.lookup);
      return;
    case HANDLER.region: {
      // Type 0 of the module is the region's: (effective address of the page, bytes of the stack) → REGION_RESULT.
      e.store(OP.i32Store, v, CODE_CHANGED, constant('i32', 0));
      e.store(OP.i32Store, v, BUDGET, remaining(h, locals, 0));
      count(e, h, v, 'region_entries', constant('i32', 1));
      count(e, h, v, 'region_instructions', load('i32', OP.i32Load, v, BUDGET));
      // All state is in the block when a region begins, PC too: one that finds no room on the stack is as if it was not called.
      h.storePc(h.pc());
      const page = h.let(h.and(h.pc(), -4096));
      e.callIndirect(0, load('i32', OP.i32Load, record, 4), page, load('i32', OP.i32Load, v, STACK_BYTES));
      const result = e.temporary('i32');
      e.setFromStack(result);
      count(e, h, v, 'region_instructions', h.neg(load('i32', OP.i32Load, v, BUDGET)));
      // It was not begun: the instruction here is interpreted, until there is another budget.
      const isHere = h.eq(load('i32', OP.i32Load, v, BUDGET), remaining(h, locals, 0));
      e.if(h.and(h.eq(local('i32', result), REGION_RESULT.tooShort), isHere), false);
      e.call(CORE.decode, record);
      e.br(targets.next);
      e.end();
      e.brIf(h.ne(local('i32', result), REGION_RESULT.interrupted), targets.lookup);
      leave(e, v, targets.lookup);
      return;
    }
    case HANDLER.privileged:
      h.interrupt('program', 'privileged');
      return;
    default:
      h.interrupt('program', 'illegal');
  }
}
