/**
 * The functions behind generated code that all families share: the accesses that the inline path does not do (unaligned,
 * page-crossing, into pages that hold code), the search for regions, KVM's vector code. Written in WebAssembly so that
 * they cost no crossing into JavaScript.
 */
import type { Expr } from '../../isa/semantics.ts';
import type { VectorCode, VectorSemantics } from '../interface.ts';
import {
  BOUNCE,
  BUDGET,
  CODE_FLAGS_TABLE,
  CODE_PAGES,
  COUNTER_BASE,
  COUNTERS,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  EXIT_VECTOR,
  gprOffset,
  LINK_CELL,
  TIME_BUDGET,
  TIME_SPAN,
  TIME_STEP,
  TIME_TICKS,
  TLB_BASE,
  WATCHED,
} from '../layout.ts';
import type { ProcessorModel } from '../model.ts';
import { Emitter } from '../wasm/emitter.ts';
import type { Signature, WasmFunction } from '../wasm/module.ts';
import { binary, constant, load, local, type Node, unary } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import { WATCH_ANSWER } from '../watch.ts';
import { RegisterlessBuilder } from './registerless.ts';
import { CORE, EXECUTE, HOLDS_CODE, READ, REGION_HANDLER, SIGNATURES, WRITE } from './runtime.ts';
import { type RuntimeFunctions, SOFT_TLB_SHAPES } from './storage.ts';

/** The words of a context that vector code switches to: where they are prepared, and where they are in use. */
export interface ContextWords {
  readonly table: number;
  readonly bytes: number;
  /** Offsets in the block, in the order of the table. */
  readonly words: readonly number[];
}

/** What differs between families in the functions behind generated code. */
export interface FamilyRuntime {
  readonly model: ProcessorModel;
  readonly contexts: ContextWords;
  /** refill(address, access) → address of a tag and addend that permit the access, or 0 with EXIT_* set. */
  refill(): WasmFunction;
}

/** The builder of the runtime's own arithmetic and KVM's vector code. */
class Arithmetic extends RegisterlessBuilder implements VectorSemantics {
  readonly #contexts: ContextWords | undefined;

  constructor(emitter: Emitter, block: number, tlb: number, model: ProcessorModel, contexts?: ContextWords) {
    super(emitter, CORE satisfies RuntimeFunctions, block, tlb, model);
    this.#contexts = contexts;
  }
  dataTlbEntry(address: Node): Node {
    return this.tlbEntry(address);
  }
  protected override fault(): void {
    this.e.return(constant('i32', 0));
  }

  while(condition: () => Expr, body: () => void): void {
    const { e } = this;
    const done = e.block();
    const next = e.loop();
    e.brIf(this.eqz(condition()), done);
    body();
    e.br(next);
    e.end();
    e.end();
  }
  switchContext(which: Expr): void {
    const { table, bytes, words } = this.#contexts as ContextWords;
    const from = this.let(this.add(this.block, this.mul(which, bytes)));
    for (const [i, word] of words.entries())
      this.e.store(OP.i32Store, this.block, word, load('i32', OP.i32Load, from, table + 4 * i));
  }
  resume(): void {
    this.e.return(constant('i32', 1));
  }
  leave(): void {
    this.e.return(constant('i32', 0));
  }
}

export interface Body {
  readonly e: Emitter;
  readonly s: Arithmetic;
  readonly v: Node;
}

export function begin(model: ProcessorModel, name: keyof (typeof SIGNATURES)['i32'], contexts?: ContextWords): Body {
  const signature: Signature = SIGNATURES[model.word][name];
  const e = new Emitter(signature);
  const block = e.newLocal('i32');
  e.code.u8(OP.globalGet);
  e.code.unsigned(0);
  e.setFromStack(block);
  const v = local('i32', block);
  const tlb = e.newLocal('i32');
  e.set(tlb, load('i32', OP.i32Load, v, TLB_BASE));
  return { e, s: new Arithmetic(e, block, tlb, model, contexts), v };
}

/** Emits the interrupt registers of a storage interrupt. */
export function setInterrupt({ e, v }: Body, vector: Node, address: Node, syndrome: Node): void {
  e.store(OP.i32Store, v, EXIT_VECTOR, vector);
  e.store(address.type === 'i64' ? OP.i64Store : OP.i32Store, v, EXIT_ADDRESS, address);
  e.store(OP.i32Store, v, EXIT_SYNDROME, syndrome);
}

