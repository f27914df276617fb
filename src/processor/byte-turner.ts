import { Emitter } from './wasm/emitter.ts';
import { encodeModule } from './wasm/module.ts';
import { binary, constant, load, local, type Node } from './wasm/node.ts';
import { OP } from './wasm/opcodes.ts';

/** Turns the bytes of each unit of the real addresses [from, to) round; both are multiples of 8. */
export type ByteTurner = (from: number, to: number) => void;

/** Swaps neighbours of `bits` bits. */
function swapNeighbours(value: Node, bits: number, mask: bigint): Node {
  const kept = constant('i64', mask);
  const shift = constant('i64', BigInt(bits));
  const up = binary('i64', OP.i64Shl, binary('i64', OP.i64And, value, kept), shift);
  const down = binary('i64', OP.i64And, binary('i64', OP.i64ShrU, value, shift), kept);
  return binary('i64', OP.i64Or, up, down);
}

/**
 * Code that turns a memory's bytes round in place, for what is long: JavaScript needs tens of milliseconds to warm up to it,
 * in which a kernel is there long ago. `unit`: 4 or 8 bytes.
 */
export function createByteTurner(memory: WebAssembly.Memory, unit: 4 | 8): ByteTurner {
  const emitter = new Emitter({ params: ['i32', 'i32'], results: [] });
  const [at, end] = [local('i32', 0), local('i32', 1)];
  const value = emitter.newLocal('i64');
  const done = emitter.block();
  const again = emitter.loop();
  emitter.brIf(binary('i32', OP.i32GeU, at, end), done);
  emitter.set(value, load('i64', OP.i64Load, at, 0));
  emitter.set(value, swapNeighbours(local('i64', value), 8, 0x00ff_00ff_00ff_00ffn));
  emitter.set(value, swapNeighbours(local('i64', value), 16, 0x0000_ffff_0000_ffffn));
  const turned =
    unit === 8 ? binary('i64', OP.i64Rotl, local('i64', value), constant('i64', 32n)) : local('i64', value);
  emitter.store(OP.i64Store, at, 0, turned);
  emitter.set(0, binary('i32', OP.i32Add, at, constant('i32', 8)));
  emitter.br(again);
  emitter.end();
  emitter.end();
  const pages = memory.buffer.byteLength / 65536;
  const bytes = encodeModule([{ name: 'memory', kind: 'memory', pages, maximum: pages }], [emitter.finish('turn')]);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), {
    e: { memory },
  });
  return (instance.exports as unknown as { readonly turn: ByteTurner }).turn;
}
