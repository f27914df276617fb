/** From a mnemonic and its operands to the instruction word. */
import { evaluate, type Lookup } from './expression.ts';
import { encodeField, FIELDS, type Field, type FieldName, fieldValue } from './fields.ts';
import { encodeSlot, FORMS, type Form, type Slot, SUFFIXES } from './forms.ts';

/** A form under one of its full names. */
export interface NamedForm {
  readonly form: Form;
  /** The bits that the name's suffixes stand for. */
  readonly bits: number;
  readonly hint: '' | '+' | '-';
}

/** Names for register and condition numbers: expressions like `4*cr1+eq` use them. */
const NUMBERS = new Map<string, bigint>([
  ...Array.from({ length: 32 }, (_, n) => [`r${n}`, BigInt(n)] as const),
  ...Array.from({ length: 32 }, (_, n) => [`f${n}`, BigInt(n)] as const),
  ...Array.from({ length: 32 }, (_, n) => [`v${n}`, BigInt(n)] as const),
  ...Array.from({ length: 64 }, (_, n) => [`vs${n}`, BigInt(n)] as const),
  ...Array.from({ length: 8 }, (_, n) => [`cr${n}`, BigInt(n)] as const),
  ...['lt', 'gt', 'eq', 'so'].map((name, n) => [name, BigInt(n)] as const),
  ['un', 3n],
]);

/** The register names that a kind of field takes. */
const REGISTER_PREFIX: Partial<Record<Field['kind'], string>> = {
  gpr: 'r',
  gpr0: 'r',
  zeroGpr: 'r',
  fpr: 'f',
  crField: 'cr',
  vr: 'v',
  vsr: 'vs',
};

let byName: Map<string, NamedForm[]> | null = null;

/** All ways to name a form: with and without each suffix that its instruction has, and a prediction. */
function namesOf(form: Form): [string, NamedForm][] {
  let names: [string, number][] = [[form.mnemonic, 0]];
  for (const [field, suffix] of SUFFIXES) {
    if (!form.instruction.fields.includes(field)) continue;
    names = names.flatMap(([name, bits]) => [
      [name, bits],
      [name + suffix, bits | encodeField(field, 1)],
    ]);
  }
  const hints =
    form.instruction.fields.includes('BO') && (form.alias?.predicts ?? true)
      ? (['', '+', '-'] as const)
      : ([''] as const);
  return names.flatMap(([name, bits]) => hints.map((hint): [string, NamedForm] => [name + hint, { form, bits, hint }]));
}

/** The forms that a mnemonic can mean, undefined when there is none. */
export function formsNamed(mnemonic: string): readonly NamedForm[] | undefined {
  if (!byName) {
    byName = new Map();
    for (const form of FORMS.flat()) {
      for (const [name, named] of namesOf(form)) byName.set(name, [...(byName.get(name) ?? []), named]);
    }
  }
  return byName.get(mnemonic);
}

/** A register's number or an expression's value. */
function read(text: string, kind: Field['kind'], lookup: Lookup): number {
  const register = /^(r|f|cr|vs?)\d+$/.exec(text);
  const wanted = REGISTER_PREFIX[kind];
  if (register && register[1] !== wanted && kind !== 'crBit')
    throw new SyntaxError(
      wanted ? `'${text}' is not one of ${wanted}0 and so on` : `'${text}' is a register, not a number`,
    );
  return Number(evaluate(text, (name) => lookup(name) ?? NUMBERS.get(name)));
}

/** What a displacement is a multiple of. */
const UNITS: Partial<Record<Field['kind'], number>> = {
  signed4: 4,
  signed16: 16,
  unsigned2: 2,
  unsigned4: 4,
  unsigned8: 8,
};

/** The values that a field takes; unsigned halfwords too where the value is one part of an address. */
function rangeOf(name: FieldName, text: string, mnemonic: string): [number, number] {
  const { first, last, kind } = FIELDS[name];
  const values = 2 ** (last - first + 1);
  if (name === 'NB') return [0, 32];
  if (UNITS[kind] !== undefined && kind.startsWith('unsigned')) return [0, (values - 1) * (UNITS[kind] ?? 1)];
  if (kind === 'signed4') return [-values * 2, values * 2 - 1];
  if (kind === 'signed16') return [-values * 8, values * 8 - 1];
  if (kind === 'shift6' || kind === 'vsr') return [0, 63];
  if (kind !== 'signed') return [0, values - 1];
  const halfword = text.includes('@') || mnemonic === 'lis' || mnemonic === 'addis';
  return [-values / 2, halfword ? values - 1 : values / 2 - 1];
}

