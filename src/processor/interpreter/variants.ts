/**
 * Meanings depend on some fields only through their value while code is generated (semantics.ts, STATIC_FIELDS). The
 * interpreter has a handler for each combination of values that makes a difference; this file lists and finds them.
 */
import type { Instruction } from '../../isa/define.ts';
import { FIELDS, type FieldName, fieldValue } from '../../isa/fields.ts';
import { STATIC_FIELDS, type StaticFieldName } from '../../isa/semantics.ts';

/** Stand-ins for all special registers that the table does not know: privileged ones have bit 0x10. */
const UNKNOWN_SPR = { privileged: 1023, problem: 0 } as const;

/** BO without its hint bits and the bits that it does not look at (Power ISA 2.07 Book I, 2.4, figure 40). */
export function canonicalBo(bo: number): number {
  const condition = bo & 16 ? 16 : bo & 8;
  const counter = bo & 4 ? 4 : bo & 2;
  return condition | counter;
}

const ALL_BO = [...new Set(Array.from({ length: 32 }, (_, bo) => canonicalBo(bo)))];

const isStatic = (name: FieldName): name is StaticFieldName => (STATIC_FIELDS as readonly FieldName[]).includes(name);

/** The values of the static fields of one instruction word, by name. */
export type StaticValues = Partial<Record<StaticFieldName, number>>;

interface StaticField {
  readonly name: StaticFieldName;
  readonly values: readonly number[];
  /** Where the field stands, and by its bits the position in `values`. */
  readonly shift: number;
  readonly mask: number;
  readonly positions: Uint16Array;
}

/** Fields that are the same for all words share one description. */
const KNOWN_FIELDS = new Map<string, StaticField>();

function staticField(name: StaticFieldName, specialRegisters: readonly number[]): StaticField {
  const key = `${name} ${specialRegisters.join()}`;
  const known = KNOWN_FIELDS.get(key);
  if (known) return known;
  const values = valuesOf(name, specialRegisters);
  const shift = 31 - FIELDS[name].last;
  const mask = 2 ** (FIELDS[name].last - FIELDS[name].first + 1) - 1;
  const positions = Uint16Array.from({ length: mask + 1 }, (_, bits) =>
    values.indexOf(canonicalValue(name, fieldValue(bits << shift, name), values)),
  );
  const made = { name, values, shift, mask, positions };
  KNOWN_FIELDS.set(key, made);
  return made;
}

function valuesOf(name: StaticFieldName, specialRegisters: readonly number[]): readonly number[] {
  switch (name) {
    case 'BO':
      return ALL_BO;
    case 'SPR':
    case 'TBR':
      return [...new Set([...specialRegisters, UNKNOWN_SPR.privileged, UNKNOWN_SPR.problem])];
    case 'WS':
      return [0, 1, 2, 3];
    default:
      return Array.from({ length: 2 ** (FIELDS[name].last - FIELDS[name].first + 1) }, (_, value) => value);
  }
}

/** The listed value that stands for a value. */
function canonicalValue(name: StaticFieldName, value: number, values: readonly number[]): number {
  if (name === 'BO') return canonicalBo(value);
  if (name === 'WS') return Math.min(value, 3);
  if (values.includes(value)) return value;
  return value & 16 ? UNKNOWN_SPR.privileged : UNKNOWN_SPR.problem;
}

/** Lists and indexes the variants of one instruction. */
export class VariantIndex {
  readonly #fields: StaticField[] = [];
  readonly count: number;
  readonly #hasBranchTarget: boolean;

  constructor(instruction: Instruction, specialRegisters: readonly number[]) {
    for (const name of instruction.fields) {
      if (!isStatic(name)) continue;
      this.#fields.push(staticField(name, specialRegisters));
    }
    // A relative branch has handlers of its own for targets within the page.
    this.#hasBranchTarget = instruction.fields.includes('LI') || instruction.fields.includes('BD');
    this.count = this.#fields.reduce((n, field) => n * field.values.length, this.#hasBranchTarget ? 2 : 1);
  }

  /** The variant of a word, 0 … count-1. `near`: the branch target lies in the word's own page. */
  indexOf(word: number, near: boolean): number {
    const fields = this.#fields;
    let at = 0;
    for (let i = 0; i < fields.length; i++) {
      const { shift, mask, positions, values } = fields[i] as StaticField;
      at = at * values.length + (positions[(word >>> shift) & mask] as number);
    }
    return this.#hasBranchTarget ? at * 2 + Number(near) : at;
  }

  /** The static values of a variant. */
  valuesOf(variant: number): { values: StaticValues; near: boolean } {
    let rest = this.#hasBranchTarget ? variant >> 1 : variant;
    const values: StaticValues = {};
    for (let i = this.#fields.length - 1; i >= 0; i--) {
      const field = this.#fields[i] as StaticField;
      values[field.name] = field.values[rest % field.values.length] as number;
      rest = Math.floor(rest / field.values.length);
    }
    return { values, near: this.#hasBranchTarget && (variant & 1) === 1 };
  }
}
