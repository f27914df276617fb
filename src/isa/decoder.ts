import { type Instruction, isOf, type Level } from './define.ts';
import { INSTRUCTIONS } from './table.ts';

const NONE: readonly Instruction[] = [];

/**
 * Finds instructions by their word, for one processor: two table look-ups (primary opcode, bits 21–30), then a compare
 * for each candidate, of which there is nearly always one. Candidates are collected when a combination is first met:
 * few ever are.
 */
export class Decoder {
  /** By primary opcode. */
  readonly #instructions: Instruction[][] = Array.from({ length: 64 }, () => []);
  /** By primary opcode, the bits of an extended opcode that any of its instructions looks at. */
  readonly #extendedMasks = new Int32Array(64);
  readonly #buckets: (readonly Instruction[] | undefined)[] = new Array(64 * 1024);

  constructor(levels: ReadonlySet<Level>) {
    for (const instruction of INSTRUCTIONS) {
      if (!isOf(instruction, levels)) continue;
      const opcode = instruction.value >>> 26;
      (this.#instructions[opcode] as Instruction[]).push(instruction);
      this.#extendedMasks[opcode] = (this.#extendedMasks[opcode] as number) | (instruction.mask & 0x7fe);
    }
  }

  #collect(opcode: number, bits: number): readonly Instruction[] {
    const candidates = (this.#instructions[opcode] as Instruction[]).filter(
      ({ mask, value }) => ((bits ^ value) & mask & 0x7fe) === 0,
    );
    return candidates.length > 0 ? candidates : NONE;
  }

  /** The instruction of a word, or undefined: illegal on this processor. */
  decode(word: number): Instruction | undefined {
    const instruction = this.find(word);
    return instruction?.invalid?.(word) ? undefined : instruction;
  }

  /** The instruction that a word encodes, even if its operands make an invalid form. */
  find(word: number): Instruction | undefined {
    const opcode = word >>> 26;
    const extended = word & (this.#extendedMasks[opcode] as number);
    const slot = (opcode << 10) | (extended >> 1);
    let bucket = this.#buckets[slot];
    if (bucket === undefined) {
      bucket = this.#collect(opcode, extended);
      this.#buckets[slot] = bucket;
    }
    for (let i = 0; i < bucket.length; i++) {
      const instruction = bucket[i] as Instruction;
      if ((word & instruction.mask) === instruction.value) return instruction;
    }
    return undefined;
  }
}
