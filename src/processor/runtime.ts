/**
 * The functions behind generated code: soft-TLB refill from the hardware TLB, and the accesses that the inline path
 * does not do (unaligned, page-crossing, into pages that hold code). Written in WebAssembly so that a refill costs no
 * crossing into JavaScript.
 */
import type { Expr } from '../isa/semantics.ts';
import { READ_PAIR, type RuntimeFunctions, WRITE_PAIR } from './builder.ts';
import { BOOKE_VECTOR, ESR, type VectorCode, type VectorSemantics } from './interface.ts';
import {
  ADDRESS_SPACE,
  BOUNCE,
  CODE_FLAGS_TABLE,
  CODE_PAGES,
  CONTEXT_BYTES,
  CONTEXTS,
  COUNTER_BASE,
  COUNTERS,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  EXIT_VECTOR,
  MODE,
  PID,
  TLB_BASE,
  TLB_HINT_SHIFT,
  TLB_HINTS,
  TLB_SEARCH_ACCESS,
  TLB_SEARCH_ADDEND,
  TLB_SEARCH_ENTRIES,
  TLB_SEARCH_KEY,
  TLB_SEARCH_MASK,
  TLB_SEARCH_PAGE,
} from './layout.ts';
import { RegisterlessBuilder } from './registerless.ts';
import { Emitter } from './wasm/emitter.ts';
import type { Import, Signature, WasmFunction } from './wasm/module.ts';
import { constant, load, local, type Node } from './wasm/node.ts';
import { OP } from './wasm/opcodes.ts';

export const READ = 1;
export const WRITE = 2;
export const EXECUTE = 4;
/** Access bit of hardware entries that are smaller than 4 KB: used once, never cached. */
export const UNCACHED = 8;

/** Flags of a host page: it holds code that was decoded; a soft TLB may hold it as writable. */
export const HOLDS_CODE = 1;
export const MAY_BE_WRITTEN = 2;

/** Handler number of records that lead to a region (interpreter.ts, HANDLER). */
export const REGION_HANDLER = 2;

export const SIGNATURES = {
  run: { params: [], results: ['i32'] },
  region: { params: ['i32', 'i32'], results: ['i32'] },
  refill: { params: ['i32', 'i32'], results: ['i32'] },
  slowLoad: { params: ['i32', 'i32'], results: ['i32'] },
  slowStore: { params: ['i32', 'i32', 'i64'], results: ['i32'] },
  slowZeroBlock: { params: ['i32'], results: ['i32'] },
  timebase: { params: [], results: ['f64'] },
  codeWritten: { params: ['i32', 'i32'], results: [] },
  newPage: { params: ['i32'], results: ['i32'] },
  decode: { params: ['i32'], results: [] },
  hot: { params: ['i32'], results: [] },
  /** (what remains of the budget) → the new budget, or 0: leave. */
  tick: { params: ['i32'], results: ['i32'] },
  regionAt: { params: ['i32'], results: ['i32'] },
  link: { params: ['i32', 'i32'], results: ['i32'] },
  vector: { params: [], results: ['i32'] },
} as const satisfies Record<string, Signature>;

/** Imports of the core module (interpreter and runtime), functions first by index. */
export const CORE_FUNCTION_IMPORTS = ['timebase', 'codeWritten', 'newPage', 'decode', 'hot', 'tick'] as const;

export function coreImports(memoryPages: number): Import[] {
  return [
    { name: 'memory', kind: 'memory', pages: memoryPages, maximum: memoryPages },
    { name: 'table', kind: 'table' },
    { name: 'vcpu', kind: 'global' },
    ...CORE_FUNCTION_IMPORTS.map((name) => ({ name, kind: 'function', signature: SIGNATURES[name] }) as const),
  ];
}

const FIRST = CORE_FUNCTION_IMPORTS.length;
/** Function indexes in the core module; the interpreter's `run` comes last. */
export const CORE = {
  timebase: 0,
  codeWritten: 1,
  newPage: 2,
  decode: 3,
  hot: 4,
  tick: 5,
  refill: FIRST,
  slowLoad: FIRST + 1,
  slowStore: FIRST + 2,
  slowZeroBlock: FIRST + 3,
  regionAt: FIRST + 4,
  link: FIRST + 5,
  vector: FIRST + 6,
  run: FIRST + 7,
} as const;