function encodeValue(
  named: NamedForm,
  mnemonic: string,
  slot: Slot,
  text: string,
  address: number,
  lookup: Lookup,
): number {
  const { form, bits } = named;
  const name = slot.name === 'n' ? form.alias?.n?.field : slot.name;
  if (name === undefined || name === 'literal') {
    if (read(text, 'unsigned', lookup) !== slot.literal)
      throw new SyntaxError(`${mnemonic} does not take ${text} here`);
    return 0;
  }
  const { kind, first, last } = FIELDS[name];
  const value = read(text, kind, lookup);
  if (kind === 'branch') {
    const distance = (bits & encodeField('AA', 1)) !== 0 ? value | 0 : (value - address) | 0;
    const reach = 2 ** (last - first + 2);
    if (distance % 4 !== 0) throw new SyntaxError(`the target ${text} is not a multiple of 4`);
    if (distance < -reach || distance >= reach) throw new SyntaxError(`the target ${text} is too far away`);
    return encodeField(name, distance);
  }
  const unit = UNITS[kind] ?? 1;
  if (value % unit !== 0) throw new SyntaxError(`${text} is not a multiple of ${unit}`);
  const [low, high] = rangeOf(name, text, mnemonic);
  const told = slot.name === 'n' ? (form.alias?.n?.convert(value) ?? value) : value;
  if (told < low || told > high) throw new SyntaxError(`${text} does not fit ${mnemonic}`);
  return encodeSlot(form, slot, value);
}

/** Which operand text goes to which slot: optional slots are filled from the left. */
function assign(form: Form, operands: readonly string[]): (string | null)[] | null {
  const required = form.slots.filter((slot) => !slot.optional).length;
  let spare = operands.length - required;
  if (spare < 0 || operands.length > form.slots.length) return null;
  let next = 0;
  return form.slots.map((slot) => {
    if (slot.optional && spare-- <= 0) return null;
    return operands[next++] as string;
  });
}

function encode(
  named: NamedForm,
  mnemonic: string,
  operands: readonly string[],
  address: number,
  lookup: Lookup,
): number {
  const { form, hint } = named;
  const { alias, instruction } = form;
  const assigned = assign(form, operands);
  if (!assigned) throw new SyntaxError(`${mnemonic} takes other operands than these ${operands.length}`);
  let word = instruction.value | (alias?.value ?? 0) | named.bits;
  form.slots.forEach((slot, index) => {
    const text = assigned[index];
    if (text === null || text === undefined) return;
    if (!slot.base) {
      word |= encodeValue(named, mnemonic, slot, text, address, lookup);
      return;
    }
    const parts = /^(.*)\(([^()]*)\)$/.exec(text);
    if (!parts) throw new SyntaxError(`'${text}' is not of the form offset(register)`);
    const [offset, register] = [parts[1]?.trim() || '0', parts[2]?.trim() ?? ''];
    word |= encodeValue(named, mnemonic, slot, offset, address, lookup);
    word |= encodeValue(named, mnemonic, { ...slot, name: slot.base, base: null }, register, address, lookup);
  });
  for (const [to, from] of alias?.equal ?? []) word |= encodeField(to, fieldValue(word, from));
  if (alias?.predicts && hint !== '') {
    const backward = instruction.fields.includes('BD') && (word & 0x8000) !== 0;
    if ((hint === '+') !== backward) word |= encodeField('BO', 1);
  }
  return word >>> 0;
}

/**
 * The word of an instruction, in the first form of its mnemonic that the operands fit.
 * @throws SyntaxError with what is wrong with the operands.
 */
export function encodeOperands(
  forms: readonly NamedForm[],
  mnemonic: string,
  operands: readonly string[],
  address: number,
  lookup: Lookup,
): number {
  let problem: unknown;
  for (const named of forms) {
    try {
      return encode(named, mnemonic, operands, address, lookup);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      problem = error;
    }
  }
  throw problem;
}