/** Counts one refill of the soft TLB. */
export function countRefill({ e, s, v }: Body): void {
  const counter = COUNTER_BASE + 4 * COUNTERS.indexOf('soft_tlb_refills');
  e.store(OP.i32Store, v, counter, s.add(load('i32', OP.i32Load, v, counter), 1));
}

/**
 * Asks the watch, where there is one, about an access that the page permits: returns 0 from the refill with the watch's
 * vector when it stops it; else, where the page is watched, what `passing` emits: an entry for this access alone.
 */
export function askWatch(
  { e, s, v }: Body,
  { interrupts }: ProcessorModel,
  [address, access, bytes]: readonly [Node, Node, Node],
  passing: () => void,
): void {
  e.if(load('i32', OP.i32Load, v, WATCHED), false);
  e.store(address.type === 'i64' ? OP.i64Store : OP.i32Store, v, EXIT_ADDRESS, address);
  e.call(CORE.watch, access, bytes);
  const answer = e.temporary('i32');
  e.setFromStack(answer);
  e.if(s.eq(local('i32', answer), WATCH_ANSWER.stop));
  const { data, code } = interrupts.watch;
  e.store(OP.i32Store, v, EXIT_VECTOR, s.select(s.eq(access, EXECUTE), code, data));
  e.store(OP.i32Store, v, EXIT_SYNDROME, s.select(s.eq(access, WRITE), interrupts.store, 0));
  e.return(constant('i32', 0));
  e.end();
  e.if(local('i32', answer));
  passing();
  e.end();
  e.end();
}

/** The mask of the smallest page that a processor has. */
const smallestPage = ({ word }: ProcessorModel): number => (word === 'i32' ? -1024 : -4096);

/** Calls refill and returns 0 from the function when it failed; the answer is the page's addend. */
function addendOf({ e, s }: Body, address: Node, access: number, bytes: Node): Node {
  e.call(CORE.refill, address, constant('i32', access), bytes);
  const entry = e.temporary('i32');
  e.setFromStack(entry);
  e.if(s.eqz(local('i32', entry)), false);
  e.return(constant('i32', 0));
  e.end();
  return s.let(load('i32', OP.i32Load, local('i32', entry), SOFT_TLB_SHAPES[s.word].addend));
}

/** An access of `bytes` at `address`, and the addends of the pages of its first and its last byte. */
interface Span {
  readonly address: Node;
  readonly bytes: Node;
  readonly first: Node;
  readonly last: Node;
  /** The last byte's page, where the first byte's is another one. */
  readonly boundary: Node;
  readonly pageMask: number;
}

function spanOf(body: Body, model: ProcessorModel, address: Node, bytes: Node, access: number): Span {
  const { e, s } = body;
  const pageMask = smallestPage(model);
  const first = addendOf(body, address, access, bytes);
  const last = e.temporary('i32');
  e.set(last, first);
  const boundary = s.let(s.inMode(s.and(s.add(s.add(address, s.wordFromUnsigned32(bytes)), -1), pageMask)));
  e.if(s.ne(boundary, s.and(address, pageMask)));
  const ahead = s.let(s.low32(s.sub(boundary, address)));
  e.set(last, addendOf(body, boundary, access, s.sub(ahead, bytes)));
  e.end();
  return { address, bytes, first, last: local('i32', last), boundary, pageMask };
}

/** Loops over the bytes of an access, giving the index and the place of the byte in storage. */
function eachByte({ e, s }: Body, model: ProcessorModel, span: Span, body: (i: Node, real: Node) => void): void {
  const { address, bytes, first, last, pageMask } = span;
  const counter = e.newLocal('i32');
  const i = local('i32', counter);
  e.set(counter, constant('i32', 0));
  const next = e.loop();
  const ea = s.let(s.add(address, s.wordFromUnsigned32(i)));
  const inFirst = s.eq(s.and(ea, pageMask), s.and(address, pageMask));
  body(i, s.xor(s.add(s.low32(ea), s.select(inFirst, first, last)), model.order));
  e.set(counter, s.add(i, 1));
  e.brIf(s.ltUnsigned(i, bytes), next);
  e.end();
}

/** Whether an access is aligned to its size. */
const isAligned = ({ s }: Body, address: Node, bytes: Node): Node => s.eqz(s.and(s.low32(address), s.sub(bytes, 1)));

