/** WebAssembly's vector operations on plain values: each one as a function that the engine runs. */
import { SIMD, SIMD_LANE, type SimdLaneOp, type SimdOp, type SimdOperation } from '../../src/isa/index.ts';
import { Emitter } from '../../src/processor/wasm/emitter.ts';
import { encodeModule, type WasmFunction } from '../../src/processor/wasm/module.ts';
import { constant, load, simd } from '../../src/processor/wasm/node.ts';
import { OP } from '../../src/processor/wasm/opcodes.ts';

/** Where a function's result is; its operands are before it, 16 bytes each. */
const RESULT = 64;
const LOADS = { i32: OP.i32Load, i64: OP.i64Load, v128: OP.v128Load } as const;
const STORES = { i32: OP.i32Store, i64: OP.i64Store, v128: OP.v128Store } as const;
type Type = keyof typeof LOADS;

const isKnown = (type: string): type is Type => type in LOADS;

function functionOf(name: string, { opcode, params, result }: SimdOperation, lane?: number): WasmFunction[] {
  if (!isKnown(result) || !params.every(isKnown)) return [];
  const e = new Emitter({ params: [], results: [] });
  const zero = constant('i32', 0);
  const args = (params as readonly Type[]).map((type, i) => load(type, LOADS[type], zero, 16 * i));
  e.store(STORES[result], zero, RESULT, simd(result, opcode, args, lane));
  return [e.finish(name)];
}

const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const view = new DataView(memory.buffer);

const functions = [
  ...Object.entries(SIMD).flatMap(([name, operation]) => functionOf(name, operation)),
  ...Object.entries(SIMD_LANE).flatMap(([name, operation]) => {
    const lanes = Number(/x(\d+)/.exec(name)?.[1]);
    return Array.from({ length: lanes }, (_, lane) => functionOf(`${name} ${lane}`, operation, lane)).flat();
  }),
];
const { exports } = new WebAssembly.Instance(
  new WebAssembly.Module(
    encodeModule([{ name: 'memory', kind: 'memory', pages: 1, maximum: 1 }], functions) as BufferSource,
  ),
  { e: { memory } },
);

function read(type: Type, at: number): number | bigint {
  if (type === 'i32') return view.getInt32(at, true);
  if (type === 'i64') return view.getBigInt64(at, true);
  return (view.getBigUint64(at + 8, true) << 64n) | view.getBigUint64(at, true);
}

function write(type: Type, at: number, value: number | bigint): void {
  if (type === 'i32') view.setInt32(at, Number(value), true);
  else view.setBigInt64(at, BigInt.asIntN(64, BigInt(value)), true);
  if (type === 'v128') view.setBigUint64(at + 8, BigInt(value) >> 64n, true);
}

function run(name: string, { params, result }: SimdOperation, args: readonly (number | bigint)[]): number | bigint {
  if (args.length !== params.length) throw new TypeError(`${name} has ${params.length} operands`);
  for (const [i, arg] of args.entries()) write(params[i] as Type, 16 * i, arg);
  (exports[name] as () => void)();
  return read(result as Type, RESULT);
}

/** A vector is its 128 bits, unsigned; other values are as WebAssembly gives them. */
export function runSimd(op: SimdOp, args: readonly (number | bigint)[]): number | bigint {
  return run(op, SIMD[op], args);
}

export function runSimdLane(op: SimdLaneOp, lane: number, args: readonly (number | bigint)[]): number | bigint {
  return run(`${op} ${lane}`, SIMD_LANE[op], args);
}

export function runShuffle(a: bigint, b: bigint, lanes: readonly number[]): bigint {
  const both = (b << 128n) | a;
  return lanes.reduceRight((bits, lane) => (bits << 8n) | ((both >> BigInt(8 * lane)) & 0xffn), 0n);
}
