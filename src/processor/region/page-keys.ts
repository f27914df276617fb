import { Emitter } from '../wasm/emitter.ts';
import { encodeModule } from '../wasm/module.ts';
import { binary, constant, load, local, type Node, unary } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';

const PAGE_BYTES = 4096;
/** Bits that a double has no room for. */
const DROPPED_BITS = 11n;
/** FNV's 64-bit start and, because it mixes upwards only, a multiplier of splitmix64 in place of FNV's own. */
const START = 0xcbf29ce484222325n;
const MULTIPLIER = 0xbf58476d1ce4e5b9n;
const FOLD = 29n;

const mix = (hash: bigint, value: bigint): bigint => {
  const product = BigInt.asUintN(64, (hash ^ value) * MULTIPLIER);
  return product ^ (product >> FOLD);
};

type Hash = (start: number, seed: bigint) => number;

/** Code that hashes a page of a memory: half a thousand pages of a boot are looked at before JavaScript would be warm. */
function createHash(memory: WebAssembly.Memory): Hash {
  const emitter = new Emitter({ params: ['i32', 'i64'], results: ['f64'] });
  const [at, hash] = [local('i32', 0), local('i64', 1)];
  const product = emitter.newLocal('i64');
  const end = emitter.newLocal('i32');
  const shifted = (value: Node, bits: bigint): Node => binary('i64', OP.i64ShrU, value, constant('i64', bits));
  emitter.set(end, binary('i32', OP.i32Add, at, constant('i32', PAGE_BYTES)));
  const again = emitter.loop();
  const mixed = binary('i64', OP.i64Xor, hash, load('i64', OP.i64Load, at, 0));
  emitter.set(product, binary('i64', OP.i64Mul, mixed, constant('i64', BigInt.asIntN(64, MULTIPLIER))));
  emitter.set(1, binary('i64', OP.i64Xor, local('i64', product), shifted(local('i64', product), FOLD)));
  emitter.set(0, binary('i32', OP.i32Add, at, constant('i32', 8)));
  emitter.brIf(binary('i32', OP.i32LtU, at, local('i32', end)), again);
  emitter.end();
  emitter.push(unary('f64', OP.f64ConvertI64U, shifted(hash, DROPPED_BITS)));
  const pages = memory.buffer.byteLength / 65536;
  const bytes = encodeModule([{ name: 'memory', kind: 'memory', pages, maximum: pages }], [emitter.finish('hash')]);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), {
    e: { memory },
  });
  return (instance.exports as unknown as { readonly hash: Hash }).hash;
}

/** Makes the keys of pages in one kind of processor: a number of 53 bits each. */
export class PageKeys {
  readonly #memory: WebAssembly.Memory;
  readonly #seed: bigint;
  /** By mode. */
  readonly #seeds: bigint[] = [];
  #hash: Hash | undefined;

  /** `kind` says all that translations depend on beside the code: processor, order of memory, what is inlined. */
  constructor(memory: WebAssembly.Memory, kind: string) {
    this.#memory = memory;
    this.#seed = [...kind].reduce((hash, letter) => mix(hash, BigInt(letter.codePointAt(0) as number)), START);
  }

  /** The key of the 4-KB page at a host real address, as a translation mode sees it. */
  keyOf(real: number, mode: number): number {
    this.#seeds[mode] ??= mix(this.#seed, BigInt(mode));
    this.#hash ??= createHash(this.#memory);
    return this.#hash(real & -PAGE_BYTES, this.#seeds[mode]);
  }
}
