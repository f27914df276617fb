/**
 * Which pages of a memory are not all zero: those that were ever touched, but for what was cleared again. WebAssembly looks
 * at them, many times faster than JavaScript would.
 */
import { SIMD } from '../isa/simd.ts';
import { type HostMemory, WASM_PAGE_BYTES } from './memory.ts';
import { Emitter } from './wasm/emitter.ts';
import { encodeModule } from './wasm/module.ts';
import { binary, constant, load, local, type Node, simd } from './wasm/node.ts';
import { OP } from './wasm/opcodes.ts';

export const TOUCHED_PAGE_BYTES = 4096;
/** Looked at together: four vectors. */
const STRIDE = 64;
const VECTOR_BYTES = 16;

/** Finds the first page from an address on, and before an end, that is not zero, or (`zero`) that is; else the end. */
type FindPage = (address: number, end: number, zero: number) => number;

/** (address, end, zero) → address. */
function generate(memory: HostMemory): Uint8Array {
  const e = new Emitter({ params: ['i32', 'i32', 'i32'], results: ['i32'] });
  const [page, end, zero] = [0, 1, 2].map((index) => local('i32', index)) as [Node, Node, Node];
  const at = e.newLocal('i32');
  const isTouched = e.newLocal('i32');
  const or = (a: Node, b: Node): Node => simd('v128', SIMD['v128.or'].opcode, [a, b]);
  const vector = (n: number): Node => load('v128', OP.v128Load, local('i32', at), n * VECTOR_BYTES);
  const all = or(or(vector(0), vector(1)), or(vector(2), vector(3)));
  const i32 = (value: number): Node => constant('i32', value);
  const found = e.block();
  const pages = e.loop();
  e.brIf(binary('i32', OP.i32GeU, page, end), found);
  e.set(at, page);
  e.set(isTouched, i32(0));
  const pageDone = e.block();
  const strides = e.loop();
  e.set(isTouched, simd('i32', SIMD['v128.any_true'].opcode, [all]));
  e.brIf(local('i32', isTouched), pageDone);
  e.set(at, binary('i32', OP.i32Add, local('i32', at), i32(STRIDE)));
  e.brIf(binary('i32', OP.i32And, local('i32', at), i32(TOUCHED_PAGE_BYTES - 1)), strides);
  e.end();
  e.end();
  e.brIf(binary('i32', OP.i32Ne, local('i32', isTouched), zero), found);
  e.set(0, binary('i32', OP.i32Add, page, i32(TOUCHED_PAGE_BYTES)));
  e.br(pages);
  e.end();
  e.end();
  e.push(page);
  const pagesOfMemory = memory.byteLength / WASM_PAGE_BYTES;
  return encodeModule(
    [{ name: 'memory', kind: 'memory', pages: pagesOfMemory, maximum: pagesOfMemory }],
    [e.finish('find')],
  );
}

const finders = new WeakMap<HostMemory, FindPage>();

function finderOf(memory: HostMemory): FindPage {
  let find = finders.get(memory);
  if (find === undefined) {
    const module = new WebAssembly.Module(generate(memory) as BufferSource);
    const instance = new WebAssembly.Instance(module, { e: { memory: memory.wasm } });
    find = instance.exports['find'] as FindPage;
    finders.set(memory, find);
  }
  return find;
}

/**
 * The pages of [address, address + bytes) that are not all zero, as pairs: the first page, counted from `address`, and how
 * many there are. Both ends are on pages.
 */
export function touchedPages(memory: HostMemory, address: number, bytes: number): Uint32Array {
  const find = finderOf(memory);
  const runs: number[] = [];
  const end = address + bytes;
  for (let at = address; ; ) {
    const first = find(at, end, 0) >>> 0;
    if (first >= end) return Uint32Array.from(runs);
    at = find(first, end, 1) >>> 0;
    runs.push((first - address) / TOUCHED_PAGE_BYTES, (at - first) / TOUCHED_PAGE_BYTES);
  }
}