/** The builder of the runtime's own arithmetic and KVM's vector code. */
class Arithmetic extends RegisterlessBuilder implements VectorSemantics {
  constructor(emitter: Emitter, block: number, tlb: number) {
    super(emitter, CORE satisfies RuntimeFunctions, block, tlb);
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
    const from = this.let(this.add(this.block, this.mul(which, CONTEXT_BYTES)));
    for (const [i, word] of [TLB_BASE, MODE, CODE_PAGES, ADDRESS_SPACE].entries())
      this.e.store(OP.i32Store, this.block, word, load('i32', OP.i32Load, from, CONTEXTS + 4 * i));
  }
  resume(): void {
    this.e.return(constant('i32', 1));
  }
  leave(): void {
    this.e.return(constant('i32', 0));
  }
}

interface Body {
  readonly e: Emitter;
  readonly s: Arithmetic;
  readonly v: Node;
}

function begin(signature: Signature): Body {
  const e = new Emitter(signature);
  const block = e.newLocal('i32');
  e.code.u8(OP.globalGet);
  e.code.unsigned(0);
  e.setFromStack(block);
  const v = local('i32', block);
  const tlb = e.newLocal('i32');
  e.set(tlb, load('i32', OP.i32Load, v, TLB_BASE));
  return { e, s: new Arithmetic(e, block, tlb), v };
}

/** Emits the interrupt registers of a storage interrupt. */
function setInterrupt({ e, v }: Body, vector: Node, address: Node, syndrome: Node): void {
  e.store(OP.i32Store, v, EXIT_VECTOR, vector);
  e.store(OP.i32Store, v, EXIT_ADDRESS, address);
  e.store(OP.i32Store, v, EXIT_SYNDROME, syndrome);
}

/**
 * refill(address, access) → address of a tag and addend in the soft TLB that permit the access, or 0 with EXIT_* set.
 * PowerPC 440 user's manual, "Memory Management": match on EPN, TS and TID (0 matches all), then access control.
 */
function refill(): WasmFunction {
  const body = begin(SIGNATURES.refill);
  const { e, s, v } = body;
  const address = local('i32', 0);
  const access = local('i32', 1);
  const index = e.newLocal('i32');
  const entry = e.newLocal('i32');
  const at = (i: Node): Node => s.add(v, i);
  const search = (i: Node, offset: number): Node => load('i32', OP.i32Load, at(i), offset);
  // Code that knows a page by its base register comes here for another one, and so does every unaligned access.
  e.if(s.ne(access, EXECUTE));
  e.set(entry, s.add(s.dataTlbEntry(address), s.select(s.eq(access, WRITE), WRITE_PAIR, READ_PAIR)));
  e.if(s.eq(load('i32', OP.i32Load, local('i32', entry), 0), s.and(address, -4096)));
  e.return(local('i32', entry));
  e.end();
  e.end();
  const spaceKey = s.let(s.shl(load('i32', OP.i32Load, v, ADDRESS_SPACE), 8));
  const pidKey = s.let(s.or(spaceKey, load('i32', OP.i32Load, v, PID)));
  const i = local('i32', index);
  const pageMatches = (): Node => s.eq(s.and(address, search(i, TLB_SEARCH_MASK)), search(i, TLB_SEARCH_PAGE));
  const keyMatches = (): Node => {
    const key = s.let(search(i, TLB_SEARCH_KEY));
    return s.or(s.eq(key, pidKey), s.eq(key, spaceKey));
  };
  const found = e.block();
  // The entry that matched last is most often a large one that covers the whole kernel.
  const hint = s.let(s.add(v, s.shl(s.shrUnsigned(address, TLB_HINT_SHIFT), 2)));
  e.set(index, load('i32', OP.i32Load, hint, TLB_HINTS));
  e.if(pageMatches());
  e.brIf(keyMatches(), found);
  e.end();
  e.set(index, constant('i32', 0));
  const next = e.loop();
  e.if(pageMatches());
  e.brIf(keyMatches(), found);
  e.end();
  e.set(index, s.add(i, 4));
  e.brIf(s.ltUnsigned(i, TLB_SEARCH_ENTRIES * 4), next);
  e.end();
  const store = s.eq(access, WRITE);
  const missVector = s.select(s.eq(access, EXECUTE), BOOKE_VECTOR.instructionTlbError, BOOKE_VECTOR.dataTlbError);
  setInterrupt(body, missVector, address, s.select(store, ESR.ST, 0));
  e.return(constant('i32', 0));
  e.end();

  e.store(OP.i32Store, hint, TLB_HINTS, i);
  const allowed = s.let(search(i, TLB_SEARCH_ACCESS));
  e.if(s.eqz(s.and(allowed, access)), false);
  const denied = s.select(s.eq(access, EXECUTE), BOOKE_VECTOR.instructionStorage, BOOKE_VECTOR.dataStorage);
  setInterrupt(body, denied, address, s.select(store, ESR.ST, 0));
  e.return(constant('i32', 0));
  e.end();

  const addend = s.let(search(i, TLB_SEARCH_ADDEND));
  e.if(s.and(allowed, UNCACHED), false);
  // Parts of a page of the soft TLB: the entry is made in the bounce area, for this access only. Code there is not run.
  e.if(s.eq(access, EXECUTE));
  setInterrupt(body, constant('i32', BOOKE_VECTOR.machineCheck), address, constant('i32', 0));
  e.return(constant('i32', 0));
  e.end();
  e.store(OP.i32Store, v, BOUNCE - 4, addend);
  e.return(s.add(v, BOUNCE - 8));
  e.end();

  const page = s.let(s.and(address, -4096));
  const counter = COUNTER_BASE + 4 * COUNTERS.indexOf('soft_tlb_refills');
  e.store(OP.i32Store, v, counter, s.add(load('i32', OP.i32Load, v, counter), 1));
  e.if(s.eq(access, EXECUTE));
  e.set(entry, s.codeTlbEntry(address));
  e.store(OP.i32Store, local('i32', entry), 0, page);
  e.store(OP.i32Store, local('i32', entry), 4, addend);
  e.return(local('i32', entry));
  e.end();
  e.set(entry, s.dataTlbEntry(address));
  const flagged = s.let(s.shrUnsigned(s.add(page, addend), 12));
  const flags = s.let(load('i32', OP.i32Load8U, flagged, CODE_FLAGS_TABLE));
  // Generated code takes a page that it may write for one that it may read.
  const writable = s.let(s.and(s.eq(s.and(allowed, READ | WRITE), READ | WRITE), s.eqz(s.and(flags, HOLDS_CODE))));
  e.if(writable);
  e.store(OP.i32Store8, flagged, CODE_FLAGS_TABLE, s.or(flags, MAY_BE_WRITTEN));
  e.end();
  const slot = local('i32', entry);
  e.store(OP.i32Store, slot, 0, s.select(s.and(allowed, READ), page, -1));
  e.store(OP.i32Store, slot, 4, addend);
  e.store(OP.i32Store, slot, WRITE_PAIR, s.select(writable, page, -1));
  e.store(OP.i32Store, slot, WRITE_PAIR + 4, addend);
  e.push(s.select(s.eq(access, WRITE), s.add(slot, WRITE_PAIR), slot));
  return e.finish();
}