function slowLoad({ model }: FamilyRuntime): WasmFunction {
  const body = begin(model, 'slowLoad');
  const { e, s, v } = body;
  const address = local(s.word, 0);
  const bytes = local('i32', 1);
  e.if(isAligned(body, address, bytes));
  e.return(s.add(s.low32(address), addendOf(body, address, READ, bytes)));
  e.end();
  eachByte(body, model, spanOf(body, model, address, bytes, READ), (i, real) => {
    e.store(OP.i32Store8, s.add(v, s.xor(i, model.order)), BOUNCE, load('i32', OP.i32Load8U, real, 0));
  });
  e.push(s.add(v, BOUNCE));
  return e.finish();
}

/** Tells JavaScript when a written page holds code. */
function noticeCode({ e, s }: Body, real: Node, bytes: Node): void {
  e.if(s.and(load('i32', OP.i32Load8U, s.shrUnsigned(real, 12), CODE_FLAGS_TABLE), HOLDS_CODE), false);
  e.call(CORE.codeWritten, real, bytes);
  e.end();
}

function slowStore({ model }: FamilyRuntime): WasmFunction {
  const body = begin(model, 'slowStore');
  const { e, s } = body;
  const address = local(s.word, 0);
  const bytes = local('i32', 1);
  const value = local('i64', 2);
  const narrow = s.wrap(value);
  const lane = (real: Node, size: number): Node => s.xor(real, model.order & -size);
  e.if(isAligned(body, address, bytes));
  const real = s.let(s.add(s.low32(address), addendOf(body, address, WRITE, bytes)));
  e.if(s.eq(bytes, 4));
  e.store(OP.i32Store, lane(real, 4), 0, narrow);
  e.else();
  e.if(s.eq(bytes, 1));
  e.store(OP.i32Store8, lane(real, 1), 0, narrow);
  e.else();
  e.if(s.eq(bytes, 2));
  e.store(OP.i32Store16, lane(real, 2), 0, narrow);
  e.else();
  // Words that are reversed by themselves stand in the wrong order.
  e.store(OP.i64Store, real, 0, model.order === 3 ? s.rotl(value, constant('i64', 32)) : value);
  e.end();
  e.end();
  e.end();
  noticeCode(body, real, bytes);
  e.return(constant('i32', 1));
  e.end();

  // Both pages are checked before the first byte is written.
  const span = spanOf(body, model, address, bytes, WRITE);
  eachByte(body, model, span, (i, byteAddress) => {
    const byte = model.order === 0 ? i : s.sub(s.sub(bytes, 1), i);
    const shift = s.shl(byte, 3);
    e.store(OP.i32Store8, byteAddress, 0, s.wrap(s.shrUnsigned(value, s.extendUnsigned(shift))));
  });
  const one = constant('i32', 1);
  noticeCode(body, s.let(s.add(s.low32(address), span.first)), bytes);
  e.if(s.ne(span.boundary, s.and(address, span.pageMask)));
  noticeCode(body, s.let(s.add(s.low32(span.boundary), span.last)), one);
  e.end();
  e.push(one);
  return e.finish();
}

function slowZeroBlock({ model }: FamilyRuntime): WasmFunction {
  const body = begin(model, 'slowZeroBlock');
  const { e, s } = body;
  const address = local(s.word, 0);
  const real = s.let(s.add(s.low32(address), addendOf(body, address, WRITE, constant('i32', s.blockBytes))));
  for (let offset = 0; offset < s.blockBytes; offset += 8) e.store(OP.i64Store, real, offset, constant('i64', 0));
  noticeCode(body, real, constant('i32', s.blockBytes));
  e.push(constant('i32', 1));
  return e.finish();
}

/** regionAt(address) → table slot of the region that begins there and is mapped now, or 0. */
function regionAt({ model }: FamilyRuntime): WasmFunction {
  const { e, s, v } = begin(model, 'regionAt');
  const address = local(s.word, 0);
  const entry = s.let(s.codeTlbEntry(address));
  e.if(s.eq(s.codeTag(entry), s.and(address, -4096)), true);
  const addend = load('i32', OP.i32Load, entry, SOFT_TLB_SHAPES[s.word].addend);
  const real = s.let(s.add(s.low32(address), addend));
  const pageIndex = s.shl(s.shrUnsigned(real, 12), 2);
  const records = s.let(load('i32', OP.i32Load, s.add(load('i32', OP.i32Load, v, CODE_PAGES), pageIndex), 0));
  // A page without records has address 0, where the handler that is read is none of the region's.
  const record = s.let(s.add(records, s.shl(s.and(real, 0xffc), 1)));
  e.if(s.eq(load('i32', OP.i32Load16U, record, 0), REGION_HANDLER), true);
  e.return(load('i32', OP.i32Load, record, 4));
  e.end();
  e.end();
  e.push(constant('i32', 0));
  return e.finish();
}

