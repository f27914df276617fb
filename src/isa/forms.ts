/** How instructions are written: each row of the table and each alias as one form that reads and writes text. */
import { ALIASES, type Alias } from './aliases.ts';
import type { Instruction } from './define.ts';
import { encodeField, FIELDS, type FieldName, fieldValue, isParted } from './fields.ts';
import { INSTRUCTIONS } from './table.ts';

/** One operand. */
export interface Slot {
  /** The field; `n` for an alias's computed operand, `literal` for a number that is part of the name. */
  readonly name: FieldName | 'n' | 'literal';
  readonly literal: number;
  /** The base register of `D(RA)`. */
  readonly base: FieldName | null;
  /** May be left out where it and all optional operands after it are zero. */
  readonly optional: boolean;
}

export interface Form {
  readonly instruction: Instruction;
  readonly alias: Alias | null;
  readonly mnemonic: string;
  readonly slots: readonly Slot[];
}

function parseSyntax(syntax: string): Slot[] {
  const slots: Slot[] = [];
  let optional = false;
  for (const [token] of syntax.matchAll(/[[\]]|[^,[\]]+/g)) {
    if (token === '[') optional = true;
    else if (token === ']') optional = false;
    else if (token.startsWith('#'))
      slots.push({ name: 'literal', literal: Number(token.slice(1)), base: null, optional });
    else {
      const [, name, base] = /^(\w+)(?:\((\w+)\))?$/.exec(token) as RegExpExecArray;
      slots.push({ name: name as FieldName, literal: 0, base: (base as FieldName | undefined) ?? null, optional });
    }
  }
  return slots;
}

/** Whether an instruction's encoding has room for the operands of a syntax. */
function hasOperands({ mask, reserved }: Instruction, syntax: string): boolean {
  return parseSyntax(syntax).every(({ name }) => {
    if (name === 'n' || name === 'literal') return true;
    const { first } = FIELDS[name];
    const last = isParted(name) ? first + 4 : FIELDS[name].last;
    return (((2 ** (last - first + 1) - 1) << (31 - last)) & (mask | reserved)) === 0;
  });
}

/** Forms by instruction id, in the order in which the disassembler tries them: aliases first, the row itself last. */
export const FORMS: readonly (readonly Form[])[] = INSTRUCTIONS.map((instruction) => {
  // Of two processors' instructions with one name, an alias is of that which has its fields.
  const aliases = ALIASES.filter(({ of, syntax }) => of === instruction.mnemonic && hasOperands(instruction, syntax));
  return [
    ...aliases.map((alias) => ({
      instruction,
      alias,
      mnemonic: alias.mnemonic,
      slots: parseSyntax(alias.syntax),
    })),
    { instruction, alias: null, mnemonic: instruction.mnemonic, slots: parseSyntax(instruction.syntax) },
  ];
});

/** Whether an instruction word can be written in a form. */
export function matches({ alias }: Form, word: number): boolean {
  if (!alias) return true;
  if ((word & alias.mask) !== alias.value) return false;
  if (alias.equal?.some(([a, b]) => fieldValue(word, a) !== fieldValue(word, b))) return false;
  if (!alias.n) return true;
  const n = alias.n.convert(fieldValue(word, alias.n.field));
  return Object.entries(alias.n.others).every(([name, of]) => fieldValue(word, name as FieldName) === of(n));
}

/** The number that an operand stands for. */
export function slotValue(form: Form, slot: Slot, word: number): number {
  if (slot.name === 'literal') return slot.literal;
  if (slot.name !== 'n') return fieldValue(word, slot.name);
  const { field, convert } = (form.alias as Alias).n as NonNullable<Alias['n']>;
  return convert(fieldValue(word, field));
}

/** The bits that an operand's value sets. */
export function encodeSlot(form: Form, slot: Slot, value: number): number {
  if (slot.name === 'literal') return 0;
  if (slot.name !== 'n') return encodeField(slot.name, value);
  const { field, convert, others } = (form.alias as Alias).n as NonNullable<Alias['n']>;
  const rest = Object.entries(others).map(([name, of]) => encodeField(name as FieldName, of(value)));
  return rest.reduce((bits, more) => bits | more, encodeField(field, convert(value)));
}

/** Suffixes by the field whose bit they tell, in the order in which they are written. */
export const SUFFIXES: readonly (readonly [field: FieldName, suffix: string])[] = [
  ['OE', 'o'],
  ['Rc', '.'],
  ['VECTOR_RC', '.'],
  ['LK', 'l'],
  ['AA', 'a'],
];
