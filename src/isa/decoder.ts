import type { Instruction, Level } from './define.ts';
import { INSTRUCTIONS } from './table.ts';

/**
 * Finds instructions by their word, for one processor: two table look-ups (primary opcode, bits 21–30), then a compare
 * for each candidate, of which there is nearly always one.
 */
export class Decoder {
  readonly #buckets: (readonly Instruction[])[] = new Array(64 * 1024);

  constructor(levels: ReadonlySet<Level>) {
    const none: readonly Instruction[] = [];
    this.#buckets.fill(none);
    const shared = new Map<string, readonly Instruction[]>();
    for (const instruction of INSTRUCTIONS) {
      if (!levels.has(instruction.level)) continue;
      const opcode = instruction.value >>> 26;
      const extendedMask = (instruction.mask >>> 1) & 1023;
      const extended = (instruction.value >>> 1) & 1023;
      for (let bits = 0; bits < 1024; bits++) {
        if ((bits & extendedMask) !== extended) continue;
        const slot = opcode * 1024 + bits;
        const bucket = [...(this.#buckets[slot] ?? none), instruction];
        const key = bucket.map((i) => i.id).join();
        const known = shared.get(key) ?? bucket;
        shared.set(key, known);
        this.#buckets[slot] = known;
      }
    }
  }

  /** The instruction of a word, or undefined: illegal on this processor. */
  decode(word: number): Instruction | undefined {
    const instruction = this.find(word);
    return instruction?.invalid?.(word) ? undefined : instruction;
  }

  /** The instruction that a word encodes, even if its operands make an invalid form. */
  find(word: number): Instruction | undefined {
    const bucket = this.#buckets[(word >>> 26) * 1024 + ((word >>> 1) & 1023)] as readonly Instruction[];
    for (let i = 0; i < bucket.length; i++) {
      const instruction = bucket[i] as Instruction;
      if ((word & instruction.mask) === instruction.value) return instruction;
    }
    return undefined;
  }
}