/** Calls refill and returns 0 from the function when it failed; the answer is the page's addend. */
function addendOf({ e, s }: Body, address: Node, access: number): Node {
  e.call(CORE.refill, address, constant('i32', access));
  const entry = e.temporary('i32');
  e.setFromStack(entry);
  e.if(s.eqz(local('i32', entry)), false);
  e.return(constant('i32', 0));
  e.end();
  return s.let(load('i32', OP.i32Load, local('i32', entry), 4));
}

/** Addends of the pages of the first and the last byte of an access. */
function addendsOf(
  body: Body,
  address: Node,
  bytes: Node,
  access: number,
): { first: Node; last: Node; boundary: Node } {
  const { e, s } = body;
  const first = addendOf(body, address, access);
  const last = e.temporary('i32');
  e.set(last, first);
  // 1 KB is the smallest page that there is.
  const boundary = s.let(s.and(s.add(s.add(address, bytes), -1), -1024));
  e.if(s.ne(boundary, s.and(address, -1024)));
  e.set(last, addendOf(body, boundary, access));
  e.end();
  return { first, last: local('i32', last), boundary };
}

/** Loops over the bytes of an access, giving the index and the byte's real address. */
function eachByte(
  { e, s }: Body,
  address: Node,
  bytes: Node,
  addends: { first: Node; last: Node; boundary: Node },
  body: (i: Node, real: Node) => void,
): void {
  const counter = e.newLocal('i32');
  const i = local('i32', counter);
  e.set(counter, constant('i32', 0));
  const next = e.loop();
  const ea = s.let(s.add(address, i));
  const inFirst = s.eq(s.and(ea, -1024), s.and(address, -1024));
  body(i, s.xor(s.add(ea, s.select(inFirst, addends.first, addends.last)), 3));
  e.set(counter, s.add(i, 1));
  e.brIf(s.ltUnsigned(i, bytes), next);
  e.end();
}

