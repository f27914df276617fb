/** The WebAssembly writer: numbers as the engine reads them, control flow, and the branch-hint section byte by byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SHUFFLE_OPCODE, SIMD_LANE } from '../../src/isa/index.ts';
import { Code } from '../../src/processor/wasm/code.ts';
import { Emitter } from '../../src/processor/wasm/emitter.ts';
import { encodeModule, type Signature, type WasmFunction } from '../../src/processor/wasm/module.ts';
import { binary, constant, local, simd } from '../../src/processor/wasm/node.ts';
import { OP, type WasmType } from '../../src/processor/wasm/opcodes.ts';

const bytes = (write: (code: Code) => void): number[] => {
  const code = new Code();
  write(code);
  return [...code.take()];
};

function signature(params: readonly WasmType[], results: readonly WasmType[]): Signature {
  return { params, results };
}

function instantiate(functions: readonly WasmFunction[]): Record<string, (...args: number[]) => number | bigint> {
  const module = new WebAssembly.Module(encodeModule([], functions) as BufferSource);
  return new WebAssembly.Instance(module, {}).exports as Record<string, (...args: number[]) => number>;
}

test('unsigned LEB128', () => {
  assert.deepEqual(
    bytes((c) => c.unsigned(0)),
    [0],
  );
  assert.deepEqual(
    bytes((c) => c.unsigned(127)),
    [0x7f],
  );
  assert.deepEqual(
    bytes((c) => c.unsigned(128)),
    [0x80, 1],
  );
  assert.deepEqual(
    bytes((c) => c.unsigned(624485)),
    [0xe5, 0x8e, 0x26],
  );
  assert.deepEqual(
    bytes((c) => c.unsigned(0xffffffff)),
    [0xff, 0xff, 0xff, 0xff, 0x0f],
  );
});

test('signed LEB128', () => {
  assert.deepEqual(
    bytes((c) => c.signed(63)),
    [0x3f],
  );
  assert.deepEqual(
    bytes((c) => c.signed(64)),
    [0xc0, 0],
  );
  assert.deepEqual(
    bytes((c) => c.signed(-1)),
    [0x7f],
  );
  assert.deepEqual(
    bytes((c) => c.signed(-64)),
    [0x40],
  );
  assert.deepEqual(
    bytes((c) => c.signed(-65)),
    [0xbf, 0x7f],
  );
  assert.deepEqual(
    bytes((c) => c.signed(-0x80000000)),
    [0x80, 0x80, 0x80, 0x80, 0x78],
  );
  assert.deepEqual(
    bytes((c) => c.signed64(-123456n)),
    [0xc0, 0xbb, 0x78],
  );
  assert.deepEqual(
    bytes((c) => c.signed64(2 ** 40)),
    [0x80, 0x80, 0x80, 0x80, 0x80, 0x20],
  );
});

test('constants come back from the engine as they went in', () => {
  const words = [0, 1, -1, 63, 64, -64, -65, 127, 128, 8191, 8192, 0x7fffffff, -0x80000000];
  for (let bit = 0; bit < 31; bit++) words.push(1 << bit, -(1 << bit), (1 << bit) - 1);
  const longs = [
    ...words.map(BigInt),
    2n ** 31n,
    2n ** 32n,
    2n ** 62n,
    -(2n ** 63n),
    2n ** 63n - 1n,
    -(2n ** 35n) - 1n,
  ];
  const answer = (type: 'i32' | 'i64', value: number | bigint, name: string): WasmFunction => {
    const e = new Emitter(signature([], [type]));
    e.push(constant(type, value));
    return e.finish(name);
  };
  const exports = instantiate([
    ...words.map((value, i) => answer('i32', value, `w${i}`)),
    ...longs.map((value, i) => answer('i64', value, `l${i}`)),
  ]);
  for (const [i, value] of words.entries()) assert.equal(exports[`w${i}`]?.(), value);
  for (const [i, value] of longs.entries()) assert.equal(exports[`l${i}`]?.(), value);
});

test('an i32 constant is taken modulo 2 to the 32', () => {
  const e = new Emitter(signature([], ['i32']));
  e.push(constant('i32', 0xfffffffe));
  assert.equal(instantiate([e.finish('f')])['f']?.(), -2);
});

test('bodies of more than a kilobyte, and more locals than one byte counts', () => {
  const e = new Emitter(signature(['i32'], ['i32']));
  const locals = Array.from({ length: 300 }, (_, i) => e.newLocal(i % 3 === 0 ? 'i64' : 'i32'));
  for (const [i, index] of locals.entries()) {
    if (i % 3 === 0) e.set(index, constant('i64', 1n << 40n));
    else e.set(index, binary('i32', OP.i32Add, local('i32', 0), constant('i32', i)));
  }
  e.push(local('i32', locals[299] as number));
  assert.equal(instantiate([e.finish('f')])['f']?.(5), 304);
});

test('labels count from where a branch stands', () => {
  // Sum of 1 … n, by a loop inside of two blocks.
  const e = new Emitter(signature(['i32'], ['i32']));
  const sum = e.newLocal('i32');
  const n = local('i32', 0);
  const outer = e.block();
  e.block();
  const next = e.loop();
  e.if(binary('i32', OP.i32Eq, n, constant('i32', 0)), false);
  e.br(outer);
  e.end();
  e.set(sum, binary('i32', OP.i32Add, local('i32', sum), n));
  e.set(0, binary('i32', OP.i32Sub, n, constant('i32', 1)));
  e.br(next);
  e.end();
  e.end();
  e.end();
  e.push(local('i32', sum));
  assert.equal(instantiate([e.finish('f')])['f']?.(100), 5050);
});

test('br_table goes to its labels, and beyond them to the last', () => {
  const e = new Emitter(signature(['i32'], ['i32']));
  const labels = [e.block(), e.block(), e.block()].reverse();
  e.brTable(local('i32', 0), labels.slice(0, 2), labels[2] as number);
  for (const value of [10, 11]) {
    e.end();
    e.return(constant('i32', value));
  }
  e.end();
  e.push(constant('i32', 12));
  const f = instantiate([e.finish('f')])['f'];
  assert.deepEqual(
    [0, 1, 2, 99].map((i) => f?.(i)),
    [10, 11, 12, 12],
  );
});

test('temporaries are used again, and a pinned temporary stays itself', () => {
  const e = new Emitter(signature([], []));
  const first = e.temporary('i32');
  const other = e.temporary('i64');
  assert.notEqual(first, other);
  const pinned = e.pin(constant('i32', 1));
  assert.equal(e.pin(pinned), pinned);
  assert.notEqual(pinned.value, first);
  e.releaseTemporaries();
  assert.deepEqual([e.temporary('i32'), e.temporary('i32')].sort(), [first, pinned.value].sort());
});

/** The content of a custom section by name. */
function customSection(module: Uint8Array, name: string): number[] {
  const sections = WebAssembly.Module.customSections(new WebAssembly.Module(module as BufferSource), name);
  assert.equal(sections.length, 1);
  return [...new Uint8Array(sections[0] as ArrayBuffer)];
}

