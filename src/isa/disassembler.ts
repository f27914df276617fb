/** Instruction words as text, the same as objdump's for the processor. */
import { Decoder } from './decoder.ts';
import { areCompatible, type Instruction, LEVELS, type Level } from './define.ts';
import { FIELDS, fieldBits, fieldValue } from './fields.ts';
import { FORMS, type Form, matches, type Slot, SUFFIXES, slotValue } from './forms.ts';

/** Every level that a processor of the 440's kind can have, one of the e500's, a 32-bit Book3S, and a server. */
export const EMBEDDED_LEVELS: ReadonlySet<Level> = new Set(
  LEVELS.filter((level) => areCompatible(level, 'booke') && areCompatible(level, '44x')),
);
export const E500_LEVELS: ReadonlySet<Level> = new Set(
  LEVELS.filter((level) => areCompatible(level, 'booke') && areCompatible(level, 'e500')),
);
export const CLASSIC_LEVELS: ReadonlySet<Level> = new Set(LEVELS.filter((level) => areCompatible(level, 'book3s32')));
export const SERVER_LEVELS: ReadonlySet<Level> = new Set(LEVELS.filter((level) => areCompatible(level, 'server')));

const decoders = new WeakMap<ReadonlySet<Level>, Decoder>();

function decoderFor(levels: ReadonlySet<Level>): Decoder {
  let decoder = decoders.get(levels);
  if (!decoder) decoders.set(levels, (decoder = new Decoder(levels)));
  return decoder;
}

/** BO with all its unused bits zero: Power ISA 2.07 Book I, figure 40, without the hints of later processors. */
function plainBo(word: number): boolean {
  const bo = fieldBits(word, 'BO');
  if (bo & 16) return bo <= 20;
  return (bo & 6) !== 6;
}

/** One bit of FXM, which the one-field moves need. */
function notOneField(word: number): boolean {
  const fxm = fieldBits(word, 'FXM');
  return fxm === 0 || (fxm & (fxm - 1)) !== 0;
}

const sameTarget = (word: number, register: 'RA' | 'RB'): boolean =>
  fieldBits(word, 'RT') === fieldBits(word, register);

/**
 * Words of a row that have no text but their number, though the processor may run them. Where nothing is said here, it
 * is the table's invalid forms. Aliases say by themselves which words they stand for.
 */
const WITHOUT_TEXT: Readonly<Record<string, (word: number) => boolean>> = {
  // What mftb reads is written as mfspr in the assembler's 440 dialect.
  mftb: () => true,
  bc: (word) => !plainBo(word),
  bclr: (word) => !plainBo(word),
  bcctr: (word) => !plainBo(word),
  lmw: (word) => fieldBits(word, 'RA') >= fieldBits(word, 'RT'),
  lswi: (word) => sameTarget(word, 'RA'),
  lswx: (word) => sameTarget(word, 'RA') || sameTarget(word, 'RB'),
  mfocrf: notOneField,
  mtocrf: notOneField,
  dcbf: (word) => fieldBits(word, 'DCBF_L') === 2,
  icbt: () => false,
  sync: (word) => fieldBits(word, 'SYNC_L') === 3,
  bctar: (word) => !plainBo(word),
  ...Object.fromEntries([530, 562, 594, 626, 658, 690, 722, 754].map((opcode) => [`nop${opcode}`, () => true])),
  ...Object.fromEntries(['dst', 'dstt', 'dstst', 'dststt'].map((name) => [name, () => false])),
};

/** The form in which a word is written, if it has one. Reserved bits are not told: the processor does not look at them. */
function formOf(instruction: Instruction, word: number): Form | undefined {
  const form = FORMS[instruction.id]?.find((candidate) => !candidate.alias?.inputOnly && matches(candidate, word));
  if (!form || form.alias) return form;
  return (WITHOUT_TEXT[instruction.mnemonic] ?? instruction.invalid)?.(word) ? undefined : form;
}

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

const CR_BITS = ['lt', 'gt', 'eq', 'so'] as const;

function crBit(bit: number): string {
  const name = CR_BITS[bit & 3] as string;
  return bit < 4 ? name : `4*cr${bit >> 2}+${name}`;
}

/** Where a branch goes: addresses of 64 bits come as BigInts. */
function target(base: number | bigint, offset: number): string {
  if (typeof base === 'number') return hex(base + offset);
  return `0x${BigInt.asUintN(64, base + BigInt(offset)).toString(16)}`;
}

function operand(form: Form, slot: Slot, word: number, address: number | bigint): string {
  const value = slotValue(form, slot, word);
  if (slot.name === 'n' || slot.name === 'literal') return String(value);
  if (slot.name === 'NB') return String(value || 32);
  switch (FIELDS[slot.name].kind) {
    case 'gpr':
    case 'zeroGpr':
      return `r${value}`;
    case 'gpr0':
      return value ? `r${value}` : '0';
    case 'fpr':
      return `f${value}`;
    case 'vr':
      return `v${value}`;
    case 'vsr':
      return `vs${value}`;
    case 'crField':
      return `cr${value}`;
    case 'crBit':
      return crBit(value);
    case 'branch':
      return target(fieldBits(word, 'AA') ? 0 : address, value);
    default:
      return String(value);
  }
}

function operands(form: Form, word: number, address: number | bigint): string {
  const { slots } = form;
  const values = slots.map((slot) => slotValue(form, slot, word));
  const parts: string[] = [];
  slots.forEach((slot, index) => {
    if (slot.optional && slots.every((s, i) => i < index || !s.optional || values[i] === 0)) return;
    const text = operand(form, slot, word, address);
    parts.push(slot.base ? `${text}(${operand(form, { ...slot, name: slot.base, base: null }, word, address)})` : text);
  });
  return parts.join();
}

/** The prediction that a conditional branch carries: extended mnemonics always tell it, the others only a set bit. */
function prediction(form: Form, word: number): string {
  const { instruction, alias } = form;
  if (!instruction.fields.includes('BO') || (alias && !alias.predicts)) return '';
  const set = (word & (1 << 21)) !== 0;
  const backward = instruction.fields.includes('BD') && fieldValue(word, 'BD') < 0;
  if (alias) return set !== backward ? '+' : '-';
  return set && !backward ? '+' : '';
}

/** The text of an instruction word that stands at `address`; `.long 0x…` where there is no such instruction. */
export function disassemble(
  word: number,
  address: number | bigint,
  levels: ReadonlySet<Level> = EMBEDDED_LEVELS,
): string {
  const instruction = decoderFor(levels).find(word | 0);
  const form = instruction && formOf(instruction, word);
  if (!form) return `.long ${hex(word)}`;
  const { fields } = form.instruction;
  const suffix = SUFFIXES.map(([field, text]) => (fields.includes(field) && fieldBits(word, field) ? text : '')).join(
    '',
  );
  const mnemonic = form.mnemonic + suffix + prediction(form, word);
  const text = operands(form, word, address);
  return text ? `${mnemonic.padEnd(7)} ${text}` : mnemonic;
}
