/** WebAssembly's operations on single floating-point numbers, on plain values. */
import type { FloatOp } from '../../src/isa/index.ts';

type Value = number | bigint;
const view = new DataView(new ArrayBuffer(8));

function nearest(a: number): number {
  const floor = Math.floor(a);
  const rest = a - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
}

const OPERATIONS: Record<FloatOp, (a: number, b: number) => Value> = {
  'f64.eq': (a, b) => Number(a === b),
  'f64.lt': (a, b) => Number(a < b),
  'f64.gt': (a, b) => Number(a > b),
  'f64.abs': Math.abs,
  'f64.trunc': Math.trunc,
  'f64.nearest': nearest,
  'f64.sqrt': Math.sqrt,
  'f64.add': (a, b) => a + b,
  'f64.sub': (a, b) => a - b,
  'f64.mul': (a, b) => a * b,
  'f64.div': (a, b) => a / b,
  'i64.trunc_f64_s': (a) => BigInt(Math.trunc(a)),
  'f32.demote_f64': Math.fround,
  'f64.convert_i64_s': (a) => Number(a),
  'f64.promote_f32': (a) => a,
  'i32.reinterpret_f32': (a) => {
    view.setFloat32(0, a);
    return view.getInt32(0);
  },
  'i64.reinterpret_f64': (a) => {
    view.setFloat64(0, a);
    return view.getBigInt64(0);
  },
  'f32.reinterpret_i32': (a) => {
    view.setInt32(0, a);
    return view.getFloat32(0);
  },
  'f64.reinterpret_i64': (a) => {
    view.setBigInt64(0, a as unknown as bigint);
    return view.getFloat64(0);
  },
};

/** The value of an operation. */
export const runFloat = (op: FloatOp, [a, b]: readonly Value[]): Value => OPERATIONS[op](a as number, b as number);