test('branch hints name the function, and offsets from its locals on', () => {
  const plain = new Emitter(signature([], []));
  const e = new Emitter(signature(['i32'], []));
  e.newLocal('i32');
  e.newLocal('i64');
  e.if(local('i32', 0), true);
  e.end();
  e.if(local('i32', 0));
  e.end();
  const label = e.block();
  e.brIf(local('i32', 0), label, false);
  e.end();
  const module = encodeModule([], [plain.finish(), e.finish('f')]);
  // Locals: two runs of a count and a type, after their number. `local.get 0` has two bytes.
  const locals = 5;
  const [first, third] = [locals + 2, locals + 5 + 5 + 2 + 2];
  // One function (number 1) with two hints, each an offset, the length 1, and the hint.
  assert.deepEqual(customSection(module, 'metadata.code.branch_hint'), [1, 1, 2, first, 1, 1, third, 1, 0]);
});

test('a module without hints has no section for them', () => {
  const module = new WebAssembly.Module(encodeModule([], [new Emitter(signature([], [])).finish('f')]) as BufferSource);
  assert.deepEqual(WebAssembly.Module.customSections(module, 'metadata.code.branch_hint'), []);
});

test('a vector is sixteen bytes with the rightmost first, and a shuffle numbers them so', () => {
  const bits = 0x0f0e0d0c_0b0a0908_07060504_03020100n;
  const vector = constant('v128', bits);
  const swapped = simd('v128', SHUFFLE_OPCODE, [vector, vector], bits ^ 0x0f0f0f0f_0f0f0f0f_0f0f0f0f_0f0f0f0fn);
  const extract = (of: typeof vector, lane: number) => {
    const e = new Emitter(signature([], ['i32']));
    e.push(simd('i32', SIMD_LANE['i8x16.extract_lane_u'].opcode, [of], lane));
    return e.finish(`f`);
  };
  const value = (of: typeof vector, lane: number) => instantiate([extract(of, lane)])['f']?.();
  assert.deepEqual([value(vector, 0), value(vector, 13)], [0, 13]);
  assert.deepEqual([value(swapped, 0), value(swapped, 13)], [15, 2]);
});
