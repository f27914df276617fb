/** Random instruction words of each form that the assembler knows, the same ones in every run. */

import { FORMS, type Form } from '../../src/isa/forms.ts';
import { E500_LEVELS, EMBEDDED_LEVELS, encodeField, fieldValue, isOf, SERVER_LEVELS } from '../../src/isa/index.ts';
import type { Dialect } from './objdump.ts';

/** A small generator of uniform 32-bit numbers (the mixing steps of SplitMix with 32 bits). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}

/** A 32-bit digest of a text (FNV-1a). */
export function digest(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** A name for a form that stays the same when others are added. */
export function formName({ instruction, alias, slots }: Form): string {
  const literals = slots.filter((slot) => slot.name === 'literal').map((slot) => slot.literal);
  return alias ? [alias.mnemonic, ...literals, 'of', instruction.mnemonic].join(' ') : instruction.mnemonic;
}

/** Every form of the table that can be compared, with a name that no other has. */
export function namedForms(): [string, Form][] {
  const seen = new Map<string, number>();
  const forms = FORMS.flat().filter((form) => DIALECTS.some(({ has }) => has(form)));
  return forms.map((form) => {
    const name = formName(form);
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    return [times > 1 ? `${name} (${times})` : name, form];
  });
}

/** The dialects of the reference that forms are compared in, with the levels that have them. */
export const DIALECTS = [
  {
    dialect: '440',
    levels: EMBEDDED_LEVELS,
    has: ({ instruction }: Form) => isOf(instruction, EMBEDDED_LEVELS),
  },
  {
    dialect: 'e500',
    levels: E500_LEVELS,
    has: ({ instruction }: Form) => !isOf(instruction, EMBEDDED_LEVELS) && isOf(instruction, E500_LEVELS),
  },
  {
    dialect: 'power8',
    levels: SERVER_LEVELS,
    // The hints of bctar and dcbf are written otherwise there, and reserved opcodes as what they are on later processors.
    has: ({ instruction }: Form) =>
      !isOf(instruction, EMBEDDED_LEVELS) &&
      isOf(instruction, SERVER_LEVELS) &&
      !/^(bctar|dcbf|nop\d+)$/.test(instruction.mnemonic),
  },
] as const satisfies { dialect: Dialect; [key: string]: unknown }[];

/** Random words of a form: operands at random, reserved bits zero, of which the reference has a mind of its own. */
export function wordsOf(form: Form, count: number): number[] {
  const { instruction, alias } = form;
  const next = random(Number.parseInt(digest(formName(form)), 16));
  return Array.from({ length: count }, () => {
    let word = next() & ~instruction.mask & ~instruction.reserved;
    word |= instruction.value;
    // Of pairs of registers the reference takes odd ones in some places.
    const EVEN_REGISTERS = ~0x0021_0800;
    if (instruction.level === 'decimal' && instruction.invalid?.(word)) word &= EVEN_REGISTERS;
    if (!alias) return word >>> 0;
    word = (word & ~alias.mask) | alias.value;
    for (const [to, from] of alias.equal ?? [])
      word = (word & ~encodeField(to, -1)) | encodeField(to, fieldValue(word, from));
    if (alias.n && Object.keys(alias.n.others).length > 0) {
      const n = 1 + (next() % 31);
      word = (word & ~encodeField(alias.n.field, -1)) | encodeField(alias.n.field, alias.n.convert(n));
      for (const [name, of] of Object.entries(alias.n.others)) {
        const field = name as Parameters<typeof encodeField>[0];
        word = (word & ~encodeField(field, -1)) | encodeField(field, of(n));
      }
    }
    return word >>> 0;
  });
}
