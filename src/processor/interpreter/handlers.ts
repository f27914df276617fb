/** Which interpreter handler runs an instruction word: made once from the instruction table, a processor's levels and KVM's assist meanings. */

import { Decoder } from '../../isa/decoder.ts';
import { type Instruction, isOf, type Level } from '../../isa/define.ts';
import { registersOf } from '../../isa/registers/index.ts';
import type { Meaning, Operands, Semantics } from '../../isa/semantics.ts';
import { INSTRUCTIONS } from '../../isa/table.ts';
import type { AssistTable } from '../interface.ts';
import { TRANSLATION_MODES } from '../layout.ts';
import { HANDLER, type HandlerSpec } from './interpreter.ts';
import { PairTable } from './pair-table.ts';
import { PAIRS } from './pairs.ts';
import { type StaticValues, VariantIndex } from './variants.ts';

/** Whether the processor itself reads (mfspr, mftb) or writes (mtspr) a special register. */
function isOwn(levels: ReadonlySet<Level>, mnemonic: string, spr: number): boolean {
  const register = registersOf(levels).get(spr);
  return (mnemonic === 'mtspr' ? register?.write : register?.read) !== undefined;
}

/** Whether a meaning does anything but trap at once: it is run against a builder that only listens. */
function doesMoreThanTrap(meaning: Meaning, values: StaticValues): boolean {
  let first = '';
  const answer = { type: 'i32' };
  const listener = new Proxy({} as Semantics, {
    get: (_target, name) => (kind?: unknown) => {
      first ||= name === 'interrupt' ? `${String(name)} ${String(kind)}` : String(name);
      return answer;
    },
  });
  const known = values as Record<string, number>;
  const operands = new Proxy({} as Operands, { get: (_target, name: string) => known[name] ?? answer });
  meaning(listener, operands);
  return first !== 'interrupt program';
}

const hasSpr = (instruction: Instruction): boolean =>
  instruction.fields.some((name) => name === 'SPR' || name === 'TBR');

/**
 * The meaning that a variant of an instruction has in a translation mode. Null: it traps as privileged. Instructions
 * with a meaning of their own keep it; those without one, and special registers closed to problem state, have what
 * KVM's assist table says.
 */
export function meaningOf(
  instruction: Instruction,
  values: StaticValues,
  mode: number,
  assist: AssistTable | null,
  levels: ReadonlySet<Level>,
): Meaning | null {
  const assisted = mode === 1 ? (assist?.get(instruction.mnemonic) ?? null) : null;
  if (!assisted) return instruction.meaning;
  const spr = values.SPR ?? values.TBR;
  if (spr !== undefined && isOwn(levels, instruction.mnemonic, spr)) return instruction.meaning;
  if (doesMoreThanTrap(assisted, values)) return assisted;
  return instruction.meaning;
}

/** Handlers of one processor model. */
export class HandlerTable {
  readonly decoder: Decoder;
  readonly specs: HandlerSpec[] = [];
  /** Handlers of two instructions; their numbers follow those of one. */
  readonly pairs: PairTable;
  readonly variants: VariantIndex[] = [];
  readonly #levels: ReadonlySet<Level>;
  /** By mode and instruction id: the handler of each variant. */
  readonly #handlers: Int32Array[][] = [];

  constructor(levels: ReadonlySet<Level>, assist: AssistTable | null) {
    this.#levels = levels;
    this.decoder = new Decoder(levels);
    for (let mode = 0; mode < TRANSLATION_MODES; mode++) this.#handlers.push([]);
    const numbers = [...registersOf(levels).keys()];
    for (const instruction of INSTRUCTIONS) {
      const variants = new VariantIndex(instruction, hasSpr(instruction) ? numbers : []);
      this.variants[instruction.id] = variants;
      if (!isOf(instruction, levels)) continue;
      for (let mode = 0; mode < TRANSLATION_MODES; mode++) {
        (this.#handlers[mode] as Int32Array[])[instruction.id] = this.#handlersOf(instruction, variants, mode, assist);
      }
    }
    this.pairs = new PairTable(this.specs, PAIRS[levels.has('64-bit') ? 'i64' : 'i32'], levels);
  }

  #handlersOf(instruction: Instruction, variants: VariantIndex, mode: number, assist: AssistTable | null): Int32Array {
    const handlers = new Int32Array(variants.count);
    for (let variant = 0; variant < variants.count; variant++) {
      const { values, near } = variants.valuesOf(variant);
      const meaning = meaningOf(instruction, values, mode, assist, this.#levels);
      const spr = values.SPR ?? values.TBR;
      if (!meaning) handlers[variant] = HANDLER.privileged;
      else if (mode > 0 && meaning === instruction.meaning)
        handlers[variant] = ((this.#handlers[0] as Int32Array[])[instruction.id] as Int32Array)[variant] as number;
      else if (meaning === instruction.meaning && spr !== undefined && !isOwn(this.#levels, instruction.mnemonic, spr))
        handlers[variant] = spr & 16 ? HANDLER.privileged : HANDLER.illegal;
      else {
        handlers[variant] = HANDLER.first + this.specs.length;
        this.specs.push({ instruction, meaning, values, near });
      }
    }
    return handlers;
  }

  /** The handler of a decoded word. `near`: its branch target lies in its own page. */
  handlerOf(instruction: Instruction, word: number, near: boolean, mode: number): number {
    const variant = (this.variants[instruction.id] as VariantIndex).indexOf(word, near);
    return ((this.#handlers[mode] as Int32Array[])[instruction.id] as Int32Array)[variant] as number;
  }
}