/** link(address, cell) → what regionAt gives, which the call site's cell then remembers. */
function link({ model }: FamilyRuntime): WasmFunction {
  const { e, s } = begin(model, 'link');
  const address = local(s.word, 0);
  const cell = local('i32', 1);
  const slot = e.newLocal('i32');
  e.call(CORE.regionAt, address);
  e.setFromStack(slot);
  e.if(local('i32', slot));
  const entry = s.let(s.codeTlbEntry(address));
  const addend = load('i32', OP.i32Load, entry, SOFT_TLB_SHAPES[s.word].addend);
  e.store(OP.i32Store, cell, LINK_CELL.real, s.add(s.low32(address), addend));
  e.store(OP.i32Store, cell, LINK_CELL.slot, local('i32', slot));
  e.end();
  e.push(local('i32', slot));
  return e.finish();
}

/** vector() → not zero: the guest goes on at PC. */
function vector({ model, contexts }: FamilyRuntime, code: VectorCode | undefined): WasmFunction {
  const { e, s } = begin(model, 'vector', contexts);
  code?.(s);
  e.push(constant('i32', 0));
  return e.finish();
}

/** Numbers that each frame of `stackProbe` holds: so many doublewords at least it takes of the stack. */
export const PROBE_DOUBLEWORDS = 16;

/** stackProbe(levels) → calls itself so many times over, to see whether the stack has room for it. */
function stackProbe({ model }: FamilyRuntime): WasmFunction {
  const { e, s, v } = begin(model, 'stackProbe');
  const levels = local('i32', 0);
  const held = Array.from({ length: PROBE_DOUBLEWORDS }, (_, i) => {
    const index = e.newLocal('i64');
    e.set(index, load('i64', OP.i64Load, v, gprOffset(i)));
    return local('i64', index);
  });
  const sum = e.newLocal('i32');
  e.if(levels);
  e.call(CORE.stackProbe, s.sub(levels, 1));
  e.setFromStack(sum);
  // What is needed after the call has to be kept somewhere.
  for (const value of held) e.set(sum, s.add(s.rotl(local('i32', sum), 1), s.wrap(s.rotl(value, constant('i64', 7)))));
  e.end();
  e.push(local('i32', sum));
  return e.finish();
}

/**
 * time(budget) → ticks of the time base. Reading the host's clock costs more than a guest's whole `clock_gettime`, so within
 * TIME_SPAN instructions of a reading the time base goes on by TIME_STEP with each, which is less than passes: it never runs
 * ahead, and is behind by what so few instructions take. Whatever else takes time forgets the reading.
 */
function time({ model }: FamilyRuntime): WasmFunction {
  const { e, s, v } = begin(model, 'time');
  const budget = local('i32', 0);
  const passed = s.let(s.sub(load('i32', OP.i32Load, v, TIME_BUDGET), budget)) as Node;
  e.if(s.ltUnsigned(passed, load('i32', OP.i32Load, v, TIME_SPAN)));
  const steps = binary(
    'f64',
    OP.f64Mul,
    unary('f64', OP.f64ConvertI32S, passed),
    load('f64', OP.f64Load, v, TIME_STEP),
  );
  e.return(binary('f64', OP.f64Add, load('f64', OP.f64Load, v, TIME_TICKS), steps));
  e.end();
  const ticks = e.newLocal('f64');
  // The owner's clock may count instructions.
  e.store(OP.i32Store, v, BUDGET, budget);
  e.call(CORE.timebase);
  e.setFromStack(ticks);
  e.store(OP.f64Store, v, TIME_TICKS, local('f64', ticks));
  e.store(OP.i32Store, v, TIME_BUDGET, budget);
  e.push(local('f64', ticks));
  return e.finish();
}

/** The runtime's functions in the order of CORE. */
export function runtimeFunctions(family: FamilyRuntime, vectorCode: VectorCode | undefined): WasmFunction[] {
  const named = {
    refill: family.refill(),
    slowLoad: slowLoad(family),
    slowStore: slowStore(family),
    slowZeroBlock: slowZeroBlock(family),
    regionAt: regionAt(family),
    link: link(family),
    vector: vector(family, vectorCode),
    stackProbe: stackProbe(family),
    time: time(family),
  };
  return Object.entries(named).map(([name, made]) => ({ ...made, exportName: name, name }));
}