function slowLoad(): WasmFunction {
  const body = begin(SIGNATURES.slowLoad);
  const { e, s, v } = body;
  const address = local('i32', 0);
  const bytes = local('i32', 1);
  e.if(s.eqz(s.and(address, s.sub(bytes, 1))));
  e.return(s.add(address, addendOf(body, address, READ)));
  e.end();
  const addends = addendsOf(body, address, bytes, READ);
  eachByte(body, address, bytes, addends, (i, real) => {
    e.store(OP.i32Store8, s.add(v, s.xor(i, 3)), BOUNCE, load('i32', OP.i32Load8U, real, 0));
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

function slowStore(): WasmFunction {
  const body = begin(SIGNATURES.slowStore);
  const { e, s } = body;
  const address = local('i32', 0);
  const bytes = local('i32', 1);
  const value = local('i64', 2);
  const narrow = s.wrap(value);
  e.if(s.eqz(s.and(address, s.sub(bytes, 1))));
  const real = s.let(s.add(address, addendOf(body, address, WRITE)));
  e.if(s.eq(bytes, 4));
  e.store(OP.i32Store, real, 0, narrow);
  e.else();
  e.if(s.eq(bytes, 1));
  e.store(OP.i32Store8, s.xor(real, 3), 0, narrow);
  e.else();
  e.if(s.eq(bytes, 2));
  e.store(OP.i32Store16, s.xor(real, 2), 0, narrow);
  e.else();
  e.store(OP.i64Store, real, 0, s.rotl(value, constant('i64', 32)));
  e.end();
  e.end();
  e.end();
  noticeCode(body, real, bytes);
  e.return(constant('i32', 1));
  e.end();

  // Both pages are checked before the first byte is written.
  const addends = addendsOf(body, address, bytes, WRITE);
  eachByte(body, address, bytes, addends, (i, byteAddress) => {
    const shift = s.shl(s.sub(s.sub(bytes, 1), i), 3);
    e.store(OP.i32Store8, byteAddress, 0, s.wrap(s.shrUnsigned(value, s.extendUnsigned(shift))));
  });
  const one = constant('i32', 1);
  noticeCode(body, s.let(s.add(address, addends.first)), bytes);
  e.if(s.ne(addends.boundary, s.and(address, -1024)));
  noticeCode(body, s.let(s.add(addends.boundary, addends.last)), one);
  e.end();
  e.push(one);
  return e.finish();
}

function slowZeroBlock(): WasmFunction {
  const body = begin(SIGNATURES.slowZeroBlock);
  const { e, s } = body;
  const address = local('i32', 0);
  const real = s.let(s.add(address, addendOf(body, address, WRITE)));
  for (let offset = 0; offset < s.blockBytes; offset += 8) e.store(OP.i64Store, real, offset, constant('i64', 0));
  noticeCode(body, real, constant('i32', s.blockBytes));
  e.push(constant('i32', 1));
  return e.finish();
}

/** regionAt(address) → table slot of the region that begins there and is mapped now, or 0. */
function regionAt(): WasmFunction {
  const { e, s, v } = begin(SIGNATURES.regionAt);
  const address = local('i32', 0);
  const entry = s.let(s.codeTlbEntry(address));
  e.if(s.eq(load('i32', OP.i32Load, entry, 0), s.and(address, -4096)), true);
  const real = s.let(s.add(address, load('i32', OP.i32Load, entry, 4)));
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
function link(): WasmFunction {
  const { e, s } = begin(SIGNATURES.link);
  const address = local('i32', 0);
  const cell = local('i32', 1);
  const slot = e.newLocal('i32');
  e.call(CORE.regionAt, address);
  e.setFromStack(slot);
  e.if(local('i32', slot));
  e.store(OP.i64Store, cell, 0, load('i64', OP.i64Load, s.codeTlbEntry(address), 0));
  e.store(OP.i32Store, cell, 8, local('i32', slot));
  e.end();
  e.push(local('i32', slot));
  return e.finish();
}

/** vector() → not zero: the guest goes on at PC. */
function vector(code: VectorCode | undefined): WasmFunction {
  const { e, s } = begin(SIGNATURES.vector);
  code?.(s);
  e.push(constant('i32', 0));
  return e.finish();
}

/** Functions of the core module that regions import. */
export const REGION_IMPORTS = [
  'timebase',
  'slowLoad',
  'slowStore',
  'slowZeroBlock',
  'regionAt',
  'link',
  'tick',
] as const;

/** Imports of a module of regions. */
export function regionImports(memoryPages: number): Import[] {
  return [
    { name: 'memory', kind: 'memory', pages: memoryPages, maximum: memoryPages },
    { name: 'table', kind: 'table' },
    { name: 'vcpu', kind: 'global' },
    ...REGION_IMPORTS.map((name) => ({ name, kind: 'function', signature: SIGNATURES[name] }) as const),
  ];
}

/** The runtime's functions in the order of CORE. */
export function runtimeFunctions(vectorCode: VectorCode | undefined): WasmFunction[] {
  const named = { refill, slowLoad, slowStore, slowZeroBlock, regionAt, link, vector: () => vector(vectorCode) };
  return Object.entries(named).map(([exportName, make]) => ({ ...make(), exportName, name: exportName }));
}
