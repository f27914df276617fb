/** Which interpreter handler runs an instruction word: made once from the instruction table, a processor's levels and KVM's assist meanings. */

import { Decoder } from '../../isa/decoder.ts';
import { type Instruction, isOf, type Level } from '../../isa/define.ts';
import { registersOf } from '../../isa/registers/index.ts';
import type { Meaning, Operands, Semantics } from '../../isa/semantics.ts';
import { INSTRUCTIONS } from '../../isa/table.ts';
import type { AssistTable } from '../interface.ts';
import { TRANSLATION_MODES } from '../layout.ts';
import { HANDLER, type HandlerPair, type HandlerSpec } from './interpreter.ts';
import { findPairs, PairTable } from './pair-table.ts';
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

/** Where a `HandlerTable`'s numbers begin: how many handlers, how many pairs, and a start for each mode and instruction. */
const SPECS = 0;
const PAIR_COUNT = 1;
const STARTS = 2;
const PAIR_NUMBERS = STARTS + TRANSLATION_MODES * INSTRUCTIONS.length;

/** Handlers of one processor model. */
export class HandlerTable {
  readonly decoder: Decoder;
  /** Handlers of two instructions; their numbers follow those of one. */
  readonly pairs: PairTable;
  /**
   * What it found out, to be kept and given to another one of the same processor and meanings: the number of handlers, that of
   * pairs; by mode and instruction where its variants' handlers begin; both handlers of each pair; the variants' handlers.
   */
  readonly numbers: Int32Array;
  readonly #levels: ReadonlySet<Level>;
  readonly #assist: AssistTable | null;
  readonly #variants: VariantIndex[] = [];
  #specialRegisters: readonly number[] | undefined;
  #specs: readonly HandlerSpec[] | undefined;

  constructor(levels: ReadonlySet<Level>, assist: AssistTable | null, kept?: Int32Array) {
    this.#levels = levels;
    this.#assist = assist;
    this.decoder = new Decoder(levels);
    this.numbers = kept ?? this.#number();
    const pairs = this.numbers.subarray(PAIR_NUMBERS, PAIR_NUMBERS + 2 * (this.numbers[PAIR_COUNT] as number));
    this.pairs = new PairTable(pairs, this.numbers[SPECS] as number);
  }

  /** The handlers of one instruction, from number HANDLER.first on. */
  get specs(): readonly HandlerSpec[] {
    this.#specs ??= this.#list([]);
    return this.#specs;
  }

  /** The handlers of two. */
  get pairSpecs(): readonly HandlerPair[] {
    return this.pairs.specs(this.specs, this.#levels);
  }

  variantsOf(instruction: Instruction): VariantIndex {
    const known = this.#variants[instruction.id];
    if (known !== undefined) return known;
    this.#specialRegisters ??= [...registersOf(this.#levels).keys()];
    const variants = new VariantIndex(instruction, hasSpr(instruction) ? this.#specialRegisters : []);
    this.#variants[instruction.id] = variants;
    return variants;
  }

  #number(): Int32Array {
    const handlers: Int32Array[] = [];
    this.#specs = this.#list(handlers);
    const pairs = findPairs(this.#specs, PAIRS[this.#levels.has('64-bit') ? 'i64' : 'i32']).flat();
    const starts: number[] = [];
    let start = PAIR_NUMBERS + pairs.length;
    for (let i = 0; i < TRANSLATION_MODES * INSTRUCTIONS.length; i++) {
      starts.push(start);
      start += handlers[i]?.length ?? 0;
    }
    const all = handlers.flatMap((one) => (one === undefined ? [] : [...one]));
    return Int32Array.from([this.#specs.length, pairs.length / 2, ...starts, ...pairs, ...all]);
  }

  /** Lists all handlers; `found` gets those of each variant, by mode and instruction. */
  #list(found: Int32Array[]): readonly HandlerSpec[] {
    const specs: HandlerSpec[] = [];
    for (const instruction of INSTRUCTIONS) {
      if (!isOf(instruction, this.#levels)) continue;
      for (let mode = 0; mode < TRANSLATION_MODES; mode++)
        found[mode * INSTRUCTIONS.length + instruction.id] = this.#handlersOf(
          instruction,
          mode,
          specs,
          found[instruction.id],
        );
    }
    return specs;
  }

  #handlersOf(
    instruction: Instruction,
    mode: number,
    specs: HandlerSpec[],
    ofProblemState: Int32Array | undefined,
  ): Int32Array {
    const variants = this.variantsOf(instruction);
    const handlers = new Int32Array(variants.count);
    for (let variant = 0; variant < variants.count; variant++) {
      const { values, near } = variants.valuesOf(variant);
      const meaning = meaningOf(instruction, values, mode, this.#assist, this.#levels);
      const spr = values.SPR ?? values.TBR;
      if (!meaning) handlers[variant] = HANDLER.privileged;
      else if (mode > 0 && meaning === instruction.meaning) handlers[variant] = ofProblemState?.[variant] as number;
      else if (meaning === instruction.meaning && spr !== undefined && !isOwn(this.#levels, instruction.mnemonic, spr))
        handlers[variant] = spr & 16 ? HANDLER.privileged : HANDLER.illegal;
      else {
        handlers[variant] = HANDLER.first + specs.length;
        specs.push({ instruction, meaning, values, near });
      }
    }
    return handlers;
  }

  /** The handler of a decoded word. `near`: its branch target lies in its own page. */
  handlerOf(instruction: Instruction, word: number, near: boolean, mode: number): number {
    const start = this.numbers[STARTS + mode * INSTRUCTIONS.length + instruction.id] as number;
    return this.numbers[start + this.variantsOf(instruction).indexOf(word, near)] as number;
  }
}
