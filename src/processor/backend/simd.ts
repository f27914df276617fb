import type { Expr, Operand } from '../../isa/semantics.ts';
import { SHUFFLE_OPCODE, SIMD, SIMD_LANE, type SimdLaneOp, type SimdOp, type SimdOperation } from '../../isa/simd.ts';
import { constant, type Node, simd } from '../wasm/node.ts';
import { ArithmeticBuilder } from './arithmetic.ts';

/** The part of a builder that computes with vectors. */
export abstract class SimdBuilder extends ArithmeticBuilder {
  v128(bits: bigint): Node {
    return constant('v128', bits);
  }

  #operands({ params }: SimdOperation, args: readonly Operand[]): Node[] {
    return args.map((arg, i) => {
      if (typeof arg === 'number') return constant(params[i] ?? 'i32', arg);
      if (arg.type !== params[i]) throw new TypeError(`a vector operation is given an ${arg.type}, not ${params[i]}`);
      return arg as Node;
    });
  }

  simd(op: SimdOp, ...args: Operand[]): Node {
    const operation = SIMD[op];
    return simd(operation.result, operation.opcode, this.#operands(operation, args));
  }

  simdLane(op: SimdLaneOp, lane: number, vector: Expr, value?: Operand): Node {
    const operation = SIMD_LANE[op];
    const args = value === undefined ? [vector] : [vector, value];
    return simd(operation.result, operation.opcode, this.#operands(operation, args), lane);
  }

  shuffle(a: Expr, b: Expr, lanes: readonly number[]): Node {
    const order = lanes.reduceRight((bits, lane) => (bits << 8n) | BigInt(lane), 0n);
    return simd('v128', SHUFFLE_OPCODE, [a as Node, b as Node], order);
  }

  /** Two doublewords, the left one first. */
  protected quadword(left: Node, right: Node): Node {
    return this.simdLane('i64x2.replace_lane', 1, this.simd('i64x2.splat', right), left);
  }
}
